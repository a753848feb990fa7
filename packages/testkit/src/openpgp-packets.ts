import { createHash, randomBytes } from "node:crypto";
import { deflateRawSync, deflateSync } from "node:zlib";
import type { TestHash, TestOpenPgpKey } from "./openpgp-keys.ts";
import { testHashes } from "./openpgp-keys.ts";

/**
 * Writes OpenPGP packets of any shape, the forbidden ones included. Shares no code with the reader that it tests. RFC 9580; RFC 4880 for version 3.
 */

/** How a packet's length is written. `parts`: cut into parts of `partOctets`, a power of two. `to-end`: old format without a length. */
export type PacketFraming =
  | { readonly form: "new" | "old" | "to-end" }
  | { readonly form: "parts"; readonly partOctets: number };

function uint(value: number, octets: number): Uint8Array {
  const bytes = new Uint8Array(octets);
  for (let i = octets - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 256)) bytes[i] = rest & 255;
  return bytes;
}

function join(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.map((part) => Uint8Array.from(part))));
}

function newLength(length: number): Uint8Array {
  if (length < 192) return uint(length, 1);
  if (length < 8384) return Uint8Array.of(((length - 192) >> 8) + 192, (length - 192) & 255);
  return join([255], uint(length, 4));
}

/** A whole packet. */
export function writeTestPacket(tag: number, body: Uint8Array, framing: PacketFraming = { form: "new" }): Uint8Array {
  switch (framing.form) {
    case "new":
      return join([0xc0 | tag], newLength(body.length), body);
    case "old":
      return join([0x80 | (tag << 2) | 2], uint(body.length, 4), body);
    case "to-end":
      return join([0x80 | (tag << 2) | 3], body);
    case "parts": {
      const parts: Uint8Array[] = [Uint8Array.of(0xc0 | tag)];
      let at = 0;
      while (body.length - at > framing.partOctets) {
        parts.push(Uint8Array.of(224 | Math.log2(framing.partOctets)), body.subarray(at, at + framing.partOctets));
        at += framing.partOctets;
      }
      return join(...parts, newLength(body.length - at), body.subarray(at));
    }
  }
}

/** A literal data packet. */
export function writeTestLiteral(
  content: Uint8Array,
  options: {
    readonly format?: string;
    readonly fileName?: string;
    readonly date?: number;
    readonly framing?: PacketFraming;
  } = {},
): Uint8Array {
  const name = Buffer.from(options.fileName ?? "");
  const format = (options.format ?? "b").charCodeAt(0);
  const body = join([format, name.length], name, uint(options.date ?? 0, 4), content);
  return writeTestPacket(11, body, options.framing);
}

/** A compressed data packet: 0 not compressed, 1 ZIP, 2 ZLIB; for any other number `data` must be compressed already. */
export function writeTestCompressed(
  algorithm: number,
  data: Uint8Array,
  framing: PacketFraming = { form: "to-end" },
): Uint8Array {
  const packed = algorithm === 1 ? deflateRawSync(data) : algorithm === 2 ? deflateSync(data) : data;
  return writeTestPacket(8, join([algorithm], packed), framing);
}

/** One subpacket; `critical` sets the highest bit of its type. */
export function writeTestSubpacket(type: number, body: Uint8Array | readonly number[], critical = false): Uint8Array {
  return join(newLength(body.length + 1), [type | (critical ? 0x80 : 0)], body);
}

/** A notation subpacket. */
export function writeTestNotation(name: string, value: string, critical: boolean): Uint8Array {
  const nameBytes = Buffer.from(name);
  const valueBytes = Buffer.from(value);
  return writeTestSubpacket(
    20,
    join([0x80, 0, 0, 0], uint(nameBytes.length, 2), uint(valueBytes.length, 2), nameBytes, valueBytes),
    critical,
  );
}

