/** `verify-image-signature --save` and `--remove-all`, at a real `signet serve`. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { createSignature, encodeBase64, generateKey, openSecretKey, sha256Digest } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type TestImage,
  buildTestImage,
  httpPushTarget,
  makeTempDir,
  pushTestImage,
  startLoopbackServer,
  startTestRegistry,
} from "@signet/testkit";
import { type ServeProcess, adminPassword, startServe } from "../server/serve-process.testing.ts";
import { type SignetRun, runSignet } from "../signet-process.ts";

const folder = makeTempDir("signet-saved-");
const now = Date.now();
const admin = `admin:${adminPassword}`;
const identity = "--expected-identity=registry.example.com/team/app:1";
let server: ServeProcess;
let host: string;
let image: TestImage;
let auditors: Readonly<Record<"ann" | "bob" | "reader", string>>;
let keys: Readonly<Record<"good" | "other", TestKey>>;

interface TestKey {
  readonly fingerprint: string;
  readonly file: string;
  sign(reference: string): Promise<Uint8Array>;
}

interface Result {
  readonly signature: string;
  readonly by: string;
  readonly number: number;
  readonly verdict: string;
  readonly expectedIdentity: string;
  readonly signingKey?: string;
  readonly signedIdentity?: string;
  readonly reason?: string;
}

async function makeKey(name: string): Promise<TestKey> {
  const made = await generateKey({
    engine: nodeEngine,
    now,
    userIds: [`${name} <a@example.com>`],
    algorithm: "ed25519",
  });
  const signer = await openSecretKey(new TextEncoder().encode(made.secretKey), { engine: nodeEngine, now });
  const file = folder.join(`${name}.pub`);
  writeFileSync(file, made.publicKey);
  let second = 0;
  return {
    fingerprint: made.fingerprint,
    file,
    sign: async (reference) => {
      second += 1;
      const options = { engine: nodeEngine, now: now + second * 1_000, creator: "test" };
      return (await createSignature(image.manifest, reference, signer, options)).bytes;
    },
  };
}

async function admins(...args: readonly string[]): Promise<string> {
  const run = await runSignet(["admin", ...args, "--data", folder.join("data")]);
  assert.equal(run.status, 0, run.stderr);
  return run.stdout;
}

async function makeAccount(name: string, role: string): Promise<string> {
  const account = `robot$${name}`;
  await admins("user", "create", account);
  await admins("role", "grant", role, account, "--repository", "team/app");
  const token = /sgn_[0-9A-Za-z]+/.exec(await admins("token", "create", account, "test"))![0];
  return `${account}:${token}`;
}

const ask = async (method: string, path: string, body?: object): Promise<Response> =>
  await fetch(`${server.url}${path}`, {
    method,
    headers: { authorization: `Basic ${Buffer.from(admin).toString("base64")}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

/** Puts these signatures of the image at the server, and no others. @returns their digests */
async function putSignatures(...signatures: readonly Uint8Array[]): Promise<readonly string[]> {
  const place = `/extensions/v2/team/app/signatures/${image.digest}`;
  const present = (await (await ask("GET", place)).json()) as { signatures: { name: string }[] };
  for (const { name } of present.signatures) {
    const removed = await ask("DELETE", `${place}/${name.split("@")[1]}`);
    assert.equal(removed.status, 204);
  }
  for (const [index, bytes] of signatures.entries()) {
    const name = `${image.digest}@${String(index).padStart(32, "0")}`;
    const answer = await ask("PUT", place, { schemaVersion: 2, type: "atomic", name, content: encodeBase64(bytes) });
    assert.equal(answer.status, 201, await answer.text());
  }
  return signatures.map((bytes) => sha256Digest(bytes, nodeEngine));
}

/** What is recorded of the image; with a signature, of that with history. */
async function listResults(signature?: string): Promise<readonly Result[]> {
  const one = signature === undefined ? "" : `/${signature}`;
  const answer = await ask("GET", `/extensions/v2/team/app/verifications/${image.digest}${one}`);
  assert.equal(answer.status, 200);
  return ((await answer.json()) as { verifications: Result[] }).verifications;
}

