/** The JSON document inside a simple-signing signature (simple signing, sections 2 and 3). */
import { type Digest, parseDigest, tryParseDigest } from "../../bytes/digest.ts";
import { writeJsonString } from "../../bytes/json-text.ts";
import {
  type JsonNode,
  describeKind,
  jsonProblem,
  jsonString,
  parseJson,
  strictObject,
} from "../../bytes/strict-json.ts";
import { FormatError, UsageError } from "../../errors.ts";

/** The only value of `critical.type`, compared as text. */
export const SIMPLE_SIGNING_TYPE = "atomic container signature";

/** What a payload says. It proves nothing: whoever parses it must have verified the signature over exactly these bytes, or show it as a claim. */
export interface UntrustedPayload {
  /** The bytes that were parsed. */
  readonly raw: Uint8Array;
  readonly manifestDigest: Digest;
  /** As it stands: neither checked against the grammar nor normalised, and possibly empty. */
  readonly dockerReference: string;
  /** The program that made the signature; empty for a JSON null. */
  readonly creator?: string;
  /** Seconds since 1970 UTC, by the signer's word; 0 for a JSON null. Used for no decision. */
  readonly timestamp?: number;
}

const topShape = { required: ["critical", "optional"] };
const optionalShape = { required: [], optional: ["creator", "timestamp"], allowUnknown: true };
const criticalShape = { required: ["type", "image", "identity"] };
const imageShape = { required: ["docker-manifest-digest"] };
const identityShape = { required: ["docker-reference"] };

/**
 * Reads a payload by the "paranoid object" rules: exactly the members of the format, none twice, none in another case; only `optional` may hold more. The checks come
 * in the reference implementation's order: top level, `optional`, timestamp, `critical`, type, image, digest, identity.
 *
 * Not checked: whether the reference is one, and anything about who signed.
 *
 * @throws FormatError `json-malformed` for what is wrong with JSON or members, `payload-malformed` for a type, digest or timestamp that is none, with offset and path;
 *   `input-too-large`
 */
export function parseSimpleSigningPayload(content: Uint8Array): UntrustedPayload {
  const top = strictObject(parseJson(content, "signature payload"), "", topShape);

  const optional = strictObject(top.get("optional")!, "optional", optionalShape);
  const creatorNode = optional.get("creator");
  const creator = creatorNode === undefined ? undefined : textOrNull(creatorNode, "optional.creator");
  const timestampNode = optional.get("timestamp");
  const timestamp = timestampNode === undefined ? undefined : readTimestamp(timestampNode);

  const critical = strictObject(top.get("critical")!, "critical", criticalShape);
  const type = textOrNull(critical.get("type")!, "critical.type");
  if (type !== SIMPLE_SIGNING_TYPE) {
    throw malformed(critical.get("type")!, "critical.type", `unrecognized signature type ${quote(type)}`);
  }
  const image = strictObject(critical.get("image")!, "critical.image", imageShape);
  const manifestDigest = readDigest(image.get("docker-manifest-digest")!);
  const identity = strictObject(critical.get("identity")!, "critical.identity", identityShape);
  const dockerReference = textOrNull(identity.get("docker-reference")!, "critical.identity.docker-reference");

  return {
    raw: content,
    manifestDigest,
    dockerReference,
    ...(creator === undefined ? {} : { creator }),
    ...(timestamp === undefined ? {} : { timestamp }),
  };
}

/** A JSON null reads as the empty text wherever a text is expected, as the reference implementation's decoder has it. */
function textOrNull(node: JsonNode, path: string): string {
  return node.kind === "null" ? "" : jsonString(node, path);
}

function readDigest(node: JsonNode): Digest {
  const path = "critical.image.docker-manifest-digest";
  const text = textOrNull(node, path);
  const digest = tryParseDigest(text);
  if (digest === undefined) throw malformed(node, path, `${quote(text)} is not a digest`);
  return digest;
}

/** Doubles from here on do not fit into a signed 64-bit integer. */
const INT64_END = 2 ** 63;

function readTimestamp(node: JsonNode): number {
  if (node.kind === "null") return 0;
  const path = "optional.timestamp";
  if (node.kind !== "number") throw jsonProblem(node, path, `${path}: number expected, got ${describeKind(node)}`);
  // Read as a double, as the reference does: digits beyond its 53 bits are rounded, and 2^63-1 becomes 2^63, which is out of range.
  const { value } = node;
  if (!Number.isInteger(value) || value < -INT64_END || value >= INT64_END) {
    throw malformed(node, path, `${node.text.slice(0, 40)} is not an integer of 64 bits`);
  }
  return value === 0 ? 0 : value;
}

function malformed(node: JsonNode, path: string, problem: string): FormatError {
  return new FormatError("payload-malformed", `${path}: ${problem} (offset ${node.start})`, {
    offset: node.start,
    path,
  });
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

/** What a payload shall say. */
export interface PayloadClaims {
  readonly manifestDigest: Digest;
  /** Written as it stands; the caller decides what a reference must look like. */
  readonly dockerReference: string;
  /** Default: not written. */
  readonly creator?: string;
  /** Seconds since 1970 UTC, an integer. Default: not written. */
  readonly timestamp?: number;
}

/**
 * Writes a payload, byte for byte as containers/image does: compact, members in ASCII order, no newline at the end, strings as {@link writeJsonString} has them.
 * @throws FormatError `digest-malformed`; UsageError `payload-incomplete` for an empty reference or a timestamp that is not a safe integer
 */
export function writeSimpleSigningPayload(claims: PayloadClaims): Uint8Array {
  const digest = parseDigest(claims.manifestDigest);
  if (claims.dockerReference === "") {
    throw new UsageError("payload-incomplete", "a signature needs a docker reference; it is empty");
  }
  const optional: string[] = [];
  if (claims.creator !== undefined) optional.push(`"creator":${writeJsonString(claims.creator)}`);
  if (claims.timestamp !== undefined) {
    if (!Number.isSafeInteger(claims.timestamp)) {
      throw new UsageError("payload-incomplete", `timestamp ${claims.timestamp} is not a whole number of seconds`);
    }
    optional.push(`"timestamp":${claims.timestamp}`);
  }
  const identity = `{"docker-reference":${writeJsonString(claims.dockerReference)}}`;
  const image = `{"docker-manifest-digest":"${digest}"}`;
  const critical = `{"identity":${identity},"image":${image},"type":"${SIMPLE_SIGNING_TYPE}"}`;
  return new TextEncoder().encode(`{"critical":${critical},"optional":{${optional.join(",")}}}`);
}
