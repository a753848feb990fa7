/** Whose signatures a cluster asks for on its releases, and where it looks for them: the ConfigMap that every release image carries. */
import { type Engine, PolicyError, makeKeyring, parseKeyring } from "@signet/core";
import { type UntrustedManifestObject, isRecord } from "../kubernetes/manifests.ts";
import { type ReleaseKeyring, type ReleaseStore, type ReleaseTrust, tryParseStoreUrl } from "./release-trust.ts";

/** The annotation that marks it; its value means nothing. */
export const VERIFICATION_ANNOTATION: string = "release.openshift.io/verification-config-map";

const STORE_PREFIX = "store-";
const KEY_PREFIX = "verifier-public-key-";

/**
 * Finds the ConfigMap in a release's manifests: the first that has the annotation, whatever becomes of it.
 * @param objects in payload order
 */
export function findVerificationConfigMap(
  objects: readonly UntrustedManifestObject[],
): UntrustedManifestObject | undefined {
  return objects.find(
    ({ kind, apiVersion, annotations }) =>
      kind === "ConfigMap" && apiVersion === "v1" && Object.hasOwn(annotations, VERIFICATION_ANNOTATION),
  );
}

/**
 * Reads it. Unlike the cluster's own reader, which takes the first armored block of a member alone, every block of a member counts.
 *
 * Not checked: expiry and revocation of the keys, and whether anybody trusts the ConfigMap: that is for whoever hands it over.
 * @throws PolicyError `release-trust-malformed` for a member that is not what its name says, and where keys or stores are missing
 */
export function parseVerificationConfigMap(object: UntrustedManifestObject, engine: Engine): ReleaseTrust {
  const source = `the config map ${object.namespace}/${object.name}`;
  const data = object.value["data"] ?? {};
  if (!isRecord(data)) throw malformed(source, 'its "data" is not a set of texts');
  const keyrings: ReleaseKeyring[] = [];
  const stores: ReleaseStore[] = [];
  const warnings: string[] = [];
  for (const [key, value] of Object.entries(data)) {
    if (typeof value !== "string") throw malformed(source, `"${key}" is not text`);
    if (key.startsWith(KEY_PREFIX)) {
      const read = parseKeyring(new TextEncoder().encode(value.replaceAll(afterEnd, "$1")), engine);
      warnings.push(...read.warnings.map((warning) => `${source}, ${key}: ${warning}`));
      if (read.certificates.length === 0) throw malformed(source, `"${key}" must hold an OpenPGP public key`);
      keyrings.push({ name: key.slice(KEY_PREFIX.length), keyring: makeKeyring(read.certificates) });
    } else if (key.startsWith(STORE_PREFIX)) {
      stores.push({ name: key.slice(STORE_PREFIX.length), url: parseStoreUrl(value, key, source) });
    } else warnings.push(`${source}: "${key}" is passed over; ${STORE_PREFIX}* and ${KEY_PREFIX}* are known`);
  }
  if (stores.length === 0) throw malformed(source, "it names no signature store to read from");
  if (keyrings.length === 0) throw malformed(source, "it has no OpenPGP public key to verify with");
  return { source, keyrings, stores, warnings };
}

/** What follows the end of an armored block on its line, such as a quote too many: the cluster's reader does not look at it. */
const afterEnd = /^([ \t]*-----END PGP PUBLIC KEY BLOCK-----).*$/gm;

function parseStoreUrl(value: string, key: string, source: string): URL {
  const url = tryParseStoreUrl(value);
  if (url === undefined)
    throw malformed(source, `"${key}" must be a URL that begins with file://, http:// or https://`);
  return url;
}

function malformed(source: string, problem: string): PolicyError {
  return new PolicyError("release-trust-malformed", `${source} cannot be used: ${problem}`);
}
