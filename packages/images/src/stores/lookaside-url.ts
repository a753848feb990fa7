/**
 * Lookaside URLs, and the one place that builds them (registries.d, section 2):
 *
 *   BASE "/" PATH "@" ALGORITHM "=" HEX "/signature-" N        N = 1, 2, 3 …
 *   BASE "/" ALGORITHM "=" HEX "/signature-" N                 the stores of OpenShift's releases
 *
 * PATH is the repository without its host. The "/" is put in even after a base that ends with one; query and fragment of the base stay at the end.
 */
import { dirname } from "node:path";
import { type Digest, PolicyError, type Reference, digestAlgorithm, digestHex } from "@signet/core";

/** A base URL, split as Go's net/url does; nothing is normalised. */
export interface LookasideBase {
  /** For people: without user information and without the values of a query, which may be secrets. */
  readonly label: string;
  /** Lower case; empty when the text has none. Anything but `file`, `http` and `https` cannot be used, which shows only when it is. */
  readonly scheme: string;
  /** What stands before the path, with `scheme://`. */
  readonly origin: string;
  /** As written, percent-encoding kept; of a built-in folder as it is on disk. */
  readonly path: string;
  /** `?query#fragment`, or empty. */
  readonly suffix: string;
  /** For `file`: the folder, percent-decoded. */
  readonly folder: string | undefined;
}

/**
 * Parses a base URL as registries.d has it. A text without scheme parses: reading or writing there fails later, as with the reference implementation.
 * @param place where it is written, for the message
 * @throws PolicyError `registries-d-malformed`
 */
export function parseLookasideBase(text: string, place: string): LookasideBase {
  const fail = (problem: string, hint?: string): PolicyError =>
    new PolicyError("registries-d-malformed", `${place}: invalid signature storage URL ${quote(text)}: ${problem}`, {
      hint: hint ?? "write it as https://host/path or file:///path",
    });
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(text)) throw fail("it holds a control character");
  const [, beforeSuffix, suffix] = /^([^?#]*)(.*)$/.exec(text)!;
  const scheme = readScheme(beforeSuffix!);
  if (scheme === undefined) throw fail("nothing stands before the first colon");
  const rest = scheme === "" ? beforeSuffix! : beforeSuffix!.slice(scheme.length + 1);
  if (scheme !== "" && !rest.startsWith("/")) throw fail("no path after the scheme", `write it as ${scheme}:///path`);
  if (scheme === "" && /^[^/]*:/.test(rest)) throw fail("the first part of its path holds a colon");
  const [, authority = "", path] = /^(\/\/[^/]*)?(.*)$/.exec(rest)!;
  const folder = scheme === "file" ? fileFolder(authority, path!, fail) : undefined;
  if (scheme === "http" || scheme === "https") checkWebUrl(text, fail);
  const origin = `${scheme === "" ? "" : `${scheme}:`}${authority}`;
  return { label: redact(origin, path!, suffix!), scheme, origin, path: path!, suffix: suffix!, folder };
}

/** A base for a folder that no URL names. */
export function folderLookasideBase(folder: string): LookasideBase {
  return { label: `file://${folder}`, scheme: "file", origin: "file://", path: folder, suffix: "", folder };
}

/** The folder below a `file` base that holds the signatures of one manifest. */
export function signatureFolder(base: LookasideBase, reference: Reference, digest: Digest): string {
  return `${base.folder ?? base.path}/${manifestPart(reference, digest)}`;
}

/** The folder below a `file` base that holds the signature folders of a repository, and perhaps those of others. */
export function repositoryFolder(base: LookasideBase, reference: Reference): string {
  return dirname(`${base.folder ?? base.path}/${reference.path}`);
}

/** Where one signature lies. */
export interface SignaturePlace {
  readonly url: string;
  /** The same without secrets. */
  readonly shown: string;
}

/** The URL of signature `position`, counted from 1. */
export function signatureUrl(
  base: LookasideBase,
  reference: Reference,
  digest: Digest,
  position: number,
): SignaturePlace {
  return placeAt(base, `${base.path}/${manifestPart(reference, digest)}/signature-${position}`);
}

/** The folder below a `file` base that holds the signatures of one release: no repository stands in its path. */
export function releaseSignatureFolder(base: LookasideBase, digest: Digest): string {
  return `${base.folder ?? base.path}/${digestPart(digest)}`;
}

/** The URL of a release's signature `position`, counted from 1. Unlike a lookaside store's, the path is cleaned as a cluster cleans it: one slash between its parts. */
export function releaseSignatureUrl(base: LookasideBase, digest: Digest, position: number): SignaturePlace {
  const path = base.path.replaceAll(/\/{2,}/g, "/").replace(/\/$/, "");
  return placeAt(base, `${path}/${digestPart(digest)}/signature-${position}`);
}

function placeAt(base: LookasideBase, path: string): SignaturePlace {
  return { url: `${base.origin}${path}${base.suffix}`, shown: redact(base.origin, path, base.suffix) };
}

/** A {@link Reference} path and a {@link Digest} hold nothing that could climb out of the folder: both come from parsers that refuse it. */
function manifestPart(reference: Reference, digest: Digest): string {
  return `${reference.path}@${digestPart(digest)}`;
}

function digestPart(digest: Digest): string {
  return `${digestAlgorithm(digest)}=${digestHex(digest)}`;
}

/** The scheme in lower case, empty when there is none, undefined for a colon with nothing before it. */
function readScheme(text: string): string | undefined {
  if (text.startsWith(":")) return undefined;
  return /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]!.toLowerCase() ?? "";
}

function fileFolder(authority: string, path: string, fail: (problem: string, hint?: string) => PolicyError): string {
  if (authority !== "" && authority !== "//" && authority !== "//localhost")
    throw fail("a file URL cannot name a host", "write three slashes: file:///path");
  let folder: string;
  try {
    folder = decodeURIComponent(path);
  } catch {
    throw fail("malformed percent-encoding in its path");
  }
  if (folder === "") throw fail("it names no folder");
  if (folder.includes("\0")) throw fail("it holds a NUL character");
  return folder;
}

function checkWebUrl(text: string, fail: (problem: string, hint?: string) => PolicyError): void {
  if (!/^[a-z]+:\/\/[^/?#]/i.test(text) || !URL.canParse(text)) throw fail("no host, or a malformed one");
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw fail("malformed percent-encoding");
}

function redact(origin: string, path: string, suffix: string): string {
  const shownOrigin = origin.replace(/^([^/]*\/\/)[^/]*@/, "$1***@");
  return `${shownOrigin}${path}${suffix.startsWith("?") ? "?***" : ""}`;
}

/** The text as it may be shown when it could not be parsed: all up to the last @ may be a password. */
function quote(text: string): string {
  const shown = text.replace(/\/\/.*@/s, "//***@").replace(/\?.*$/s, "?***");
  return JSON.stringify(shown.slice(0, 200));
}
