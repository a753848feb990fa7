/** Reading YAML field by field, each with its place, as Go's typed YAML reader does: `yes` is true where a boolean is expected, 0644 is octal, and any scalar is a text. */
import { FormatError } from "@signet/core";
import {
  type Alias,
  type Document,
  LineCounter,
  type Node,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  visit,
} from "yaml";

/** Bytes: the YAML parser needs seconds for hostile text of this size. Whole MachineConfigs have at most 1.5 MiB, and hold their files twice as long as they are. */
const MAX_YAML_BYTES = 1024 * 1024;

/** Aliases followed in one document. People write a handful; it also ends those that contain themselves. */
const MAX_ALIASES = 100;

/** Entries of one list or mapping. */
const MAX_ENTRIES = 10_000;

/** What is wrong at one place. */
export interface YamlProblem {
  /** `$.storage.files.0.path`. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  readonly message: string;
}

/** One document and what was found wrong in it so far. */
export class YamlDocument {
  readonly problems: YamlProblem[] = [];
  readonly warnings: YamlProblem[] = [];
  readonly #source: string;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  readonly #anchored: ReadonlyMap<Alias, Node>;
  #aliases = 0;

  /**
   * @param source the file's name, for messages
   * @throws FormatError `butane-malformed`, `input-too-large`
   */
  constructor(bytes: Uint8Array, source: string) {
    this.#source = source;
    if (bytes.length > MAX_YAML_BYTES)
      throw new FormatError("input-too-large", `${source}: ${bytes.length} bytes, the limit is ${MAX_YAML_BYTES}`);
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (cause) {
      throw new FormatError("butane-malformed", `${source}: it is not UTF-8 text`, { cause });
    }
    try {
      // Keys that stand twice are found below: the parser's own check takes quadratic time.
      this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false });
    } catch (cause) {
      throw new FormatError("butane-malformed", `${source}: the YAML parser gave up`, { cause });
    }
    // The first one; those behind it are mostly its consequences.
    const [broken] = this.#document.errors;
    if (broken !== undefined) this.#addProblem("$", broken.pos[0], broken.message);
    this.finish();
    this.#anchored = resolveAliases(this.#document);
  }

  get root(): YamlField {
    return new YamlField(this, this.#document.contents, "$", 0);
  }

  /** @throws FormatError `butane-malformed` with all problems in `details`, if there are any; the message has the first one */
  finish(): void {
    const [first] = this.problems;
    if (first === undefined) return;
    const { path, line, column, message } = first;
    const place = `${this.#source}:${line}:${column}: ${path === "$" ? "" : `${path}: `}`;
    throw new FormatError("butane-malformed", `${place}${message}`, {
      path,
      details: { file: this.#source, line, column, problems: [...this.problems] },
    });
  }

  /** @internal */
  follow(value: unknown, path: string): unknown {
    let node = value;
    while (isAlias(node)) {
      this.#aliases++;
      const target = this.#aliases > MAX_ALIASES ? undefined : this.#anchored.get(node);
      if (target === undefined) {
        const reason = this.#aliases > MAX_ALIASES ? `more than ${MAX_ALIASES} aliases` : "an anchor that there is not";
        this.#addProblem(path, node.range?.[0] ?? 0, reason);
        this.finish();
        return undefined;
      }
      node = target;
    }
    return node;
  }

  #addProblem(path: string, offset: number, message: string): void {
    this.problems.push(this.place(path, offset, message));
  }

  /** @internal */
  place(path: string, offset: number, message: string): YamlProblem {
    const { line, col } = this.#lines.linePos(offset);
    return { path, line: Math.max(1, line), column: Math.max(1, col), message };
  }
}

/** A value and where it stands. What is wrong is noted in the document, and reading goes on. */
export class YamlField {
  readonly path: string;
  readonly #document: YamlDocument;
  readonly #node: unknown;
  readonly #keyOffset: number;
  readonly #offset: number;

  /** @param offset where the name that leads to it stands, or what it is in */
  constructor(document: YamlDocument, value: unknown, path: string, offset: number) {
    this.#document = document;
    this.path = path;
    this.#node = document.follow(value, path);
    this.#keyOffset = offset;
    this.#offset = (value as Node | null | undefined)?.range?.[0] ?? offset;
  }

  problem(message: string): void {
    this.#document.problems.push(this.#document.place(this.path, this.#offset, message));
  }

