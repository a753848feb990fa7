/**
 * YAML with the bytes that gopkg.in/yaml.v3 writes for a JSON document, as Butane has it: members in natural order, two blanks of indentation, nothing folded, and quotes
 * only where that library puts them.
 *
 * Not written: texts over several lines. Nothing in a MachineConfig has them; the reader of Butane files refuses control characters.
 */
import { InternalError } from "@signet/core";

/** A JSON value; a member that is undefined is not there. */
export type JsonValue = string | number | boolean | readonly JsonValue[] | JsonMembers;

export interface JsonMembers {
  readonly [name: string]: JsonValue | undefined;
}

/** Octets of the longest name that stands before its colon; of a longer one the value stands on its own line. */
const MAX_SIMPLE_KEY_BYTES = 128;

/** @returns lines, the last one with its line end */
export function writeGoYaml(document: JsonMembers): string {
  return `${writeMembers(document, "").join("\n")}\n`;
}

function writeMembers(members: JsonMembers, indent: string): readonly string[] {
  const names = Object.keys(members).filter((name) => members[name] !== undefined);
  return names.toSorted(compareNaturally).flatMap((name) => writeMember(name, members[name]!, indent));
}

function writeMember(name: string, value: JsonValue, indent: string): readonly string[] {
  const key = writeText(name, true);
  const inner = `${indent}  `;
  const isLong = Buffer.byteLength(name) > MAX_SIMPLE_KEY_BYTES;
  const head = isLong ? `${indent}? ${key}\n${indent}:` : `${indent}${key}:`;
  if (isList(value)) {
    if (value.length === 0) return [`${head} []`];
    return [head, ...value.flatMap((item) => writeItem(item, inner))];
  }
  if (typeof value !== "object") return [`${head} ${writeScalar(value)}`];
  const lines = writeMembers(value, inner);
  return lines.length === 0 ? [`${head} {}`] : [head, ...lines];
}

