/** Docker image references: grammar and normal form (policy-json, section 8). One grammar for the whole of Signet. */
import { type Digest, tryParseDigest } from "../bytes/digest.ts";
import { FormatError } from "../errors.ts";

/** A reference in normal form: `domain` and `path` are always there (`docker.io` and `library/…` filled in), tag and digest only when given. */
export interface Reference {
  /** Host with optional port, compared as text: `host` and `host:443` are different. */
  readonly domain: string;
  /** Lower-case path below the host. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/** Characters: `domain/path` may not be longer, as in docker's grammar. */
const MAX_NAME_LENGTH = 255;

/** Characters: longest text looked at. Name, tag and the longest digest together stay below it. */
const MAX_REFERENCE_LENGTH = 1024;

const domainForm =
  /^(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])(?:\.(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]))*(?::[0-9]+)?$/;
const componentForm = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagForm = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const bareHexForm = /^[0-9a-f]{64}$/;

/**
 * Parses a reference as people write it and brings it into normal form: `busybox` becomes `docker.io/library/busybox`. No tag is added.
 * @throws FormatError `reference-malformed`
 */
export function parseReference(text: string): Reference {
  const problem = (reason: string, hint?: string): FormatError =>
    new FormatError(
      "reference-malformed",
      `invalid reference ${JSON.stringify(text.slice(0, 300))}: ${reason}`,
      hint === undefined ? {} : { hint },
    );
  if (text === "") throw problem("it is empty");
  if (text.length > MAX_REFERENCE_LENGTH) throw problem(`longer than ${MAX_REFERENCE_LENGTH} characters`);
  if (bareHexForm.test(text)) throw problem("64 hex digits alone are an image id, not a name");

  let rest = text;
  let digest: Digest | undefined;
  const at = rest.indexOf("@");
  if (at >= 0) {
    digest = tryParseDigest(rest.slice(at + 1));
    if (digest === undefined)
      throw problem("malformed digest after @", "a digest is sha256: and 64 lower-case hex digits");
    rest = rest.slice(0, at);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(":");
  if (colon > rest.lastIndexOf("/")) {
    tag = rest.slice(colon + 1);
    if (!tagForm.test(tag)) throw problem("malformed tag");
    rest = rest.slice(0, colon);
  }
  if (rest.includes("://")) throw problem("a transport or scheme has no place here");

  const { domain, path } = splitDomain(rest);
  if (/[A-Z]/.test(path)) throw problem("repository name must be lowercase", `write it as ${rest.toLowerCase()}`);
  if (!domainForm.test(domain)) throw problem("malformed host name");
  if (!path.split("/").every((component) => componentForm.test(component))) throw problem("malformed repository name");
  // The limit is on the name as written, before docker.io is filled in, as well as after.
  if (domain.length + 1 + path.length > MAX_NAME_LENGTH)
    throw problem(`name longer than ${MAX_NAME_LENGTH} characters`);
  return makeReference(domain, path, tag, digest);
}

/** The first component is a host exactly if it holds a dot or colon or is `localhost`. */
function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const hasDomain = first.includes(".") || first.includes(":") || first === "localhost";
  const written = hasDomain ? first : "docker.io";
  const path = hasDomain ? name.slice(slash + 1) : name;
  const domain = written === "index.docker.io" ? "docker.io" : written;
  return { domain, path: domain === "docker.io" && !path.includes("/") ? `library/${path}` : path };
}

function makeReference(domain: string, path: string, tag: string | undefined, digest: Digest | undefined): Reference {
  return { domain, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/**
 * Parses a reference that must already be in normal form.
 * @throws FormatError `reference-malformed`, also when the text is a short form
 */
export function parseCanonicalReference(text: string): Reference {
  const reference = parseReference(text);
  const canonical = formatReference(reference);
  if (canonical === text) return reference;
  throw new FormatError(
    "reference-malformed",
    `invalid reference ${JSON.stringify(text.slice(0, 300))}: repository name must be canonical`,
    {
      hint: `write it in full: ${canonical}`,
    },
  );
}

/** `domain/path[:tag][@digest]`. */
export function formatReference(reference: Reference): string {
  let text = referenceName(reference);
  if (reference.tag !== undefined) text += `:${reference.tag}`;
  if (reference.digest !== undefined) text += `@${reference.digest}`;
  return text;
}

/** `domain/path`, without tag and digest. */
export function referenceName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** True when there is neither tag nor digest. */
export function isNameOnly(reference: Reference): boolean {
  return reference.tag === undefined && reference.digest === undefined;
}

/** The same reference, with the tag `latest` if it had neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return isNameOnly(reference) ? { ...reference, tag: "latest" } : reference;
}
