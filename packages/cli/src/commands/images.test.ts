import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { generateKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type TestImage,
  type TestIndex,
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
  testRegistryAccount,
  writeDirImage,
} from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

/** What `verify -o json` promises. */
interface VerifyDocument {
  readonly results: readonly {
    readonly image: string;
    readonly digest: string | null;
    readonly verdict: string;
    readonly scope: string | null;
    readonly requirements: readonly { readonly type: string; readonly verdict: string; readonly manifest: string }[];
    readonly signatures: readonly {
      readonly verdict: string;
      readonly signer: { readonly fingerprint: string } | null;
    }[];
    readonly reasons: readonly { readonly code: string; readonly message: string; readonly hint?: string }[];
    readonly manifests: readonly { readonly role: string; readonly digest: string; readonly platform: string | null }[];
    readonly warnings: readonly string[];
  }[];
  readonly summary: object;
}

const folder = makeTempDir();
const reject = folder.join("reject.json");
let registry: TestRegistry;
let image: TestImage;
let index: TestIndex;
let fingerprint: string;

/** signet in a folder of its own, with registries.d, and http to the registry of the test. */
function signet(...args: readonly string[]): Promise<SignetRun> {
  return runSignet(args, { cwd: folder.path, env: { HOME: folder.path, XDG_RUNTIME_DIR: folder.path } });
}

const registryFlags = ["--tls-verify=false", "--registries.d", "registries.d"];

before(async () => {
  registry = await startTestRegistry();
  image = await buildTestImage();
  const others = await Promise.all(
    [2, 3].map((seed) => buildTestImage({ seed, architecture: seed === 2 ? "amd64" : "arm64" })),
  );
  index = buildTestIndex(others, "oci");
  for (const [name, one] of [
    ["team/app:1", image],
    ["team/unsigned:1", image],
    ["team/list:1", index],
  ] as const)
    await pushTestImage(registry, name, one);
  const key = await generateKey({
    engine: nodeEngine,
    now: Date.now(),
    userIds: ["Images <images@example.com>"],
    algorithm: "ed25519",
  });
  fingerprint = key.fingerprint;
  writeFileSync(folder.join("key.private"), key.secretKey);
  writeFileSync(folder.join("key.pub"), key.publicKey);
  writeFileSync(reject, JSON.stringify({ default: [{ type: "reject" }] }));
  mkdirSync(folder.join("registries.d"));
  mkdirSync(folder.join("store"));
  writeFileSync(folder.join("registries.d/all.yaml"), `default-docker:\n  lookaside: file://${folder.path}/store\n`);
  const policy = {
    default: [{ type: "reject" }],
    transports: {
      docker: {
        [`${registry.host}/team`]: [{ type: "signedBy", keyType: "GPGKeys", keyPath: folder.join("key.pub") }],
      },
    },
  };
  writeFileSync(folder.join("policy.json"), JSON.stringify(policy));
  writeDirImage(folder.join("image"), image);
});

after(async () => {
  await registry.dispose();
  folder.dispose();
});

