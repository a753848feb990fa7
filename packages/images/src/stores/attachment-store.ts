/** Sigstore attachments as a store: cosign's tag `<algorithm>-<hex>.sig` in the image's own repository (registries.d, section 6). */
import {
  type Digest,
  FormatError,
  MAX_SIGNATURES_PER_MANIFEST,
  MAX_SIGNATURE_BYTES,
  OCI_MANIFEST_TYPE,
  type Reference,
  StoreError,
  type UntrustedDescriptor,
  type UntrustedSigstoreBlob,
  parseSignatureBlob,
  sha256Digest,
  writeSignatureBlob,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { AttachmentsChoice } from "../config/registries-d-lookup.ts";
import type { RegistryClient } from "../registry/client.ts";
import { companionTag } from "../registry/companion-tags.ts";
import { chunksOf, collectChunks } from "../transports/blob-check.ts";
import type { RawManifest } from "../transports/transport.ts";
import {
  MAX_ATTACHMENT_CONFIG_BYTES,
  type PresentAttachments,
  appendLayers,
  isSameLayer,
  needsConfig,
  parseAttachmentManifest,
  replaceLayers,
} from "./attachment-manifest.ts";
import type { SignatureReading, SignatureStore, StoreAttempt, StoredSignature } from "./signature-store.ts";

/** Bytes of all payloads of one manifest together, as for other stores. A genuine one has a few hundred bytes. */
const MAX_TOTAL_PAYLOAD_BYTES: number = 32 * 1024 * 1024;

/** A layer to be stored, with the bytes it names. */
interface NewLayer extends UntrustedDescriptor {
  readonly payload: Uint8Array;
}

/**
 * The sigstore attachments of a registry's images, one layer of the tag's manifest a signature. Each comes out as the blob that other stores hold: framed as `sigstore-json`.
 * Every layer is handed out, whatever its media type; what counts is for the policy to say.
 *
 * Writing goes through `updateTag`, whose guarantees hold: layers that others add meanwhile stay. The reference implementation and cosign read, change and write
 * without looking back.
 *
 * @param choice what registries.d says; when attachments are off, nothing is read, and writing is refused
 */
export function attachmentStore(client: RegistryClient, choice: AttachmentsChoice): SignatureStore {
  return new AttachmentStore(client, choice);
}

class AttachmentStore implements SignatureStore {
  readonly label: string;
  readonly unwritable: string | undefined;
  readonly #client: RegistryClient;
  readonly #enabled: boolean;
  /** One change of a tag at a time; among ourselves nobody has to come back. */
  readonly #changes = new Map<string, Promise<unknown>>();

  constructor(client: RegistryClient, choice: AttachmentsChoice) {
    this.#client = client;
    this.#enabled = choice.enabled;
    this.label = `${client.domain} (sigstore attachments)`;
    this.unwritable = choice.enabled ? undefined : `${ATTACHMENTS_DISABLED}: ${choice.explanation}`;
  }

  async read(reference: Reference, digest: Digest): Promise<SignatureReading> {
    this.#checkHost(reference);
    const tag = companionTag(digest, "sig");
    if (!this.#enabled || tag === undefined) return { store: this.label, signatures: [], attempts: [], warnings: [] };
    const location = this.#locate(reference, tag);
    const manifest = await this.#client.fetchTagged(reference.path, tag);
    if (manifest === undefined) {
      return {
        store: this.label,
        signatures: [],
        attempts: [{ location, outcome: "absent", status: 404 }],
        warnings: [],
      };
    }
    const { layers } = parseAttachmentManifest(manifest, location);
    const signatures = await readSignatureLayers(layers, location, (layer) =>
      this.#client.fetchBlob(reference.path, layer),
    );
    const attempts = signatures.map((one): StoreAttempt => ({ location: one.location, outcome: "found", status: 200 }));
    return { store: this.label, signatures, attempts, warnings: [] };
  }

  async add(reference: Reference, digest: Digest, blob: Uint8Array): Promise<string> {
    const layer = this.#layerOf(blob);
    let position = 0;
    const tag = await this.#change(reference, digest, [layer], async (present) => {
      const layers = present?.parsed.layers ?? [];
      position = layers.findIndex((one) => isSameLayer(one, layer));
      if (position >= 0) return undefined;
      this.#checkCount(layers.length + 1);
      return appendLayers(present, [layer]);
    });
    return layerLocation(this.#locate(reference, tag), position);
  }

  /** Also takes away what is not among `blobs`, which the reference implementation cannot. */
  async replace(reference: Reference, digest: Digest, blobs: readonly Uint8Array[]): Promise<void> {
    const layers = blobs.map((blob) => this.#layerOf(blob));
    this.#checkCount(layers.length);
    if (layers.length === 0) return await this.remove(reference, digest);
    await this.#change(reference, digest, layers, async (present) => {
      const before = present?.parsed.layers ?? [];
      const isDone = before.length === layers.length && layers.every((one, index) => isSameLayer(one, before[index]!));
      return isDone ? undefined : replaceLayers(present, layers);
    });
  }

  async remove(reference: Reference, digest: Digest): Promise<void> {
    this.#checkWritable();
    this.#checkHost(reference);
    const tag = companionTag(digest, "sig");
    if (tag === undefined) return;
    const manifest = await this.#client.fetchTagged(reference.path, tag);
    if (manifest === undefined) return;
    // Nothing but a manifest of attachments may be deleted: the tag could name anything.
    parseAttachmentManifest(manifest, this.#locate(reference, tag));
    if (!(await this.#client.deleteTag(reference.path, tag)))
      await this.#client.deleteManifest(reference.path, manifest.digest);
  }

  /** Stores the payloads, then changes the manifest under the tag; returns the tag. */
  async #change(
    reference: Reference,
    digest: Digest,
    layers: readonly NewLayer[],
    change: (present: PresentAttachments | undefined) => Promise<ReturnType<typeof appendLayers> | undefined>,
  ): Promise<string> {
    this.#checkWritable();
    this.#checkHost(reference);
    const tag = companionTag(digest, "sig");
    if (tag === undefined)
      throw this.#refusal(`${digest} is too long for a tag`, "sigstore attachments need a sha256 digest");
    for (const layer of layers) await putBlob(this.#client, reference.path, layer, layer.payload);
    await this.#oneByOne(`${reference.path}:${tag}`, () =>
      this.#client.updateTag(reference.path, tag, async (current) => {
        const present =
          current && (await readPresent(this.#client, reference.path, current, this.#locate(reference, tag)));
        const made = await change(present);
        if (made === undefined) return undefined;
        if (made.config !== undefined) await putBlob(this.#client, reference.path, made.config, made.config.bytes);
        return { bytes: made.bytes, mediaType: OCI_MANIFEST_TYPE };
      }),
    );
    return tag;
  }

  async #oneByOne(key: string, change: () => Promise<unknown>): Promise<void> {
    const before = this.#changes.get(key) ?? Promise.resolve();
    // Whoever comes next waits, but does not fail, for this one.
    const own = before.then(change, change);
    this.#changes.set(key, own);
    try {
      await own;
    } finally {
      if (this.#changes.get(key) === own) this.#changes.delete(key);
    }
  }

  #layerOf(blob: Uint8Array): NewLayer {
    this.#checkWritable();
    const { mimeType, payload, annotations } = this.#parse(blob);
    if (mimeType === "") throw this.#refusal("a signature without a media type", "leave it out");
    return {
      mediaType: mimeType,
      size: payload.length,
      digest: sha256Digest(payload, nodeEngine),
      urls: [],
      annotations,
      payload,
    };
  }

  #parse(blob: Uint8Array): UntrustedSigstoreBlob {
    let problem = "sigstore attachments take sigstore signatures only, not simple signing";
    try {
      const parsed = parseSignatureBlob(blob);
      if (parsed.format === "sigstore-json") return parsed;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      problem = `that is no signature: ${error.message}`;
    }
    throw this.#refusal(problem, "leave it out, or use another store");
  }

  #checkCount(count: number): void {
    if (count <= MAX_SIGNATURES_PER_MANIFEST) return;
    throw this.#refusal(
      `there would be ${count} signatures; readers stop at ${MAX_SIGNATURES_PER_MANIFEST}`,
      "let old ones be removed first",
    );
  }

  #checkWritable(): void {
    if (this.unwritable === undefined) return;
    throw new StoreError("signature-store-unwritable", this.unwritable, {
      side: "destination",
      hint: attachmentsDisabledHint,
    });
  }

  #checkHost(reference: Reference): void {
    if (reference.domain === this.#client.domain) return;
    throw new StoreError("signature-store-error", `${this.label} does not serve ${reference.domain}/${reference.path}`);
  }

  #locate(reference: Reference, tag: string): string {
    return `${this.#client.domain}/${reference.path}:${tag}`;
  }

  #refusal(problem: string, hint: string): StoreError {
    return new StoreError("signature-store-unwritable", `${this.label}: ${problem}`, { side: "destination", hint });
  }
}

