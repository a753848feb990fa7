import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import * as openpgp from "openpgp";
import { FormatError } from "../errors.ts";
import { parseSimpleSigningPayload } from "../formats/simple-signing/payload.ts";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import type { Signer } from "../keys/signer.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { parseReference } from "../reference/reference.ts";
import { inspectSignedMessage, verifySignedMessage } from "../verify/signed-message.ts";
import { DEFAULT_CREATOR, createSignature, signingReference } from "./create-signature.ts";
import { generateKey } from "./generate-key.ts";
import { openSecretKey } from "./secret-key.ts";

const manifests = new URL("../../../../vectors/manifest/", import.meta.url);
const manifest = readFileSync(new URL("v2s2.manifest.json", manifests));
const manifestDigest = "sha256:20bf21ed457b390829cdbeec8795a7bea1626991fda603e0d01b4e7f60427e55";
const now = Date.UTC(2026, 0, 15, 12, 0, 0, 987);
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

let signer: Signer;
let secretKey: openpgp.PrivateKey;

before(async () => {
  const made = await generateKey({
    engine,
    now: now - 1000,
    userIds: ["Test <test@example.com>"],
    algorithm: "ed25519",
  });
  signer = await openSecretKey(encode(made.secretKey), { engine, now });
  secretKey = await openpgp.readPrivateKey({ armoredKey: made.secretKey });
});

test("a signature verifies and carries the payload byte for byte", async () => {
  const created = await createSignature(manifest, "testing/manifest", signer, {
    engine,
    now,
    creator: "atomic 5.40.0",
  });
  assert.equal(created.manifestDigest, manifestDigest);
  assert.equal(created.dockerReference, "testing/manifest");
  assert.equal(created.fingerprint, signer.fingerprint);
  assert.equal(created.signingFingerprint, signer.fingerprint);
  const keyring = makeKeyring(parseKeyring(signer.publicKey, engine).certificates);
  const outcome = verifySignedMessage(created.bytes, keyring, { engine, now });
  assert.ok(outcome.verdict === "accepted");
  assert.equal(
    new TextDecoder().decode(outcome.content),
    `{"critical":{"identity":{"docker-reference":"testing/manifest"},"image":{"docker-manifest-digest":"${manifestDigest}"},"type":"atomic container signature"},"optional":{"creator":"atomic 5.40.0","timestamp":1768478400}}`,
  );
});

test("without a creator the payload names this package and its version", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  assert.equal(DEFAULT_CREATOR, `signet ${version}`);
  const { bytes } = await createSignature(manifest, "r", signer, { engine, now });
  const { content } = inspectSignedMessage(bytes, engine);
  assert.equal(parseSimpleSigningPayload(content).creator, DEFAULT_CREATOR);
});

test("a signed schema 1 manifest is signed by the digest of its payload; one without a digest is not", async () => {
  const signed = readFileSync(new URL("v2s1.manifest.json", manifests));
  const created = await createSignature(signed, "r", signer, { engine, now });
  assert.equal(created.manifestDigest, "sha256:7364fea9d84ee548ab67d4c46c6006289800c98de3fbf8c0a97138dfcc23f000");
  const broken = readFileSync(new URL("v2s1-invalid-signatures.manifest.json", manifests));
  await assert.rejects(createSignature(broken, "r", signer, { engine, now }), { code: "manifest-malformed" });
});

test("the reference is signed as it stands, but not when there is none", async () => {
  const odd = await createSignature(manifest, "Not A:Reference#<>", signer, { engine, now });
  assert.equal(odd.dockerReference, "Not A:Reference#<>");
  await assert.rejects(createSignature(manifest, "", signer, { engine, now }), { code: "payload-incomplete" });
  await assert.rejects(createSignature(manifest, "a\ud800", signer, { engine, now }), { code: "reference-malformed" });
});

test("for an image where it lies the reference is the full normal form and needs a tag or digest", () => {
  assert.equal(signingReference(parseReference("busybox:latest")), "docker.io/library/busybox:latest");
  assert.equal(signingReference(parseReference(`h.example/a@${manifestDigest}`)), `h.example/a@${manifestDigest}`);
  assert.throws(() => signingReference(parseReference("busybox")), {
    code: "reference-incomplete",
    hint: "name it with a tag, such as docker.io/library/busybox:latest",
  });
});

