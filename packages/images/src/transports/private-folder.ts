import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { HostEnvironment } from "../config/host-environment.ts";
import { fileError } from "../config/file-error.ts";

/** A folder that only this user can enter, for the time of one image. */
export interface PrivateFolder {
  readonly path: string;
  /** Removes it with all that is in it. */
  readonly remove: () => Promise<void>;
}

/**
 * Makes one in `TMPDIR`, or in `/var/tmp`, as the field does for whole images: `/tmp` is often kept in memory.
 * @throws StoreError `file-unwritable`, `disk-full`
 */
export async function makePrivateFolder(host: HostEnvironment): Promise<PrivateFolder> {
  const parent = host.env["TMPDIR"] === undefined || host.env["TMPDIR"] === "" ? "/var/tmp" : host.env["TMPDIR"];
  try {
    const path = await mkdtemp(join(parent, "signet-image-"));
    return { path, remove: () => rm(path, { recursive: true, force: true }) };
  } catch (error) {
    throw fileError(error, parent, "write", "a temporary folder in");
  }
}
