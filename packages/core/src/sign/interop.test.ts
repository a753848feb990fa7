import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { makeGpgHome, makeTempDir, requireTool, run, runChecked } from "@signet/testkit";
import type { GpgHome, GpgKeyOptions } from "@signet/testkit";
import { nodeEngine as engine } from "../node-engine.ts";
import type { Signer } from "../keys/signer.ts";
import { createSignature } from "./create-signature.ts";
import { generateKey, keyAlgorithms } from "./generate-key.ts";
import { openSecretKey } from "./secret-key.ts";

const manifestPath = new URL("../../../../vectors/manifest/v2s2.manifest.json", import.meta.url).pathname;
const manifest = readFileSync(manifestPath);
const reference = "registry.example.com/team/app:1";
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function toolsMissing(t: TestContext): boolean {
  return requireTool(t, "gpg") === undefined || requireTool(t, "skopeo") === undefined;
}

/** Signs with `signer` and lets skopeo, with the keys of `home`, and gpg judge the result. */
async function judge(t: TestContext, home: GpgHome, signer: Signer): Promise<void> {
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  const path = dir.join("signature-1");
  const signature = await createSignature(manifest, reference, signer, { engine, now: Date.now() });
  writeFileSync(path, signature.bytes);
  // Releases of containers/image before 5.37 know a subkey by its own fingerprint only.
  const verify = (signed: string, name: string, fingerprint: string) =>
    run("skopeo", ["standalone-verify", signed, name, fingerprint, path], { env: { ...home.env, HOME: dir.path } });
  const accepted = await verify(manifestPath, reference, signature.signingFingerprint);
  assert.match(accepted.stdout, /^Signature verified.* digest sha256:20bf21ed/, accepted.stderr);
  assert.equal(accepted.status, 0);
  assert.notEqual((await verify(manifestPath, `${reference}2`, signature.signingFingerprint)).status, 0);
  const changed = dir.join("manifest");
  writeFileSync(changed, Buffer.concat([manifest, Buffer.from("\n")]));
  assert.notEqual((await verify(changed, reference, signature.signingFingerprint)).status, 0);
  const dump = await runChecked("skopeo", ["untrusted-signature-dump-without-verification", path]);
  assert.match(dump.stdout, new RegExp(`"UntrustedDockerReference": "${reference}"`));
  const checked = await home.gpg(["--status-fd", "1", "--output", "-", "--decrypt", path]);
  assert.match(checked.stdout, new RegExp(`VALIDSIG ${signature.signingFingerprint} .* ${signature.fingerprint}`));
}

test("gpg and skopeo take signatures by keys that were made here", async (t) => {
  if (toolsMissing(t)) return;
  await using home = await makeGpgHome();
  for (const algorithm of keyAlgorithms) {
    await t.test(algorithm, async (step) => {
      const userIds = ["Signing Kéy <key@example.com>"];
      const made = await generateKey({ engine, now: Date.now(), userIds, algorithm });
      await home.importKeys(encode(made.publicKey));
      await judge(step, home, await openSecretKey(encode(made.secretKey), { engine, now: Date.now() }));
    });
  }
});

test("gpg imports the secret key, signs with it under its passphrase, and takes the revocation certificate", async (t) => {
  if (toolsMissing(t)) return;
  await using home = await makeGpgHome();
  for (const algorithm of ["ed25519", "rsa2048", "p256"] as const) {
    const passphrase = "pässword with spaces";
    const request = {
      engine,
      now: Date.now(),
      userIds: ["K <k@example.com>"],
      algorithm,
      passphrase,
      expiresInSeconds: 86_400,
    };
    const { fingerprint, secretKey, revocationCertificate } = await generateKey(request);
    await home.importKeys(encode(secretKey));
    const key = { fingerprint, subkeyFingerprints: [], userId: "", passphrase };
    const signed = await home.sign(key, "content");
    assert.ok(signed.length > 0);
    const listing = async (): Promise<string> => (await home.gpg(["--with-colons", "--list-keys", fingerprint])).stdout;
    const [, validity, , , , , expires] = /^pub:.*$/m.exec(await listing())![0].split(":");
    assert.notEqual(validity, "r");
    assert.ok(Math.abs(Number(expires) - request.now / 1000 - 86_400) <= 1);
    await home.importKeys(encode(revocationCertificate));
    assert.match(await listing(), /^pub:r:/m);
  }
});

