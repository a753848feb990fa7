/** YAML documents one after the other, each bounded in size, depth and what its aliases unfold to. */
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
import { type DocumentValue, MAX_DOCUMENT_DEPTH, MAX_DOCUMENT_VALUES } from "./document-value.ts";

/** Bytes of one document. The parser takes about two hundred times as much memory; larger lists come as JSON, which is read item by item. */
export const MAX_YAML_DOCUMENT_BYTES: number = 1024 * 1024;

/**
 * Reads one document. Members that stand twice are refused; `<<` is not: it is merged as YAML 1.1 has it, which is what Kubernetes and compose read.
 * @param text without its `---`
 * @param what its name in messages
 * @param firstLine where it begins in its file, from 1
 * @throws FormatError `image-list-malformed`
 */
export function parseYamlValue(text: string, what: string, firstLine: number): DocumentValue {
  return new YamlReader(text, what, firstLine).read();
}

class YamlReader {
  readonly #what: string;
  readonly #firstLine: number;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  readonly #anchored = new Map<Alias, Node>();
  #values = 0;

  constructor(text: string, what: string, firstLine: number) {
    this.#what = what;
    this.#firstLine = firstLine;
    try {
      // Duplicate keys are found below; the parser's own search takes quadratic time, and so do its pretty errors.
      this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false });
      const last = new Map<string, Node>();
      visit(this.#document, {
        Alias: (_, alias) => {
          const target = last.get(alias.source);
          if (target !== undefined) this.#anchored.set(alias, target);
        },
        Node: (_, node) => {
          if ("anchor" in node && typeof node.anchor === "string") last.set(node.anchor, node);
        },
      });
    } catch (cause) {
      // Deep nesting exhausts its call stack.
      throw new FormatError("image-list-malformed", `${what}: the YAML parser gave up`, { cause });
    }
    const [problem] = this.#document.errors;
    if (problem !== undefined) throw this.#malformed(problem.pos[0], problem.message);
  }

  read(): DocumentValue {
    return this.#value(this.#document.contents, 0);
  }

  #value(node: unknown, depth: number): DocumentValue {
    this.#values++;
    if (this.#values > MAX_DOCUMENT_VALUES)
      throw this.#malformed(offsetOf(node), `more than ${MAX_DOCUMENT_VALUES} values, aliases unfolded`);
    if (depth > MAX_DOCUMENT_DEPTH) throw this.#malformed(offsetOf(node), `deeper than ${MAX_DOCUMENT_DEPTH} levels`);
    if (node === null || node === undefined) return null;
    if (isAlias(node)) {
      const target = this.#anchored.get(node);
      if (target === undefined) throw this.#malformed(offsetOf(node), "an alias without an anchor before it");
      return this.#value(target, depth + 1);
    }
    if (isSeq(node)) return node.items.map((item) => this.#value(item, depth + 1));
    if (isMap(node)) return this.#map(node.items, depth);
    if (!isScalar(node)) throw this.#malformed(offsetOf(node), "a value of an unknown kind");
    const { value } = node;
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
    // Large numbers and dates: no image is named by one.
    return null;
  }

  #map(items: readonly { readonly key: unknown; readonly value: unknown }[], depth: number): DocumentValue {
    const members = new Map<string, DocumentValue>();
    const merged: DocumentValue[] = [];
    for (const pair of items) {
      const key = this.#value(pair.key, depth + 1);
      if (typeof key === "object") throw this.#malformed(offsetOf(pair.key), "a key that is no plain text");
      const name = String(key);
      const value = this.#value(pair.value, depth + 1);
      if (name === "<<" && isScalar(pair.key) && pair.key.type === "PLAIN") {
        merged.push(...(Array.isArray(value) ? (value as readonly DocumentValue[]) : [value]));
        continue;
      }
      if (members.has(name))
        throw this.#malformed(offsetOf(pair.key), `key ${JSON.stringify(name.slice(0, 100))} stands twice`);
      members.set(name, value);
    }
    for (const from of merged) {
      if (!(from instanceof Map)) throw this.#malformed(undefined, "a merge key takes a mapping");
      for (const [name, value] of from as Map<string, DocumentValue>) if (!members.has(name)) members.set(name, value);
    }
    return members;
  }

  #malformed(offset: number | undefined, problem: string): FormatError {
    const line = offset === undefined ? undefined : this.#firstLine + this.#lines.linePos(offset).line - 1;
    return new FormatError(
      "image-list-malformed",
      `${this.#what}${line === undefined ? "" : `, line ${line}`}: ${problem}`,
      {
        hint: "templates have to be rendered first, as with `helm template`; lists of images are plain text, one name a line",
      },
    );
  }
}

function offsetOf(node: unknown): number | undefined {
  const range = (node as { readonly range?: readonly number[] | null } | undefined)?.range;
  return range?.[0];
}
