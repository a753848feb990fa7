import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestHash, TestKeyAlgorithm, TestOpenPgpKey, TestSignatureOptions } from "@signet/testkit";
import {
  TEST_KEY_CREATED,
  makeTestKey,
  testHashes,
  writeTestCertificate,
  writeTestCompressed,
  writeTestLiteral,
  writeTestMessage,
  writeTestOnePass,
  writeTestPacket,
  writeTestSignature,
} from "@signet/testkit";
import type { OpenPgpSwitches } from "../keys/switches.ts";
import { MAX_CLOCK_SKEW_MS } from "../keys/switches.ts";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import type { Keyring } from "../keys/keyring.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import type { SignedMessageOutcome } from "./signed-message.ts";
import { inspectSignedMessage, verifySignedMessage } from "./signed-message.ts";

const content = Buffer.from('{"critical":{}}\n');
const day = 86_400;
/** Seconds: the test keys' creation and the default signature an hour later lie well before. */
const now = TEST_KEY_CREATED + 100 * day;

function keyringOf(...certificates: readonly Uint8Array[]): Keyring {
  return makeKeyring(parseKeyring(Buffer.concat(certificates), engine).certificates);
}

function judge(
  message: Uint8Array,
  keyring: Keyring,
  options: { at?: number; switches?: OpenPgpSwitches } = {},
): SignedMessageOutcome {
  return verifySignedMessage(message, keyring, {
    engine,
    now: (options.at ?? now) * 1000,
    ...(options.switches === undefined ? {} : { switches: options.switches }),
  });
}

function assertAccepted(outcome: SignedMessageOutcome, key: TestOpenPgpKey): void {
  assert.deepEqual(outcome.verdict === "rejected" ? outcome.reasons : [], []);
  assert.equal(outcome.verdict, "accepted");
  assert.equal(outcome.certificate.fingerprint, key.fingerprint);
  assert.deepEqual(Buffer.from(outcome.content), content);
  assert.ok(outcome.checks.length > 0);
  assert.ok(outcome.checks.every((check) => check.outcome === "passed" || check.outcome === "warning"));
}

function assertRejected(outcome: SignedMessageOutcome, ...codes: readonly string[]): void {
  assert.equal(outcome.verdict, "rejected");
  assert.deepEqual(
    outcome.reasons.map((reason) => reason.code),
    codes,
  );
  assert.equal("content" in outcome, false);
}

/** Every algorithm with the key versions that may use it and the hashes that are too short for it. */
const algorithms: readonly (readonly [TestKeyAlgorithm, readonly (4 | 6)[], readonly TestHash[]])[] = [
  ["rsa-2048", [4, 6], []],
  ["P-256", [4, 6], []],
  ["P-384", [4, 6], []],
  ["P-521", [4, 6], []],
  ["brainpoolP256r1", [4, 6], []],
  ["brainpoolP384r1", [4, 6], []],
  ["brainpoolP512r1", [4, 6], []],
  ["ed25519-legacy", [4], ["SHA-224"]],
  ["ed25519", [4, 6], ["SHA-224"]],
  ["ed448", [4, 6], ["SHA-224", "SHA-256", "SHA-384", "SHA3-256"]],
  ["ml-dsa-65+ed25519", [6], ["SHA-224"]],
  ["ml-dsa-87+ed448", [6], ["SHA-224"]],
];
const strongHashes: readonly TestHash[] = ["SHA-224", "SHA-256", "SHA-384", "SHA-512", "SHA3-256", "SHA3-512"];

