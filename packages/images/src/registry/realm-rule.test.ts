import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { StoreError } from "@signet/core";
import { checkRealm, ownDomain } from "./realm-rule.ts";

interface Case {
  readonly registry: string;
  readonly realm: string;
  readonly credentials: boolean;
  readonly trustedRealms?: readonly string[];
  readonly allowed: boolean;
  readonly why?: string;
}

const vectors = JSON.parse(readFileSync(new URL("../../../../vectors/auth/realms.json", import.meta.url), "utf8")) as {
  readonly cases: readonly Case[];
};

void describe("token realm rule (T14)", () => {
  for (const { registry, realm, credentials, trustedRealms = [], allowed, why } of vectors.cases) {
    const judge = (): URL =>
      checkRealm(realm, { registry: new URL(registry), name: "registry.test", trustedRealms }, credentials);
    const what = credentials ? "credentials" : "an anonymous request";
    if (allowed) {
      void it(`sends ${what} for ${new URL(registry).host} to ${new URL(realm).host}`, () => {
        assert.equal(judge().href, new URL(realm).href);
      });
    } else {
      void it(`CVE-2026-33540: does not send ${what} to ${why}`, () => {
        assert.throws(
          judge,
          (error) => error instanceof StoreError && /^registry-(url-refused|error)$/.test(error.code),
        );
      });
    }
  }

  void it("finds the part of a name that its owner registered, or none where that cannot be told", () => {
    const expected: Record<string, string | undefined> = {
      "registry.example.com": "example.com",
      "a.b.example.com.": "example.com",
      "example.co.uk": "example.co.uk",
      "co.uk": undefined,
      localhost: undefined,
      "10.0.0.1": undefined,
      "::1": undefined,
      "x.github.io": undefined,
    };
    for (const [host, domain] of Object.entries(expected)) assert.equal(ownDomain(host), domain, host);
  });
});
