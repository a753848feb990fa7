import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  TEST_KEY_CREATED,
  makeTestKey,
  writeTestCertificate,
  writeTestMessage,
  writeTestPacket,
  writeTestSignature,
  writeTestSubpacket,
} from "@signet/testkit";
import type { TestOpenPgpKey } from "@signet/testkit";
import { FormatError } from "../errors.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { defaultSignedIdentity } from "../policy/identity-reader.ts";
import { keyBlobs, keyFiles } from "../policy/key-source.ts";
import type { KeySource } from "../policy/policy.ts";
import { verifySignedMessage } from "../verify/signed-message.ts";
import { TrustAnchors } from "../verify/trust-anchors.ts";
import type { Keyring } from "./keyring.ts";
import { makeKeyring, parseKeyring } from "./keyring.ts";

const alice = makeTestKey("ed25519");
const bob = makeTestKey("P-256");
const six = makeTestKey("ed25519", { version: 6 });
const subkey = makeTestKey("ed25519");
const now = (TEST_KEY_CREATED + 86_400) * 1000;

const aliceBytes = writeTestCertificate(alice, { subkeys: [{ key: subkey }] });
const bobBytes = writeTestCertificate(bob);

/** A revocation certificate, as gpg makes one with each key and its owner keeps for the worst day. */
function revocationOf(key: TestOpenPgpKey, by: TestOpenPgpKey = key): Buffer {
  const reason = writeTestSubpacket(29, [2]);
  return writeTestPacket(2, writeTestSignature(by, [key.hashedForm], { type: 0x20, hashed: [reason] })) as Buffer;
}

function armor(bytes: Uint8Array): Buffer {
  const text = Buffer.from(bytes).toString("base64");
  return Buffer.from(`-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n${text}\n-----END PGP PUBLIC KEY BLOCK-----\n`);
}

function judge(keyring: Keyring, signer: TestOpenPgpKey): string {
  const outcome = verifySignedMessage(writeTestMessage(signer, Buffer.from("x")), keyring, { engine, now });
  return outcome.verdict === "accepted" ? "accepted" : outcome.reasons.map(({ code }) => code).join(", ");
}

function judgeFile(bytes: Uint8Array, signer: TestOpenPgpKey): string {
  return judge(makeKeyring(parseKeyring(bytes, engine).certificates), signer);
}

describe("a revocation of the primary key counts wherever in the file it stands", () => {
  const revocation = revocationOf(alice);
  const [aliceKey, rest] = [
    aliceBytes.subarray(0, lengthOfFirst(aliceBytes)),
    aliceBytes.subarray(lengthOfFirst(aliceBytes)),
  ];
  const places: readonly (readonly [string, Uint8Array])[] = [
    ["behind the key", Buffer.concat([aliceKey, revocation, rest])],
    ["behind a user id", Buffer.concat([writeTestCertificate(alice), revocation, writeTestPacket(14, subkey.body)])],
    ["behind a subkey, at the end of the certificate", Buffer.concat([aliceBytes, revocation])],
    ["behind a subkey that cannot be read", Buffer.concat([aliceBytes, writeTestPacket(14, Buffer.of(5)), revocation])],
    ["behind a user attribute", Buffer.concat([aliceBytes, writeTestPacket(17, Buffer.of(1)), revocation])],
    ["behind another certificate", Buffer.concat([aliceBytes, bobBytes, revocation])],
    [
      "behind a certificate that cannot be read",
      Buffer.concat([aliceBytes, writeTestPacket(6, Buffer.of(9)), writeTestPacket(13, Buffer.of(65)), revocation]),
    ],
    ["in front of all", Buffer.concat([revocation, aliceBytes])],
    ["in an armored block of its own", Buffer.concat([armor(aliceBytes), armor(revocation)])],
    ["in an armored block of its own, in front", Buffer.concat([armor(revocation), armor(aliceBytes)])],
  ];
  for (const [name, bytes] of places) {
    test(name, () => {
      assert.equal(judgeFile(bytes, alice), "key-revocation");
      // A subkey falls with its primary key; Bob's key has nothing to do with it.
      assert.match(judgeFile(bytes, subkey), /^key-revocation/);
      assert.equal(judgeFile(Buffer.concat([armor(bobBytes), armor(bytes)]), bob), "accepted");
      // What is exported says the same.
      const [certificate] = parseKeyring(bytes, engine).certificates;
      assert.equal(judgeFile(certificate!.raw, alice), "key-revocation");
    });
  }

  test("version 6, and a key whose revocation uses a weak hash", () => {
    assert.equal(judgeFile(Buffer.concat([writeTestCertificate(six), revocationOf(six)]), six), "key-revocation");
    const weak = writeTestSignature(bob, [bob.hashedForm], { type: 0x20, hash: "SHA-1" });
    assert.equal(judgeFile(Buffer.concat([bobBytes, writeTestPacket(2, weak)]), bob), "key-revocation");
  });

  test("one that does not verify, is by another key or names no issuer does not count", () => {
    const forged = Buffer.from(revocation);
    forged[forged.length - 1]! ^= 1;
    const nameless = writeTestSignature(alice, [alice.hashedForm], { type: 0x20, issuer: "none" });
    for (const one of [forged, revocationOf(alice, bob), writeTestPacket(2, nameless)]) {
      assert.equal(judgeFile(Buffer.concat([aliceBytes, bobBytes, one]), alice), "accepted");
    }
    const warnings = parseKeyring(Buffer.concat([aliceBytes, forged]), engine).certificates[0]!.warnings;
    assert.match(warnings.join("\n"), /revocation of the primary key does not verify/);
  });

  test("more than 1,000 of them are refused, in one block or in many", () => {
    for (const bytes of [
      Buffer.concat([aliceBytes, ...Array.from({ length: 1001 }, () => revocation)]),
      Buffer.concat(Array.from({ length: 1001 }, () => armor(revocation))),
    ]) {
      assert.throws(
        () => parseKeyring(bytes, engine),
        (error) => error instanceof FormatError && error.code === "input-too-large",
      );
    }
  });
});

