import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestCertificateOptions, TestOpenPgpKey } from "@signet/testkit";
import {
  TEST_KEY_CREATED,
  hashedTestUserId,
  makeTestKey,
  writeTestCertificate,
  writeTestMessage,
  writeTestPacket,
  writeTestSignature,
  writeTestSubpacket,
} from "@signet/testkit";
import { assessCertificate } from "../keys/assessment.ts";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import type { OpenPgpSwitches } from "../keys/switches.ts";
import { MAX_CLOCK_SKEW_MS } from "../keys/switches.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { verifySignedMessage } from "./signed-message.ts";

const content = Buffer.from("{}");
const day = 86_400;
const t0 = TEST_KEY_CREATED;
const primary = makeTestKey("ed25519");
const sub = makeTestKey("ed25519");
const six = makeTestKey("ed25519", { version: 6 });
const sixSub = makeTestKey("ed448", { version: 6 });

interface Situation {
  readonly certificates: readonly Uint8Array[];
  readonly signer?: TestOpenPgpKey;
  /** Seconds since 1970. Default an hour after the key's creation. */
  readonly signedAt?: number;
  /** Seconds since 1970. Default 100 days after the key's creation. */
  readonly now?: number;
  readonly switches?: OpenPgpSwitches;
}

/** "accepted", or the codes of the reasons. */
function judge({
  certificates,
  signer = primary,
  signedAt = t0 + 3600,
  now = t0 + 100 * day,
  switches = {},
}: Situation): string {
  const keyring = makeKeyring(parseKeyring(Buffer.concat(certificates), engine).certificates);
  const message = writeTestMessage(signer, content, { created: signedAt });
  const outcome = verifySignedMessage(message, keyring, { engine, now: now * 1000, switches });
  return outcome.verdict === "accepted" ? "accepted" : outcome.reasons.map(({ code }) => code).join(" ");
}

