/**
 * How long does `release verify` take for a release of 190 images in a registry on loopback, signature and all, from a cold process; beside the loop of
 * `skopeo inspect --raw docker://…@sha256:… | sha256sum` that documents have people write. The loop compares digests alone; Signet fetches the configurations too, for
 * their platforms, and so does a second loop. Twice: from Debian's docker-registry and from `signet serve`. Needs both, skopeo and `npm run build`.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import { buildTestRelease, findTool, httpPushTarget, makeTempDir, pushTestImage, run } from "@signet/testkit";
import { median } from "./measure.ts";
import { type Registry, bundle, makePublic, startPeer, startSignet } from "./registry/registries.ts";

/** As many as a genuine release of OpenShift 4.14 refers to, and some. */
const IMAGES = Number(process.env["SIGNET_BENCH_IMAGES"] ?? 190);

/** Turns of each; odd, so that the median is one of them. */
const ROUNDS = 5;

/** Repositories of the images and of the release image. */
const COMPONENTS = "dev/components";
const RELEASE = "dev/release";

if (!existsSync(bundle)) throw new Error("packages/cli/dist/signet.js is missing: run npm run build");
if (findTool("skopeo") === undefined) throw new Error("skopeo is missing: apt-get install skopeo");

const now = Date.now();
const userIds = ["Release <release@example.com>"];
const made = await generateKey({ engine, now, userIds, algorithm: "rsa4096" });
const signer = await openSecretKey(new TextEncoder().encode(made.secretKey), { engine, now });

{
  await using registry = await startPeer();
  await compare("Debian's docker-registry", registry);
}
{
  using data = makeTempDir("signet-benchmark-data-");
  await using registry = await startSignet(data.path);
  await compare("signet serve", registry, async () => {
    for (const repository of [COMPONENTS, RELEASE]) await makePublic(data.path, repository);
  });
}

/**
 * Fills a registry and prints what each contender needs there.
 * @param open lets everybody read what was pushed
 */
async function compare(name: string, registry: Registry, open?: () => Promise<void>): Promise<void> {
  using folder = makeTempDir("signet-benchmark-");
  const image = await fillRegistry(registry, folder.path);
  await open?.();
  writeLoops(registry, folder.path);

  // None of this machine's passwords is anybody's to read.
  writeFileSync(folder.join("auth.json"), "{}");
  const env = { HOME: folder.path, REGISTRY_AUTH_FILE: folder.join("auth.json") };
  /** Milliseconds of one run. */
  const time = async (command: string, args: readonly string[]): Promise<number> => {
    const started = performance.now();
    const { status, stderr } = await run(command, args, { env });
    if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
    return performance.now() - started;
  };
  const verify = (jobs: number): Promise<number> =>
    time(process.execPath, [
      ...[bundle, "release", "verify", image, "--tls-verify=false", "--jobs", String(jobs)],
      ...["--key", folder.join("release.pub"), "--store", `file://${folder.join("store")}`],
    ]);
  const loop = (script: string): Promise<number> =>
    time("sh", ["-c", `sh ${folder.join(script)} < ${folder.join("digests")}`]);
  await measure(name, [
    { name: "skopeo inspect --raw | sha256sum, one after the other", run: () => loop("loop.sh") },
    { name: "the same, and skopeo inspect --config for the platforms", run: () => loop("platforms.sh") },
    { name: "signet release verify, 16 at a time (the default)", run: () => verify(16) },
    { name: "signet release verify, 8 at a time", run: () => verify(8) },
    { name: "signet release verify, 32 at a time", run: () => verify(32) },
  ]);
}

/**
 * Pushes a release whose images lie in the registry, and writes signature, key and digests into the folder.
 * @returns the release image by digest
 */
async function fillRegistry({ host, account }: Registry, folder: string): Promise<string> {
  const target = httpPushTarget(`http://${host}`, account);
  const { components, image } = await buildTestRelease({ repository: `${host}/${COMPONENTS}`, count: IMAGES });
  for (const component of components) await pushTestImage(target, `${COMPONENTS}@${component.digest}`, component);
  await pushTestImage(target, `${RELEASE}:4.99.0`, image);
  const { bytes } = await createSignature(image.manifest, `${host}/${RELEASE}:4.99.0`, signer, { engine, now });
  const store = join(folder, "store", image.digest.replace(":", "="));
  mkdirSync(store, { recursive: true });
  writeFileSync(join(store, "signature-1"), bytes);
  writeFileSync(join(folder, "release.pub"), made.publicKey);
  writeFileSync(join(folder, "digests"), components.map(({ digest }) => `${digest}\n`).join(""));
  return `${host}/${RELEASE}@${image.digest}`;
}

function writeLoops({ host }: Registry, folder: string): void {
  const image = `--tls-verify=false "docker://${host}/${COMPONENTS}@$digest"`;
  const loopOf = (...more: readonly string[]): string =>
    [
      "while read -r digest; do",
      `  found=$(skopeo inspect --raw ${image} | sha256sum)`,
      '  [ "sha256:${found%% *}" = "$digest" ] || exit 1',
      ...more,
      "done",
    ].join("\n");
  writeFileSync(join(folder, "loop.sh"), loopOf());
  const platform = `  skopeo inspect --config --raw ${image} | grep -q '"architecture":"amd64"' || exit 1`;
  writeFileSync(join(folder, "platforms.sh"), loopOf(platform));
}

interface Contender {
  readonly name: string;
  readonly run: () => Promise<number>;
}

async function measure(registry: string, contenders: readonly Contender[]): Promise<void> {
  // In turn, so that a machine whose speed drifts treats all alike.
  const times = contenders.map((): number[] => []);
  for (let round = -1; round < ROUNDS; round++) {
    for (const [index, contender] of contenders.entries()) {
      const elapsed = await contender.run();
      // The first turn fills caches.
      if (round >= 0) times[index]!.push(elapsed);
    }
  }
  console.log(
    `\na release of ${IMAGES} images in ${registry}, verified whole from a cold process (seconds: median, least, greatest)`,
  );
  for (const [index, { name }] of contenders.entries()) {
    const own = times[index]!;
    const ratios = own.map((elapsed, round) => times[0]![round]! / elapsed);
    const seconds = [median(own), Math.min(...own), Math.max(...own)].map((value) => (value / 1000).toFixed(2));
    console.log(`  ${name.padEnd(56)} ${seconds.join("  ")}   × ${median(ratios).toFixed(1)}`);
  }
}
