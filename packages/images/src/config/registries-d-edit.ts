/**
 * Changes to one registries.d file: a section set or taken out, with the comments, the order and the layout of everything else kept. (What the
 * YAML library cannot write with the same characters, as a number of the old kind or a key after `?`, gives the whole file the library's own layout.)
 */
import { PolicyError } from "@signet/core";
import { type Document, type Pair, Scalar, YAMLMap, isMap, isNode, isScalar, parseDocument } from "yaml";
import { keepLayout } from "./kept-layout.ts";
import {
  type LookasideKey,
  type RegistriesDFile,
  type RegistriesDSection,
  parseRegistriesDFile,
} from "./registries-d-file.ts";

/** What a section shall say; what is left out stays as it is. */
export interface StoreChange {
  readonly lookaside?: string;
  readonly staging?: string;
  readonly attachments?: boolean;
}

/**
 * The file with a section that says what `change` asks for. Where the section uses the old names of a key (`sigstore`), these are kept.
 *
 * @param bytes the file; undefined for one that does not exist
 * @param file its path, for messages
 * @param namespace undefined for `default-docker`
 * @returns the very same bytes when the file says so already
 * @throws PolicyError `registries-d-malformed` for a file that cannot be read, or whose anchors and aliases stand in the way
 */
export function setRegistriesDSection(
  bytes: Uint8Array | undefined,
  file: string,
  namespace: string | undefined,
  change: StoreChange,
): Uint8Array {
  const before = parseRegistriesDFile(bytes ?? new Uint8Array(), file);
  if (bytes !== undefined && saysSo(sectionOf(before, namespace), change)) return bytes;
  const editor = new FileEditor(bytes ?? new Uint8Array());
  if (!editor.set(namespace, change)) throw entangled(file, namespace, undefined);
  return editor.write(before, file, namespace, (section) => saysSo(section, change));
}

/**
 * The file without a section.
 *
 * @returns undefined when nothing else is in the file, not even a comment; the very same bytes when the section is not in it
 * @throws as {@link setRegistriesDSection}
 */
export function removeRegistriesDSection(
  bytes: Uint8Array,
  file: string,
  namespace: string | undefined,
): Uint8Array | undefined {
  const before = parseRegistriesDFile(bytes, file);
  if (sectionOf(before, namespace) === undefined) return bytes;
  const editor = new FileEditor(bytes);
  editor.remove(namespace);
  const after = editor.write(before, file, namespace, (section) => section === undefined);
  return isBare(after) ? undefined : after;
}

/** The section of a namespace, or of `default-docker`. */
export function sectionOf(file: RegistriesDFile, namespace: string | undefined): RegistriesDSection | undefined {
  if (namespace === undefined) return file.defaultSection;
  return file.sections.find((section) => section.namespace === namespace);
}

/** The present key of each pair comes first; both are set when both are there. */
const keyPairs: Readonly<Record<"lookaside" | "staging", readonly [LookasideKey, LookasideKey]>> = {
  lookaside: ["lookaside", "sigstore"],
  staging: ["lookaside-staging", "sigstore-staging"],
};

const attachmentsKey = "use-sigstore-attachments";

function saysSo(section: RegistriesDSection | undefined, change: StoreChange): boolean {
  if (section === undefined) return false;
  for (const name of ["lookaside", "staging"] as const) {
    const wanted = change[name];
    if (wanted === undefined) continue;
    const values = keyPairs[name].flatMap((key) => section.urls[key]?.value ?? []);
    if (values.length === 0 || values.some((value) => value !== wanted)) return false;
  }
  return change.attachments === undefined || section.useSigstoreAttachments?.value === change.attachments;
}

class FileEditor {
  readonly #hasCrlf: boolean;
  #text: string;
  #document: Document;
  /** The file as the library writes it unchanged. */
  #rewritten: string;

  constructor(bytes: Uint8Array) {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    this.#hasCrlf = text.includes("\r\n");
    this.#text = text.replaceAll("\r\n", "\n");
    this.#document = parseDocument(this.#text, { prettyErrors: false, uniqueKeys: false });
    this.#rewritten = this.#render();
  }

  /** @returns false when an alias or a merged mapping stands where the section should */
  set(namespace: string | undefined, change: StoreChange): boolean {
    this.#openEmpty(namespace === undefined ? [DEFAULT_KEY] : ["docker", namespace]);
    const section = this.#mapAt(this.#parentOf(namespace, true), namespace ?? DEFAULT_KEY, true);
    if (section === undefined) return false;
    const present = (key: string): boolean => findPair(section, key) !== undefined;
    for (const name of ["lookaside", "staging"] as const) {
      const value = change[name];
      if (value === undefined) continue;
      const keys = keyPairs[name].filter(present);
      for (const key of keys.length === 0 ? [keyPairs[name][0]] : keys) this.#put(section, key, value);
    }
    if (change.attachments !== undefined) this.#put(section, attachmentsKey, change.attachments);
    return true;
  }

