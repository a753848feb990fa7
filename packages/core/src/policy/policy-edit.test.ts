import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FormatError, PolicyError } from "../errors.ts";
import { parsePolicy } from "./policy-document.ts";
import {
  type EditedPolicy,
  newPolicy,
  outlinePolicy,
  removePolicyScope,
  setPolicyDefault,
  setPolicyScope,
} from "./policy-edit.ts";
import { type NewRule, writeRequirements } from "./requirement-writer.ts";

const reject = writeRequirements({ type: "reject" });
const accept = writeRequirements({ type: "insecureAcceptAnything" });
const signed = writeRequirements({
  type: "signedBy",
  keys: { kind: "files", paths: ["/etc/pki/a.gpg"] },
  requireAll: false,
});

/** As podman writes it: four blanks, HTML escaped, no line end. */
const podmans = `{
    "default": [
        {
            "type": "insecureAcceptAnything"
        }
    ],
    "transports": {
        "docker": {
            "registry.example.com": [
                {
                    "type": "signedBy",
                    "keyType": "GPGKeys",
                    "keyPath": "/etc/pki/a\\u0026b.gpg"
                }
            ]
        },
        "docker-daemon": {
            "": [
                {
                    "type": "insecureAcceptAnything"
                }
            ]
        }
    }
}`;

