/** What a stored `signature-N` holds: which signature format it is, and that format's bytes (registries.d, section 8; simple signing, section 1.1). */
import { decodeBase64, encodeBase64 } from "../../bytes/base64.ts";
import { concatBytes } from "../../bytes/concat.ts";
import { writeJsonString } from "../../bytes/json-text.ts";
import { MAX_SIGNATURE_BYTES } from "../../bytes/limits.ts";
import { foldMemberName } from "../../bytes/member-name.ts";
import { type JsonNode, jsonProblem, jsonString, parseJson } from "../../bytes/strict-json.ts";
import { FormatError } from "../../errors.ts";

/** A simple-signing signature: an OpenPGP message that nobody has looked into yet. */
export interface UntrustedSimpleSigningBlob {
  readonly format: "simple-signing";
  /** What is handed to the OpenPGP code; all of `raw`, or what follows the format's name. */
  readonly message: Uint8Array;
  readonly raw: Uint8Array;
}

/** A signature in the form in which cosign attaches them: one layer with its annotations. */
export interface UntrustedSigstoreBlob {
  readonly format: "sigstore-json";
  readonly mimeType: string;
  readonly payload: Uint8Array;
  readonly annotations: ReadonlyMap<string, string>;
  readonly raw: Uint8Array;
}

/** A stored signature of a known format. Nothing in it is verified. */
export type UntrustedSignatureBlob = UntrustedSimpleSigningBlob | UntrustedSigstoreBlob;

/**
 * First octets of OpenPGP messages: compressed data, one-pass signature, signature; each in its old-format headers by length type, and in its new-format header.
 * 0x93 and 0x3D stay out. The first is a one-pass signature of indeterminate length, which could have nothing after it; the reference refuses it as well. The
 * second is the reference's slip of the pen for the first; no OpenPGP packet begins so.
 */
const openPgpStarts: ReadonlySet<number> = new Set([
  ...[0xa0, 0xa1, 0xa2, 0xa3, 0xc8],
  ...[0x90, 0x91, 0x92, 0xc4],
  ...[0x88, 0x89, 0x8a, 0x8b, 0xc2],
]);

const TAGGED = 0x00;
const NEWLINE = 0x0a;

/** Octets: the longest format name looked for in a tagged blob. The known names have 14 at most. */
const MAX_FORMAT_NAME_LENGTH = 64;

/**
 * Tells which format a stored signature has and takes its outer layer off. Every signature that comes out of a store goes through here before any other code
 * reads it; the OpenPGP message inside is not looked at beyond its first octet.
 *
 * @throws FormatError `signature-blob-malformed`, also for an unknown format; `input-too-large` beyond 4 MiB
 */
export function parseSignatureBlob(bytes: Uint8Array): UntrustedSignatureBlob {
  if (bytes.length > MAX_SIGNATURE_BYTES) {
    throw new FormatError("input-too-large", `signature: ${bytes.length} bytes, the limit is ${MAX_SIGNATURE_BYTES}`);
  }
  const first = bytes[0];
  if (first === undefined) throw malformed("the signature is empty");
  if (openPgpStarts.has(first)) return { format: "simple-signing", message: bytes, raw: bytes };
  if (first === TAGGED) return parseTagged(bytes);
  throw malformed(`unrecognized signature format, starting with octet 0x${hexByte(first)}`, hintForStart(bytes));
}

function parseTagged(bytes: Uint8Array): UntrustedSignatureBlob {
  const newline = bytes.subarray(0, MAX_FORMAT_NAME_LENGTH + 2).indexOf(NEWLINE);
  if (newline < 0)
    throw malformed(`invalid signature format: no newline within ${MAX_FORMAT_NAME_LENGTH} octets of its name`);
  const name = bytes.subarray(1, newline);
  for (const octet of name) {
    if (octet < 0x20 || octet > 0x7e)
      throw malformed(`invalid signature format: octet 0x${hexByte(octet)} in its name`);
  }
  const format = new TextDecoder("latin1").decode(name);
  const body = bytes.subarray(newline + 1);
  if (format === "simple-signing") return { format, message: body, raw: bytes };
  if (format === "sigstore-json") return parseSigstoreBody(body, bytes);
  throw malformed(`unrecognized signature format ${JSON.stringify(format)}`);
}

