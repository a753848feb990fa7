/** What `policy explain` says is what skopeo does; and the command that it names, once carried out, makes skopeo accept. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseDigest, writeSimpleSigningPayload } from "@signet/core";
import {
  type LoopbackServer,
  type RunResult,
  type TestImage,
  type TestIndex,
  buildTestImage,
  buildTestIndex,
  run,
  startLoopbackServer,
} from "@signet/testkit";
import { commandNames } from "../command-index.ts";
import {
  type Bench,
  type BenchKey,
  assertDone,
  hasTools,
  makeBenchIfPossible,
  plainHttp,
  rejectExcept,
  signedBy,
} from "./bench.test.ts";

/** What of the JSON matters here. */
interface Explained {
  readonly verdict: "accepted" | "rejected" | "undetermined";
  readonly fix: {
    readonly check: string;
    readonly message: string;
    readonly command: string | null;
    readonly placeholders: readonly string[];
  } | null;
}

/** Whether this build has the command that edits policies; fixes that need it are carried out then. */
const hasTrustSet = commandNames.includes("trust set");

void describe("policy explain beside skopeo", { concurrency: false }, () => {
  let bench: Bench;
  let image: TestImage;
  let changed: TestImage;
  let index: TestIndex;
  let key: BenchKey;
  let stranger: BenchKey;
  let forbidden: LoopbackServer;
  let pages: LoopbackServer;
  let policyFile: string;

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    [image, changed] = await Promise.all([buildTestImage({ seed: 21 }), buildTestImage({ seed: 22 })]);
    index = buildTestIndex([image, await buildTestImage({ seed: 23, architecture: "arm64" })]);
    key = await bench.makeKeyFiles("explained", "ed25519");
    stranger = await bench.makeKeyFiles("stranger", "ed25519");
    forbidden = await startLoopbackServer((_, response) => void response.writeHead(403).end());
    pages = await startLoopbackServer((_, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end("<!DOCTYPE html><html><body>404</body></html>");
    });
    const { docker, home } = bench;
    home.writeRegistriesD("web", {
      docker: {
        [`${docker.host}/forbidden`]: { lookaside: `${forbidden.url}/sig` },
        [`${docker.host}/pages`]: { lookaside: `${pages.url}/sig` },
      },
    });
    policyFile = bench.path("policy-explained.json");
    writePolicy({});
  });

  after(async () => {
    await Promise.all([forbidden?.dispose(), pages?.dispose(), bench?.[Symbol.asyncDispose]()]);
  });

  /** Images need a signature by `key`, those below /rejected never pass, and of other registries nothing does. */
  function writePolicy(more: Readonly<Record<string, readonly object[]>>): void {
    const scopes = {
      [bench.docker.host]: [signedBy(key)],
      [`${bench.docker.host}/rejected`]: [{ type: "reject" }],
      ...more,
    };
    writeFileSync(policyFile, JSON.stringify(rejectExcept({ docker: scopes })));
  }

  const nameOf = (repository: string): string => `docker://${bench.docker.host}/${repository}`;

  async function pushed(repository: string, what: TestImage | TestIndex = image): Promise<string> {
    await bench.push(`${bench.docker.host}/${repository}`, what);
    return nameOf(repository);
  }

  async function sign(name: string, by: BenchKey = key, more: readonly string[] = []): Promise<void> {
    assertDone(await bench.signet(["sign", "--key", by.secret, ...more, ...plainHttp, name]));
  }

  async function explain(name: string): Promise<Explained> {
    const result = await bench.signet(["policy", "explain", "-o", "json", "--policy", policyFile, ...plainHttp, name]);
    const document = JSON.parse(result.stdout) as Explained;
    assert.equal(result.status, { accepted: 0, rejected: 1, undetermined: 2 }[document.verdict], result.stderr);
    return document;
  }

  const skopeo = (name: string): Promise<RunResult> =>
    bench.skopeo(["--policy", policyFile, "copy", "--quiet", name, `dir:${bench.path()}`]);

  /** Explains an image that skopeo refuses; both must agree. */
  async function refused(name: string, check: string, verdict: Explained["verdict"] = "rejected"): Promise<Explained> {
    const [explained, theirs] = await Promise.all([explain(name), skopeo(name)]);
    assert.notEqual(theirs.status, 0, "skopeo accepts it");
    assert.deepEqual([explained.verdict, explained.fix?.check], [verdict, check], theirs.stderr);
    assert.ok(explained.fix!.message.length > 10);
    return explained;
  }

  /** Types the command of a fix into a shell, with its placeholders filled in. */
  async function carryOut(explained: Explained, values: Readonly<Record<string, string>>): Promise<void> {
    const { command } = explained.fix!;
    assert.ok(command !== null);
    // The key that is trusted is named by its fingerprint: here its secret half lies in a file.
    const filled = Object.entries({ ...values, [key.fingerprint]: key.secret }).reduce(
      (line, [word, value]) => line.replaceAll(word, value),
      command,
    );
    const bin = bench.path("bin", "signet");
    mkdirSync(dirname(bin), { recursive: true });
    const script = new URL("../../bin/signet.js", import.meta.url).pathname;
    writeFileSync(bin, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, { mode: 0o755 });
    const env = { ...bench.home.env, PATH: `${dirname(bin)}:${process.env["PATH"] ?? ""}` };
    assertDone(await run("/bin/sh", ["-c", filled], { env }));
  }

  async function accepted(name: string): Promise<void> {
    const [explained, theirs] = await Promise.all([explain(name), skopeo(name)]);
    assertDone(theirs);
    assert.deepEqual([explained.verdict, explained.fix], ["accepted", null]);
  }

  void it("a signed image is accepted by both, and needs no fix", async (t) => {
    if (!hasTools(t)) return;
    const name = await pushed("good/app:1");
    await sign(name);
    await accepted(name);
  });

  void it("an unsigned image: the named command signs it", async (t) => {
    if (!hasTools(t)) return;
    const name = await pushed("unsigned/app:1");
    await carryOut(await refused(name, "no-signature"), {});
    await accepted(name);
  });

  void it("a list that is signed while its instance is not: the named command signs every instance", async (t) => {
    if (!hasTools(t)) return;
    const name = await pushed("list/app:1", index);
    await sign(name);
    const explained = await refused(name, "no-signature");
    assert.match(explained.fix!.command!, / --all /);
    await carryOut(explained, {});
    await accepted(name);
  });

  void it("an image that changed under its tag, with the old signature: signing anew helps", async (t) => {
    if (!hasTools(t)) return;
    const name = await pushed("changed/app:1");
    await sign(name);
    await pushed("changed/app:1", changed);
    copyFileSync(bench.lookasideFile("changed/app", image.digest), bench.lookasideFile("changed/app", changed.digest));
    const explained = await refused(name, "manifest-digest");
    assert.match(explained.fix!.message, new RegExp(image.digest));
    await carryOut(explained, {});
    await accepted(name);
  });

  void it("an unknown key: it is named, and trusting it as the fix says helps", async (t) => {
    if (!hasTools(t)) return;
    const name = await pushed("unknown/app:1");
    await sign(name, stranger);
    const explained = await refused(name, "signer-known");
    assert.match(explained.fix!.message, new RegExp(stranger.fingerprint.slice(-16)));
    assert.match(explained.fix!.command!, / -f .* -f KEYFILE /);
    await trust(t, explained, { [bench.docker.host]: [{ ...signedBy(key), keyPath: stranger.publicFile }] }, stranger);
    await accepted(name);
    writePolicy({});
  });

  void it("another name in the signature: the rule for the mirror that the fix writes out helps", async (t) => {
    if (!hasTools(t)) return;
    const name = await pushed("mirrored/app:1");
    await sign(name, key, ["--identity", "registry.example.com/mirrored/app:1"]);
    const explained = await refused(name, "identity");
    const [, prefix, signedPrefix] = / --identity remap=([^ =]+)=([^ ]+)/.exec(explained.fix!.command!)!;
    assert.deepEqual([prefix, signedPrefix], [bench.docker.host, "registry.example.com"]);
    const remap = { type: "remapIdentity", prefix, signedPrefix };
    await trust(t, explained, { [bench.docker.host]: [signedBy(key, remap)] });
    await accepted(name);
    writePolicy({});
  });

  void it("another tag in the signature: matchRepository, as the fix says, helps", async (t) => {
    if (!hasTools(t)) return;
    const name = await pushed("tagged/app:2");
    await sign(name, key, ["--identity", `${bench.docker.host}/tagged/app:1`]);
    const explained = await refused(name, "identity");
    assert.match(explained.fix!.command!, / --identity matchRepository /);
    await trust(t, explained, { [bench.docker.host]: [signedBy(key, { type: "matchRepository" })] });
    await accepted(name);
    writePolicy({});
  });

  void it("a key that expired: the renewed key, trusted as the fix says, helps", async (t) => {
    if (!hasTools(t)) return;
    const { gpg } = bench;
    const past = "20260101T000000";
    const userId = "Short <short@example.com>";
    const made = await gpg.generateKey({ algorithm: "rsa2048", userId, expires: "30d", fakedTime: past });
    const expired = { fingerprint: made.fingerprint, secret: made.fingerprint, publicFile: bench.path("short.pub") };
    writeFileSync(expired.publicFile, await gpg.exportPublic(made));
    const name = await pushed("expired/app:1");
    const payload = writeSimpleSigningPayload({
      manifestDigest: parseDigest(image.digest),
      dockerReference: name.slice("docker://".length),
      creator: "test",
      timestamp: Date.UTC(2026, 0, 2) / 1000,
    });
    const signature = await gpg.sign(made, payload, ["--faked-system-time", "20260102T000000"]);
    writeFileSync(bench.lookasideFile("expired/app", image.digest), signature);
    writePolicy({ [`${bench.docker.host}/expired`]: [signedBy(expired)] });
    const explained = await refused(name, "key-expiry");
    assert.deepEqual(explained.fix!.placeholders, ["KEYFILE"]);
    assertDone(await gpg.gpg(["--batch", "--quick-set-expire", made.fingerprint, "1y"]));
    const renewed = { ...expired, publicFile: bench.path("renewed.pub") };
    writeFileSync(renewed.publicFile, await gpg.exportPublic(made));
    await trust(t, explained, { [`${bench.docker.host}/expired`]: [signedBy(renewed)] }, renewed);
    await accepted(name);
    writePolicy({});
  });

  void it("no scope, and a scope that rejects: what the fix trusts is accepted by skopeo", async (t) => {
    if (!hasTools(t)) return;
    const rejected = await pushed("rejected/app:1");
    await sign(rejected);
    const explained = await refused(rejected, "policy-reject");
    assert.match(explained.fix!.command!, new RegExp(`^signet trust set ${bench.docker.host}/rejected/app -f KEYFILE`));
    await trust(t, explained, { [`${bench.docker.host}/rejected/app`]: [signedBy(key)] }, key);
    await accepted(rejected);
    writePolicy({});

    const { extension } = bench;
    await bench.push(`${extension.host}/team/app:1`, image);
    const unnamed = `docker://${extension.host}/team/app:1`;
    await sign(unnamed);
    const none = await refused(unnamed, "policy-reject");
    assert.match(none.fix!.message, /^No scope/);
    await trust(t, none, { [`${extension.host}/team/app`]: [signedBy(key)] }, key);
    await accepted(unnamed);
    writePolicy({});
  });

  void it("a store that answers 403, and one that answers pages: neither accepts, and the fix names the store", async (t) => {
    if (!hasTools(t)) return;
    const [closed, html] = [await pushed("forbidden/app:1"), await pushed("pages/app:1")];
    const explained = await refused(closed, "signature-store-error", "undetermined");
    assert.match(explained.fix!.message, /403.*s3:ListBucket/);
    const paged = await refused(html, "no-signature");
    assert.match(paged.fix!.message, /web pages.*404/);
  });

  /** Carries out `trust set` where this build has it, else makes the change that the fix describes by hand. */
  async function trust(
    t: { diagnostic(message: string): void },
    explained: Explained,
    scopes: Readonly<Record<string, readonly object[]>>,
    keyfile?: BenchKey,
  ): Promise<void> {
    assert.match(explained.fix!.command!, /^signet trust set /);
    if (hasTrustSet) return carryOut(explained, keyfile === undefined ? {} : { KEYFILE: keyfile.publicFile });
    t.diagnostic("this build has no trust set: the policy was edited by hand");
    writePolicy(scopes);
  }
});
