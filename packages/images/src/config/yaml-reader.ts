/** YAML as data with places, read strictly: for documents that decide something, where a typing error must not pass for silence. */
import { type ErrorCode, PolicyError } from "@signet/core";
import { type Document, LineCounter, type Node, type Pair, isAlias, isMap, isScalar, isSeq, parseDocument } from "yaml";

/** Bytes: the largest document read. A thousand cases fit; the parser needs seconds for hostile text of much more. */
export const MAX_YAML_BYTES: number = 512 * 1024;

/** Levels of nesting. People write five or six; the parser itself recurses. */
const MAX_DEPTH = 64;

/** Values in all, those of an alias counted each time it is used: what a few aliases of aliases could blow up to. */
const MAX_VALUES = 100_000;

/** Where something stands, both from 1. */
export interface YamlPlace {
  readonly line: number;
  readonly column: number;
}

export type YamlNode = YamlMap | YamlList | YamlScalar;

interface YamlNodeBase {
  readonly place: YamlPlace;
  /** Values in it, itself included. */
  readonly size: number;
}

export interface YamlMap extends YamlNodeBase {
  readonly kind: "map";
  readonly members: ReadonlyMap<string, YamlMember>;
}

export interface YamlMember {
  readonly place: YamlPlace;
  readonly value: YamlNode;
}

export interface YamlList extends YamlNodeBase {
  readonly kind: "list";
  readonly items: readonly YamlNode[];
}

export interface YamlScalar extends YamlNodeBase {
  readonly kind: "scalar";
  /** By the core schema of YAML 1.2. */
  readonly value: string | number | boolean | null;
  /** As written, without quotes. */
  readonly text: string;
}

/** Fails with the place in front of the problem. */
export type YamlFailure = (place: YamlPlace | undefined, problem: string, hint?: string) => PolicyError;

/**
 * Errors of one file.
 * @param code of the errors: which kind of document it is
 */
export function yamlFailure(file: string, code: ErrorCode): YamlFailure {
  return (place, problem, hint) => {
    const at = place === undefined ? file : `${file}:${place.line}:${place.column}`;
    return new PolicyError(code, `${at}: ${problem}`, {
      details: { file, ...place },
      ...(hint === undefined ? {} : { hint }),
    });
  };
}

/**
 * Reads one document. Refused: a second document, duplicate keys, keys that are not text, tags, merge keys, and more than {@link MAX_YAML_BYTES}.
 * JSON is YAML.
 * @param fail makes the errors; see {@link yamlFailure}
 * @throws PolicyError with line and column in the message and in `details`
 */
export function readYaml(bytes: Uint8Array, fail: YamlFailure): YamlNode {
  if (bytes.length > MAX_YAML_BYTES) throw fail(undefined, `${bytes.length} bytes, the limit is ${MAX_YAML_BYTES}`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fail(undefined, "it is not UTF-8 text");
  }
  const lines = new LineCounter();
  const document = parse(text, lines, fail);
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw fail(placeOf(lines, problem.pos[0]), explainProblem(problem));
  return new Reader(lines, fail).read(document.contents);
}

function parse(text: string, lines: LineCounter, fail: YamlFailure): Document.Parsed {
  try {
    // The reader below finds duplicate keys itself: the parser's own check and its pretty errors take quadratic time.
    return parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, schema: "core" });
  } catch {
    throw fail(undefined, "the YAML parser gave up", "the document is nested too deeply");
  }
}

/** The parser recurses, and reports the end of its stack like any other problem. */
function explainProblem({ code, message }: { readonly code: string; readonly message: string }): string {
  if (code === "MULTIPLE_DOCS") return "a second document begins here";
  return /call stack/.test(message) ? "nested too deeply" : message;
}

