import type { FileHandle } from "node:fs/promises";
import { fileError } from "../config/file-error.ts";
import { openRegularFile, readRange } from "./file-chunks.ts";
import { type LayoutFile, type LayoutFiles, openLayoutSource } from "./oci-source.ts";
import { type TarEntry, indexTar } from "./tar-index.ts";
import type { ImageName, ImageSource } from "./transport.ts";

/**
 * Opens an image of an OCI layout that is packed into a plain tar archive. Nothing is unpacked: the archive is indexed once, and files are read from their place in
 * it. The archive must not change meanwhile; a change shows as a digest that does not match.
 * @throws StoreError `file-missing`, `file-unreadable`, `image-missing`; FormatError `image-malformed`, `json-malformed`, `digest-malformed`
 */
export async function openOciArchiveSource(name: ImageName): Promise<ImageSource> {
  const path = name.path!;
  const { handle, size } = await openRegularFile(path, "the archive");
  try {
    const entries = await indexTar(handle, size, path);
    return await openLayoutSource(name, new LayoutArchive(path, handle, entries));
  } catch (error) {
    await handle.close();
    throw fileError(error, path, "read", "the archive");
  }
}

class LayoutArchive implements LayoutFiles {
  readonly location: string;
  readonly #handle: FileHandle;
  readonly #entries: ReadonlyMap<string, TarEntry>;

  constructor(path: string, handle: FileHandle, entries: ReadonlyMap<string, TarEntry>) {
    this.location = path;
    this.#handle = handle;
    this.#entries = entries;
  }

  async open(name: string): Promise<LayoutFile | undefined> {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    return { size: entry.size, chunks: this.#read(entry), discard: async () => {} };
  }

  async *#read(entry: TarEntry): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* readRange(this.#handle, entry.offset, entry.size);
    } catch (error) {
      throw fileError(error, this.location, "read");
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}
