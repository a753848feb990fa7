/**
 * Changes to one registries.d file: a section set or taken out, with the comments and the order of everything else kept. (A comment on the line of a mapping's name
 * moves to the line below, and indentation becomes even: that much the YAML library does not keep.)
 */
import { PolicyError } from "@signet/core";
import { type Document, type Pair, YAMLMap, isMap, isScalar, parseDocument } from "yaml";
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
  readonly #text: string;
  readonly #document: Document;

  constructor(bytes: Uint8Array) {
    this.#text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    this.#document = parseDocument(this.#text, { prettyErrors: false, uniqueKeys: false });
  }

  /** @returns false when an alias or a merged mapping stands where the section should */
  set(namespace: string | undefined, change: StoreChange): boolean {
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
    if (parent === top || parent.items.length > 0 || !isMap(top) || hasText(parent.comment)) return;
    const docker = findPair(top, "docker");
    if (docker !== undefined) this.#take(top, docker, true);
  }

  /** Takes a pair out. The comment above one at the top level is as likely about the whole file, and stays. */
  #take(map: YAMLMap, pair: Pair, keepComment: boolean): void {
    const at = map.items.indexOf(pair);
    map.items.splice(at, 1);
    const comment = isScalar(pair.key) ? pair.key.commentBefore : undefined;
    if (!keepComment || !hasText(comment)) return;
    const next = map.items[at]?.key;
    if (at === 0 && isScalar(next)) next.spaceBefore = false;
    const holder = isScalar(next) ? next : this.#document;
    holder.commentBefore = [comment, holder.commentBefore].filter(hasText).join("\n");
  }

  /** The new text, held against the old: every other section says what it said. */
  write(
    before: RegistriesDFile,
    file: string,
    namespace: string | undefined,
    isRight: (section: RegistriesDSection | undefined) => boolean,
  ): Uint8Array {
    try {
      const indent = /^( {1,10})\S/m.exec(this.#text.replaceAll(/^ *#.*$/gm, ""))?.[1]?.length ?? DEFAULT_INDENT;
      const top = this.#document.contents;
      if (isMap(top) && top.items.length === 0) this.#document.contents = null;
      let text = this.#document.toString({ lineWidth: 0, indent, flowCollectionPadding: /\{ \S/.test(this.#text) });
      // The library has a word for nothing; the format needs none.
      if (this.#document.contents === null) text = text.replace(/^null\n/m, "");
      if (this.#text.includes("\r\n")) text = text.replaceAll("\n", "\r\n");
      const bytes = new TextEncoder().encode(text);
      const after = parseRegistriesDFile(bytes, file);
      if (isRight(sectionOf(after, namespace)) && summary(after, namespace) === summary(before, namespace))
        return bytes;
    } catch (cause) {
      throw entangled(file, namespace, cause);
    }
    throw entangled(file, namespace, undefined);
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
    else pair.value = map;
    return map;
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
