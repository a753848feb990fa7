/** Manifests of docker schema 1, which bring their signatures along in the document: what must hold of them beyond the form that core reads. */
import { type KeyObject, X509Certificate, createHash, createPublicKey, createVerify } from "node:crypto";
import {
  FormatError,
  type UntrustedSchema1Manifest,
  type UntrustedWebKey,
  type UntrustedWebSignature,
  claimedMediaType,
  readWebSignatures,
} from "@signet/core";
import { ContentError } from "./content-error.ts";

/**
 * JSON web signatures of one manifest. Registries and docker put in one, and signing again adds one. Each costs hashing the whole payload, of up to 4 MiB, while nothing else is
 * answered.
 */
const MAX_CHECKED_SIGNATURES = 16;
/**
 * Bytes of all that a manifest has besides its payload: {@link MAX_CHECKED_SIGNATURES} with certificates. The first body of a digest is what all repositories hold of it, so that nobody may
 * blow it up to what counts for others' quotas.
 */
const MAX_SIGNATURES_BYTES = 65_536;
/** Bits of an RSA key's modulus: the largest that anybody uses, and a millisecond's work. */
const MAX_RSA_BITS = 8_192;
/** Bytes of its public exponent, which is 65537 nearly everywhere: a long one makes verification slow. */
const MAX_EXPONENT_BYTES = 4;

/** The algorithms of libtrust. With ECDSA the curve decides, and the name must say the same. */
const algorithms: ReadonlyMap<string, { readonly hash: string; readonly curve?: string }> = new Map([
  ["ES256", { hash: "sha256", curve: "prime256v1" }],
  ["ES384", { hash: "sha384", curve: "secp384r1" }],
  ["ES512", { hash: "sha512", curve: "secp521r1" }],
  ["RS256", { hash: "sha256" }],
  ["RS384", { hash: "sha384" }],
  ["RS512", { hash: "sha512" }],
]);

/**
 * Looks at a manifest that `parseManifest` took for schema 1, which has made sure that the document without its signatures is just the payload that they sign and that the digest
 * is about. Here: that its declared type is the one of its content, that it has layers and for each of them a piece of history, and that its signatures verify by the keys
 * beside them.
 *
 * Such a signature proves that nothing was changed since somebody made it, and nothing of who that was: anybody can make one, with a key made for it. It is checked all the same, as
 * docker's own registry does and as strictly, since clients of that time refuse an image whose signature is broken, and the first body of a digest is what everybody gets; and since the
 * digest does not cover it: this is how damage to it is found. Trust is by signatures of simple signing, which name the digest.
 *
 * Not checked: `name` and `tag`, which say what the image was called where it was first pushed, and are signed: a mirror cannot change them.
 *
 * @param declared the type that a client or a row says
 * @throws ContentError `manifest-invalid`
 *
 * Source: docker image manifest v2 schema 1, "Signed manifests"; libtrust, `jsonsign.go`.
 */
export function checkSchema1(manifest: UntrustedSchema1Manifest, declared: string | undefined): void {
  const claimed = claimedMediaType(declared);
  if (claimed !== undefined && claimed !== manifest.mediaType) {
    throw invalid(`the manifest is said to be ${claimed.slice(0, 100)}, and is ${manifest.mediaType}`);
  }
  const { layers, history } = manifest;
  if (layers.length === 0) throw invalid("the manifest has no fsLayers");
  if (history.length !== layers.length)
    throw invalid(`the manifest has ${layers.length} fsLayers, and a history of ${history.length}`);
  if (history.includes("")) throw invalid("an entry of the manifest's history lacks v1Compatibility");
  checkWebSignatures(manifest);
}

function checkWebSignatures(manifest: UntrustedSchema1Manifest): void {
  const besides = manifest.raw.length - manifest.payload.length;
  if (besides > MAX_SIGNATURES_BYTES)
    throw invalid(`the manifest's signatures have ${besides} bytes, and may have ${MAX_SIGNATURES_BYTES}`);
  const signatures = readSignatures(manifest);
  if (signatures.length > MAX_CHECKED_SIGNATURES)
    throw invalid(`the manifest has ${signatures.length} signatures, and may have ${MAX_CHECKED_SIGNATURES}`);
  if (signatures.length === 0) return;
  const { buffer, byteOffset, byteLength } = manifest.payload;
  // Bytes, since a text would be encoded anew for each signature.
  const payload = Buffer.from(Buffer.from(buffer, byteOffset, byteLength).toString("base64url"), "latin1");
  for (const [index, signature] of signatures.entries()) {
    if (!verifies(signature, payload)) throw invalid(`signatures[${index}] of the manifest does not verify`);
  }
}

function readSignatures(manifest: UntrustedSchema1Manifest): readonly UntrustedWebSignature[] {
  try {
    return readWebSignatures(manifest);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw invalid(error.message);
  }
}

/** @param payload in base64url */
function verifies({ algorithm, key, protectedText, signature }: UntrustedWebSignature, payload: Uint8Array): boolean {
  const known = algorithm === undefined ? undefined : algorithms.get(algorithm);
  const opened = known === undefined || key === undefined ? undefined : openKey(key);
  if (known === undefined || opened === undefined) return false;
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = opened;
  const fits =
    known.curve === undefined
      ? type === "rsa" && (details?.modulusLength ?? Infinity) <= MAX_RSA_BITS && hasShortExponent(details)
      : type === "ec" && details?.namedCurve === known.curve;
  if (!fits) return false;
  const verifier = createVerify(known.hash).update(protectedText).update(".").update(payload);
  try {
    return verifier.verify({ key: opened, dsaEncoding: "ieee-p1363" }, signature);
  } catch {
    // Of a signature that cannot have been made by such a key, as by its length.
    return false;
  }
}

function hasShortExponent(details: KeyObject["asymmetricKeyDetails"]): boolean {
  return (details?.publicExponent ?? Infinity) < 2n ** BigInt(MAX_EXPONENT_BYTES * 8);
}

/** Bytes of a coordinate on the curves; libtrust takes no shorter one. */
const coordinateBytes: ReadonlyMap<string, number> = new Map([
  ["P-256", 32],
  ["P-384", 48],
  ["P-521", 66],
]);

/** The key; undefined for one that is none, or is not the one that its id names. */
function openKey(key: UntrustedWebKey): KeyObject | undefined {
  try {
    // The chain of a certificate, its names and dates mean nothing here.
    if (key.kind === "certificate") return new X509Certificate(key.der).publicKey;
    const { kid, kind, ...members } = key;
    if (key.kind === "ec") {
      const size = coordinateBytes.get(key.crv);
      if ([key.x, key.y].some((text) => Buffer.from(text, "base64url").length !== size)) return undefined;
    }
    const opened = createPublicKey({ key: { kty: kind.toUpperCase(), ...members }, format: "jwk" });
    return kid === undefined || kid === keyIdOf(opened) ? opened : undefined;
  } catch {
    // What node says of keys that are none is nothing to a client.
    return undefined;
  }
}

/** libtrust's id: the first 240 bits of a hash over the key, in base32 by fours. */
function keyIdOf(key: KeyObject): string {
  const hash = createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest();
  const bits = [...hash.subarray(0, 30)].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letters = bits.replaceAll(/.{5}/g, (five) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[Number.parseInt(five, 2)]!);
  return letters.match(/.{4}/g)!.join(":");
}

function invalid(problem: string): ContentError {
  return new ContentError("manifest-invalid", problem);
}
