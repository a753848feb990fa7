/** What lies beside images: manifests that refer to one, and what cosign keeps under its tags. The payloads need not be signatures. */
import { digestOf } from "./registry/storage.ts";
import type { PushTarget } from "./test-image.ts";

/** What is referred to. */
export interface TestSubject {
  readonly digest: string;
  readonly mediaType: string;
  readonly manifest: Uint8Array;
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const emptyConfig = Buffer.from("{}");

/** Pushes an artifact that refers to `subject`, by its digest alone. A registry that lists no referrers is left without the tag that stands in. */
export async function pushTestReferrer(
  target: PushTarget,
  repository: string,
  subject: TestSubject,
  artifactType: string,
  payload: string,
): Promise<TestSubject> {
  const layer = Buffer.from(payload);
  for (const blob of [emptyConfig, layer]) await target.putBlob(repository, blob);
  const manifest = encodeJson({
    schemaVersion: 2,
    mediaType: manifestType,
    artifactType,
    config: { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf(emptyConfig), size: emptyConfig.length },
    layers: [{ mediaType: "application/octet-stream", digest: digestOf(layer), size: layer.length }],
    subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.manifest.length },
    annotations: { "com.example.payload": payload.slice(0, 20) },
  });
  const digest = digestOf(manifest);
  await target.putManifest(repository, digest, manifest, manifestType);
  return { digest, manifest, mediaType: manifestType };
}

/** Pushes the index that stands in for a list of referrers. */
export async function pushTestReferrersTag(
  target: PushTarget,
  repository: string,
  subjectDigest: string,
  referrers: readonly TestSubject[],
  artifactType: string,
): Promise<void> {
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const manifests = referrers.map((one) => ({
    mediaType: one.mediaType,
    digest: one.digest,
    size: one.manifest.length,
    artifactType,
  }));
  const index = encodeJson({ schemaVersion: 2, mediaType, manifests });
  await target.putManifest(repository, subjectDigest.replace(":", "-"), index, mediaType);
}

/** One layer under a tag of cosign's. */
export interface TestAttachment {
  readonly mediaType?: string;
  readonly payload: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Pushes what cosign would keep as `.sig`, `.att` or `.sbom` of a manifest. */
export async function pushTestAttachments(
  target: PushTarget,
  repository: string,
  subjectDigest: string,
  suffix: "sig" | "att" | "sbom",
  attachments: readonly TestAttachment[],
): Promise<TestSubject> {
  const layers = attachments.map(({ mediaType, payload, annotations }) => ({
    mediaType: mediaType ?? "application/vnd.dev.cosign.simplesigning.v1+json",
    digest: digestOf(Buffer.from(payload)),
    size: Buffer.byteLength(payload),
    annotations: annotations ?? { "dev.cosignproject.cosign/signature": Buffer.from(payload).toString("base64") },
  }));
  const diffIds = layers.map(({ digest }) => digest);
  const config = encodeJson({
    architecture: "",
    os: "",
    rootfs: { type: "layers", diff_ids: diffIds },
    config: {},
  });
  for (const blob of [config, ...attachments.map(({ payload }) => Buffer.from(payload))])
    await target.putBlob(repository, blob);
  const manifest = encodeJson({
    schemaVersion: 2,
    mediaType: manifestType,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      size: config.length,
      digest: digestOf(config),
    },
    layers,
  });
  const tag = `${subjectDigest.replace(":", "-")}.${suffix}`;
  await target.putManifest(repository, tag, manifest, manifestType);
  return { digest: digestOf(manifest), manifest, mediaType: manifestType };
}

function encodeJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
