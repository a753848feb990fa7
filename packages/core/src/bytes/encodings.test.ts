import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FormatError } from "../errors.ts";
import { nodeEngine } from "../node-engine.ts";
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { concatBytes, equalBytes } from "./concat.ts";
import { digestAlgorithm, digestHex, digestLike, parseDigest, sha256Digest, tryParseDigest } from "./digest.ts";
import { encodeHex, encodeHexUpper } from "./hex.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

test("hex and base64 agree with the platform's and round-trip", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const buffer = Buffer.from(bytes);
      assert.equal(encodeHex(bytes), buffer.toString("hex"));
      assert.equal(encodeHexUpper(bytes), buffer.toString("hex").toUpperCase());
      assert.equal(encodeBase64(bytes), buffer.toString("base64"));
      assert.deepEqual(Buffer.from(decodeBase64(encodeBase64(bytes))), buffer);
    }),
    { numRuns: 500, seed: 3 },
  );
});

describe("decodeBase64", () => {
  const accepted: readonly (readonly [string, string])[] = [
    ["", ""],
    ["TQ==", "M"],
    ["TWE=", "Ma"],
    ["TWFu", "Man"],
    ["TW\nFu\r\n", "Man"],
    ["TQ=\n=", "M"],
    ["TR==", "M"],
  ];
  for (const [text, plain] of accepted) {
    test(`accepts ${JSON.stringify(text)}`, () => assert.deepEqual(decodeBase64(text), bytesOf(plain)));
  }
  const refused = [
    "T",
    "TQ",
    "TQ=",
    "TWE",
    "TWFuTQ",
    "=",
    "====",
    "T===",
    "TQ===",
    "TWE==",
    "TWFu=",
    "TQ==TQ==",
    "T Q=",
    "TQ-_",
    "@@@",
    "TQ==\0",
    "é===",
  ];
  for (const text of refused) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => decodeBase64(text),
        (error: unknown) => error instanceof FormatError && error.code === "base64-malformed",
      );
    });
  }
});

describe("a digest", () => {
  const hex = "0123456789abcdef".repeat(4);
  const accepted = [`sha256:${hex}`, `sha384:${hex}${hex.slice(0, 32)}`, `sha512:${hex}${hex}`];
  for (const text of accepted) test(`${text.slice(0, 10)}… is accepted`, () => assert.equal(parseDigest(text), text));

  const refused = [
    "",
    "sha256",
    "sha256:",
    hex,
    `sha256:${hex.toUpperCase()}`,
    `SHA256:${hex}`,
    `sha256:${hex}0`,
    `sha256:${hex.slice(1)}`,
    `sha512:${hex}`,
    `md5:${hex.slice(0, 32)}`,
    `sha1:${hex.slice(0, 40)}`,
    "sha256:../../etc/passwd",
    `sha256:../${hex.slice(3)}`,
    `sha256:${hex.slice(1)}/`,
    `sha256:${hex}\n`,
    ` sha256:${hex}`,
    `sha256:${hex} `,
    `sha256+b64:${hex}`,
    `constructor:${hex}`,
  ];
  for (const text of refused) {
    test(`${JSON.stringify(text.slice(0, 24))} is refused`, () => {
      assert.equal(tryParseDigest(text), undefined);
      assert.throws(
        () => parseDigest(text),
        (error: unknown) => error instanceof FormatError && error.code === "digest-malformed",
      );
    });
  }

  test("is computed over the bytes, with the algorithm asked for", () => {
    const bytes = bytesOf("manifest");
    const digest = sha256Digest(bytes, nodeEngine);
    assert.equal(digest, `sha256:${createHash("sha256").update(bytes).digest("hex")}`);
    const longer = digestLike(parseDigest(`sha512:${hex}${hex}`), bytes, nodeEngine);
    assert.equal(longer, `sha512:${createHash("sha512").update(bytes).digest("hex")}`);
    assert.equal(digestAlgorithm(longer), "sha512");
    assert.equal(digestHex(digest).length, 64);
  });
});

test("bytes are joined and compared whole", () => {
  const joined = concatBytes([bytesOf("a"), bytesOf(""), bytesOf("bc")]);
  assert.deepEqual(joined, bytesOf("abc"));
  assert.equal(equalBytes(joined, bytesOf("abc")), true);
  assert.equal(equalBytes(joined, bytesOf("abd")), false);
  assert.equal(equalBytes(joined, bytesOf("ab")), false);
});
