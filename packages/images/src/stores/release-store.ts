/** Stores of signatures of OpenShift releases: found by digest alone, whatever the release is called. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Digest, PolicyError, digestAlgorithm, digestHex } from "@signet/core";
import type { RegistryClients } from "../registry/client.ts";
import { type LookasideBase, releaseSignatureFolder, releaseSignatureUrl } from "./lookaside-url.ts";
import { readSignatureFolder } from "./signature-folder.ts";
import type { RowRules } from "./read-ahead.ts";
import type { IsEnough, SignatureReading } from "./signature-store.ts";

/** A cluster looks at the first nine alone (openshift/library-go, pkg/verify/store/sigstore): one behind them makes no release acceptable there. */
const RELEASE_SIGNATURES = 9;

/** Bytes of one signature. Genuine ones have less than one thousand; this is what the cluster's reader allows for. */
const MAX_RELEASE_SIGNATURE_BYTES = 50 * 1024;

export interface ReleaseStoreOptions {
  /** True for a signature behind which none is wanted. */
  readonly isEnough?: IsEnough;
  /** Signatures that are looked at, from 1 to `MAX_SIGNATURES_PER_MANIFEST`. Default {@link RELEASE_SIGNATURES}. */
  readonly most?: number;
}

/**
 * Reads the signatures that a store has for a release, `BASE/sha256=HEX/signature-N`, up to the first that is missing, as a cluster does: at most {@link RELEASE_SIGNATURES}, and on behind one that
 * the store fails to give, which is the reading's `failure`. A larger one than any signature is passed over with a warning. What counts as missing is the same as for lookaside stores.
 * A folder may also be laid out as `sha256/HEX/signature-N`, as the update service has it.
 *
 * @throws PolicyError `registries-d-malformed` for a scheme other than file, http and https; StoreError for a URL that must
 *   not be asked
 */
export async function readReleaseStore(
  base: LookasideBase,
  digest: Digest,
  clients: Pick<RegistryClients, "openWeb">,
  { isEnough, most = RELEASE_SIGNATURES }: ReleaseStoreOptions = {},
): Promise<SignatureReading> {
  const rules: RowRules = {
    most,
    passesFailures: true,
    maxBytes: MAX_RELEASE_SIGNATURE_BYTES,
    ...(isEnough === undefined ? {} : { isEnough }),
  };
  switch (base.scheme) {
    case "file": {
      const folder = releaseSignatureFolder(base, digest);
      // As the update service keeps them on its disk, and older mirrors in their graph images.
      const served = join(base.folder ?? base.path, digestAlgorithm(digest), digestHex(digest));
      const place = !existsSync(folder) && existsSync(served) ? served : folder;
      return readSignatureFolder(place, base.label, rules);
    }
    case "http":
    case "https": {
      const { readLookasideWeb } = await import("./lookaside-http.ts");
      const web = clients.openWeb(new URL(`${base.origin}/`).host);
      return readLookasideWeb(web, base.label, (position) => releaseSignatureUrl(base, digest, position), rules);
    }
    default:
      throw new PolicyError("registries-d-malformed", `cannot read signatures from ${base.label}`, {
        hint: "a store is https://, http:// or file:///",
      });
  }
}