describe("a revocation in a key file of its own counts for the keys of the same requirement", () => {
  const files = new Map<string, Uint8Array>([
    ["/alice", armor(aliceBytes)],
    ["/bob", bobBytes],
    ["/revocation", armor(revocationOf(alice))],
  ]);

  function keyringOf(keys: KeySource): Keyring {
    const anchors = new TrustAnchors({ engine, readKeyFile: (path) => files.get(path)! });
    return anchors.keysOf({ type: "signedBy", keyType: "GPGKeys", keys, signedIdentity: defaultSignedIdentity })
      .keyring;
  }

  test("files, in any order", () => {
    for (const paths of [
      ["/alice", "/bob", "/revocation"],
      ["/revocation", "/bob", "/alice"],
    ]) {
      assert.equal(judge(keyringOf(keyFiles(paths)), alice), "key-revocation");
      assert.equal(judge(keyringOf(keyFiles(paths)), bob), "accepted");
    }
    assert.equal(judge(keyringOf(keyFiles(["/alice", "/bob"])), alice), "accepted");
  });

  test("octets inside a policy", () => {
    assert.equal(
      judge(keyringOf(keyBlobs([files.get("/alice")!, files.get("/revocation")!])), alice),
      "key-revocation",
    );
  });

  test("alone it is no key", () => {
    assert.throws(() => keyringOf(keyFiles(["/revocation"])), /No public keys imported/);
  });
});

describe("packets that may be unknown", () => {
  test("those of tag 40 and above are passed over inside a certificate (RFC 9580 section 4.3)", () => {
    for (const tag of [40, 60, 61, 63]) {
      const bytes = Buffer.concat([aliceBytes, writeTestPacket(tag, Buffer.from("comment")), bobBytes]);
      assert.equal(judgeFile(bytes, alice), "accepted", `tag ${tag}`);
    }
  });

  test("those below 40 make it unreadable", () => {
    for (const tag of [15, 22, 39]) {
      const bytes = Buffer.concat([aliceBytes, writeTestPacket(tag, Buffer.from("?")), bobBytes]);
      assert.equal(judgeFile(bytes, alice), "signer-known", `tag ${tag}`);
      assert.equal(judgeFile(bytes, bob), "accepted", `tag ${tag}`);
    }
  });
});

/** Octets of the first packet, whose header has one octet of length. */
function lengthOfFirst(bytes: Uint8Array): number {
  return 2 + bytes[1]!;
}
