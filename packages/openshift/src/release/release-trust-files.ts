/** Trust for releases from files, in place of the built-in one. */
import { type Engine, MAX_KEYRING_BYTES, PolicyError, UsageError, makeKeyring, parseKeyring } from "@signet/core";
import { readFileBounded } from "@signet/images";
import { MAX_MANIFEST_FILE_BYTES, parseManifestObjects } from "../kubernetes/manifests.ts";
import { type ReleaseKeyring, type ReleaseStore, type ReleaseTrust, tryParseStoreUrl } from "./release-trust.ts";
import { findVerificationConfigMap, parseVerificationConfigMap } from "./verification-config-map.ts";

/**
 * Reads the verification ConfigMap from a file of manifests, such as `oc get configmap release-verification -n openshift-config-managed -o yaml` writes, or one of
 * a release's own.
 * @throws StoreError `file-missing`, `file-unreadable`; FormatError `manifest-file-malformed`, `input-too-large`; PolicyError `release-trust-malformed`, also for a
 *   file without such a ConfigMap
 */
export async function loadVerificationConfigMap(path: string, engine: Engine): Promise<ReleaseTrust> {
  const bytes = await readFileBounded(path, MAX_MANIFEST_FILE_BYTES, "file of manifests");
  const objects = parseManifestObjects(bytes, path);
  // `oc extract` and hand-written ones may lack the annotation; a file that somebody names holds the one that is meant.
  const only = objects.length === 1 && objects[0]!.kind === "ConfigMap" ? objects[0] : undefined;
  const object = findVerificationConfigMap(objects) ?? only;
  if (object === undefined) {
    throw new PolicyError("release-trust-malformed", `${path} holds no verification ConfigMap`, {
      hint: "the one that is meant has the annotation release.openshift.io/verification-config-map",
    });
  }
  return parseVerificationConfigMap(object, engine);
}

/**
 * One keyring for each key file: every one of them must be satisfied. Two files with keys of which either may sign are one file, concatenated.
 * @param keyFiles binary or armored, at least one
 * @param stores URLs as they were typed, at least one
 * @throws StoreError for a file that cannot be read; PolicyError `release-trust-malformed` for a file without a key; UsageError `command-line-malformed` for a URL
 *   that is none
 */
export async function loadReleaseTrust(
  keyFiles: readonly string[],
  stores: readonly string[],
  engine: Engine,
): Promise<ReleaseTrust> {
  const keyrings: ReleaseKeyring[] = [];
  const warnings: string[] = [];
  for (const path of keyFiles) {
    const read = parseKeyring(await readFileBounded(path, MAX_KEYRING_BYTES, "public key file"), engine);
    warnings.push(...read.warnings.map((warning) => `${path}: ${warning}`));
    if (read.certificates.length === 0)
      throw new PolicyError("release-trust-malformed", `${path} holds no OpenPGP public key`);
    keyrings.push({ name: path, keyring: makeKeyring(read.certificates) });
  }
  return { source: "the files and stores that were named", keyrings, stores: stores.map(parseStore), warnings };
}

/** The end of an address that leads to one release's signatures, and no longer to the store. */
const behindStore = /\/sha(?:256|384|512)(?:%3[dD]|[=%:-])[0-9A-Fa-f]+(?:\/(?:signature-\d+)?)?$/;

function parseStore(text: string): ReleaseStore {
  const url = tryParseStoreUrl(text);
  if (behindStore.test(text))
    // Asked below this, every store says that there is no signature.
    throw new UsageError("command-line-malformed", `${JSON.stringify(text)} leads to one signature, not to a store`, {
      hint: `write ${text.replace(behindStore, "")}`,
    });
  if (url !== undefined) return { name: text, url };
  throw new UsageError("command-line-malformed", `${JSON.stringify(text)} is no store`, {
    hint: "write https://…, http://… or file:///…",
  });
}
