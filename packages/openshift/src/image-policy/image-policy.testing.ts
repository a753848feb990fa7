/** Objects of image policies for tests, and readers of what is made of them. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { type UntrustedManifestObject, parseManifestObjects } from "../kubernetes/manifests.ts";
import type { ClusterTrust } from "./cluster-trust.ts";

const pem = (what: string): string =>
  Buffer.from(`-----BEGIN ${what}-----\n${"MIIBATE9".repeat(6)}\n-----END ${what}-----\n`).toString("base64");
export const key: string = pem("PUBLIC KEY");
export const certificate: string = pem("CERTIFICATE");

/** Objects of the same form as those of the operator's own tests, with key material that the API takes. */
export const policies: Readonly<
  Record<"fulcio" | "pki" | "publicKey", { readonly rootOfTrust: object; readonly signedIdentity?: object }>
> = {
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

export function objectsOf(...values: readonly object[]): readonly UntrustedManifestObject[] {
  return parseManifestObjects(Buffer.from(JSON.stringify({ kind: "List", items: values })), "test");
}

export const clusterPolicy = (name: string, scopes: readonly string[], policy: object): object => {
  return {
    apiVersion: "config.openshift.io/v1",
    kind: "ClusterImagePolicy",
    metadata: { name },
    spec: { scopes, policy },
  };
};
export const imagePolicy = (namespace: string, name: string, scopes: readonly string[], policy: object): object => {
  const spec = { scopes, policy };
  return { apiVersion: "config.openshift.io/v1", kind: "ImagePolicy", metadata: { name, namespace }, spec };
};
export const imageConfig = (registrySources: object): object => {
  return {
    apiVersion: "config.openshift.io/v1",
    kind: "Image",
    metadata: { name: "cluster" },
    spec: { registrySources },
  };
};
export const digestMirrors = (...entries: readonly (readonly [string, ...string[]])[]): object => {
  const imageDigestMirrors = entries.map(([source, ...mirrors]) => ({ source, mirrors }));
  return {
    apiVersion: "config.openshift.io/v1",
    kind: "ImageDigestMirrorSet",
    metadata: { name: "m" },
    spec: { imageDigestMirrors },
  };
};

export function textOf({ files }: ClusterTrust, path: string): string {
  const file = files.find((candidate) => candidate.path === path);
  assert.ok(file, `${path} was not made`);
  return new TextDecoder().decode(file.content);
}

export interface PolicyValue {
  readonly default: readonly object[];
  readonly transports: Readonly<Record<string, Readonly<Record<string, readonly object[]>>>>;
}

export const policyOf = (trust: ClusterTrust, path = "/etc/containers/policy.json"): PolicyValue =>
  JSON.parse(textOf(trust, path)) as PolicyValue;

/** The sections of the registries.d file. */
export function attachmentsOf(trust: ClusterTrust): readonly string[] {
  const { docker } = parse(textOf(trust, "/etc/containers/registries.d/sigstore-registries.yaml")) as {
    docker: object;
  };
  for (const section of Object.values(docker)) assert.deepEqual(section, { "use-sigstore-attachments": true });
  return Object.keys(docker).toSorted();
}

export const accept = { type: "insecureAcceptAnything" };
export const reject = { type: "reject" };
export const remap = { type: "remapIdentity", prefix: "test-remap-prefix", signedPrefix: "test-remap-signed-prefix" };
