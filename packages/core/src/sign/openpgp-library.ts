/** openpgp.js as Signet uses it: for secret keys only. It never judges a signature. */
import type * as OpenPgp from "openpgp";
import type { Config, PacketList, SecretKeyPacket, SecretSubkeyPacket, SignaturePacket } from "openpgp";
import { concatBytes } from "../bytes/concat.ts";

/** The library's module. */
export type OpenPgpLibrary = typeof OpenPgp;

/** A secret primary key or subkey in the library's form. */
export type SecretPacket = SecretKeyPacket | SecretSubkeyPacket;

/** Loads the library, which is large, when the first secret key is opened or made, and not before. */
export async function loadOpenPgp(): Promise<OpenPgpLibrary> {
  return await import("openpgp");
}

/**
 * The library's settings, apart from its defaults: no random notation in signatures, which readers of simple signing would have to look at; secret keys protected in the
 * form that GnuPG 2.2 reads; no version and comment lines in armor.
 */
export function libraryConfig(library: OpenPgpLibrary): Config {
  return {
    ...library.config,
    nonDeterministicSignaturesViaNotation: false,
    aeadProtect: false,
    v6Keys: false,
    showVersion: false,
    showComment: false,
    preferredHashAlgorithm: library.enums.hash.sha512,
  };
}

/** What of the library's packets works and is missing in its types. */
interface SigningPacket {
  sign(key: SecretPacket, data: unknown, date: Date, detached: boolean, config: Config): Promise<void>;
}
interface LiteralPacket {
  setBytes(bytes: Uint8Array, format: number): void;
}
interface OnePassPackets {
  fromSignaturePacket(signature: SignaturePacket, isLast: boolean): PacketList<SignaturePacket>[number];
}

/**
 * Makes a signed message: one-pass signature, literal data, signature; binary, not compressed, all with packet headers of the new format.
 * @param created signature time, milliseconds since 1970 UTC, rounded down to seconds
 */
export async function signMessage(
  library: OpenPgpLibrary,
  key: SecretPacket,
  content: Uint8Array,
  created: number,
): Promise<Uint8Array> {
  const { enums } = library;
  const date = new Date(Math.floor(created / 1000) * 1000);
  const literal = new library.LiteralDataPacket();
  const literalPacket = literal as unknown as LiteralPacket & { date: Date };
  literalPacket.date = date;
  literalPacket.setBytes(content, enums.literal.binary);
  const signature = new library.SignaturePacket();
  signature.signatureType = enums.signature.binary;
  signature.publicKeyAlgorithm = key.algorithm;
  signature.hashAlgorithm = hashFor(library, key);
  await (signature as unknown as SigningPacket).sign(key, literal, date, false, libraryConfig(library));
  const onePass = (library.OnePassSignaturePacket as unknown as OnePassPackets).fromSignaturePacket(signature, true);
  const parts = [onePass, literal, signature].map((packet) => {
    const list = new library.PacketList<typeof packet>();
    list.push(packet);
    return list.write();
  });
  return concatBytes(parts);
}

/** SHA-512, except for the smaller ECDSA curves, where a digest is cut to the size of the curve anyway. */
function hashFor(library: OpenPgpLibrary, key: SecretPacket): OpenPgp.enums.hash {
  const { hash } = library.enums;
  const curve = key.getAlgorithmInfo().curve ?? "";
  if (curve === "nistP256" || curve === "brainpoolP256r1") return hash.sha256;
  if (curve === "nistP384" || curve === "brainpoolP384r1") return hash.sha384;
  return hash.sha512;
}
