import { type Digest, UsageError, tryParseDigest } from "@signet/core";

/** `sha256` and 64 hex digits with whatever documents and file names put between them: `:`, `=`, `-`, `%`, `%3D`. */
const spelledForm = /^(sha256|sha384|sha512)(?:%3[dD]|%3[aA]|[:=%-])([0-9A-Fa-f]{64,128})$/;

/**
 * The digest that a text spells, in any spelling that people copy from stores, ConfigMaps and documents; the name of a release image before it, with `@`, is passed
 * over. Undefined for anything else, such as a tag.
 */
export function tryParseReleaseDigest(text: string): Digest | undefined {
  const spelled = spelledForm.exec(text.slice(text.lastIndexOf("@") + 1).trim());
  return spelled === null ? undefined : tryParseDigest(`${spelled[1]}:${spelled[2]!.toLowerCase()}`);
}

/** `…/sha256=HEX`, and `/signature-N` behind it: the address of a signature, as documents have it. */
const addressForm = /^https?:\/\/.*\/([^/]+)\/signature-\d{1,3}$/;

/**
 * What people paste, as names are written: a digest behind an image's `@` in any of the spellings of {@link tryParseReleaseDigest}, and the address of a release's signature, which
 * stands for the digest in it. Anything else stays as it is.
 */
export function normalizeReleaseName(text: string): string {
  const address = addressForm.exec(text);
  if (address !== null) return tryParseReleaseDigest(address[1]!) ?? text;
  const at = text.lastIndexOf("@");
  const digest = at < 0 ? undefined : tryParseReleaseDigest(text);
  return digest === undefined ? text : `${text.slice(0, at)}@${digest}`;
}

/** @throws UsageError `command-line-malformed` */
export function parseReleaseDigest(text: string): Digest {
  const digest = tryParseReleaseDigest(text);
  if (digest !== undefined) return digest;
  throw new UsageError("command-line-malformed", `${JSON.stringify(text)} holds no digest`, {
    hint: "a release is verified by its digest: sha256:…, as `oc adm release info` prints it",
  });
}
