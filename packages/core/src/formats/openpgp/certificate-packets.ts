import { concatBytes } from "../../bytes/concat.ts";
import type { Engine } from "../../bytes/engine.ts";
import { FormatError } from "../../errors.ts";
import { OpenPgpFault } from "./fault.ts";
import type { Packet } from "./packet.ts";
import { describeTag, peekTag, readPacket, tags, writePacket } from "./packet.ts";
import type { UntrustedPublicKey } from "./public-key.ts";
import { parsePublicKey } from "./public-key.ts";
import type { UntrustedSignature } from "./signature.ts";
import { parseSignature, signatureTypes } from "./signature.ts";

/** Certificates in one keyring. Whole distributions' keyrings have fewer. */
export const MAX_CERTIFICATES = 1000;
/** Packets in one certificate: keys that collect thousands of foreign certifications are of no use here. */
const MAX_CERTIFICATE_PACKETS = 1000;
/** Revocations apart from their keys in one input. A person adds one for each key that is withdrawn. */
export const MAX_STRAY_REVOCATIONS = 1000;
/** Octets of a user id; GnuPG's own bound. */
const MAX_USER_ID_BYTES = 2048;

/** A key or user id with the signatures that follow it. */
export interface SignedComponent {
  readonly signatures: readonly UntrustedSignature[];
}

export interface UntrustedUserId extends SignedComponent {
  /** UTF-8 octets as they stand. */
  readonly bytes: Uint8Array;
}

export interface UntrustedSubkey extends SignedComponent {
  readonly key: UntrustedPublicKey;
}

/** One certificate as its packets have it; no signature in it is verified. */
export interface UntrustedCertificate {
  readonly primary: UntrustedPublicKey;
  /** Signatures directly behind the primary key. */
  readonly signatures: readonly UntrustedSignature[];
  readonly userIds: readonly UntrustedUserId[];
  readonly subkeys: readonly UntrustedSubkey[];
  /** Its packets with public content; secret keys stand here as public ones. */
  readonly raw: Uint8Array;
  readonly warnings: readonly string[];
}

/** A key revocation that does not stand directly behind the primary key it is about: a revocation certificate of its own, or one added at the end. */
export interface UntrustedStrayRevocation {
  readonly signature: UntrustedSignature;
  /** Its whole packet. */
  readonly raw: Uint8Array;
}

/** Certificates that could be read, and what was left out. */
export interface UntrustedKeyringPart {
  readonly certificates: readonly UntrustedCertificate[];
  /** Wherever they stand, also in certificates that could not be read: a revocation must not be lost by its place. */
  readonly strayRevocations: readonly UntrustedStrayRevocation[];
  readonly warnings: readonly string[];
}

/**
 * Reads certificates from binary packets. One that cannot be read is left out with a warning and takes none of the others along; where a packet's frame is
 * damaged reading ends, and the certificate it stood in is left out, for a revocation may be missing from it.
 *
 * @param what names the source for warnings, such as `the keyring`
 * @throws FormatError `input-too-large` for more than {@link MAX_CERTIFICATES} certificates, or {@link MAX_STRAY_REVOCATIONS} revocations apart from their keys
 */
export function parseCertificates(bytes: Uint8Array, what: string, engine: Pick<Engine, "hash">): UntrustedKeyringPart {
  const certificates: UntrustedCertificate[] = [];
  const warnings: string[] = [];
  const strayRevocations: UntrustedStrayRevocation[] = [];
  let skipped = 0;
  const finish = (packets: readonly Packet[]): void => {
    const name = `certificate ${certificates.length + skipped + 1} of ${what}`;
    try {
      certificates.push(readCertificate(packets, bytes, engine));
    } catch (error) {
      if (!(error instanceof OpenPgpFault)) throw error;
      skipped++;
      warnings.push(`${name}${userIdOf(packets)} was skipped: ${error.message}`);
    }
  };
  let current: Packet[] | undefined;
  let isBehindPrimary = false;
  for (let at = 0; at < bytes.length;) {
    let packet: Packet;
    try {
      packet = readPacket(bytes, at);
    } catch (error) {
      if (!(error instanceof OpenPgpFault)) throw error;
      // The key packet of the next certificate shows that the one before is complete.
      if (current !== undefined && startsCertificate(peekTag(bytes, at))) {
        finish(current);
        current = undefined;
      }
      const lost = current === undefined ? "" : `; the certificate it stands in${userIdOf(current)} was skipped`;
      warnings.push(`${what} is damaged: ${error.message}${lost}`);
      return { certificates, strayRevocations, warnings };
    }
    at = packet.end;
    if (startsCertificate(packet.tag)) {
      isBehindPrimary = true;
      if (current !== undefined) finish(current);
      if (certificates.length + skipped >= MAX_CERTIFICATES) {
        throw new FormatError("input-too-large", `${what} holds more than ${MAX_CERTIFICATES} certificates`);
      }
      current = [];
    } else if (!standsAnywhere(packet.tag) && packet.tag !== tags.signature) isBehindPrimary = false;
    const isStray = !isBehindPrimary && isKeyRevocation(packet);
    if (isStray) readStrayRevocation(packet, bytes, strayRevocations, warnings);
    if (current === undefined) {
      if (packet.start === 0 && !isStray) {
        warnings.push(
          `${what} begins with a ${describeTag(packet.tag)}; what stands before the first key was passed over`,
        );
      }
    }
    // One more than allowed is kept, so that the reader sees the excess; further ones cost no memory.
    else if (current.length <= MAX_CERTIFICATE_PACKETS) current.push(packet);
  }
  if (current !== undefined) finish(current);
  return { certificates, strayRevocations, warnings };
}