describe("sign and verify in a registry", () => {
  test("an image is rejected before it is signed and accepted afterwards", async () => {
    const name = `docker://${registry.host}/team/app:1`;
    const verify = ["verify", name, "--policy", "policy.json", ...registryFlags];
    const unsigned = await signet(...verify);
    assert.equal(unsigned.status, 1);
    assert.match(
      unsigned.stdout,
      /^rejected {6}docker:.*\n +reason: a signature was required, but no signature exists\n +hint: /,
    );
    const signed = await signet("sign", "--key", "key.private", name, ...registryFlags, "--quiet");
    assert.deepEqual([signed.status, signed.stderr], [0, ""]);
    assert.match(
      signed.stdout,
      /^signed .*\/team\/app:1 {2}sha256:[0-9a-f]{64} {2}as .*\/team\/app:1\n +in .*signature-1\n$/,
    );
    const accepted = await signet(...verify);
    assert.deepEqual([accepted.status, accepted.stderr], [0, ""]);
    assert.ok(
      accepted.stdout.includes(
        `\n              signed by ${fingerprint} (Images <images@example.com>) for ${registry.host}/team/app:1, 20`,
      ),
    );
    const again = await signet("sign", "--key", "key.private", name, ...registryFlags, "--output", "json");
    const { results } = JSON.parse(again.stdout) as { results: { signatures: { outcome: string }[] }[] };
    assert.equal(results[0]!.signatures[0]!.outcome, "already-signed");
  });

  test("JSON has the promised members, for every verdict", async () => {
    const names = [
      `${registry.host}/team/app:1`,
      `${registry.host}/team/unsigned:1`,
      `${registry.host}/team/missing:1`,
    ];
    const run = await signet("verify", "-o", "json", "--policy", "policy.json", ...registryFlags, ...names);
    assert.deepEqual([run.status, run.stderr], [1, ""]);
    const { results, summary } = JSON.parse(run.stdout) as VerifyDocument;
    assert.deepEqual(summary, { total: 3, accepted: 1, rejected: 1, undetermined: 1 });
    for (const result of results) {
      assert.deepEqual(Object.keys(result), [
        "image",
        "digest",
        "verdict",
        "scope",
        "requirements",
        "signatures",
        "reasons",
        "manifests",
        "warnings",
        "endpoints",
      ]);
    }
    const [accepted, rejected, undetermined] = results;
    assert.equal(accepted!.image, `docker://${registry.host}/team/app:1`);
    assert.deepEqual([accepted!.digest, accepted!.verdict], [image.digest, "accepted"]);
    assert.equal(accepted!.scope, `docker: ${registry.host}/team`);
    assert.equal(accepted!.requirements[0]!.type, "signedBy");
    assert.equal(accepted!.signatures[0]!.signer!.fingerprint, fingerprint);
    assert.deepEqual(accepted!.reasons, []);
    assert.deepEqual([rejected!.verdict, rejected!.reasons[0]!.code], ["rejected", "no-signature"]);
    assert.deepEqual(
      [undetermined!.verdict, undetermined!.digest, undetermined!.reasons[0]!.code],
      ["undetermined", null, "image-missing"],
    );
  });

  test("of a list the platform's instance is judged and named; --all judges the list and every instance", async () => {
    const name = `${registry.host}/team/list:1`;
    const [amd64, arm64] = index.images as [TestImage, TestImage];
    const one = await signet("sign", "--key", "key.private", name, ...registryFlags);
    assert.match(one.stdout, /^signed .*\(list\)/);
    const verify = ["verify", name, "--policy", "policy.json", "--override-arch", "arm64", ...registryFlags];
    const listOnly = await signet(...verify);
    assert.equal(listOnly.status, 1, "a signature of the list alone says nothing about an instance");
    await signet("sign", "--all", "--key", "key.private", name, ...registryFlags);
    const instance = await signet(...verify);
    assert.equal(instance.status, 0);
    assert.match(instance.stdout, new RegExp(`^ +judged instance linux/arm64 ${arm64.digest}: accepted$`, "m"));
    const json = await signet(...verify, "--all", "-o", "json");
    const { results } = JSON.parse(json.stdout) as VerifyDocument;
    assert.deepEqual(
      results[0]!.manifests.map(({ role, digest, platform }) => [role, digest, platform]),
      [
        ["list", index.digest, null],
        ["instance", amd64.digest, "linux/amd64"],
        ["instance", arm64.digest, "linux/arm64"],
      ],
    );
  });

  test("the signatures API is used where the registry announces it", async () => {
    await using extended = await startTestRegistry({ signaturesExtension: true });
    await pushTestImage(extended, "team/app:1", image);
    const name = `${extended.host}/team/app:1`;
    const signed = await signet("sign", "--key", "key.private", name, ...registryFlags);
    assert.equal(signed.status, 0);
    assert.equal(extended.signatures("team/app", image.digest).length, 1);
    const verified = await signet("verify", "--key", "key.pub", name, ...registryFlags);
    assert.equal(verified.status, 0);
    const elsewhere = await signet(
      "sign",
      "--store",
      "extension",
      "--key",
      "key.private",
      `${registry.host}/team/app:1`,
      ...registryFlags,
    );
    assert.equal(elsewhere.status, 2);
    assert.match(elsewhere.stderr, /does not announce the signatures API\nhint: /);
  });

  test("one image that cannot be signed does not keep the others from it", async () => {
    const names = ["missing:1", "app:1"].map((name) => `${registry.host}/team/${name}`);
    const run = await signet("sign", "--force", "--key", "key.private", "-o", "json", ...registryFlags, ...names);
    assert.equal(run.status, 2);
    const { results } = JSON.parse(run.stdout) as { results: { error?: { code: string }; signatures?: object[] }[] };
    assert.equal(results[0]!.error!.code, "image-missing");
    assert.equal(results[1]!.signatures!.length, 1);
  });
});

