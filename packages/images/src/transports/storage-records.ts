/**
 * What a store of podman and its kin notes of its images, whatever its driver. Files are only read, each is replaced as a whole by whoever changes the store:
 *
 *   <root>/<driver>-images/images.json     [{id, names, big-data-names, metadata, …}, …]
 *   <root>/<driver>-images/<id>/manifest   the image's manifest, as it came
 *   …/=base64(manifest-<digest>)           the same by its digest, and the list that it was chosen from
 *   …/=base64(<digest>)                    the config
 *   …/signatures, =base64(signature-<hex>) signatures one behind the other; metadata has their lengths
 */
import { join } from "node:path";
import {
  type Digest,
  FormatError,
  type JsonNode,
  MAX_MANIFEST_BYTES,
  MAX_SIGNATURES_PER_MANIFEST,
  MAX_SIGNATURE_BYTES,
  type Reference,
  StoreError,
  digestHex,
  formatReference,
  jsonArray,
  jsonString,
  parseJson,
  parseReference,
  referenceName,
  strictObject,
} from "@signet/core";
import { readFileBounded } from "../config/bounded-file.ts";
import { MAX_CONFIG_BYTES } from "./docker-archive-index.ts";
import type { ImageName, StoreLocation } from "./transport.ts";

/** Bytes of the list of images: a node with ten thousand images has about twenty million. */
const MAX_RECORDS_BYTES: number = 64 * 1024 * 1024;

/** JSON values in it: about forty an image. */
const MAX_RECORDS_VALUES = 2_000_000;

/** Bytes of all signatures of one manifest in one file. */
const MAX_SIGNATURES_BYTES: number = 32 * 1024 * 1024;

/** One image of a store. */
export interface ImageRecord {
  /** 64 hex digits. */
  readonly id: string;
  readonly names: readonly string[];
  /** Names of the data kept with it. */
  readonly dataNames: ReadonlySet<string>;
  /** A JSON text of its own. */
  readonly metadata: string;
}

/** The images of one store. */
export class StorageRecords {
  readonly #folder: string;
  readonly #store: StoreLocation;

  constructor(store: StoreLocation) {
    this.#store = store;
    this.#folder = join(store.root, `${store.driver}-images`);
  }

  /** For people. */
  get label(): string {
    return `[${this.#store.driver}@${this.#store.root}]`;
  }

  /**
   * Finds the image that `name` means: by its id; by exactly its name; by its digest among the images of its repository.
   * @returns the image, and whether the name was the beginning of its id
   * @throws StoreError `image-missing`, `file-unreadable`; FormatError `json-malformed`, `image-malformed` for a digest that several images have
   */
  async find(name: ImageName): Promise<{ readonly record: ImageRecord; readonly byId: boolean }> {
    const records = await this.#readRecords();
    const { reference, imageId } = name;
    if (imageId !== undefined) {
      const found = records.filter(({ id }) => id.startsWith(imageId));
      const isSure = imageId.length === 64 || reference === undefined;
      if (found.length === 1 && (!isSure || reference === undefined || hasRepository(found[0]!, reference))) {
        return { record: found[0]!, byId: true };
      }
      if (isSure) throw this.#missing(name, found.length > 1 ? "several images have an id that begins so" : undefined);
    }
    if (reference === undefined) throw this.#missing(name);
    const full = formatReference(reference);
    const named = records.find(({ names }) => names.includes(full));
    if (named !== undefined) return { record: named, byId: false };
    const { digest } = reference;
    if (digest === undefined) throw this.#missing(name);
    const same = records.filter(
      (record) => record.dataNames.has(manifestKey(digest)) && hasRepository(record, reference),
    );
    if (same.length > 1) {
      throw new FormatError("image-malformed", `${name.text}: several images have that digest`, {
        hint: `choose one by its id: ${same.map(({ id }) => id.slice(0, 12)).join(", ")}`,
      });
    }
    if (same[0] === undefined) throw this.#missing(name);
    return { record: same[0], byId: false };
  }

  /** The manifest under a digest; undefined when it is not kept under that one. */
  async manifestByDigest(record: ImageRecord, digest: Digest): Promise<Uint8Array | undefined> {
    const key = manifestKey(digest);
    return record.dataNames.has(key) ? await this.#read(record, key, MAX_MANIFEST_BYTES) : undefined;
  }

  /** The manifest that was stored last. */
  manifest(record: ImageRecord): Promise<Uint8Array> {
    return this.#read(record, "manifest", MAX_MANIFEST_BYTES);
  }

  config(record: ImageRecord, digest: Digest): Promise<Uint8Array> {
    return this.#read(record, digest, MAX_CONFIG_BYTES);
  }

