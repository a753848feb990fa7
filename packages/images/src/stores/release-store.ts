/** Stores of signatures of OpenShift releases: found by digest alone, whatever the release is called. */
import { type Digest, PolicyError } from "@signet/core";
import type { RegistryClients } from "../registry/client.ts";
import { type LookasideBase, releaseSignatureFolder, releaseSignatureUrl } from "./lookaside-url.ts";
import { readSignatureFolder } from "./signature-folder.ts";
import type { SignatureReading } from "./signature-store.ts";

/**
 * Reads the signatures that a store has for a release, `BASE/sha256=HEX/signature-N`, up to the first that is missing. The limits, and what counts as missing, are
 * those of lookaside stores. (A cluster looks at the first nine alone.)
 *
 * @throws StoreError when it cannot be told whether there are any; PolicyError `registries-d-malformed` for a scheme other than file, http and https
 */
export async function readReleaseStore(
  base: LookasideBase,
  digest: Digest,
  clients: Pick<RegistryClients, "openWeb">,
): Promise<SignatureReading> {
  switch (base.scheme) {
    case "file":
      return readSignatureFolder(releaseSignatureFolder(base, digest), base.label);
    case "http":
    case "https": {
      const { readLookasideWeb } = await import("./lookaside-http.ts");
      const web = clients.openWeb(new URL(`${base.origin}/`).host);
      return readLookasideWeb(web, base.label, (position) => releaseSignatureUrl(base, digest, position));
    }
    default:
      throw new PolicyError("registries-d-malformed", `cannot read signatures from ${base.label}`, {
        hint: "a store is https://, http:// or file:///",
      });
  }
}
