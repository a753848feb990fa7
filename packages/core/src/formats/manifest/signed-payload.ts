/** The payload of a signed docker schema 1 manifest: what its digest is about, and what its JSON web signatures sign (docker's `libtrust` pretty signatures). */
import { decodeBase64 } from "../../bytes/base64.ts";
import { concatBytes, equalBytes } from "../../bytes/concat.ts";
import { foldMemberName } from "../../bytes/member-name.ts";
import { type JsonMember, type JsonNode, parseJson } from "../../bytes/strict-json.ts";
import { FormatError } from "../../errors.ts";
import { manifestProblem, readArray, readMembers, readText, readWhole } from "./members.ts";

/** JSON web signatures in one manifest. Registries put in one; re-signing adds one. */
export const MAX_WEB_SIGNATURES = 100;

/**
 * True for a document that the reference implementation takes for a signed schema 1 manifest. It reads as loosely as Go does: names match in any case, the last of
 * several equal ones counts, and a member of the wrong type makes the whole document one of unknown type.
 */
export function isSignedSchema1(document: JsonNode): boolean {
  if (document.kind !== "object") return false;
  let mediaType = "";
  let schemaVersion = 0;
  let hasSignatures = false;
  for (const { key, value } of document.members) {
    switch (looseNames.get(foldMemberName(key))) {
      case "mediaType":
        if (value.kind === "string") mediaType = value.value;
        else if (value.kind !== "null") return false;
        break;
      case "schemaVersion":
        if (value.kind === "number" && isGoInteger(value)) schemaVersion = value.value;
        else if (value.kind !== "null") return false;
        break;
      case "signatures":
        hasSignatures = value.kind !== "null";
        break;
      default:
    }
  }
  return schemaVersion === 1 && hasSignatures && !modernTypes.has(mediaType);
}

const looseNames: ReadonlyMap<string, "mediaType" | "schemaVersion" | "signatures"> = new Map(
  (["mediaType", "schemaVersion", "signatures"] as const).map((name) => [foldMemberName(name), name]),
);

/** A `mediaType` of these decides, whatever else the document holds. */
const modernTypes: ReadonlySet<string> = new Set([
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
]);

function isGoInteger(node: { readonly text: string; readonly value: number }): boolean {
  return /^-?\d+$/.test(node.text) && Math.abs(node.value) < 2 ** 63;
}

/**
 * The bytes that a signed schema 1 manifest's digest is about: its first `formatLength` octets and its `formatTail`, on which all its signatures must agree.
 *
 * Not checked: the JSON web signatures themselves, whose keys nobody trusts (`readWebSignatures` takes them apart for whoever wants to); and whether the payload says what the document says, which is
 * {@link checkPayload}'s work.
 *
 * @param document `bytes`, parsed
 * @throws FormatError `manifest-malformed`, `json-malformed`, `base64-malformed`
 */
export function signedPayload(bytes: Uint8Array, document: JsonNode): Uint8Array {
  const { length, tail } = readPayloadFormat(bytes, findSignatures(document));
  return concatBytes([bytes.subarray(0, length), tail]);
}

const spacedComma = /^[ \t\r\n]*,[ \t\r\n]*$/;
const spacedBrace = /^[ \t\r\n]*\}[ \t\r\n]*$/;

/**
 * The payload as {@link signedPayload} reads it. Refuses a signed schema 1 manifest unless its payload is this very document without its `signatures` member, which must be the last one, as every signing tool
 * leaves it. Otherwise a document could carry the payload, and so the digest, of another image: what was verified would not be what is used.
 *
 * @throws FormatError as {@link signedPayload} does
 */
