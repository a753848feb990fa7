import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestSignatureOptions } from "@signet/testkit";
import {
  TEST_KEY_CREATED,
  makeSeededRandom,
  makeTestKey,
  writeTestCertificate,
  writeTestCompressed,
  writeTestLiteral,
  writeTestMessage,
  writeTestNotation,
  writeTestOnePass,
  writeTestPacket,
  writeTestSignature,
  writeTestSubpacket,
} from "@signet/testkit";
import { FormatError } from "../errors.ts";
import { crc24 } from "../formats/openpgp/armor.ts";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { inspectSignedMessage, verifySignedMessage } from "./signed-message.ts";

const content = Buffer.from('{"critical":{}}');
const evil = Buffer.from('{"critical":{"evil":1}}');
const alice = makeTestKey("rsa-2048");
const bob = makeTestKey("ed25519");
const six = makeTestKey("ed25519", { version: 6 });
const keyring = makeKeyring(
  parseKeyring(Buffer.concat([alice, bob, six].map((key) => writeTestCertificate(key))), engine).certificates,
);
const now = (TEST_KEY_CREATED + 86_400) * 1000;

const body = writeTestSignature(alice, [content]);
const signature = writeTestPacket(2, body);
const onePass = writeTestOnePass(alice, body);
const literal = writeTestLiteral(content);
const good = Buffer.concat([onePass, literal, signature]);
const bobsBody = writeTestSignature(bob, [content]);
const bobsSignature = writeTestPacket(2, bobsBody);
const bobsOnePass = writeTestOnePass(bob, bobsBody);

function join(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(parts);
}

function armor(type: string, bytes: Uint8Array): Buffer {
  const crc = crc24(bytes);
  const sum = Buffer.from([crc >> 16, (crc >> 8) & 255, crc & 255]).toString("base64");
  const lines = Buffer.from(bytes).toString("base64").replaceAll(/.{64}/g, "$&\n");
  return Buffer.from(`-----BEGIN PGP ${type}-----\n\n${lines}\n=${sum}\n-----END PGP ${type}-----\n`);
}

/** `message` says more signatures follow its one-pass packet. */
function announcingMore(patched: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(patched);
  copy[copy.length - 1] = 0;
  return copy;
}

test("the message that the attacks start from is accepted", () => {
  assert.equal(verifySignedMessage(good, keyring, { engine, now }).verdict, "accepted");
});

const bomb = writeTestCompressed(1, Buffer.alloc(300_000_000));

