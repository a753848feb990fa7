import { realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { MAX_POLICY_BYTES, StoreError, equalBytes } from "@signet/core";
import { readFileBounded } from "./bounded-file.ts";
import { changeFiles } from "./file-change.ts";
import { fileError } from "./file-error.ts";
import { withFileLock } from "./file-lock.ts";

/** The file that is held while a file is edited; every editor of trust takes the same. */
export function lockFileOf(target: string): string {
  return join(dirname(target), `.${basename(target)}.lock`);
}

/**
 * Replaces a policy in one step, if it still is what was read; the one before stays as `FILE.bak`. A symbolic link is kept and its target replaced, with its mode and owner.
 * @throws StoreError `store-busy` when somebody has changed it since, or is changing it; `file-missing`, `file-unreadable`, `file-unwritable`, `disk-full`
 */
export async function replacePolicyFile(path: string, before: Uint8Array, after: Uint8Array): Promise<void> {
  const target = await resolveLinks(path);
  await withFileLock(
    lockFileOf(target),
    async () => {
      if (!equalBytes(await readFileBounded(target, MAX_POLICY_BYTES, "policy"), before)) {
        throw new StoreError("store-busy", `${path} was changed since it was read; nothing was written`, {
          side: "local",
          hint: "run the command again",
        });
      }
      await changeFiles([{ path, target, stats: await stat(target), before, after }]);
    },
    { guards: path },
  );
}

async function resolveLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw fileError(error, path, "read", "policy");
  }
}
