import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseReference } from "../../reference/reference.ts";
import { matchSignedIdentity } from "../identity-match.ts";
import { dockerPolicyIdentity, pathPolicyIdentity } from "../image-identity.ts";
import { parsePolicy } from "../policy-document.ts";
import type { KeySource, Policy, Requirement, SignedIdentity } from "../policy.ts";
import { findGoverningScope } from "../scope-lookup.ts";
import type { KeyReading, ReadComparedKeys } from "./compared-keys.ts";
import { isIdentityWithin } from "./identity-order.ts";
import { lessSpecificScopes } from "./less-specific-scopes.ts";
import { type PolicyChange, type ScopeDiff, diffPolicies } from "./policy-diff.ts";

function policyOf(document: object): Policy {
  return parsePolicy(new TextEncoder().encode(JSON.stringify(document)), "test");
}

/** A file `ab.gpg` holds the keys a and b; capital letters are other copies of the same keys; `missing…` cannot be read. */
const readKeys: ReadComparedKeys = (source) => {
  assert.equal(source.kind, "files");
  const paths = source.kind === "files" ? source.paths : [];
  const missing = paths.find((path) => path.startsWith("missing"));
  if (missing !== undefined) return { kind: "unreadable", why: `no ${missing}` };
  const letters = [...new Set(paths.flatMap((path) => Array.from(path.replace(/\.(?:gpg|pem)$/, ""))))];
  return { kind: "keys", keys: letters.map((letter) => ({ id: letter.toLowerCase(), content: letter })) };
};

type Json = Readonly<Record<string, unknown>>;
const accept: Json = { type: "insecureAcceptAnything" };
const reject: Json = { type: "reject" };
const signedBy = (keys: string | readonly string[], more: Json = {}): Json => ({
  type: "signedBy",
  keyType: "GPGKeys",
  ...(typeof keys === "string" ? { keyPath: `${keys}.gpg` } : { keyPaths: keys }),
  ...more,
});
const identity = (signedIdentity: Json): Json => ({ signedIdentity });
const sigstore = (keys: string, more: Json = {}): Json => ({ type: "sigstoreSigned", keyPath: `${keys}.pem`, ...more });

/** The one scope of two policies that hold nothing else. */
function compare(before: readonly Json[], after: readonly Json[]): ScopeDiff {
  return diffPolicies(policyOf({ default: before }), policyOf({ default: after }), readKeys).scopes[0]!;
}

const opposite: Readonly<Record<PolicyChange, PolicyChange>> = {
  same: "same",
  stricter: "looser",
  looser: "stricter",
  different: "different",
};