const attacks: readonly (readonly [name: string, reason: string, message: Uint8Array])[] = [
  ["nothing", "message-empty", new Uint8Array(0)],
  ["text", "message-not-openpgp", Buffer.from("invalid signature")],
  ["a zero octet in front", "message-not-openpgp", join(Buffer.of(0), good)],
  ["more than 4 MiB", "message-too-large", join(good, Buffer.alloc(4 * 1024 * 1024))],
  ["an armored message", "message-armored", armor("MESSAGE", good)],
  ["an armored message behind a line of text", "message-armored", join(Buffer.from("hello\n"), armor("MESSAGE", good))],
  ["an armored detached signature", "message-armored", armor("SIGNATURE", signature)],
  [
    "a cleartext signature",
    "message-cleartext",
    join(Buffer.from("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nx\n"), armor("SIGNATURE", signature)),
  ],
  ["a detached signature", "message-detached", signature],
  ["a compressed detached signature", "message-detached", writeTestCompressed(1, signature)],
  ["two detached signatures", "message-several-signatures", join(signature, signature)],
  ["content without a signature", "message-unsigned", literal],
  ["compressed content without a signature", "message-unsigned", writeTestCompressed(1, literal)],
  ["unsigned content in front", "message-unsigned", join(writeTestLiteral(evil), good)],
  ["unsigned content behind", "message-trailing-data", join(good, writeTestLiteral(evil))],
  [
    "unsigned content behind, inside the compression",
    "message-trailing-data",
    writeTestCompressed(1, join(good, writeTestLiteral(evil))),
  ],
  [
    "a second content before the signature",
    "message-unexpected-packet",
    join(onePass, literal, writeTestLiteral(evil), signature),
  ],
  [
    "a second content before the signature, the evil one first",
    "message-unexpected-packet",
    join(onePass, writeTestLiteral(evil), literal, signature),
  ],
  ["content twice around the old form", "message-trailing-data", join(signature, literal, writeTestLiteral(evil))],
  ["two messages", "message-several-signatures", join(good, good)],
  [
    "two compressed messages",
    "message-trailing-data",
    join(writeTestCompressed(1, good, { form: "new" }), writeTestCompressed(1, good)),
  ],
  [
    "two compressed messages without lengths",
    "message-trailing-data",
    join(writeTestCompressed(1, good), writeTestCompressed(1, good)),
  ],
  ["a newline behind", "message-trailing-data", join(good, Buffer.from("\n"))],
  [
    "a newline behind the compressed data",
    "message-trailing-data",
    join(writeTestCompressed(1, good), Buffer.from("\n")),
  ],
  ["a newline behind the zlib data", "message-trailing-data", join(writeTestCompressed(2, good), Buffer.from("\n"))],
  ["a marker in front", "message-marker", join(writeTestPacket(10, Buffer.from("PGP")), good)],
  ["a marker inside", "message-marker", join(onePass, writeTestPacket(10, Buffer.from("PGP")), literal, signature)],
  ["padding in front", "message-unexpected-packet", join(writeTestPacket(21, Buffer.alloc(9)), good)],
  ["padding behind", "message-trailing-data", join(good, writeTestPacket(21, Buffer.alloc(9)))],
  ["a key in front", "message-unexpected-packet", join(writeTestCertificate(alice), good)],
  ["a key behind", "message-trailing-data", join(good, writeTestCertificate(alice))],
  ["an unknown packet in front", "message-unexpected-packet", join(writeTestPacket(60, Buffer.alloc(3)), good)],
  ...[1, 3, 9, 18, 20].map(
    (tag) =>
      [`an encrypted message, tag ${tag}`, "message-encrypted", writeTestPacket(tag, Buffer.alloc(40, 1))] as const,
  ),
  [
    "two signers, nested",
    "message-several-signatures",
    join(writeTestOnePass(bob, bobsBody, announcingMore), onePass, literal, signature, bobsSignature),
  ],
  ["two signers, one announced", "message-several-signatures", join(onePass, literal, signature, bobsSignature)],
  [
    "two one-pass packets for one signature",
    "message-several-signatures",
    join(onePass, bobsOnePass, literal, signature),
  ],
  ["two signers in the old form", "message-several-signatures", join(bobsSignature, signature, literal)],
  ["a signature on both sides", "message-several-signatures", join(signature, literal, signature)],
  [
    "a one-pass packet that announces another",
    "message-several-signatures",
    join(writeTestOnePass(alice, body, announcingMore), literal, signature),
  ],
  ["signature and one-pass packet exchanged", "message-several-signatures", join(signature, onePass, literal)],
  [
    "compression inside compression",
    "message-nested-compression",
    writeTestCompressed(1, writeTestCompressed(1, good)),
  ],
  [
    "compressed content inside the signed message",
    "message-nested-compression",
    join(onePass, writeTestCompressed(1, literal), signature),
  ],
  ["a compressed packet of an unknown algorithm", "message-compression", writeTestCompressed(9, good)],
  ["an empty compressed packet", "message-compression", writeTestPacket(8, new Uint8Array(0))],
  ["damaged compressed data", "message-compression", writeTestPacket(8, join(Buffer.of(1), Buffer.alloc(30, 0xff)))],
  ["truncated compressed data", "message-compression", writeTestCompressed(1, good).subarray(0, -3)],
  ["compressed emptiness", "packet-malformed", writeTestCompressed(1, new Uint8Array(0))],
  ["300 MB in 300 KB", "message-inflated-too-large", bomb],
  [
    "one octet more than the cap after inflation",
    "message-inflated-too-large",
    writeTestCompressed(1, Buffer.alloc(1024 * 1024 + 1, 0xcb)),
  ],
  ["no signature at the end", "message-truncated", join(onePass, literal)],
  ["a one-pass packet alone", "message-truncated", onePass],
  ["the last octet missing", "message-truncated", good.subarray(0, -1)],
  [
    "a length that promises 4 GB",
    "message-truncated",
    join(onePass, Buffer.from("cbffffffffff", "hex"), Buffer.alloc(99)),
  ],
  ["a packet with the reserved tag", "packet-malformed", Buffer.from("c000", "hex")],
  [
    "a signature packet in parts",
    "packet-malformed",
    join(onePass, literal, writeTestPacket(2, body, { form: "parts", partOctets: 128 })),
  ],
  [
    "a signature packet without a length",
    "packet-malformed",
    join(onePass, literal, writeTestPacket(2, body, { form: "to-end" })),
  ],
  [
    "a literal without its date",
    "packet-malformed",
    join(onePass, writeTestPacket(11, Buffer.from("b\0\0\0")), signature),
  ],
  [
    "a literal of unknown format",
    "packet-malformed",
    join(onePass, writeTestLiteral(content, { format: "m" }), signature),
  ],
  [
    "a file name longer than the packet",
    "packet-malformed",
    join(onePass, writeTestPacket(11, Buffer.from("b\xffxx", "latin1")), signature),
  ],
  ["other content", "signature-crypto", join(onePass, writeTestLiteral(evil), signature)],
  ["Bob's signature under Alice's one-pass packet", "one-pass-mismatch", join(onePass, literal, bobsSignature)],
];

