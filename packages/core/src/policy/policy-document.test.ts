import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FormatError, PolicyError } from "../errors.ts";
import { keyFilesOf } from "./policy.ts";
import { parsePolicy } from "./policy-document.ts";

const vectors = new URL("../../../../vectors/policy/", import.meta.url);
const encoder = new TextEncoder();
const parseText = (text: string): ReturnType<typeof parsePolicy> => parsePolicy(encoder.encode(text), "policy.json");

const accept = '[{"type":"insecureAcceptAnything"}]';

function errorOf(text: string): PolicyError {
  try {
    parseText(text);
  } catch (error) {
    assert.ok(error instanceof PolicyError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: `parsed: ${text}` });
}

interface VerdictCase {
  readonly name: string;
  readonly policy: string;
  readonly parses: boolean;
  readonly parsesWithAtomicTransportCompiledIn?: boolean;
  readonly message: string;
}

describe("documents judged by the reference implementation", () => {
  const text = readFileSync(new URL("policy-verdicts.json", vectors), "utf8");
  const { cases } = JSON.parse(text) as { cases: readonly VerdictCase[] };
  assert.ok(cases.length > 80);
  for (const { name, policy, parses, parsesWithAtomicTransportCompiledIn } of cases) {
    const expected = parsesWithAtomicTransportCompiledIn ?? parses;
    test(`${name} ${expected ? "parses" : "is refused"}`, () => {
      if (expected) parseText(policy);
      else assert.equal(errorOf(policy).code, "policy-malformed");
    });
  }

  // Messages that later releases of the reference have worded anew, and Go's own for JSON.
  const reworded =
    /json:|JSON|invalid character|cannot be used simultaneously|At least one of keyPath|dockerReference a\/b|Invalid format of/;
  test("the messages keep the reference's words", () => {
    const compared = cases.filter(({ message }) => message !== "" && !reworded.test(message));
    assert.ok(compared.length > 25);
    for (const { name, policy, message } of compared) {
      const words = message.replaceAll("\\", "").replace('invalid policy in "pp.json": ', "");
      const found = errorOf(policy).message;
      assert.ok(found.includes(words), `${name}: ${JSON.stringify(words)} is not in ${JSON.stringify(found)}`);
    }
  });
});

test("policies from the field parse", () => {
  const folder = new URL("documents/", vectors);
  const names = readdirSync(folder);
  assert.ok(names.length >= 4);
  for (const name of names) parsePolicy(readFileSync(new URL(name, folder)), name);
});

test("the reference's example policy means what its own test says", () => {
  const bytes = readFileSync(new URL("documents/containers-image-example.json", vectors));
  const policy = parsePolicy(bytes, "example");
  const docker = policy.transports.get("docker")!;
  const repoDigest = { type: "matchRepoDigestOrExact" };
  const files = (...paths: string[]): object => ({ kind: "files", paths });
  const redHat = [
    {
      type: "signedBy",
      keyType: "signedByGPGKeys",
      keys: files("/keys/RH-key-signing-key-gpg-keyring"),
      signedIdentity: repoDigest,
    },
  ];
  assert.deepEqual(policy.default, [{ type: "reject" }]);
  assert.deepEqual([...policy.transports.keys()], ["dir", "docker"]);
  assert.deepEqual(policy.transports.get("dir")!.get(""), [{ type: "insecureAcceptAnything" }]);
  assert.deepEqual(docker.get("example.com/playground"), [{ type: "insecureAcceptAnything" }]);
  assert.deepEqual(docker.get("example.com/production"), [
    { type: "signedBy", keyType: "GPGKeys", keys: files("/keys/employee-gpg-keyring"), signedIdentity: repoDigest },
  ]);
  assert.deepEqual(docker.get("example.com/hardened"), [
    {
      type: "signedBy",
      keyType: "GPGKeys",
      keys: files("/keys/employee-gpg-keyring"),
      signedIdentity: { type: "matchRepository" },
    },
    {
      type: "signedBy",
      keyType: "signedByGPGKeys",
      keys: files("/keys/public-key-signing-gpg-keyring"),
      signedIdentity: { type: "matchExact" },
    },
    {
      type: "signedBaseLayer",
      baseLayerIdentity: {
        type: "exactRepository",
        dockerRepository: "registry.access.redhat.com/rhel7/rhel",
        repository: "registry.access.redhat.com/rhel7/rhel",
      },
    },
  ]);
  for (const scope of ["registry.access.redhat.com", "*.access.redhat.com", "*.redhat.com", "*.com"]) {
    assert.deepEqual(docker.get(scope), redHat);
  }
  assert.deepEqual(docker.get("registry.redhat.io/beta"), [
    {
      type: "signedBy",
      keyType: "GPGKeys",
      keys: files("/keys/RH-production-signing-key-gpg-keyring", "/keys/RH-beta-signing-key-gpg-keyring"),
      signedIdentity: repoDigest,
    },
  ]);
  assert.deepEqual(docker.get("private-mirror:5000/vendor-mirror"), [
    {
      type: "signedBy",
      keyType: "GPGKeys",
      keys: files("/keys/vendor-gpg-keyring"),
      signedIdentity: {
        type: "remapIdentity",
        prefix: "private-mirror:5000/vendor-mirror",
        signedPrefix: "vendor.example.com",
      },
    },
  ]);
  assert.deepEqual(docker.get("bogus/key-data-example"), [
    {
      type: "signedBy",
      keyType: "signedByGPGKeys",
      keys: { kind: "data", blobs: [encoder.encode("nonsense")] },
      signedIdentity: repoDigest,
    },
  ]);
  assert.deepEqual(docker.get("example.com/sigstore/key-path-example"), [
    {
      type: "sigstoreSigned",
      trust: { kind: "keys", keys: files("/keys/public-key") },
      rekor: undefined,
      signedIdentity: { type: "matchRepository" },
    },
  ]);
  assert.equal(docker.size, 14);
  assert.deepEqual(policy.raw, bytes);
  assert.deepEqual(keyFilesOf(policy).slice(0, 3), [
    "/keys/employee-gpg-keyring",
    "/keys/public-key-signing-gpg-keyring",
    "/keys/employee-cert-file",
  ]);
});

