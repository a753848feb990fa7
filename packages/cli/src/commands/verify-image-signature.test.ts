import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type TestRegistry, makeTempDir, startTestRegistry } from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const vectors = join(import.meta.dirname, "../../../../vectors");
const digest = "sha256:50b9402635dd4b312a86bed05dcdbda8c00120d3789ec2e9b527045100b3bdb4";
const repository = "albo/aws-load-balancer-operator-bundle";
const genuine = join(vectors, "redhat/albo-bundle");
const release = join(vectors, "redhat/keys/RPM-GPG-KEY-redhat-release.rhel9");
const beta = join(vectors, "redhat/keys/RPM-GPG-KEY-redhat10-beta");
const folder = makeTempDir("signet-vis-");
let registry: TestRegistry;
let image: string;

const signet = (...args: readonly string[]): Promise<SignetRun> =>
  runSignet(
    [
      "verify-image-signature",
      "--registries.d",
      folder.join("rd"),
      "--tls-verify=false",
      "--retry-times",
      "0",
      ...args,
    ],
    {
      env: { HOME: folder.path },
    },
  );
const verify = (identity: string, ...more: readonly string[]): Promise<SignetRun> =>
  signet(image, `--expected-identity=${identity}`, "--public-key", release, ...more);

before(async () => {
  registry = await startTestRegistry();
  const manifest = readFileSync(join(genuine, "manifest.json"));
  const { config, layers } = JSON.parse(manifest.toString()) as {
    readonly config: { readonly digest: string };
    readonly layers: readonly { readonly digest: string }[];
  };
  for (const blob of [config, ...layers])
    registry.putBlob(repository, readFileSync(join(vectors, "openshift/albo-bundle-blobs", blob.digest.slice(7))));
  registry.putManifest(repository, "0.0.1", manifest, "application/vnd.docker.distribution.manifest.v2+json");
  const store = folder.join("store", `${repository}@${digest.replace(":", "=")}`);
  mkdirSync(store, { recursive: true });
  for (const name of ["signature-1", "signature-2", "signature-3", "signature-4"])
    writeFileSync(join(store, name), readFileSync(join(genuine, name)));
  mkdirSync(folder.join("rd"));
  writeFileSync(
    folder.join("rd/all.yaml"),
    `docker:\n  ${registry.host}/albo:\n    lookaside: file://${folder.join("store")}\n`,
  );
  image = `${registry.host}/${repository}@${digest}`;
});

after(async () => {
  await registry.dispose();
  folder.dispose();
});

test("each genuine signature is judged by itself: a tag fits one of four, a digest those of its repository, another name none", async () => {
  const name = `registry.redhat.io/${repository}`;
  for (const [identity, accepted] of [
    [`${name}:0.0.1`, 1],
    [`${name}:0.0.1-20`, 1],
    [`registry.access.redhat.com/${repository}:0.0.1`, 1],
    [`${name}@${digest}`, 2],
    [name, 0],
    [`${name}:0.0.2`, 0],
    [`${registry.host}/${repository}:0.0.1`, 0],
  ] as const) {
    const { status, stdout, stderr } = await verify(identity);
    assert.equal(status, accepted > 0 ? 0 : 1, `${identity}: ${stderr}`);
    const confirmed = `image "${image}" identity is now confirmed (signed by GPG key "199E2F91FD431D51")`;
    const written = stdout.trimEnd().split("\n");
    assert.deepEqual(written, [
      ...Array.from({ length: accepted }, () => confirmed),
      `Neither --save nor --remove-all were passed, image "${image}" not updated`,
    ]);
    const failed = stderr.split("\n").filter((line) => line.startsWith("error verifying signature "));
    assert.equal(failed.length, 4 - accepted);
    for (const line of failed) assert.match(line, / \(verification status will be removed\): signature rejected: \S/);
  }
});

