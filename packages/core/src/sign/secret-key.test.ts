import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as openpgp from "openpgp";
import { SignetError } from "../errors.ts";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { verifySignedMessage } from "../verify/signed-message.ts";
import { MAX_SECRET_KEY_BYTES, openSecretKey } from "./secret-key.ts";

const now = Date.UTC(2026, 0, 15);
const day = 24 * 60 * 60 * 1000;
const secring = readFileSync(new URL("../../../../vectors/openpgp/containers-image-keys/secring.gpg", import.meta.url));
const plainKey = "08CD26E446E2E95249B7A405E932F44B23E8DD43";
const protectedKey = "F2B501009F78B0B340221A12A3CD242DA6028093";
const passphrase = "WithPassphrase123";
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const content = encode("content");

interface MadeKey {
  readonly privateKey: openpgp.PrivateKey;
  readonly publicKey: openpgp.PublicKey;
  readonly revocationCertificate: string;
}

/** A key pair as people have them, made with openpgp.js: ed25519, made a day before `now`. */
async function makeKey(options: Partial<openpgp.KeyOptions> = {}): Promise<MadeKey> {
  return await openpgp.generateKey({
    type: "ecc",
    curve: "ed25519Legacy",
    userIDs: [{ name: "Test", email: "test@example.com" }],
    date: new Date(now - day),
    subkeys: [],
    ...options,
    format: "object",
  });
}

/** Opens the key, signs, and returns the fingerprint of the key that verifies the message. */
async function signWith(bytes: Uint8Array, options: { selector?: string; passphrase?: string } = {}): Promise<string> {
  const signer = await openSecretKey(bytes, { engine, now, ...options });
  const keyring = makeKeyring(parseKeyring(signer.publicKey, engine).certificates);
  const outcome = verifySignedMessage(await signer.sign(content, now), keyring, { engine, now });
  assert.ok(outcome.verdict === "accepted", JSON.stringify(outcome));
  assert.equal(outcome.certificate.fingerprint, signer.fingerprint);
  assert.deepEqual(Buffer.from(outcome.content), Buffer.from(content));
  assert.equal(outcome.signedAt, now);
  return outcome.signingFingerprint;
}

async function failureOf(work: Promise<unknown>): Promise<SignetError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof SignetError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "nothing was thrown" });
}

test("a key of a binary file with several is opened by its fingerprint, key id or user id", async () => {
  for (const selector of [plainKey, plainKey.toLowerCase(), `0x${plainKey.slice(-16)}`, "skopeo TESTING key"]) {
    assert.equal(await signWith(secring, { selector }), plainKey);
  }
  assert.equal(await signWith(secring, { selector: "08CD 26E4 46E2 E952 49B7  A405 E932 F44B 23E8 DD43" }), plainKey);
  assert.equal(await signWith(secring, { selector: "with@passphrase.email", passphrase }), protectedKey);
});

test("several keys without a choice, and a choice that fits none, are errors that name the keys", async () => {
  const ambiguous = await failureOf(openSecretKey(secring, { engine, now }));
  assert.equal(ambiguous.code, "key-ambiguous");
  assert.match(ambiguous.message, new RegExp(`${protectedKey}.*${plainKey}`));
  for (const selector of ["nobody@example.com", "A".repeat(40), "", plainKey.slice(-8)]) {
    const missing = await failureOf(openSecretKey(secring, { engine, now, selector }));
    assert.equal(missing.code, "secret-key-unusable", selector);
    assert.match(missing.message, new RegExp(plainKey));
  }
});

test("an armored block is read, with text around it; two blocks, damage or a public key are not", async () => {
  const { privateKey, publicKey } = await makeKey();
  const armored = privateKey.armor();
  const fingerprint = privateKey.getFingerprint().toUpperCase();
  assert.equal(await signWith(encode(armored)), fingerprint);
  assert.equal(await signWith(encode(`Our key:\r\n\r\n${armored.replaceAll("\n", "\r\n")}\nbye`)), fingerprint);
  assert.equal(await signWith(encode(`${publicKey.armor()}\n${armored}`)), fingerprint);
  const broken: readonly Uint8Array[] = [
    encode(`${armored}\n${armored}`),
    encode(armored.replace(/\n[A-Za-z0-9+/]{20}/, "\n!")),
    encode(publicKey.armor()),
    publicKey.write(),
    encode("no key at all"),
    new Uint8Array(),
    Uint8Array.of(0xc5, 0xff),
    privateKey.write().subarray(0, -40),
  ];
  for (const bytes of broken) {
    assert.equal((await failureOf(openSecretKey(bytes, { engine, now }))).code, "secret-key-unusable");
  }
  assert.match(
    (await failureOf(openSecretKey(encode(publicKey.armor()), { engine, now }))).message,
    /only a public key/,
  );
});

test("a file beyond the limit is not looked at", async () => {
  const error = await failureOf(openSecretKey(new Uint8Array(MAX_SECRET_KEY_BYTES + 1), { engine, now }));
  assert.equal(error.code, "input-too-large");
});