const sigstoreMembers: ReadonlyMap<string, string> = new Map(
  ["mimeType", "payload", "annotations"].map((name) => [foldMemberName(name), name]),
);

/**
 * Unknown members are passed over and missing or null ones are empty, as the reference's decoder has it. A member that occurs twice or in another case is refused: readers
 * would disagree on which one counts.
 */
function parseSigstoreBody(body: Uint8Array, raw: Uint8Array): UntrustedSigstoreBlob {
  const what = "sigstore-json signature";
  const top = parseJson(body, what, { maxBytes: MAX_SIGNATURE_BYTES });
  if (top.kind !== "object") throw jsonProblem(top, "", `${what}: an object expected`);
  const known = new Map<string, JsonNode>();
  for (const { key, keyStart, value } of top.members) {
    const name = sigstoreMembers.get(foldMemberName(key));
    if (name === undefined) continue;
    if (name !== key || known.has(key)) {
      throw jsonProblem({ start: keyStart }, key, `${what}: member ${JSON.stringify(key)} is ambiguous`);
    }
    if (value.kind !== "null") known.set(key, value);
  }
  const mimeType = known.get("mimeType");
  const payload = known.get("payload");
  return {
    format: "sigstore-json",
    mimeType: mimeType === undefined ? "" : jsonString(mimeType, "mimeType"),
    payload: payload === undefined ? new Uint8Array() : decodeBase64(jsonString(payload, "payload")),
    annotations: readAnnotations(known.get("annotations")),
    raw,
  };
}

function readAnnotations(node: JsonNode | undefined): ReadonlyMap<string, string> {
  const annotations = new Map<string, string>();
  if (node === undefined) return annotations;
  if (node.kind !== "object") throw jsonProblem(node, "annotations", "annotations: an object expected");
  for (const { key, keyStart, value } of node.members) {
    if (annotations.has(key)) {
      throw jsonProblem({ start: keyStart }, "annotations", `annotations: duplicate key ${JSON.stringify(key)}`);
    }
    annotations.set(key, value.kind === "null" ? "" : jsonString(value, `annotations.${key}`));
  }
  return annotations;
}

/** What {@link writeSignatureBlob} puts into a blob. */
export type SignatureBlobContent =
  | Pick<UntrustedSimpleSigningBlob, "format" | "message">
  | Pick<UntrustedSigstoreBlob, "format" | "mimeType" | "payload" | "annotations">;

/**
 * Writes a blob as containers/image does: simple signing as the bare message (the only form that every reader knows), all else after a zero octet and the format's name.
 * @throws FormatError `signature-blob-malformed` or `input-too-large` when the result could not be read back
 */
export function writeSignatureBlob(content: SignatureBlobContent): Uint8Array {
  const bytes = content.format === "simple-signing" ? content.message : writeSigstore(content);
  if (parseSignatureBlob(bytes).format !== content.format) {
    throw malformed("the message begins like a tagged signature, not like an OpenPGP message");
  }
  return bytes;
}

function writeSigstore(content: Pick<UntrustedSigstoreBlob, "mimeType" | "payload" | "annotations">): Uint8Array {
  const encoder = new TextEncoder();
  const annotations = [...content.annotations]
    .toSorted(([a], [b]) => compareBytes(encoder.encode(a), encoder.encode(b)))
    .map(([key, value]) => `${writeJsonString(key)}:${writeJsonString(value)}`);
  const members = [
    `"mimeType":${writeJsonString(content.mimeType)}`,
    `"payload":"${encodeBase64(content.payload)}"`,
    `"annotations":{${annotations.join(",")}}`,
  ];
  return concatBytes([Uint8Array.of(TAGGED), encoder.encode(`sigstore-json\n{${members.join(",")}}`)]);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}

function hexByte(octet: number): string {
  return octet.toString(16).padStart(2, "0");
}

/** Common mistakes get a hint: a web page in place of a signature, an armored one. */
function hintForStart(bytes: Uint8Array): string | undefined {
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 64)).trimStart();
  if (start.startsWith("-----BEGIN PGP")) return "signatures are stored as binary OpenPGP messages, not ASCII-armored";
  if (/^<(?:!doctype|html|\?xml)/i.test(start))
    return "a web server answered with a page; a missing signature must be a 404";
  return undefined;
}

function malformed(problem: string, hint?: string): FormatError {
  return new FormatError("signature-blob-malformed", problem, hint === undefined ? {} : { hint });
}