  /**
   * The signatures kept for a manifest.
   * @param isOwn it is the manifest that was stored last
   * @throws FormatError `image-malformed` when lengths and bytes do not agree
   */
  async signatures(
    record: ImageRecord,
    digest: Digest,
    isOwn: boolean,
  ): Promise<{ readonly blobs: readonly Uint8Array[]; readonly location: string }> {
    const what = `${this.label}: image ${record.id}`;
    const { own, byDigest } = readSignatureSizes(record.metadata, what);
    const listed = byDigest.get(digest);
    const [key, sizes] = listed !== undefined ? [`signature-${digestHex(digest)}`, listed] : ["signatures", own];
    const location = this.#path(record, key);
    if ((listed === undefined && !isOwn) || sizes.length === 0) return { blobs: [], location };
    if (sizes.length > MAX_SIGNATURES_PER_MANIFEST || sizes.some((size) => size > MAX_SIGNATURE_BYTES)) {
      throw new FormatError("input-too-large", `${what}: ${sizes.length} signatures, or one that is too large`);
    }
    const bytes = await this.#read(record, key, MAX_SIGNATURES_BYTES);
    if (sizes.reduce((sum, size) => sum + size, 0) !== bytes.length) {
      throw new FormatError("image-malformed", `${what}: its signatures have other lengths than its record says`, {
        hint: "the store may have been written to in the same moment; try again",
      });
    }
    let end = 0;
    return { blobs: sizes.map((size) => bytes.slice(end, (end += size))), location };
  }

  async #readRecords(): Promise<readonly ImageRecord[]> {
    const path = join(this.#folder, "images.json");
    let bytes: Uint8Array;
    try {
      bytes = await readFileBounded(path, MAX_RECORDS_BYTES, "list of images", { regularOnly: true });
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== "file-missing") throw error;
      throw new StoreError("image-missing", `there is no image storage ${this.label}`, {
        cause: error,
        side: "source",
        hint: "name driver and folder as `podman info` shows them: containers-storage:[driver@/graph/root]NAME",
      });
    }
    const root = parseJson(bytes, path, { maxBytes: MAX_RECORDS_BYTES, maxValues: MAX_RECORDS_VALUES });
    if (root.kind === "null") return [];
    return jsonArray(root, "the top level").map((node, at) => parseRecord(node, `[${at}]`));
  }

  #read(record: ImageRecord, key: string, maxBytes: number): Promise<Uint8Array> {
    return readFileBounded(this.#path(record, key), maxBytes, "record of the image", { regularOnly: true });
  }

  #path(record: ImageRecord, key: string): string {
    return join(this.#folder, record.id, dataFile(key));
  }

  #missing(name: ImageName, problem = "no such image"): StoreError {
    return new StoreError("image-missing", `${name.text}: ${problem} in the local storage`, {
      side: "source",
      hint: "`podman images --digests` lists them; names are compared in full, with host and tag",
    });
  }
}

const imageIdForm = /^[0-9a-f]{64}$/;

function parseRecord(node: JsonNode, path: string): ImageRecord {
  const members = strictObject(node, path, { required: ["id"], allowUnknown: true });
  const texts = (name: string): readonly string[] => {
    const list = members.get(name);
    if (list === undefined || list.kind === "null") return [];
    return jsonArray(list, `${path}.${name}`).map((item, at) => jsonString(item, `${path}.${name}[${at}]`));
  };
  const id = jsonString(members.get("id")!, `${path}.id`);
  // It becomes part of a path.
  if (!imageIdForm.test(id)) throw new FormatError("image-malformed", `${path}.id is no image id`);
  const metadata = members.get("metadata");
  return {
    id,
    names: texts("names"),
    dataNames: new Set(texts("big-data-names")),
    metadata: metadata === undefined || metadata.kind === "null" ? "" : jsonString(metadata, `${path}.metadata`),
  };
}

function readSignatureSizes(
  metadata: string,
  what: string,
): { readonly own: readonly number[]; readonly byDigest: ReadonlyMap<string, readonly number[]> } {
  const byDigest = new Map<string, readonly number[]>();
  if (metadata === "") return { own: [], byDigest };
  const root = parseJson(new TextEncoder().encode(metadata), `${what}: metadata`);
  const members = strictObject(root, "", { required: [], allowUnknown: true });
  const all = members.get("signatures-sizes");
  if (all !== undefined && all.kind !== "null") {
    for (const [digest, sizes] of strictObject(all, "signatures-sizes", { required: [], allowUnknown: true })) {
      byDigest.set(digest, readSizes(sizes, what));
    }
  }
  return { own: readSizes(members.get("signature-sizes"), what), byDigest };
}

function readSizes(node: JsonNode | undefined, what: string): readonly number[] {
  if (node === undefined || node.kind === "null") return [];
  return jsonArray(node, "signature-sizes").map((item) => {
    if (item.kind === "number" && Number.isSafeInteger(item.value) && item.value >= 0) return item.value;
    throw new FormatError("image-malformed", `${what}: the length of a signature is no number of bytes`);
  });
}

function manifestKey(digest: Digest): string {
  return `manifest-${digest}`;
}

/** The file of a piece of data: its name where that is harmless, else its base64. */
function dataFile(key: string): string {
  return /^[.0-9a-z]*$/.test(key) && !key.startsWith(".") ? key : `=${Buffer.from(key).toString("base64")}`;
}

function hasRepository({ names }: ImageRecord, reference: Reference): boolean {
  const repository = referenceName(reference);
  return names.some((name) => {
    try {
      return referenceName(parseReference(name)) === repository;
    } catch (error) {
      if (error instanceof FormatError) return false;
      throw error;
    }
  });
}
