/** A catalog's or bundle's files, read one after the other; each leaves only what matters of its documents. */
import { FormatError, SignetError } from "@signet/core";
import { type UntrustedCatalogDocument, readCatalogDocument } from "./catalog-document.ts";
import { splitDocuments } from "./document-stream.ts";
import { parseDocument } from "./document-tree.ts";
import { INDEX_IGNORE, IndexIgnore, MAX_INDEX_IGNORE_BYTES } from "./index-ignore.ts";

/** Files of one catalog; genuine ones have some thousand. */
const MAX_FILES = 100_000;

/** Documents that are kept of one catalog; a genuine one has some fifty thousand. */
const MAX_DOCUMENTS = 500_000;

/** Images named in one catalog, as often as they are named: each takes about a hundred bytes of memory. */
const MAX_USES = 2_000_000;

/** What was read of all files. */
export interface CatalogDocuments {
  readonly documents: readonly UntrustedCatalogDocument[];
  /** Files that were read. */
  readonly files: number;
  /** Files that `.indexignore` names. */
  readonly ignored: readonly string[];
}

/** Gathers files as they come, in any order. */
export class CatalogFiles {
  readonly #files = new Map<string, readonly UntrustedCatalogDocument[] | SignetError>();
  readonly #ignoreFiles = new Map<string, string>();
  readonly #texts = new Map<string, string>();
  #documents = 0;
  #uses = 0;

  /**
   * Reads one file to its end. What is wrong with it is kept for later: `.indexignore` may come after the files that it names.
   * @param path relative to the catalog
   * @throws what the stream throws, and FormatError `input-too-large` for too much of everything
   */
  async add(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (path === INDEX_IGNORE || path.endsWith(`/${INDEX_IGNORE}`)) {
      this.#ignoreFiles.set(path, await readText(path, chunks));
      return;
    }
    if (this.#files.size >= MAX_FILES) throw tooLarge(`more than ${MAX_FILES} files`);
    const documents: UntrustedCatalogDocument[] = [];
    try {
      for await (const text of splitDocuments(chunks, path)) {
        for (const object of parseDocument(text, path)) {
          const document = readCatalogDocument(object);
          if (document.kind !== "other") documents.push(this.#intern(document));
          this.#count(document);
        }
      }
      this.#files.set(path, documents);
    } catch (error) {
      if (!(error instanceof FormatError) || (error.code !== "catalog-malformed" && error.code !== "input-too-large"))
        throw error;
      this.#files.set(path, error);
    }
  }

  /**
   * What all files say, in the order of their names.
   * @throws FormatError `catalog-malformed`, `input-too-large` of the first file that is not to be passed over
   */
  finish(): CatalogDocuments {
    const ignore = new IndexIgnore();
    const byDepth = [...this.#ignoreFiles].sort(([a], [b]) => a.length - b.length);
    for (const [path, text] of byDepth) ignore.add(path, text);
    const documents: UntrustedCatalogDocument[] = [];
    const ignored: string[] = [];
    const files = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [path, content] of files) {
      if (ignore.isIgnored(path)) ignored.push(path);
      else if (content instanceof SignetError) throw content;
      else for (const document of content) documents.push(document);
    }
    return { documents, files: files.length - ignored.length, ignored };
  }

  #count(document: UntrustedCatalogDocument): void {
    this.#documents++;
    if ("uses" in document) this.#uses += document.uses.length;
    if (this.#documents > MAX_DOCUMENTS || this.#uses > MAX_USES)
      throw tooLarge(`more than ${MAX_DOCUMENTS} documents, or ${MAX_USES} images in them`);
  }

  /** Images are named many times over; each text is kept once. */
  #intern(document: UntrustedCatalogDocument): UntrustedCatalogDocument {
    if (!("uses" in document)) return document;
    const uses = document.uses.map(({ image, role, name }) => {
      return { image: this.#once(image), role, name: this.#once(name) };
    });
    return { ...document, uses };
  }

  #once(text: string): string {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    this.#texts.set(text, text);
    return text;
  }
}

async function readText(path: string, chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > MAX_INDEX_IGNORE_BYTES) throw tooLarge(`${path} has more than ${MAX_INDEX_IGNORE_BYTES} bytes`);
    parts.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(parts));
}

function tooLarge(problem: string): FormatError {
  return new FormatError("input-too-large", `the catalog is too large: ${problem}`, {
    hint: "audit its packages one by one",
  });
}
