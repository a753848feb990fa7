import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PolicyError } from "@signet/core";
import { type PolicyTestFile, parsePolicyTests } from "./test-file.ts";

const parse = (text: string): PolicyTestFile => parsePolicyTests(new TextEncoder().encode(text), "t.yaml");
const digest = `sha256:${"a".repeat(64)}`;

describe("a file of policy tests", () => {
  test("needs no more than an image and what is expected of it", () => {
    const { cases, policy, time } = parse("cases:\n  - image: registry.example.com/app:1\n    expect: rejected\n");
    assert.deepEqual([policy, time], [undefined, undefined]);
    const [one] = cases;
    assert.deepEqual(
      [one!.name, one!.image.value, one!.expect, one!.manifest, one!.signatures, one!.signed, one!.reasons],
      [
        "registry.example.com/app:1 is rejected",
        "registry.example.com/app:1",
        "rejected",
        { kind: "none" },
        [],
        [],
        [],
      ],
    );
    assert.deepEqual(one!.place, { line: 2, column: 5 });
  });

  test("may say everything else", () => {
    const file = parse(`
root: tree
policy: policy.json
registries.d: rd
time: 2026-06-01T12:00:00+02:00
cases:
  - name: all of it
    image: registry.example.com/app:1
    manifest: m.json
    instances: [i.json]
    platform: linux/arm64/v8
    signatures: [a, b]
    signed:
      - {key: k.private, identity: registry.example.com/other:1, digest: "${digest}", time: 2026-01-01}
      - {key: l.private}
    time: 2026-05-01
    expect: accepted
    scope: default
    signer: [08cd 26e4 46e2 e952 49b7 a405 e932 f44b 23e8 dd43, "0xE932F44B23E8DD43"]
    store: builtin
  - {name: a digest, image: x, digest: "${digest}", expect: rejected, reason: [no-signature, x]}
  - {name: inline, image: x, manifest: {schemaVersion: 2}, expect: undetermined}
`);
    assert.equal(file.time, Date.UTC(2026, 5, 1, 10));
    const [all, byDigest, inline] = file.cases;
    assert.deepEqual(all!.platform, { os: "linux", architecture: "arm64", variant: "v8" });
    assert.deepEqual(all!.signers, ["08CD26E446E2E95249B7A405E932F44B23E8DD43", "E932F44B23E8DD43"]);
    assert.equal(all!.time, Date.UTC(2026, 4, 1));
    assert.deepEqual(
      all!.signed.map(({ key, time }) => [key.value, time]),
      [
        ["k.private", Date.UTC(2026, 0, 1)],
        ["l.private", undefined],
      ],
    );
    assert.deepEqual([byDigest!.manifest, byDigest!.reasons], [{ kind: "digest", digest }, ["no-signature", "x"]]);
    assert.deepEqual(inline!.manifest, { kind: "inline", bytes: new TextEncoder().encode('{"schemaVersion":2}') });
  });

  test("keeps a key id of digits alone as it is written", () => {
    const { cases } = parse("cases: [{image: x, expect: accepted, signer: 0012345678901234}]");
    assert.deepEqual(cases[0]!.signers, ["0012345678901234"]);
  });

  const one = (rest: string): string => `cases:\n  - image: x\n    expect: rejected\n${rest}`;
  const refused: readonly (readonly [what: string, text: string, place: string, hint: RegExp | undefined])[] = [
    ["no cases", "policy: p.json\n", "1:1", /cases/],
    ["an empty list of cases", "cases: []\n", "1:8", undefined],
    ["cases that are no list", "cases: {a: 1}\n", "1:8", undefined],
    ["a list in place of the file", "- image: x\n", "1:1", undefined],
    ["an unknown member of the file", "polcy: x\ncases: []\n", "1:1", /did you mean "policy"/],
    ["an unknown member of a case", one("    reasons: x\n"), "4:5", /did you mean "reason"/],
    ["an unknown member far from any", one("    frobnicate: x\n"), "4:5", /valid here/],
    ["an unknown member of signed", one("    signed: {key: k, ident: x}\n"), "4:22", /valid here|did you mean/],
    ["a case without an image", "cases: [{expect: rejected}]\n", "1:9", undefined],
    ["a case without an expectation", "cases: [{image: x}]\n", "1:9", undefined],
    ["an expectation that is none", "cases: [{image: x, expect: reject}]\n", "1:28", /did you mean "rejected"/],
    ["a reason for an accepted image", "cases: [{image: x, expect: accepted, reason: y}]\n", "1:46", undefined],
    ["a signer of a rejected image", one("    signer: 08CD26E446E2E952\n"), "4:13", undefined],
    ["a signer that is no fingerprint", "cases: [{image: x, expect: accepted, signer: me@x}]\n", "1:46", undefined],
    ["both a manifest and a digest", one(`    manifest: m\n    digest: ${digest}\n`), "5:13", undefined],
    ["instances without a list", one("    instances: [a]\n"), "4:17", undefined],
    ["a digest that is none", one("    digest: sha256:aa\n"), "4:13", /64/],
    ["a platform that is none", one("    platform: arm\n"), "4:15", undefined],
    ["a time without a zone", one("    time: 2026-01-01T00:00:00\n"), "4:11", /2026/],
    ["a time that is none", one("    time: 2026-13-45\n"), "4:11", undefined],
    ["signed without a key", one("    signed: {identity: x}\n"), "4:13", /key/],
    ["an empty text", one("    scope:\n"), "4:11", undefined],
    ["a mapping where a text belongs", one("    scope: {a: 1}\n"), "4:12", undefined],
    ["two cases of one name", `${one("    name: n\n")}  - {name: n, image: y, expect: rejected}\n`, "5:5", /name/],
  ];
  for (const [what, text, place, hint] of refused) {
    test(`with ${what} is refused, with line and column`, () => {
      assert.throws(
        () => parse(text),
        (error) => {
          assert.ok(error instanceof PolicyError, String(error));
          assert.equal(error.code, "policy-tests-malformed");
          assert.ok(error.message.startsWith(`t.yaml:${place}: `), error.message);
          if (hint !== undefined) assert.match(error.hint ?? "", hint);
          return true;
        },
      );
    });
  }
});
