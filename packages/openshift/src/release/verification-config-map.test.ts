import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { nodeEngine } from "@signet/core/node-engine";
import { parseManifestObjects } from "../kubernetes/manifests.ts";
import { describeRedHatKey, redHatReleaseTrust, untrustedKeyName } from "./red-hat-trust.ts";
import type { ReleaseTrust } from "./release-trust.ts";
import { findVerificationConfigMap, parseVerificationConfigMap } from "./verification-config-map.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/openshift/verification-config-maps");
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function load(bytes: Uint8Array): ReleaseTrust {
  const object = findVerificationConfigMap(parseManifestObjects(bytes, "test.yaml"));
  assert.ok(object !== undefined);
  return parseVerificationConfigMap(object, nodeEngine);
}

const loadVector = (name: string): ReleaseTrust => load(readFileSync(join(vectors, name)));
const fingerprints = ({ keyrings }: ReleaseTrust): readonly (readonly string[])[] =>
  keyrings.map(({ keyring }) => keyring.certificates.map(({ fingerprint }) => fingerprint));

const release2 = "567E347AD0044ADE55BA8A5F199E2F91FD431D51";
const beta2 = "B08B659EE86AF623BC90E8DB938A80CAF21541EB";

void describe("parseVerificationConfigMap", () => {
  void it("reads what genuine releases carry: every key of a block, every store", () => {
    const ocp = loadVector("ocp.yaml");
    assert.deepEqual(fingerprints(ocp), [[release2, beta2]]);
    assert.deepEqual(
      ocp.stores.map(({ name, url }) => [name, url.href]),
      [
        [
          "openshift-official-release",
          "https://storage.googleapis.com/openshift-release/official/signatures/openshift/release",
        ],
        [
          "openshift-official-release-mirror",
          "https://mirror.openshift.com/pub/openshift-v4/signatures/openshift/release",
        ],
      ],
    );
    const ci = loadVector("okd-ci.yaml");
    assert.deepEqual(
      ci.keyrings.map(({ name }) => name),
      ["ci"],
    );
    assert.equal(fingerprints(ci)[0]!.length, 4);
  });

  void it("is what the built-in trust of Red Hat repeats", () => {
    const ocp = loadVector("ocp.yaml");
    const builtIn = redHatReleaseTrust(nodeEngine);
    assert.deepEqual(fingerprints(builtIn), fingerprints(ocp));
    const plain = ({ stores }: ReleaseTrust): readonly string[] => stores.map(({ name, url }) => `${name} ${url.href}`);
    assert.deepEqual(plain(builtIn), plain(ocp));
    assert.match(describeRedHatKey(beta2) ?? "", /candidate or preview/);
    assert.equal(describeRedHatKey(release2), undefined);
    const named = ["ocp.yaml", "okd-ci.yaml"].flatMap((file) => fingerprints(loadVector(file)).flat());
    for (const fingerprint of named) assert.match(untrustedKeyName(fingerprint.slice(-16)) ?? "", /key/, fingerprint);
    assert.equal(untrustedKeyName("constructor"), undefined);
  });

  void it("takes the first annotated ConfigMap of several", () => {
    const first = loadVector("only-first-used.yaml");
    assert.equal(first.source, "the config map openshift-config-managed/release-verification");
    assert.equal(first.keyrings.length, 1);
    assert.equal(loadVector("loads-valid.yaml").stores[0]!.url.protocol, "file:");
  });

  void it("refuses a ConfigMap without data, without stores and without keys", () => {
    for (const name of ["requires-data.yaml", "requires-stores.yaml", "requires-verifiers.yaml"]) {
      assert.throws(() => loadVector(name), { code: /release-trust-malformed|manifest-file-malformed/ }, name);
    }
  });

  void it("refuses malformed members, and passes unknown ones over with a warning", () => {
    const map = (data: object): Uint8Array =>
      encode(
        JSON.stringify({
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { name: "n", namespace: "s", annotations: { "release.openshift.io/verification-config-map": "" } },
          data,
        }),
      );
    const key = JSON.parse(
      JSON.stringify(parseManifestObjects(readFileSync(join(vectors, "ocp.yaml")), "ocp.yaml")[0]!.value),
    ) as { data: Record<string, string> };
    const valid = {
      "verifier-public-key-a": key.data["verifier-public-key-redhat"]!,
      "store-a": " https://a.example.com/x \n",
    };
    assert.equal(load(map(valid)).stores[0]!.url.href, "https://a.example.com/x");
    assert.match(load(map({ ...valid, note: "x" })).warnings.join(), /"note" is passed over/);
    for (const [name, bad] of Object.entries({
      "a store that is no URL": { ...valid, "store-b": "nonsense" },
      "a store of another scheme": { ...valid, "store-b": "ftp://a.example.com" },
      "a key that is none": { ...valid, "verifier-public-key-b": "nonsense" },
      "a member that is no text": { ...valid, "store-b": 1 },
    })) {
      assert.throws(() => load(map(bad)), { code: "release-trust-malformed" }, name);
    }
  });
});

