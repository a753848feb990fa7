/** The cleartext signature framework: text that stays readable, then an armored signature. RFC 9580 section 7. */
import { OpenPgpFault } from "./fault.ts";

const BEGIN_MESSAGE = "-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE = "-----BEGIN PGP SIGNATURE-----";

/** Octets of the whole document; lists of checksums have a few thousand. */
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;

/** The parts of a cleartext document. */
export interface CleartextParts {
  /** What is signed: lines without escaping dashes and without blanks at their ends, CR LF between them and none behind the last. */
  readonly content: Uint8Array;
  /** The armored signature, from its header to the end of the document. */
  readonly signatureArmor: Uint8Array;
}

/**
 * Takes a cleartext document apart. Only what is signed is handed out: text before the header line, headers other than `Hash`, and text behind the signature are
 * refused, since a person would read them as signed.
 * @throws OpenPgpFault `cleartext-malformed`, `message-too-large`
 */
export function findCleartext(bytes: Uint8Array): CleartextParts {
  if (bytes.length > MAX_DOCUMENT_BYTES)
    throw new OpenPgpFault("message-too-large", `the document has more than ${MAX_DOCUMENT_BYTES} octets`);
  // One character for each octet, so that the way back is exact.
  const lines = new TextDecoder("latin1").decode(bytes).split("\n");
  if (trimBlanks(lines[0]!) !== BEGIN_MESSAGE) throw malformed("something stands before its first line");
  const blank = lines.findIndex((line, index) => index > 0 && trimBlanks(line) === "");
  if (blank < 0) throw malformed("no empty line stands before its text");
  for (const header of lines.slice(1, blank)) {
    if (!/^Hash: [A-Za-z0-9, -]+$/.test(trimBlanks(header))) throw malformed("it has a header other than Hash");
  }
  const end = lines.findIndex((line, index) => index > blank && trimBlanks(line) === BEGIN_SIGNATURE);
  if (end < 0) throw malformed("its signature is missing");
  const text = lines
    .slice(blank + 1, end)
    .map(unescape)
    .map(trimBlanks)
    .join("\r\n");
  const armor = lines.slice(end);
  checkEnd(armor);
  return { content: encodeLatin1(text), signatureArmor: encodeLatin1(armor.join("\n")) };
}

function unescape(line: string): string {
  if (line.startsWith("- ")) return line.slice(2);
  if (line.startsWith("-")) throw malformed("a line begins with a dash that is not escaped");
  return line;
}

/** Nothing but empty lines follows the signature. */
function checkEnd(armor: readonly string[]): void {
  const end = armor.findIndex((line) => line.startsWith("-----END PGP SIGNATURE-----"));
  if (end >= 0 && armor.slice(end + 1).some((line) => trimBlanks(line) !== ""))
    throw malformed("something stands behind its signature");
}

/** Without the blanks, tabs and carriage returns at its end; by hand, since a pattern would take quadratic time on hostile lines. */
function trimBlanks(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === " " || line[end - 1] === "\t" || line[end - 1] === "\r")) end--;
  return line.slice(0, end);
}

function encodeLatin1(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function malformed(problem: string): OpenPgpFault {
  return new OpenPgpFault("cleartext-malformed", `a cleartext document: ${problem}`);
}
