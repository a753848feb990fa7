import { encodeBase64 } from "../bytes/base64.ts";
import { crc24 } from "../formats/openpgp/armor.ts";

/** Characters of base64 in a line, as gpg writes it. */
const LINE_LENGTH = 64;

/**
 * Armors a certificate, such as `Certificate.raw`, with the checksum that older readers want. RFC 4880 section 6.2.
 * @param publicPackets public packets only; nothing is taken out
 */
export function writeArmoredPublicKey(publicPackets: Uint8Array): string {
  const base64 = encodeBase64(publicPackets);
  const lines: string[] = [];
  for (let at = 0; at < base64.length; at += LINE_LENGTH) lines.push(base64.slice(at, at + LINE_LENGTH));
  const crc = crc24(publicPackets);
  const checksum = encodeBase64(Uint8Array.of(crc >> 16, (crc >> 8) & 255, crc & 255));
  const begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
  const end = "-----END PGP PUBLIC KEY BLOCK-----";
  return `${[begin, "", ...lines, `=${checksum}`, end].join("\n")}\n`;
}
