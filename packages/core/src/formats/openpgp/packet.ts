import { concatBytes } from "../../bytes/concat.ts";
import { OpenPgpFault } from "./fault.ts";

/** Packet tags by name. RFC 9580 section 5. */
export const tags = {
  publicKeyEncryptedSessionKey: 1,
  signature: 2,
  symmetricKeyEncryptedSessionKey: 3,
  onePassSignature: 4,
  secretKey: 5,
  publicKey: 6,
  secretSubkey: 7,
  compressedData: 8,
  symmetricallyEncryptedData: 9,
  marker: 10,
  literalData: 11,
  trust: 12,
  userId: 13,
  publicSubkey: 14,
  userAttribute: 17,
  integrityProtectedData: 18,
  aeadEncryptedData: 20,
  padding: 21,
} as const;

const tagNames: ReadonlyMap<number, string> = new Map([
  [1, "public-key encrypted session key"],
  [2, "signature"],
  [3, "symmetric-key encrypted session key"],
  [4, "one-pass signature"],
  [5, "secret key"],
  [6, "public key"],
  [7, "secret subkey"],
  [8, "compressed data"],
  [9, "encrypted data"],
  [10, "marker"],
  [11, "literal data"],
  [12, "trust"],
  [13, "user id"],
  [14, "public subkey"],
  [17, "user attribute"],
  [18, "encrypted data"],
  [19, "modification detection"],
  [20, "encrypted data"],
  [21, "padding"],
]);

/** `signature packet`, or `packet with tag 40`. */
export function describeTag(tag: number): string {
  const name = tagNames.get(tag);
  return name === undefined ? `packet with tag ${tag}` : `${name} packet`;
}

/** One packet as it stands in its input; nothing in it is checked. */
export interface Packet {
  readonly tag: number;
  /** Octets from the start of the input to the packet's first octet. */
  readonly start: number;
  /** Octets from the start of the input to the first octet after the packet. */
  readonly end: number;
  /** The packet's content; a view of the input unless it came in parts. */
  readonly body: Uint8Array;
}

/** Only packets that hold data may come in parts or without a length. */
function holdsData(tag: number): boolean {
  return tag === 8 || tag === 9 || tag === 11 || tag === 18 || tag === 20;
}

/** The tag of the packet that starts at `at`, or undefined where none can start. */
export function peekTag(bytes: Uint8Array, at: number): number | undefined {
  const header = bytes[at];
  if (header === undefined || header < 0x80) return undefined;
  return header & 0x40 ? header & 0x3f : (header >> 2) & 0x0f;
}

/**
 * Reads the packet at `at`: both header formats, lengths in parts, lengths to the end of the input. RFC 9580 section 4.2.
 * @throws OpenPgpFault `packet-malformed`, or `message-truncated` when the input ends inside the packet
 */
export function readPacket(bytes: Uint8Array, at: number): Packet {
  const tag = peekTag(bytes, at);
  if (tag === undefined) throw new OpenPgpFault("packet-malformed", `no packet starts at offset ${at}`, at);
  if (tag === 0) throw new OpenPgpFault("packet-malformed", `packet with the reserved tag 0 at offset ${at}`, at);
  return bytes[at]! & 0x40 ? readNewFormat(bytes, at, tag) : readOldFormat(bytes, at, tag);
}

function readOldFormat(bytes: Uint8Array, start: number, tag: number): Packet {
  const lengthType = bytes[start]! & 3;
  if (lengthType === 3) {
    if (!holdsData(tag)) {
      throw new OpenPgpFault("packet-malformed", `${describeTag(tag)} without a length at offset ${start}`, start);
    }
    return { tag, start, end: bytes.length, body: bytes.subarray(start + 1) };
  }
  const lengthOctets = 1 << lengthType;
  const bodyStart = start + 1 + lengthOctets;
  if (bodyStart > bytes.length) throw truncated(tag, start);
  let length = 0;
  for (let i = start + 1; i < bodyStart; i++) length = length * 256 + bytes[i]!;
  return slicePacket(bytes, tag, start, bodyStart, length);
}

function readNewFormat(bytes: Uint8Array, start: number, tag: number): Packet {
  const first = bytes[start + 1];
  if (first === undefined) throw truncated(tag, start);
  if (first < 192) return slicePacket(bytes, tag, start, start + 2, first);
  if (first >= 224 && first < 255) return readParts(bytes, tag, start);
  const lengthOctets = first === 255 ? 5 : 2;
  if (start + 1 + lengthOctets > bytes.length) throw truncated(tag, start);
  return slicePacket(bytes, tag, start, start + 1 + lengthOctets, readNewLength(bytes, start + 1));
}

/** A length in the new format that is not one of a part; the caller has checked that its octets are there. */
function readNewLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 192) return first;
  if (first < 224) return ((first - 192) << 8) + bytes[at + 1]! + 192;
  return bytes[at + 1]! * 0x1000000 + (bytes[at + 2]! << 16) + (bytes[at + 3]! << 8) + bytes[at + 4]!;
}

/** The first part should have 512 octets or more (RFC 9580 section 4.2.1.4); genuine release signatures begin with one of two, so any size stands. */
function readParts(bytes: Uint8Array, tag: number, start: number): Packet {
  if (!holdsData(tag)) {
    throw new OpenPgpFault("packet-malformed", `${describeTag(tag)} in parts at offset ${start}`, start);
  }
  const parts: Uint8Array[] = [];
  let at = start + 1;
  for (;;) {
    const first = bytes[at];
    if (first === undefined) throw truncated(tag, start);
    const isPart = first >= 224 && first < 255;
    const lengthOctets = isPart || first < 192 ? 1 : first === 255 ? 5 : 2;
    if (at + lengthOctets > bytes.length) throw truncated(tag, start);
    const length = isPart ? 2 ** (first & 31) : readNewLength(bytes, at);
    at += lengthOctets;
    if (length > bytes.length - at) throw truncated(tag, start);
    parts.push(bytes.subarray(at, at + length));
    at += length;
    if (!isPart) return { tag, start, end: at, body: concatBytes(parts) };
  }
}

function slicePacket(bytes: Uint8Array, tag: number, start: number, bodyStart: number, length: number): Packet {
  const end = bodyStart + length;
  if (end > bytes.length) throw truncated(tag, start);
  return { tag, start, end, body: bytes.subarray(bodyStart, end) };
}

function truncated(tag: number, start: number): OpenPgpFault {
  return new OpenPgpFault(
    "message-truncated",
    `the input ends inside the ${describeTag(tag)} at offset ${start}`,
    start,
  );
}

/** A packet with a new-format header. */
export function writePacket(tag: number, body: Uint8Array): Uint8Array {
  const length = body.length;
  const header =
    length < 192
      ? [0xc0 | tag, length]
      : length < 8384
        ? [0xc0 | tag, ((length - 192) >> 8) + 192, (length - 192) & 255]
        : [0xc0 | tag, 255, length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255];
  return concatBytes([Uint8Array.from(header), body]);
}