describe("every algorithm", () => {
  for (const [algorithm, versions, tooShort] of algorithms) {
    for (const version of versions) {
      const key = makeTestKey(algorithm, { version });
      const keyring = keyringOf(writeTestCertificate(key));
      test(`${algorithm} in a version ${version} key: with every hash, and not when content or signature is changed`, () => {
        for (const hash of strongHashes) {
          const outcome = judge(writeTestMessage(key, content, { hash }), keyring);
          if (tooShort.includes(hash)) assertRejected(outcome, "signature-crypto");
          else assertAccepted(outcome, key);
        }
        const signature = writeTestSignature(key, [content]);
        const onePass = writeTestOnePass(key, signature);
        const assemble = (text: Uint8Array, body: Uint8Array): Uint8Array =>
          Buffer.concat([onePass, writeTestLiteral(text), writeTestPacket(2, body)]);
        assertAccepted(judge(assemble(content, signature), keyring), key);
        assertRejected(judge(assemble(Buffer.from("other"), signature), keyring), "signature-crypto");
        // The last octet belongs to the algorithm's own part, in composites to the second half.
        const changed = Buffer.from(signature);
        changed[changed.length - 1]! ^= 1;
        assertRejected(judge(assemble(content, changed), keyring), "signature-crypto");
      });
    }
  }

  for (const algorithm of ["ml-dsa-65+ed25519", "ml-dsa-87+ed448"] as const) {
    test(`${algorithm}: both halves must verify`, () => {
      const key = makeTestKey(algorithm);
      const keyring = keyringOf(writeTestCertificate(key));
      const first = algorithm.endsWith("25519") ? 64 : 114;
      for (const octet of [0, first - 1, first, first + 100]) {
        const mangle = (material: Uint8Array): Uint8Array => {
          const changed = Uint8Array.from(material);
          changed[octet]! ^= 1;
          return changed;
        };
        assertRejected(judge(writeTestMessage(key, content, { mangle }), keyring), "signature-crypto");
      }
    });
  }

  test("a version 3 signature by a version 4 key", () => {
    const key = makeTestKey("rsa-2048");
    assertAccepted(judge(writeTestMessage(key, content, { version: 3 }), keyringOf(writeTestCertificate(key))), key);
  });

  test("versions do not mix: version 6 signatures are of version 6 keys alone", () => {
    for (const [keyVersion, version] of [
      [4, 6],
      [6, 4],
      [6, 3],
    ] as const) {
      const key = makeTestKey("ed25519", { version: keyVersion });
      const options: TestSignatureOptions = { version, issuer: "key-id" };
      const outcome = judge(writeTestMessage(key, content, options), keyringOf(writeTestCertificate(key)));
      assert.equal(outcome.verdict, "rejected", `signature ${version} by key ${keyVersion}`);
    }
  });

  test("algorithms that do not belong into a key's version make no key", () => {
    for (const [algorithm, version] of [
      ["ed25519-legacy", 6],
      ["dsa-2048", 6],
      ["ml-dsa-65+ed25519", 4],
      ["ml-dsa-87+ed448", 4],
    ] as const) {
      const key = makeTestKey(algorithm, { version });
      const { certificates, warnings } = parseKeyring(writeTestCertificate(key), engine);
      assert.equal(certificates.length, 0);
      assert.match(warnings[0]!, /is not allowed in keys of version/);
    }
  });

  test("integers whose first octets are zero are padded", () => {
    const key = makeTestKey("ed25519-legacy");
    const keyring = keyringOf(writeTestCertificate(key));
    let short = 0;
    for (let i = 0; i < 3000 && short < 2; i++) {
      const message = writeTestMessage(key, content, { created: TEST_KEY_CREATED + i });
      // 64 octets and two lengths unless a leading octet was zero.
      if (message.length >= writeTestMessage(key, content).length) continue;
      short++;
      assertAccepted(judge(message, keyring), key);
    }
    assert.ok(short > 0);
  });
});