describe("requirements", () => {
  const cases: readonly (readonly [string, readonly Json[], readonly Json[], PolicyChange])[] = [
    ["nothing changed", [signedBy("a")], [signedBy("a")], "same"],
    ["a signature is demanded", [accept], [signedBy("a")], "stricter"],
    ["everything is rejected", [signedBy("a")], [reject], "stricter"],
    [
      "two ways to reject everything",
      [reject],
      [{ type: "signedBy", keyType: "X509Certificates", keyPath: "a" }],
      "same",
    ],
    [
      "a base layer never fits",
      [reject],
      [{ type: "signedBaseLayer", baseLayerIdentity: { type: "matchExact" } }],
      "same",
    ],
    ["fewer keys", [signedBy("ab")], [signedBy("a")], "stricter"],
    ["the same keys in other files", [signedBy("ab")], [signedBy(["b.gpg", "a.gpg"])], "same"],
    ["other keys", [signedBy("a")], [signedBy("b")], "different"],
    ["another copy of a key", [signedBy("a")], [signedBy("A")], "different"],
    ["a further requirement", [signedBy("a")], [signedBy("a"), signedBy("b")], "stricter"],
    ["their order does not matter", [signedBy("a"), signedBy("b")], [signedBy("b"), signedBy("a")], "same"],
    ["one that accepts everything adds nothing", [signedBy("a")], [accept, signedBy("a")], "same"],
    ["one that rejects everything decides", [signedBy("a"), signedBy("b")], [signedBy("c"), reject], "stricter"],
    ["a narrower identity", [signedBy("a")], [signedBy("a", identity({ type: "matchExact" }))], "stricter"],
    ["a wider identity", [signedBy("a")], [signedBy("a", identity({ type: "matchRepository" }))], "looser"],
    [
      "fewer keys for a wider identity",
      [signedBy("ab")],
      [signedBy("a", identity({ type: "matchRepository" }))],
      "different",
    ],
    ["one kind of signature for another", [signedBy("a")], [sigstore("a")], "different"],
    ["a transparency log is demanded", [sigstore("a")], [sigstore("a", { rekorPublicKeyPath: "r.pem" })], "stricter"],
    [
      "a further log will do",
      [sigstore("a", { rekorPublicKeyPath: "r.pem" })],
      [sigstore("a", { rekorPublicKeyPaths: ["r.pem", "s.pem"] })],
      "looser",
    ],
  ];
  for (const [title, before, after, change] of cases) {
    test(`${title}: ${change}`, () => {
      assert.equal(compare(before, after).change, change);
      assert.equal(compare(after, before).change, opposite[change]);
      assert.equal(compare(after, before).reasons.length > 0, change !== "same");
    });
  }

  test("certificates of an own authority: fewer roots and more named subjects are stricter, another subject is different", () => {
    const pki = (roots: string, more: Json): Json => ({
      type: "sigstoreSigned",
      pki: { caRootsPath: `${roots}.pem`, ...more },
    });
    const both = { subjectEmail: "a@example.com", subjectHostname: "a.example.com" };
    const one = { subjectEmail: "a@example.com" };
    assert.equal(compare([pki("ab", one)], [pki("a", one)]).change, "stricter");
    assert.equal(compare([pki("a", one)], [pki("a", both)]).change, "stricter");
    assert.equal(compare([pki("a", one)], [pki("a", { subjectHostname: "a.example.com" })]).change, "different");
    assert.equal(compare([pki("a", one)], [pki("a", { ...one, caIntermediatesPath: "i.pem" })]).change, "looser");
  });

  test("keyless certificates compare by issuer, subject and authorities", () => {
    const fulcio = (subjectEmail: string, authorities = "a"): Json => ({
      type: "sigstoreSigned",
      fulcio: { caPath: `${authorities}.pem`, oidcIssuer: "https://issuer.example.com", subjectEmail },
      rekorPublicKeyPath: "r.pem",
    });
    assert.equal(compare([fulcio("a@example.com")], [fulcio("b@example.com")]).change, "different");
    assert.equal(compare([fulcio("a@example.com", "ab")], [fulcio("a@example.com")]).change, "stricter");
    assert.deepEqual(compare([fulcio("a@example.com")], [fulcio("b@example.com")]).reasons, [
      "subjectEmail a@example.com → b@example.com",
    ]);
  });

  test("keys that cannot be read compare by path, and are never called stricter", () => {
    const [short, long] = [signedBy(["missing-a"]), signedBy(["missing-a", "missing-b"])];
    assert.equal(compare([short], [short]).change, "same");
    assert.equal(compare([short], [long]).change, "looser");
    const { change, reasons } = compare([long], [short]);
    assert.equal(change, "different");
    assert.deepEqual(reasons, [
      "key file removed: missing-b",
      "compared by path, since not all keys could be read: no missing-a",
    ]);
  });

  test("the reasons say what changed in words", () => {
    assert.deepEqual(compare([signedBy("ab")], [accept]).reasons, [
      "no longer required: signedBy(2 keys, any of)",
      "every image is accepted now, signed or not",
    ]);
    assert.deepEqual(compare([signedBy("ab")], [signedBy("bC", identity({ type: "matchExact" }))]).reasons, [
      "key added: c",
      "key removed: a",
      "signedIdentity matchRepoDigestOrExact → matchExact",
    ]);
  });
});