function writeItem(item: JsonValue, indent: string): readonly string[] {
  if (isList(item)) throw new InternalError("lists in lists are not written");
  if (typeof item !== "object") return [`${indent}- ${writeScalar(item)}`];
  const [first, ...rest] = writeMembers(item, `${indent}  `);
  return first === undefined ? [`${indent}- {}`] : [`${indent}- ${first.trimStart()}`, ...rest];
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function writeScalar(value: string | number | boolean): string {
  return typeof value === "string" ? writeText(value, false) : String(value);
}

/** @param isKey an empty text is quoted differently there */
function writeText(text: string, isKey: boolean): string {
  if (text.includes("\n")) throw new InternalError("texts over several lines are not written");
  if (isMistakable(text)) return quoteDouble(text);
  if (text === "") return isKey ? "''" : '""';
  const form = analyse(text);
  if (form === "plain") return text;
  return form === "single" ? `'${text.replaceAll("'", "''")}'` : quoteDouble(text);
}

/** Words that YAML 1.1 readers take for true or false. */
const oldBooleans: ReadonlySet<string> = new Set(
  "y Y yes Yes YES on On ON n N no No NO off Off OFF".split(" ").concat("true True TRUE false False FALSE".split(" ")),
);
const nulls: ReadonlySet<string> = new Set(["", "~", "null", "Null", "NULL"]);

/** True: without quotes this would be read as something else than text. */
function isMistakable(text: string): boolean {
  if (oldBooleans.has(text) || nulls.has(text)) return true;
  if (/^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$/.test(text)) return true;
  // Numbers in base 60, as YAML 1.1 has them.
  if (/^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/.test(text)) return true;
  if (text.startsWith(".")) return /^\.[0-9]+(?:[eE][-+]?[0-9]+)?$/.test(text) && Number.isFinite(Number(text));
  return /^[-+0-9]/.test(text) && (isNumber(text.replaceAll("_", "")) || isTimestamp(text));
}

function isNumber(text: string): boolean {
  // What does not fit a float of 64 bits is a text; whole numbers that do not fit 64 bits are floats.
  if (/^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/.test(text)) return Number.isFinite(Number(text));
  const based = /^([-+]?)(0[oO][0-7]+|0[xX][0-9a-fA-F]+|0[bB][01]+)$/.exec(text);
  if (based === null) return false;
  const value = BigInt(based[2]!);
  return value <= (based[1] === "" ? 2n ** 64n - 1n : based[1] === "-" ? 2n ** 63n : 2n ** 63n - 1n);
}

/** The forms that the library reads as points in time; a day or an hour that does not exist makes it a text. */
function isTimestamp(text: string): boolean {
  const form =
    /^\d{4}-(\d{1,2})-(\d{1,2})(?:(?:([Tt])| )(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(Z|[-+]\d\d:\d\d)?)?$/.exec(
      text,
    );
  if (form === null) return false;
  const [, month, day, mark, hour, minute, second, zone] = form;
  if (hour !== undefined && (mark === undefined) !== (zone === undefined)) return false;
  const date = new Date(`${text.slice(0, 4)}-${month!.padStart(2, "0")}-${day!.padStart(2, "0")}T00:00:00Z`);
  const exists = date.getUTCMonth() + 1 === Number(month) && date.getUTCDate() === Number(day);
  return exists && (hour === undefined || (Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60));
}

/** What may stand without quotes. After libyaml's emitter, for one line outside of brackets. */
function analyse(text: string): "plain" | "single" | "double" {
  // Tabs, control characters, and those beyond the first plane, which the library does not count as printable.
  if (/[^\u0020-\u007e\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/.test(text)) return "double";
  // The separators are line breaks, but printable.
  if (/[\u2028\u2029]/.test(text)) return / [\u2028\u2029]|[\u2028\u2029] /.test(text) ? "double" : "single";
  if (/^ | $/.test(text) || /^(?:---|\.\.\.)/.test(text)) return "single";
  if (/^[#,[\]{}&*!|>'"%@`]/.test(text) || /^[-?:](?: |$)/.test(text)) return "single";
  return /:(?: |$)| #/.test(text) ? "single" : "plain";
}

const escapes: Readonly<Record<string, string>> = {
  "\0": "0",
  "\x07": "a",
  "\b": "b",
  "\t": "t",
  "\v": "v",
  "\f": "f",
  "\r": "r",
  "\x1b": "e",
  '"': '"',
  "\\": "\\",
  "\x85": "N",
  "\u2028": "L",
  "\u2029": "P",
};

function quoteDouble(text: string): string {
  const quoted = text.replaceAll(
    /[^\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]|["\\]/gu,
    (character) => {
      const short = escapes[character];
      if (short !== undefined) return `\\${short}`;
      const code = character.codePointAt(0)!;
      const [letter, width] =
        code <= 0xff ? (["x", 2] as const) : code <= 0xffff ? (["u", 4] as const) : (["U", 8] as const);
      return `\\${letter}${code.toString(16).toUpperCase().padStart(width, "0")}`;
    },
  );
  return `"${quoted}"`;
}

/** The library's order of names: numbers inside them by their value, letters before or behind the rest as what stands before them has it. */
function compareNaturally(left: string, right: string): number {
  const a = Array.from(left);
  const b = Array.from(right);
  let isDigitBefore = false;
  for (let at = 0; at < a.length && at < b.length; at++) {
    const [x, y] = [a[at]!, b[at]!];
    if (x === y) {
      isDigitBefore = isDigit(x);
      continue;
    }
    if (isLetter(x) && isLetter(y)) return x.codePointAt(0)! - y.codePointAt(0)!;
    if (isLetter(x) || isLetter(y)) return isLetter(x) === isDigitBefore ? -1 : 1;
    const stand = (x === "0" || y === "0") && hasNonZeroDigitBefore(a, at) ? 1n : 0n;
    const first = numberAt(a, at, stand);
    const second = numberAt(b, at, stand);
    if (first.value !== second.value) return first.value < second.value ? -1 : 1;
    if (first.end !== second.end) return first.end - second.end;
    return x.codePointAt(0)! - y.codePointAt(0)!;
  }
  return a.length - b.length;
}

function hasNonZeroDigitBefore(text: readonly string[], at: number): boolean {
  for (let index = at - 1; index >= 0 && isDigit(text[index]!); index--) if (text[index] !== "0") return true;
  return false;
}

function numberAt(
  text: readonly string[],
  at: number,
  stand: bigint,
): { readonly value: bigint; readonly end: number } {
  let value = stand;
  let end = at;
  for (; end < text.length && isDigit(text[end]!); end++)
    value = BigInt.asIntN(64, value * 10n + BigInt(text[end]!.codePointAt(0)! - 0x30));
  return { value, end };
}

function isDigit(character: string): boolean {
  return /^\p{Nd}$/u.test(character);
}

function isLetter(character: string): boolean {
  return /^\p{L}$/u.test(character);
}
