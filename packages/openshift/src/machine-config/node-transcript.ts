/**
 * Files of a node as text, for `oc debug`, which gives no more than what a command prints: a shell script for the node, and the reader of what it prints. Lines that others
 * print in between (`Starting pod/…`) are passed over; what is cut off is noticed.
 */
import { FormatError, decodeBase64 } from "@signet/core";
import { MAX_FILE_BYTES } from "./data-url.ts";
import { type ActualFile, type ActualFiles, foldersConcerned } from "./node-check.ts";
import type { UntrustedNodeFile } from "./node-file.ts";

/** Bytes of a transcript. */
export const MAX_TRANSCRIPT_BYTES: number = 64 * 1024 * 1024;

/** Begin the lines that count. */
const FILE = "signet-file";
const MISSING = "signet-missing";
const OTHER = "signet-other";
const END = "signet-end";
const DONE = "signet-done";

/** A line of such output. */
export const TRANSCRIPT_LINE: RegExp = /^signet-(?:file|missing|other|end|done)\b/m;

/** A script for `sh` on the node, whose output {@link parseNodeTranscript} reads. It changes nothing. */
export function writeNodeScript(wanted: readonly Pick<UntrustedNodeFile, "path">[]): string {
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const paths = wanted.map(({ path }) => quote(path));
  const folders = foldersConcerned(wanted).map((folder) => `${quote(folder)}/*`);
  return [
    `for f in ${[...paths, ...folders].join(" ")}; do`,
    `if [ -L "$f" ]; then echo "${OTHER} link $f";`,
    `elif [ -f "$f" ]; then stat -c '${FILE} %a %u %g %s %n' "$f" && base64 "$f" && echo ${END};`,
    `elif [ -e "$f" ]; then echo "${OTHER} other $f";`,
    `else echo "${MISSING} $f"; fi; done; echo ${DONE}`,
  ].join(" ");
}

/**
 * @param source the file's name, for messages
 * @throws FormatError `node-transcript-malformed` for output that is cut off, contradicts itself, or does not speak of every wanted file; `input-too-large`
 */
export function parseNodeTranscript(
  bytes: Uint8Array,
  wanted: readonly Pick<UntrustedNodeFile, "path">[],
  source: string,
): ActualFiles {
  const found = new Map<string, ActualFile | undefined>();
  const malformed = (line: number, problem: string, cause?: unknown): FormatError =>
    new FormatError("node-transcript-malformed", `${source}:${line}: ${problem}`, {
      cause,
      hint: "collect it again, with the script that `signet machineconfig verify --script` prints",
    });
  // A terminal in between ends lines with CR LF.
  const lines = new TextDecoder().decode(bytes).split(/\r*\n/);
  const add = (path: string, file: ActualFile | undefined, line: number): void => {
    const isTwice = found.has(path) && JSON.stringify(describe(found.get(path))) !== JSON.stringify(describe(file));
    if (isTwice) throw malformed(line, `two things are said of ${path}`);
    found.set(path, file);
  };
  let isDone = false;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    const number = at + 1;
    if (line === DONE) isDone = true;
    else if (line.startsWith(`${MISSING} `)) add(line.slice(MISSING.length + 1), undefined, number);
    else if (line.startsWith(`${OTHER} `)) {
      const [, what, path] = /^\S+ (\S+) (.*)$/.exec(line) ?? [];
      add(path ?? "", { kind: "other", what: what === "link" ? "a link" : "something else" }, number);
    } else if (line.startsWith(`${FILE} `)) {
      const head = /^\S+ ([0-7]{1,4}) (\d{1,10}) (\d{1,10}) (\d{1,10}) (\/.*)$/.exec(line);
      if (head === null) throw malformed(number, "the line does not describe a file");
      const end = lines.indexOf(END, at + 1);
      if (end < 0) throw malformed(number, "the output ends within a file");
      const [, mode, uid, gid, size, path] = head;
      let content: Uint8Array;
      try {
        content = decodeBase64(lines.slice(at + 1, end).join(""));
      } catch (cause) {
        throw malformed(number, `${path}: the content is not base64`, cause);
      }
      if (content.length !== Number(size))
        throw malformed(number, `${path}: ${content.length} of ${size} bytes are there`);
      if (content.length > MAX_FILE_BYTES)
        throw new FormatError("input-too-large", `${path}: more than ${MAX_FILE_BYTES} bytes`);
      const file = { content, mode: Number.parseInt(mode!, 8), uid: Number(uid), gid: Number(gid) };
      add(path!, { kind: "file", ...file }, number);
      at = end;
    }
  }
  if (!isDone) throw malformed(lines.length, "the output is cut off, or no output of the script");
  const unknown = wanted.find(({ path }) => !found.has(path));
  if (unknown !== undefined) throw malformed(lines.length, `nothing is said of ${unknown.path}`);
  return {
    find: (path) => found.get(path),
    list: (folder) => {
      const inside = [...found].filter(([path, file]) => {
        return file !== undefined && path.slice(0, path.lastIndexOf("/")) === folder && !isOtherThing(file);
      });
      return inside.map(([path]) => path.slice(folder.length + 1));
    },
  };
}

function isOtherThing(file: ActualFile): boolean {
  return file.kind === "other" && file.what !== "a link";
}

function describe(file: ActualFile | undefined): unknown {
  return file?.kind === "file" ? { ...file, content: Buffer.from(file.content).toString("base64") } : (file ?? null);
}
