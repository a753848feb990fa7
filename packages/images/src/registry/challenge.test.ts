import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { StoreError } from "@signet/core";
import fc from "fast-check";
import { parseChallenges } from "./challenge.ts";

interface Case {
  readonly lines: readonly string[];
  readonly challenges?: readonly { readonly scheme: string; readonly parameters: Readonly<Record<string, string>> }[];
  readonly error?: string;
}

const vectors = JSON.parse(
  readFileSync(new URL("../../../../vectors/auth/challenges.json", import.meta.url), "utf8"),
) as { readonly cases: readonly Case[] };

void describe("WWW-Authenticate", () => {
  for (const { lines, challenges, error: why } of vectors.cases) {
    if (challenges === undefined) {
      void it(`refuses ${why}`, () => {
        assert.throws(
          () => parseChallenges(lines),
          (error) => error instanceof StoreError && error.code === "registry-error",
        );
      });
    } else {
      void it(`reads ${challenges.length} challenges from ${JSON.stringify(lines).slice(0, 80)}`, () => {
        const read = parseChallenges(lines).map(({ scheme, parameters }) => ({
          scheme,
          parameters: Object.fromEntries(parameters),
        }));
        assert.deepEqual(read, challenges);
      });
    }
  }

  void it("takes an answer without the header for one without challenges", () => {
    assert.deepEqual(parseChallenges(undefined), []);
  });

  void it("T13: neither crashes nor hangs on anything", () => {
    const pieces = fc.constantFrom("Bearer", " ", ",", "=", '"', "\\", "realm", "a", "/", "\t", "\x00", "é", "==");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
        try {
          for (const { scheme } of parseChallenges([parts.join("")])) assert.match(scheme, /^\S+$/);
        } catch (error) {
          assert.ok(error instanceof StoreError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