/** A signer that does something else than asked, under the name and public key of the good one. */
function misbehaving(sign: Signer["sign"]): Signer {
  return { ...signer, sign };
}

async function signMessage(content: Uint8Array): Promise<Uint8Array> {
  const message = await openpgp.createMessage({ binary: content, date: new Date(now) });
  return await signWithLibrary(message);
}

/** The library's types of streams are not installed, so its result has none. */
async function signWithLibrary(message: unknown): Promise<Uint8Array> {
  const sign = openpgp.sign as unknown as (options: object) => Promise<Uint8Array>;
  return await sign({ message, signingKeys: secretKey, date: new Date(now), format: "binary" });
}

test("whatever a signer returns that is not the one good signature is thrown away", async (t) => {
  const stranger = await generateKey({ engine, now: now - 1000, userIds: ["Other"], algorithm: "ed25519" });
  const strangerSigner = await openSecretKey(encode(stranger.secretKey), { engine, now });
  const cases: Readonly<Record<string, readonly [Signer["sign"], RegExp]>> = {
    "other content": [() => signer.sign(encode("{}"), now), /not over the payload/],
    "content with a newline added": [
      (content) => signer.sign(Uint8Array.from([...content, 10]), now),
      /not over the payload/,
    ],
    "another key": [(content) => strangerSigner.sign(content, now), /does not verify with the public key/],
    nothing: [async () => new Uint8Array(), /empty/],
    armored: [
      async (content) => encode(openpgp.armor(openpgp.enums.armor.message, await signer.sign(content, now))),
      /unrecognized signature format/,
    ],
    tagged: [
      async (content) => Uint8Array.from([...encode("\0simple-signing\n"), ...(await signer.sign(content, now))]),
      /would not be read/,
    ],
    "trailing data": [async (content) => Uint8Array.from([...(await signer.sign(content, now)), 10]), /thrown away/],
    "cut short": [async (content) => (await signer.sign(content, now)).subarray(0, -5), /thrown away/],
    "a bit flipped in the signature": [
      async (content) => {
        const bytes = await signer.sign(content, now);
        bytes[bytes.length - 1]! ^= 1;
        return bytes;
      },
      /does not verify/,
    ],
    "the content alone": [
      async (content) => (await openpgp.createMessage({ binary: content })).write() as Uint8Array,
      /thrown away/,
    ],
    "text mode": [
      async (content) => {
        const message = await openpgp.createMessage({ text: new TextDecoder().decode(content), date: new Date(now) });
        return await signWithLibrary(message);
      },
      /not over the payload/,
    ],
  };
  for (const [name, [sign, expected]] of Object.entries(cases)) {
    await t.test(name, async () => {
      await assert.rejects(createSignature(manifest, "r", misbehaving(sign), { engine, now }), (error) => {
        assert.ok(error instanceof FormatError);
        assert.equal(error.code, "signing-failed");
        assert.match(error.message, expected);
        return true;
      });
    });
  }
  await t.test("and the same signer with a message of another tool is fine", async () => {
    const made = await createSignature(
      manifest,
      "r",
      misbehaving((content) => signMessage(content)),
      { engine, now },
    );
    assert.equal(made.signingFingerprint, signer.fingerprint);
  });
});

test("a signature by a key that may not sign any more is thrown away", async () => {
  const made = await generateKey({
    engine,
    now: now - 100_000,
    userIds: ["Short"],
    algorithm: "ed25519",
    expiresInSeconds: 50,
  });
  const short = await openSecretKey(encode(made.secretKey), { engine, now: now - 90_000 });
  await assert.rejects(createSignature(manifest, "r", short, { engine, now }), {
    code: "signing-failed",
    message: /has expired/,
  });
});

test("a signer whose message is by another certificate than it says is refused", async () => {
  const other = { ...signer, fingerprint: "0".repeat(40) };
  await assert.rejects(createSignature(manifest, "r", other, { engine, now }), { code: "signing-failed" });
});

test("what the signer throws is passed on", async () => {
  const failing = misbehaving(() => Promise.reject(new FormatError("secret-key-unusable", "gone")));
  await assert.rejects(createSignature(manifest, "r", failing, { engine, now }), { code: "secret-key-unusable" });
});