  /** At the name that leads to the value. */
  #problemAtKey(message: string): void {
    this.#document.problems.push(this.#document.place(this.path, this.#keyOffset, message));
  }

  warn(message: string): void {
    this.#document.warnings.push(this.#document.place(this.path, this.#offset, message));
  }

  get isNull(): boolean {
    const node = this.#node;
    return node === null || node === undefined || (isScalar(node) && node.value === null && !this.#hasTag(node));
  }

  /**
   * The members of a mapping, those with null left out. Members that are not among `known` are problems: nothing is dropped in silence.
   * @param refused members that the format has and that are not read, with the reason
   */
  members(known: readonly string[], refused: Readonly<Record<string, string>> = {}): ReadonlyMap<string, YamlField> {
    const members = new Map<string, YamlField>();
    for (const [key, field] of this.entries()) {
      if (known.includes(key)) {
        if (!field.isNull) members.set(key, field);
      } else if (Object.hasOwn(refused, key)) {
        if (!field.isNull) field.problem(refused[key]!);
      } else field.#problemAtKey(`unknown key ${JSON.stringify(key)}; known are ${known.join(", ")}`);
    }
    return members;
  }

  /** All members of a mapping, whatever they are called. */
  entries(): ReadonlyMap<string, YamlField> {
    const entries = new Map<string, YamlField>();
    const node = this.#node;
    if (this.isNull) return entries;
    if (!isMap(node) || this.#hasTag(node)) {
      this.problem("a mapping is expected here");
      return entries;
    }
    if (node.items.length > MAX_ENTRIES) {
      this.problem(`more than ${MAX_ENTRIES} entries`);
      return entries;
    }
    for (const pair of node.items) {
      const keyNode = this.#document.follow(pair.key, this.path);
      const offset = (pair.key as Node | null)?.range?.[0] ?? this.#offset;
      const key = isScalar(keyNode) ? textOf(keyNode) : undefined;
      const field = new YamlField(this.#document, pair.value, `${this.path}.${key ?? "?"}`, offset);
      if (key === undefined || (key === "<<" && isScalar(keyNode) && keyNode.type === "PLAIN"))
        field.problem(
          key === undefined ? "keys must be plain texts" : "merge keys are not read; write the members out",
        );
      else if (entries.has(key)) field.problem(`key ${JSON.stringify(key)} stands twice`);
      else entries.set(key, field);
    }
    return entries;
  }

  items(): readonly YamlField[] {
    const node = this.#node;
    if (this.isNull) return [];
    if (!isSeq(node) || this.#hasTag(node)) {
      this.problem("a list is expected here");
      return [];
    }
    if (node.items.length > MAX_ENTRIES) {
      this.problem(`more than ${MAX_ENTRIES} entries`);
      return [];
    }
    return node.items.map((item, index) => new YamlField(this.#document, item, `${this.path}.${index}`, this.#offset));
  }

  /** Undefined for null, and with a problem for what is no scalar. */
  text(): string | undefined {
    const node = this.#node;
    if (this.isNull) return undefined;
    if (isScalar(node) && !this.#hasTag(node)) return textOf(node);
    this.problem("a text is expected here");
    return undefined;
  }

  /** A text of one line, without control characters. */
  line(): string | undefined {
    const text = this.text();
    if (text === undefined || !/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)) return text;
    this.problem("control characters and line breaks are not allowed here");
    return undefined;
  }

  boolean(): boolean | undefined {
    const text = isScalar(this.#node) && this.#node.type === "PLAIN" ? this.text() : undefined;
    if (this.isNull) return undefined;
    if (/^(?:true|True|TRUE|y|Y|yes|Yes|YES|on|On|ON)$/.test(text ?? "")) return true;
    if (/^(?:false|False|FALSE|n|N|no|No|NO|off|Off|OFF)$/.test(text ?? "")) return false;
    this.problem("true or false is expected here");
    return undefined;
  }

  integer(minimum: number, maximum: number): number | undefined {
    const text = isScalar(this.#node) && this.#node.type === "PLAIN" ? this.text() : undefined;
    if (this.isNull) return undefined;
    const value = text === undefined ? undefined : readInteger(text.replaceAll("_", ""));
    if (value === undefined) this.problem("a whole number is expected here");
    else if (value < minimum || value > maximum)
      this.problem(`a number from ${minimum} to ${maximum} is expected here`);
    else return value;
    return undefined;
  }

  #hasTag(node: { readonly tag?: string | undefined }): boolean {
    return node.tag !== undefined && node.tag !== "tag:yaml.org,2002:str";
  }
}

/** What stands there: numbers and words keep the form they are written in. */
function textOf(node: { readonly value: unknown; readonly source?: string; readonly type?: string }): string {
  return typeof node.value === "string" ? node.value : (node.source ?? "");
}

function readInteger(text: string): number | undefined {
  const form = /^([-+]?)(?:(0|[1-9][0-9]*)|0[oO]?([0-7]+)|0[xX]([0-9a-fA-F]+)|0[bB]([01]+))$/.exec(text);
  if (form === null) return undefined;
  const [, sign, decimal, octal, hexadecimal, binary] = form;
  const value =
    decimal !== undefined
      ? Number(decimal)
      : octal !== undefined
        ? Number.parseInt(octal, 8)
        : hexadecimal !== undefined
          ? Number.parseInt(hexadecimal, 16)
          : Number.parseInt(binary!, 2);
  return sign === "-" ? -value : value;
}

/** What each alias stands for: the last node before it with that anchor. One pass, where the library would search the document for each alias. */
function resolveAliases(document: Document.Parsed): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const resolved = new Map<Alias, Node>();
  visit(document, {
    Alias(_, alias) {
      const target = anchors.get(alias.source);
      if (target !== undefined) resolved.set(alias, target);
    },
    Value(_, node) {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return resolved;
}
