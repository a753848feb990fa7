/** One registries.d file: YAML text to sections (registries.d, section 1). */
import { FormatError, PolicyError } from "@signet/core";
import {
  type Alias,
  type Document,
  LineCounter,
  type Node,
  type YAMLMap,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  visit,
} from "yaml";

/** Bytes: the largest file read. Thousands of namespaces fit; the YAML parser needs seconds for hostile text of this size, minutes for much more. */
export const MAX_REGISTRIES_D_FILE_BYTES: number = 512 * 1024;

/** Aliases followed in one file. Files written by people have a handful; it also ends aliases that contain themselves. */
const MAX_ALIASES = 1000;

/** The keys that hold a base URL; `sigstore` and `sigstore-staging` are the old names of the other two. */
export type LookasideKey = "lookaside" | "lookaside-staging" | "sigstore" | "sigstore-staging";

const lookasideKeys: ReadonlySet<string> = new Set<LookasideKey>([
  "lookaside",
  "lookaside-staging",
  "sigstore",
  "sigstore-staging",
]);
const attachmentsKey = "use-sigstore-attachments";

/** A value and where it stands. */
export interface Located<T> {
  readonly value: T;
  /** From 1. */
  readonly line: number;
}

/** What one namespace (or `default-docker`) says. */
export interface RegistriesDSection {
  /** `host[:port][/path[:tag]]` or `*.domain`; undefined for `default-docker`. */
  readonly namespace: string | undefined;
  readonly file: string;
  readonly line: number;
  /** URLs as written. Null and empty ones are left out: they count as absent. */
  readonly urls: Readonly<Partial<Record<LookasideKey, Located<string>>>>;
  readonly useSigstoreAttachments?: Located<boolean>;
}

export interface RegistriesDFile {
  readonly file: string;
  readonly defaultSection: RegistriesDSection | undefined;
  readonly sections: readonly RegistriesDSection[];
  /** Unknown keys, which the reference passes over in silence. */
  readonly warnings: readonly string[];
}

/**
 * Parses one file. Unknown keys are passed over with a warning; duplicate keys, values of the wrong kind and malformed YAML are refused.
 *
 * Not checked: whether the URLs can be used; that shows when one of them is chosen.
 * @param file its path, for messages
 * @throws PolicyError `registries-d-malformed` with file, line and key; FormatError `input-too-large`
 */
export function parseRegistriesDFile(bytes: Uint8Array, file: string): RegistriesDFile {
  if (bytes.length > MAX_REGISTRIES_D_FILE_BYTES) {
    throw new FormatError(
      "input-too-large",
      `${file}: ${bytes.length} bytes, the limit for a registries.d file is ${MAX_REGISTRIES_D_FILE_BYTES}`,
      { hint: "spread the namespaces over several files" },
    );
  }
  return new FileReader(bytes, file).read();
}

class FileReader {
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #document: Document.Parsed;
  readonly #anchored: ReadonlyMap<Alias, Node>;
  readonly #warnings: string[] = [];
  #aliases = 0;

