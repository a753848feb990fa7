/**
 * Signatures that come as manifests: sigstore attachments (one layer a signature, in a manifest under the tag `sha256-HEX.sig` or in a referrer, cosign's older form of `--registry-referrers-mode
 * oci-1-1`), cosign's bundles and notation's envelopes (referrers). They are indexed beside the OpenPGP ones; the manifest that carries them is served as any other.
 */
import { createHash } from "node:crypto";
import {
  FormatError,
  type UntrustedDescriptor,
  type UntrustedImageManifest,
  parseManifest,
  tryParseDigest,
  writeSignatureBlob,
} from "@signet/core";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Database, Reader } from "../db/database.ts";
import type { SignatureFormat } from "../db/schema.ts";
import { MAX_PAYLOADS, MAX_PAYLOAD_BYTES, MAX_TOTAL_PAYLOAD_BYTES, readPayload } from "../trust/payload.ts";
import { findBlob } from "./blobs.ts";
import { type CarriedClaims, readBundle, readCosignPayload, readNotationEnvelope } from "./carried-payloads.ts";
import { ContentError } from "./content-error.ts";
import type { ManifestFacts } from "./manifest-facts.ts";
import { type HeldVersion, findServed } from "./repositories.ts";

const ATTACHMENT_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json";
const ATTACHMENT_SIGNATURE = "dev.cosignproject.cosign/signature";
const BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const NOTATION_TYPE = "application/vnd.cncf.notary.signature";
/** The type of cosign's older referrer, said by its configuration. */
const ATTACHMENT_REFERRER_TYPE = "application/vnd.dev.cosign.artifact.sig.v1+json";
/** Types of artifacts that are signatures of their subject. */
export const SIGNATURE_ARTIFACT_TYPES: readonly string[] = [ATTACHMENT_REFERRER_TYPE, BUNDLE_TYPE, NOTATION_TYPE];
const attachmentTag = /^sha256-([0-9a-f]{64})\.sig$/;

/** A signature that a manifest carries. What it claims is unverified. */
export interface CarriedSignature {
  readonly digest: string;
  readonly manifestDigest: string;
  /** Under which the manifest carries it; undefined for a referrer. */
  readonly tag: string | undefined;
  readonly format: SignatureFormat;
  /** Attachments in the frame of containers/image; bundles and envelopes as they are. */
  readonly bytes: Uint8Array;
  readonly claims: CarriedClaims;
}

/** The image that a tag of cosign's holds the signatures of; undefined for any other tag. */
export function attachmentSubject(tag: string): string | undefined {
  const hex = attachmentTag.exec(tag)?.[1];
  return hex === undefined ? undefined : `sha256:${hex}`;
}

/**
 * Reads the signatures that a manifest carries, before it is stored. What does not claim to be a signature (attestations, SBOMs, other layers under the same tag, anything
 * under another tag) is passed over and never refused.
 *
 * @param tags under which it is pushed
 * @throws ContentError `manifest-invalid` for a signature that is malformed or about another image; `signatures-too-many` for more, or larger ones, than clients read
 */
export async function readCarriedSignatures(
  database: Database,
  store: BlobStore,
  path: string,
  manifest: ManifestFacts,
  tags: readonly string[],
): Promise<readonly CarriedSignature[]> {
  const isCarrier = manifest.subject !== undefined || tags.some((tag) => attachmentSubject(tag) !== undefined);
  if (manifest.kind !== "image" || !isCarrier) return [];
  const served = await findServed(database.read, path);
  return served === undefined ? [] : await readCarried(database.read, store, served, manifest, tags);
}

/** {@link readCarriedSignatures} of a manifest that a repository holds, or is about to. */
export async function readCarried(
  database: Reader,
  store: BlobStore,
  held: HeldVersion,
  manifest: ManifestFacts,
  tags: readonly string[],
): Promise<readonly CarriedSignature[]> {
  const parsed = parseManifest(manifest.bytes, manifest.mediaType);
  if (parsed.kind !== "image") return [];
  const reader = new PayloadReader(database, store, held);
  const found: CarriedSignature[] = [];
  for (const tag of new Set(tags)) {
    const subject = attachmentSubject(tag);
    if (subject !== undefined) found.push(...(await readAttachments(reader, parsed, subject, tag)));
  }
  if (manifest.subject !== undefined) found.push(...(await readReferrer(reader, manifest, parsed)));
  return found;
}

class PayloadReader {
  readonly #database: Reader;
  readonly #store: BlobStore;
  readonly #held: HeldVersion;
  /** One manifest may carry the same layers under a tag and as a referrer. */
  readonly #payloads = new Map<string, Uint8Array | undefined>();
  #total = 0;
  #count = 0;

