/** `.indexignore`: which files of a catalog's folder its readers pass over, in the syntax of gitignore(5). */
import { FormatError } from "@signet/core";
import { catalogMalformed } from "./document-stream.ts";

/** The file's name, in any folder of a catalog. */
export const INDEX_IGNORE = ".indexignore";

/** Bytes of one such file. */
export const MAX_INDEX_IGNORE_BYTES: number = 64 * 1024;

/** Characters of one pattern: the longest that can name a file. */
const MAX_PATTERN_LENGTH = 1_024;

/** Steps that all comparisons of one catalog may take, each a few tens of nanoseconds; a thousand files and a hundred patterns need some ten million. */
const MAX_STEPS = 20_000_000;

/** One line of such a file. */
interface Rule {
  /** Folder of the file that has it, with a slash at the end; empty for the top. */
  readonly base: string;
  readonly tokens: readonly Token[];
  readonly isNegated: boolean;
  readonly isFolderOnly: boolean;
}

/** Which paths are passed over. */
export class IndexIgnore {
  readonly #rules: Rule[] = [];
  readonly #steps: Steps = { left: MAX_STEPS };

  /**
   * Adds the rules of one file. Files of outer folders first: the last rule that fits decides.
   * @param path of the file, relative to the catalog
   * @throws FormatError `catalog-malformed` for a pattern with brackets, or a very long one
   */
  add(path: string, text: string): void {
    const base = path.slice(0, path.length - INDEX_IGNORE.length);
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      const rule = parseRule(line, base, index + 1);
      if (rule !== undefined) this.#rules.push(rule);
    }
  }

  /**
   * True when the file, or a folder that it is in, is passed over.
   * @param path relative to the catalog
   * @throws FormatError `input-too-large` when patterns and paths were made to take for ever
   */
  isIgnored(path: string): boolean {
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1))
      if (this.#decide(path.slice(0, slash), true)) return true;
    return this.#decide(path, false);
  }

  #decide(path: string, isFolder: boolean): boolean {
    let isIgnored = false;
    for (const { base, tokens, isNegated, isFolderOnly } of this.#rules) {
      if (isFolderOnly && !isFolder) continue;
      if (path.startsWith(base) && matches(tokens, path.slice(base.length), this.#steps)) isIgnored = !isNegated;
    }
    return isIgnored;
  }
}

function parseRule(line: string, base: string, number: number): Rule | undefined {
  let pattern = line.replace(/(?<!\\)[ \t]+$/, "");
  if (pattern === "" || pattern.startsWith("#")) return undefined;
  const isNegated = pattern.startsWith("!");
  if (isNegated) pattern = pattern.slice(1);
  const isFolderOnly = pattern.endsWith("/");
  if (isFolderOnly) pattern = pattern.slice(0, -1);
  // A slash at the beginning or inside ties the pattern to the folder of its file.
  const isAnchored = pattern.includes("/");
  if (pattern.startsWith("/")) pattern = pattern.slice(1);
  if (pattern === "") return undefined;
  if (pattern.length > MAX_PATTERN_LENGTH)
    throw catalogMalformed(`${base}${INDEX_IGNORE}`, number, `a pattern of more than ${MAX_PATTERN_LENGTH} characters`);
  // Understood otherwise than by opm, a pattern could hide from the audit what a cluster sees.
  if (pattern.includes("["))
    throw catalogMalformed(`${base}${INDEX_IGNORE}`, number, "patterns with brackets are not understood here");
  return { base, tokens: tokenize(isAnchored ? pattern : `**/${pattern}`), isNegated, isFolderOnly };
}

/** One step of a pattern: this character, any one, any within a name, any number of whole folders, or anything at all. */
type Token =
  | { readonly kind: "character"; readonly text: string }
  | { readonly kind: "one" | "name" | "folders" | "all" };

function tokenize(pattern: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length;) {
    const rest = pattern.slice(at);
    const isAtName = at === 0 || pattern[at - 1] === "/";
    if (isAtName && rest.startsWith("**/")) {
      tokens.push({ kind: "folders" });
      at += 3;
    } else if (isAtName && rest === "**") {
      tokens.push({ kind: "all" });
      at += 2;
    } else if (rest.startsWith("*")) {
      tokens.push({ kind: "name" });
      while (pattern[at] === "*") at++;
    } else if (rest.startsWith("?")) {
      tokens.push({ kind: "one" });
      at++;
    } else {
      if (rest.startsWith("\\") && rest.length > 1) at++;
      tokens.push({ kind: "character", text: pattern[at]! });
      at++;
    }
  }
  return tokens;
}

/** Counts down over all comparisons. */
interface Steps {
  left: number;
}

/** Follows all ways through the pattern at once: the time is the product of both lengths, whatever somebody wrote. */
function matches(tokens: readonly Token[], path: string, steps: Steps): boolean {
  let states = new Set<number>();
  enter(0, tokens, states);
  for (const character of path.split("")) {
    const next = new Set<number>();
    steps.left -= states.size + 1;
    if (steps.left < 0)
      throw new FormatError("input-too-large", `${INDEX_IGNORE}: its patterns take too long to compare`);
    for (const state of states) {
      const token = tokens[state];
      if (token === undefined) continue;
      if (token.kind === "character") {
        if (token.text === character) enter(state + 1, tokens, next);
      } else if (token.kind === "one") {
        if (character !== "/") enter(state + 1, tokens, next);
      } else if (token.kind === "name") {
        if (character !== "/") enter(state, tokens, next);
      } else if (token.kind === "all") enter(state, tokens, next);
      else {
        next.add(state);
        if (character === "/") enter(state + 1, tokens, next);
      }
    }
    states = next;
  }
  return states.has(tokens.length);
}

/** What can be empty can be left at once. A state that is there already has brought what follows it. */
function enter(state: number, tokens: readonly Token[], states: Set<number>): void {
  for (let at = state; !states.has(at); at++) {
    states.add(at);
    const kind = tokens[at]?.kind;
    if (kind !== "name" && kind !== "folders" && kind !== "all") return;
  }
}
