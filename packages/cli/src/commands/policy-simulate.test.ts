import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { writeSimpleSigningPayload } from "@signet/core";
import {
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  makeSeededRandom,
  makeTempDir,
  makeTestKey,
  pushTestImage,
  startTestRegistry,
  writeTestCertificate,
  writeTestMessage,
} from "@signet/testkit";
import { type SignetRun, runSignet, signetEnvironment, signetScript } from "../signet-process.ts";

/** Images in the registry, of which every tenth is unsigned, every tenth signed by a stranger, and every fiftieth missing. */
const IMAGES = 300;

interface Result {
  readonly image: string;
  readonly digest: string | null;
  readonly change: string;
  readonly verdict: string;
  readonly scope: string | null;
  readonly codes: readonly string[];
  readonly signers: readonly string[];
  readonly against: { readonly verdict: string } | null;
  readonly usedBy: readonly string[];
  readonly runsOther: readonly string[];
}

interface Report {
  readonly policy: string;
  readonly against: string | null;
  readonly judgedAt: string;
  readonly results: readonly Result[];
  readonly summary: {
    readonly total: number;
    readonly judged: number;
    readonly interrupted: boolean;
    readonly stops: number;
    readonly allowed: number;
    readonly rejected: number;
    readonly accepted: number;
    readonly undetermined: number;
    readonly groups: readonly {
      readonly change: string;
      readonly scope: string | null;
      readonly codes: readonly string[];
      readonly count: number;
      readonly images: readonly string[];
      readonly usedBy: readonly string[];
    }[];
  };
}

const folder = makeTempDir();
const names: string[] = [];
let registry: TestRegistry;

const environment = { HOME: folder.path, XDG_RUNTIME_DIR: folder.path };
const flags = ["--tls-verify=false", "--registries.d", "registries.d", "--quiet", "--retry-times", "0"];

function simulate(...args: readonly string[]): Promise<SignetRun> {
  return runSignet(["policy", "simulate", ...args, ...flags], { cwd: folder.path, env: environment });
}

async function report(...args: readonly string[]): Promise<Report> {
  const { stdout } = await simulate(...args, "-o", "json");
  return JSON.parse(stdout) as Report;
}

function write(name: string, content: unknown): void {
  mkdirSync(dirname(folder.join(name)), { recursive: true });
  writeFileSync(folder.join(name), typeof content === "string" ? content : JSON.stringify(content));
}

before(async () => {
  registry = await startTestRegistry();
  const image = await buildTestImage({ format: "oci" });
  const trusted = makeTestKey("ed25519");
  const stranger = makeTestKey("ed25519");
  const base = JSON.parse(new TextDecoder().decode(image.manifest)) as object;
  for (let index = 0; index < IMAGES; index++) {
    const repository = `team/app-${index % 25}`;
    const name = `${registry.host}/${repository}:${index}`;
    names.push(name);
    if (index % 50 === 49) continue;
    const manifest = Buffer.from(JSON.stringify({ ...base, annotations: { index: String(index) } }));
    const { digest } = registry.putManifest(repository, String(index), manifest, image.mediaType);
    if (index % 10 === 0) continue;
    const payload = writeSimpleSigningPayload({
      manifestDigest: digest as never,
      dockerReference: name,
      creator: "t",
      timestamp: 1,
    });
    const path = folder.join(`store/${repository}@${digest.replace(":", "=")}/signature-1`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, writeTestMessage(index % 10 === 1 ? stranger : trusted, payload));
  }
  writeFileSync(folder.join("key.gpg"), writeTestCertificate(trusted));
  writeFileSync(folder.join("stranger.gpg"), writeTestCertificate(stranger));
  write("registries.d/all.yaml", `default-docker:\n  lookaside: file://${folder.path}/store\n`);
  const signedBy = { type: "signedBy", keyType: "GPGKeys", keyPath: folder.join("key.gpg") };
  const scopes = (requirement: object): object => ({ docker: { [`${registry.host}/team`]: [requirement] } });
  write("new.json", { default: [{ type: "reject" }], transports: scopes(signedBy) });
  write("old.json", { default: [{ type: "insecureAcceptAnything" }] });
  write("strict.json", { default: [{ type: "reject" }] });
  write("sigstore.json", {
    default: [{ type: "reject" }],
    transports: scopes({ type: "sigstoreSigned", keyPath: "x.pub" }),
  });
  write("images.txt", names.join("\n"));
});