describe("verify", () => {
  test("by keys alone: any of several keys, and what must have been signed", async () => {
    const copy = folder.join("adhoc");
    writeDirImage(copy, image);
    await signet("sign", "--key", "key.private", "--identity", "example.com/app:1", `dir:${copy}`);
    const other = await generateKey({ engine: nodeEngine, now: Date.now(), userIds: ["Other"], algorithm: "ed25519" });
    writeFileSync(folder.join("other.pub"), other.publicKey);
    const verify = ["verify", "dir:adhoc", "--identity"];
    const [repository, exact, wrong, both, wrongKey] = await Promise.all([
      signet(...verify, "example.com/app", "--key", "key.pub"),
      signet(...verify, "example.com/app:1", "--key", "key.pub"),
      signet(...verify, "example.com/app:2", "--key", "key.pub"),
      signet(...verify, "example.com/app", "--key", "other.pub", "--key", "key.pub"),
      signet(...verify, "example.com/app", "--key", "other.pub"),
    ]);
    assert.deepEqual([repository.status, exact.status, wrong.status, both.status, wrongKey.status], [0, 0, 1, 0, 1]);
  });

  test("a list of names: comments and empty lines are passed over, rows keep their order, the worst decides", async () => {
    const list = "# images\n\ndir:image\n  dir:nowhere  \r\ndir:image\n";
    const options = { cwd: folder.path, env: { HOME: folder.path }, input: list };
    const args = ["verify", "--from", "-", "--policy"];
    writeFileSync(folder.join("accept.json"), JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
    const [mixed, rejected, both] = await Promise.all([
      runSignet([...args, "accept.json"], options),
      runSignet([...args, "reject.json"], { ...options, input: "dir:image\ndir:image\n" }),
      runSignet([...args, "reject.json"], { ...options, input: "dir:nowhere\ndir:image\n" }),
    ]);
    assert.equal(mixed.status, 2);
    assert.deepEqual(
      mixed.stdout
        .split("\n")
        .filter((line) => /^\w/.test(line))
        .map((line) => line.split(" ")[0]),
      ["accepted", "undetermined", "accepted", "3"],
    );
    assert.match(mixed.stdout, /^3 images: 2 accepted, 0 rejected, 1 undetermined$/m);
    assert.match(mixed.stdout, /^ +no signature is required by scope default$/m);
    assert.match(mixed.stderr, /^error: .*nowhere.*\[file-missing\]\nhint: /);
    assert.equal(rejected.status, 1);
    assert.deepEqual([both.status, /1 rejected, 1 undetermined/.test(both.stdout)], [1, true]);
  });

  test("nothing to judge is never a success", async () => {
    const [none, empty] = await Promise.all([
      signet("verify"),
      runSignet(["verify", "--from", "-"], { input: "# nothing\n" }),
    ]);
    assert.equal(none.status, 64);
    assert.equal(empty.status, 2);
    assert.match(empty.stderr, /^error: no image is named in standard input\n/);
  });

  test("options that contradict each other are usage errors", async () => {
    const runs = await Promise.all([
      signet("verify", "dir:image", "--key", "key.pub", "--policy", "policy.json"),
      signet("verify", "dir:image", "--identity", "example.com/app"),
      signet("verify", "dir:image", "--key", "key.pub", "--identity", "NOT A REFERENCE"),
      signet("verify", "dir:image", "--policy", "policy.json", "--creds", "a:b", "--no-creds"),
      signet("verify", "dir:image", "--policy", "policy.json", "--username", "a"),
      signet("verify", "--policy", "policy.json", "nonsense:/x"),
      signet("sign", "dir:image"),
      signet("sign", "--key", "key.private", "--identity", "e.com/a:1", "dir:image", "dir:image"),
      signet("copy", "dir:image", "dir:b", "--all", "--multi-arch", "all"),
      signet("copy", "dir:image", "dir:b", "--insecure-policy", "--sign-identity", "e.com/a:1"),
      signet("copy", "dir:image", "dir:b", "--policy", "policy.json", "--insecure-policy"),
      signet("logout"),
    ]);
    assert.deepEqual(
      runs.map(({ status }) => status),
      runs.map(() => 64),
    );
    for (const { stderr } of runs) assert.match(stderr, /^error: .*\[?.*\nhint: /m);
  });
});

describe("inspect", () => {
  test("shows manifest, platforms and signatures, and the manifest as it is stored", async () => {
    const name = `${registry.host}/team/list:1`;
    const [text, json, raw] = await Promise.all([
      signet("inspect", name, ...registryFlags, "--override-arch", "arm64"),
      signet("inspect", name, ...registryFlags, "--output", "json"),
      signet("inspect", name, ...registryFlags, "--raw"),
    ]);
    assert.match(text.stdout, new RegExp(`^chosen +${index.images[1]!.digest} {2}linux/arm64$`, "m"));
    assert.match(text.stdout, /^signatures {2}UNVERIFIED/m);
    const report = JSON.parse(json.stdout) as {
      digest: string;
      instances: object[];
      signatures: { verified: boolean }[];
    };
    assert.deepEqual([report.digest, report.instances.length], [index.digest, 2]);
    assert.ok(report.signatures.length > 0);
    for (const { verified } of report.signatures) assert.equal(verified, false);
    assert.equal(raw.stdout, new TextDecoder().decode(index.manifest));
  });
});

describe("copy", () => {
  test("the policy decides before anything is written", async () => {
    const refused = await signet("copy", "--policy", "reject.json", "dir:image", "dir:refused");
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /^error: Source image rejected: running image dir:.* is rejected by policy/m);
    assert.ok(!existsSync(folder.join("refused")));
  });

  test("carries signatures along, adds one, and writes the digest file", async () => {
    const source = `${registry.host}/team/app:1`;
    const flags = ["--policy", "policy.json", ...registryFlags];
    const out = await signet("copy", source, "dir:copied", ...flags, "--digestfile", "digest");
    assert.equal(out.status, 0);
    assert.equal(readFileSync(folder.join("digest"), "utf8"), image.digest);
    const carried = readdirSync(folder.join("copied")).filter((name) => name.startsWith("signature-")).length;
    assert.ok(carried >= 1);
    const target = `docker://${registry.host}/team/copy:2`;
    const pushed = await signet(
      "copy",
      "--insecure-policy",
      "dir:copied",
      target,
      "--sign-by",
      "key.private",
      ...registryFlags,
      "--dest-no-creds",
    );
    assert.equal(pushed.status, 0);
    assert.match(pushed.stderr, /^warning: --insecure-policy/m);
    assert.match(pushed.stdout, new RegExp(`${carried} signatures carried along, 1 made`));
    const [verified, bare] = await Promise.all([
      signet("verify", target, "--policy", "policy.json", ...registryFlags),
      signet("copy", "--insecure-policy", "--quiet", "dir:copied", "dir:bare", "--remove-signatures"),
    ]);
    assert.equal(verified.status, 0);
    assert.equal(bare.stderr, "warning: --insecure-policy: the image is copied without being judged\n");
    assert.deepEqual(
      readdirSync(folder.join("bare")).filter((name) => name.startsWith("signature-")),
      [],
    );
  });

  test("a whole list, or one instance of it", async () => {
    const name = `${registry.host}/team/list:1`;
    const flags = ["--insecure-policy", "--remove-signatures", ...registryFlags];
    const [all, one] = await Promise.all([
      signet("copy", "--all", name, "dir:whole", ...flags),
      signet("copy", name, "dir:one", "--override-arch", "arm64", "--digestfile", "one.digest", ...flags),
    ]);
    assert.deepEqual([all.status, one.status], [0, 0]);
    assert.deepEqual(readFileSync(folder.join("whole/manifest.json")), Buffer.from(index.manifest));
    assert.equal(readFileSync(folder.join("one.digest"), "utf8"), index.images[1]!.digest);
  });
});

describe("login and logout", () => {
  test("credentials are kept only when the registry accepts them, and are used from then on", async () => {
    await using guarded = await startTestRegistry({ auth: "basic" });
    await pushTestImage(guarded, "team/app:1", image);
    const { user, password } = testRegistryAccount;
    const login = (secret: string, ...args: readonly string[]): Promise<SignetRun> =>
      runSignet(["login", guarded.host, "--tls-verify=false", "-u", user, "--password-stdin", ...args], {
        input: `${secret}\n`,
        env: { HOME: folder.path, XDG_RUNTIME_DIR: folder.path },
      });
    const authFile = folder.join("containers/auth.json");
    const wrong = await login("not the password");
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /^error: .*\nhint: /);
    assert.ok(!existsSync(authFile));
    assert.equal((await signet("inspect", `${guarded.host}/team/app:1`, "--tls-verify=false")).status, 2);

    const right = await login(password);
    assert.deepEqual([right.status, right.stdout], [0, "Login Succeeded!\n"]);
    assert.equal((await signet("inspect", `${guarded.host}/team/app:1`, "--tls-verify=false")).status, 0);
    assert.equal((await signet("login", guarded.host, "--get-login")).stdout, `${user}\n`);

    const out = await signet("logout", guarded.host);
    assert.deepEqual(out, { status: 0, stdout: `Removed login credentials for ${guarded.host}\n`, stderr: "" });
    const [gone, nobody, all] = [
      await signet("logout", guarded.host),
      await signet("login", guarded.host, "--get-login"),
      await signet("logout", "--all"),
    ];
    assert.deepEqual([gone.status, nobody.status, all.status], [2, 2, 0]);
    assert.match(nobody.stderr, /^error: not logged into 127\.0\.0\.1:/);
  });

  test("a password on the command line is taken with a warning, and never shown", async () => {
    const run = await signet(
      "login",
      registry.host,
      "--tls-verify=false",
      "-u",
      "any",
      "-p",
      "visible-secret",
      "--authfile",
      "own.json",
    );
    assert.equal(run.status, 0);
    assert.match(run.stderr, /^warning: --password can be seen by others/);
    assert.doesNotMatch(run.stderr + run.stdout, /visible-secret/);
    const [noUser, notARegistry] = await Promise.all([
      signet("login", registry.host, "--password-stdin"),
      signet("login", "https://example.com", "-u", "a", "-p", "b"),
    ]);
    assert.deepEqual([noUser.status, notARegistry.status], [64, 64]);
  });
});