  remove(namespace: string | undefined): void {
    const parent = this.#parentOf(namespace, false);
    const pair = parent === undefined ? undefined : findPair(parent, namespace ?? DEFAULT_KEY);
    if (parent === undefined || pair === undefined) return;
    const top = this.#document.contents;
    this.#take(parent, pair, parent === top);
    // A mapping without members can only be written as {}, and then says nothing that its absence does not.
    if (parent === top || parent.items.length > 0 || !isMap(top)) return;
    const docker = findPair(top, "docker");
    if (docker === undefined) return;
    const above = this.#hasCommentOnLine(docker) ? parent.commentBefore : undefined;
    const comment = [above, parent.comment].filter(hasText).join("\n");
    if (comment === "") return this.#take(top, docker, true);
    const nothing = new Scalar(null);
    nothing.source = "";
    nothing.comment = comment;
    docker.value = nothing;
  }

  /** A mapping that was written as {} with a comment behind it is nothing with the same comment. */
  #openEmpty(path: readonly string[]): void {
    let map: unknown = this.#document.contents;
    for (const key of path) {
      if (!isMap(map) || map.flow === true) return;
      const value: unknown = findPair(map, key)?.value;
      if (isMap(value) && value.items.length === 0 && hasText(value.comment) && value.anchor === undefined) {
        const [start, end] = value.range!;
        this.#text = this.#text.slice(0, start).replace(/ $/, "") + this.#text.slice(end);
        this.#document = parseDocument(this.#text, { prettyErrors: false, uniqueKeys: false });
        this.#rewritten = this.#render();
        return;
      }
      map = value;
    }
  }

  #hasCommentOnLine({ key }: Pair): boolean {
    const end = isScalar(key) ? key.range?.[1] : undefined;
    return end !== undefined && /^[^\n]*\s#/.test(this.#text.slice(end));
  }

  /** What stands behind a pair, no deeper than its name, and belongs to what follows: the library counts it to the pair when a deeper comment comes before. */
  #commentsBehind(pair: Pair, next: Pair | undefined): string | undefined {
    const start = isScalar(pair.key) ? pair.key.range?.[0] : undefined;
    if (start === undefined) return undefined;
    const column = start - (this.#text.lastIndexOf("\n", start - 1) + 1);
    const nextStart = next !== undefined && isScalar(next.key) ? next.key.range?.[0] : undefined;
    const end = nextStart ?? (isNode(pair.value) ? pair.value.range?.[2] : undefined) ?? start;
    const lines = this.#text.slice(start, end).split("\n").slice(1);
    const behind = lines
      .slice(lines.findLastIndex((line) => !/^\s*(?:#|$)/.test(line)) + 1)
      .filter((line) => /#/.test(line));
    const known = next !== undefined && isScalar(next.key) ? (next.key.commentBefore?.match(/^.+$/gm)?.length ?? 0) : 0;
    const lost = behind.slice(0, behind.length - known).filter((line) => line.indexOf("#") <= column);
    return lost.length === 0 ? undefined : lost.map((line) => line.slice(line.indexOf("#") + 1)).join("\n");
  }

  /** Takes a pair out. The comment above one at the top level is as likely about the whole file, and stays. */
  #take(map: YAMLMap, pair: Pair, keepComment: boolean): void {
    const at = map.items.indexOf(pair);
    const behind = this.#commentsBehind(pair, map.items[at + 1]);
    map.items.splice(at, 1);
    const next = map.items[at]?.key;
    if (behind !== undefined) {
      if (isScalar(next)) next.commentBefore = [behind, next.commentBefore].filter(hasText).join("\n");
      else map.comment = [behind, map.comment].filter(hasText).join("\n");
    }
    const comment = isScalar(pair.key) ? pair.key.commentBefore : undefined;
    if (!keepComment || !hasText(comment)) return;
    const isApart = isScalar(next) && next.spaceBefore === true && hasText(next.commentBefore);
    if (at === 0 && isScalar(next)) next.spaceBefore = false;
    const holder = isScalar(next) ? next : this.#document;
    holder.commentBefore = [comment, holder.commentBefore].filter(hasText).join(isApart ? "\n\n" : "\n");
  }

  /** The new text, held against the old: every other section says what it said. */
  write(
    before: RegistriesDFile,
    file: string,
    namespace: string | undefined,
    isRight: (section: RegistriesDSection | undefined) => boolean,
  ): Uint8Array {
    try {
      const top = this.#document.contents;
      if (isMap(top) && top.items.length === 0) this.#document.contents = null;
      const text = this.#withLayout(this.#render());
      const bytes = new TextEncoder().encode(this.#hasCrlf ? text.replaceAll("\n", "\r\n") : text);
      const after = parseRegistriesDFile(bytes, file);
      if (isRight(sectionOf(after, namespace)) && summary(after, namespace) === summary(before, namespace))
        return bytes;
    } catch (cause) {
      throw entangled(file, namespace, cause);
    }
    throw entangled(file, namespace, undefined);
  }

  #render(): string {
    const indent = /^( {1,10})\S/m.exec(this.#text.replaceAll(/^ *#.*$/gm, ""))?.[1]?.length ?? DEFAULT_INDENT;
    const flowCollectionPadding = /\{ \S/.test(this.#text);
    const text = this.#document.toString({ lineWidth: 0, indent, flowCollectionPadding });
    // The library has a word for nothing; the format needs none.
    return this.#document.contents === null ? text.replace(/^null\n/m, "") : text;
  }

  /** The library's text in the layout of the file, unless it would say something else there. */
  #withLayout(text: string): string {
    const wanted = meaning(text);
    const laidOut = keepLayout(this.#text, withPropertiesFirst(this.#rewritten), withPropertiesFirst(text));
    return laidOut.find((candidate) => meaning(candidate) === wanted) ?? text;
  }

  #parentOf(namespace: string | undefined, make: boolean): YAMLMap | undefined {
    if (
      this.#document.contents === null ||
      (isScalar(this.#document.contents) && this.#document.contents.value === null)
    ) {
      if (!make) return undefined;
      this.#document.contents = new YAMLMap();
    }
    const top = this.#document.contents;
    if (!isMap(top)) return undefined;
    return namespace === undefined ? top : this.#mapAt(top, "docker", make);
  }

  /** The mapping under a key, made where there is none; what an alias stood for is not reached into. */
  #mapAt(parent: YAMLMap | undefined, key: string, make: boolean): YAMLMap | undefined {
    if (parent === undefined) return undefined;
    const pair = findPair(parent, key);
    if (pair !== undefined && isMap(pair.value)) return pair.value;
    const isEmpty = pair === undefined || pair.value === null || (isScalar(pair.value) && pair.value.value === null);
    if (!make || !isEmpty) return undefined;
    const map = new YAMLMap();
    // A mapping that was written as {} would go on as one line.
    parent.flow &&= parent.items.length > 0;
    if (pair === undefined) parent.items.push(this.#document.createPair(key, map));
    else {
      this.#moveComment(pair, map, parent.items[parent.items.indexOf(pair) + 1]?.key);
      pair.value = map;
    }
    return map;
  }

  /** The comment of a value that was nothing: on the name's line it is about the mapping, below about what follows. */
  #moveComment(pair: Pair, map: YAMLMap, next: unknown): void {
    const comment = isScalar(pair.value) ? pair.value.comment : undefined;
    if (!hasText(comment)) return;
    const [first, ...others] = comment.split("\n") as [string, ...string[]];
    if (!isScalar(next)) {
      map.commentBefore = comment;
      return;
    }
    const isOnLine = this.#hasCommentOnLine(pair);
    if (isOnLine) map.commentBefore = first;
    const rest = isOnLine ? others : [first, ...others];
    if (rest.length === 0) return;
    next.commentBefore = [rest.join("\n"), next.commentBefore].filter(hasText).join("\n");
    next.spaceBefore = false;
  }

  #put(section: YAMLMap, key: string, value: string | boolean): void {
    const pair = findPair(section, key);
    section.flow &&= section.items.length > 0;
    if (pair === undefined) section.items.push(this.#document.createPair(key, value));
    else if (isScalar(pair.value)) pair.value.value = value;
    else pair.value = this.#document.createNode(value);
  }
}

function hasText(comment: string | null | undefined): comment is string {
  return comment !== null && comment !== undefined;
}

const DEFAULT_KEY = "default-docker";

/** Blanks, as in the files that distributions ship. */
const DEFAULT_INDENT = 2;

function findPair(map: YAMLMap, key: string): Pair | undefined {
  return map.items.find(
    ({ key: node }) => isScalar(node) && (typeof node.value === "string" ? node.value : node.source) === key,
  );
}

/** All that the file says, but for one section. Unknown keys count by number: their text is the document's matter. */
function summary(file: RegistriesDFile, without: string | undefined): string {
  const sections = [...file.sections, ...(file.defaultSection === undefined ? [] : [file.defaultSection])]
    .filter(({ namespace }) => namespace !== without)
    .map(({ namespace, urls, useSigstoreAttachments }) => [
      namespace ?? null,
      Object.entries(urls).map(([key, { value }]) => [key, value]),
      useSigstoreAttachments?.value ?? null,
    ]);
  return JSON.stringify(sections);
}

/** Anchors and tags of mappings before the comments that the library puts between them and the name. */
function withPropertiesFirst(text: string): string {
  return text.replaceAll(/:((?:\n *#.*)+)\n *([&!]\S+)(?=\n)/g, ": $2$1");
}

/** What a text says, unknown keys included; undefined for one that does not parse. */
function meaning(text: string): string | undefined {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false });
  return document.errors.length > 0 ? undefined : JSON.stringify(document.toJS());
}

/** Neither a key nor a comment. */
function isBare(bytes: Uint8Array): boolean {
  return /^(?:\s|\{\}|---|\.\.\.)*$/.test(new TextDecoder().decode(bytes));
}

function entangled(file: string, namespace: string | undefined, cause: unknown): PolicyError {
  const what = namespace === undefined ? DEFAULT_KEY : `the section of ${namespace}`;
  return new PolicyError("registries-d-malformed", `${file}: ${what} cannot be changed without changing others`, {
    cause,
    hint: "it is tied to other sections by YAML anchors, aliases or merge keys; edit the file by hand",
  });
}