after(async () => {
  await registry.dispose();
  folder.dispose();
});

describe("a whole run", () => {
  test("says what would stop, grouped by reason, with those who use it", async () => {
    const items = names.map((image, index) => ({
      kind: "Pod",
      metadata: { namespace: "prod", name: `pod-${index}` },
      spec: { containers: [{ name: "main", image }] },
    }));
    write("pods.json", { kind: "List", items });
    const { results, summary, against } = await report("new.json", "--against", "old.json", "--from", "pods.json");
    assert.equal(against, "old.json");
    assert.deepEqual(
      results.map(({ image }) => image),
      names.map((name) => `docker://${name}`),
    );
    const { groups, ...counts } = summary;
    assert.deepEqual(counts, {
      total: IMAGES,
      judged: IMAGES,
      interrupted: false,
      stops: 60,
      allowed: 0,
      rejected: 0,
      accepted: 234,
      undetermined: 6,
    });
    assert.deepEqual(
      groups.map(({ change, scope, codes, count }) => [change, scope, codes, count]),
      [
        ["stops", `docker: ${registry.host}/team`, ["no-signature"], 30],
        ["stops", `docker: ${registry.host}/team`, ["signer-known"], 30],
        ["undetermined", `docker: ${registry.host}/team`, ["image-missing"], 6],
      ],
    );
    assert.deepEqual(groups[0]!.images.slice(0, 2), [`docker://${names[0]}`, `docker://${names[10]}`]);
    assert.deepEqual(groups[0]!.usedBy.slice(0, 2), ["prod/Pod/pod-0", "prod/Pod/pod-10"]);
    assert.equal(results[2]!.signers.length, 1);
    assert.equal(results[49]!.digest, null);
  });

  test("the status is 1 for what would stop or is rejected, 2 when nothing is but some could not be told, else 0", async () => {
    const status = async (list: readonly string[], ...args: readonly string[]): Promise<number> => {
      write("some.txt", list.join("\n"));
      return (await simulate(...args, "--from", "some.txt")).status;
    };
    const [good, unsigned, missing] = [names[2]!, names[0]!, names[49]!];
    assert.equal(await status([good], "new.json"), 0);
    assert.equal(await status([good, unsigned, missing], "new.json"), 1);
    assert.equal(await status([good, missing], "new.json"), 2);
    assert.equal(await status([good, unsigned], "new.json", "--against", "old.json"), 1);
    assert.equal(await status([good, unsigned], "new.json", "--against", "strict.json"), 0);
    assert.equal(await status([good, unsigned], "old.json", "--against", "new.json"), 0);
    assert.equal(await status([good, "not a name"], "old.json"), 2);
    assert.equal(await status([good], "sigstore.json", "--against", "old.json"), 2);
  });

  test("each image is asked for once under two policies, and what two tags name is read once", async () => {
    const seen = registry.log.length;
    write("same.txt", [names[2], `docker://${names[2]}`, names[3]].join("\n"));
    const { summary } = await report("new.json", "--against", "strict.json", "--from", "same.txt");
    assert.deepEqual([summary.total, summary.allowed], [2, 2]);
    const manifests = registry.log.slice(seen).filter(({ path }) => path.includes("/manifests/"));
    assert.equal(manifests.length, 2);
  });

  test("text names the reason once and the images below it", async () => {
    write("two.txt", [names[0], names[2]].join("\n"));
    const { stdout, stderr } = await simulate("new.json", "--against", "old.json", "--from", "two.txt");
    assert.equal(stderr, "");
    assert.match(
      stdout,
      /^1 image would stop being pulled\n +1 {2}no-signature {2}scope docker: \S+\/team\n +a signature was required.*\n +hint: .*\n +\S+\/team\/app-0:0 {2}two\.txt: line 1\n\n2 images: 1 would stop, 0 newly allowed, 0 rejected by both, 1 accepted by both, 0 undetermined\n$/,
    );
  });

  test("JSON lines are one image each and then the summary", async () => {
    write("two.txt", [names[0], names[2]].join("\n"));
    const { stdout } = await simulate("new.json", "--from", "two.txt", "-o", "jsonl");
    const lines = stdout.trimEnd().split("\n");
    const parsed = lines.map((line) => Object.keys(JSON.parse(line) as object));
    assert.deepEqual(parsed, [["result"], ["result"], ["policy", "against", "judgedAt", "summary"]]);
  });

  test("the policy in force is what current means, and standard input is a source", async () => {
    write(".config/containers/policy.json", { default: [{ type: "insecureAcceptAnything" }] });
    const run = await runSignet(
      ["policy", "simulate", "--policy", "new.json", "--against", "current", "--from", "-", ...flags],
      {
        cwd: folder.path,
        env: environment,
        input: `${names[0]}\n`,
      },
    );
    assert.equal(run.status, 1);
    assert.match(run.stdout, /standard input: line 1/);
  });

  test("of lists the platform's instance is judged, and a digest that runs and is not its own is told", async () => {
    const images = await Promise.all(
      ["amd64", "arm64"].map((architecture, seed) => buildTestImage({ seed: seed + 5, architecture })),
    );
    await pushTestImage(registry, "free/list:1", buildTestIndex(images, "oci"));
    const image = `${registry.host}/free/list:1`;
    const pod = (digest: string): object => ({
      kind: "Pod",
      metadata: { name: "p" },
      spec: { containers: [{ name: "c", image }] },
      status: { containerStatuses: [{ name: "c", imageID: `${registry.host}/free/list@${digest}` }] },
    });
    write("pod.json", pod(images[1]!.digest));
    const [own] = (await report("old.json", "--from", "pod.json")).results;
    assert.deepEqual([own!.verdict, own!.runsOther], ["accepted", []]);
    const other = `sha256:${"0".repeat(64)}`;
    write("pod.json", pod(other));
    const [moved] = (await report("old.json", "--from", "pod.json")).results;
    assert.deepEqual(moved!.runsOther, [other]);
    write("pod.json", pod(images[1]!.digest));
    const [running] = (await report("old.json", "--from", "pod.json", "--running")).results;
    assert.deepEqual(
      [running!.image, running!.digest],
      [`docker://${registry.host}/free/list@${images[1]!.digest}`, images[1]!.digest],
    );
  });
});