test("gpg and skopeo take signatures by key files that gpg exported", async (t) => {
  if (toolsMissing(t)) return;
  await using home = await makeGpgHome();
  const forms: readonly (GpgKeyOptions & { readonly armor?: boolean })[] = [
    { algorithm: "rsa2048", armor: true },
    { algorithm: "rsa3072", passphrase: "a passphrase: ä" },
    { algorithm: "ed25519", passphrase: "x", armor: true },
    { algorithm: "nistp256" },
    { algorithm: "nistp384" },
    { algorithm: "nistp521" },
    { algorithm: "rsa2048", certifyOnly: true, signingSubkeys: ["ed25519"], passphrase: "sub" },
    { algorithm: "ed25519", signingSubkeys: ["rsa2048"] },
  ];
  for (const { armor = false, ...options } of forms) {
    const name = [
      options.algorithm,
      ...(options.signingSubkeys ?? []),
      options.passphrase === undefined ? "" : "locked",
    ];
    await t.test(name.join(" "), async (step) => {
      const key = await home.generateKey(options);
      const file = await home.exportSecret(key, { armor });
      const passphrase = options.passphrase === undefined ? {} : { passphrase: options.passphrase };
      const signer = await openSecretKey(file, { engine, now: Date.now(), ...passphrase });
      assert.equal(signer.fingerprint, key.fingerprint);
      await judge(step, home, signer);
    });
  }
});

test("a brainpool key is refused with the way out: gpg", async (t) => {
  if (requireTool(t, "gpg") === undefined) return;
  await using home = await makeGpgHome();
  const key = await home.generateKey({ algorithm: "brainpoolP256r1" });
  await assert.rejects(openSecretKey(await home.exportSecret(key), { engine, now: Date.now() }), {
    code: "secret-key-unusable",
    hint: /gpg/,
  });
});

test("of a file with the subkey alone, the subkey signs", async (t) => {
  if (toolsMissing(t)) return;
  await using home = await makeGpgHome();
  const key = await home.generateKey({ signingSubkeys: ["ed25519"] });
  const [subkey] = key.subkeyFingerprints;
  const exported = await home.gpg(["--export-secret-subkeys", `${subkey}!`]);
  const signer = await openSecretKey(exported.stdoutBytes, { engine, now: Date.now() });
  assert.equal(signer.fingerprint, key.fingerprint);
  const signature = await createSignature(manifest, reference, signer, { engine, now: Date.now() });
  assert.equal(signature.signingFingerprint, subkey);
  await judge(t, home, signer);
});

test("skopeo signs and Signet writes the same payload, apart from creator and time", async (t) => {
  if (toolsMissing(t)) return;
  await using home = await makeGpgHome();
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  const key = await home.generateKey();
  const signer = await openSecretKey(await home.exportSecret(key), { engine, now: Date.now() });
  for (const name of [reference, "testing/manifest", "a<b>&c", "ünï\u2028code", 'quo"te\\']) {
    const theirs = dir.join("theirs");
    const ours = dir.join("ours");
    await runChecked("skopeo", ["standalone-sign", manifestPath, name, key.fingerprint, "--output", theirs], {
      env: { ...home.env, HOME: dir.path },
    });
    const payloadOf = async (path: string): Promise<string> =>
      (await home.gpg(["--output", "-", "--decrypt", path])).stdout;
    const reading = await payloadOf(theirs);
    const [, creator, timestamp] = /"creator":"([^"]*)","timestamp":(\d+)\}\}$/.exec(reading)!;
    const now = Number(timestamp) * 1000;
    const signature = await createSignature(manifest, name, signer, { engine, now, creator: creator! });
    writeFileSync(ours, signature.bytes);
    assert.equal(await payloadOf(ours), reading);
  }
});
