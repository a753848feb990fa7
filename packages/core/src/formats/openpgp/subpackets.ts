import { encodeHexUpper } from "../../bytes/hex.ts";
import { OpenPgpFault } from "./fault.ts";
import { OctetReader } from "./octets.ts";

/** Subpackets in one area of a signature. Genuine signatures have about ten. */
const MAX_SUBPACKETS = 32;

/** A notation: a name and a value that the signer added. */
export interface UntrustedNotation {
  readonly name: string;
  readonly critical: boolean;
}

/** Why a signature was revoked. RFC 9580 section 5.2.3.31. */
export interface UntrustedRevocationReason {
  /** 0 none, 1 superseded, 2 compromised, 3 retired, 32 user id no longer valid. */
  readonly code: number;
  readonly text: string;
}

/** What the subpackets of a version 4 or 6 signature say. */
export interface SubpacketFields {
  /** Seconds since 1970 UTC. */
  created?: number;
  /** Seconds after `created`; 0 never. */
  expiresAfter?: number;
  /** Seconds after the key's creation; 0 never. */
  keyExpiresAfter?: number;
  /** The first octet of the key flags. */
  keyFlags?: number;
  /** Issuer key ids, 16 upper-case hex digits each. */
  readonly issuerKeyIds: string[];
  /** Issuer fingerprints, 40 (version 4) or 64 (version 6) upper-case hex digits. */
  readonly issuerFingerprints: string[];
  primaryUserId: boolean;
  revocationReason?: UntrustedRevocationReason;
  /** Bodies of embedded signatures. */
  readonly embedded: Uint8Array[];
  readonly notations: UntrustedNotation[];
  /** The first thing that makes the signature invalid although it can be read. */
  problem?: OpenPgpFault;
}

/** Types that are understood, or are known to carry nothing that a verifier must act on, so that their critical bit can stand. */
const knownTypes: ReadonlySet<number> = new Set([
  2, 3, 4, 7, 9, 11, 16, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33, 35, 39,
]);

/** No field set. */
export function emptyFields(): SubpacketFields {
  return { issuerKeyIds: [], issuerFingerprints: [], primaryUserId: false, embedded: [], notations: [] };
}

/**
 * Reads one subpacket area into `fields`. From the unhashed area only issuers and embedded signatures are taken, for they prove themselves;
 * critical ones that are unknown count in both. RFC 9580 section 5.2.3.7.
 * @throws OpenPgpFault `signature-malformed`
 */
export function readSubpackets(area: Uint8Array, hashed: boolean, fields: SubpacketFields): void {
  const reader = new OctetReader(area, "a subpacket area", "signature-malformed");
  let count = 0;
  while (reader.left > 0) {
    if (++count > MAX_SUBPACKETS) throw reader.fault(`more than ${MAX_SUBPACKETS} subpackets`);
    const first = reader.octet();
    const length = first < 192 ? first : first < 255 ? ((first - 192) << 8) + reader.octet() + 192 : reader.uint32();
    if (length === 0) throw reader.fault("a subpacket without a type");
    const typeOctet = reader.octet();
    const type = typeOctet & 0x7f;
    const critical = typeOctet >= 0x80;
    const body = reader.take(length - 1);
    if (critical && !knownTypes.has(type)) {
      fields.problem ??= new OpenPgpFault("signature-critical-subpacket", `critical subpacket of unknown type ${type}`);
    }
    readSubpacket(type, body, hashed, critical, fields);
  }
}

function readSubpacket(
  type: number,
  body: Uint8Array,
  hashed: boolean,
  critical: boolean,
  fields: SubpacketFields,
): void {
  switch (type) {
    case 16:
      fields.issuerKeyIds.push(encodeHexUpper(exactly(body, 8, "issuer key id")));
      return;
    case 33:
      readIssuerFingerprint(body, fields);
      return;
    case 32:
      fields.embedded.push(body);
      return;
    case 20:
      readNotation(body, critical, fields);
      return;
    default:
      if (hashed) readHashedSubpacket(type, body, fields);
  }
}

function readHashedSubpacket(type: number, body: Uint8Array, fields: SubpacketFields): void {
  switch (type) {
    case 2:
      if (fields.created !== undefined) fields.problem ??= duplicate("signature-creation-time", "creation time");
      fields.created = uint32(body, "creation time");
      return;
    case 3:
      if (fields.expiresAfter !== undefined) fields.problem ??= duplicate("signature-malformed", "expiration time");
      fields.expiresAfter = uint32(body, "expiration time");
      return;
    case 9:
      if (fields.keyExpiresAfter !== undefined) {
        fields.problem ??= duplicate("signature-malformed", "key expiration time");
      }
      fields.keyExpiresAfter = uint32(body, "key expiration time");
      return;
    case 25:
      fields.primaryUserId = exactly(body, 1, "primary user id")[0] !== 0;
      return;
    case 27:
      if (fields.keyFlags !== undefined) fields.problem ??= duplicate("signature-malformed", "key flags");
      fields.keyFlags = body[0] ?? 0;
      return;
    case 29:
      if (body.length === 0) throw malformed("reason for revocation");
      fields.revocationReason = { code: body[0]!, text: new TextDecoder().decode(body.subarray(1)) };
      return;
    default:
  }
}

function readIssuerFingerprint(body: Uint8Array, fields: SubpacketFields): void {
  const version = body[0];
  if (version !== 4 && version !== 6) {
    fields.problem ??= new OpenPgpFault(
      "signature-issuer",
      `issuer fingerprint of key version ${version ?? "unknown"}`,
    );
    return;
  }
  fields.issuerFingerprints.push(
    encodeHexUpper(exactly(body, version === 4 ? 21 : 33, "issuer fingerprint").subarray(1)),
  );
}

function readNotation(body: Uint8Array, critical: boolean, fields: SubpacketFields): void {
  const reader = new OctetReader(body, "a notation", "signature-malformed");
  reader.take(4);
  const nameLength = reader.uint16();
  const valueLength = reader.uint16();
  const name = new TextDecoder().decode(reader.take(nameLength));
  reader.take(valueLength);
  reader.end();
  fields.notations.push({ name, critical });
  if (critical) {
    fields.problem ??= new OpenPgpFault(
      "signature-critical-notation",
      `critical notation ${JSON.stringify(name)} is unknown`,
    );
  }
}

function uint32(body: Uint8Array, what: string): number {
  const [a, b, c, d] = exactly(body, 4, what);
  return a! * 0x1000000 + (b! << 16) + (c! << 8) + d!;
}

function exactly(body: Uint8Array, length: number, what: string): Uint8Array {
  if (body.length !== length) throw malformed(what);
  return body;
}

function malformed(what: string): OpenPgpFault {
  return new OpenPgpFault("signature-malformed", `the ${what} subpacket has the wrong length`);
}

function duplicate(rule: "signature-creation-time" | "signature-malformed", what: string): OpenPgpFault {
  return new OpenPgpFault(rule, `the ${what} stands twice in the signature`);
}
