import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parsePolicy } from "@signet/core";
import { parse } from "yaml";
import { type UntrustedManifestObject, parseManifestObjects } from "../kubernetes/manifests.ts";
import { type ClusterTrust, renderClusterTrust } from "./cluster-trust.ts";
import { readImagePolicy } from "./image-policy.ts";
import { liftPolicy } from "./lift-policy.ts";
import { isNestedInside } from "./mirror-sets.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/openshift/image-policies");

const pem = (what: string): string =>
  Buffer.from(`-----BEGIN ${what}-----\n${"MIIBATE9".repeat(6)}\n-----END ${what}-----\n`).toString("base64");
const key = pem("PUBLIC KEY");
const certificate = pem("CERTIFICATE");

/** Objects of the same form as those of the operator's own tests, with key material that the API takes. */
const policies = {
  fulcio: {
    rootOfTrust: {
      policyType: "FulcioCAWithRekor",
      fulcioCAWithRekor: {
        fulcioCAData: certificate,
        rekorKeyData: key,
        fulcioSubject: { oidcIssuer: "https://OIDC.example.com", signedEmail: "test-user@example.com" },
      },
    },
    signedIdentity: {
      matchPolicy: "RemapIdentity",
      remapIdentity: { prefix: "test-remap-prefix", signedPrefix: "test-remap-signed-prefix" },
    },
  },
  publicKey: { rootOfTrust: { policyType: "PublicKey", publicKey: { keyData: key, rekorKeyData: key } } },
  pki: {
    rootOfTrust: {
      policyType: "PKI",
      pki: {
        caRootsData: certificate,
        caIntermediatesData: certificate,
        pkiCertificateSubject: { email: "test-user@example.com", hostname: "my-host.example.com" },
      },
    },
  },
};

function objectsOf(...values: readonly object[]): readonly UntrustedManifestObject[] {
  return parseManifestObjects(Buffer.from(JSON.stringify({ kind: "List", items: values })), "test");
}

const clusterPolicy = (name: string, scopes: readonly string[], policy: object): object => {
  return {
    apiVersion: "config.openshift.io/v1",
    kind: "ClusterImagePolicy",
    metadata: { name },
    spec: { scopes, policy },
  };
};
const imagePolicy = (namespace: string, name: string, scopes: readonly string[], policy: object): object => {
  const spec = { scopes, policy };
  return { apiVersion: "config.openshift.io/v1", kind: "ImagePolicy", metadata: { name, namespace }, spec };
};
const imageConfig = (registrySources: object): object => {
  return {
    apiVersion: "config.openshift.io/v1",
    kind: "Image",
    metadata: { name: "cluster" },
    spec: { registrySources },
  };
};
const digestMirrors = (...entries: readonly (readonly [string, ...string[]])[]): object => {
  const imageDigestMirrors = entries.map(([source, ...mirrors]) => ({ source, mirrors }));
  return {
    apiVersion: "config.openshift.io/v1",
    kind: "ImageDigestMirrorSet",
    metadata: { name: "m" },
    spec: { imageDigestMirrors },
  };
};

function textOf({ files }: ClusterTrust, path: string): string {
  const file = files.find((candidate) => candidate.path === path);
  assert.ok(file, `${path} was not made`);
  return new TextDecoder().decode(file.content);
}

interface PolicyValue {
  readonly default: readonly object[];
  readonly transports: Readonly<Record<string, Readonly<Record<string, readonly object[]>>>>;
}

const policyOf = (trust: ClusterTrust, path = "/etc/containers/policy.json"): PolicyValue =>
  JSON.parse(textOf(trust, path)) as PolicyValue;

/** The sections of the registries.d file. */
function attachmentsOf(trust: ClusterTrust): readonly string[] {
  const { docker } = parse(textOf(trust, "/etc/containers/registries.d/sigstore-registries.yaml")) as {
    docker: object;
  };
  for (const section of Object.values(docker)) assert.deepEqual(section, { "use-sigstore-attachments": true });
  return Object.keys(docker).toSorted();
}