/** How the reason begins when registries.d keeps sigstore signatures from being written; the reference implementation's words. */
export const ATTACHMENTS_DISABLED = "writing sigstore attachments is disabled by configuration";

/** What to do when registries.d keeps sigstore signatures from being written. */
export const attachmentsDisabledHint =
  "switch them on with `signet trust set SCOPE --attachments` (use-sigstore-attachments in registries.d), or leave the signatures behind: --remove-signatures";

/**
 * Reads the layers of an attachment manifest as signature blobs, in order.
 * @param location of the manifest, for messages
 * @param blob streams a payload, checking its digest
 * @throws StoreError `signature-store-error` for too many or too much, and what `blob` throws; FormatError `input-too-large`
 */
export async function readSignatureLayers(
  layers: readonly UntrustedDescriptor[],
  location: string,
  blob: (layer: UntrustedDescriptor) => AsyncIterable<Uint8Array>,
): Promise<readonly StoredSignature[]> {
  const problem = (text: string): StoreError =>
    new StoreError("signature-store-error", `${location}: ${text}`, {
      side: "source",
      hint: "no image has that many or such large signatures",
    });
  if (layers.length > MAX_SIGNATURES_PER_MANIFEST)
    throw problem(`more than ${MAX_SIGNATURES_PER_MANIFEST} signatures for one manifest`);
  const signatures: StoredSignature[] = [];
  let total = 0;
  for (const [index, layer] of layers.entries()) {
    const place = layerLocation(location, index);
    total += layer.size;
    if (layer.size > MAX_SIGNATURE_BYTES) {
      throw new FormatError("input-too-large", `${place}: ${layer.size} bytes, the limit is ${MAX_SIGNATURE_BYTES}`);
    }
    if (total > MAX_TOTAL_PAYLOAD_BYTES)
      throw problem(`the signatures are larger than ${MAX_TOTAL_PAYLOAD_BYTES} bytes together`);
    const payload = await collectChunks(blob(layer), MAX_SIGNATURE_BYTES, place);
    const { mediaType: mimeType, annotations } = layer;
    const bytes = writeSignatureBlob({ format: "sigstore-json", mimeType, payload, annotations });
    signatures.push({ bytes, location: place });
  }
  return signatures;
}

function layerLocation(location: string, index: number): string {
  return `${location} (layer ${index + 1})`;
}

/** A manifest of attachments with its config, for changing it. */
export async function readPresent(
  client: Pick<RegistryClient, "fetchBlob">,
  repository: string,
  manifest: RawManifest,
  what: string,
): Promise<PresentAttachments> {
  const parsed = parseAttachmentManifest(manifest, what);
  const config = needsConfig(parsed)
    ? await collectChunks(client.fetchBlob(repository, parsed.config), MAX_ATTACHMENT_CONFIG_BYTES, `config of ${what}`)
    : undefined;
  return { parsed, config };
}

async function putBlob(
  client: RegistryClient,
  repository: string,
  { digest }: { readonly digest: Digest },
  bytes: Uint8Array,
): Promise<void> {
  const descriptor = { digest, size: bytes.length };
  if (!(await client.hasBlob(repository, descriptor))) await client.uploadBlob(repository, descriptor, chunksOf(bytes));
}