describe("known attacks and mistakes", () => {
  for (const [name, reason, message] of attacks) {
    test(`${name}: ${reason}`, () => {
      const outcome = verifySignedMessage(message, keyring, { engine, now });
      assert.equal(outcome.verdict, "rejected");
      assert.deepEqual(
        outcome.reasons.map(({ code }) => code),
        [reason],
      );
      assert.equal("content" in outcome, false);
    });
  }

  test("300 MB in 300 KB leave memory as it was", () => {
    const used = (): number => process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    const before = used();
    for (let i = 0; i < 3; i++) verifySignedMessage(bomb, keyring, { engine, now });
    assert.ok(used() - before < 20_000_000);
  });
});

describe("the one-pass packet must announce the signature that follows", () => {
  const fields: readonly (readonly [string, number])[] = [
    ["version", 0],
    ["type", 1],
    ["hash", 2],
    ["algorithm", 3],
    ["key id", 4],
    ["key id, last octet", 11],
  ];
  for (const [name, octet] of fields) {
    test(`another ${name}`, () => {
      const changed = writeTestOnePass(alice, body, (packet) => {
        const copy = Uint8Array.from(packet);
        copy[octet]! ^= 1;
        return copy;
      });
      const outcome = verifySignedMessage(join(changed, literal, signature), keyring, { engine, now });
      assert.deepEqual(outcome.verdict === "rejected" && outcome.reasons.map(({ code }) => code), [
        "one-pass-mismatch",
      ]);
    });
  }

  test("every octet of a version 6 packet", () => {
    const sixBody = writeTestSignature(six, [content]);
    const message = (patch: (packet: Uint8Array) => Uint8Array): Buffer =>
      join(writeTestOnePass(six, sixBody, patch), literal, writeTestPacket(2, sixBody));
    assert.equal(
      verifySignedMessage(
        message((packet) => packet),
        keyring,
        { engine, now },
      ).verdict,
      "accepted",
    );
    for (let octet = 0; octet < 4 + 1 + 16 + 32; octet++) {
      const outcome = verifySignedMessage(
        message((packet) => {
          const copy = Uint8Array.from(packet);
          copy[octet]! ^= 1;
          return copy;
        }),
        keyring,
        { engine, now },
      );
      assert.deepEqual(
        outcome.verdict === "rejected" && outcome.reasons.map(({ code }) => code),
        ["one-pass-mismatch"],
        `octet ${octet}`,
      );
    }
  });
});

