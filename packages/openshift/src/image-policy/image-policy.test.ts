/** What a cluster makes of image policies. Those that the API refuses are in refused-image-policies.test.ts, the way back in lift-policy.test.ts. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parsePolicy } from "@signet/core";
import { parseManifestObjects } from "../kubernetes/manifests.ts";
import { renderClusterTrust } from "./cluster-trust.ts";
import {
  type PolicyValue,
  accept,
  attachmentsOf,
  certificate,
  clusterPolicy,
  digestMirrors,
  imageConfig,
  imagePolicy,
  key,
  objectsOf,
  policies,
  policyOf,
  reject,
  remap,
  textOf,
} from "./image-policy.testing.ts";
import { isNestedInside } from "./mirror-sets.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/openshift/image-policies");

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
