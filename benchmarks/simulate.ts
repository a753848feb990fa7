/**
 * How long does `policy simulate` take for 10,000 images in a registry on loopback, and how much memory; beside `skopeo copy` under the same policy, an image at a time,
 * which is what people have for the question today. The list is the output of kubectl. The registry runs on the same processors and is configured as Debian installs it,
 * with its descriptor cache; how long it takes for the bare requests is measured as well, since nobody can be faster. Needs docker-registry, skopeo and `npm run build`.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findTool, makeTempDir, run, startDockerRegistry } from "@signet/testkit";
import { type Fleet, makeFleet } from "./image-fleet.ts";
import { median } from "./measure.ts";
import { requestManifests } from "./registry-requests.ts";

/** Images judged by Signet; by skopeo, whose time for each is the same, a sample before and after each of Signet's turns. */
const IMAGES = Number(process.env["SIGNET_BENCH_IMAGES"] ?? 10_000);
const SAMPLE = 20;

/** Images at a time, in each of Signet's turns. */
const TURNS = [8, 16, 8, 16];

/** Of the times that Linux counts for a process. */
const TICKS_PER_SECOND = 100;

/** Seconds of processor time that a process has taken; `children`: those of it that have ended. */
function processorSeconds(pid: number | "self", whose: "own" | "children" = "own"): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const at = whose === "own" ? 11 : 13;
  return (Number(fields[at]) + Number(fields[at + 1])) / TICKS_PER_SECOND;
}

/** Milliseconds between two looks at a process's memory. */
const LOOK_MS = 20;

const bundle = fileURLToPath(new URL("../packages/cli/dist/signet.js", import.meta.url));
if (!existsSync(bundle)) throw new Error("packages/cli/dist/signet.js is missing: run npm run build");

using folder = makeTempDir("signet-benchmark-");
using store = makeTempDir("signet-benchmark-store-");
await using registry = await startDockerRegistry({ isQuiet: true, hasCache: true });
const fleet = await makeFleet(registry, store, IMAGES);
writeInputs(fleet);

interface Measured {
  readonly seconds: number;
  /** Of processor time. */
  readonly cpu: number;
  /** Seconds of the registry's. */
  readonly registryCpu: number;
  /** MiB: the largest resident set. */
  readonly peak: number;
  readonly stdout: string;
}

/** Runs Signet, reading the high-water mark that the kernel keeps for the process. */
async function simulate(args: readonly string[]): Promise<Measured> {
  const started = performance.now();
  const registryBefore = processorSeconds(registry.pid);
  const child = spawn(process.execPath, [bundle, "policy", "simulate", ...args], {
    env: { PATH: process.env["PATH"] ?? "", HOME: folder.path },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  let peak = 0;
  let cpu = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      peak = Math.max(peak, Number(/VmHWM:\s*(\d+)/.exec(status)?.[1] ?? 0) / 1024);
      cpu = processorSeconds(child.pid!);
    } catch {
      // It has ended.
    }
  }, LOOK_MS);
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearInterval(timer);
  // Something would stop: that is the answer wanted.
  if (status !== 1) throw new Error(`signet ended with ${status}`);
  return {
    seconds: (performance.now() - started) / 1000,
    cpu,
    registryCpu: processorSeconds(registry.pid) - registryBefore,
    peak,
    stdout: Buffer.concat(chunks).toString(),
  };
}

const common = [
  ...["new.json", "--against", "old.json", "--from", "pods.json"].map((part) =>
    part.endsWith(".json") ? folder.join(part) : part,
  ),
  ...["--registries.d", folder.join("registries.d"), "--tls-verify=false", "--quiet"],
];

const skopeo = findTool("skopeo");
const step = Math.max(1, Math.floor(IMAGES / SAMPLE));
const sample = fleet.images.filter((_, index) => index % step === 7 % step).slice(0, SAMPLE);

/** What skopeo takes for one image. */
interface Copied {
  readonly milliseconds: number;
  /** Milliseconds of processor time: its own, and the registry's. */
  readonly cpu: number;
  readonly registryCpu: number;
}