describe("what a signature packet may not say", () => {
  const created = [0x65, 0x92, 0, 0];
  const time = Buffer.alloc(4);
  time.writeUInt32BE(TEST_KEY_CREATED + 3600);
  const fingerprintOf = (hex: string, version: number): Uint8Array =>
    writeTestSubpacket(33, join(Buffer.of(version), Buffer.from(hex, "hex")));
  const cases: readonly (readonly [name: string, reason: string, options: TestSignatureOptions])[] = [
    ["no creation time", "signature-creation-time", { created: null }],
    [
      "a creation time that is not signed",
      "signature-creation-time",
      { created: null, unhashed: [writeTestSubpacket(2, created)] },
    ],
    ["two creation times", "signature-creation-time", { hashed: [writeTestSubpacket(2, time)] }],
    [
      "two expiration times",
      "signature-malformed",
      { expiresAfter: 9e5, hashed: [writeTestSubpacket(3, [0, 0, 0, 0])] },
    ],
    ["a creation time of 3 octets", "signature-malformed", { hashed: [writeTestSubpacket(2, [0, 0, 0])] }],
    ["no issuer", "signature-issuer", { issuer: "none" }],
    ["two issuers", "signature-issuer", { unhashed: [writeTestSubpacket(16, Buffer.from(bob.keyId, "hex"))] }],
    ["two issuer fingerprints", "signature-issuer", { unhashed: [fingerprintOf(bob.fingerprint, 4)] }],
    ["an issuer of version 6", "signature-issuer", { issuer: "none", hashed: [fingerprintOf(six.fingerprint, 6)] }],
    ["an issuer of version 5", "signature-issuer", { hashed: [fingerprintOf(six.fingerprint, 5)] }],
    [
      "a critical subpacket that is unknown",
      "signature-critical-subpacket",
      { hashed: [writeTestSubpacket(99, [1], true)] },
    ],
    [
      "a critical subpacket that is unknown, not signed",
      "signature-critical-subpacket",
      { unhashed: [writeTestSubpacket(99, [1], true)] },
    ],
    [
      "a critical subpacket for private use",
      "signature-critical-subpacket",
      { hashed: [writeTestSubpacket(101, [1], true)] },
    ],
    ["a critical notation", "signature-critical-notation", { hashed: [writeTestNotation("a@b.example", "c", true)] }],
    [
      "a notation that is too short",
      "signature-malformed",
      { hashed: [writeTestSubpacket(20, [0, 0, 0, 0, 0, 9, 0, 0])] },
    ],
    ["a subpacket longer than its area", "signature-malformed", { hashed: [Buffer.of(9, 100)] }],
    ["a subpacket without a type", "signature-malformed", { hashed: [Buffer.of(0)] }],
    [
      "33 subpackets",
      "signature-malformed",
      { hashed: Array.from({ length: 31 }, () => writeTestSubpacket(100, [1])) },
    ],
    ["a type that is not over a message", "signature-type", { type: 0x13 }],
    ["a type for standalone signatures", "signature-type", { type: 0x02 }],
    ["wrong first octets of the digest", "signature-crypto", { digestStart: 0 }],
    ["octets behind the algorithm's own", "signature-crypto", { mangle: (material) => join(material, Buffer.of(0)) }],
    [
      "an integer longer than the key",
      "signature-crypto",
      { mangle: (material) => join(Buffer.of(0x08, 0x08, 1), material.subarray(2)) },
    ],
    ["nothing of the algorithm's own", "signature-crypto", { mangle: () => new Uint8Array(0) }],
  ];
  for (const [name, reason, options] of cases) {
    test(`${name}: ${reason}`, () => {
      const changed = writeTestSignature(alice, [content], options);
      const message = join(writeTestOnePass(alice, changed), literal, writeTestPacket(2, changed));
      const outcome = verifySignedMessage(message, keyring, { engine, now });
      assert.deepEqual(outcome.verdict === "rejected" && outcome.reasons.map(({ code }) => code), [reason]);
    });
  }

  test("harmless subpackets, unknown ones and notations that are not critical may stand", () => {
    const hashed = [
      writeTestSubpacket(99, [1]),
      writeTestNotation("a@b.example", "c", false),
      writeTestSubpacket(26, Buffer.from("x"), true),
    ];
    const message = writeTestMessage(alice, content, {
      hashed,
      issuer: "key-id",
      unhashed: [writeTestSubpacket(100, [])],
    });
    assert.equal(verifySignedMessage(message, keyring, { engine, now }).verdict, "accepted");
  });

  test("versions 2, 5 and 7 are not read", () => {
    for (const version of [2, 5, 7]) {
      const changed = Uint8Array.from(body);
      changed[0] = version;
      const outcome = verifySignedMessage(join(writeTestPacket(2, changed), literal), keyring, { engine, now });
      assert.deepEqual(outcome.verdict === "rejected" && outcome.reasons.map(({ code }) => code), [
        "signature-version",
      ]);
    }
  });

  test("a version 6 signature needs its issuer's fingerprint, and a salt of its hash's size", () => {
    const reasons = [{ issuer: "key-id" as const }, { salt: Buffer.alloc(15) }, { salt: Buffer.alloc(32) }].map(
      (options) => {
        const changed = writeTestSignature(six, [content], options);
        const outcome = verifySignedMessage(join(writeTestPacket(2, changed), literal), keyring, { engine, now });
        return outcome.verdict === "rejected" && outcome.reasons[0]!.code;
      },
    );
    assert.deepEqual(reasons, ["signature-issuer", "signature-malformed", "signature-malformed"]);
  });

  test("a hash that nobody knows is refused by name", () => {
    const changed = Uint8Array.from(body);
    changed[3] = 99;
    const outcome = verifySignedMessage(join(writeTestPacket(2, changed), literal), keyring, { engine, now });
    assert.deepEqual(outcome.verdict === "rejected" && outcome.reasons[0]!.code, "signature-hash");
    assert.match(outcome.verdict === "rejected" ? outcome.reasons[0]!.message : "", /hash algorithm 99/);
  });
});