/** True for packets that say nothing and may stand between any others; those of tag 40 and above so that they may be unknown (RFC 9580 section 4.3). */
function standsAnywhere(tag: number): boolean {
  return tag === tags.trust || tag === tags.padding || tag === tags.marker || tag >= FIRST_NON_CRITICAL_TAG;
}

const FIRST_NON_CRITICAL_TAG = 40;

/** By the type octet alone, which stands behind the version, and in version 3 behind one more octet. */
function isKeyRevocation({ tag, body }: Packet): boolean {
  return tag === tags.signature && body[body[0] === 3 ? 2 : 1] === signatureTypes.keyRevocation;
}

function readStrayRevocation(
  packet: Packet,
  bytes: Uint8Array,
  into: UntrustedStrayRevocation[],
  warnings: string[],
): void {
  if (into.length === MAX_STRAY_REVOCATIONS) {
    throw new FormatError("input-too-large", `more than ${MAX_STRAY_REVOCATIONS} revocations apart from their keys`);
  }
  const signatures: UntrustedSignature[] = [];
  readSignature(packet, signatures, warnings);
  for (const signature of signatures) into.push({ signature, raw: bytes.subarray(packet.start, packet.end) });
}

function startsCertificate(tag: number | undefined): boolean {
  return tag === tags.publicKey || tag === tags.secretKey;
}

/** The first user id, in quotes, so that a warning can name what it is about. */
function userIdOf(packets: readonly Packet[]): string {
  const packet = packets.find((candidate) => candidate.tag === tags.userId);
  return packet === undefined ? "" : ` (${JSON.stringify(new TextDecoder().decode(packet.body.subarray(0, 200)))})`;
}

function readCertificate(
  packets: readonly Packet[],
  bytes: Uint8Array,
  engine: Pick<Engine, "hash">,
): UntrustedCertificate {
  if (packets.length > MAX_CERTIFICATE_PACKETS) {
    throw new OpenPgpFault("key-malformed", `it has more than ${MAX_CERTIFICATE_PACKETS} packets`);
  }
  const [first, ...rest] = packets;
  const primary = parsePublicKey(first!.body, first!.tag === tags.secretKey, engine);
  if (primary.materials.length === 0) {
    throw new OpenPgpFault("key-algorithm", `a primary key must be able to sign, ${primary.label} cannot`);
  }
  const warnings: string[] = [];
  const signatures: UntrustedSignature[] = [];
  const userIds: UntrustedUserId[] = [];
  const subkeys: UntrustedSubkey[] = [];
  const raw: Uint8Array[] = [publicForm(first!, primary, bytes)];
  /** Where signatures go that come next; undefined behind what is not used. */
  let signaturesHere: UntrustedSignature[] | undefined = signatures;
  /** False behind a secret subkey that cannot be read: neither it nor its signatures can be written out. */
  let isWritten = true;
  for (const packet of rest) {
    switch (packet.tag) {
      case tags.userId: {
        const here: UntrustedSignature[] = [];
        signaturesHere = here;
        isWritten = true;
        if (packet.body.length > MAX_USER_ID_BYTES)
          warnings.push(`a user id of more than ${MAX_USER_ID_BYTES} octets was left out`);
        else userIds.push({ bytes: packet.body, signatures: here });
        raw.push(bytes.subarray(packet.start, packet.end));
        break;
      }
      case tags.publicSubkey:
      case tags.secretSubkey: {
        const key = readSubkey(packet, primary, engine, warnings);
        isWritten = key !== undefined || packet.tag === tags.publicSubkey;
        if (isWritten) raw.push(publicForm(packet, key, bytes));
        signaturesHere = key === undefined ? undefined : [];
        if (key !== undefined) subkeys.push({ key, signatures: signaturesHere! });
        break;
      }
      case tags.userAttribute:
        signaturesHere = undefined;
        isWritten = true;
        raw.push(bytes.subarray(packet.start, packet.end));
        break;
      case tags.signature:
        readSignature(packet, signaturesHere, warnings);
        if (isWritten) raw.push(bytes.subarray(packet.start, packet.end));
        break;
      default:
        if (standsAnywhere(packet.tag)) break;
        throw new OpenPgpFault("key-malformed", `a ${describeTag(packet.tag)} does not belong into a certificate`);
    }
  }
  return { primary, signatures, userIds, subkeys, raw: concatBytes(raw), warnings };
}

function readSubkey(
  packet: Packet,
  primary: UntrustedPublicKey,
  engine: Pick<Engine, "hash">,
  warnings: string[],
): UntrustedPublicKey | undefined {
  try {
    const key = parsePublicKey(packet.body, packet.tag === tags.secretSubkey, engine);
    if (key.version === primary.version) return key;
    warnings.push(`a subkey of version ${key.version} under a primary key of version ${primary.version} was left out`);
  } catch (error) {
    if (!(error instanceof OpenPgpFault)) throw error;
    warnings.push(`a subkey was left out: ${error.message}`);
  }
  return undefined;
}

function readSignature(packet: Packet, into: UntrustedSignature[] | undefined, warnings: string[]): void {
  if (into === undefined) return;
  try {
    into.push(parseSignature(packet.body));
  } catch (error) {
    if (!(error instanceof OpenPgpFault)) throw error;
    warnings.push(`a signature was passed over: ${error.message}`);
  }
}

function publicForm(packet: Packet, key: UntrustedPublicKey | undefined, bytes: Uint8Array): Uint8Array {
  if (key !== undefined && packet.tag === tags.secretKey) return writePacket(tags.publicKey, key.body);
  if (key !== undefined && packet.tag === tags.secretSubkey) return writePacket(tags.publicSubkey, key.body);
  return bytes.subarray(packet.start, packet.end);
}
