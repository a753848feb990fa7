/** Paths inside a tree that is somebody else's root folder: an image, or a node's files. */
import { readlink } from "node:fs/promises";
import { join, relative } from "node:path";
import { StoreError } from "@signet/core";
import { errnoOf, fileError } from "./file-error.ts";
import type { HostEnvironment } from "./host-environment.ts";

/** Symbolic links followed in one path; what Linux allows. */
const MAX_LINKS = 40;

/**
 * Where a path of the tree lies on this machine. Symbolic links are followed as the tree's own system would: an absolute target starts at its root, and `..` never
 * leads out of it. What does not exist stays as it is.
 *
 * @param root undefined for this machine itself: the path is returned as it is
 * @throws StoreError `file-unreadable` when there are too many links, or a folder on the way cannot be looked into
 */
export async function resolveInRoot(root: string | undefined, path: string): Promise<string> {
  if (root === undefined) return path;
  const pending = path.split("/").toReversed();
  let inside: string[] = [];
  let links = 0;
  while (pending.length > 0) {
    const part = pending.pop()!;
    if (part === "" || part === ".") continue;
    if (part === "..") {
      inside = inside.slice(0, -1);
      continue;
    }
    const target = await readLinkTarget(join(root, ...inside, part));
    if (target === undefined) {
      inside = [...inside, part];
      continue;
    }
    links++;
    if (links > MAX_LINKS) {
      throw new StoreError("file-unreadable", `cannot read ${path} below ${root}: too many levels of symbolic links`, {
        side: "local",
      });
    }
    if (target.startsWith("/")) inside = [];
    pending.push(...target.split("/").toReversed());
  }
  return join(root, ...inside);
}

/**
 * Where a configuration file that `systemPath` put below the host's root folder really lies in it: a link in somebody else's tree must never lead to a file of this
 * machine, least of all when it is written. Paths elsewhere, such as those of the user, stay as they are.
 * @throws as {@link resolveInRoot}
 */
export async function resolveSystemPath(host: HostEnvironment, path: string): Promise<string> {
  if (host.root === undefined) return path;
  const inside = relative(host.root, path);
  return inside === ".." || inside.startsWith("../") ? path : resolveInRoot(host.root, inside);
}

async function readLinkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "EINVAL" || errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw fileError(error, path, "read");
  }
}
