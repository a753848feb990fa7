import type { Compression, Engine, Inflated } from "../../bytes/engine.ts";
import { encodeHexUpper } from "../../bytes/hex.ts";
import { MAX_SIGNATURE_BYTES } from "../../bytes/limits.ts";
import { FormatError } from "../../errors.ts";
import { detectArmor } from "./armor.ts";
import { OpenPgpFault } from "./fault.ts";
import type { UntrustedLiteral, UntrustedOnePass } from "./message-packets.ts";
import { checkOnePass, parseLiteral, parseOnePass } from "./message-packets.ts";
import type { Packet } from "./packet.ts";
import { describeTag, peekTag, readPacket, tags } from "./packet.ts";
import type { UntrustedSignature } from "./signature.ts";
import { parseSignature, signatureTypes } from "./signature.ts";

/** Bytes: what a signed message may inflate to. Genuine ones have about one thousand. */
const MAX_INFLATED_BYTES = 1024 * 1024;

/** Bytes: the largest signed content unless the caller says otherwise. Genuine payloads have a few hundred. */
const MAX_CONTENT_BYTES = 64 * 1024;

/** What a signed message is wrapped in. `none`: a compressed packet that says it is not compressed. */
export type MessageCompression = "none" | Compression;

/** A message of the accepted form. Nothing in it is verified. */
export interface UntrustedMessage {
  /** The bytes that were read. */
  readonly raw: Uint8Array;
  /** Undefined: no compressed packet around it. */
  readonly compression: MessageCompression | undefined;
  readonly onePass: UntrustedOnePass | undefined;
  readonly literal: UntrustedLiteral;
  readonly signature: UntrustedSignature;
  /** Octets that follow the message; 0 unless they are tolerated. */
  readonly trailingOctets: number;
}

/** How much is taken. */
export interface MessageLimits {
  /** Octets of literal data at most. Default {@link MAX_CONTENT_BYTES}. */
  readonly maxContentBytes?: number;
  /** True for showing a message only: what follows it is counted instead of refused. Default false. */
  readonly toleratesTrailingData?: boolean;
}

const compressions: ReadonlyMap<number, MessageCompression> = new Map([
  [0, "none"],
  [1, "deflate-raw"],
  [2, "zlib"],
  [3, "bzip2"],
]);

/**
 * Reads a signed message: `one-pass, literal, signature` or `signature, literal`, alone or in one compressed packet; each consumes its input
 * whole. Everything else is refused, each with its own rule. RFC 9580 section 10.3 allows more; this is what signing tools make.
 *
 * @throws OpenPgpFault with the rule that is broken
 */
export function parseMessage(
  message: Uint8Array,
  engine: Pick<Engine, "inflate">,
  limits: MessageLimits = {},
): UntrustedMessage {
  checkOutside(message);
  const maxContentBytes = limits.maxContentBytes ?? MAX_CONTENT_BYTES;
  const { parts, compression, trailingOctets } = unwrap(message, engine, maxContentBytes);
  if (trailingOctets > 0 && limits.toleratesTrailingData !== true) {
    throw new OpenPgpFault("message-trailing-data", `${trailingOctets} octets follow the message`);
  }
  return { raw: message, compression, ...parts, trailingOctets };
}

interface Unwrapped {
  readonly parts: SignedParts;
  readonly compression: MessageCompression | undefined;
  readonly trailingOctets: number;
}

function unwrap(message: Uint8Array, engine: Pick<Engine, "inflate">, maxContentBytes: number): Unwrapped {
  if (peekTag(message, 0) !== tags.compressedData) {
    const parts = parseSigned(message, maxContentBytes);
    return { parts, compression: undefined, trailingOctets: countTrailing(message, parts.end) };
  }
  const packet = readPacket(message, 0);
  const compression = compressions.get(packet.body[0] ?? -1);
  if (compression === undefined) {
    throw new OpenPgpFault(
      "message-compression",
      `compression algorithm ${packet.body[0] ?? "(none)"} is not supported`,
    );
  }
  const inside = inflate(packet.body.subarray(1), compression, engine);
  if (peekTag(inside.bytes, 0) === tags.compressedData) {
    throw new OpenPgpFault("message-nested-compression", "compressed data inside compressed data");
  }
  const parts = parseSigned(inside.bytes, maxContentBytes);
  const trailingOctets = message.length - packet.end + inside.trailing + countTrailing(inside.bytes, parts.end);
  return { parts, compression, trailingOctets };
}

/** What can be seen without reading a packet. */
function checkOutside(message: Uint8Array): void {
  if (message.length === 0) throw new OpenPgpFault("message-empty", "the signature is empty");
  if (message.length > MAX_SIGNATURE_BYTES) {
    throw new OpenPgpFault("message-too-large", `the signature has more than ${MAX_SIGNATURE_BYTES} octets`);
  }
  if (message[0]! >= 0x80) return;
  const armor = detectArmor(message);
  if (armor === "cleartext") {
    throw new OpenPgpFault(
      "message-cleartext",
      "a cleartext signature (PGP SIGNED MESSAGE); only binary signed messages are accepted",
    );
  }
  if (armor === "armor") {
    throw new OpenPgpFault(
      "message-armored",
      "an ASCII-armored OpenPGP message; only binary signed messages are accepted",
    );
  }
  throw new OpenPgpFault("message-not-openpgp", "not an OpenPGP message", 0);
}