/** What a signature packet says. Times are seconds. */
export interface TestSignatureOptions {
  readonly version?: 3 | 4 | 6;
  /** Default 0x00, a binary document. */
  readonly type?: number;
  readonly hash?: TestHash;
  /** Seconds since 1970 UTC; null leaves it out. Default: the key's creation plus one hour. */
  readonly created?: number | null;
  /** Seconds after `created`. */
  readonly expiresAfter?: number;
  /** Which issuer subpackets there are; the fingerprint is hashed, the key id is not. Default both for version 4, the fingerprint for version 6. */
  readonly issuer?: "both" | "key-id" | "fingerprint" | "none";
  /** Added to the hashed subpackets. */
  readonly hashed?: readonly Uint8Array[];
  /** Added to the unhashed subpackets. */
  readonly unhashed?: readonly Uint8Array[];
  /** Version 6; default random of the size that the hash asks for. */
  readonly salt?: Uint8Array;
  /** Changes the two octets of the digest that stand in the packet. */
  readonly digestStart?: number;
  /** Changes the algorithm's octets. */
  readonly mangle?: (material: Uint8Array) => Uint8Array;
}

/** The body of a signature packet over `data`, which is hashed as it stands: for message signatures the content, for key signatures the hashed forms. */
export function writeTestSignature(
  key: TestOpenPgpKey,
  data: readonly Uint8Array[],
  options: TestSignatureOptions = {},
): Uint8Array {
  const version = options.version ?? key.version;
  const type = options.type ?? 0;
  const hash = options.hash ?? key.defaultHash;
  const { id, saltSize } = testHashes[hash];
  const created = options.created === undefined ? key.created + 3600 : options.created;
  const salt = version === 6 ? (options.salt ?? randomBytes(saltSize)) : new Uint8Array(0);
  let head: Uint8Array;
  let middle: Uint8Array;
  let trailer: Uint8Array;
  if (version === 3) {
    trailer = join([type], uint(created ?? 0, 4));
    head = join([3, 5], trailer, Buffer.from(key.keyId, "hex"), [key.algorithm, id]);
    middle = new Uint8Array(0);
  } else {
    const lengthOctets = version === 6 ? 4 : 2;
    const [hashedIssuer, unhashedIssuer] = issuerSubpackets(
      key,
      options.issuer ?? (version === 6 ? "fingerprint" : "both"),
    );
    const hashed = join(
      ...(created === null ? [] : [writeTestSubpacket(2, uint(created, 4))]),
      ...(options.expiresAfter === undefined ? [] : [writeTestSubpacket(3, uint(options.expiresAfter, 4))]),
      ...hashedIssuer,
      ...(options.hashed ?? []),
    );
    const unhashed = join(...unhashedIssuer, ...(options.unhashed ?? []));
    head = join([version, type, key.algorithm, id], uint(hashed.length, lengthOctets), hashed);
    middle = join(uint(unhashed.length, lengthOctets), unhashed);
    trailer = join(head, [version, 0xff], uint(head.length, 4));
  }
  const signed = join(salt, ...data, trailer);
  const start = createHash(testHashes[hash].name).update(signed).digest().subarray(0, 2);
  const material = key.sign(hash, signed);
  return join(
    head,
    middle,
    options.digestStart === undefined ? start : uint(options.digestStart, 2),
    version === 6 ? join([salt.length], salt) : [],
    options.mangle === undefined ? material : options.mangle(material),
  );
}

function issuerSubpackets(
  key: TestOpenPgpKey,
  issuer: "both" | "key-id" | "fingerprint" | "none",
): [hashed: Uint8Array[], unhashed: Uint8Array[]] {
  const fingerprint = writeTestSubpacket(33, join([key.version], Buffer.from(key.fingerprint, "hex")));
  const keyId = writeTestSubpacket(16, Buffer.from(key.keyId, "hex"));
  return [
    issuer === "both" || issuer === "fingerprint" ? [fingerprint] : [],
    issuer === "both" || issuer === "key-id" ? [keyId] : [],
  ];
}

/** The one-pass packet that belongs to a signature body made by {@link writeTestSignature}; `patch` changes its body. */
export function writeTestOnePass(
  key: TestOpenPgpKey,
  signature: Uint8Array,
  patch: (body: Uint8Array) => Uint8Array = (body) => body,
): Uint8Array {
  const [version, second, third, fourth] = signature;
  if (version === 3) {
    return writeTestPacket(
      4,
      patch(join([3, signature[2]!, signature[16]!, signature[15]!], Buffer.from(key.keyId, "hex"), [1])),
    );
  }
  if (version === 4)
    return writeTestPacket(4, patch(join([3, second!, fourth!, third!], Buffer.from(key.keyId, "hex"), [1])));
  const view = Buffer.from(signature);
  const hashedLength = view.readUInt32BE(4);
  const saltAt = 8 + hashedLength + 4 + view.readUInt32BE(8 + hashedLength) + 2;
  const salt = signature.subarray(saltAt, saltAt + 1 + signature[saltAt]!);
  return writeTestPacket(4, patch(join([6, second!, fourth!, third!], salt, Buffer.from(key.fingerprint, "hex"), [1])));
}

