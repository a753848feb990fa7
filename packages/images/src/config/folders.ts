/** Making folders that a user named. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder with those above it that are missing; one that is there is left as it is.
 *
 * Node's own `recursive` never ends where a system says of a file in a folder that is there that it cannot be found, as Linux does below /proc.
 *
 * @param mode octal permission bits of what is made, less those that the process masks
 * @throws Error of the system, such as ENOENT, EACCES, ENOTDIR; also EEXIST where the last name is a file
 */
export async function makeFolders(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // With `recursive` this tells a folder that is there, also behind a link, from a file.
    if (code === "EEXIST" || code === "EISDIR") return void (await mkdir(path, { recursive: true }));
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolders(dirname(path), mode);
    await mkdir(path, { mode }).catch((again: unknown) => {
      // Somebody else was faster.
      if ((again as NodeJS.ErrnoException).code !== "EEXIST") throw again;
    });
  }
}