  constructor(database: Reader, store: BlobStore, held: HeldVersion) {
    this.#database = database;
    this.#store = store;
    this.#held = held;
  }

  /** A payload; undefined when the repository lacks it, for which the push is refused anyway. */
  async read({ digest }: UntrustedDescriptor): Promise<Uint8Array | undefined> {
    if (!this.#payloads.has(digest)) this.#payloads.set(digest, await this.#fetch(digest));
    return this.#payloads.get(digest);
  }

  async #fetch(digest: string): Promise<Uint8Array | undefined> {
    const blob = await findBlob(this.#database, this.#held, digest);
    if (blob === undefined) return undefined;
    this.#total += blob.size;
    this.#count += 1;
    if (blob.size > MAX_PAYLOAD_BYTES || this.#total > MAX_TOTAL_PAYLOAD_BYTES || this.#count > MAX_PAYLOADS) {
      throw new ContentError(
        "signatures-too-many",
        `a manifest may carry ${MAX_PAYLOADS} signatures of ${MAX_PAYLOAD_BYTES} bytes, ${MAX_TOTAL_PAYLOAD_BYTES} together`,
      );
    }
    return await readPayload(this.#store, blob);
  }
}

async function readAttachments(
  reader: PayloadReader,
  { layers }: UntrustedImageManifest,
  subject: string,
  tag: string | undefined,
): Promise<readonly CarriedSignature[]> {
  const found: CarriedSignature[] = [];
  for (const layer of layers.filter(({ mediaType }) => mediaType === ATTACHMENT_TYPE)) {
    const payload = await reader.read(layer);
    if (payload === undefined) continue;
    found.push(
      orRefuse(`the signature in layer ${layer.digest}`, () => {
        const claims = readCosignPayload(payload);
        if (!layer.annotations.get(ATTACHMENT_SIGNATURE)) {
          throw new FormatError("image-malformed", `it lacks the annotation ${ATTACHMENT_SIGNATURE}`);
        }
        const { mediaType: mimeType, annotations } = layer;
        const bytes = writeSignatureBlob({ format: "sigstore-json", mimeType, payload, annotations });
        return makeCarried("sigstore-attachment", subject, tag, bytes, claims);
      }),
    );
  }
  return found;
}

/** A referrer is one signature, its one layer; in the older form each layer is one. */
async function readReferrer(
  reader: PayloadReader,
  { artifactType, annotations, subject }: ManifestFacts,
  parsed: UntrustedImageManifest,
): Promise<readonly CarriedSignature[]> {
  const { layers } = parsed;
  if (artifactType === ATTACHMENT_REFERRER_TYPE) return await readAttachments(reader, parsed, subject!, undefined);
  const isBundle = artifactType === BUNDLE_TYPE;
  if (!isBundle && artifactType !== NOTATION_TYPE) return [];
  // What a bundle says of its image is a sha256.
  const isIndexed = subject!.startsWith("sha256:") && (layers[0]?.digest.startsWith("sha256:") ?? false);
  const predicate = annotations["dev.sigstore.bundle.predicateType"];
  if (isBundle && predicate !== undefined && !predicate.startsWith("https://sigstore.dev/cosign/sign/")) return [];
  if (layers.length !== 1) {
    throw new ContentError("manifest-invalid", `a signature as a referrer has one layer, this has ${layers.length}`);
  }
  const payload = isIndexed ? await reader.read(layers[0]!) : undefined;
  if (payload === undefined) return [];
  return orRefuse(`the ${isBundle ? "bundle" : "envelope"} in layer ${layers[0]!.digest}`, () => {
    const claims = isBundle ? readBundle(payload, subject!) : readNotationEnvelope(payload, layers[0]!.mediaType);
    if (claims === undefined) return [];
    return [makeCarried(isBundle ? "sigstore-bundle" : "notation", subject!, undefined, payload, claims)];
  });
}

function makeCarried(
  format: SignatureFormat,
  manifestDigest: string,
  tag: string | undefined,
  bytes: Uint8Array,
  claims: CarriedClaims,
): CarriedSignature {
  if (claims.manifestDigest !== undefined && claims.manifestDigest !== manifestDigest) {
    const named = tryParseDigest(claims.manifestDigest) ?? "what is no digest";
    throw new FormatError("payload-malformed", `it is about another image, ${named}`);
  }
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  return { digest, manifestDigest, tag, format, bytes, claims };
}

function orRefuse<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new ContentError("manifest-invalid", `${what}: ${error.message}`);
  }
}