describe("scopes", () => {
  const before = policyOf({
    default: [reject],
    transports: { docker: { "h.example.com": [signedBy("a")], "h.example.com/team/app": [accept], "": [accept] } },
  });
  const after = policyOf({
    default: [reject],
    transports: { docker: { "h.example.com": [signedBy("a")], "h.example.com/team": [signedBy("ab")] } },
  });
  const { scopes, counts } = diffPolicies(before, after, readKeys);
  const of = (scope: string): ScopeDiff => scopes.find((one) => one.scope === scope)!;

  test("a new scope is compared with what governed its images before", () => {
    const { presence, change, before: old } = of("h.example.com/team");
    assert.deepEqual([presence, change, old.governedBy], ["added", "looser", "docker: h.example.com"]);
  });

  test("a scope that went away is compared with what governs its images now", () => {
    const { presence, change, after: now } = of("h.example.com/team/app");
    assert.deepEqual([presence, change, now.governedBy], ["removed", "stricter", "docker: h.example.com/team"]);
    assert.deepEqual([of("").change, of("").after.governedBy], ["stricter", "default"]);
  });

  test("the counts are those of the scopes", () => {
    assert.deepEqual(counts, { same: 2, stricter: 2, looser: 1, different: 0 });
  });
});

const references = [
  "a.b.example.com:8443/team/sub/app:1",
  "h.example.com/team/app:1",
  "h.example.com/team/app:2",
  `h.example.com/team/app@sha256:${"1".repeat(64)}`,
  "h.example.com/other/app:1",
  "localhost/x:1",
  "busybox",
].map((text) => parseReference(text));

test("what is less specific than a scope is what the image asks for after it", () => {
  const identities = [...references.map(dockerPolicyIdentity), pathPolicyIdentity("dir", "/a/b/c")];
  let compared = 0;
  for (const { transport, identity: first, namespaces } of identities) {
    const chain = [first, ...namespaces];
    for (const [index, scope] of chain.entries()) {
      assert.deepEqual(lessSpecificScopes(transport, scope), chain.slice(index + 1), scope);
      compared++;
    }
  }
  assert.ok(compared > 30);
});

test("containers-storage scopes lose their image id, digest, tag, path and driver, in this order", () => {
  const digest = `sha256:${"1".repeat(64)}`;
  assert.deepEqual(lessSpecificScopes("containers-storage", `[overlay@/var]h/a/b:1@${digest}@${"2".repeat(64)}`), [
    `[overlay@/var]h/a/b:1@${digest}`,
    "[overlay@/var]h/a/b:1",
    "[overlay@/var]h/a/b",
    "[overlay@/var]h/a",
    "[overlay@/var]h",
    "[overlay@/var]",
    "[/var]",
  ]);
});

const identities: readonly Json[] = [
  { type: "matchExact" },
  { type: "matchRepoDigestOrExact" },
  { type: "matchRepository" },
  { type: "exactReference", dockerReference: "h.example.com/team/app:1" },
  { type: "exactReference", dockerReference: "h.example.com/team/app:2" },
  { type: "exactRepository", dockerRepository: "h.example.com/team/app" },
  { type: "exactRepository", dockerRepository: "h.example.com/other/app" },
  { type: "remapIdentity", prefix: "h.example.com/team", signedPrefix: "vendor.example.com" },
  { type: "remapIdentity", prefix: "h.example.com", signedPrefix: "vendor.example.com" },
];
const claims = [
  "h.example.com/team/app:1",
  "h.example.com/team/app:2",
  "h.example.com/team/app",
  `h.example.com/team/app@sha256:${"1".repeat(64)}`,
  `h.example.com/team/app@sha256:${"2".repeat(64)}`,
  "h.example.com/other/app:1",
  "vendor.example.com/app:1",
  "vendor.example.com/team/app:1",
  "busybox:latest",
];

