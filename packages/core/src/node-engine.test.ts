import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { describe, test } from "node:test";
import { deflateRawSync, deflateSync } from "node:zlib";
import type { HashAlgorithm, PublicKeyMaterial } from "./bytes/engine.ts";
import { FormatError, InternalError } from "./errors.ts";
import { nodeEngine as engine } from "./node-engine.ts";

const code = (name: string) => (error: unknown) => error instanceof FormatError && error.code === name;
const hashes: readonly HashAlgorithm[] = [
  "md5",
  "sha1",
  "ripemd160",
  "sha224",
  "sha256",
  "sha384",
  "sha512",
  "sha3-256",
  "sha3-512",
];

describe("hash", () => {
  const parts = [Buffer.from("one"), Buffer.from("two")];
  for (const algorithm of hashes) {
    test(`${algorithm} of one and of several parts is the same as while running`, () => {
      const expected = createHash(algorithm).update("onetwo").digest("hex");
      const running = engine.createHash(algorithm);
      for (const part of parts) running.update(part);
      for (const digest of [
        engine.hash(algorithm, parts),
        engine.hash(algorithm, [Buffer.concat(parts)]),
        running.digest(),
      ]) {
        assert.equal(Buffer.from(digest).toString("hex"), expected);
      }
    });
  }
});

describe("inflate", () => {
  const plain = randomBytes(100_000);
  const forms = [
    ["deflate-raw", deflateRawSync],
    ["zlib", deflateSync],
  ] as const;
  for (const [form, deflate] of forms) {
    const packed = deflate(plain);
    test(`${form} inflates up to its cap and counts what follows`, () => {
      const { bytes, trailing } = engine.inflate(form, packed, plain.length);
      assert.deepEqual(Buffer.from(bytes), plain);
      assert.equal(trailing, 0);
      assert.equal(engine.inflate(form, Buffer.concat([packed, Buffer.from("tail")]), plain.length).trailing, 4);
      assert.throws(() => engine.inflate(form, packed, plain.length - 1), code("input-too-large"));
    });
    test(`${form} refuses damaged and truncated data`, () => {
      assert.throws(() => engine.inflate(form, packed.subarray(0, -1), plain.length), code("compression-malformed"));
      assert.throws(() => engine.inflate(form, Buffer.alloc(0), plain.length), code("compression-malformed"));
      assert.throws(() => engine.inflate(form, Buffer.alloc(50, 0xff), plain.length), code("compression-malformed"));
    });
    test(`${form}: a bomb of 300 MB is refused without growing memory`, () => {
      const bomb = deflate(Buffer.alloc(300_000_000));
      assert.ok(bomb.length < 300_000);
      const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
      for (let i = 0; i < 3; i++) assert.throws(() => engine.inflate(form, bomb, 1024 * 1024), code("input-too-large"));
      const after = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
      assert.ok(after - before < 20_000_000, `${after - before} octets more`);
    });
  }
});

describe("RSA signatures", () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = publicKey.export({ format: "jwk" });
  const n = Buffer.from(jwk.n!, "base64url");
  const key = engine.prepareKey({ type: "rsa", n, e: Buffer.from(jwk.e!, "base64url") });
  const message = Buffer.from("content");
  for (const hash of hashes) {
    test(`verify with ${hash}, and with no other hash, digest or octet`, () => {
      const signature = sign(hash, message, privateKey);
      const digest = engine.hash(hash, [message]);
      const other = engine.hash(hash, [Buffer.from("other content")]);
      assert.equal(engine.verifyHashed(key, hash, message, digest, signature), true);
      assert.equal(engine.verifyHashed(key, hash, message, other, signature), false);
      assert.equal(engine.verifyHashed(key, hash, message, digest.subarray(0, -1), signature), false);
      for (const wrong of hashes) {
        if (wrong === hash) continue;
        assert.equal(engine.verifyHashed(key, wrong, message, engine.hash(wrong, [message]), signature), false);
        // The right digest under another algorithm's name must not pass either.
        assert.equal(engine.verifyHashed(key, wrong, message, digest, signature), false);
      }
      const changed = Buffer.from(signature);
      changed[100]! ^= 1;
      assert.equal(engine.verifyHashed(key, hash, message, digest, changed), false);
    });
  }

  test("are false, not an exception, when malformed", () => {
    const digest = engine.hash("sha256", [message]);
    for (const signature of [Buffer.alloc(0), Buffer.alloc(256), Buffer.alloc(256, 255), Buffer.alloc(257, 1), n]) {
      assert.equal(engine.verifyHashed(key, "sha256", message, digest, signature), false);
    }
  });
});

describe("prepareKey", () => {
  const impossible: readonly PublicKeyMaterial[] = [
    { type: "ecdsa", curve: "P-256", point: Buffer.concat([Uint8Array.of(4), Buffer.alloc(64, 1)]) },
    { type: "ed25519", publicKey: Buffer.alloc(31) },
    { type: "ml-dsa-65", publicKey: Buffer.alloc(10) },
  ];
  for (const material of impossible) {
    test(`refuses a ${material.type} key that cannot be one`, () => {
      assert.throws(() => engine.prepareKey(material), code("key-malformed"));
    });
  }

  test("makes keys for this engine alone", () => {
    assert.throws(() => engine.verifyPure({ type: "ed25519" }, Buffer.alloc(1), Buffer.alloc(64)), InternalError);
  });
});
