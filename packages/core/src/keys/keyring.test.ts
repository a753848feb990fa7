import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import {
  hashedTestUserId,
  makeSeededRandom,
  makeTestKey,
  writeTestCertificate,
  writeTestPacket,
  writeTestSignature,
  writeTestSubpacket,
} from "@signet/testkit";
import { FormatError } from "../errors.ts";
import { crc24 } from "../formats/openpgp/armor.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { makeKeyring, parseKeyring } from "./keyring.ts";

const vectors = new URL("../../../../vectors/openpgp/", import.meta.url);
const read = (file: string): Buffer => readFileSync(new URL(file, vectors));

const a = makeTestKey("ed25519");
const b = makeTestKey("P-256");
const c = makeTestKey("ed25519", { version: 6 });
const [certA, certB, certC] = [a, b, c].map((key) => Buffer.from(writeTestCertificate(key))) as [
  Buffer,
  Buffer,
  Buffer,
];

function fingerprints(bytes: Uint8Array): readonly string[] {
  return parseKeyring(bytes, engine).certificates.map((certificate) => certificate.fingerprint);
}

function warningsOf(bytes: Uint8Array): readonly string[] {
  return parseKeyring(bytes, engine).warnings;
}

function armor(
  bytes: Uint8Array,
  options: { type?: string; headers?: string; sum?: string; lineEnd?: string } = {},
): Buffer {
  const { type = "PUBLIC KEY BLOCK", headers = "", lineEnd = "\n" } = options;
  const crc = crc24(bytes);
  const sum = options.sum ?? `=${Buffer.from([crc >> 16, (crc >> 8) & 255, crc & 255]).toString("base64")}\n`;
  const data = Buffer.from(bytes).toString("base64").replaceAll(/.{64}/g, "$&\n").trimEnd();
  const text = `-----BEGIN PGP ${type}-----\n${headers}\n${data}\n${sum}-----END PGP ${type}-----\n`;
  return Buffer.from(text.replaceAll("\n", lineEnd));
}