/** Copies the sample; each value is the median, or for the coarse clock of processor time the mean. */
async function copySample(): Promise<Copied | undefined> {
  if (skopeo === undefined) return undefined;
  const before = [processorSeconds("self", "children"), processorSeconds(registry.pid)] as const;
  const times: number[] = [];
  for (const { name, kind } of sample) {
    const target = folder.join("copy");
    const started = performance.now();
    // Not synchronously: the registry's log has to be read meanwhile, or it stands still.
    const { status, stderr } = await run(
      skopeo,
      [
        ...["--policy", folder.join("new.json"), "--registries.d", folder.join("registries.d")],
        ...["copy", "--src-tls-verify=false", `docker://${name}`, `dir:${target}`],
      ],
      { env: { HOME: folder.path } },
    );
    times.push(performance.now() - started);
    if ((status === 0) !== (kind === "signed")) throw new Error(`skopeo on a ${kind} image: ${stderr}`);
    rmSync(target, { recursive: true, force: true });
  }
  const mean = (seconds: number): number => (seconds * 1000) / times.length;
  return {
    milliseconds: median(times),
    cpu: mean(processorSeconds("self", "children") - before[0]),
    registryCpu: mean(processorSeconds(registry.pid) - before[1]),
  };
}

function showCopied(copied: Copied | undefined): void {
  console.log(
    copied === undefined
      ? "  skopeo is missing, no baseline"
      : `  skopeo copy --policy to dir:, ${sample.length} images: ${copied.milliseconds.toFixed(0)} ms an image (median), ${copied.cpu.toFixed(0)} ms of processor time and ${copied.registryCpu.toFixed(0)} ms of the registry's`,
  );
}

console.log(`\n${IMAGES} images, two policies, signatures in a lookaside folder (RSA-4096)`);
let before = await copySample();
showCopied(before);
for (const jobs of TURNS) {
  const { seconds, cpu, registryCpu, peak, stdout } = await simulate([...common, "--jobs", String(jobs), "-o", "json"]);
  checkAnswer(stdout);
  const after = await copySample();
  // Both neighbours count alike, so that a machine whose speed drifts treats both tools alike.
  const ratio =
    before === undefined || after === undefined
      ? ""
      : `: × ${(((before.milliseconds + after.milliseconds) / 2) * (IMAGES / (seconds * 1000))).toFixed(0)}`;
  console.log(
    `  signet policy simulate, ${jobs} at a time: ${seconds.toFixed(1)} s, ${Math.round(IMAGES / seconds)} images/s, ${cpu.toFixed(1)} s of processor time and ${registryCpu.toFixed(1)} s of the registry's, peak memory ${Math.round(peak)} MiB${ratio}`,
  );
  showCopied(after);
  before = after;
}
const registryBefore = processorSeconds(registry.pid);
const bare = await requestManifests(
  registry,
  fleet.images.map(({ name }) => name),
  TURNS[0]!,
);
console.log(
  `  the bare requests, ${TURNS[0]} at a time: ${bare.toFixed(1)} s, ${(processorSeconds(registry.pid) - registryBefore).toFixed(1)} s of the registry's processor time`,
);
const journal = folder.join("journal");
const journaled = await simulate([...common, "--resume", journal, "-o", "json"]);
const again = await simulate([...common, "--resume", journal, "-o", "json"]);
if (journaled.stdout !== again.stdout) throw new Error("going on from a whole journal gave another answer");
console.log(
  `  with a journal: ${journaled.seconds.toFixed(1)} s, peak ${Math.round(journaled.peak)} MiB; from the whole journal: ${again.seconds.toFixed(1)} s`,
);

function checkAnswer(stdout: string): void {
  const { summary } = JSON.parse(stdout) as { summary: { stops: number; accepted: number; undetermined: number } };
  const good = fleet.images.filter(({ kind }) => kind === "signed").length;
  const { stops, accepted, undetermined } = summary;
  if (stops !== IMAGES - good || accepted !== good || undetermined !== 0)
    throw new Error(`a wrong answer: ${JSON.stringify({ stops, accepted, undetermined })}`);
}

function writeInputs({ images, certificate }: Fleet): void {
  writeFileSync(folder.join("key.gpg"), certificate);
  const requirement = { type: "signedBy", keyType: "GPGKeys", keyPath: folder.join("key.gpg") };
  const next = { default: [{ type: "reject" }], transports: { docker: { [registry.host]: [requirement] } } };
  writeFileSync(folder.join("new.json"), JSON.stringify(next));
  writeFileSync(folder.join("old.json"), JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  mkdirSync(folder.join("registries.d"));
  writeFileSync(folder.join("registries.d/all.yaml"), `default-docker:\n  lookaside: file://${store.path}\n`);
  const items = images.map(({ name }, index) => ({
    metadata: { namespace: `ns-${index % 50}`, name: `pod-${index}` },
    spec: { containers: [{ name: "main", image: name }] },
  }));
  writeFileSync(
    folder.join("pods.json"),
    JSON.stringify({ kind: "PodList", apiVersion: "v1", metadata: {}, items }, undefined, 2),
  );
}