const accept = { type: "insecureAcceptAnything" };
const reject = { type: "reject" };
const remap = { type: "remapIdentity", prefix: "test-remap-prefix", signedPrefix: "test-remap-signed-prefix" };
const fulcioRequirement = {
  type: "sigstoreSigned",
  fulcio: { caData: certificate, oidcIssuer: "https://OIDC.example.com", subjectEmail: "test-user@example.com" },
  rekorPublicKeyData: key,
  signedIdentity: remap,
};
const keyRequirement = {
  type: "sigstoreSigned",
  keyData: key,
  rekorPublicKeyData: key,
  signedIdentity: { type: "matchRepoDigestOrExact" },
};
const pkiRequirement = {
  type: "sigstoreSigned",
  pki: {
    caRootsData: certificate,
    caIntermediatesData: certificate,
    subjectEmail: "test-user@example.com",
    subjectHostname: "my-host.example.com",
  },
  signedIdentity: { type: "matchRepoDigestOrExact" },
};

describe("what a cluster makes of image policies", () => {
  test("the policy that releases carry, in the operator's members and order", () => {
    const trust = renderClusterTrust(
      parseManifestObjects(readFileSync(join(vectors, "openshift.yaml")), "openshift.yaml"),
    );
    const text = textOf(trust, "/etc/containers/policy.json");
    assert.match(text, /^\{\n {2}"default": \[\n {4}\{\n {6}"type": "insecureAcceptAnything"\n/);
    assert.ok(!text.endsWith("\n"));
    const scopes = ["ocp-release", "ocp-v4.0-art-dev", "ocp-v5.0-art-dev"].map(
      (name) => `quay.io/openshift-release-dev/${name}`,
    );
    assert.deepEqual(Object.keys(policyOf(trust).transports), ["atomic", "docker", "docker-daemon"]);
    assert.deepEqual(Object.keys(policyOf(trust).transports["docker"]!), scopes);
    assert.deepEqual(attachmentsOf(trust), scopes);
    assert.equal(parsePolicy(Buffer.from(text)).transports.get("docker")?.size, 3);
  });

  test("each kind of trust and identity, as in the operator's own tests", () => {
    const trust = renderClusterTrust(
      objectsOf(
        clusterPolicy("cr0", ["test0.com"], policies.fulcio),
        clusterPolicy("cr3", ["test3.com/ns/repo"], policies.pki),
      ),
    );
    const scopes = { "test0.com": [fulcioRequirement], "test3.com/ns/repo": [pkiRequirement] };
    assert.deepEqual(policyOf(trust), {
      default: [accept],
      transports: { atomic: scopes, docker: scopes, "docker-daemon": { "": [accept] } },
    });
    assert.deepEqual(trust.warnings, []);
    const exact = {
      ...policies.publicKey,
      signedIdentity: { matchPolicy: "ExactRepository", exactRepository: { repository: "a.com/b" } },
    };
    const any = { ...policies.publicKey, signedIdentity: { matchPolicy: "MatchRepository" } };
    const others = policyOf(
      renderClusterTrust(objectsOf(clusterPolicy("a", ["a.com"], exact), clusterPolicy("b", ["b.com"], any))),
    );
    assert.deepEqual(others.transports["docker"]?.["a.com"]?.[0], {
      ...keyRequirement,
      signedIdentity: { type: "exactRepository", dockerRepository: "a.com/b" },
    });
    assert.deepEqual(others.transports["docker"]?.["b.com"]?.[0], {
      ...keyRequirement,
      signedIdentity: { type: "matchRepository" },
    });
  });

  test("a scope in two objects needs both, in the order of their names, and is warned about", () => {
    const trust = renderClusterTrust(
      objectsOf(
        clusterPolicy("z", ["test0.com", "test1.com"], policies.publicKey),
        clusterPolicy("a", ["test0.com"], policies.fulcio),
      ),
    );
    assert.deepEqual(policyOf(trust).transports["docker"], {
      "test0.com": [fulcioRequirement, keyRequirement],
      "test1.com": [keyRequirement],
    });
    assert.match(
      trust.warnings.join("\n"),
      /^test0\.com is in 2 ClusterImagePolicies: an image needs a signature for each of them$/,
    );
  });

  test("allowed and blocked registries, as in the operator's own tests", () => {
    const render = (sources: object, ...more: readonly object[]): PolicyValue =>
      policyOf(renderClusterTrust(objectsOf(imageConfig(sources), ...more), undefined, "release-reg.io/image/release"));
    const allowed = { "*.allowed-example.com": [accept], "allow.io": [accept] };
    assert.deepEqual(render({ allowedRegistries: ["allow.io", "*.allowed-example.com"] }), {
      default: [reject],
      transports: { atomic: allowed, docker: allowed, "docker-daemon": { "": [accept] } },
    });
    const blocked = render({ blockedRegistries: ["block.com", "block.com/a/b/c"] });
    assert.deepEqual(blocked.default, [accept]);
    assert.deepEqual(blocked.transports["atomic"], { "block.com": [reject] });
    assert.deepEqual(blocked.transports["docker"], { "block.com": [reject], "block.com/a/b/c": [reject] });
    const both = render({
      allowedRegistries: ["release-reg.io/image/release"],
      blockedRegistries: ["block.com", "release-reg.io"],
    });
    assert.deepEqual(both.transports["docker"], {
      "block.com": [reject],
      "release-reg.io": [reject],
      "release-reg.io/image/release": [accept],
    });
    const mirrored = render(
      { blockedRegistries: ["release-reg.io"] },
      digestMirrors(["release-reg.io/image", "mirror.io/image"]),
    );
    assert.deepEqual(
      mirrored,
      render({ allowedRegistries: ["release-reg.io/image/release"], blockedRegistries: ["release-reg.io"] }),
    );
    const withPolicy = render(
      { allowedRegistries: ["allow.io", "test0.com"] },
      clusterPolicy("a", ["test0.com"], policies.fulcio),
    );
    assert.deepEqual(withPolicy.transports["docker"], { "allow.io": [accept], "test0.com": [fulcioRequirement] });
    for (const [sources, message] of [
      [{ allowedRegistries: ["allow.io"], blockedRegistries: ["block.com"] }, /only one of/],
      [{ blockedRegistries: ["release-reg.io"] }, /would block release-reg\.io\/image\/release/],
      [{ allowedRegistries: ["allow.io"] }, /scope test0\.com: it is not nested inside allowedRegistries/],
      [{ blockedRegistries: ["*.com"] }, /scope test0\.com: it is nested inside blockedRegistries/],
    ] as const)
      assert.throws(() => render(sources, clusterPolicy("a", ["test0.com"], policies.fulcio)), {
        code: "image-policy-malformed",
        message,
      });
  });

  test("policies of namespaces begin with the cluster's, and give way to it", () => {
    const trust = renderClusterTrust(
      objectsOf(
        clusterPolicy("c", ["test0.com"], policies.fulcio),
        imagePolicy("testnamespace", "p", ["test0.com/a", "test2.com", "test4.com/a/b/c"], policies.publicKey),
        imagePolicy("other", "p", ["test2.com"], policies.pki),
      ),
    );
    assert.deepEqual(
      trust.files.map(({ path }) => path),
      [
        "/etc/containers/policy.json",
        "/etc/crio/policies/other.json",
        "/etc/crio/policies/testnamespace.json",
        "/etc/containers/registries.d/sigstore-registries.yaml",
      ],
    );
    const own = policyOf(trust, "/etc/crio/policies/testnamespace.json");
    assert.deepEqual(own.transports["docker"], {
      "test0.com": [fulcioRequirement],
      "test2.com": [keyRequirement],
      "test4.com/a/b/c": [keyRequirement],
    });
    assert.deepEqual(Object.keys(own.transports["atomic"]!), ["test0.com", "test2.com"]);
    assert.match(
      trust.warnings.join("\n"),
      /scope test0\.com\/a is left out, since a ClusterImagePolicy speaks of test0\.com \(condition Pending, reason ConflictScopes\)/,
    );
    const alone = renderClusterTrust(objectsOf(imagePolicy("n", "p", ["a.com"], policies.publicKey)));
    assert.deepEqual(policyOf(alone).transports, { "docker-daemon": { "": [accept] } });
    const allowed = renderClusterTrust(
      objectsOf(imageConfig({ allowedRegistries: ["a.com"] }), imagePolicy("n", "p", ["a.com"], policies.publicKey)),
    );
    assert.deepEqual(policyOf(allowed, "/etc/crio/policies/n.json").transports["docker"], {
      "a.com": [accept, keyRequirement],
    });
  });

  test("signatures are looked for under the names of mirrors, as in the operator's own tests", () => {
    const digest = `a.com/a1/a2@sha256:${"0".repeat(64)}`;
    const scopes = ["a.com/a1/a2", digest, "*.example.com", "policy.scope", "foo.example.com/ns/repo"];
    const cases: readonly (readonly [string, object | undefined, readonly string[]])[] = [
      ["no mirrors", undefined, []],
      ["none that matters", digestMirrors(["y.com/y1/y2", "y-y1-y2.mirror/y1/y2"]), []],
      [
        "sources inside the scope",
        digestMirrors(
          ["a.com/a1/a2", "a-a1-a2.mirror/a1/a2"],
          ["a.com/a1/a2/a3", "a-a1-a2-a3.mirror/m1/m2/m3"],
          ["a.com/a1/a2/a3-1", "a-a1-a2-a3-1.mirror/m1/m2/m3"],
          ["x.com/x1/x2", "x-x1-x2.mirror/m1/m2"],
        ),
        [
          "a-a1-a2-a3-1.mirror/m1/m2/m3",
          "a-a1-a2-a3.mirror/m1/m2/m3",
          "a-a1-a2.mirror/a1/a2",
          "a.com/a1/a2/a3",
          "a.com/a1/a2/a3-1",
        ],
      ],
      [
        "the scope inside sources",
        digestMirrors(["a.com", "a.mirror"], ["a.com/a1", "a-a1.mirror/a1"]),
        ["a-a1.mirror/a1/a2"],
      ],
      [
        "a wildcard source",
        digestMirrors(["*.example.com", "our.mirror/example"]),
        ["our.mirror/example/ns/repo", "our.mirror/example"],
      ],
      [
        "wildcards on both sides",
        digestMirrors(
          ["a.example.com", "a-example.mirror"],
          ["*.x.example.com", "matched.example.mirror", "star-x.example.mirror"],
          ["*.scope", "start-scope.mirror"],
          ["x/x1/x2", "x-x1-x2.mirror/x1/x2"],
        ),
        ["a-example.mirror", "a.example.com", "star-x.example.mirror", "matched.example.mirror", "start-scope.mirror"],
      ],
    ];
    for (const [name, mirrors, added] of cases) {
      const objects = objectsOf(
        clusterPolicy("c", scopes, policies.publicKey),
        ...(mirrors === undefined ? [] : [mirrors]),
      );
      assert.deepEqual(attachmentsOf(renderClusterTrust(objects)), [...scopes, ...added].toSorted(), name);
    }
  });

  test("scopes are nested as the operator has it", () => {
    for (const [inner, outer, isNested] of [
      ["a.com", "a.com", true],
      ["a.com/b", "a.com", true],
      ["a.com/bc", "a.com/b", false],
      ["a.com:5000", "a.com", false],
      ["b.a.com:5000/x", "*.a.com", true],
      ["*.b.a.com", "*.a.com", true],
      ["a.com", "*.a.com", false],
      ["quay/bar.foo", "*.foo", false],
      ["quay/bar.foo:400", "*.foo", false],
    ] as const)
      assert.equal(isNestedInside(inner, outer), isNested, `${inner} in ${outer}`);
  });

  test("nothing configured makes no files; what has no say is named", () => {
    assert.deepEqual(renderClusterTrust(objectsOf(imageConfig({}))), { files: [], warnings: [] });
    const other = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" } };
    assert.deepEqual(renderClusterTrust(objectsOf(other)).warnings, [
      "ConfigMap x has no say in this and is passed over",
    ]);
  });
});

describe("image policies that the API refuses", () => {
  const read = (policy: object, scopes: unknown = ["a.com"], metadata: object = { name: "x" }): unknown => {
    const value = {
      apiVersion: "config.openshift.io/v1",
      kind: "ClusterImagePolicy",
      metadata,
      spec: { scopes, policy },
    };
    return readImagePolicy(objectsOf(value)[0]!);
  };

  test("scopes", () => {
    for (const scope of [
      "localhost",
      "localhost:5000/a",
      "a.com:5000/a/b:tag",
      "*.a.com",
      `a.com/b@sha256:${"0".repeat(64)}`,
    ])
      assert.ok(read(policies.publicKey, [scope]), scope);
    for (const scope of [
      "a",
      "a/b",
      "",
      "*",
      "*.",
      "a.*.com",
      "*.a.com/b",
      "*.a.com:5000",
      "a.com/B",
      "a.com/",
      "a.com/b@sha256:0",
      `a.com/${"b".repeat(512)}`,
      "a.com/b\n",
      1,
    ])
      assert.throws(() => read(policies.publicKey, [scope]), { code: "image-policy-malformed" }, String(scope));
    for (const scopes of [[], null, "a.com", ["a.com", "a.com"], Array.from({ length: 257 }, (_, i) => `a${i}.com`)])
      assert.throws(() => read(policies.publicKey, scopes), { code: "image-policy-malformed" });
  });

  test("trust and identities", () => {
    const root = (rootOfTrust: object): object => ({ rootOfTrust });
    const keyOf = (keyData: unknown): object => root({ policyType: "PublicKey", publicKey: { keyData } });
    const pki = (subject: object): object =>
      root({ policyType: "PKI", pki: { caRootsData: certificate, pkiCertificateSubject: subject } });
    const identity = (signedIdentity: object): object => ({ ...policies.publicKey, signedIdentity });
    const text = (value: string): string => Buffer.from(value).toString("base64");
    for (const [policy, message] of [
      [{}, /rootOfTrust: an object is expected/],
      [root({}), /policyType: one of PublicKey, FulcioCAWithRekor, PKI/],
      [
        root({ policyType: "PublicKey" }),
        /publicKey is required when policyType is PublicKey, and forbidden otherwise/,
      ],
      [
        root({ ...policies.publicKey.rootOfTrust, pki: {} }),
        /pki is required when policyType is PKI, and forbidden otherwise/,
      ],
      [keyOf(text("no key")), /6 bytes; from 68 to 8192/],
      [keyOf(text("x".repeat(100))), /must begin with -----BEGIN PUBLIC KEY-----/],
      [keyOf(certificate), /must begin with -----BEGIN PUBLIC KEY-----/],
      [keyOf(text(`-----BEGIN PUBLIC KEY-----\n${"x".repeat(100)}`)), /must end with/],
      [keyOf("%"), /not base64/],
      [keyOf(7), /base64 text is expected/],
      [pki({}), /at least one of email or hostname/],
      [pki({ email: "x" }), /e-mail/],
      [pki({ hostname: "A b" }), /host name/],
      [identity({ matchPolicy: "MatchExact" }), /no policy of this name/],
      [identity({ matchPolicy: "ExactRepository" }), /exactRepository is required/],
      [
        identity({ matchPolicy: "ExactRepository", exactRepository: { repository: "a.com/b:tag" } }),
        /without tag or digest/,
      ],
      [identity({ matchPolicy: "RemapIdentity", remapIdentity: { prefix: "a.com" } }), /signedPrefix: a text/],
      [{ ...policies.publicKey, x: 1 }, /unknown member "x"/],
    ] as const)
      assert.throws(() => read(policy), { code: "image-policy-malformed", message });
    const namespaced = imagePolicy("../../x", "p", ["a.com"], policies.publicKey);
    assert.throws(() => renderClusterTrust(objectsOf(namespaced)), { message: /no name of a namespace/ });
  });
});

describe("policies lifted to image policies", () => {
  test("what is lifted renders to the same policy again", () => {
    const objects = objectsOf(
      clusterPolicy("a", ["test0.com", "b.com/x/y/z"], policies.fulcio),
      clusterPolicy("b", ["test0.com", "*.c.com"], policies.publicKey),
      clusterPolicy("c", ["localhost:5000"], policies.pki),
    );
    const [file] = renderClusterTrust(objects).files;
    const lifted = liftPolicy(file!.content, "policy.json", "x-");
    assert.deepEqual(lifted.unsaid, []);
    const again = parseManifestObjects(Buffer.from(lifted.yaml), "lifted");
    assert.deepEqual(
      again.map(({ kind, name }) => `${kind} ${name}`),
      lifted.names.map((name) => `ClusterImagePolicy ${name}`),
    );
    // All requirements of a scope must be met; their order follows the names of the objects and means nothing.
    const unordered = (trust: ClusterTrust): object => {
      const scopes = Object.entries(policyOf(trust).transports["docker"]!);
      return scopes.map(([scope, list]) => [scope, list.map((one) => JSON.stringify(one)).toSorted()]);
    };
    assert.deepEqual(unordered(renderClusterTrust(again)), unordered(renderClusterTrust(objects)));
  });

  test("what cannot be said is named with its reason", () => {
    const signed = (members: object): object => ({ type: "sigstoreSigned", ...members });
    const policy = {
      default: [reject],
      transports: {
        docker: {
          "": [signed({ keyData: key })],
          "gpg.com": [{ type: "signedBy", keyType: "GPGKeys", keyData: "AAAA" }],
          "any.com": [signed({ keyDatas: [key, key] })],
          "file.com": [signed({ keyPath: "/k" })],
          "exact.com": [signed({ keyData: key, signedIdentity: { type: "matchExact" } })],
          "open.com": [accept],
          "closed.com": [reject],
          "short.com": [signed({ keyData: "AAAA" })],
          "both.com": [signed({ keyData: key }), reject],
          "fine.com": [signed({ keyDatas: [key] })],
        },
        dir: { "/a": [reject] },
        "docker-daemon": { "": [accept] },
      },
    };
    const { unsaid, names } = liftPolicy(Buffer.from(JSON.stringify(policy)), "policy.json");
    assert.deepEqual(names, ["fine.com"]);
    assert.deepEqual(
      unsaid.map((line) => line.replace(/^((?:docker: |dir: )?\S+?):? .*$/, "$1")),
      [
        "default",
        "dir: /a",
        'docker: ""',
        "docker: gpg.com",
        "docker: any.com",
        "docker: file.com",
        "docker: exact.com",
        "docker: open.com",
        "docker: closed.com",
        "docker: short.com",
        "docker: both.com",
      ],
    );
    for (const reason of [
      /OpenPGP/,
      /any is enough/,
      /files that were not given/,
      /signedIdentity matchExact/,
      /allowedRegistries/,
      /blockedRegistries/,
      /3 bytes/,
    ])
      assert.match(unsaid.join("\n"), reason);
  });
});
