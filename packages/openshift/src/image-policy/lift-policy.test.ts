/** Policies lifted to image policies: the way back from policy.json. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseManifestObjects } from "../kubernetes/manifests.ts";
import { type ClusterTrust, renderClusterTrust } from "./cluster-trust.ts";
import { accept, clusterPolicy, key, objectsOf, policies, policyOf, reject } from "./image-policy.testing.ts";
import { liftPolicy } from "./lift-policy.ts";

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