void describe("parseManifestObjects", () => {
  void it("reads JSON, YAML documents and lists", () => {
    const kinds = (text: string): readonly string[] => parseManifestObjects(encode(text), "f").map(({ kind }) => kind);
    assert.deepEqual(kinds('{"kind":"A"}'), ["A"]);
    assert.deepEqual(kinds("kind: A\n---\n\n---\nkind: B\n"), ["A", "B"]);
    assert.deepEqual(kinds("kind: List\nitems:\n- kind: A\n- kind: B\n"), ["A", "B"]);
    assert.deepEqual(kinds(""), []);
  });

  void it("refuses nonsense with the line, and bombs", () => {
    const lol = `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefghi"
      .split("")
      .map((name, i) => `${name}: &${name} [${`*${"abcdefgh"[i]},`.repeat(9)}]`)
      .join("\n")}`;
    for (const [text, message] of [
      ["kind: A\n---\n- b\n", /f:3: a Kubernetes object/],
      ["kind: A\nkind: B\n", /f:2: /],
      ["kind: [", /f:1/],
      [lol, /aliases cannot be followed/],
      ["a: 1\nb: &b [*b, *b]\n", /f:2: an alias stands inside what it stands for/],
      ["x: &x {y: [{z: *x}]}\n", /f:1: an alias stands inside/],
      ['{"kind":"List","items":[1]}', /something else than objects/],
    ] as const) {
      assert.throws(() => parseManifestObjects(encode(text), "f"), { code: "manifest-file-malformed", message });
    }
    assert.deepEqual(parseManifestObjects(encode("kind: &a A\nb: [&a x, *a]\n"), "f")[0]?.value, {
      kind: "A",
      b: ["x", "x"],
    });
    assert.throws(() => parseManifestObjects(new Uint8Array([0xff, 0xfe]), "f"), { message: /not UTF-8/ });
    assert.throws(() => parseManifestObjects(new Uint8Array(17 * 1024 * 1024), "f"), { code: "input-too-large" });
    for (const dense of [
      "- 1\n".repeat(600_000),
      `{"a":[${"1,".repeat(2_000_001)}1]}`,
      `a: [${"{},".repeat(600_000)}]`,
    ])
      assert.throws(() => parseManifestObjects(encode(dense), "f"), { code: "input-too-large" }, dense.slice(0, 9));
  });
  void it("reads lists of the API, whose items do not say what they are", () => {
    const list =
      '{"kind":"NodeList","apiVersion":"v1","items":[{"metadata":{"name":"a"}},{"kind":"Other","metadata":{}}]}';
    const read = parseManifestObjects(encode(list), "f").map(({ kind, apiVersion, name }) => [kind, apiVersion, name]);
    assert.deepEqual(read, [
      ["Node", "v1", "a"],
      ["Other", "v1", ""],
    ]);
  });
  void it("reads JSON as it reads YAML, down to keys that stand twice", () => {
    const json = '{"kind":"A","metadata":{"name":"n"},"n":1.50,"l":[true,null,"\\u00e9"]}';
    assert.deepEqual(
      parseManifestObjects(encode(` \n${json}`), "f"),
      parseManifestObjects(encode(`# yaml\n${json}`), "f"),
    );
    assert.deepEqual(parseManifestObjects(encode('{"kind":"A","kind":"A"}'), "f")[0]?.kind, "A");
    assert.throws(() => parseManifestObjects(encode('{"kind":"A",\n"kind":"B"}'), "f"), { message: /^f:2: / });
    assert.equal(parseManifestObjects(encode("{kind: A}\n---\nkind: B\n"), "f").length, 2);
  });
});
