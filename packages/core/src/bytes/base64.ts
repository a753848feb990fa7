import { FormatError } from "../errors.ts";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const values = new Uint8Array(128).fill(255);
for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i;

/**
 * Standard, padded base64 (RFC 4648 section 4), as Go's StdEncoding reads it: CR and LF anywhere are passed over; the URL-safe alphabet, missing
 * padding and anything after the padding are refused. Trailing bits under the padding are not checked, as there.
 * @throws FormatError `base64-malformed` with the offset in `text`
 */
export function decodeBase64(text: string): Uint8Array {
  const out = new Uint8Array(Math.floor(text.length / 4) * 3 + 3);
  let length = 0;
  let group = 0;
  let count = 0;
  let padding = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 10 || code === 13) continue;
    if (code === 61) {
      if (count < 2 || count + padding >= 4) throw malformed(i);
      padding++;
      continue;
    }
    const value = code < 128 ? values[code]! : 255;
    if (value === 255 || padding > 0) throw malformed(i);
    group = (group << 6) | value;
    count++;
    if (count === 4) {
      out[length++] = group >> 16;
      out[length++] = (group >> 8) & 255;
      out[length++] = group & 255;
      group = 0;
      count = 0;
    }
  }
  if (count > 0) {
    if (count + padding !== 4) throw malformed(text.length);
    out[length++] = count === 2 ? group >> 4 : group >> 10;
    if (count === 3) out[length++] = (group >> 2) & 255;
  } else if (padding > 0) throw malformed(text.length);
  return out.subarray(0, length);
}

function malformed(offset: number): FormatError {
  return new FormatError("base64-malformed", `illegal base64 data at offset ${offset}`, { offset });
}

/** Standard, padded base64 without line breaks. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const group = (bytes[i]! << 16) | ((left > 1 ? bytes[i + 1]! : 0) << 8) | (left > 2 ? bytes[i + 2]! : 0);
    text += alphabet[group >> 18]! + alphabet[(group >> 12) & 63]!;
    text += left > 1 ? alphabet[(group >> 6) & 63]! : "=";
    text += left > 2 ? alphabet[group & 63]! : "=";
  }
  return text;
}
