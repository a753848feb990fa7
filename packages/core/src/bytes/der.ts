import { concatBytes } from "./concat.ts";
import type { EcdsaCurve, PublicKeyMaterial } from "./engine.ts";

/** DER, as far as wrapping a public key needs it (X.690; RFC 5280 section 4.1.2.7). */

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const NULL = 0x05;
const OBJECT_IDENTIFIER = 0x06;
const SEQUENCE = 0x30;

function encodeElement(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(contents);
  const length: number[] = [];
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest & 255);
  const header = body.length < 128 ? [tag, body.length] : [tag, 0x80 | length.length, ...length];
  return concatBytes([Uint8Array.from(header), body]);
}

/** An unsigned big-endian integer without leading zeros. */
function encodeInteger(value: Uint8Array): Uint8Array {
  const first = value[0];
  return first === undefined || first >= 0x80
    ? encodeElement(INTEGER, Uint8Array.of(0), value)
    : encodeElement(INTEGER, value);
}

/** @param oid dotted form */
function encodeOid(oid: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = oid.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 127];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left & 127) | 128);
    bytes.push(...groups);
  }
  return encodeElement(OBJECT_IDENTIFIER, Uint8Array.from(bytes));
}

const curveOids: Readonly<Record<EcdsaCurve, string>> = {
  "P-256": "1.2.840.10045.3.1.7",
  "P-384": "1.3.132.0.34",
  "P-521": "1.3.132.0.35",
  brainpoolP256r1: "1.3.36.3.3.2.8.1.1.7",
  brainpoolP384r1: "1.3.36.3.3.2.8.1.1.11",
  brainpoolP512r1: "1.3.36.3.3.2.8.1.1.13",
};

/** Keys whose material stands in the bit string as it is. RFC 8410; RFC 9881 for ML-DSA. */
const rawKeyOids: Readonly<Record<"ed25519" | "ed448" | "ml-dsa-65" | "ml-dsa-87", string>> = {
  ed25519: "1.3.101.112",
  ed448: "1.3.101.113",
  "ml-dsa-65": "2.16.840.1.101.3.4.3.18",
  "ml-dsa-87": "2.16.840.1.101.3.4.3.19",
};

/** SubjectPublicKeyInfo of a key. Nothing is checked here: that is the work of whoever reads it. */
export function encodeSubjectPublicKey(material: PublicKeyMaterial): Uint8Array {
  switch (material.type) {
    case "rsa":
      return wrap(
        [encodeOid("1.2.840.113549.1.1.1"), encodeElement(NULL)],
        encodeElement(SEQUENCE, encodeInteger(material.n), encodeInteger(material.e)),
      );
    case "dsa":
      return wrap(
        [
          encodeOid("1.2.840.10040.4.1"),
          encodeElement(SEQUENCE, encodeInteger(material.p), encodeInteger(material.q), encodeInteger(material.g)),
        ],
        encodeInteger(material.y),
      );
    case "ecdsa":
      return wrap([encodeOid("1.2.840.10045.2.1"), encodeOid(curveOids[material.curve])], material.point);
    default:
      return wrap([encodeOid(rawKeyOids[material.type])], material.publicKey);
  }
}

function wrap(algorithm: readonly Uint8Array[], key: Uint8Array): Uint8Array {
  return encodeElement(
    SEQUENCE,
    encodeElement(SEQUENCE, ...algorithm),
    encodeElement(BIT_STRING, Uint8Array.of(0), key),
  );
}