const signet = async (creds: string | undefined, ...args: readonly string[]): Promise<SignetRun> =>
  await runSignet([
    "verify-image-signature",
    "--tls-verify=false",
    "--retry-times",
    "0",
    ...(creds === undefined ? [] : ["--creds", creds]),
    ...args,
  ]);
const save = (creds: string, ...more: readonly string[]): Promise<SignetRun> =>
  signet(creds, `${host}/team/app:1`, "--public-key", keys.good.file, "--save", ...more);

before(async () => {
  server = await startServe(["--data", folder.join("data")]);
  host = new URL(server.url).host;
  image = await buildTestImage();
  await pushTestImage(httpPushTarget(server.url, { user: "admin", password: adminPassword }), "team/app:1", image);
  keys = { good: await makeKey("good"), other: await makeKey("other") };
  auditors = {
    ann: await makeAccount("ann", "auditor"),
    bob: await makeAccount("bob", "auditor"),
    reader: await makeAccount("reader", "reader"),
  };
});

after(async () => {
  await server[Symbol.asyncDispose]();
  folder.dispose();
});

test("--save records each result in the name of who is logged in; a wrong identity later takes the status back", async () => {
  const name = "registry.example.com/team/app:1";
  const [good, bad] = await putSignatures(await keys.good.sign(name), await keys.other.sign(name));
  const run = await save(auditors.ann, identity);
  assert.equal(run.status, 0, run.stderr);
  const keyId = keys.good.fingerprint.slice(-16);
  assert.equal(run.stdout, `image "${host}/team/app:1" identity is now confirmed (signed by GPG key "${keyId}")\n`);
  assert.match(
    run.stderr,
    /^error verifying signature .*\(verification status will be removed\): signature rejected: /m,
  );
  const found = new Map((await listResults()).map((one) => [one.signature, one]));
  assert.equal(found.size, 2);
  const { verdict, by, expectedIdentity, signingKey, signedIdentity } = found.get(good!)!;
  assert.deepEqual(
    { verdict, by, expectedIdentity, signingKey, signedIdentity },
    {
      verdict: "accepted",
      by: "robot$ann",
      expectedIdentity: name,
      signingKey: keys.good.fingerprint,
      signedIdentity: name,
    },
  );
  assert.equal(found.get(bad!)!.verdict, "rejected");
  assert.match(found.get(bad!)!.reason!, /key/);

  const wrong = await save(auditors.ann, "--expected-identity=registry.example.com/team/app:2", "-o", "json");
  assert.equal(wrong.status, 1, wrong.stderr);
  const report = JSON.parse(wrong.stdout) as { verdict: string; signatures: { recorded: boolean }[] };
  assert.equal(report.verdict, "rejected");
  assert.deepEqual(
    report.signatures.map((one) => one.recorded),
    [true, true],
  );
  const history = await listResults(good);
  assert.deepEqual(
    history.map((one) => `${one.number} ${one.verdict} ${one.expectedIdentity}`),
    ["2 rejected registry.example.com/team/app:2", `1 accepted ${name}`],
  );

  const plain = await signet(
    auditors.ann,
    `${host}/team/app:1`,
    "--public-key",
    keys.good.file,
    identity,
    "-o",
    "json",
  );
  assert.ok(!plain.stdout.includes("recorded"));
  assert.deepEqual(await listResults(good), history);
});

test("--remove-all takes back what this account recorded, and leaves that of others and the signatures", async () => {
  const name = "registry.example.com/team/app:1";
  const signatures = await putSignatures(await keys.good.sign(name), await keys.good.sign(name));
  for (const creds of [auditors.ann, auditors.bob]) assert.equal((await save(creds, identity)).status, 0);
  assert.equal((await listResults()).length, 4);
  // Neither a key nor an identity is needed.
  const run = await signet(auditors.ann, `${host}/team/app@${image.digest}`, "--remove-all", "--public-key", "missing");
  assert.deepEqual([run.status, run.stdout, run.stderr], [0, "", ""]);
  const left = await listResults();
  assert.deepEqual(
    left.map((one) => one.by),
    ["robot$bob", "robot$bob"],
  );
  assert.deepEqual(left.map((one) => one.signature).toSorted(), signatures.toSorted());
  const again = await signet(auditors.ann, `${host}/team/app:1`, "--remove-all", "-o", "json");
  assert.deepEqual(JSON.parse(again.stdout), { image: `${host}/team/app:1`, digest: image.digest, results: "removed" });
});