describe("weak algorithms", () => {
  const key = makeTestKey("rsa-2048");
  const keyring = keyringOf(writeTestCertificate(key));
  for (const [hash, name] of [
    ["SHA-1", "allowSha1Signatures"],
    ["RIPEMD-160", "allowRipemd160Signatures"],
  ] as const) {
    test(`${hash} needs ${name} and no other switch`, () => {
      const message = writeTestMessage(key, content, { hash });
      assertRejected(judge(message, keyring), "signature-hash");
      const others = {
        allowSha1Signatures: true,
        allowRipemd160Signatures: true,
        allowDsaSignatures: true,
        [name]: false,
      };
      assertRejected(judge(message, keyring, { switches: others }), "signature-hash");
      const outcome = judge(message, keyring, { switches: { [name]: true } });
      assertAccepted(outcome, key);
      assert.ok(outcome.checks.some((check) => check.name === "signature-hash" && check.outcome === "warning"));
    });
  }

  test("MD5 is never accepted", () => {
    const switches = { allowSha1Signatures: true, allowRipemd160Signatures: true, allowDsaSignatures: true };
    assertRejected(judge(writeTestMessage(key, content, { hash: "MD5" }), keyring, { switches }), "signature-hash");
  });

  test("MD5 is not even computed: a library without it must not fail on a hostile message", () => {
    const message = writeTestMessage(key, content, { hash: "MD5" });
    const without: typeof engine = {
      ...engine,
      hash(name, parts) {
        assert.notEqual(name, "md5");
        return engine.hash(name, parts);
      },
    };
    assertRejected(verifySignedMessage(message, keyring, { engine: without, now: now * 1000 }), "signature-hash");
  });

  test("DSA needs allowDsaSignatures", () => {
    const dsa = makeTestKey("dsa-2048");
    const keys = keyringOf(writeTestCertificate(dsa));
    const message = writeTestMessage(dsa, content);
    assertRejected(judge(message, keys), "signature-algorithm");
    assertAccepted(judge(message, keys, { switches: { allowDsaSignatures: true } }), dsa);
  });

  test("a weak hash does not hide that the signature is bad", () => {
    const signature = writeTestSignature(key, [content], { hash: "SHA-1" });
    const message = Buffer.concat([
      writeTestOnePass(key, signature),
      writeTestLiteral(Buffer.from("x")),
      writeTestPacket(2, signature),
    ]);
    assertRejected(judge(message, keyring), "signature-hash", "signature-crypto");
  });
});

describe("times of the signature", () => {
  const key = makeTestKey("ed25519");
  const keyring = keyringOf(writeTestCertificate(key));
  const skew = MAX_CLOCK_SKEW_MS / 1000;

  test("it may be ahead of the clock by the skew, and no second more without the switch", () => {
    assertAccepted(judge(writeTestMessage(key, content, { created: now + skew }), keyring), key);
    const late = writeTestMessage(key, content, { created: now + skew + 1 });
    assertRejected(judge(late, keyring), "signature-creation-time");
    assertAccepted(judge(late, keyring, { switches: { acceptSignaturesFromTheFuture: true } }), key);
  });

  test("it expires on the second, and no switch changes that", () => {
    const message = writeTestMessage(key, content, { created: now, expiresAfter: day });
    const before = judge(message, keyring, { at: now + day - 1 });
    assertAccepted(before, key);
    assert.equal(before.verdict === "accepted" && before.validUntil, (now + day) * 1000);
    const every: OpenPgpSwitches = {
      acceptKeyExpiredSinceSigning: true,
      acceptSubkeyExpiredSinceSigning: true,
      acceptSoftRevocationAfterSigning: true,
      acceptSignaturesFromTheFuture: true,
    };
    assertRejected(judge(message, keyring, { at: now + day, switches: every }), "signature-expiry");
  });

  test("an expiry of zero is none", () => {
    const outcome = judge(writeTestMessage(key, content, { expiresAfter: 0 }), keyring, { at: now + 10_000 * day });
    assertAccepted(outcome, key);
    assert.equal(outcome.verdict === "accepted" && outcome.validUntil, undefined);
  });

  test("it cannot be older than its key", () => {
    assertAccepted(judge(writeTestMessage(key, content, { created: TEST_KEY_CREATED }), keyring), key);
    const early = writeTestMessage(key, content, { created: TEST_KEY_CREATED - 1 });
    assertRejected(judge(early, keyring), "key-creation-time");
  });

  test("what it says stands in the outcome", () => {
    const outcome = judge(writeTestMessage(key, content, { created: now - 5 }), keyring);
    assert.equal(outcome.verdict === "accepted" && outcome.signedAt, (now - 5) * 1000);
  });
});

