/** Single files of a node as `oc debug node/NAME -- chroot /host cat FILE` prints them, the way that OpenShift's documentation looks at them. */
import { FormatError, StoreError } from "@signet/core";
import { MAX_FILE_BYTES } from "./data-url.ts";
import type { ActualFile, ActualFiles } from "./node-check.ts";
import { TRANSCRIPT_LINE } from "./node-transcript.ts";

/** What oc says of itself before the file, in this order. */
const openings: readonly RegExp[] = [
  /^Temporary namespace \S+ is created for debugging node\S*\.{3}\r?\n/,
  /^Starting pod\/\S+ \.{3}\r?\n/,
  /^To use host binaries, run `chroot \/host`[^\n]*\n/,
];

/** And behind it, the last first. */
const endings: readonly RegExp[] = [
  /Temporary namespace \S+ was removed\.\r?\n?$/,
  /\r?\n?Removing debug pod \.{3}\r?\n?$/,
];

/** True for output of the script that {@link writeNodeScript} makes, whole or not. */
export function isNodeTranscript(bytes: Uint8Array): boolean {
  return TRANSCRIPT_LINE.test(new TextDecoder("latin1").decode(bytes));
}

/**
 * Reads what was printed of one file. Mode and owner of the file are not known from it.
 *
 * @param path of the file on the node
 * @param source the printout's name, for messages
 * @returns undefined when the node has no such file
 * @throws FormatError `node-transcript-malformed` for output without a file: nothing at all, or an error of oc or of the node; `input-too-large`
 */
export function parseNodePrintout(bytes: Uint8Array, path: string, source: string): ActualFile | undefined {
  // Octet by octet, so that files that are no text stay as they are.
  let text = new TextDecoder("latin1").decode(bytes);
  for (const opening of openings) text = text.replace(opening, "");
  for (const ending of endings) text = text.replace(ending, "");
  const said = text.trim();
  if (said === `cat: ${path}: No such file or directory` || said === `cat: '${path}': No such file or directory`)
    return undefined;
  if (said === "" || /^(?:error:|Error from server|cat:|chroot:|Unable to connect)/.test(said))
    throw new FormatError(
      "node-transcript-malformed",
      `${source}: ${said === "" ? "nothing was printed" : said.split("\n")[0]!.slice(0, 300)}`,
      { hint: `collect it again: oc debug node/NAME -- chroot /host cat ${path}` },
    );
  if (text.length > MAX_FILE_BYTES)
    throw new FormatError("input-too-large", `${source}: more than ${MAX_FILE_BYTES} bytes`);
  const content = Uint8Array.from(Buffer.from(text, "latin1"));
  return { kind: "file", content, mode: undefined, uid: undefined, gid: undefined };
}

/**
 * Files that were printed one by one. What was not printed is `unknown`.
 * @param printed by path
 */
export function printedFiles(printed: ReadonlyMap<string, ActualFile | undefined>): ActualFiles {
  return {
    find(path) {
      if (printed.has(path)) return printed.get(path);
      const error = new StoreError("file-missing", `${path} was not printed`, { side: "local" });
      return { kind: "unknown", error };
    },
    list: () => [],
  };
}