function identityOf(signedIdentity: Json): SignedIdentity {
  const [requirement] = policyOf({ default: [signedBy("a", { signedIdentity })] }).default;
  assert.ok(requirement?.type === "signedBy");
  return requirement.signedIdentity;
}

test("an identity is within another only if it accepts no signature that the other does not", () => {
  let within = 0;
  for (const a of identities.map(identityOf)) {
    for (const b of identities.map(identityOf)) {
      if (!isIdentityWithin(a, b)) continue;
      within++;
      for (const image of [...references, undefined]) {
        for (const claim of claims) {
          if (matchSignedIdentity(a, image, claim).matches)
            assert.ok(matchSignedIdentity(b, image, claim).matches, `${a.type} ${b.type} ${claim}`);
        }
      }
    }
  }
  assert.ok(within > identities.length);
});

/** A model of judging: who signed for what. */
interface Signature {
  readonly key: string;
  readonly claim: string;
}

function accepts(
  requirement: Requirement,
  image: (typeof references)[number],
  signatures: readonly Signature[],
): boolean {
  if (requirement.type === "insecureAcceptAnything") return true;
  if (requirement.type !== "signedBy" || requirement.keyType !== "GPGKeys") return false;
  const keys = readableKeys(requirement.keys);
  return signatures.some(
    ({ key, claim }) => keys.includes(key) && matchSignedIdentity(requirement.signedIdentity, image, claim).matches,
  );
}

function readableKeys(source: KeySource): readonly string[] {
  const reading: KeyReading = readKeys(source, "openpgp");
  return reading.kind === "keys" ? reading.keys.map(({ content }) => content) : [];
}

test("whatever two policies look like, stricter and same are never said where an image is newly accepted", () => {
  const requirement = fc.oneof(
    fc.constantFrom(accept, reject),
    fc
      .tuple(fc.constantFrom("a", "b", "ab", "abc", "A"), fc.constantFrom(...identities))
      .map(([keys, signedIdentity]) => signedBy(keys, { signedIdentity })),
  );
  const requirements = fc.array(requirement, { minLength: 1, maxLength: 3 });
  const scope = fc.constantFrom(
    ...[
      "",
      "h.example.com",
      "*.example.com",
      "h.example.com/team",
      "h.example.com/team/app",
      "h.example.com/team/app:1",
    ],
  );
  const policy = fc
    .tuple(requirements, fc.dictionary(scope, requirements, { maxKeys: 4 }))
    .map(([fallback, docker]) => policyOf({ default: fallback, transports: { docker } }));
  const signature = fc.record({ key: fc.constantFrom("a", "b", "c", "A"), claim: fc.constantFrom(...claims) });
  const told = { same: 0, stricter: 0, looser: 0, different: 0 };
  fc.assert(
    fc.property(policy, policy, fc.array(signature, { maxLength: 4 }), (before, after, signatures) => {
      const diff = diffPolicies(before, after, readKeys);
      for (const image of references) {
        const asked = dockerPolicyIdentity(image);
        const candidates = [asked.identity, ...asked.namespaces, ""];
        // The pair that governs: the most specific scope that either policy has.
        const governing = candidates
          .map((candidate) => diff.scopes.find((one) => one.transport === "docker" && one.scope === candidate))
          .find((one) => one !== undefined);
        const { change } = governing ?? diff.scopes[0]!;
        told[change]++;
        const judge = (by: Policy): boolean =>
          findGoverningScope(by, asked).requirements.every((one) => accepts(one, image, signatures));
        const [old, now] = [judge(before), judge(after)];
        if (change === "same" || change === "stricter") assert.ok(old || !now);
        if (change === "same" || change === "looser") assert.ok(now || !old);
      }
    }),
    { numRuns: 2000, seed: 20261126 },
  );
  for (const [change, count] of Object.entries(told)) assert.ok(count > 100, `${change} was told ${count} times`);
});
