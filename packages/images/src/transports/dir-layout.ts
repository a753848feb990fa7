/**
 * The one file that knows the names inside a `dir:` image:
 *
 *   version                  Directory Transport Version: 1.1     (1.2 when a digest is not sha256)
 *   manifest.json            the image's own manifest, raw
 *   <hex>.manifest.json      instances of a list                  (<algorithm>-<hex>… when not sha256, here and below)
 *   <hex>                    config and layers
 *   signature-1, -2, …       signatures of manifest.json
 *   <hex>.signature-1, …     signatures of an instance
 */
import { type Digest, digestAlgorithm, digestHex } from "@signet/core";

export const VERSION_FILE = "version";
export const MANIFEST_FILE = "manifest.json";

/** A version of the form, as its two numbers. */
export interface DirVersion {
  readonly major: number;
  readonly minor: number;
}

/** What can be read and written. */
export const NEWEST_DIR_VERSION: DirVersion = { major: 1, minor: 2 };

/** Parses the content of the version file; undefined when it is not one. */
export function parseDirVersion(text: string): DirVersion | undefined {
  const match = /^Directory Transport Version: ([0-9]{1,4})\.([0-9]{1,4})\n?$/.exec(text);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

/** The content of the version file for an image that holds these digests. */
export function dirVersionText(digests: Iterable<Digest>): string {
  for (const digest of digests) if (digestAlgorithm(digest) !== "sha256") return "Directory Transport Version: 1.2\n";
  return "Directory Transport Version: 1.1\n";
}

export function isNewerThanKnown(version: DirVersion): boolean {
  const { major, minor } = NEWEST_DIR_VERSION;
  return version.major > major || (version.major === major && version.minor > minor);
}

/** File of a blob. */
export function blobFile(digest: Digest): string {
  const algorithm = digestAlgorithm(digest);
  return algorithm === "sha256" ? digestHex(digest) : `${algorithm}-${digestHex(digest)}`;
}

/** File of a manifest; without `instance` the image's own. */
export function manifestFile(instance?: Digest): string {
  return instance === undefined ? MANIFEST_FILE : `${blobFile(instance)}.manifest.json`;
}

/** File of a signature; `position` counts from 1. Without `instance` it belongs to the image's own manifest. */
export function signatureFile(position: number, instance?: Digest): string {
  return instance === undefined ? `signature-${position}` : `${blobFile(instance)}.signature-${position}`;
}

const fileForm =
  /^(?:(?:(?:sha384|sha512)-)?[0-9a-f]{64,128}(?:\.manifest\.json|\.signature-[0-9]+)?|signature-[0-9]+|manifest\.json|version)$/;

/** True for names that belong to the form; anything else in the folder is somebody else's. */
export function isDirImageFile(name: string): boolean {
  return fileForm.test(name);
}

/** The position in the name of a signature file, with what stands before it; undefined for other files. */
export function signaturePosition(name: string): { readonly of: string; readonly position: number } | undefined {
  const match = /^(.*?)signature-([0-9]+)$/.exec(name);
  return match === null || !isDirImageFile(name) ? undefined : { of: match[1]!, position: Number(match[2]) };
}