/** One-pass, literal, signature. */
export function writeTestMessage(
  key: TestOpenPgpKey,
  content: Uint8Array,
  options: TestSignatureOptions = {},
): Uint8Array {
  const signature = writeTestSignature(key, [content], options);
  return join(writeTestOnePass(key, signature), writeTestLiteral(content), writeTestPacket(2, signature));
}

/** A user id of a test certificate. */
export interface TestUserId {
  readonly text: string;
  readonly certification?: TestSignatureOptions;
  /** More signature bodies behind the certification. */
  readonly more?: readonly Uint8Array[];
}

/** A subkey of a test certificate. */
export interface TestSubkey {
  readonly key: TestOpenPgpKey;
  /** First octet of the key flags. Default 2, sign. */
  readonly flags?: number;
  readonly binding?: TestSignatureOptions;
  /** False leaves the back signature out. Default true. */
  readonly isSignedBack?: boolean;
  readonly more?: readonly Uint8Array[];
}

export interface TestCertificateOptions {
  /** First octet of the key flags. Default 3, certify and sign; null leaves them out. */
  readonly flags?: number | null;
  /** Seconds after the key's creation. */
  readonly keyExpiresAfter?: number;
  /** Default one, `Test Key <test@example.com>`. */
  readonly userIds?: readonly TestUserId[];
  /** Signature bodies directly behind the primary key. Version 6 keys get a direct-key signature besides. */
  readonly direct?: readonly Uint8Array[];
  readonly subkeys?: readonly TestSubkey[];
}

/** The hashed form of a user id. */
export function hashedTestUserId(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return join([0xb4], uint(bytes.length, 4), bytes);
}

/** A whole certificate, binary. */
export function writeTestCertificate(primary: TestOpenPgpKey, options: TestCertificateOptions = {}): Uint8Array {
  const flags = options.flags === undefined ? 3 : options.flags;
  const description = [
    ...(flags === null ? [] : [writeTestSubpacket(27, [flags])]),
    ...(options.keyExpiresAfter === undefined ? [] : [writeTestSubpacket(9, uint(options.keyExpiresAfter, 4))]),
  ];
  const created = primary.created;
  const packets = [writeTestPacket(6, primary.body)];
  if (primary.version === 6) {
    const direct = writeTestSignature(primary, [primary.hashedForm], { type: 0x1f, created, hashed: description });
    packets.push(writeTestPacket(2, direct));
  }
  for (const direct of options.direct ?? []) packets.push(writeTestPacket(2, direct));
  for (const { text, certification, more } of options.userIds ?? [{ text: "Test Key <test@example.com>" }]) {
    const data = [primary.hashedForm, hashedTestUserId(text)];
    const signature = writeTestSignature(primary, data, { type: 0x13, created, hashed: description, ...certification });
    packets.push(writeTestPacket(13, Buffer.from(text)), writeTestPacket(2, signature));
    for (const body of more ?? []) packets.push(writeTestPacket(2, body));
  }
  for (const subkey of options.subkeys ?? []) {
    packets.push(writeTestPacket(14, subkey.key.body), writeTestPacket(2, writeTestBinding(primary, subkey)));
    for (const body of subkey.more ?? []) packets.push(writeTestPacket(2, body));
  }
  return join(...packets);
}

function writeTestBinding(
  primary: TestOpenPgpKey,
  { key, flags = 2, binding, isSignedBack = true }: TestSubkey,
): Uint8Array {
  const data = [primary.hashedForm, key.hashedForm];
  const back = writeTestSignature(key, data, { type: 0x19, created: key.created });
  return writeTestSignature(primary, data, {
    type: 0x18,
    created: key.created,
    ...binding,
    hashed: [writeTestSubpacket(27, [flags]), ...(binding?.hashed ?? [])],
    unhashed: isSignedBack ? [writeTestSubpacket(32, back)] : [],
  });
}