test("who may not record is told, and what could not be recorded ends with 2", async () => {
  const name = "registry.example.com/team/app:1";
  await putSignatures(await keys.good.sign(name));
  for (const [args, problem] of [
    [["--save", identity, "--public-key", keys.good.file], /recording a verification result of .*HTTP 401/],
    [["--remove-all"], /removing verification results of .*HTTP 401/],
  ] as const) {
    const run = await signet(auditors.reader, `${host}/team/app:1`, ...args);
    assert.equal(run.status, 2);
    assert.match(run.stderr, problem);
  }
  assert.deepEqual(await listResults(), []);
  const unknown = await signet(auditors.ann, `${host}/team/app:none`, "--remove-all");
  assert.equal(unknown.status, 2);
  await putSignatures();
  const unsigned = await save(auditors.ann, identity);
  assert.equal(unsigned.status, 1);
  assert.match(unsigned.stderr, /does not have any signature/);
});

test("a signature that was read elsewhere and is not at the server is named, and the others are recorded", async (t) => {
  const mirror = await startTestRegistry({ signaturesExtension: true });
  t.after(() => mirror.dispose());
  await pushTestImage(mirror, "team/app:1", image);
  const name = "registry.example.com/team/app:1";
  const [here, elsewhere] = [await keys.good.sign(name), await keys.good.sign(name)];
  const [known] = await putSignatures(here);
  for (const [index, bytes] of [elsewhere, here].entries()) {
    const object = {
      schemaVersion: 2,
      type: "atomic",
      name: `${image.digest}@${String(index).padStart(32, "0")}`,
      content: encodeBase64(bytes),
    };
    const put = await fetch(`http://${mirror.host}/extensions/v2/team/app/signatures/${image.digest}`, {
      method: "PUT",
      body: JSON.stringify(object),
    });
    assert.equal(put.status, 201);
  }
  const conf = folder.join("registries.conf");
  writeFileSync(
    conf,
    `[[registry]]\nlocation = "${host}"\n[[registry.mirror]]\nlocation = "${mirror.host}"\ninsecure = true\n`,
  );
  const run = await save(auditors.ann, identity, "--registries-conf", conf, "-o", "json");
  assert.equal(run.status, 2, run.stderr);
  assert.match(run.stderr, /a result was not recorded: .* does not have the signature/);
  const { signatures } = JSON.parse(run.stdout) as { signatures: { verdict: string; recorded: boolean }[] };
  assert.deepEqual(
    signatures.map((one) => [one.verdict, one.recorded]),
    [
      ["accepted", false],
      ["accepted", true],
    ],
  );
  assert.deepEqual(
    (await listResults()).map((one) => one.signature),
    [known],
  );
});

test("a registry that is no Signet server is told from one, before anything is verified or said", async (t) => {
  const plain = await startTestRegistry({ signaturesExtension: true });
  t.after(() => plain.dispose());
  await pushTestImage(plain, "team/app:1", image);
  // One that answers every path that it does not know with a page.
  const page = await startLoopbackServer((request, response) => {
    void fetch(`http://${plain.host}${request.url}`, { method: request.method! }).then(async (answer) => {
      const isKnown = answer.status !== 404;
      const type = answer.headers.get("content-type");
      const headers = { "x-registry-supports-signatures": "1", ...(type === null ? {} : { "content-type": type }) };
      response.writeHead(isKnown ? answer.status : 200, headers);
      response.end(isKnown ? Buffer.from(await answer.arrayBuffer()) : "<html>");
    });
  });
  t.after(() => page.dispose());
  for (const registry of [plain.host, page.host]) {
    for (const args of [["--save", identity, "--public-key", keys.good.file], ["--remove-all"]] as const) {
      const run = await signet(undefined, `${registry}/team/app:1`, ...args);
      assert.deepEqual([run.status, run.stdout], [2, ""]);
      assert.match(run.stderr, new RegExp(`^error: ${args[0]} needs a Signet server, and ${registry} is none$`, "m"));
    }
  }
});