function placeOf(lines: LineCounter, offset: number): YamlPlace {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

class Reader {
  readonly #lines: LineCounter;
  readonly #fail: YamlFailure;
  readonly #anchors = new Map<string, YamlNode>();
  #values = 0;

  constructor(lines: LineCounter, fail: YamlFailure) {
    this.#lines = lines;
    this.#fail = fail;
  }

  read(root: unknown): YamlNode {
    return this.#node(root, { line: 1, column: 1 }, 0);
  }

  #node(node: unknown, parent: YamlPlace, depth: number): YamlNode {
    const place = this.#placeOf(node) ?? parent;
    if (depth > MAX_DEPTH) throw this.#fail(place, `nested more than ${MAX_DEPTH} levels deep`);
    if (isAlias(node)) return this.#alias(node.source, place);
    this.#count(1, place);
    const read = this.#content(node, place, depth);
    const { anchor } = (node ?? {}) as Partial<Node & { anchor: string }>;
    // Only when it is complete, so that nothing can contain itself.
    if (anchor !== undefined) this.#anchors.set(anchor, read);
    return read;
  }

  #alias(name: string, place: YamlPlace): YamlNode {
    const target = this.#anchors.get(name);
    if (target === undefined) throw this.#fail(place, `there is no anchor ${JSON.stringify(name)} before this alias`);
    this.#count(target.size, place);
    return target;
  }

  #content(node: unknown, place: YamlPlace, depth: number): YamlNode {
    if (node === null || node === undefined) return { kind: "scalar", value: null, text: "", place, size: 1 };
    const { tag } = node as { readonly tag?: string };
    if (tag !== undefined && !tag.startsWith("tag:yaml.org,2002:"))
      throw this.#fail(place, `the tag ${JSON.stringify(tag)} has no meaning here`);
    if (isMap(node)) return this.#map(node.items, place, depth);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.#node(item, place, depth + 1));
      return { kind: "list", items, place, size: 1 + sum(items) };
    }
    if (isScalar(node)) return this.#scalar(node.value, node.source, place);
    throw this.#fail(place, "neither a mapping, a list nor a plain value");
  }

  #scalar(value: unknown, source: string | undefined, place: YamlPlace): YamlScalar {
    if (value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      return {
        kind: "scalar",
        value,
        text: typeof value === "string" ? value : (source ?? String(value)),
        place,
        size: 1,
      };
    }
    throw this.#fail(place, "a value of this kind has no meaning here", "put it in quotes");
  }

  #map(pairs: readonly Pair[], place: YamlPlace, depth: number): YamlMap {
    const members = new Map<string, YamlMember>();
    for (const pair of pairs) {
      const key = this.#node(pair.key, place, depth + 1);
      if (key.kind !== "scalar") throw this.#fail(key.place, "keys must be plain text");
      if (key.text === "<<") throw this.#fail(key.place, "merge keys are not read", "write the members out");
      if (members.has(key.text)) throw this.#fail(key.place, `${JSON.stringify(key.text)} stands here twice`);
      members.set(key.text, { place: key.place, value: this.#node(pair.value, key.place, depth + 1) });
    }
    return { kind: "map", members, place, size: 1 + sum([...members.values()].map(({ value }) => value)) };
  }

  #count(values: number, place: YamlPlace): void {
    this.#values += values;
    if (this.#values > MAX_VALUES) throw this.#fail(place, `more than ${MAX_VALUES} values, aliases counted in full`);
  }

  #placeOf(node: unknown): YamlPlace | undefined {
    const range = (node as Node | null | undefined)?.range;
    return range === null || range === undefined ? undefined : placeOf(this.#lines, range[0]);
  }
}

function sum(nodes: readonly YamlNode[]): number {
  return nodes.reduce((total, { size }) => total + size, 0);
}

/** A node as JSON would have it. */
export function plainValue(node: YamlNode): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(plainValue);
  // Not by assignment: a member called __proto__ is a member like any other.
  return Object.fromEntries([...node.members].map(([name, { value }]) => [name, plainValue(value)]));
}