describe("errors say where and what would be valid", () => {
  test("line, column, offset and path of an unknown key, and the key that was meant", () => {
    const text = `{\n  "default": ${accept},\n  "transports": {"docker": {"é.example.com": [{"type": "signedBy", "keypath": "/k"}]}}\n}`;
    const error = errorOf(text);
    assert.equal(error.details["line"], 3);
    assert.equal(error.details["column"], text.split("\n")[2]!.indexOf('"keypath"') + 1);
    assert.equal(error.offset, encoder.encode(text.slice(0, text.indexOf('"keypath"'))).length);
    assert.equal(error.path, 'transports.docker["é.example.com"][0]');
    assert.equal(error.hint, 'did you mean "keyPath"?');
    assert.match(
      error.message,
      /^invalid policy in "policy.json": line 3, column \d+, transports\.docker.*Unknown key "keypath"$/,
    );
  });

  const hints: readonly (readonly [text: string, hint: RegExp])[] = [
    [`{"Default":${accept}}`, /did you mean "default"/],
    [`{"default":${accept},"foo":1}`, /valid here: "default", "transports"/],
    ['{"default":[{"type":"signedby"}]}', /did you mean "signedBy"/],
    ['{"default":[{"Type":"reject"}]}', /did you mean "type"/],
    ['{"default":[{"type":"nonsense"}]}', /valid here: "insecureAcceptAnything", "reject", "signedBy"/],
    ['{"default":[{"type":"signedBy","keyType":"GPGKey","keyPath":"/k"}]}', /did you mean "GPGKeys"/],
    ['{"default":[]}', /"type":"reject"/],
    ["{}", /add "default"/],
    [`{"default":${accept},}`, /remove the comma/],
    [`{"default":${accept} // the default\n}`, /no comments/],
    [`\uFEFF{"default":${accept}}`, /byte order mark/],
    ["{'default':1}", /double quotes/],
    ["", /empty/],
    ['{"default":[{"type":"signedBy","keyType":"GPGKeys","keyData":"YW-_"}]}', /URL-safe/],
  ];
  for (const [text, hint] of hints) {
    test(`${JSON.stringify(text)} gets a hint`, () => assert.match(errorOf(text).hint ?? "", hint));
  }

  test("text of the document cannot put control characters or endless lines into a message", () => {
    const hostile = "x\\u001b[31m\\u009b31m\\u202e".repeat(1000);
    for (const text of [`{"${hostile}":1}`, `{"default":${accept},"transports":{"${hostile}":{"${hostile}":[]}}}`]) {
      const { message, path } = errorOf(text);
      for (const character of ["\u001b", "\u009b", "\u202e"]) assert.ok(!`${message}${path}`.includes(character));
      assert.ok(message.length < 2500);
    }
  });

  test("a document above the size limit is refused before it is read", () => {
    assert.throws(() => parsePolicy(new Uint8Array(64 * 1024 * 1024 + 1)), { code: "input-too-large" });
  });
});

