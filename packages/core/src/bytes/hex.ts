const digits = "0123456789abcdef";
const pairs: readonly string[] = Array.from({ length: 256 }, (_, byte) => digits[byte >> 4]! + digits[byte & 15]!);

/** Lower-case hex of `bytes`, two digits an octet. */
export function encodeHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += pairs[byte];
  return text;
}

/** Upper-case hex of `bytes`, as OpenPGP fingerprints are written. */
export function encodeHexUpper(bytes: Uint8Array): string {
  return encodeHex(bytes).toUpperCase();
}