describe("changed messages", () => {
  const packed = writeTestCompressed(1, good);

  test("no changed bit of a message leads to other content, and nothing is thrown", () => {
    for (const message of [good, packed]) {
      for (let bit = 0; bit < message.length * 8; bit++) {
        const changed = Uint8Array.from(message);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        const outcome = verifySignedMessage(changed, keyring, { engine, now });
        if (outcome.verdict === "accepted") assert.deepEqual(Buffer.from(outcome.content), content, `bit ${bit}`);
        else
          assert.ok(
            outcome.reasons.length > 0 &&
              outcome.reasons.every(({ code, message: text }) => code !== "" && text !== ""),
          );
      }
    }
  });

  test("no cut message is accepted", () => {
    for (const message of [good, packed]) {
      for (let length = 0; length < message.length; length++) {
        assert.equal(verifySignedMessage(message.subarray(0, length), keyring, { engine, now }).verdict, "rejected");
      }
    }
  });

  test("random splices are rejected or give the signed content; only format errors are thrown when they are inspected", () => {
    const random = makeSeededRandom(20_261_121);
    const sources = [
      good,
      packed,
      bobsSignature,
      literal,
      writeTestMessage(six, content),
      writeTestCompressed(2, good),
    ];
    for (let i = 0; i < 3000; i++) {
      const [a, b] = [random.pick(sources), random.pick(sources)];
      const message = join(a.subarray(0, random.integer(a.length + 1)), b.subarray(random.integer(b.length + 1)));
      const outcome = verifySignedMessage(message, keyring, { engine, now });
      if (outcome.verdict === "accepted") assert.deepEqual(Buffer.from(outcome.content), content);
      try {
        inspectSignedMessage(message, engine);
      } catch (error) {
        assert.ok(error instanceof FormatError, String(error));
      }
    }
  });
});
