/**
 * Paths of another machine whose files lie below a folder here: for reading. Nothing is said of what stands there, a missing file or a link that leads nowhere is left to
 * whoever opens it, and nothing is awaited. Commands that write follow links by `tree-path.ts`, which is strict about them.
 */
import { lstatSync, readlinkSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { StoreError } from "@signet/core";
import type { HostEnvironment } from "./host-environment.ts";

/** Symbolic links followed for one path; what Linux allows. */
const MAX_LINKS = 40;

/**
 * Where the file lies here that the other machine calls `path`. Symbolic links are followed as they would be there: an absolute one starts at the tree's own
 * root, and `..` never leads out of it. What does not exist is not an error here.
 * @param root folder of the tree
 * @param path absolute, or relative to the tree's root
 * @throws StoreError `file-unreadable` for links without end
 */
export function resolveInTree(root: string, path: string): string {
  let wanted = resolve("/", path);
  for (let links = 0; links <= MAX_LINKS; links++) {
    const link = firstLink(root, wanted);
    if (link === undefined) return join(root, wanted);
    wanted = resolve(dirname(link.path), link.target, `.${link.rest}`);
  }
  throw new StoreError("file-unreadable", `${path} below ${root}: too many levels of symbolic links`, {
    side: "local",
  });
}

/** The first component of a path that is a symbolic link, with what stands behind it. */
function firstLink(
  root: string,
  path: string,
): { readonly path: string; readonly target: string; readonly rest: string } | undefined {
  const names = path.split("/").filter((name) => name !== "");
  let reached = "";
  for (const name of names) {
    reached += `/${name}`;
    const here = join(root, reached);
    try {
      if (!lstatSync(here).isSymbolicLink()) continue;
    } catch {
      return undefined;
    }
    return { path: reached, target: readlinkSync(here), rest: path.slice(reached.length) };
  }
  return undefined;
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
