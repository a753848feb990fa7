/** What a test case says its image is: a source that asks nobody. */
import {
  type Digest,
  MAX_MANIFEST_BYTES,
  MAX_SECRET_KEY_BYTES,
  type Signer,
  StoreError,
  computeManifestDigest,
  formatReference,
  openSecretKey,
  sha256Digest,
  writeSimpleSigningPayload,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { readFileBounded } from "../config/bounded-file.ts";
import type { ExplainedSource } from "../explain/explain-image.ts";
import { readGivenSignatures } from "../stores/given-signatures.ts";
import type { SignatureReading, StoredSignature } from "../stores/signature-store.ts";
import type { RawManifest } from "../transports/transport.ts";
import type { CaseImage } from "./case-image.ts";
import type { PolicyTestCase, SignatureRequest } from "./test-file.ts";

/** What the cases of one run share. */
export interface CaseSurroundings {
  /** Where a path of the test file lies. */
  readonly resolve: (path: string) => string;
  /** Milliseconds since 1970 UTC: when the case is judged. */
  readonly now: number;
  readonly keys: TestKeys;
}

/** Named in signatures that are made for a case. */
const CREATOR = "signet policy test";

/** The test keys of a run, each opened once for each time at which it signs. */
export class TestKeys {
  readonly #signers = new Map<string, Promise<Signer>>();

  /** @throws StoreError, FormatError, UsageError as `openSecretKey`; a key with a passphrase cannot be used */
  open(path: string, now: number): Promise<Signer> {
    const name = `${now} ${path}`;
    let signer = this.#signers.get(name);
    if (signer === undefined) {
      signer = openTestKey(path, now);
      this.#signers.set(name, signer);
    }
    return signer;
  }
}

async function openTestKey(path: string, now: number): Promise<Signer> {
  const bytes = await readFileBounded(path, MAX_SECRET_KEY_BYTES, "test key");
  return openSecretKey(bytes, { engine: nodeEngine, now });
}

/**
 * Reads what the case names, and makes the signatures that it asks for.
 * @returns the source, and whether its manifest has a digest and no bytes
 * @throws StoreError, FormatError, UsageError for files and keys that cannot be used
 */
export async function openCase(
  { manifest, signatures, signed, image }: PolicyTestCase,
  name: CaseImage,
  surroundings: CaseSurroundings,
): Promise<{ readonly source: ExplainedSource; readonly isAssumed: boolean }> {
  const manifests: RawManifest[] = [];
  if (manifest.kind === "file") {
    for (const { value } of [manifest.path, ...manifest.instances])
      manifests.push(readManifest(await readFileBounded(surroundings.resolve(value), MAX_MANIFEST_BYTES, "manifest")));
  } else if (manifest.kind === "inline") manifests.push(readManifest(manifest.bytes));
  const isAssumed = manifests.length === 0;
  if (isAssumed) {
    const digest =
      manifest.kind === "digest" ? manifest.digest : (name.reference?.digest ?? assumedDigest(image.value));
    manifests.push({ bytes: new Uint8Array(), digest, declaredMediaType: undefined });
  }
  const made: StoredSignature[] = [];
  for (const [index, request] of signed.entries())
    made.push(await makeSignature(request, index, manifests[0]!.digest, name, surroundings));
  const paths = signatures.map(({ value }) => surroundings.resolve(value));
  return { source: new CaseSource(name, manifests, paths, made), isAssumed };
}

function readManifest(bytes: Uint8Array): RawManifest {
  return { bytes, digest: computeManifestDigest(bytes, nodeEngine), declaredMediaType: undefined };
}

/** The same for the same name, and no image's own. */
function assumedDigest(name: string): Digest {
  return sha256Digest(new TextEncoder().encode(`signet policy test: ${name}`), nodeEngine);
}

async function makeSignature(
  request: SignatureRequest,
  index: number,
  digest: Digest,
  { reference, text }: CaseImage,
  { resolve, now, keys }: CaseSurroundings,
): Promise<StoredSignature> {
  const time = request.time ?? now;
  const signer = await keys.open(resolve(request.key.value), time);
  const dockerReference = request.identity ?? (reference === undefined ? undefined : formatReference(reference));
  if (dockerReference === undefined) {
    throw new StoreError("image-missing", `line ${request.place.line}: a signature for ${text} needs an identity`, {
      hint: "identity: host/repo:tag, since the image has no such name of its own",
    });
  }
  const payload = writeSimpleSigningPayload({
    manifestDigest: request.digest ?? digest,
    dockerReference,
    creator: CREATOR,
    timestamp: Math.floor(time / 1000),
  });
  return { bytes: await signer.sign(payload, time), location: `made signature ${index + 1}` };
}

class CaseSource implements ExplainedSource {
  readonly #name: CaseImage;
  readonly #manifests: readonly RawManifest[];
  readonly #paths: readonly string[];
  readonly #made: readonly StoredSignature[];

  constructor(
    name: CaseImage,
    manifests: readonly RawManifest[],
    paths: readonly string[],
    made: readonly StoredSignature[],
  ) {
    this.#name = name;
    this.#manifests = manifests;
    this.#paths = paths;
    this.#made = made;
  }

  async manifest(instance?: Digest): Promise<RawManifest> {
    if (instance === undefined) return this.#manifests[0]!;
    const found = this.#manifests.find(({ digest }) => digest === instance);
    if (found !== undefined) return found;
    throw new StoreError("image-missing", `none of the case's instances is ${instance}`, {
      side: "source",
      hint: "the manifest is a list: name the manifest files of its instances with `instances:`",
    });
  }

  async signatures(digest: Digest): Promise<SignatureReading> {
    const readings: SignatureReading[] = [];
    for (const path of this.#paths) readings.push(await readGivenSignatures(path, this.#name.reference, digest));
    return {
      store: "the case",
      signatures: [...readings.flatMap((one) => one.signatures), ...this.#made],
      attempts: readings.flatMap(({ attempts }) => attempts),
      warnings: readings.flatMap(({ warnings }) => warnings),
    };
  }

  async close(): Promise<void> {
    // Nothing is held.
  }
}
