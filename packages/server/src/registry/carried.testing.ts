/** Signatures in manifests as tools make them, for tests. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type TestImage, httpPushTarget } from "@signet/testkit";
import { checkContent } from "../content/check.ts";
import type { Answer, ServedRegistry } from "./serve.testing.ts";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
export const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";
/** The artifact type of cosign's older referrer (`--registry-referrers-mode oci-1-1`). */
export const olderType = "application/vnd.dev.cosign.artifact.sig.v1+json";
const attachmentType = "application/vnd.dev.cosign.simplesigning.v1+json";
/** The repository of these tests, where none is named. */
export const PATH = "team/app";

/** A signature as the registry lists it. */
export interface Listed {
  readonly digest: string;
  readonly manifest: string;
  readonly format: string;
  readonly name: string;
  readonly createdAt: string;
  readonly verdict: string;
  readonly signer?: string;
  readonly carrier?: string;
  readonly carriers?: readonly { readonly digest: string; readonly manifest: string; readonly tag?: string }[];
  readonly content?: string;
  readonly unverifiedClaims: Readonly<Record<string, string>>;
}

/** Those of an image, or of the repository. */
export async function list(registry: ServedRegistry, image?: string, path: string = PATH): Promise<readonly Listed[]> {
  const target = image === undefined ? "" : `/${image}?view=all`;
  const { status, text } = await registry.request("GET", `/extensions/v2/${path}/signatures${target}`);
  assert.equal(status, 200, text);
  return (JSON.parse(text) as { signatures: Listed[] }).signatures;
}

export function cosignPayload(digest: string, reference = "r.example.com/team/app"): string {
  const identity = { "docker-reference": reference };
  const critical = { identity, image: { "docker-manifest-digest": digest }, type: "cosign container image signature" };
  return JSON.stringify({ critical, optional: null });
}

export const sha256 = (bytes: string | Uint8Array): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export interface Pushed extends Answer {
  readonly digest: string;
}

export interface ReferOptions {
  readonly annotations?: Record<string, string>;
  readonly layerType?: string;
  readonly path?: string;
}

const descriptor = (mediaType: string, bytes: string | Uint8Array) => ({
  mediaType,
  digest: sha256(bytes),
  size: Buffer.byteLength(bytes),
});

/** Pushes an artifact of one layer, as cosign and notation do. */
export async function refer(
  registry: ServedRegistry,
  subject: TestImage,
  artifactType: string,
  payload: string | Uint8Array,
  options: ReferOptions = {},
): Promise<Pushed> {
  return await pushReferrer(registry, subject, [payload], options, {
    artifactType,
    config: descriptor("application/vnd.oci.empty.v1+json", "{}"),
    layers: [descriptor(options.layerType ?? artifactType, payload)],
  });
}

/** Pushes attachments as a referrer, as cosign does with `--registry-referrers-mode oci-1-1`: the type is that of the configuration. */
export async function referOlder(
  registry: ServedRegistry,
  subject: TestImage,
  payloads: readonly string[],
  options: Omit<ReferOptions, "layerType"> = {},
): Promise<Pushed> {
  return await pushReferrer(registry, subject, payloads, options, {
    config: descriptor(olderType, "{}"),
    layers: payloads.map((payload) => ({
      ...descriptor(attachmentType, payload),
      annotations: { "dev.cosignproject.cosign/signature": Buffer.from(payload).toString("base64") },
    })),
  });
}

async function pushReferrer(
  registry: ServedRegistry,
  subject: TestImage,
  payloads: readonly (string | Uint8Array)[],
  { path = PATH, annotations }: ReferOptions,
  members: object,
): Promise<Pushed> {
  const target = httpPushTarget(registry.url);
  for (const blob of ["{}", ...payloads]) await target.putBlob(path, Buffer.from(blob as string));
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    ...members,
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.manifest.length },
    annotations: { "org.opencontainers.image.created": "2026-01-01T00:00:00Z", ...annotations },
  });
  const digest = sha256(manifest);
  const answer = await registry.request("PUT", `/v2/${path}/manifests/${digest}`, manifest, {
    "content-type": manifestType,
  });
  return { ...answer, digest };
}

/** A bundle with a statement about these images. */
export function bundle(
  subjects: string | readonly string[],
  predicateType = "https://sigstore.dev/cosign/sign/v1",
): string {
  const statement = {
    _type: "https://in-toto.io/Statement/v1",
    subject: [subjects].flat().map((subject) => ({ digest: { sha256: subject.slice("sha256:".length) } })),
    predicateType,
    predicate: {},
  };
  const payload = Buffer.from(JSON.stringify(statement)).toString("base64");
  const dsseEnvelope = { payload, payloadType: "application/vnd.in-toto+json", signatures: [{ sig: "QQ==" }] };
  return JSON.stringify({ mediaType: bundleType, verificationMaterial: {}, dsseEnvelope });
}

/** What `admin check --content` says. */
export async function findFaults(registry: ServedRegistry): Promise<readonly string[]> {
  const faults = [];
  for await (const finding of checkContent(registry.database, registry.blobs, { withContent: true, straysBefore: 0 }))
    faults.push(`${finding.fault} ${finding.subject}`);
  return faults;
}

export async function isClean(registry: ServedRegistry): Promise<void> {
  assert.deepEqual(await findFaults(registry), []);
}
