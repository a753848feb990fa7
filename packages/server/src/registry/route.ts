/** Which resource a path names. Paths are read from their end, since a repository's own path may contain any of the words. */
import { type Digest, tryParseDigest } from "@signet/core";
import { isRepositoryPath, isTagName } from "../content/names.ts";
import { RegistryError } from "./registry-error.ts";

/** Characters of a request's path: a repository's longest, the longest digest, and the words between. */
const MAX_PATH_CHARACTERS = 1_024;

/** What is asked for. */
export type Route =
  | { readonly kind: "base" }
  | { readonly kind: "catalog" }
  | { readonly kind: "blob"; readonly path: string; readonly digest: Digest }
  | { readonly kind: "manifest"; readonly path: string; readonly reference: ManifestReference }
  | { readonly kind: "referrers"; readonly path: string; readonly digest: Digest }
  | { readonly kind: "signatures"; readonly path: string; readonly digest: Digest; readonly name: string | undefined }
  | { readonly kind: "signature-list"; readonly path: string }
  | { readonly kind: "tags"; readonly path: string }
  | VerificationRoute
  | { readonly kind: "upload"; readonly path: string; readonly id: string }
  | { readonly kind: "uploads"; readonly path: string }
  | LookasideRoute;

/** What auditors recorded of an image's signatures, or of one of them. */
export interface VerificationRoute {
  readonly kind: "verifications";
  readonly path: string;
  readonly image: Digest;
  readonly signature: Digest | undefined;
}

/** A file of a lookaside tree; without a path, of the tree over all repositories, as release signatures are published. */
export interface LookasideRoute {
  readonly kind: "lookaside";
  readonly path: string | undefined;
  readonly digest: Digest;
  readonly file: LookasideFile;
}

/** A file by its place, from 1, which changes when one before it goes; or by the digest of its own bytes, which nothing changes. */
export type LookasideFile = { readonly index: number } | { readonly signature: Digest };

export type ManifestReference = { readonly digest: Digest } | { readonly tag: string };

const uploadForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const signatureForm = /^signature-(?:([1-9][0-9]{0,4})|sha256=([0-9a-f]{64}))$/;

/**
 * Reads a request's path.
 * @param target the path as it came, without the query
 * @returns undefined for what is none of the data plane's
 * @throws RegistryError `NAME_INVALID`, `DIGEST_INVALID`, `TAG_INVALID`, `BLOB_UPLOAD_UNKNOWN` for a path of a known form with a malformed part
 */
export function readRoute(target: string): Route | undefined {
  if (target.length > MAX_PATH_CHARACTERS) return undefined;
  const text = decode(target);
  if (text === undefined) return undefined;
  if (text.startsWith("/v2/")) return readRegistryRoute(text.slice("/v2/".length));
  if (text === "/v2") return { kind: "base" };
  if (text.startsWith("/extensions/v2/")) return readExtensionRoute(text.slice("/extensions/v2/".length));
  if (text.startsWith("/lookaside/")) return readLookasideRoute(text.slice("/lookaside/".length));
  if (text.startsWith("/signatures/")) return readReleaseRoute(text.slice("/signatures/".length));
  return undefined;
}

/** Escapes are undone once; what is left of them no name allows. */
function decode(target: string): string | undefined {
  if (!target.includes("%")) return target;
  try {
    return decodeURIComponent(target);
  } catch {
    return undefined;
  }
}

function readRegistryRoute(rest: string): Route | undefined {
  if (rest === "") return { kind: "base" };
  if (rest === "_catalog") return { kind: "catalog" };
  const parts = rest.split("/");
  const [last = "", second = "", third = ""] = parts.toReversed();
  const path = (dropped: number): string => checkPath(parts.slice(0, -dropped).join("/"));
  if (second === "manifests") return { kind: "manifest", path: path(2), reference: readReference(last) };
  if (second === "tags" && last === "list") return { kind: "tags", path: path(2) };
  if (second === "referrers") return { kind: "referrers", path: path(2), digest: checkDigest(last) };
  if (second === "blobs" && last === "uploads") return { kind: "uploads", path: path(2) };
  if (third === "blobs" && second === "uploads") {
    if (last === "") return { kind: "uploads", path: path(3) };
    if (!uploadForm.test(last)) throw new RegistryError("BLOB_UPLOAD_UNKNOWN");
    return { kind: "upload", path: path(3), id: last };
  }
  if (second === "blobs") return { kind: "blob", path: path(2), digest: checkDigest(last) };
  return undefined;
}