test("a protected key needs its passphrase, and no error repeats one", async () => {
  const cases: readonly (readonly [string | undefined, string])[] = [
    [undefined, "passphrase-required"],
    ["", "passphrase-required"],
    ["wrong-Passphrase", "passphrase-wrong"],
    [`${passphrase} `, "passphrase-wrong"],
    [`${passphrase}\n`, "passphrase-wrong"],
    [`${passphrase}\nsecond line`, "passphrase-wrong"],
  ];
  for (const [given, code] of cases) {
    const error = await failureOf(
      openSecretKey(secring, {
        engine,
        now,
        selector: protectedKey,
        ...(given === undefined ? {} : { passphrase: given }),
      }),
    );
    assert.equal(error.code, code);
    if (given !== undefined && given !== "") {
      const shown = [error.message, error.hint, JSON.stringify(error.details), error.stack, error.cause].join("|");
      assert.ok(!shown.includes(given.trim()), shown);
    }
  }
  assert.equal(await signWith(secring, { selector: plainKey, passphrase: "not needed" }), plainKey);
});

test("the newest signing subkey that is valid signs, as gpg has it", async () => {
  const { privateKey } = await makeKey({
    subkeys: [
      { type: "ecc", curve: "ed25519Legacy", sign: true, date: new Date(now - 3 * 60_000) },
      { type: "ecc", curve: "nistP256", sign: true, date: new Date(now - 60_000) },
      { type: "ecc", curve: "ed25519Legacy", sign: true, date: new Date(now - 2 * 60_000) },
      { type: "ecc", curve: "curve25519Legacy", date: new Date(now - 30_000) },
    ],
  });
  const [, newest] = privateKey.subkeys;
  assert.equal(await signWith(privateKey.write()), newest!.getFingerprint().toUpperCase());
  const bySubkey = newest!.getFingerprint();
  assert.equal(await signWith(privateKey.write(), { selector: bySubkey }), bySubkey.toUpperCase());

  const revoked = await newest!.revoke(privateKey.keyPacket as openpgp.SecretKeyPacket, {}, new Date(now - 10_000));
  privateKey.subkeys[1] = revoked;
  assert.equal(await signWith(privateKey.write()), privateKey.subkeys[2]!.getFingerprint().toUpperCase());
});

test("a primary key whose secret part is elsewhere does not matter when a subkey signs", async () => {
  const { privateKey } = await makeKey({ subkeys: [{ type: "ecc", curve: "ed25519Legacy", sign: true }] });
  (privateKey.keyPacket as openpgp.SecretKeyPacket).makeDummy();
  assert.equal(await signWith(privateKey.write()), privateKey.subkeys[0]!.getFingerprint().toUpperCase());

  (privateKey.subkeys[0]!.keyPacket as openpgp.SecretSubkeyPacket).makeDummy();
  const error = await failureOf(openSecretKey(privateKey.write(), { engine, now }));
  assert.equal(error.code, "secret-key-unusable");
  assert.match(error.message, /kept elsewhere/);
});

test("a key that cannot sign now is refused, with the reason of each of its keys", async () => {
  const expired = await makeKey({ keyExpirationTime: 60 });
  assert.match((await failureOf(openSecretKey(expired.privateKey.write(), { engine, now }))).message, /has expired/);
  const future = await makeKey({ date: new Date(now + day) });
  assert.match(
    (await failureOf(openSecretKey(future.privateKey.write(), { engine, now }))).message,
    /cannot sign|no self-signature|future/,
  );
  const { privateKey, revocationCertificate } = await makeKey();
  const revoked = await openpgp.revokeKey({
    key: privateKey,
    revocationCertificate,
    format: "object",
    date: new Date(now),
  });
  const error = await failureOf(openSecretKey(revoked.privateKey.write(), { engine, now }));
  assert.equal(error.code, "secret-key-unusable");
  assert.match(error.message, /revoked/);
});

test("version 6 keys sign version 6 messages", async () => {
  for (const type of ["curve25519", "curve448"] as const) {
    const made = await openpgp.generateKey({
      type,
      userIDs: [{ name: "v6" }],
      date: new Date(now - day),
      subkeys: [],
      config: { v6Keys: true },
      format: "object",
    });
    const fingerprint = made.privateKey.getFingerprint().toUpperCase();
    assert.equal(fingerprint.length, 64);
    assert.equal(await signWith(made.privateKey.write()), fingerprint);
  }
});

test("every curve and RSA sign with a hash that fits", async () => {
  const forms: readonly Partial<openpgp.KeyOptions>[] = [
    { type: "rsa", rsaBits: 2048 },
    { curve: "nistP256" },
    { curve: "nistP384" },
    { curve: "nistP521" },
    { type: "curve25519" },
  ];
  for (const form of forms) {
    const { privateKey } = await makeKey({ type: "ecc", ...form });
    assert.equal(await signWith(privateKey.write()), privateKey.getFingerprint().toUpperCase());
  }
});