describe("forms of a keyring", () => {
  const forms: readonly (readonly [name: string, bytes: Uint8Array, expected: readonly string[]])[] = [
    ["one binary certificate", certA, [a.fingerprint]],
    [
      "several binary certificates",
      Buffer.concat([certA, certB, certC]),
      [a.fingerprint, b.fingerprint, c.fingerprint],
    ],
    ["the same certificate twice", Buffer.concat([certA, certA]), [a.fingerprint, a.fingerprint]],
    ["an armored block", armor(certA), [a.fingerprint]],
    ["two certificates in one block", armor(Buffer.concat([certA, certB])), [a.fingerprint, b.fingerprint]],
    [
      "several blocks",
      Buffer.concat([armor(certA), armor(certB), armor(certC)]),
      [a.fingerprint, b.fingerprint, c.fingerprint],
    ],
    [
      "text around blocks",
      Buffer.concat([
        Buffer.from("Key of A:\n\n"),
        armor(certA),
        Buffer.from("\n--\nand of B\n"),
        armor(certB),
        Buffer.from("end"),
      ]),
      [a.fingerprint, b.fingerprint],
    ],
    ["armor headers", armor(certA, { headers: "Version: GnuPG v2\nComment: x: y\n" }), [a.fingerprint]],
    ["CR LF line ends", armor(certA, { lineEnd: "\r\n" }), [a.fingerprint]],
    ["white space at the end of lines", armor(certA, { lineEnd: " \t\n" }), [a.fingerprint]],
    ["no checksum", armor(certA, { sum: "" }), [a.fingerprint]],
    ["armor, then binary: the armor", Buffer.concat([armor(certA), certB]), [a.fingerprint]],
  ];
  for (const [name, bytes, expected] of forms) {
    test(`${name} is read`, () => {
      assert.deepEqual(fingerprints(bytes), expected);
      assert.deepEqual(warningsOf(bytes), []);
    });
  }

  const broken: readonly (readonly [name: string, bytes: Uint8Array, expected: readonly string[], warning: RegExp])[] =
    [
      ["nothing", new Uint8Array(0), [], /no OpenPGP key block/],
      ["text", Buffer.from("This is invalid"), [], /no OpenPGP key block/],
      [
        "a signed message",
        read("oracle/ok-rsa-uncompressed.sig"),
        [],
        /begins with a one-pass signature packet; what stands before the first key was passed over/,
      ],
      [
        "a wrong checksum ends that block alone",
        Buffer.concat([armor(certA, { sum: "=AAAA\n" }), armor(certB)]),
        [b.fingerprint],
        /line 1 was skipped: its checksum is wrong/,
      ],
      ["a checksum of wrong length", armor(certA, { sum: "=AAAAAAAA\n" }), [], /its checksum is wrong/],
      [
        "damaged base64",
        Buffer.concat([
          Buffer.from(
            armor(certA)
              .toString()
              .replace(/\n\n..../, "\n\n_-_-"),
          ),
          armor(certB),
        ]),
        [b.fingerprint],
        /its base64 is malformed/,
      ],
      [
        "no end line",
        Buffer.concat([armor(certA).subarray(0, -35), armor(certB)]),
        [b.fingerprint],
        /no matching end line/,
      ],
      [
        "another end line",
        Buffer.concat([
          Buffer.from(armor(certA).toString().replace("END PGP PUBLIC", "END PGP PRIVATE")),
          armor(certB),
        ]),
        [b.fingerprint],
        /no matching end line/,
      ],
      [
        "no empty line before the data",
        Buffer.from(armor(certA).toString().replace("\n\n", "\n")),
        [],
        /no empty line|header line/,
      ],
      ["a malformed header line", armor(certA, { headers: "no header\n" }), [], /a header line is malformed/],
      [
        "a block of another kind",
        Buffer.concat([armor(certA, { type: "MESSAGE" }), armor(certB)]),
        [b.fingerprint],
        /not a key block but "MESSAGE"/,
      ],
      ["a certificate cut off", certA.subarray(0, -1), [], /is damaged.*certificate it stands in \("Test Key/],
      [
        "a certificate cut off behind a whole one",
        Buffer.concat([certA, certB.subarray(0, -1)]),
        [a.fingerprint],
        /is damaged/,
      ],
      [
        "garbage behind a certificate",
        Buffer.concat([certA, certB, Buffer.from("garbage")]),
        [a.fingerprint],
        /is damaged/,
      ],
      [
        "a damaged block between others",
        Buffer.concat([armor(certA), armor(certB.subarray(0, -1)), armor(certC)]),
        [a.fingerprint, c.fingerprint],
        /line \d+ is damaged/,
      ],
    ];
  for (const [name, bytes, expected, warning] of broken) {
    test(`${name}: warned about, and the others are read`, () => {
      assert.deepEqual(fingerprints(bytes), expected);
      const warnings = warningsOf(bytes);
      assert.equal(
        warnings.some((line) => warning.test(line)),
        true,
        warnings.join("; "),
      );
    });
  }

  test("a keyring cut at any octet holds no half certificate", () => {
    const whole = Buffer.concat([certA, certC]);
    for (let length = 0; length < whole.length; length++) {
      const expected = length >= certA.length ? [a.fingerprint] : [];
      const found = fingerprints(whole.subarray(0, length));
      // At a packet boundary the rest is a smaller certificate, whose self-signatures may be missing, never another one.
      assert.deepEqual(found.slice(0, expected.length), expected);
      assert.ok(found.every((fingerprint) => fingerprint === a.fingerprint || fingerprint === c.fingerprint));
    }
  });
});

describe("keys that cannot be read", () => {
  const unreadable: readonly (readonly [name: string, packet: Uint8Array, warning: RegExp])[] = [
    ["version 3", Buffer.from("03000000000000010008ff000203", "hex"), /keys of version 3 are not supported/],
    ["version 5", Buffer.from("050000000016000000", "hex"), /keys of version 5 are not supported/],
    ["an unknown algorithm", Buffer.from("040000000063", "hex"), /algorithm 99 is not supported/],
    ["an algorithm that cannot sign", Buffer.from("040000000019", "hex"), /ends too early/],
    [
      "an unknown curve",
      Buffer.from("040000000013052b8104000a0008ff", "hex"),
      /curve with object identifier 2B8104000A is not supported/,
    ],
    ["octets behind a version 6 key's numbers", longerSix(), /octets are left over/],
    ["a cut body", a.body.subarray(0, 20), /ends too early/],
    ["octets behind its numbers", Buffer.concat([b.body, Buffer.of(0)]), /octets are left over/],
    ["an RSA key of 512 bits", rsaBody(Buffer.alloc(64, 0xff)), /RSA with 512 bits/],
    ["an RSA key of 20,000 bits", rsaBody(Buffer.alloc(2500, 0xff)), /RSA with 20000 bits/],
    [
      "a point that is not on its curve",
      Buffer.concat([b.body.subarray(0, -1), Buffer.of(b.body.at(-1)! ^ 1)]),
      /is not usable/,
    ],
  ];
  for (const [name, body, warning] of unreadable) {
    test(`${name}: skipped with a warning that names it, and the others are read`, () => {
      const packets = Buffer.concat([
        writeTestPacket(6, body),
        writeTestPacket(13, Buffer.from("Odd Key <odd@example.com>")),
      ]);
      const bytes = Buffer.concat([certA, packets, certC]);
      assert.deepEqual(fingerprints(bytes), [a.fingerprint, c.fingerprint]);
      const [line, ...rest] = warningsOf(bytes);
      assert.match(line!, warning);
      assert.match(line!, /was skipped/);
      assert.match(line!, /Odd Key|[0-9A-F]{40}/);
      assert.deepEqual(rest, []);
    });
  }

  /** The key of `c` with one octet more in its key material, whose length says so. */
  function longerSix(): Buffer {
    const body = Buffer.concat([c.body, Buffer.of(0)]);
    body.writeUInt32BE(33, 6);
    return body;
  }

  function rsaBody(modulus: Buffer): Buffer {
    const head = Buffer.from("040000000001", "hex");
    const bits = Buffer.alloc(2);
    bits.writeUInt16BE(modulus.length * 8);
    return Buffer.concat([head, bits, modulus, Buffer.from("0011010001", "hex")]);
  }

  test("packets that do not belong into a certificate make it unreadable", () => {
    for (const tag of [1, 4, 8, 9, 11, 18]) {
      const bytes = Buffer.concat([certA, writeTestPacket(tag, Buffer.alloc(20)), certC]);
      assert.deepEqual(fingerprints(bytes), [c.fingerprint], `tag ${tag}`);
    }
  });

  test("trust, padding and marker packets are passed over", () => {
    const between = [12, 21, 10].map((tag) => writeTestPacket(tag, Buffer.alloc(3)));
    assert.deepEqual(fingerprints(Buffer.concat([certA, ...between, certC])), [a.fingerprint, c.fingerprint]);
  });

  test("a subkey that cannot be read is left out, and its certificate stays", () => {
    const subkey = Buffer.concat([
      writeTestPacket(14, Buffer.from("0500000000", "hex")),
      writeTestPacket(2, Buffer.of(4)),
    ]);
    const { certificates, warnings } = parseKeyring(Buffer.concat([certA, subkey, certC]), engine);
    assert.deepEqual(
      certificates.map(({ subkeys }) => subkeys.length),
      [0, 0],
    );
    assert.match(warnings[0]!, /a subkey was left out: keys of version 5/);
  });
});

describe("caps", () => {
  const tooLarge = (error: unknown): boolean => error instanceof FormatError && error.code === "input-too-large";

  test("a file of more than 16 MiB is refused", () => {
    assert.throws(() => parseKeyring(Buffer.alloc(16 * 1024 * 1024 + 1), engine), tooLarge);
  });

  test("more than 1,000 certificates are refused, in one block or in many", () => {
    const thousand = Buffer.concat(Array.from({ length: 1000 }, () => writeTestPacket(6, a.body)));
    assert.equal(parseKeyring(thousand, engine).certificates.length, 1000);
    assert.throws(() => parseKeyring(Buffer.concat([thousand, certB]), engine), tooLarge);
    assert.throws(() => parseKeyring(Buffer.concat([armor(thousand), armor(certB)]), engine), tooLarge);
  });

  test("a certificate of more than 1,000 packets is skipped alone", () => {
    const many = Array.from({ length: 1000 }, () => writeTestPacket(13, Buffer.from("x")));
    const { certificates, warnings } = parseKeyring(Buffer.concat([certA, ...many, certB]), engine);
    assert.deepEqual(
      certificates.map(({ fingerprint }) => fingerprint),
      [b.fingerprint],
    );
    assert.match(warnings[0]!, /more than 1000 packets/);
  });

  test("a megabyte of white space or of dashes takes no time to speak of", () => {
    assert.deepEqual(fingerprints(Buffer.alloc(4_000_000, " ")), []);
    assert.deepEqual(fingerprints(Buffer.from("-----BEGIN PGP PUBLIC KEY BLOCK-----\n".repeat(10_000))), []);
    const oneMore = Buffer.from("-----BEGIN PGP PUBLIC KEY BLOCK-----\n".repeat(10_001));
    assert.throws(() => parseKeyring(oneMore, engine), tooLarge);
  });

  test("warnings stay few, however much there is to warn about", () => {
    const packets = Array.from({ length: 900 }, () => writeTestPacket(14, Buffer.of(5)));
    const { warnings } = parseKeyring(Buffer.concat([certA, ...packets]), engine);
    assert.equal(warnings.length, 21);
    assert.match(warnings.at(-1)!, /and 880 more/);
    assert.equal(
      warningsOf(Buffer.concat(Array.from({ length: 900 }, () => writeTestPacket(12, Buffer.of(5))))).length,
      1,
    );
  });

  test("a user id of more than 2,048 octets is left out", () => {
    const { certificates, warnings } = parseKeyring(
      writeTestCertificate(a, { userIds: [{ text: "x".repeat(2049) }, { text: "A" }] }),
      engine,
    );
    assert.deepEqual(certificates[0]!.userIds, ["A"]);
    assert.match(warnings[0]!, /user id of more than 2048 octets/);
  });
});

describe("published test keys of containers/image", () => {
  test("pubring.gpg holds four, twice over eight", () => {
    const expected = [
      "F2B501009F78B0B340221A12A3CD242DA6028093",
      "08CD26E446E2E95249B7A405E932F44B23E8DD43",
      "B9F4CDB9FD8C475BFA340AC38D54A947EE396F36",
      "6D88C5A1993648A17B2BB0DC6B8499AF63388D63",
    ];
    const ring = read("containers-image-keys/pubring.gpg");
    assert.deepEqual(fingerprints(ring), expected);
    assert.deepEqual(fingerprints(Buffer.concat([ring, ring])), [...expected, ...expected]);
    assert.deepEqual(warningsOf(ring), []);
  });

  for (const [file, fingerprint] of [
    ["public-key.gpg", "08CD26E446E2E95249B7A405E932F44B23E8DD43"],
    ["public-key-1.gpg", "08CD26E446E2E95249B7A405E932F44B23E8DD43"],
    ["public-key-2.gpg", "F2B501009F78B0B340221A12A3CD242DA6028093"],
    ["public-key-with-subkey.gpg", "B9F4CDB9FD8C475BFA340AC38D54A947EE396F36"],
    ["public-key-with-revoked-subkey.gpg", "6D88C5A1993648A17B2BB0DC6B8499AF63388D63"],
    ["no-passphrase.pub", "50DDE898DF4E48755C8C2B7AF6F908B6FA48A229"],
    ["with-passphrase.pub", "1F5825285B785E1DB13BF36D2D11A19ABA41C6AE"],
  ] as const) {
    test(`${file} holds the one certificate`, () => {
      assert.deepEqual(fingerprints(read(`containers-image-keys/${file}`)), [fingerprint]);
      assert.deepEqual(warningsOf(read(`containers-image-keys/${file}`)), []);
    });
  }

  test("secret keys are read for their public half, and nothing secret is kept", () => {
    const { certificates, warnings } = parseKeyring(read("containers-image-keys/secring.gpg"), engine);
    assert.deepEqual(warnings, []);
    const publicOnes = parseKeyring(read("containers-image-keys/pubring.gpg"), engine).certificates;
    for (const certificate of certificates) {
      const twin = publicOnes.find(({ fingerprint }) => fingerprint === certificate.fingerprint)!;
      assert.deepEqual(certificate.userIds, twin.userIds);
      assert.deepEqual(
        certificate.subkeys.map(({ fingerprint }) => fingerprint),
        twin.subkeys.map(({ fingerprint }) => fingerprint),
      );
      assert.ok(certificate.raw.length < twin.raw.length + 100);
      assert.deepEqual(fingerprints(certificate.raw), [certificate.fingerprint]);
      assert.deepEqual(parseKeyring(certificate.raw, engine).certificates[0]!.raw, certificate.raw);
    }
    assert.equal(certificates.length, 2);
  });

  test("the raw form of a certificate reads as the same certificate", () => {
    for (const certificate of parseKeyring(read("containers-image-keys/pubring.gpg"), engine).certificates) {
      const [again] = parseKeyring(certificate.raw, engine).certificates;
      assert.deepEqual(again?.userIds, certificate.userIds);
      assert.deepEqual(
        again?.subkeys.map((key) => key.revocations),
        certificate.subkeys.map((key) => key.revocations),
      );
    }
  });
});

describe("self-signatures", () => {
  test("user ids without one are not listed", () => {
    const forged = writeTestSignature(a, [a.hashedForm, hashedTestUserId("Somebody else")], { type: 0x13 });
    const stranger = writeTestSignature(b, [a.hashedForm, hashedTestUserId("Mallory")], { type: 0x13 });
    const bytes = Buffer.concat([
      certA,
      writeTestPacket(13, Buffer.from("Mallory")),
      writeTestPacket(2, forged),
      writeTestPacket(2, stranger),
      writeTestPacket(13, Buffer.from("Nobody")),
    ]);
    const { certificates, warnings } = parseKeyring(bytes, engine);
    assert.deepEqual(certificates[0]!.userIds, ["Test Key <test@example.com>"]);
    assert.match(warnings[0]!, /self-signature of user id "Mallory" does not verify/);
  });

  test("certifications by others are passed over in silence", () => {
    const other = writeTestSignature(b, [a.hashedForm, hashedTestUserId("Test Key <test@example.com>")], {
      type: 0x10,
    });
    const { certificates, warnings } = parseKeyring(Buffer.concat([certA, writeTestPacket(2, other)]), engine);
    assert.equal(certificates[0]!.identities[0]!.selfSignatures.length, 1);
    assert.deepEqual(warnings, []);
  });

  test("those of version 3 hash the bare user id", () => {
    const text = "Old Key";
    const old = writeTestSignature(a, [a.hashedForm, Buffer.from(text)], { version: 3, type: 0x10 });
    const bytes = Buffer.concat([
      writeTestPacket(6, a.body),
      writeTestPacket(13, Buffer.from(text)),
      writeTestPacket(2, old),
    ]);
    assert.deepEqual(parseKeyring(bytes, engine).certificates[0]!.userIds, [text]);
  });

  test("the primary user id comes first", () => {
    const userIds = [
      { text: "first" },
      { text: "second", certification: { hashed: [writeTestSubpacket(25, [1])] } },
      { text: "third" },
    ];
    const [certificate] = parseKeyring(writeTestCertificate(a, { userIds }), engine).certificates;
    assert.deepEqual(certificate!.userIds, ["second", "first", "third"]);
  });

  test("one with MD5, with an unknown critical part or without a time does not count, and is named", () => {
    const rsa = makeTestKey("rsa-2048");
    const odd = [{ hash: "MD5" as const }, { hashed: [writeTestSubpacket(99, [], true)] }, { created: null }];
    for (const certification of odd) {
      const bytes = writeTestCertificate(rsa, { userIds: [{ text: "x", certification }] });
      const { certificates, warnings } = parseKeyring(bytes, engine);
      assert.equal(certificates[0]!.identities[0]!.selfSignatures.length, 0);
      assert.match(warnings[0]!, /does not count/);
    }
  });
});

describe("makeKeyring", () => {
  test("finds keys by key id and by fingerprint", () => {
    const sub = makeTestKey("ed25519");
    const bytes = Buffer.concat([writeTestCertificate(a, { subkeys: [{ key: sub }] }), certB]);
    const keyring = makeKeyring(parseKeyring(bytes, engine).certificates);
    assert.equal(keyring.find(sub.keyId, undefined)[0]!.certificate.fingerprint, a.fingerprint);
    assert.equal(keyring.find(sub.keyId, sub.fingerprint).length, 1);
    assert.equal(keyring.find(sub.keyId, a.fingerprint).length, 0);
    assert.equal(keyring.find(c.keyId, undefined).length, 0);
  });

  test("makes one certificate out of copies, so that a revocation in any of them counts", () => {
    const revocation = writeTestSignature(a, [a.hashedForm], { type: 0x20 });
    const revoked = writeTestCertificate(a, { direct: [revocation] });
    for (const copies of [
      [certA, revoked],
      [revoked, certA],
    ]) {
      const keyring = makeKeyring(parseKeyring(Buffer.concat(copies), engine).certificates);
      assert.equal(keyring.certificates.length, 1);
      assert.equal(keyring.certificates[0]!.primary.revocations.length, 1);
      assert.equal(keyring.find(a.keyId, undefined).length, 1);
    }
  });

  test("makes one subkey out of copies under one primary key as well", () => {
    const sub = makeTestKey("ed25519");
    const revocation = writeTestSignature(a, [a.hashedForm, sub.hashedForm], { type: 0x28 });
    const bytes = writeTestCertificate(a, { subkeys: [{ key: sub }, { key: sub, more: [revocation] }] });
    const keyring = makeKeyring(parseKeyring(bytes, engine).certificates);
    const candidates = keyring.find(sub.keyId, undefined);
    assert.equal(candidates.length, 1);
    assert.equal(candidates[0]!.key.revocations.length, 1);
  });
});

test("changed keyrings throw format errors alone, and never hold a user id that was not signed", () => {
  const random = makeSeededRandom(7);
  const sources = [certA, certB, certC, armor(certA), read("containers-image-keys/public-key-with-subkey.gpg")];
  const known = new Set(["Test Key <test@example.com>", "c/image test key with subkey"]);
  for (let i = 0; i < 3000; i++) {
    const source = random.pick(sources);
    const changed = Buffer.from(source);
    for (let flips = random.integer(4); flips >= 0; flips--)
      changed[random.integer(changed.length)] = random.integer(256);
    const cut = random.integer(8) === 0 ? changed.subarray(0, random.integer(changed.length)) : changed;
    try {
      for (const { userIds } of parseKeyring(cut, engine).certificates) {
        assert.ok(
          userIds.every((text) => known.has(text)),
          String(userIds),
        );
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
});