describe("setting a scope", () => {
  test("adds it in the document's own layout and leaves the rest", () => {
    const edited = setPolicyScope(encode(podmans), "docker", "example.com/a", reject);
    assert.equal(edited.refusal, undefined);
    assert.equal(
      text(edited),
      podmans.replace(
        `b.gpg"
                }
            ]`,
        `b.gpg"
                }
            ],
            "example.com/a": [
                {
                    "type": "reject"
                }
            ]`,
      ),
    );
    assert.deepEqual(edited.policy?.transports.get("docker")?.get("example.com/a"), [{ type: "reject" }]);
  });

  test("replaces a rule of another type whole, so that nothing of it is left over", () => {
    const edited = setPolicyScope(encode(podmans), "docker", "registry.example.com", accept);
    assert.doesNotMatch(text(edited), /keyType|keyPath/);
    assert.deepEqual(edited.policy?.transports.get("docker")?.get("registry.example.com"), [
      { type: "insecureAcceptAnything" },
    ]);
  });

  test("makes transports that are missing", () => {
    const edited = setPolicyScope(encode('{"default":[{"type":"reject"}]}'), "dir", "", signed);
    assert.equal(
      text(edited),
      '{"default":[{"type":"reject"}],"transports":{"dir":{"":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/etc/pki/a.gpg"}]}}}',
    );
  });

  test("what is already so is the very same document", () => {
    const bytes = encode(podmans);
    assert.equal(setPolicyScope(bytes, "docker-daemon", "", accept).bytes, bytes);
    assert.equal(setPolicyDefault(bytes, accept).bytes, bytes);
    assert.equal(removePolicyScope(bytes, "docker", "other").bytes, bytes);
    assert.equal(removePolicyScope(bytes, "other", "").bytes, bytes);
  });

  test("members nobody knows stay, with the place where strict readers stop", () => {
    const before = podmans.replace('"transports": {', '"x-note": {"by": ["me"], "n": 1.0e1},\n    "transports": {');
    const edited = setPolicyScope(encode(before), "docker", "registry.example.com", reject, "p.json");
    assert.match(text(edited), /"x-note": \{"by": \["me"\], "n": 1\.0e1\}/);
    assert.equal(edited.policy, undefined);
    assert.match(edited.refusal?.message ?? "", /p\.json": line 7, column 5: Unknown key "x-note"/);
    const inRule = podmans.replace('"keyType"', '"comment": 1, "keyType"');
    assert.match(setPolicyDefault(encode(inRule), reject).refusal?.message ?? "", /line 12.*Unknown key "comment"/);
    // The edit may also be what mends the policy.
    assert.equal(setPolicyScope(encode(inRule), "docker", "registry.example.com", reject).refusal, undefined);
  });

  test("a policy without default, or built otherwise, is refused", () => {
    assert.throws(() => setPolicyScope(encode("{}"), "docker", "a.b", reject), {
      code: "policy-malformed",
      hint: /trust default reject/,
    });
    for (const broken of [
      "",
      "{",
      "[]",
      "null",
      '{"default":[{"type":"reject"}],}',
      '{"default":[{"type":"reject"}],"default":[{"type":"reject"}]}',
      '{"default":[{"type":"reject","type":"reject"}]}',
      '{"default":[{"type":"reject"}],"x":{"a":1,"\\u0061":2}}',
      '{"default":[{"type":"reject"}],"transports":null}',
      '{"default":[{"type":"reject"}],"transports":{"docker":[]}}',
      `\ufeff${podmans}`,
    ]) {
      const edit = (): EditedPolicy => setPolicyScope(encode(broken), "docker", "a.b", reject, "p.json");
      assert.throws(
        edit,
        { name: "PolicyError", code: "policy-malformed", message: /p\.json": line \d+, column \d+/ },
        broken,
      );
    }
  });

  test("a rule that readers refuse is never written", () => {
    const rule = (identity: object): NewRule =>
      ({ type: "signedBy", keys: { kind: "files", paths: ["/k"] }, requireAll: false, identity }) as NewRule;
    const set = (bad: NewRule, transport = "docker", scope = "a.b"): EditedPolicy =>
      setPolicyScope(encode(podmans), transport, scope, writeRequirements(bad));
    assert.throws(() => set(rule({ type: "exactReference", dockerReference: "a.b/c" })), /neither a tag nor digest/);
    assert.throws(() => set(rule({ type: "remapIdentity", prefix: "a.b/", signedPrefix: "c.d" })), PolicyError);
    assert.throws(() => set({ type: "reject" }, "dir", "relative"), /not a scope of transport dir/);
    assert.throws(() => setPolicyScope(encode(podmans), "docker", "a.b", []), /must not be empty/);
    assert.throws(() => setPolicyDefault(encode(podmans), [{ type: "accept" }]), /Unknown policy requirement type/);
    assert.throws(() => newPolicy([]), /must not be empty/);
  });
});

describe("removing a scope", () => {
  test("takes the transport with its last scope, and nothing else", () => {
    const once = removePolicyScope(encode(podmans), "docker-daemon", "");
    assert.doesNotMatch(text(once), /docker-daemon/);
    const twice = removePolicyScope(once.bytes, "docker", "registry.example.com");
    assert.match(text(twice), /"transports": \{\}\n\}$/);
    assert.equal(twice.policy?.transports.size, 0);
    const added = setPolicyScope(encode(podmans), "docker", "a.b/c", reject);
    assert.equal(text(removePolicyScope(added.bytes, "docker", "a.b/c")), podmans);
  });
});

describe("the default", () => {
  test("is replaced, or made in a policy that has none", () => {
    assert.deepEqual(setPolicyDefault(encode(podmans), reject).policy?.default, [{ type: "reject" }]);
    assert.deepEqual(setPolicyDefault(encode("{}"), reject).policy?.default, [{ type: "reject" }]);
    assert.equal(
      new TextDecoder().decode(newPolicy(reject)),
      '{\n    "default": [\n        {\n            "type": "reject"\n        }\n    ]\n}\n',
    );
  });
});

describe("requirements as they are written", () => {
  const one = new Uint8Array([1]);
  const two = new Uint8Array([2]);
  const rules: readonly (readonly [name: string, rule: NewRule, written: unknown])[] = [
    ["accept", { type: "insecureAcceptAnything" }, [{ type: "insecureAcceptAnything" }]],
    [
      "any of several keys",
      { type: "signedBy", keys: { kind: "files", paths: ["/a", "/b"] }, requireAll: false },
      [{ type: "signedBy", keyType: "GPGKeys", keyPaths: ["/a", "/b"] }],
    ],
    [
      "each of several keys",
      {
        type: "signedBy",
        keys: { kind: "files", paths: ["/a", "/b"] },
        requireAll: true,
        identity: { type: "matchExact" },
      },
      ["/a", "/b"].map((keyPath) => ({
        type: "signedBy",
        keyType: "GPGKeys",
        keyPath,
        signedIdentity: { type: "matchExact" },
      })),
    ],
    [
      "one keyring of several embedded keys",
      { type: "signedBy", keys: { kind: "data", blobs: [one, two] }, requireAll: false },
      [{ type: "signedBy", keyType: "GPGKeys", keyData: "AQI=" }],
    ],
    [
      "sigstore with a log",
      {
        type: "sigstoreSigned",
        keys: { kind: "data", blobs: [one, two] },
        requireAll: false,
        identity: { type: "matchRepository" },
        rekor: { kind: "files", paths: ["/r"] },
      },
      [
        {
          type: "sigstoreSigned",
          keyDatas: ["AQ==", "Ag=="],
          rekorPublicKeyPath: "/r",
          signedIdentity: { type: "matchRepository" },
        },
      ],
    ],
    [
      "the default identity, which is not written",
      {
        type: "sigstoreSigned",
        keys: { kind: "files", paths: ["/a"] },
        requireAll: true,
        identity: { type: "matchRepoDigestOrExact" },
      },
      [{ type: "sigstoreSigned", keyPath: "/a" }],
    ],
  ];
  for (const [name, rule, written] of rules) {
    test(name, () => {
      assert.deepEqual(writeRequirements(rule), written);
      assert.equal(
        parsePolicy(encode(JSON.stringify({ default: written }))).default.length,
        (written as unknown[]).length,
      );
    });
  }
});

test("the outline of a policy that strict readers refuse names its scopes all the same", () => {
  const outline = outlinePolicy(
    encode('{"x":1,"default":[{"type":"new"}],"transports":{"docker":{"a.b":[{"type":"new"}]}}}'),
  );
  assert.deepEqual([...outline.transports.get("docker")!.keys()], ["a.b"]);
  assert.equal(outline.policy, undefined);
  assert.ok(outline.refusal instanceof FormatError);
});

function encode(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

function text(edited: EditedPolicy): string {
  return new TextDecoder().decode(edited.bytes);
}
