/** Files of a node, written below a folder of this machine. */
import { lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { StoreError } from "@signet/core";
import { fileError, makeFolders, writeFileAtomic } from "@signet/images";

/**
 * Writes each file at its path below `folder`; folders on the way are made. No link below the folder is followed.
 * @throws StoreError `file-unwritable`, `disk-full`
 */
export async function writeFileTree(
  folder: string,
  files: readonly { readonly path: string; readonly content: Uint8Array }[],
): Promise<void> {
  try {
    await makeFolders(folder);
    for (const { path, content } of files) {
      const parts = path.split("/").filter((part) => part !== "");
      let place = folder;
      for (const part of parts.slice(0, -1)) {
        place = join(place, part);
        await mkdir(place, { recursive: true });
        await refuseLink(place);
      }
      const target = join(place, parts.at(-1)!);
      await refuseLink(target);
      await writeFileAtomic(target, content);
    }
  } catch (error) {
    throw fileError(error, folder, "write");
  }
}

async function refuseLink(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isSymbolicLink() !== true) return;
  throw new StoreError("file-unwritable", `cannot write ${path}: it is a link`, {
    side: "local",
    hint: "write to a new folder",
  });
}
