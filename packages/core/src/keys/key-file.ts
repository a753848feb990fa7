/** Files of OpenPGP keys as such, before anything in them is trusted. */
import { concatBytes } from "../bytes/concat.ts";
import { MAX_KEYRING_BYTES } from "../bytes/limits.ts";
import { FormatError } from "../errors.ts";
import { readArmorBlocks } from "../formats/openpgp/armor.ts";
import { OpenPgpFault } from "../formats/openpgp/fault.ts";
import { readPacket, tags } from "../formats/openpgp/packet.ts";

/**
 * True when a secret key stands anywhere in a key file, binary or armored, readable or not: such a file must not be handed out in place of a public one.
 * Reading ends where the packets do.
 */
export function holdsSecretKey(bytes: Uint8Array): boolean {
  if (isBinary(bytes)) return holdsSecretPacket(bytes);
  return readArmorBlocks(bytes).some(
    ({ type, bytes: content }) => type === "PRIVATE KEY BLOCK" || (content !== undefined && holdsSecretPacket(content)),
  );
}

/**
 * Several key files as one binary keyring, which is what one `keyData` can hold. Text around armored blocks is left out.
 * @throws FormatError `key-malformed` for a damaged armored block, and for a file without any; `input-too-large`
 */
export function joinKeyFiles(files: readonly Uint8Array[]): Uint8Array {
  const parts = files.flatMap((bytes) => (isBinary(bytes) ? [bytes] : readKeyBlocks(bytes)));
  const joined = concatBytes(parts);
  if (joined.length <= MAX_KEYRING_BYTES) return joined;
  throw new FormatError("input-too-large", `the keys together have more than ${MAX_KEYRING_BYTES} bytes`);
}

function readKeyBlocks(text: Uint8Array): Uint8Array[] {
  const blocks = readArmorBlocks(text).filter(({ type }) => type === "PUBLIC KEY BLOCK");
  if (blocks.length === 0) throw new FormatError("key-malformed", "there is no OpenPGP public key block in it");
  return blocks.map(({ bytes, line, problem }) => {
    if (bytes !== undefined) return bytes;
    throw new FormatError("key-malformed", `the armored block at line ${line} is damaged: ${problem}`);
  });
}

function holdsSecretPacket(bytes: Uint8Array): boolean {
  try {
    for (let at = 0; at < bytes.length;) {
      const packet = readPacket(bytes, at);
      if (packet.tag === tags.secretKey || packet.tag === tags.secretSubkey) return true;
      at = packet.end;
    }
  } catch (error) {
    if (!(error instanceof OpenPgpFault)) throw error;
  }
  return false;
}

/** The first octet of a packet has its highest bit set; no text of ours has. */
function isBinary(bytes: Uint8Array): boolean {
  return (bytes[0] ?? 0) >= 0x80;
}
