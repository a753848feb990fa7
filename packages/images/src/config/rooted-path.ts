/**
 * Paths of another machine whose files lie below a folder here: for reading. Nothing is said of what stands there, a missing file or a link that leads nowhere is left to
 * whoever opens it, and nothing is awaited. Commands that write follow links by `tree-path.ts`, which is strict about them.
 */
import { lstatSync, readlinkSync } from "node:fs";
import { relative } from "node:path";
import { StoreError } from "@signet/core";
import type { HostEnvironment } from "./host-environment.ts";
import { LinkWalk } from "./link-walk.ts";

/**
 * Where the file lies here that the other machine calls `path`. Symbolic links are followed as they would be there, one part of the path after the other: an absolute one
 * starts at the tree's own root, and `..` goes up from where the links before it led, and never out of the tree. What does not exist is not an error here.
 * @param root folder of the tree
 * @param path absolute, or relative to the tree's root
 * @throws StoreError `file-unreadable` for links without end
 */
export function resolveInTree(root: string, path: string): string {
  const walk = new LinkWalk(root, path);
  for (let place = walk.next(); place !== undefined; place = walk.next()) {
    const target = readLink(place);
    if (target === undefined) {
      walk.stay();
    } else if (!walk.follow(target)) {
      throw new StoreError("file-unreadable", `${path} below ${root}: too many levels of symbolic links`, {
        side: "local",
      });
    }
  }
  return walk.place;
}

/** What a symbolic link says; undefined for anything else, and for nothing. */
function readLink(location: string): string | undefined {
  try {
    return lstatSync(location).isSymbolicLink() ? readlinkSync(location) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Where a path of the tree lies on this machine; see {@link resolveInTree}.
 * @param root undefined for this machine itself: the path is returned as it is
 * @throws StoreError `file-unreadable`
 */
export function resolveInRoot(root: string | undefined, path: string): string {
  return root === undefined ? path : resolveInTree(root, path);
}

/**
 * Where a configuration file that `systemPath` put below the host's root folder really lies in it: a link in somebody else's tree must never lead to a file of this
 * machine, least of all when it is written. Paths elsewhere, such as those of the user, stay as they are.
 * @throws as {@link resolveInRoot}
 */
export function resolveSystemPath(host: HostEnvironment, path: string): string {
  if (host.root === undefined) return path;
  const inside = relative(host.root, path);
  return inside === ".." || inside.startsWith("../") ? path : resolveInTree(host.root, inside);
}
