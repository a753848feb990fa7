/** What the payloads of sigstore and notation signatures say. Read only to index them; nothing is verified. */
import { FormatError, type JsonNode, decodeBase64, parseJson, strictObject } from "@signet/core";

/** What a signature claims, as far as it says. */
export interface CarriedClaims {
  /** The image that it is about; undefined where this cannot be read. */
  readonly manifestDigest?: string;
  readonly reference?: string;
  readonly creator?: string;
  /** Seconds since 1970, UTC. */
  readonly timestamp?: number;
}

/** Levels of JSON: genuine payloads have about ten. */
const limits = { maxDepth: 100 };
/** The type of every payload that cosign signs (containers-image, `UntrustedSigstorePayload`). */
const COSIGN_TYPE = "cosign container image signature";
const SIGNING_PREDICATE = "https://sigstore.dev/cosign/sign/";

/**
 * The payload of a sigstore attachment.
 * @throws FormatError `json-malformed`, `payload-malformed`
 */
export function readCosignPayload(payload: Uint8Array): CarriedClaims {
  const top = open(parseJson(payload, "payload", limits), "");
  const critical = open(need(top, "critical"), "critical");
  const type = text(need(critical, "type"), "critical.type");
  if (type !== COSIGN_TYPE) throw malformed(`critical.type is not ${JSON.stringify(COSIGN_TYPE)}`);
  const image = open(need(critical, "image"), "critical.image");
  const identity = open(need(critical, "identity"), "critical.identity");
  const reference = text(need(identity, "docker-reference"), "critical.identity.docker-reference");
  const optionalNode = top.get("optional");
  const optional =
    optionalNode === undefined || optionalNode.kind === "null"
      ? new Map<string, JsonNode>()
      : open(optionalNode, "optional");
  const creator = optional.get("creator");
  const timestamp = optional.get("timestamp");
  return {
    manifestDigest: text(need(image, "docker-manifest-digest"), "critical.image.docker-manifest-digest"),
    ...(reference === "" ? {} : { reference }),
    ...(creator?.kind === "string" ? { creator: creator.value } : {}),
    ...(timestamp?.kind === "number" && Number.isSafeInteger(timestamp.value * 1_000)
      ? { timestamp: timestamp.value }
      : {}),
  };
}

/**
 * A sigstore bundle: one that signs an image, or undefined for an attestation about it.
 * @param subject of the manifest that carries it
 * @throws FormatError as above, also for what is neither
 */
export function readBundle(payload: Uint8Array, subject: string): CarriedClaims | undefined {
  const top = open(parseJson(payload, "bundle", limits), "");
  const message = top.get("messageSignature");
  if (message !== undefined) {
    const digest = open(need(open(message, "messageSignature"), "messageDigest"), "messageDigest");
    const algorithm = text(need(digest, "algorithm"), "messageDigest.algorithm");
    if (algorithm !== "SHA2_256") throw malformed(`the message's digest is of another algorithm than SHA2_256`);
    const hash = Buffer.from(decodeBase64(text(need(digest, "digest"), "messageDigest.digest"))).toString("hex");
    return { manifestDigest: `sha256:${hash}` };
  }
  const envelope = open(need(top, "dsseEnvelope"), "dsseEnvelope");
  const statementBytes = decodeBase64(text(need(envelope, "payload"), "dsseEnvelope.payload"));
  const statement = open(parseJson(statementBytes, "statement", limits), "");
  if (!text(need(statement, "predicateType"), "predicateType").startsWith(SIGNING_PREDICATE)) return undefined;
  const subjects = need(statement, "subject");
  if (subjects.kind !== "array") throw malformed("subject is no list");
  const digests = subjects.items.map((item) => {
    const sha256 = open(need(open(item, "subject"), "digest"), "subject.digest").get("sha256");
    return sha256 === undefined ? "" : `sha256:${text(sha256, "subject.digest.sha256")}`;
  });
  // A statement may be about several images; this one must be among them.
  return { manifestDigest: digests.find((digest) => digest === subject) ?? digests[0] ?? "" };
}

/** How CBOR begins a COSE_Sign1 message with its tag (RFC 9052 section 2): notation writes no other. */
const COSE_SIGN1 = [0xd2, 0x84] as const;

/**
 * A notation envelope, or undefined for a type that notation does not have. Of its two forms only the JSON one tells here what it is about. Of the other, CBOR, the beginning is looked at: else what is a
 * signature of another format, whoever made it, could be stored as one of this.
 * @throws FormatError as above
 */
export function readNotationEnvelope(payload: Uint8Array, mediaType: string): CarriedClaims | undefined {
  if (mediaType === "application/cose") {
    if (COSE_SIGN1.some((byte, index) => payload[index] !== byte)) throw malformed("it is no COSE_Sign1 message");
    return {};
  }
  if (mediaType !== "application/jose+json") return undefined;
  const top = open(parseJson(payload, "envelope", limits), "");
  const inner = text(need(top, "payload"), "payload");
  if (!/^[A-Za-z0-9_-]*$/.test(inner)) throw malformed("payload is not base64url");
  const content = open(parseJson(Buffer.from(inner, "base64url"), "payload", limits), "");
  const target = open(need(content, "targetArtifact"), "targetArtifact");
  return { manifestDigest: text(need(target, "digest"), "targetArtifact.digest") };
}

/** Members of an object that may hold others too; none twice. */
function open(node: JsonNode, path: string): ReadonlyMap<string, JsonNode> {
  return strictObject(node, path, { required: [], allowUnknown: true });
}

function need(members: ReadonlyMap<string, JsonNode>, name: string): JsonNode {
  const member = members.get(name);
  if (member === undefined) throw malformed(`the member ${name} is missing`);
  return member;
}

function text(node: JsonNode, path: string): string {
  if (node.kind !== "string") throw malformed(`${path} is no text`);
  return node.value;
}

function malformed(problem: string): FormatError {
  return new FormatError("payload-malformed", problem);
}