function certificate(options: TestCertificateOptions = {}, key: TestOpenPgpKey = primary): Uint8Array {
  return writeTestCertificate(key, options);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A revocation: of the primary key, or of `subkey`. */
function revocation(
  options: { code?: number; created?: number; subkey?: TestOpenPgpKey; by?: TestOpenPgpKey; key?: TestOpenPgpKey } = {},
): Uint8Array {
  const { code, created = t0 + 50 * day, subkey, key = primary, by = key } = options;
  const data = subkey === undefined ? [key.hashedForm] : [key.hashedForm, subkey.hashedForm];
  const hashed = code === undefined ? [] : [writeTestSubpacket(29, [code, 0x78])];
  return writeTestSignature(by, data, { type: subkey === undefined ? 0x20 : 0x28, created, hashed });
}

/** Every relaxation. */
const lenient: OpenPgpSwitches = {
  allowSha1Signatures: true,
  allowRipemd160Signatures: true,
  allowDsaSignatures: true,
  acceptKeyExpiredSinceSigning: true,
  acceptSubkeyExpiredSinceSigning: true,
  acceptSoftRevocationAfterSigning: true,
  acceptSignaturesFromTheFuture: true,
};

describe("expiry of the primary key", () => {
  const certificates = [certificate({ keyExpiresAfter: 10 * day })];
  const end = t0 + 10 * day;

  test("it is valid until the second at which it expires", () => {
    assert.equal(judge({ certificates, now: end - 1 }), "accepted");
    assert.equal(judge({ certificates, now: end }), "key-expiry");
  });

  test("acceptKeyExpiredSinceSigning accepts what it signed before, and nothing after", () => {
    const switches = { acceptKeyExpiredSinceSigning: true };
    assert.equal(judge({ certificates, switches }), "accepted");
    assert.equal(judge({ certificates, switches, signedAt: end - 1 }), "accepted");
    assert.equal(judge({ certificates, switches, signedAt: end }), "key-expiry");
    assert.equal(judge({ certificates, switches: { ...lenient, acceptKeyExpiredSinceSigning: false } }), "key-expiry");
  });

  test("the newest self-signature decides", () => {
    const longer = writeTestSignature(primary, [primary.hashedForm, hashedTestUserId("A")], {
      type: 0x13,
      created: t0 + 5 * day,
      hashed: [writeTestSubpacket(27, [3]), writeTestSubpacket(9, uint32(200 * day))],
    });
    const userIds = [{ text: "A", more: [longer] }];
    assert.equal(judge({ certificates: [certificate({ keyExpiresAfter: 10 * day, userIds })] }), "accepted");
    // Before it was made, the older one counted.
    const keyring = [certificate({ keyExpiresAfter: 4 * day, userIds })];
    assert.equal(judge({ certificates: keyring, now: t0 + 4 * day + 10 }), "key-expiry");
    assert.equal(judge({ certificates: keyring, now: t0 + 6 * day }), "accepted");
  });

  test("a self-signature that has itself expired no longer counts", () => {
    const userIds = [{ text: "A", certification: { expiresAfter: 10 * day } }];
    assert.equal(judge({ certificates: [certificate({ userIds })], now: t0 + 9 * day }), "accepted");
    assert.equal(judge({ certificates: [certificate({ userIds })], now: t0 + 10 * day }), "key-self-signature");
  });

  test("version 6 keys say it in their direct-key signature", () => {
    const sixes = [certificate({ keyExpiresAfter: 10 * day, userIds: [] }, six)];
    assert.equal(judge({ certificates: sixes, signer: six, now: end - 1 }), "accepted");
    assert.equal(judge({ certificates: sixes, signer: six, now: end }), "key-expiry");
  });

  test("the outcome says until when all can stay as it is", () => {
    const keyring = makeKeyring(parseKeyring(certificates[0]!, engine).certificates);
    const message = writeTestMessage(primary, content, { expiresAfter: 20 * day });
    const outcome = verifySignedMessage(message, keyring, { engine, now: (t0 + day) * 1000 });
    assert.equal(outcome.verdict === "accepted" && outcome.validUntil, end * 1000);
  });
});

describe("expiry of a signing subkey", () => {
  const certificates = [
    certificate({ subkeys: [{ key: sub, binding: { hashed: [writeTestSubpacket(9, uint32(10 * day))] } }] }),
  ];
  const end = t0 + 10 * day;

  test("it is valid until the second at which it expires, and its primary key beyond", () => {
    assert.equal(judge({ certificates, signer: sub, now: end - 1 }), "accepted");
    assert.equal(judge({ certificates, signer: sub, now: end }), "subkey-expiry");
    assert.equal(judge({ certificates, now: end }), "accepted");
  });

  test("acceptSubkeyExpiredSinceSigning is its own switch", () => {
    assert.equal(judge({ certificates, signer: sub, switches: { acceptSubkeyExpiredSinceSigning: true } }), "accepted");
    assert.equal(
      judge({ certificates, signer: sub, switches: { acceptKeyExpiredSinceSigning: true } }),
      "subkey-expiry",
    );
    assert.equal(judge({ certificates, signer: sub, signedAt: end, switches: lenient }), "subkey-expiry");
  });

  test("an expired primary key takes its subkeys along", () => {
    const expired = [certificate({ keyExpiresAfter: 10 * day, subkeys: [{ key: sub }] })];
    assert.equal(judge({ certificates: expired, signer: sub }), "key-expiry");
    assert.equal(
      judge({ certificates: expired, signer: sub, switches: { acceptKeyExpiredSinceSigning: true } }),
      "accepted",
    );
    assert.equal(
      judge({ certificates: expired, signer: sub, switches: { acceptSubkeyExpiredSinceSigning: true } }),
      "key-expiry",
    );
  });
});

describe("revocation", () => {
  test("of the primary key counts for ever, for it and for its subkeys, whatever the reason", () => {
    for (const code of [undefined, 0, 1, 2, 3, 32, 100]) {
      const direct = [revocation(code === undefined ? {} : { code })];
      const certificates = [certificate({ direct, subkeys: [{ key: sub }] })];
      assert.equal(judge({ certificates }), "key-revocation");
      assert.equal(judge({ certificates, signer: sub }), "key-revocation");
      assert.equal(judge({ certificates, now: t0 + day }), "key-revocation");
    }
  });

  test("acceptSoftRevocationAfterSigning accepts what was signed before a soft one alone", () => {
    const switches = { acceptSoftRevocationAfterSigning: true };
    for (const [code, expected] of [
      [1, "accepted"],
      [3, "accepted"],
      [0, "key-revocation"],
      [2, "key-revocation"],
      [32, "key-revocation"],
    ] as const) {
      const certificates = [certificate({ direct: [revocation({ code })] })];
      assert.equal(judge({ certificates, switches }), expected, `reason ${code}`);
      assert.equal(judge({ certificates, switches, signedAt: t0 + 50 * day }), "key-revocation", `reason ${code}`);
    }
    const hardToo = [
      certificate({ direct: [revocation({ code: 1 }), revocation({ code: 2, created: t0 + 90 * day })] }),
    ];
    assert.equal(judge({ certificates: hardToo, switches }), "key-revocation");
    const noReason = [certificate({ direct: [revocation()] })];
    assert.equal(judge({ certificates: noReason, switches }), "key-revocation");
  });

  test("of a subkey leaves its primary key alone, and a newer binding does not undo it", () => {
    const again = writeTestSignature(primary, [primary.hashedForm, sub.hashedForm], {
      type: 0x18,
      created: t0 + 60 * day,
      hashed: [writeTestSubpacket(27, [2])],
      unhashed: [writeTestSubpacket(32, writeTestSignature(sub, [primary.hashedForm, sub.hashedForm], { type: 0x19 }))],
    });
    const certificates = [
      certificate({ subkeys: [{ key: sub, more: [revocation({ subkey: sub, code: 1 }), again] }] }),
    ];
    assert.equal(judge({ certificates }), "accepted");
    assert.equal(judge({ certificates, signer: sub }), "subkey-revocation");
    assert.equal(
      judge({ certificates, signer: sub, switches: { acceptSoftRevocationAfterSigning: true } }),
      "accepted",
    );
  });

  test("counts with a weak hash and with unknown critical parts, where other signatures would not", () => {
    const rsa = makeTestKey("rsa-2048");
    for (const options of [
      { hash: "MD5" as const },
      { hashed: [writeTestSubpacket(99, [], true)] },
      { created: null },
    ]) {
      const direct = [writeTestSignature(rsa, [rsa.hashedForm], { type: 0x20, ...options })];
      assert.equal(
        judge({ certificates: [certificate({ direct }, rsa)], signer: rsa, switches: lenient }),
        "key-revocation",
      );
    }
  });

  test("with a hash that nobody knows cannot be checked, and counts", () => {
    const unknown = Uint8Array.from(revocation());
    unknown[3] = 99;
    assert.equal(judge({ certificates: [certificate({ direct: [unknown] })] }), "key-revocation");
  });

  test("that does not verify, or is by another key, does not count", () => {
    const forged = Uint8Array.from(revocation());
    forged[forged.length - 1]! ^= 1;
    assert.equal(judge({ certificates: [certificate({ direct: [forged] })] }), "accepted");
    assert.equal(judge({ certificates: [certificate({ direct: [revocation({ by: sub })] })] }), "accepted");
    const elsewhere = revocation({ key: six });
    assert.equal(judge({ certificates: [certificate({ direct: [elsewhere] })] }), "accepted");
  });

  test("of the only user id leaves nothing that describes the key, until it is certified again", () => {
    const data = [primary.hashedForm, hashedTestUserId("A")];
    const gone = writeTestSignature(primary, data, { type: 0x30, created: t0 + 10 * day });
    const back = writeTestSignature(primary, data, {
      type: 0x13,
      created: t0 + 20 * day,
      hashed: [writeTestSubpacket(27, [3])],
    });
    assert.equal(
      judge({ certificates: [certificate({ userIds: [{ text: "A", more: [gone] }] })] }),
      "key-self-signature",
    );
    assert.equal(judge({ certificates: [certificate({ userIds: [{ text: "A", more: [gone, back] }] })] }), "accepted");
    const [parsed] = parseKeyring(
      certificate({ userIds: [{ text: "A", more: [gone] }, { text: "B" }] }),
      engine,
    ).certificates;
    assert.deepEqual(parsed?.userIds, ["B"]);
  });
});

describe("what a key may do", () => {
  test("a primary key without the sign flag cannot sign, its signing subkey can", () => {
    const certificates = [certificate({ flags: 1, subkeys: [{ key: sub }] })];
    assert.equal(judge({ certificates }), "key-usage");
    assert.equal(judge({ certificates, signer: sub }), "accepted");
  });

  test("a subkey without the sign flag cannot", () => {
    assert.equal(
      judge({ certificates: [certificate({ subkeys: [{ key: sub, flags: 0x0c }] })], signer: sub }),
      "key-usage",
    );
  });

  test("without any flags a version 4 key may sign, a version 6 key may not", () => {
    assert.equal(judge({ certificates: [certificate({ flags: null })] }), "accepted");
    assert.equal(judge({ certificates: [certificate({ flags: null }, six)], signer: six }), "key-usage");
  });

  test("a key without any self-signature cannot sign", () => {
    assert.equal(judge({ certificates: [writeTestPacket(6, primary.body)] }), "key-self-signature");
    const bare = Buffer.concat([writeTestPacket(6, primary.body), writeTestPacket(13, Buffer.from("A"))]);
    assert.equal(judge({ certificates: [bare] }), "key-self-signature");
  });

  test("a key made after now cannot, but for the skew", () => {
    const skew = MAX_CLOCK_SKEW_MS / 1000;
    assert.equal(judge({ certificates: [certificate()], signedAt: t0, now: t0 - skew }), "accepted");
    const early = judge({ certificates: [certificate()], signedAt: t0, now: t0 - skew - 1, switches: lenient });
    assert.match(early, /key-creation-time/);
  });

  test("a self-signature with SHA-1 counts, with a warning", () => {
    const rsa = makeTestKey("rsa-2048");
    const weak = certificate({ userIds: [{ text: "A", certification: { hash: "SHA-1" } }] }, rsa);
    const keyring = makeKeyring(parseKeyring(weak, engine).certificates);
    const outcome = verifySignedMessage(writeTestMessage(rsa, content), keyring, { engine, now: (t0 + day) * 1000 });
    assert.equal(outcome.verdict, "accepted");
    assert.ok(
      outcome.checks.some(({ name, outcome: result }) => name === "key-self-signature" && result === "warning"),
    );
  });
});

describe("subkeys and their primary key", () => {
  test("version 6: a subkey of another algorithm signs for its primary key", () => {
    const keyring = makeKeyring(parseKeyring(certificate({ subkeys: [{ key: sixSub }] }, six), engine).certificates);
    const outcome = verifySignedMessage(writeTestMessage(sixSub, content), keyring, { engine, now: (t0 + day) * 1000 });
    assert.equal(outcome.verdict === "accepted" && outcome.certificate.fingerprint, six.fingerprint);
    assert.equal(outcome.verdict === "accepted" && outcome.signingFingerprint, sixSub.fingerprint);
  });

  test("a subkey that did not sign back cannot sign: anybody can claim anybody's key", () => {
    const mallory = makeTestKey("ed25519");
    const certificates = [certificate({ subkeys: [{ key: sub, isSignedBack: false }] }, mallory)];
    assert.equal(judge({ certificates, signer: sub }), "subkey-binding");
    // The rightful holder stands beside the thief, in either order.
    const rightful = certificate({ subkeys: [{ key: sub }] });
    for (const order of [
      [rightful, ...certificates],
      [...certificates, rightful],
    ]) {
      const keyring = makeKeyring(parseKeyring(Buffer.concat(order), engine).certificates);
      const outcome = verifySignedMessage(writeTestMessage(sub, content), keyring, { engine, now: (t0 + day) * 1000 });
      assert.equal(outcome.verdict === "accepted" && outcome.certificate.fingerprint, primary.fingerprint);
    }
  });

  test("a back signature for another primary key, by another key or of another type does not count", () => {
    const mallory = makeTestKey("ed25519");
    const data = [mallory.hashedForm, sub.hashedForm];
    const backs = [
      writeTestSignature(sub, [primary.hashedForm, sub.hashedForm], { type: 0x19 }),
      writeTestSignature(mallory, data, { type: 0x19 }),
      writeTestSignature(sub, data, { type: 0x18 }),
      Buffer.from("nonsense"),
    ];
    for (const back of backs) {
      const binding = writeTestSignature(mallory, data, {
        type: 0x18,
        hashed: [writeTestSubpacket(27, [2])],
        unhashed: [writeTestSubpacket(32, back)],
      });
      const bytes = Buffer.concat([
        certificate({}, mallory),
        writeTestPacket(14, sub.body),
        writeTestPacket(2, binding),
      ]);
      assert.equal(judge({ certificates: [bytes], signer: sub }), "subkey-binding");
    }
  });

  test("a binding by another key, or none, does not make a subkey", () => {
    const foreign = writeTestSignature(six, [primary.hashedForm, sub.hashedForm], { type: 0x18, version: 6 });
    for (const packets of [[], [writeTestPacket(2, foreign)]]) {
      const bytes = Buffer.concat([certificate(), writeTestPacket(14, sub.body), ...packets]);
      assert.equal(judge({ certificates: [bytes], signer: sub }), "subkey-binding");
    }
  });

  test("a subkey under two primary keys signs for the one that is still good", () => {
    const other = makeTestKey("ed25519");
    const revoked = certificate({ direct: [revocation()], subkeys: [{ key: sub }] });
    const fine = certificate({ subkeys: [{ key: sub }] }, other);
    for (const certificates of [
      [revoked, fine],
      [fine, revoked],
    ])
      assert.equal(judge({ certificates, signer: sub }), "accepted");
    assert.equal(judge({ certificates: [revoked], signer: sub }), "key-revocation");
  });

  test("the primary key cannot come back as its own subkey", () => {
    const certificates = [certificate({ direct: [revocation()], subkeys: [{ key: primary }] })];
    assert.equal(judge({ certificates }), "key-revocation");
    const flagless = [certificate({ flags: 1, subkeys: [{ key: primary }] })];
    assert.equal(judge({ certificates: flagless }), "key-usage");
  });

  test("keys with the same key id are all tried", () => {
    // Real collisions cost 2^64 steps; here a second certificate is given the id of the first.
    const [real] = parseKeyring(certificate(), engine).certificates;
    const [other] = parseKeyring(certificate({}, sub), engine).certificates;
    const double = { ...other!, primary: { ...other!.primary, keyId: real!.primary.keyId } };
    for (const certificates of [
      [real!, double],
      [double, real!],
    ]) {
      const message = writeTestMessage(primary, content, { version: 3 });
      const outcome = verifySignedMessage(message, makeKeyring(certificates), { engine, now: (t0 + day) * 1000 });
      assert.equal(outcome.verdict === "accepted" && outcome.certificate.fingerprint, primary.fingerprint);
    }
  });
});

test("all reasons that can be found are given", () => {
  const certificates = [certificate({ flags: 1, keyExpiresAfter: 10 * day, direct: [revocation()] })];
  assert.equal(judge({ certificates }), "key-revocation key-expiry key-usage");
});

describe("assessCertificate", () => {
  const assess = (bytes: Uint8Array, at = t0 + day): readonly string[] => {
    const [parsed] = parseKeyring(bytes, engine).certificates;
    return assessCertificate(parsed!, at * 1000).keys.map(({ status }) => status);
  };

  test("says of each key whether it can sign, and why not", () => {
    assert.deepEqual(assess(certificate({ subkeys: [{ key: sub }] })), ["usable", "usable"]);
    assert.deepEqual(assess(certificate({ flags: 1, subkeys: [{ key: sub }] })), ["not-for-signing", "usable"]);
    assert.deepEqual(assess(certificate({ subkeys: [{ key: sub, flags: 0x0c }] })), ["usable", "not-for-signing"]);
    assert.deepEqual(assess(certificate({ keyExpiresAfter: 10, subkeys: [{ key: sub }] })), ["expired", "expired"]);
    assert.deepEqual(assess(certificate({ direct: [revocation()], subkeys: [{ key: sub }] })), ["revoked", "revoked"]);
    assert.deepEqual(assess(certificate(), t0 - day), ["invalid"]);
    assert.deepEqual(assess(writeTestPacket(6, primary.body)), ["invalid"]);
    assert.deepEqual(assess(certificate({ subkeys: [{ key: sub, isSignedBack: false }] })), [
      "usable",
      "not-for-signing",
    ]);
  });

  test("gives expiry, revocation and signing keys", () => {
    const bytes = certificate({
      keyExpiresAfter: 10 * day,
      subkeys: [{ key: sub, more: [revocation({ subkey: sub, code: 3 })] }],
    });
    const [parsed] = parseKeyring(bytes, engine).certificates;
    const assessment = assessCertificate(parsed!, (t0 + day) * 1000);
    assert.equal(assessment.keys[0]!.expiresAt, (t0 + 10 * day) * 1000);
    assert.equal(assessment.keys[1]!.status, "revoked");
    assert.deepEqual(assessment.keys[1]!.revocation, {
      created: (t0 + 50 * day) * 1000,
      code: 3,
      reason: "x",
      isHard: false,
    });
    assert.deepEqual(assessment.signingKeys, [primary.fingerprint]);
  });

  test("agrees with the judgement of a message signed now", () => {
    const cases: readonly TestCertificateOptions[] = [
      {},
      { flags: 1 },
      { flags: null },
      { keyExpiresAfter: day },
      { keyExpiresAfter: 1000 * day },
      { direct: [revocation({ code: 1 })] },
      { userIds: [] },
      { subkeys: [{ key: sub }] },
      { subkeys: [{ key: sub, isSignedBack: false }] },
      { flags: 1, subkeys: [{ key: sub, more: [revocation({ subkey: sub })] }] },
    ];
    const at = t0 + 99 * day;
    for (const options of cases) {
      const bytes = certificate(options);
      const [parsed] = parseKeyring(bytes, engine).certificates;
      const { signingKeys } = assessCertificate(parsed!, at * 1000);
      for (const signer of [primary, ...(options.subkeys === undefined ? [] : [sub])]) {
        const verdict = judge({ certificates: [bytes], signer, signedAt: at, now: at });
        assert.equal(
          verdict === "accepted",
          signingKeys.includes(signer.fingerprint),
          JSON.stringify(Object.keys(options)),
        );
      }
    }
  });
});