describe("one change makes a good policy bad", () => {
  const signedBy = '"type":"signedBy","keyType":"GPGKeys"';
  const requirement = (text: string): string => `{"default":[${text}]}`;
  const refused: readonly string[] = [
    // The top level.
    '{"transports":{}}',
    '{"default":1}',
    '{"default":[]}',
    `{"default":${accept},"unexpected":1}`,
    `{"default":${accept},"default":${accept}}`,
    `{"default":${accept},"def\\u0061ult":${accept}}`,
    `{"default":${accept},"transports":1}`,
    `{"default":${accept},"transports":null}`,
    // Transports and scopes.
    `{"default":${accept},"transports":{"docker":null}}`,
    `{"default":${accept},"transports":{"docker":1}}`,
    `{"default":${accept},"transports":{"docker":{"a":1}}}`,
    `{"default":${accept},"transports":{"docker":{"a":{}}}}`,
    `{"default":${accept},"transports":{"docker":{"a":null}}}`,
    `{"default":${accept},"transports":{"docker":{"":[]}}}`,
    `{"default":${accept},"transports":{"docker":{"a":${accept},"a":${accept}}}}`,
    `{"default":${accept},"transports":{"docker":{"":${accept},"":${accept}}}}`,
    `{"default":${accept},"transports":{"dir":{"docker.io":${accept}}}}`,
    `{"default":${accept},"transports":{"unknown":{"a":[]}}}`,
    // Requirements.
    requirement("1"),
    requirement("null"),
    requirement("[]"),
    requirement('{"type":["reject"]}'),
    requirement('{"type":"reject","type":"reject"}'),
    requirement('{"type":"reject","x":null}'),
    requirement('{"type":"insecureAcceptAnything","keyPath":"/k"}'),
    requirement('{"type":"reject"},{"type":"x"}'),
    requirement('{"type":"reject","Type":"insecureAcceptAnything"}'),
    requirement('{"type":"insecureAcceptAnything","__proto__":{}}'),
    // signedBy.
    requirement(`{${signedBy}}`),
    requirement(`{${signedBy},"keyPath":""}`),
    requirement(`{${signedBy},"keyPath":null}`),
    requirement(`{${signedBy},"keyPaths":null}`),
    requirement(`{${signedBy},"keyData":null}`),
    requirement(`{${signedBy},"keyPath":1}`),
    requirement(`{${signedBy},"keyPath":["/k"]}`),
    requirement(`{${signedBy},"keyPaths":1}`),
    requirement(`{${signedBy},"keyPaths":"/k"}`),
    requirement(`{${signedBy},"keyPaths":[1]}`),
    requirement(`{${signedBy},"keyData":1}`),
    requirement(`{${signedBy},"keyData":{}}`),
    requirement(`{${signedBy},"keyData":"this is invalid base64"}`),
    requirement(`{${signedBy},"keyData":"YWI"}`),
    requirement(`{${signedBy},"keyData":[256]}`),
    requirement(`{${signedBy},"keyData":[-1]}`),
    requirement(`{${signedBy},"keyData":[1.0]}`),
    requirement(`{${signedBy},"keyData":["a"]}`),
    requirement(`{${signedBy},"keyPath":"/a","keyPaths":["/b"]}`),
    requirement(`{${signedBy},"keyPath":"/a","keyData":"YWJj"}`),
    requirement(`{${signedBy},"keyPath":"","keyData":"YWJj"}`),
    requirement(`{${signedBy},"keyPaths":["/a"],"keyData":"YWJj"}`),
    requirement(`{${signedBy},"keyPath":"/a","keyPaths":["/b"],"keyData":"YWJj"}`),
    requirement(`{${signedBy},"keyPath":"/a","signedIdentity":null}`),
    requirement(`{${signedBy},"keyPath":"/a","signedIdentity":"matchExact"}`),
    requirement(`{${signedBy},"keyPath":"/a","keyDatas":["YWJj"]}`),
    requirement(`{${signedBy},"keyPath":"/a","unexpected":1}`),
    requirement('{"type":"signedBy","keyPath":"/a"}'),
    requirement('{"type":"signedBy","keyType":"","keyPath":"/a"}'),
    requirement('{"type":"signedBy","keyType":null,"keyPath":"/a"}'),
    requirement('{"type":"signedBy","keyType":1,"keyPath":"/a"}'),
    requirement('{"type":"signedBy","keyType":"gpgkeys","keyPath":"/a"}'),
    ...["type", "keyType", "keyPath", "signedIdentity"].map((field) => {
      const members = { type: "signedBy", keyType: "GPGKeys", keyPath: "/a", signedIdentity: { type: "matchExact" } };
      const twice = `"${field}":${JSON.stringify(members[field as keyof typeof members])}`;
      return requirement(`{${JSON.stringify(members).slice(1, -1)},${twice}}`);
    }),
    // signedBaseLayer.
    requirement('{"type":"signedBaseLayer"}'),
    requirement('{"type":"signedBaseLayer","baseLayerIdentity":null}'),
    requirement('{"type":"signedBaseLayer","baseLayerIdentity":"x"}'),
    requirement('{"type":"signedBaseLayer","baseLayerIdentity":{"type":"matchExact"},"x":1}'),
    requirement('{"type":"signedBaseLayer","signedIdentity":{"type":"matchExact"}}'),
  ];
  for (const text of refused) test(`refused: ${text}`, () => assert.equal(errorOf(text).code, "policy-malformed"));

  const accepted: readonly string[] = [
    `{"default":${accept},"transports":{}}`,
    `{"default":${accept},"transports":{"docker":{}}}`,
    `{"default":${accept},"transports":{"a transport of the future":{"any scope":${accept}}}}`,
    `\n\t\r {"default":${accept}} \n`,
    `{"def\\u0061ult":${accept}}`,
    requirement(`{${signedBy},"keyPaths":[]}`),
    requirement(`{${signedBy},"keyPaths":["/a",null]}`),
    requirement(`{${signedBy},"keyData":""}`),
    requirement(`{${signedBy},"keyData":[]}`),
    requirement(`{${signedBy},"keyData":[0,255,null]}`),
    requirement(`{${signedBy},"keyData":"YW\\r\\nJj"}`),
    requirement(`{${signedBy},"keyPath":"relative"}`),
    requirement('{"type":"reject"},{"type":"reject"}'),
    ...["GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs"].map((type) =>
      requirement(`{"type":"signedBy","keyType":"${type}","keyPath":"/a"}`),
    ),
  ];
  for (const text of accepted) test(`accepted: ${text}`, () => void parseText(text));
});

