import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePolicy, writeRequirements } from "@signet/core";
import { readIdentity } from "./identity-option.ts";

const words: Readonly<Record<string, object>> = {
  exact: { type: "matchExact" },
  repo: { type: "matchRepository" },
  matchRepository: { type: "matchRepository" },
  "repo-digest-or-exact": { type: "matchRepoDigestOrExact" },
  "remap=a.b/c=d.e/f": { type: "remapIdentity", prefix: "a.b/c", signedPrefix: "d.e/f" },
  "remap=localhost:5000=d.e": { type: "remapIdentity", prefix: "localhost:5000", signedPrefix: "d.e" },
  "reference=d.e/f:1": { type: "exactReference", dockerReference: "d.e/f:1" },
  "repository=d.e/f": { type: "exactRepository", dockerRepository: "d.e/f" },
};

test("identities in short words become those of policy.json, which its readers take", () => {
  for (const [word, expected] of Object.entries(words)) {
    const identity = readIdentity(word, "trust set");
    assert.deepEqual(identity, expected, word);
    const rule = { type: "signedBy", keys: { kind: "files", paths: ["/k"] }, requireAll: false, identity } as const;
    parsePolicy(new TextEncoder().encode(JSON.stringify({ default: writeRequirements(rule) })));
  }
});

test("what is no rule, or one that no image could meet, is a usage error with the way out", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["any", /one of exact, repo/],
    ["constructor", /one of exact/],
    ["exact=", /one of exact/],
    ["reference", /one of exact/],
    ["remap", /write remap=/],
    ["remap=a.b", /write remap=/],
    ["remap=a.b=", /write remap=/],
    ["remap=a.b=c.d=e.f", /write remap=/],
    ["remap=team=a.b", /docker\.io\/team/],
    ["remap=a.b=team", /docker\.io\/team/],
    ["reference=a.b/c", /repository=a\.b\/c/],
    ["repository=A/B", /./],
  ];
  for (const [word, hint] of cases) {
    assert.throws(() => readIdentity(word, "trust set"), { code: "command-line-malformed", hint }, word);
  }
});