function readExtensionRoute(rest: string): Route | undefined {
  const parts = rest.split("/");
  const [last = "", second = "", third = ""] = parts.toReversed();
  // A digest has a colon and no part of a path has one: so the list of `a/signatures` is told from signatures of `a`.
  if (last === "signatures" && !second.includes(":")) {
    return { kind: "signature-list", path: checkPath(parts.slice(0, -1).join("/")) };
  }
  if (second === "signatures") {
    return {
      kind: "signatures",
      path: checkPath(parts.slice(0, -2).join("/")),
      digest: checkDigest(last),
      name: undefined,
    };
  }
  if (second === "verifications") {
    const path = checkPath(parts.slice(0, -2).join("/"));
    return { kind: "verifications", path, image: checkDigest(last), signature: undefined };
  }
  // As above: of `a/verifications` and `a/signatures` each has signatures and results of its own.
  if (third === "verifications" && second.includes(":")) {
    const path = checkPath(parts.slice(0, -3).join("/"));
    return { kind: "verifications", path, image: checkDigest(second), signature: checkDigest(last) };
  }
  if (third === "signatures") {
    const path = checkPath(parts.slice(0, -3).join("/"));
    return { kind: "signatures", path, digest: checkDigest(second), name: `${second}@${last}` };
  }
  return undefined;
}

/**
 * `PATH@ALGORITHM=HEX/signature-N`, as containers/image asks for it (containers-registries.d(5)). Clients whose `lookaside` ends with `/` put another one behind it: to them a
 * 404 would say that the image is not signed. `signature-sha256=HEX`, which such clients do not ask for, is ours.
 */
function readLookasideRoute(text: string): Route | undefined {
  const rest = text.startsWith("/") ? text.slice(1) : text;
  const at = rest.lastIndexOf("@");
  if (at < 0) return undefined;
  const file = readSignatureFile(rest.slice(at + 1));
  const path = rest.slice(0, at);
  return file !== undefined && isRepositoryPath(path) ? { kind: "lookaside", path, ...file } : undefined;
}

/** `ALGORITHM=HEX/signature-N`, as release signatures are published; behind a second `/` too, as above. */
function readReleaseRoute(text: string): Route | undefined {
  const file = readSignatureFile(text.startsWith("/") ? text.slice(1) : text);
  return file && { kind: "lookaside", path: undefined, ...file };
}

function readSignatureFile(text: string): Pick<LookasideRoute, "digest" | "file"> | undefined {
  const [folder = "", file = "", ...rest] = text.split("/");
  if (rest.length > 0 || folder.includes(":")) return undefined;
  const digest = tryParseDigest(folder.replace("=", ":"));
  const [whole, index, hex] = signatureForm.exec(file) ?? [];
  if (digest === undefined || whole === undefined) return undefined;
  return { digest, file: hex === undefined ? { index: Number(index) } : { signature: checkDigest(`sha256:${hex}`) } };
}

function readReference(text: string): ManifestReference {
  if (text.includes(":")) return { digest: checkDigest(text) };
  if (!isTagName(text)) throw new RegistryError("TAG_INVALID", { tag: text.slice(0, 200) }, { status: 404 });
  return { tag: text };
}

function checkPath(text: string): string {
  if (isRepositoryPath(text)) return text;
  throw new RegistryError("NAME_INVALID", { name: text.slice(0, 200) });
}

function checkDigest(text: string): Digest {
  const digest = tryParseDigest(text);
  if (digest !== undefined) return digest;
  throw new RegistryError("DIGEST_INVALID", { digest: text.slice(0, 200) });
}