function inflate(data: Uint8Array, compression: MessageCompression, engine: Pick<Engine, "inflate">): Inflated {
  if (compression === "none") return { bytes: data, trailing: 0 };
  try {
    return engine.inflate(compression, data, MAX_INFLATED_BYTES);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const rule = error.code === "input-too-large" ? "message-inflated-too-large" : "message-compression";
    throw new OpenPgpFault(rule, error.message);
  }
}

interface SignedParts extends Pick<UntrustedMessage, "onePass" | "literal" | "signature"> {
  /** Offset of the first octet behind them. */
  readonly end: number;
}

function parseSigned(bytes: Uint8Array, maxContentBytes: number): SignedParts {
  const first = readPacket(bytes, 0);
  if (first.tag === tags.onePassSignature) {
    const onePass = parseOnePass(first.body);
    const literalPacket = expectLiteral(bytes, first.end);
    const literal = parseLiteral(literalPacket.body, maxContentBytes);
    const signaturePacket = expectSignature(bytes, literalPacket.end);
    const signature = parseMessageSignature(signaturePacket);
    checkOnePass(onePass, signature);
    return { onePass, literal, signature, end: signaturePacket.end };
  }
  if (first.tag === tags.signature) {
    if (first.end === bytes.length) {
      throw new OpenPgpFault(
        "message-detached",
        "a detached signature; only messages that hold their content are accepted",
      );
    }
    const literalPacket = expectLiteral(bytes, first.end);
    const literal = parseLiteral(literalPacket.body, maxContentBytes);
    return { onePass: undefined, literal, signature: parseMessageSignature(first), end: literalPacket.end };
  }
  if (first.tag === tags.literalData) {
    throw new OpenPgpFault("message-unsigned", "the message begins with content that is not signed");
  }
  throw unexpected(first.tag, 0, "a one-pass signature packet");
}

function expectLiteral(bytes: Uint8Array, at: number): Packet {
  if (at === bytes.length) throw new OpenPgpFault("message-truncated", "the message ends before its content", at);
  const packet = readPacket(bytes, at);
  if (packet.tag === tags.literalData) return packet;
  if (packet.tag === tags.onePassSignature || packet.tag === tags.signature) throw several(at);
  throw unexpected(packet.tag, at, "a literal data packet");
}

function expectSignature(bytes: Uint8Array, at: number): Packet {
  if (at === bytes.length) throw new OpenPgpFault("message-truncated", "the message ends before its signature", at);
  const packet = readPacket(bytes, at);
  if (packet.tag === tags.signature) return packet;
  throw unexpected(packet.tag, at, "a signature packet");
}

/** Octets behind the signed message; another signature there is refused in any case. */
function countTrailing(bytes: Uint8Array, at: number): number {
  const tag = peekTag(bytes, at);
  if (tag === tags.signature || tag === tags.onePassSignature) throw several(at);
  return bytes.length - at;
}

function several(at: number): OpenPgpFault {
  return new OpenPgpFault("message-several-signatures", "more than one signature in the message", at);
}

function unexpected(tag: number, at: number, expected: string): OpenPgpFault {
  switch (tag) {
    case tags.publicKeyEncryptedSessionKey:
    case tags.symmetricKeyEncryptedSessionKey:
    case tags.symmetricallyEncryptedData:
    case tags.integrityProtectedData:
    case tags.aeadEncryptedData:
      return new OpenPgpFault("message-encrypted", "an encrypted message", at);
    case tags.marker:
      return new OpenPgpFault("message-marker", "a marker packet; nothing may stand beside the signed message", at);
    case tags.compressedData:
      return new OpenPgpFault("message-nested-compression", "compressed data inside a signed message", at);
    default:
      return new OpenPgpFault("message-unexpected-packet", `expected ${expected}, found a ${describeTag(tag)}`, at);
  }
}

/**
 * Reads a signature over a message or document.
 * @throws OpenPgpFault with the rule that is broken
 */
export function parseMessageSignature(packet: Packet): UntrustedSignature {
  const signature = parseSignature(packet.body);
  if (signature.fields.problem !== undefined) throw signature.fields.problem;
  if (signature.type !== signatureTypes.binary && signature.type !== signatureTypes.text) {
    throw new OpenPgpFault(
      "signature-type",
      `a signature of type 0x${encodeHexUpper(Uint8Array.of(signature.type))} is not over a message`,
    );
  }
  if (signature.created === undefined) {
    throw new OpenPgpFault("signature-creation-time", "the signature has no authenticated creation time");
  }
  if (signature.keyId === undefined)
    throw new OpenPgpFault("signature-issuer", "the signature does not name its issuer");
  if (signature.version === 6 && signature.fingerprint === undefined) {
    throw new OpenPgpFault("signature-issuer", "a version 6 signature must name its issuer by fingerprint");
  }
  return signature;
}
