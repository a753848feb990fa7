/** One manifest of an image against a policy. */
import {
  type Digest,
  type Engine,
  type Examination,
  type ImageToJudge,
  type JudgeDeps,
  type OpenPgpSwitches,
  type Policy,
  TrustAnchors,
  type Verdict,
  examineImage,
  judgeImage,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { SignatureReading } from "../stores/signature-store.ts";
import type { ImageSource, RawManifest } from "../transports/transport.ts";
import { readKeyFile } from "./key-file.ts";

/** What images are judged by. */
export interface JudgeOptions {
  readonly policy: Policy;
  /** Milliseconds since 1970 UTC: the one reading of the clock that all verdicts of a run are about. */
  readonly now: number;
  /** Default: none set. */
  readonly switches?: OpenPgpSwitches;
  /** Reads the key files that the policy names. Default {@link readKeyFile}. */
  readonly readKeyFile?: (path: string) => Uint8Array;
  /** Keys kept from one image to the next; see {@link makeTrustAnchors}. Default: read anew for each image. */
  readonly trustAnchors?: TrustAnchors;
}

/** Where signatures were looked for, without their bytes. */
export type SignatureLookup = Omit<SignatureReading, "signatures"> & { readonly found: number };

export interface ManifestVerdict {
  readonly verdict: Verdict;
  /** Undefined when no requirement asked for signatures: then none were looked for. */
  readonly lookup: SignatureLookup | undefined;
}

/** One engine for everything in here: keys belong to the engine that read them. */
const engine: Engine = nodeEngine;

/** Keeps the keys of a policy for as many images as are judged in one run; key files that change later are not seen. */
export function makeTrustAnchors(options: Pick<JudgeOptions, "readKeyFile"> = {}): TrustAnchors {
  return new TrustAnchors({ engine, readKeyFile: options.readKeyFile ?? readKeyFile });
}

/** What judging needs of an image's source. */
export type JudgedSource = {
  readonly name: Pick<ImageSource["name"], "text" | "reference" | "policyIdentity">;
  signatures(digest: Digest): Promise<SignatureReading>;
};

/**
 * Judges a manifest that was fetched from `source`, under the name of the source's image: by the digest of exactly these bytes, with the signatures that the
 * source's store keeps for it. For an instance of a list the name is that of the list, as with the reference implementation.
 *
 * Not checked: that the manifest is what it claims to be, and anything about layers.
 *
 * @throws StoreError, FormatError, PolicyError, UndeterminedError: it could not be told; see `judgeImage`
 */
export async function judgeManifest(
  source: JudgedSource,
  manifest: Pick<RawManifest, "digest" | "namedDigest">,
  options: JudgeOptions,
): Promise<ManifestVerdict> {
  const { image, deps, lookup } = prepare(source, manifest, options);
  return { verdict: await judgeImage(image, deps), lookup: lookup() };
}

/**
 * What {@link judgeManifest} finds, for showing it: nothing that was found is lost where it could not be told.
 * @throws as `examineImage`
 */
export async function examineManifest(
  source: JudgedSource,
  manifest: Pick<RawManifest, "digest" | "namedDigest">,
  options: JudgeOptions,
): Promise<{ readonly examination: Examination; readonly lookup: SignatureLookup | undefined }> {
  const { image, deps, lookup } = prepare(source, manifest, options);
  return { examination: await examineImage(image, deps), lookup: lookup() };
}

interface Prepared {
  readonly image: ImageToJudge;
  readonly deps: JudgeDeps;
  /** After judging: where signatures were looked for. */
  readonly lookup: () => SignatureLookup | undefined;
}

function prepare(
  source: JudgedSource,
  manifest: Pick<RawManifest, "digest" | "namedDigest">,
  options: JudgeOptions,
): Prepared {
  const { name } = source;
  const image: ImageToJudge = {
    identity: name.policyIdentity,
    reference: name.reference,
    text: name.text,
    digest: manifest.digest,
  };
  let lookup: SignatureLookup | undefined;
  const deps: JudgeDeps = {
    policy: options.policy,
    now: options.now,
    engine,
    readKeyFile: options.readKeyFile ?? readKeyFile,
    readSignatures: async () => {
      // Stores file signatures under the digest by which a list names the manifest, while signatures are about its sha256 digest.
      const reading = await source.signatures(manifest.namedDigest ?? manifest.digest);
      const { signatures, ...rest } = reading;
      lookup = { ...rest, found: signatures.length };
      return signatures.map(({ bytes, location }) => ({ bytes, location, encoding: "blob" }));
    },
    ...(options.switches === undefined ? {} : { switches: options.switches }),
    ...(options.trustAnchors === undefined ? {} : { trustAnchors: options.trustAnchors }),
  };
  return { image, deps, lookup: () => lookup };
}
