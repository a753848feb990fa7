import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { nodeEngine } from "../node-engine.ts";
import { generateKey } from "../sign/generate-key.ts";
import { holdsSecretKey, joinKeyFiles } from "./key-file.ts";
import { parseKeyring } from "./keyring.ts";

const made = await Promise.all(
  ["a@example.com", "b@example.com"].map((userId) => {
    return generateKey({ engine: nodeEngine, now: Date.UTC(2026, 0, 1), userIds: [userId], algorithm: "ed25519" });
  }),
);
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const [first, second] = made.map((key) => encode(key.publicKey)) as [Uint8Array, Uint8Array];
const binary = readFileSync(join(import.meta.dirname, "../../../../vectors/dir-images/keys/public-key-1.gpg"));

test("armored and binary key files become one binary keyring with every key", () => {
  const joined = joinKeyFiles([first, encode(`text around\n${made[1]!.publicKey}\nand after`), second]);
  assert.ok(joined[0]! >= 0x80);
  const found = parseKeyring(joined, nodeEngine).certificates.map((certificate) => certificate.fingerprint);
  assert.deepEqual(
    found,
    [made[0], made[1], made[1]].map((key) => key!.fingerprint),
  );
  const raw = parseKeyring(first, nodeEngine).certificates[0]!.raw;
  assert.equal(parseKeyring(joinKeyFiles([raw, second]), nodeEngine).certificates.length, 2);
});

test("a file without a key, or with a damaged one, is not passed over", () => {
  assert.throws(() => joinKeyFiles([first, encode("nothing")]), { code: "key-malformed" });
  const damaged = made[1]!.publicKey.replace(/\n=.*\n/, "\n=AAAA\n").replace(/([A-Za-z0-9+/]{20})\n/, "A$1\n");
  assert.throws(() => joinKeyFiles([first, encode(damaged)]), { code: "key-malformed", message: /line 1 is damaged/ });
});

test("a secret key is seen wherever it stands, armored or binary", () => {
  const secret = encode(made[0]!.secretKey);
  assert.equal(holdsSecretKey(secret), true);
  assert.equal(holdsSecretKey(encode(`${made[1]!.publicKey}\n${made[0]!.secretKey}`)), true);
  // Tag 5 behind a public key; its content is not looked at.
  const raw = parseKeyring(first, nodeEngine).certificates[0]!.raw;
  assert.equal(holdsSecretKey(Uint8Array.from([...raw, 0xc5, 1, 4])), true);
  assert.equal(holdsSecretKey(Uint8Array.from([...raw, 0xc7, 1, 4])), true);
  for (const bytes of [first, raw, binary, encode(""), encode("text"), Uint8Array.from([0xff, 0xff])]) {
    assert.equal(holdsSecretKey(bytes), false);
  }
});
