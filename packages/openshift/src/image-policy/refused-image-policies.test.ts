/** Image policies that the API refuses. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { renderClusterTrust } from "./cluster-trust.ts";
import { readImagePolicy } from "./image-policy.ts";
import { certificate, imagePolicy, objectsOf, policies } from "./image-policy.testing.ts";

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
    const begin = "-----BEGIN CERTIFICATE-----\n";
    const end = "-----END CERTIFICATE-----";
    const chain = (value: string): object =>
      root({ policyType: "PKI", pki: { caRootsData: text(value), pkiCertificateSubject: { email: "a@b" } } });
    const body = `${"A".repeat(64)}\n`;
    assert.ok(read(chain(`${begin}${body}${end}\n${begin}${body}${end}`)));
    assert.ok(read(keyOf(text(`-----BEGIN PUBLIC KEY-----\n${body}-----END PUBLIC KEY-----\n`))));
    for (const [policy, message] of [
      [chain(`${begin}${begin}${body}${end}`), /as many certificates must begin in it as end/],
      [chain(`${begin}${"A".repeat(18)}${end}`), /from 72 to 8192/],
      [chain(`${begin}${body}${end}\n\n`), /must end with -----END CERTIFICATE-----/],
      [keyOf(text(`-----BEGIN PUBLIC KEY-----\n${body}-----END PUBLIC KEY----- `)), /must end with/],
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
