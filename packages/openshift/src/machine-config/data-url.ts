/** The content of files as data URLs: the form that Butane chooses, and what the machine-config operator reads (RFC 2397). */
import { gunzipSync } from "node:zlib";
import { FormatError, decodeBase64, encodeBase64 } from "@signet/core";
import { gzipAsGo } from "./go-gzip/go-gzip.ts";

/** Bytes of one file's content, after decompression. The object that holds it has at most 1.5 MiB, and trust files are small; this leaves room for what compresses well. */
export const MAX_FILE_BYTES: number = 4 * 1024 * 1024;

/** `contents` of a file in an Ignition document. */
export interface IgnitionContents {
  readonly compression?: string;
  readonly source?: string;
  readonly verification?: { readonly hash: string };
}

/**
 * The shortest of percent-encoding, base64, and base64 of the gzipped content, as Butane chooses: earlier ones win, and compression must also save the four octets of
 * its own name.
 *
 * @param compression what the configuration says the content is compressed with; then, and without `compresses`, it is not compressed
 * @param compresses false for versions before 4.10
 */
export function makeContents(
  content: Uint8Array,
  compression: string | undefined,
  compresses: boolean,
): Required<Pick<IgnitionContents, "compression" | "source">> {
  const isCompressed = compression !== undefined && compression !== "";
  const encoded = `;base64,${encodeBase64(content)}`;
  const best = escapeShorterThan(content, encoded.length) ?? encoded;
  if (isCompressed) return { compression, source: `data:${best}` };
  if (!compresses) return { compression: "", source: `data:${best}` };
  const zipped = `;base64,${encodeBase64(gzipAsGo(content))}`;
  if (zipped.length + "gzip".length < best.length) return { compression: "gzip", source: `data:${zipped}` };
  return { compression: "", source: `data:${best}` };
}

/** `,` and the content percent-encoded; undefined when that is longer than `most`. */
function escapeShorterThan(content: Uint8Array, most: number): string | undefined {
  let text = ",";
  for (const octet of content) {
    const character = String.fromCharCode(octet);
    text += /[A-Za-z0-9\-_.!~*'()]/.test(character)
      ? character
      : `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
    if (text.length > most) return undefined;
  }
  return text;
}

/**
 * The octets that a file gets on a node. Without a source it is empty.
 * @param place for messages
 * @throws FormatError `machineconfig-malformed` for other URLs than data URLs, for what cannot be decoded, and for compression other than gzip; `input-too-large`
 */
export function decodeContents(contents: IgnitionContents | undefined, place: string): Uint8Array {
  const { source, compression } = contents ?? {};
  const bytes = source === undefined ? new Uint8Array(0) : decodeDataUrl(source, place);
  if (compression === undefined || compression === "") return bytes;
  if (compression !== "gzip") throw malformed(place, `compression ${JSON.stringify(compression)} is not known`);
  try {
    return new Uint8Array(gunzipSync(bytes, { maxOutputLength: MAX_FILE_BYTES }));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE")
      throw new FormatError("input-too-large", `${place}: more than ${MAX_FILE_BYTES} bytes after decompression`);
    throw malformed(place, "the content is not gzip", cause);
  }
}

/** Media type and parameters mean nothing here; `;base64` stands last. */
const dataUrlForm = /^data:(?<head>[^,]*),(?<body>.*)$/s;

function decodeDataUrl(url: string, place: string): Uint8Array {
  const { head, body } = dataUrlForm.exec(url)?.groups ?? {};
  if (head === undefined || body === undefined) {
    const scheme = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/.exec(url)?.[0];
    throw malformed(place, scheme === "data" ? "a data URL without a comma" : "the source is no data URL");
  }
  const octets = unescape(body, place);
  const bytes = head.endsWith(";base64") ? decode(octets, place) : octets;
  if (bytes.length > MAX_FILE_BYTES)
    throw new FormatError("input-too-large", `${place}: ${bytes.length} bytes, the limit is ${MAX_FILE_BYTES}`);
  return bytes;
}

function decode(octets: Uint8Array, place: string): Uint8Array {
  try {
    return decodeBase64(new TextDecoder("latin1").decode(octets));
  } catch (cause) {
    throw malformed(place, "the data URL is not base64", cause);
  }
}

function unescape(text: string, place: string): Uint8Array {
  if (!/^[\x21-\x7e]*$/.test(text)) throw malformed(place, "a data URL holds characters that must be escaped");
  const octets = new Uint8Array(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== "%") {
      octets[length++] = text.charCodeAt(at);
      continue;
    }
    const digits = text.slice(at + 1, at + 3);
    if (!/^[0-9A-Fa-f]{2}$/.test(digits)) throw malformed(place, "a data URL with an escape that is none");
    octets[length++] = Number.parseInt(digits, 16);
    at += 2;
  }
  return octets.subarray(0, length);
}

function malformed(place: string, problem: string, cause?: unknown): FormatError {
  return new FormatError("machineconfig-malformed", `${place}: ${problem}`, { cause });
}
