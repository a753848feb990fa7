import assert from "node:assert/strict";
import { test } from "node:test";
import { assessCertificate } from "../keys/assessment.ts";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { writeArmoredPublicKey } from "./armored-key.ts";
import { DEFAULT_KEY_ALGORITHM, generateKey, keyAlgorithms } from "./generate-key.ts";
import { openSecretKey } from "./secret-key.ts";

const now = Date.UTC(2026, 0, 15);
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

const algorithmNames: Readonly<Record<string, RegExp>> = {
  rsa2048: /RSA.2048/,
  rsa3072: /RSA.3072/,
  rsa4096: /RSA.4096/,
  ed25519: /Ed25519/,
  p256: /P-256/,
};

test("a key of every algorithm reads back as one version 4 certificate that signs", async (t) => {
  for (const algorithm of keyAlgorithms) {
    await t.test(algorithm, async () => {
      const userIds = ["Release Signing (images) <release@example.com>", "Zweite Ümlaut-Kennung"];
      const made = await generateKey({ engine, now, userIds, algorithm });
      for (const armored of [made.publicKey, made.secretKey]) {
        const { certificates, warnings } = parseKeyring(encode(armored), engine);
        assert.deepEqual(warnings, []);
        assert.equal(certificates.length, 1);
        const [certificate] = certificates;
        assert.equal(certificate!.version, 4);
        assert.equal(certificate!.fingerprint, made.fingerprint);
        assert.deepEqual(certificate!.userIds, userIds);
        assert.equal(certificate!.subkeys.length, 0);
        assert.match(certificate!.primary.algorithm, algorithmNames[algorithm]!);
        assert.deepEqual(assessCertificate(certificate!, now).signingKeys, [made.fingerprint]);
      }
      assert.ok(!("expiresAt" in made));
      const signer = await openSecretKey(encode(made.secretKey), { engine, now });
      assert.equal(signer.label, userIds[0]);
    });
  }
  assert.ok(keyAlgorithms.includes(DEFAULT_KEY_ALGORITHM));
});

test("a passphrase protects the secret key, and an expiry is kept", async () => {
  const request = {
    engine,
    now,
    userIds: ["a"],
    algorithm: "ed25519",
    passphrase: "pässword",
    expiresInSeconds: 86_400,
  } as const;
  const made = await generateKey(request);
  assert.equal(made.expiresAt, now + 86_400_000);
  const bytes = encode(made.secretKey);
  await assert.rejects(openSecretKey(bytes, { engine, now }), { code: "passphrase-required" });
  await assert.rejects(openSecretKey(bytes, { engine, now, passphrase: "password" }), { code: "passphrase-wrong" });
  assert.equal((await openSecretKey(bytes, { engine, now, passphrase: "pässword" })).fingerprint, made.fingerprint);
  await assert.rejects(openSecretKey(bytes, { engine, now: now + 86_400_000, passphrase: "pässword" }), {
    code: "secret-key-unusable",
  });
});

test("the revocation certificate withdraws the key and no other", async () => {
  const made = await generateKey({ engine, now, userIds: ["a"], algorithm: "ed25519" });
  const revocation = Buffer.from(
    made.revocationCertificate
      .split("\n\n")[1]!
      .split("\n")
      .filter((line) => !line.startsWith("=") && !line.startsWith("-"))
      .join(""),
    "base64",
  );
  const [certificate] = parseKeyring(encode(made.publicKey), engine).certificates;
  const statusWith = (raw: Uint8Array): string => {
    // A revocation stands right behind the primary key.
    const keyLength = 2 + raw[1]!;
    const bytes = Uint8Array.from([...raw.subarray(0, keyLength), ...revocation, ...raw.subarray(keyLength)]);
    const [revoked] = makeKeyring(parseKeyring(bytes, engine).certificates).certificates;
    return assessCertificate(revoked!, now).keys[0]!.status;
  };
  assert.equal(statusWith(certificate!.raw), "revoked");
  const other = await generateKey({ engine, now, userIds: ["b"], algorithm: "ed25519" });
  const [otherCertificate] = parseKeyring(encode(other.publicKey), engine).certificates;
  assert.equal(statusWith(otherCertificate!.raw), "usable");
});

test("a request that makes no key is refused before anything is made", async () => {
  const good = { engine, now, userIds: ["a"], algorithm: "ed25519" } as const;
  const bad: readonly object[] = [
    { userIds: [] },
    { userIds: [""] },
    { userIds: ["  "] },
    { userIds: ["a\nb"] },
    { userIds: ["a\u001b[31m"] },
    { userIds: ["\ud800"] },
    { userIds: ["x".repeat(2_001)] },
    { algorithm: "rsa1024" },
    { algorithm: "toString" },
    { expiresInSeconds: 0 },
    { expiresInSeconds: -1 },
    { expiresInSeconds: 1.5 },
    { expiresInSeconds: 2 ** 32 },
    { passphrase: "" },
    { passphrase: "a\nb" },
  ];
  for (const change of bad) {
    await assert.rejects(
      generateKey({ ...good, ...change }),
      { code: "key-request-malformed" },
      JSON.stringify(change),
    );
  }
});

test("a certificate is armored so that it reads back the same", async () => {
  const made = await generateKey({ engine, now, userIds: ["a"], algorithm: "rsa2048" });
  const [certificate] = parseKeyring(encode(made.secretKey), engine).certificates;
  const armored = writeArmoredPublicKey(certificate!.raw);
  assert.match(
    armored,
    /^-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n(?:[A-Za-z0-9+/=]{1,64}\n)+=[A-Za-z0-9+/]{4}\n-----END PGP PUBLIC KEY BLOCK-----\n$/,
  );
  const [back] = parseKeyring(encode(armored), engine).certificates;
  assert.deepEqual(Buffer.from(back!.raw), Buffer.from(certificate!.raw));
  assert.ok(!armored.includes("PRIVATE"));
});