describe("forms of the message", () => {
  const key = makeTestKey("ed25519");
  const keyring = keyringOf(writeTestCertificate(key));
  const signature = writeTestSignature(key, [content]);
  const onePass = writeTestOnePass(key, signature);
  const plain = Buffer.concat([onePass, writeTestLiteral(content), writeTestPacket(2, signature)]);

  test("signature before content, the old form", () => {
    assertAccepted(judge(Buffer.concat([writeTestPacket(2, signature), writeTestLiteral(content)]), keyring), key);
  });

  for (const [name, algorithm] of [
    ["not compressed", 0],
    ["ZIP", 1],
    ["ZLIB", 2],
  ] as const) {
    for (const form of ["new", "old", "to-end"] as const) {
      test(`in a compressed packet: ${name}, ${form}`, () => {
        assertAccepted(judge(writeTestCompressed(algorithm, plain, { form }), keyring), key);
      });
    }
  }

  test("in parts of every size", () => {
    for (const partOctets of [1, 2, 8, 512]) {
      const framing = { form: "parts", partOctets } as const;
      const literal = writeTestLiteral(content, { framing });
      assertAccepted(judge(Buffer.concat([onePass, literal, writeTestPacket(2, signature)]), keyring), key);
      assertAccepted(judge(writeTestCompressed(1, plain, framing), keyring), key);
    }
  });

  test("with any literal format, file name and date, which are not signed", () => {
    for (const format of ["b", "t", "u", "l", "1"]) {
      const literal = writeTestLiteral(content, { format, fileName: "/etc/passwd", date: 1 });
      assertAccepted(judge(Buffer.concat([onePass, literal, writeTestPacket(2, signature)]), keyring), key);
    }
  });

  test("content up to its cap, which the caller may move", () => {
    const large = Buffer.alloc(64 * 1024, "x");
    const message = writeTestMessage(key, large);
    assert.equal(judge(message, keyring).verdict, "accepted");
    assertRejected(judge(writeTestMessage(key, Buffer.concat([large, content])), keyring), "message-literal-too-large");
    const narrow = verifySignedMessage(plain, keyring, {
      engine,
      now: now * 1000,
      maxContentBytes: content.length - 1,
    });
    assertRejected(narrow, "message-literal-too-large");
  });

  test("text signatures hash every line end as CR LF, and give the content as it stands", () => {
    const text = Buffer.from("one\ntwo\r\nthree\rfour\n");
    const canonical = Buffer.from("one\r\ntwo\r\nthree\rfour\r\n");
    const body = writeTestSignature(key, [canonical], { type: 0x01 });
    const message = (literal: Uint8Array): Uint8Array =>
      Buffer.concat([
        writeTestOnePass(key, body),
        writeTestLiteral(literal, { format: "t" }),
        writeTestPacket(2, body),
      ]);
    for (const literal of [text, canonical]) {
      const outcome = judge(message(literal), keyring);
      assert.equal(outcome.verdict, "accepted");
      assert.deepEqual(Buffer.from(outcome.content), literal);
    }
    assertRejected(judge(message(Buffer.from("one\ntwo\r\nthree\rfou\n")), keyring), "signature-crypto");
  });

  test("inspection shows what a message claims, without any key", () => {
    const claims = inspectSignedMessage(writeTestCompressed(2, plain), engine);
    assert.equal(claims.keyId, key.keyId);
    assert.equal(claims.fingerprint, key.fingerprint);
    assert.equal(claims.hash, "SHA-256");
    assert.equal(claims.algorithm, "Ed25519");
    assert.equal(claims.compression, "zlib");
    assert.equal(claims.signedAt, (TEST_KEY_CREATED + 3600) * 1000);
    assert.equal(claims.trailingOctets, 0);
    assert.deepEqual(Buffer.from(claims.content), content);
    assert.equal(inspectSignedMessage(Buffer.concat([plain, Buffer.from("\n")]), engine).trailingOctets, 1);
  });

  test("weak and unknown hashes are told by name when inspected", () => {
    const rsa = makeTestKey("rsa-2048");
    for (const hash of Object.keys(testHashes) as TestHash[]) {
      assert.equal(inspectSignedMessage(writeTestMessage(rsa, content, { hash }), engine).hash, hash);
    }
  });
});