test("a wrong key, no signature and a damaged one are 1; what cannot be told is 2", async () => {
  const identity = `--expected-identity=registry.redhat.io/${repository}:0.0.1`;
  assert.equal((await signet(image, identity, "--public-key", beta)).status, 1);
  const json = JSON.parse((await verify(`registry.redhat.io/${repository}:0.0.1`, "-o", "json")).stdout) as {
    readonly verdict: string;
    readonly signatures: readonly { readonly verdict: string }[];
  };
  assert.deepEqual(
    [json.verdict, ...json.signatures.map(({ verdict }) => verdict)],
    ["accepted", "rejected", "rejected", "accepted", "rejected"],
  );
  const none = await signet(
    `${registry.host}/${repository}:0.0.1`,
    identity,
    "--public-key",
    release,
    "--registries.d",
    folder.join("rd"),
  );
  assert.equal(none.status, 0, "a tag is a pull spec as well");
  writeFileSync(
    folder.join("rd/all.yaml"),
    `docker:\n  ${registry.host}/albo:\n    lookaside: file://${folder.join("empty")}\n`,
  );
  const unsigned = await signet(image, identity, "--public-key", release);
  assert.deepEqual([unsigned.status, unsigned.stdout], [1, ""]);
  assert.match(unsigned.stderr, new RegExp(`^error: ${digest} does not have any signature$`, "m"));
  assert.equal((await signet("127.0.0.1:1/x:1", identity, "--public-key", release)).status, 2);
  assert.equal((await signet(image, identity, "--public-key", folder.join("missing"))).status, 2);
  writeFileSync(folder.join("junk"), "junk");
  assert.equal((await signet(image, identity, "--public-key", folder.join("junk"))).status, 2);
});

test("another registry may have the image; the name that was signed is not asked for there", async () => {
  const identity = `--expected-identity=registry.redhat.io/${repository}:0.0.1`;
  writeFileSync(
    folder.join("rd/all.yaml"),
    `docker:\n  ${registry.host}/albo:\n    lookaside: file://${folder.join("store")}\n`,
  );
  const pullSpec = `registry.redhat.io/${repository}@${digest}`;
  const run = await signet(pullSpec, identity, "--public-key", release, "--registry-url", registry.host);
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, /^image "registry\.redhat\.io\//);
  assert.equal((await signet(pullSpec, identity, "--registry-url", "a/b")).status, 64);
  // As oc has it: --insecure instead of --tls-verify=false.
  const args = [
    "verify-image-signature",
    image,
    identity,
    "--public-key",
    release,
    "--registries.d",
    folder.join("rd"),
  ];
  const env = { HOME: folder.path };
  const insecure = await runSignet([...args, "--insecure"], { env });
  assert.equal(insecure.status, 0, insecure.stderr);
  const both = await runSignet([...args, "--insecure", "--tls-verify=true"], { env });
  assert.deepEqual([both.status, /contradict each other/.test(both.stderr)], [64, true]);
});

test("wrong command lines are 64, before anything is asked", async () => {
  const asked = registry.log.length;
  const identity = "--expected-identity=a.example.com/b:1";
  for (const [args, message] of [
    [["--remove-all", "--save", image], /--save and --remove-all contradict each other/],
    [["--remove-all", digest], /is a digest alone/],
    [["--save", image], /the --expected-identity is required/],
    [["--remove-all", image, identity], /the --expected-identity cannot be used when removing all verifications/],
    [[image], /the --expected-identity is required/],
    [[image, "--expected-identity=UPPER"], /must be valid image reference/],
    [[image, `--expected-identity=a.example.com/b:1@${digest}`], /both a tag and digest are currently not supported/],
    [[digest, "--expected-identity=a.example.com/b:1"], /is a digest alone/],
    [["a//b", "--expected-identity=a.example.com/b:1"], /IMAGE: invalid reference/],
  ] as const) {
    const run = await signet(...args);
    assert.deepEqual([run.status, message.test(run.stderr)], [64, true], run.stderr);
  }
  assert.equal(registry.log.length, asked);
});
