/** The signatures of one release: where they are looked for, and what they are worth. */
import { type Digest, MAX_SIGNATURES_PER_MANIFEST, type Reference, UndeterminedError } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { ImageSource } from "@signet/images";
import type { ReleaseSignatureSource, ReleaseSignaturesVerdict, ReleaseTrust } from "@signet/openshift";
import type { Invocation, ListOption, NumberOption } from "../command-line/command.ts";
import { readSwitches } from "../command-line/openpgp-options.ts";
import type { ImageAccess } from "../images/image-access.ts";
import type { Runtime } from "../runtime.ts";

export const configMapOption: ListOption = {
  kind: "list",
  name: "configmap",
  value: "FILE|DIR",
  summary: "Look for signatures in these ConfigMaps of mirrored signatures as well",
  completion: "file",
};

export const maxSignaturesOption: NumberOption = {
  kind: "number",
  name: "max-signatures",
  value: "N",
  minimum: 1,
  maximum: MAX_SIGNATURES_PER_MANIFEST,
  summary: "Signatures looked at in each store (default 9, as a cluster: what is accepted further on, none accepts)",
};

/** A release whose signatures are judged. */
export interface SearchedRelease {
  readonly digest: Digest;
  /** Undefined where nothing but the digest is known. */
  readonly source?: ImageSource;
  /** What its signature must be for. Default: anything. */
  readonly identity?: Reference;
}

/** Looks in all places that options and trust name, at once. @throws as `judgeReleaseSignatures` */
export async function judgeRelease(
  { digest, source, identity }: SearchedRelease,
  trust: ReleaseTrust,
  access: ImageAccess,
  invocation: Invocation,
  runtime: Runtime,
): Promise<ReleaseSignaturesVerdict> {
  const { judgeReleaseSignatures } = await import("@signet/openshift");
  const sources = await listSources(trust, source, access, invocation, runtime);
  runtime.progress.step(`Looking for signatures of ${digest} in ${sources.length} places`);
  return judgeReleaseSignatures(digest, trust.keyrings, sources, {
    engine: nodeEngine,
    now: runtime.now(),
    // A cluster does not look at expiry at all; a key that has expired since it signed is told, and stays good for what it signed.
    switches: {
      acceptKeyExpiredSinceSigning: true,
      acceptSubkeyExpiredSinceSigning: true,
      ...readSwitches(invocation),
    },
    ...(identity === undefined ? {} : { identity }),
  });
}

async function listSources(
  trust: ReleaseTrust,
  source: ImageSource | undefined,
  access: ImageAccess,
  invocation: Invocation,
  { terminal }: Runtime,
): Promise<readonly ReleaseSignatureSource[]> {
  const { parseLookasideBase, readReleaseStore } = await import("@signet/images");
  const { loadSignatureConfigMaps } = await import("@signet/openshift");
  const sources: ReleaseSignatureSource[] = [];
  for (const path of invocation.get(configMapOption)) {
    const { signatures, warnings } = await loadSignatureConfigMaps(path);
    for (const warning of warnings) terminal.warn(warning);
    sources.push({
      label: `ConfigMaps in ${path}`,
      read: async (digest) => ({
        store: path,
        signatures: signatures.filter((signature) => signature.digest === digest),
        attempts: [],
        warnings: [],
      }),
    });
  }
  const most = invocation.get(maxSignaturesOption);
  for (const { url } of trust.stores) {
    const base = parseLookasideBase(url.href, "the store of the release");
    sources.push({
      label: base.label,
      read: (digest, isEnough) =>
        readReleaseStore(base, digest, access.clients, { isEnough, ...(most === undefined ? {} : { most }) }),
    });
  }
  // Beside the image itself: in a lookaside store, behind the registry's signatures API, in a dir: image.
  if (source !== undefined)
    sources.push({ label: `signatures of ${source.name.text}`, read: (digest) => source.signatures(digest) });
  return sources;
}

/** Says of which release it could not be told. */
export function explainUndetermined(error: unknown, image: string): unknown {
  if (!(error instanceof UndeterminedError)) return error;
  const { code, message, hint, details } = error;
  return new UndeterminedError(code, `${image}, whose trust is to be used: ${message}`, {
    cause: error,
    details,
    ...(hint === undefined ? {} : { hint }),
  });
}