test("nothing in a parsed policy can be changed", () => {
  const policy = parseText(
    `{"default":${accept},"transports":{"docker":{"a":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}]}}}`,
  );
  const scopes = policy.transports.get("docker") as Map<string, unknown>;
  assert.throws(() => scopes.set("b", []), TypeError);
  assert.throws(() => scopes.delete("a"), TypeError);
  assert.throws(() => scopes.clear(), TypeError);
  const requirement = policy.transports.get("docker")!.get("a")![0]! as unknown as { keys: { paths: string[] } };
  assert.throws(() => Object.assign(policy, { default: [] }), TypeError);
  assert.throws(() => Object.assign(requirement, { keys: undefined }), TypeError);
  assert.throws(() => requirement.keys.paths.push("/x"), TypeError);
  assert.throws(() => (policy.default as unknown[]).pop(), TypeError);
});

test("a damaged policy is refused or read, never a crash", () => {
  const seed = readFileSync(new URL("documents/containers-image-example.json", vectors));
  const mutation = fc.record({
    at: fc.nat(seed.length - 1),
    remove: fc.nat(40),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 8 }),
      fc.constantFrom("null", "{}", "[]", '"type"', "1e9", "\\u0000").map((text) => encoder.encode(text)),
    ),
  });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
      let bytes: Uint8Array = seed;
      for (const { at, remove, insert } of mutations) {
        bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
      }
      try {
        parsePolicy(bytes, "mutated");
      } catch (error) {
        assert.ok(error instanceof PolicyError && error instanceof FormatError, String(error));
        assert.match(error.message, /^invalid policy in "mutated": line \d+, column \d+/);
      }
    }),
    { numRuns: 500 },
  );
});
