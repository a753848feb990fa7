import assert from "node:assert/strict";
import { test } from "node:test";
import {
  TEST_KEY_CREATED,
  makeSeededRandom,
  makeTestKey,
  writeTestCertificate,
  writeTestMessage,
  writeTestSignature,
  writeTestSubpacket,
} from "@signet/testkit";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import type { OpenPgpSwitches } from "../keys/switches.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { verifySignedMessage } from "./signed-message.ts";

/**
 * Clock-driven property: whatever the times of key, subkey, signature and revocation are, the verdict is that of a model of ten lines. All times in the
 * cases are small numbers of seconds after the keys' creation, so that they often meet.
 */

const t0 = TEST_KEY_CREATED;
const content = Buffer.from("{}");
const primary = makeTestKey("ed25519");
const subkey = makeTestKey("ed25519");

interface Times {
  readonly signedAt: number;
  readonly signatureEnds: number | undefined;
  readonly keyEnds: number | undefined;
  readonly subkeyEnds: number | undefined;
  readonly revokedAt: number | undefined;
  readonly isRevocationSoft: boolean;
  readonly bySubkey: boolean;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function judge(times: Times): (now: number, switches: OpenPgpSwitches) => ReturnType<typeof verifySignedMessage> {
  const direct =
    times.revokedAt === undefined
      ? []
      : [
          writeTestSignature(primary, [primary.hashedForm], {
            type: 0x20,
            created: t0 + times.revokedAt,
            hashed: [writeTestSubpacket(29, [times.isRevocationSoft ? 3 : 2])],
          }),
        ];
  const certificate = writeTestCertificate(primary, {
    direct,
    ...(times.keyEnds === undefined ? {} : { keyExpiresAfter: times.keyEnds }),
    subkeys: [
      {
        key: subkey,
        binding: { hashed: times.subkeyEnds === undefined ? [] : [writeTestSubpacket(9, uint32(times.subkeyEnds))] },
      },
    ],
  });
  const message = writeTestMessage(times.bySubkey ? subkey : primary, content, {
    created: t0 + times.signedAt,
    ...(times.signatureEnds === undefined ? {} : { expiresAfter: times.signatureEnds - times.signedAt }),
  });
  const keyring = makeKeyring(parseKeyring(certificate, engine).certificates);
  return (now, switches) => verifySignedMessage(message, keyring, { engine, now: (t0 + now) * 1000, switches });
}

/** What ends by `now`, and had not ended when the signature was made, can be forgiven by its switch. */
function shouldAccept(times: Times, now: number, switches: OpenPgpSwitches): boolean {
  const stands = (end: number | undefined, isForgiven: boolean | undefined): boolean =>
    end === undefined || now < end || (isForgiven === true && times.signedAt < end);
  if (!stands(times.signatureEnds, false)) return false;
  if (!stands(times.keyEnds, switches.acceptKeyExpiredSinceSigning)) return false;
  if (times.keyEnds !== undefined && times.signedAt >= times.keyEnds) return false;
  if (times.bySubkey && !stands(times.subkeyEnds, switches.acceptSubkeyExpiredSinceSigning)) return false;
  if (times.bySubkey && times.subkeyEnds !== undefined && times.signedAt >= times.subkeyEnds) return false;
  if (times.revokedAt === undefined) return true;
  return (
    times.isRevocationSoft && switches.acceptSoftRevocationAfterSigning === true && times.signedAt < times.revokedAt
  );
}

test("the verdict follows the times of key, subkey, signature and revocation, and `validUntil` is where it turns", () => {
  const random = makeSeededRandom(28);
  const maybe = (from: number): number | undefined => (random.integer(2) === 0 ? undefined : from + random.integer(20));
  let accepted = 0;
  let turned = 0;
  for (let i = 0; i < 300; i++) {
    const signedAt = random.integer(20);
    const times: Times = {
      signedAt,
      signatureEnds: maybe(signedAt + 1),
      keyEnds: maybe(1),
      subkeyEnds: maybe(1),
      revokedAt: random.integer(4) === 0 ? random.integer(30) : undefined,
      isRevocationSoft: random.integer(2) === 0,
      bySubkey: random.integer(2) === 0,
    };
    const verdictAt = judge(times);
    for (let j = 0; j < 12; j++) {
      const now = random.integer(50);
      const switches: OpenPgpSwitches = {
        acceptKeyExpiredSinceSigning: random.integer(2) === 0,
        acceptSubkeyExpiredSinceSigning: random.integer(2) === 0,
        acceptSoftRevocationAfterSigning: random.integer(2) === 0,
      };
      const outcome = verdictAt(now, switches);
      const expected = shouldAccept(times, now, switches);
      assert.equal(outcome.verdict === "accepted", expected, JSON.stringify({ times, now, switches }));
      if (outcome.verdict !== "accepted") continue;
      accepted++;
      // A relaxation may already have outlived the end that it forgives.
      if (outcome.validUntil === undefined || outcome.validUntil / 1000 - t0 <= now) continue;
      const end = outcome.validUntil / 1000 - t0;
      assert.equal(verdictAt(end - 1, switches).verdict, "accepted");
      assert.equal(verdictAt(end, {}).verdict, "rejected");
      turned++;
    }
  }
  assert.ok(accepted > 300 && turned > 100, `${accepted} accepted, ${turned} turning points`);
});