/** A run that can be stopped. */
function start(...args: readonly string[]): { readonly child: ChildProcess; readonly ended: Promise<SignetRun> } {
  const child = spawn(process.execPath, [signetScript, "policy", "simulate", ...args, ...flags], {
    cwd: folder.path,
    env: signetEnvironment(environment),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<SignetRun>((resolve) =>
    child.on("close", (code) => resolve({ status: code ?? -1, stdout, stderr })),
  );
  return { child, ended };
}

describe("interrupted and gone on with", () => {
  const args = ["new.json", "--against", "old.json", "--from", "images.txt", "-o", "json"];

  /** The journal as soon as it has grown to a size, while the run is under way. */
  async function grown(journal: string, bytes: number): Promise<void> {
    for (const deadline = performance.now() + 30_000; performance.now() < deadline; await wait(2))
      if (existsSync(folder.join(journal)) && statSync(folder.join(journal)).size >= bytes) return;
    throw new Error(`${journal} did not grow to ${bytes}`);
  }

  test("killed at random points, and with a torn last line, it ends with the same result", async () => {
    const whole = await report(...args);
    registry.addFaults({ path: /manifests/, times: Infinity, delayMs: 4 });
    const random = makeSeededRandom(3);
    const size = 30_000;
    for (const share of [0, 0.2, 0.5]) {
      const { child, ended } = start(...args, "--jobs", "3", "--resume", "journal");
      await grown("journal", size * share + random.bytes(1)[0]! * 10);
      await wait(random.bytes(1)[0]! / 8);
      child.kill("SIGKILL");
      await ended;
    }
    const journal = readFileSync(folder.join("journal"), "utf8");
    const rows = journal.split("\n").length - 2;
    assert.ok(rows > 20 && rows < IMAGES, `${rows} rows`);
    registry.clearFaults();
    appendFileSync(folder.join("journal"), '{"image":7,"row":{"digest":"sha2');
    const seen = registry.log.length;
    const resumed = await report(...args, "--resume", "journal");
    assert.deepEqual(resumed.results, whole.results);
    assert.deepEqual(resumed.summary, whole.summary);
    // What was finished was not asked for again; the missing six are tried each time.
    const asked = registry.log.slice(seen).filter(({ path }) => path.includes("/manifests/")).length;
    assert.equal(asked, IMAGES - rows);
    assert.deepEqual((await report(...args, "--resume", "journal")).results, whole.results);
    assert.ok(!readdirSync(folder.path).includes("journal.lock"));
  });

  test("Ctrl-C ends with what is known so far, a whole journal and the way to go on", async () => {
    registry.addFaults({ path: /manifests/, times: Infinity, delayMs: 10 });
    const { child, ended } = start(...args, "--jobs", "2", "--resume", "journal-2");
    await grown("journal-2", 1000);
    child.kill("SIGINT");
    const { status, stdout, stderr } = await ended;
    registry.clearFaults();
    assert.equal(status, 130);
    assert.match(
      stderr,
      /interrupted: \d+ of 300 images were judged\nhint: the same command goes on where this one stopped, by journal-2\n/,
    );
    const { summary, results } = JSON.parse(stdout) as Report;
    assert.deepEqual([summary.interrupted, summary.judged], [true, results.length]);
    assert.ok(summary.judged > 0 && summary.judged < IMAGES);
    assert.ok(readFileSync(folder.join("journal-2"), "utf8").endsWith("}\n"));
    assert.ok(!readdirSync(folder.path).includes("journal-2.lock"));
    const { summary: whole } = await report(...args, "--resume", "journal-2");
    assert.deepEqual([whole.judged, whole.stops], [IMAGES, 60]);
  });

  test("an image that hangs does not keep Ctrl-C waiting", async () => {
    registry.addFaults({ path: /manifests\/2$/, times: Infinity, hang: true });
    // More images than the journal holds back, so that it shows when the one behind the hanging one is done.
    const listed = names.slice(0, 150);
    write("hang.txt", listed.join("\n"));
    const { child, ended } = start("new.json", "--from", "hang.txt", "-o", "json", "--resume", "journal-3");
    await grown("journal-3", 1);
    while (child.exitCode === null && !readFileSync(folder.join("journal-3"), "utf8").includes('{"image":3,'))
      await wait(5);
    child.kill("SIGINT");
    const { stdout, stderr, status } = await ended;
    registry.clearFaults();
    assert.equal(status, 130, stderr);
    const { results, summary } = JSON.parse(stdout) as Report;
    const judged = results.map(({ image }) => image);
    assert.deepEqual(
      [0, 1, 2, 3].filter((index) => judged.includes(`docker://${names[index]}`)),
      [0, 1, 3],
    );
    assert.deepEqual([summary.interrupted, summary.judged], [true, results.length]);
  });

  test("a journal of other inputs, somebody's file and a damaged journal are refused and left alone", async () => {
    const refused = async (name: string, ...other: readonly string[]): Promise<string> => {
      const content = readFileSync(folder.join(name), "utf8");
      const { status, stderr, stdout } = await simulate(...other, "--resume", name);
      assert.deepEqual([status, stdout], [2, ""]);
      assert.equal(readFileSync(folder.join(name), "utf8"), content);
      return stderr;
    };
    write("few.txt", names.slice(0, 3).join("\n"));
    const few = ["new.json", "--from", "few.txt"];
    assert.equal((await simulate(...few, "--resume", "j")).status, 1);
    assert.match(
      await refused("j", "new.json", "--from", "images.txt"),
      /^error: the journal j is of other inputs\nhint: /,
    );
    assert.match(await refused("j", ...few, "--against", "old.json"), /other inputs/);
    assert.match(await refused("j", ...few, "--override-arch", "s390x"), /other inputs/);
    assert.match(await refused("j", ...few, "--allow-sha1"), /other inputs/);
    const key = readFileSync(folder.join("key.gpg"));
    writeFileSync(folder.join("key.gpg"), readFileSync(folder.join("stranger.gpg")));
    assert.match(await refused("j", ...few), /other inputs/);
    writeFileSync(folder.join("key.gpg"), key);
    write("registries.d/more.yaml", "docker:\n  x.example.com:\n    lookaside: file:///x\n");
    assert.match(await refused("j", ...few), /other inputs/);
    rmSync(folder.join("registries.d/more.yaml"));
    const mirror = `[[registry]]\nlocation = "${registry.host}/team"\n[[registry.mirror]]\nlocation = "${registry.host}/other"\n`;
    write("registries.conf", mirror);
    const withConf = [...few, "--registries-conf", "registries.conf"];
    assert.match(await refused("j", ...withConf), /other inputs[^]*registries\.conf/);
    assert.equal((await simulate(...withConf, "--resume", "j-conf")).status, 1);
    write("registries.conf", mirror.replace("/other", "/another"));
    assert.match(await refused("j-conf", ...withConf), /other inputs/);
    write("registries.conf", "[[registry");
    assert.match(await refused("j-conf", ...withConf), /other inputs/);
    // What a file says about other things than where images are does not count, nor do its comments.
    write("registries.conf", `short-name-mode = "disabled" # since today\n${mirror}`);
    assert.equal((await simulate(...withConf, "--resume", "j-conf")).status, 1);
    write("somebody", "my notes\n");
    assert.match(await refused("somebody", ...few), /no journal/);
    write("somebody", "notes without an end");
    assert.match(await refused("somebody", ...few), /no journal/);
    const lines = readFileSync(folder.join("j"), "utf8").split("\n");
    for (const damaged of ["{}", '{"image":99,"row":{}}', lines[1]!.replace("rejected", "undecided"), "x"]) {
      write("damaged", [lines[0], damaged, lines[2], ""].join("\n"));
      assert.match(await refused("damaged", ...few), /cannot go on from damaged: line 2 is/);
    }
    assert.equal((await simulate(...few, "--resume", "j")).status, 1);
  });

  test("two processes do not share a journal", async () => {
    registry.addFaults({ path: /manifests/, times: Infinity, delayMs: 10 });
    const { child, ended } = start(...args, "--jobs", "1", "--resume", "journal-4");
    await grown("journal-4", 100);
    const { status, stderr } = await simulate(...args, "--resume", "journal-4");
    child.kill("SIGKILL");
    await ended;
    registry.clearFaults();
    assert.equal(status, 2);
    assert.match(stderr, /^error: journal-4\.lock is held by process/);
  });
});

describe("nonsense", () => {
  test("a command line that says too little or too much is a usage error", async () => {
    for (const args of [
      [],
      ["new.json"],
      ["--from", "images.txt"],
      ["new.json", "--policy", "old.json", "--from", "images.txt"],
    ])
      assert.equal((await simulate(...args)).status, 64, args.join(" "));
    assert.equal((await simulate("new.json", "--from", "-", "--from", "-")).status, 64);
  });

  test("an empty list, lists that cannot be read and policies that cannot be parsed are failures, not success", async () => {
    write("empty.txt", "# none\n");
    write("cut.json", '{"kind":"List","items":[{"kind":"Pod","spec":{"containers":[{"image":"a"}]}}');
    write("broken.json", "{");
    for (const [args, message] of [
      [["old.json", "--from", "empty.txt"], /no image is named in empty\.txt/],
      [["old.json", "--from", "cut.json"], /cut\.json: it ends in the middle/],
      [["old.json", "--from", "absent.txt"], /absent\.txt/],
      [["broken.json", "--from", "images.txt"], /invalid policy/],
      [["old.json", "--against", "broken.json", "--from", "images.txt"], /invalid policy/],
    ] as const) {
      const { status, stdout, stderr } = await simulate(...args);
      assert.deepEqual([status, stdout], [2, ""], args.join(" "));
      assert.match(stderr, message);
    }
  });

  test("whoever reads the output may go away", async () => {
    const { child, ended } = start("new.json", "--from", "images.txt", "-o", "jsonl");
    child.stdout!.once("data", () => child.stdout!.destroy());
    const { status, stderr } = await ended;
    assert.deepEqual([status, stderr], [2, ""]);
  });
});
