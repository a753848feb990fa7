import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PolicyError } from "../errors.ts";
import { isIdentityPrefix } from "./identity-reader.ts";
import type { SignedIdentity } from "./policy.ts";
import { parsePolicy } from "./policy-document.ts";

function readIdentity(identity: string): SignedIdentity {
  const text = `{"default":[{"type":"signedBaseLayer","baseLayerIdentity":${identity}}]}`;
  const [requirement] = parsePolicy(new TextEncoder().encode(text)).default;
  assert.ok(requirement?.type === "signedBaseLayer");
  return requirement.baseLayerIdentity;
}

const digest = `sha256:${"0".repeat(64)}`;

describe("identities that parse", () => {
  const accepted: readonly (readonly [identity: string, expected: object])[] = [
    ['{"type":"matchExact"}', { type: "matchExact" }],
    ['{"type":"matchRepoDigestOrExact"}', { type: "matchRepoDigestOrExact" }],
    ['{"type":"matchRepository"}', { type: "matchRepository" }],
    [
      '{"type":"exactReference","dockerReference":"busybox:1"}',
      {
        type: "exactReference",
        dockerReference: "busybox:1",
        reference: { domain: "docker.io", path: "library/busybox", tag: "1" },
      },
    ],
    [
      `{"dockerReference":"a.b/c@${digest}","type":"exactReference"}`,
      { type: "exactReference", dockerReference: `a.b/c@${digest}`, reference: { domain: "a.b", path: "c", digest } },
    ],
    [
      '{"type":"exactRepository","dockerRepository":"busybox"}',
      { type: "exactRepository", dockerRepository: "busybox", repository: "docker.io/library/busybox" },
    ],
    [
      '{"type":"exactRepository","dockerRepository":"a.b:5000/c/d:tag"}',
      { type: "exactRepository", dockerRepository: "a.b:5000/c/d:tag", repository: "a.b:5000/c/d" },
    ],
    [
      '{"type":"remapIdentity","prefix":"a.b","signedPrefix":"c.d/e"}',
      { type: "remapIdentity", prefix: "a.b", signedPrefix: "c.d/e" },
    ],
  ];
  for (const [identity, expected] of accepted) test(identity, () => assert.deepEqual(readIdentity(identity), expected));
});

describe("identities that are refused", () => {
  const refused: readonly (readonly [identity: string, message: RegExp])[] = [
    ["1", /JSON object expected, got a number/],
    ["[]", /JSON object expected, got an array/],
    ["null", /Unknown policy reference match type ""/],
    ["{}", /Unknown policy reference match type ""/],
    ['{"type":1}', /string expected, got a number/],
    ['{"type":"unexpected"}', /Unknown policy reference match type "unexpected"/],
    ['{"type":"matchexact"}', /Unknown policy reference match type/],
    ['{"type":"matchExact","x":1}', /Unknown key "x"/],
    ['{"type":"matchExact","dockerReference":"a.b/c:d"}', /Unknown key "dockerReference"/],
    ['{"type":"matchExact","type":"matchExact"}', /Duplicate key "type"/],
    ['{"type":"exactReference"}', /Key "dockerReference" missing in a JSON object/],
    ['{"type":"exactReference","dockerReference":""}', /Invalid format of dockerReference ""/],
    ['{"type":"exactReference","dockerReference":null}', /Invalid format of dockerReference ""/],
    ['{"type":"exactReference","dockerReference":1}', /string expected/],
    ['{"type":"exactReference","dockerReference":"UPPERCASE"}', /Invalid format of dockerReference.*lowercase/],
    ['{"type":"exactReference","dockerReference":"a.b/c"}', /contains neither a tag nor digest/],
    ['{"type":"exactReference","dockerReference":"a.b/c:1","dockerReference":"a.b/c:1"}', /Duplicate key/],
    ['{"type":"exactRepository"}', /Key "dockerRepository" missing/],
    ['{"type":"exactRepository","dockerRepository":""}', /Invalid format of dockerRepository ""/],
    ['{"type":"exactRepository","dockerRepository":"UPPERCASE"}', /Invalid format of dockerRepository/],
    ['{"type":"exactRepository","dockerRepository":1}', /string expected/],
    ['{"type":"exactRepository","dockerReference":"a.b/c"}', /Unknown key "dockerReference"/],
    ['{"type":"remapIdentity","prefix":"a.b"}', /Key "signedPrefix" missing/],
    ['{"type":"remapIdentity","signedPrefix":"a.b"}', /Key "prefix" missing/],
    ['{"type":"remapIdentity","prefix":1,"signedPrefix":"a.b"}', /string expected/],
    ['{"type":"remapIdentity","prefix":"a.b","signedPrefix":1}', /string expected/],
    ['{"type":"remapIdentity","prefix":"","signedPrefix":"a.b"}', /prefix "" is not valid/],
    ['{"type":"remapIdentity","prefix":"a.b","signedPrefix":null}', /prefix "" is not valid/],
    ['{"type":"remapIdentity","prefix":"*.a.b","signedPrefix":"a.b"}', /prefix "\*\.a\.b" is not valid/],
    ['{"type":"remapIdentity","prefix":"a.b","signedPrefix":"[::1]:5000"}', /is not valid/],
    ['{"type":"remapIdentity","prefix":"a.b","prefix":"a.b","signedPrefix":"a.b"}', /Duplicate key "prefix"/],
    ['{"type":"remapIdentity","prefix":"a.b","signedPrefix":"a.b","x":1}', /Unknown key "x"/],
  ];
  for (const [identity, message] of refused) {
    test(identity, () => {
      assert.throws(
        () => readIdentity(identity),
        (error) => error instanceof PolicyError && error.code === "policy-malformed" && message.test(error.message),
      );
    });
  }
});

describe("prefixes of remapIdentity", () => {
  const valid = [
    "localhost",
    "example.com",
    "example.com:80",
    "example.com/repo",
    "example.com/ns1/ns2/ns3/repo.with.dots-dashes_underscores",
    "example.com:80/ns1/ns2/ns3/repo.with.dots-dashes_underscores",
    "example.com/a__b/c---d",
    "shortname",
    "ns/shortname",
    "EXAMPLE.com/repo",
  ];
  for (const prefix of valid) test(`${prefix} is valid`, () => assert.equal(isIdentityPrefix(prefix), true));
  const invalid = [
    "",
    "repo_with_underscores",
    "example.com/",
    "example.com/UPPERCASEISINVALID",
    "example.com/repo/",
    "example.com/repo:tag",
    `example.com/repo@${digest}`,
    `example.com/repo:tag@${digest}`,
    "example.com//repo",
    "example.com:/repo",
    "example.com:port/repo",
    "-example.com",
    "example-.com",
    ".example.com",
    "example..com",
    "*.example.com",
    "[::1]:5000",
    "example.com\n",
    " example.com",
    "https://example.com",
    "example.com/a..b",
    "example.com/a___b",
    "example.com/_a",
  ];
  for (const prefix of invalid) {
    test(`${JSON.stringify(prefix)} is not`, () => assert.equal(isIdentityPrefix(prefix), false));
  }

  test("a long hostile prefix is refused without going back over it again and again", () => {
    assert.equal(isIdentityPrefix(`${"a-".repeat(50_000)}!`), false);
    assert.equal(isIdentityPrefix(`a/${"a_".repeat(50_000)}`), false);
  });
});
