import { encodeHexUpper } from "../../bytes/hex.ts";
import { describeHash, findHash } from "./algorithms.ts";
import { OpenPgpFault } from "./fault.ts";
import { OctetReader } from "./octets.ts";
import type { SubpacketFields } from "./subpackets.ts";
import { emptyFields, readSubpackets } from "./subpackets.ts";

/** Signature types by name. RFC 9580 section 5.2.1. */
export const signatureTypes = {
  binary: 0x00,
  text: 0x01,
  genericCertification: 0x10,
  positiveCertification: 0x13,
  subkeyBinding: 0x18,
  primaryKeyBinding: 0x19,
  directKey: 0x1f,
  keyRevocation: 0x20,
  subkeyRevocation: 0x28,
  certificationRevocation: 0x30,
} as const;

/** A signature packet as read; nothing in it is verified. */
export interface UntrustedSignature {
  readonly version: 3 | 4 | 6;
  readonly type: number;
  /** Public-key algorithm number. */
  readonly algorithm: number;
  /** Hash algorithm number. */
  readonly hash: number;
  /** Seconds since 1970 UTC; undefined when a version 4 or 6 signature does not say. */
  readonly created: number | undefined;
  /** What its subpackets say; empty for version 3. */
  readonly fields: SubpacketFields;
  /** 16 upper-case hex digits; undefined when no issuer is named. */
  readonly keyId: string | undefined;
  /** Upper-case hex; undefined when the issuer is named by key id alone. */
  readonly fingerprint: string | undefined;
  /** The first two octets of the digest, as the signature claims them. */
  readonly digestStart: number;
  /** Version 6: hashed before everything else. Empty otherwise. */
  readonly salt: Uint8Array;
  /** Hashed after everything else. */
  readonly trailer: Uint8Array;
  /** The algorithm's own octets. */
  readonly material: Uint8Array;
}

/**
 * Reads the body of a signature packet of version 3, 4 or 6. What can be read and is nevertheless invalid (critical and unknown, fields twice) stands in
 * `fields.problem`. RFC 9580 section 5.2; RFC 4880 section 5.2.2 for version 3.
 * @throws OpenPgpFault `signature-version`, `signature-malformed`, `signature-hash`
 */
export function parseSignature(body: Uint8Array): UntrustedSignature {
  const reader = new OctetReader(body, "the signature packet", "signature-malformed");
  const version = reader.octet();
  if (version === 3) return parseVersion3(reader);
  if (version === 4 || version === 6) return parseVersion4(reader, version);
  throw new OpenPgpFault("signature-version", `signature packets of version ${version} are not supported`);
}

function parseVersion3(reader: OctetReader): UntrustedSignature {
  if (reader.octet() !== 5) throw reader.fault("its hashed part is not 5 octets long");
  const trailer = reader.take(5);
  const keyId = encodeHexUpper(reader.take(8));
  const algorithm = reader.octet();
  const hash = reader.octet();
  const digestStart = reader.uint16();
  const time = new OctetReader(trailer, "the signature packet", "signature-malformed");
  return {
    version: 3,
    type: time.octet(),
    algorithm,
    hash,
    created: time.uint32(),
    fields: emptyFields(),
    keyId,
    fingerprint: undefined,
    digestStart,
    salt: new Uint8Array(0),
    trailer,
    material: reader.rest(),
  };
}

function parseVersion4(reader: OctetReader, version: 4 | 6): UntrustedSignature {
  const type = reader.octet();
  const algorithm = reader.octet();
  const hash = reader.octet();
  const fields = emptyFields();
  const hashedArea = reader.take(version === 4 ? reader.uint16() : reader.uint32());
  const hashedEnd = reader.at;
  const unhashedArea = reader.take(version === 4 ? reader.uint16() : reader.uint32());
  readSubpackets(hashedArea, true, fields);
  readSubpackets(unhashedArea, false, fields);
  const digestStart = reader.uint16();
  const salt = version === 6 ? readSalt(reader, hash) : new Uint8Array(0);
  const [keyId, fingerprint] = readIssuer(version, fields);
  return {
    version,
    type,
    algorithm,
    hash,
    created: fields.created,
    fields,
    keyId,
    fingerprint,
    digestStart,
    salt,
    trailer: makeTrailer(version, reader.bytes, hashedEnd),
    material: reader.rest(),
  };
}

function readSalt(reader: OctetReader, hash: number): Uint8Array {
  const expected = findHash(hash)?.saltSize;
  if (expected === undefined) {
    throw new OpenPgpFault("signature-hash", `${describeHash(hash)} is not allowed in version 6 signatures`);
  }
  const size = reader.octet();
  if (size !== expected) throw reader.fault(`a salt of ${size} octets with ${describeHash(hash)}`);
  return reader.take(size);
}

/** Everything through the hashed subpackets, then the version, FF and the length of that part. RFC 9580 section 5.2.4. */
function makeTrailer(version: 4 | 6, body: Uint8Array, hashedEnd: number): Uint8Array {
  const trailer = new Uint8Array(hashedEnd + 6);
  trailer.set(body.subarray(0, hashedEnd));
  trailer[hashedEnd] = version;
  trailer[hashedEnd + 1] = 0xff;
  trailer[hashedEnd + 2] = hashedEnd >>> 24;
  trailer[hashedEnd + 3] = hashedEnd >> 16;
  trailer[hashedEnd + 4] = hashedEnd >> 8;
  trailer[hashedEnd + 5] = hashedEnd;
  return trailer;
}

/** All issuers that are named must be one and the same. */
function readIssuer(
  version: 4 | 6,
  fields: SubpacketFields,
): [keyId: string | undefined, fingerprint: string | undefined] {
  const [fingerprint] = fields.issuerFingerprints;
  const fromFingerprint = fingerprint === undefined ? undefined : keyIdOf(fingerprint);
  const keyId = fromFingerprint ?? fields.issuerKeyIds[0];
  if (
    fields.issuerFingerprints.some((other) => other !== fingerprint) ||
    fields.issuerKeyIds.some((other) => other !== keyId)
  ) {
    fields.problem ??= new OpenPgpFault("signature-issuer", "the signature names two different issuers");
  }
  if (fingerprint !== undefined && (fingerprint.length === 64) !== (version === 6)) {
    fields.problem ??= new OpenPgpFault(
      "signature-issuer",
      `a version ${version} signature cannot be made by a version ${fingerprint.length === 64 ? 6 : 4} key`,
    );
  }
  return [keyId, fingerprint];
}

/** The 64-bit key id of a fingerprint: the last 8 octets of version 4, the first 8 of version 6. RFC 9580 section 5.5.4. */
export function keyIdOf(fingerprint: string): string {
  return fingerprint.length === 64 ? fingerprint.slice(0, 16) : fingerprint.slice(-16);
}