  constructor(bytes: Uint8Array, file: string) {
    this.#file = file;
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch (error) {
      throw this.#malformed(undefined, "", "it is not UTF-8", error);
    }
    try {
      // The reader below finds duplicate keys itself: the parser's own check takes quadratic time, and so do its pretty errors.
      this.#document = parseDocument(text, {
        lineCounter: this.#lines,
        prettyErrors: false,
        uniqueKeys: false,
      });
    } catch (error) {
      throw this.#malformed(undefined, "", "the YAML parser gave up", error);
    }
    const problem = this.#document.errors[0];
    if (problem !== undefined) throw this.#malformed(this.#lines.linePos(problem.pos[0]).line, "", problem.message);
    for (const warning of this.#document.warnings)
      this.#warn(this.#lines.linePos(warning.pos[0]).line, warning.message);
    this.#anchored = resolveAliases(this.#document);
  }

  read(): RegistriesDFile {
    let defaultSection: RegistriesDSection | undefined;
    const sections: RegistriesDSection[] = [];
    const top = this.#document.contents;
    for (const entry of this.#entries(top, "")) {
      if (entry.key === "default-docker") {
        if (!this.#isNull(entry.value)) defaultSection = this.#section(entry, "default-docker", undefined);
      } else if (entry.key === "docker") {
        for (const inner of this.#entries(entry.value, "docker"))
          sections.push(this.#section(inner, `docker.${inner.key}`, inner.key));
      } else {
        this.#warnUnknown(entry, "at the top level", "docker, default-docker");
      }
    }
    return { file: this.#file, defaultSection, sections, warnings: this.#warnings };
  }

  #section(section: Entry, path: string, namespace: string | undefined): RegistriesDSection {
    const urls: Partial<Record<LookasideKey, Located<string>>> = {};
    let useSigstoreAttachments: Located<boolean> | undefined;
    for (const entry of this.#entries(section.value, path)) {
      if (lookasideKeys.has(entry.key)) {
        const value = this.#text(entry, `${path}.${entry.key}`);
        if (value !== "") urls[entry.key as LookasideKey] = { value, line: entry.line };
      } else if (entry.key === attachmentsKey) {
        const value = this.#boolean(entry, `${path}.${attachmentsKey}`);
        if (value !== undefined) useSigstoreAttachments = { value, line: entry.line };
      } else {
        this.#warnUnknown(entry, `in ${path}`, [...lookasideKeys, attachmentsKey].join(", "));
      }
    }
    return {
      namespace,
      file: this.#file,
      line: section.line,
      urls,
      ...(useSigstoreAttachments === undefined ? {} : { useSigstoreAttachments }),
    };
  }

  /** The members of a mapping; none for null. Keys compare as text. */
  #entries(value: unknown, path: string): Entry[] {
    const node = this.#follow(value);
    if (this.#isNull(node)) return [];
    if (!isMap(node)) throw this.#malformed(this.#lineOf(node), path, "a mapping is expected here");
    const entries: Entry[] = [];
    const seen = new Set<string>();
    const merged: Entry[] = [];
    for (const pair of node.items) {
      const line = this.#lineOf(pair.key) ?? this.#lineOf(node) ?? 1;
      const key = this.#key(pair.key, line, path);
      if (seen.has(key)) throw this.#malformed(line, join(path, key), `duplicate key ${JSON.stringify(key)}`);
      seen.add(key);
      if (isMergeKey(pair.key)) merged.push(...this.#mergedEntries(pair.value, path));
      else entries.push({ key, value: pair.value, line });
    }
    for (const entry of merged) {
      if (seen.has(entry.key)) continue;
      seen.add(entry.key);
      entries.push(entry);
    }
    return entries;
  }

  /** What `<<` brings in (YAML 1.1, "Merge Key"): one mapping or several, earlier ones win; the mapping's own keys win over all. */
  #mergedEntries(value: unknown, path: string): Entry[] {
    const node = this.#follow(value);
    if (isSeq(node)) return node.items.flatMap((item) => this.#entries(this.#mapping(item, path), path));
    return this.#entries(this.#mapping(node, path), path);
  }

  #mapping(value: unknown, path: string): YAMLMap {
    const node = this.#follow(value);
    if (isMap(node)) return node;
    throw this.#malformed(this.#lineOf(node), join(path, "<<"), "a merge key takes a mapping");
  }

  #key(node: unknown, line: number, path: string): string {
    const key = this.#follow(node);
    if (!isScalar(key)) throw this.#malformed(line, path, "keys must be plain text");
    return typeof key.value === "string" ? key.value : (key.source ?? "");
  }

  #text(entry: Entry, path: string): string {
    const node = this.#follow(entry.value);
    if (this.#isNull(node)) return "";
    if (isScalar(node) && typeof node.value === "string") return node.value;
    throw this.#malformed(entry.line, path, "a URL is expected here", undefined, "put it in quotes");
  }

  #boolean(entry: Entry, path: string): boolean | undefined {
    const node = this.#follow(entry.value);
    if (this.#isNull(node)) return undefined;
    const value = isScalar(node) ? node.value : undefined;
    if (typeof value === "boolean") return value;
    // The words of YAML 1.1, which the reference's parser takes where a boolean is expected.
    if (typeof value === "string" && /^(?:y|Y|yes|Yes|YES|on|On|ON)$/.test(value)) return true;
    if (typeof value === "string" && /^(?:n|N|no|No|NO|off|Off|OFF)$/.test(value)) return false;
    throw this.#malformed(entry.line, path, "true or false is expected here");
  }

  #follow(value: unknown): unknown {
    let node = value;
    while (isAlias(node)) {
      this.#aliases++;
      if (this.#aliases > MAX_ALIASES)
        throw this.#malformed(this.#lineOf(node), "", `more than ${MAX_ALIASES} aliases to follow`);
      const target = this.#anchored.get(node);
      if (target === undefined)
        throw this.#malformed(this.#lineOf(node), "", `unknown anchor ${JSON.stringify(node.source)}`);
      node = target;
    }
    return node;
  }

  #isNull(value: unknown): boolean {
    const node = this.#follow(value);
    return node === null || node === undefined || (isScalar(node) && node.value === null);
  }

  #lineOf(node: unknown): number | undefined {
    const range = (node as Node | null | undefined)?.range;
    return range === null || range === undefined ? undefined : this.#lines.linePos(range[0]).line;
  }

  #warnUnknown(entry: Entry, where: string, known: string): void {
    this.#warn(entry.line, `unknown key ${JSON.stringify(entry.key)} ${where} is ignored; known are ${known}`);
  }

  #warn(line: number, text: string): void {
    this.#warnings.push(`${this.#file}:${line}: ${text}`);
  }

  #malformed(line: number | undefined, path: string, problem: string, cause?: unknown, hint?: string): PolicyError {
    const place = line === undefined ? this.#file : `${this.#file}:${line}`;
    return new PolicyError("registries-d-malformed", `${place}: ${path === "" ? "" : `${path}: `}${problem}`, {
      path,
      cause,
      ...(hint === undefined ? {} : { hint }),
      details: { file: this.#file, ...(line === undefined ? {} : { line }) },
    });
  }
}

interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly line: number;
}

/** Only the unquoted `<<` merges. */
function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.value === "<<" && key.type === "PLAIN";
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

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