export function checkPayload(bytes: Uint8Array, document: JsonNode): Uint8Array {
  const signatures = findSignatures(document);
  const { length, tail } = readPayloadFormat(bytes, signatures);
  const isLast = document.kind === "object" && document.members.at(-1) === signatures;
  const gap = length < signatures.keyStart ? text(bytes.subarray(length, signatures.keyStart)) : "";
  if (isLast && spacedComma.test(gap) && spacedBrace.test(text(tail))) {
    return concatBytes([bytes.subarray(0, length), tail]);
  }
  throw manifestProblem(
    signatures.value,
    "signatures",
    "the signed payload is not this document without its signatures",
  );
}

/** The one member of that name. Of several, or of one in another case, each reader would take another one. */
export function findSignatures(document: JsonNode): JsonMember {
  const members = document.kind === "object" ? document.members : [];
  const found = members.filter(({ key }) => foldMemberName(key) === "signatures");
  if (found.length === 1 && found[0]!.key === "signatures") return found[0]!;
  throw manifestProblem(document, "signatures", "the signatures of a signed manifest must occur exactly once");
}

interface PayloadFormat {
  /** Octets of the document that belong to the payload. */
  readonly length: number;
  /** What the payload has after them. */
  readonly tail: Uint8Array;
}

function readPayloadFormat(bytes: Uint8Array, signatures: JsonMember): PayloadFormat {
  const items = readArray(signatures.value, "signatures", MAX_WEB_SIGNATURES);
  let format: PayloadFormat | undefined;
  items.forEach((item, index) => {
    const path = `signatures[${index}]`;
    const found = readFormat(item, path);
    format ??= found;
    if (found.length !== format.length || !equalBytes(found.tail, format.tail)) {
      throw manifestProblem(item, path, `${path} is about another payload than signatures[0]`);
    }
  });
  if (format === undefined)
    throw manifestProblem(signatures.value, "signatures", "a signed manifest without signatures");
  if (format.length > bytes.length) {
    throw manifestProblem(signatures.value, "signatures", "the signed payload is longer than the document");
  }
  return format;
}

function readFormat(item: JsonNode, path: string): PayloadFormat {
  const signature = readMembers(item, path, ["protected", "signature", "header"]);
  readText(signature.get("signature"), `${path}.signature`);
  checkHeader(signature.get("header"), `${path}.header`);
  const encoded = readText(signature.get("protected"), `${path}.protected`);
  if (encoded === undefined) throw manifestProblem(item, path, `${path} has no protected header`);
  const header = parseJson(decodeBase64Url(encoded), `${path}.protected`);
  const members = readMembers(header, `${path}.protected`, ["formatLength", "formatTail"]);
  const length = members.get("formatLength");
  const tail = members.get("formatTail");
  if (length === undefined || tail?.kind !== "string") {
    throw manifestProblem(item, path, `${path}: formatLength or formatTail is missing`);
  }
  return { length: readWhole(length, `${path}.protected.formatLength`), tail: decodeBase64Url(tail.value) };
}

/** The key is not used, but the reference implementation has no digest for a manifest whose key it cannot name. */
function checkHeader(header: JsonNode | undefined, path: string): void {
  if (header === undefined || header.kind === "null") return;
  const key = readMembers(header, path, ["jwk", "alg", "x5c"]).get("jwk");
  if (key === undefined) return;
  const type = readText(readMembers(key, `${path}.jwk`, ["kty"]).get("kty"), `${path}.jwk.kty`);
  if (type !== "EC" && type !== "RSA") throw manifestProblem(key, `${path}.jwk`, `${path}.jwk is of no known type`);
}

/** Base64 with the URL-safe alphabet and mostly without padding, as JSON web signatures have it; spaces and line breaks are passed over, as in libtrust. */
export function decodeBase64Url(encoded: string): Uint8Array {
  const compact = encoded.replace(/[ \n]/g, "");
  if (!/^[A-Za-z0-9_-]*={0,2}$/.test(compact) || compact.length % 4 === 1) {
    throw new FormatError("base64-malformed", "manifest: illegal base64url data in a signature");
  }
  const standard = compact.replace(/-/g, "+").replace(/_/g, "/");
  return decodeBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, "="));
}

function text(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
