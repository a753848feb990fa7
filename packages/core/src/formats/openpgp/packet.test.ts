import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { writeTestPacket } from "@signet/testkit";
import type { PacketFraming } from "@signet/testkit";
import { OpenPgpFault } from "./fault.ts";
import { describeTag, peekTag, readPacket, writePacket } from "./packet.ts";

/** Lengths on both sides of every step of the two header formats. */
const lengths = [0, 1, 191, 192, 193, 255, 256, 8383, 8384, 65_535, 65_536];

describe("readPacket", () => {
  for (const length of lengths) {
    test(`reads ${length} octets in every framing, with what stands around`, () => {
      const body = new Uint8Array(length).fill(7);
      const framings: readonly PacketFraming[] = [
        { form: "new" },
        { form: "old" },
        { form: "parts", partOctets: length > 10_000 ? 32 : 1 },
        { form: "parts", partOctets: 64 },
        { form: "parts", partOctets: 8192 },
      ];
      for (const framing of framings) {
        const written = writeTestPacket(11, body, framing);
        const packet = readPacket(Buffer.concat([Buffer.from("ab"), written, Buffer.from("cd")]), 2);
        assert.equal(packet.tag, 11);
        assert.equal(packet.start, 2);
        assert.equal(packet.end, 2 + written.length);
        assert.deepEqual(Buffer.from(packet.body), Buffer.from(body), framing.form);
      }
      const toEnd = readPacket(writeTestPacket(8, body, { form: "to-end" }), 0);
      assert.deepEqual(Buffer.from(toEnd.body), Buffer.from(body));
      assert.equal(toEnd.end, length + 1);
    });

    test(`${length} octets written are the ones that another writer writes`, () => {
      const body = new Uint8Array(length).fill(9);
      assert.deepEqual(Buffer.from(writePacket(6, body)), Buffer.from(writeTestPacket(6, body)));
    });
  }

  test("reads old-format lengths of one, two and four octets", () => {
    for (const header of ["b403", "b50003", "b600000003"]) {
      const packet = readPacket(Buffer.from(`${header}616263`, "hex"), 0);
      assert.equal(packet.tag, 13);
      assert.equal(Buffer.from(packet.body).toString(), "abc");
    }
  });

  const faults: readonly (readonly [name: string, hex: string, rule: string])[] = [
    ["no octet", "", "packet-malformed"],
    ["an octet without the highest bit", "41", "packet-malformed"],
    ["the reserved tag in the old format", "8000", "packet-malformed"],
    ["the reserved tag in the new format", "c000", "packet-malformed"],
    ["no length", "cb", "message-truncated"],
    ["half of a two-octet length", "cbc0", "message-truncated"],
    ["half of a five-octet length", "cbff0000", "message-truncated"],
    ["half of an old length", "ae0000", "message-truncated"],
    ["a body that is too short", "cb0361", "message-truncated"],
    ["a first part that is too short", "cbe161", "message-truncated"],
    ["no length after a part", "cbe061", "message-truncated"],
    ["half of a length after a part", "cbe061c0", "message-truncated"],
    ["a part of 2^30 octets", "cbfe61", "message-truncated"],
    ["a user id in parts", "cde06100", "packet-malformed"],
    ["a user id without a length", "b761", "packet-malformed"],
  ];
  for (const [name, hex, rule] of faults) {
    test(`refuses ${name}`, () => {
      assert.throws(
        () => readPacket(Buffer.from(hex, "hex"), 0),
        (error: unknown) => error instanceof OpenPgpFault && error.rule === rule && error.code === "openpgp-malformed",
      );
    });
  }
});

test("peekTag reads both formats", () => {
  assert.equal(peekTag(Uint8Array.of(0xa3), 0), 8);
  assert.equal(peekTag(Uint8Array.of(0xc8), 0), 8);
  assert.equal(peekTag(Uint8Array.of(0x7f), 0), undefined);
  assert.equal(peekTag(Uint8Array.of(0xc8), 1), undefined);
});

test("describeTag has a name for packets that occur and a number for others", () => {
  assert.equal(describeTag(2), "signature packet");
  assert.equal(describeTag(40), "packet with tag 40");
});
