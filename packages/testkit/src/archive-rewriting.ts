import { readFile, writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { extract, pack } from "tar-stream";

/**
 * Writes a tar archive anew with some of its files changed; `change` gets each file's name and bytes and returns what it shall hold, or undefined to leave it out.
 * Reads the whole archive into memory.
 */
export async function rewriteArchive(
  path: string,
  change: (name: string, bytes: Uint8Array) => Uint8Array | undefined,
): Promise<void> {
  const packer = pack();
  const extractor = Readable.from([await readFile(path)]).pipe(extract() as unknown as NodeJS.ReadWriteStream);
  for await (const entry of extractor as unknown as AsyncIterable<TarFile>) {
    const parts: Uint8Array[] = [];
    for await (const chunk of entry) parts.push(chunk);
    const { name, type, linkname } = entry.header;
    if (type === "directory") packer.entry({ name, type });
    else if (type === "symlink") packer.entry({ name, type, linkname: linkname ?? "" });
    else {
      const bytes = change(name, new Uint8Array(Buffer.concat(parts)));
      if (bytes !== undefined) packer.entry({ name }, Buffer.from(bytes));
    }
  }
  packer.finalize();
  const written: Uint8Array[] = [];
  for await (const chunk of packer as AsyncIterable<Uint8Array>) written.push(chunk);
  await writeFile(path, Buffer.concat(written));
}

interface TarFile extends AsyncIterable<Uint8Array> {
  readonly header: { readonly name: string; readonly type: string; readonly linkname?: string | null };
}
