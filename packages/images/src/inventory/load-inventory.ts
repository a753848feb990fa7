/** Finds out which images are in use: from plain lists, Kubernetes objects, compose files and folders of such. */
import { lstatSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { FormatError, StoreError, UsageError } from "@signet/core";
import { fileError } from "../config/file-error.ts";
import { collectComposeFile, isComposeFile } from "./compose-file.ts";
import { type DocumentValue, parseJsonValue } from "./document-value.ts";
import { type Inventory, InventoryCollector } from "./inventory.ts";
import { splitJsonDocuments } from "./json-documents.ts";
import { collectKubernetesObject, isKubernetesObject } from "./kubernetes-object.ts";
import { peekChunks, readChunks, splitLines } from "./read-chunks.ts";

/** What a source is. */
export type InventoryFormat = "list" | "kubernetes" | "compose" | "directory";

/** In the order of the help. */
export const inventoryFormats: readonly InventoryFormat[] = ["list", "kubernetes", "compose", "directory"];

export interface InventoryOptions {
  /** What all sources are taken for. Default: found out for each of them. */
  readonly format?: InventoryFormat;
  /** Judge the digests that run, where they are known, in place of tags. Default false. */
  readonly running?: boolean;
}

/** Bytes looked at to find out what a source is. */
const HEAD_BYTES: number = 64 * 1024;

/** Characters of a line in a plain list or YAML document. Certificates in manifests come on one line. */
const MAX_LINE_LENGTH: number = 1024 * 1024;

/** Files read from one folder with all below it. */
const MAX_FOLDER_FILES = 20_000;

/** Folders inside folders. */
const MAX_FOLDER_DEPTH = 32;

/**
 * Reads all sources into one inventory. Memory is bounded by the number of different images, not by the size of the sources: lists in JSON are read item by item,
 * YAML document by document.
 *
 * Kubernetes objects may be lists (also `kubectl get pods -A -o json`), Pods and everything with a pod template, in JSON or YAML, several in one file; compose files
 * name the images of their services; of a folder `*.yaml`, `*.yml` and `*.json` are read, also in the folders below it; anything else is a plain list, one name a line.
 *
 * Not checked: whether the images exist.
 * @param sources paths; `-` for standard input
 * @throws StoreError `image-missing` when no image is named at all: judging nothing must not look like success; `file-missing`, `file-unreadable`; FormatError
 *   `image-list-malformed`, `json-malformed`, `input-too-large`
 */
export async function loadInventory(sources: readonly string[], options: InventoryOptions = {}): Promise<Inventory> {
  if (sources.filter((source) => source === "-").length > 1)
    throw new UsageError("command-line-malformed", "standard input can be read once only");
  const collector = new InventoryCollector({ running: options.running === true });
  for (const source of sources) {
    const before = collector.mentions;
    await new SourceReader(collector, source, options.format).read();
    if (collector.mentions === before) throw nothingNamed(source);
  }
  return collector.finish();
}

function nothingNamed(source: string): StoreError {
  return new StoreError("image-missing", `no image is named in ${nameOf(source)}`, {
    side: "local",
    hint: "give a list with one image name a line, the output of `kubectl get pods -A -o json`, manifests, or a compose file",
  });
}

function nameOf(source: string): string {
  return source === "-" ? "standard input" : source;
}

/** Reads one source. */
class SourceReader {
  readonly #collector: InventoryCollector;
  readonly #source: string;
  readonly #format: InventoryFormat | undefined;

  constructor(collector: InventoryCollector, source: string, format: InventoryFormat | undefined) {
    this.#collector = collector;
    this.#source = source;
    this.#format = format;
  }

  async read(): Promise<void> {
    const isFolder = this.#source !== "-" && isDirectory(this.#source);
    if (this.#format === "directory" && !isFolder)
      throw new StoreError("file-unreadable", `${nameOf(this.#source)} is not a directory`, { side: "local" });
    if (!isFolder) return await this.#readFile(this.#source, false);
    if (this.#format === "list")
      throw new StoreError("file-unreadable", `${this.#source} is a directory, not a list of images`, {
        side: "local",
      });
    for (const path of listManifests(this.#source)) await this.#readFile(path, true);
  }

  /** @param isOneOfMany a file of a folder: what is no list of images at all is passed over there */
  async #readFile(path: string, isOneOfMany: boolean): Promise<void> {
    const what = nameOf(path);
    const { head, all } = await peekChunks(readChunks(path, what), HEAD_BYTES);
    try {
      const form = this.#formOf(head, isOneOfMany, what);
      if (form === "json") await this.#readJson(all, what, isOneOfMany);
      else if (form === "yaml") await this.#readYaml(all, what, isOneOfMany);
      else await this.#readList(all, what);
    } finally {
      await all.return();
    }
  }

  #formOf(head: Uint8Array, isOneOfMany: boolean, what: string): "json" | "yaml" | "list" {
    if (head.includes(0))
      throw new FormatError("image-list-malformed", `${what}: it holds NUL octets and is no list of images`);
    if (this.#format === "list") return "list";
    const text = new TextDecoder().decode(head);
    const first = text
      .split("\n")
      .map((line) => line.trim())
      .find((line) => line !== "" && !line.startsWith("#"));
    if (first?.startsWith("{") === true) return "json";
    if (isOneOfMany || this.#format !== undefined) return "yaml";
    return first !== undefined && looksLikeYaml.test(first) ? "yaml" : "list";
  }

  async #readJson(chunks: AsyncIterable<Uint8Array>, what: string, isOneOfMany: boolean): Promise<void> {
    let items = 0;
    for await (const { kind, bytes } of splitJsonDocuments(chunks, what)) {
      const value = parseJsonValue(bytes, kind === "item" ? `${what}: item ${++items}` : what);
      if (kind === "item") this.#collectObject(value, `${what}: item ${items}`, "List");
      else if (items > 0) {
        checkList(value, what);
        items = 0;
      } else this.#collectDocument(value, what, isOneOfMany);
    }
  }

  async #readYaml(chunks: AsyncIterable<Uint8Array>, what: string, isOneOfMany: boolean): Promise<void> {
    const { MAX_YAML_DOCUMENT_BYTES, parseYamlValue } = await import("./yaml-documents.ts");
    let lines: string[] = [];
    let length = 0;
    let number = 0;
    let first = 1;
    const flush = (): void => {
      const text = lines.join("\n");
      lines = [];
      length = 0;
      if (text.trim() === "") return;
      const value = parseYamlValue(text, what, first);
      if (value !== null) this.#collectDocument(value, what, isOneOfMany);
    };
    for await (const line of splitLines(chunks, MAX_LINE_LENGTH, what)) {
      number++;
      // At the beginning of a line these can only be the marks between documents (YAML 1.2.2, section 9.1.2).
      if (/^(?:---|\.\.\.)(?=\s|$)/.test(line)) {
        flush();
        const rest = line.slice(3);
        lines.push(rest.trimStart().startsWith("#") ? "" : rest);
        first = number;
        continue;
      }
      if (lines.length === 0) first = number;
      lines.push(line);
      length += line.length + 1;
      if (length > MAX_YAML_DOCUMENT_BYTES) {
        throw new FormatError(
          "input-too-large",
          `${what}, line ${first}: a YAML document of more than ${MAX_YAML_DOCUMENT_BYTES} bytes`,
          { hint: "write it as JSON, which is read item by item: `kubectl get pods -A -o json`" },
        );
      }
    }
    flush();
  }

  async #readList(chunks: AsyncIterable<Uint8Array>, what: string): Promise<void> {
    let number = 0;
    for await (const line of splitLines(chunks, MAX_LINE_LENGTH, what)) {
      number++;
      const name = line.trim();
      if (name === "" || name.startsWith("#")) continue;
      if (hasControls.test(name))
        throw new FormatError("image-list-malformed", `${what}, line ${number}: control characters in an image name`);
      await this.#collector.addName({ name, user: `${what}: line ${number}` });
    }
  }

  #collectDocument(value: DocumentValue, what: string, isOneOfMany: boolean): void {
    if (this.#format !== "kubernetes" && isComposeFile(value)) {
      collectComposeFile(value, this.#collector, what);
      return;
    }
    if (this.#format !== "compose" && isKubernetesObject(value)) {
      this.#collectObject(value, what, "");
      return;
    }
    if (isOneOfMany) {
      this.#collector.warn(`${what}: neither a Kubernetes object nor a compose file, passed over`);
      return;
    }
    const wanted =
      this.#format === "compose"
        ? "a compose file with services"
        : this.#format === "kubernetes"
          ? "a Kubernetes object with its kind"
          : "a Kubernetes object with its kind, nor a compose file with services";
    throw new FormatError("image-list-malformed", `${what}: it is not ${wanted}`, {
      hint: "plain lists have one image name a line; --from-type says what a source is",
    });
  }

  #collectObject(value: DocumentValue, what: string, listKind: string): void {
    if (!(value instanceof Map)) throw new FormatError("image-list-malformed", `${what}: it is no object`);
    if (this.#format === "compose")
      throw new FormatError("image-list-malformed", `${what}: a Kubernetes list, not a compose file`);
    collectKubernetesObject(value as ReadonlyMap<string, DocumentValue>, this.#collector, what, listKind);
  }
}

/** What stands behind the items must say that they were a list's. */
function checkList(value: DocumentValue, what: string): void {
  if (isKubernetesObject(value) && (value.get("kind") as string).endsWith("List")) return;
  throw new FormatError("image-list-malformed", `${what}: it has items, and its kind is no list`, {
    hint: "a Kubernetes list has a kind such as List or PodList",
  });
}

/** A key, a mark between documents, an entry of a list, or a directive; no image name looks like one of these. */
const looksLikeYaml = /^(?:---|%YAML|- |["']?[A-Za-z_][\w./-]*["']?\s*:(?:\s|$))/;

// oxlint-disable-next-line no-control-regex
const hasControls = /[\u0000-\u001f\u007f]/;

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw fileError(error, path, "read", "list of images");
  }
}

/** The manifests of a folder and of those below it, in order of their names. Links to folders and hidden folders are not entered. */
function listManifests(root: string): readonly string[] {
  const found: string[] = [];
  const enter = (folder: string, depth: number): void => {
    if (depth > MAX_FOLDER_DEPTH)
      throw new FormatError("input-too-large", `${folder}: folders nested deeper than ${MAX_FOLDER_DEPTH}`);
    for (const name of namesIn(folder)) {
      const path = join(folder, name);
      const stats = lstatSync(path);
      if (stats.isDirectory()) {
        if (!name.startsWith(".")) enter(path, depth + 1);
        continue;
      }
      if (!/\.(?:ya?ml|json)$/.test(name)) continue;
      if (stats.isSymbolicLink() && isDirectory(path)) continue;
      found.push(path);
      if (found.length > MAX_FOLDER_FILES)
        throw new FormatError("input-too-large", `${root}: more than ${MAX_FOLDER_FILES} manifests`, {
          hint: "name the folders one by one",
        });
    }
  };
  enter(root, 0);
  return found;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch (error) {
    throw fileError(error, folder, "read", "directory");
  }
}
