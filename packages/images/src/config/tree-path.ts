/**
 * Where a path of a file tree leads, when the tree is this machine's or the root folder of another: for commands that are about to write there. They need to know what
 * stands at the end and whether a link led to it, and a link that leads nowhere is an error. Reading, where what is missing is no error and key files are read without
 * awaiting, is the matter of `rooted-path.ts`.
 */
import { lstat, readlink } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import type { Stats } from "node:fs";
import { StoreError } from "@signet/core";
import { errnoOf, fileError } from "./file-error.ts";
import { LinkWalk } from "./link-walk.ts";

/** The end of a path. */
export interface TreePlace {
  /** Absolute, on this machine, without symbolic links. */
  readonly path: string;
  /** What stands there; undefined when nothing does. */
  readonly stats: Stats | undefined;
  /** True: a symbolic link was followed on the way. */
  readonly viaLink: boolean;
}

/**
 * Follows `path` with all symbolic links in it. Below `root` they mean what they mean to the system that lives there: an absolute one starts at `root`, and no `..`
 * leads out of it; so a tree never makes us read or write a file of this machine.
 *
 * Not checked: whether somebody changes the tree at the same time.
 * @param path absolute, as the system that lives in the tree sees it; without `root` a path of this machine
 * @returns `stats` undefined for a path that does not exist and that no link leads to
 * @throws StoreError `file-missing` for a link that leads nowhere, `file-unreadable` for one that goes round in circles
 */
export async function followTreePath(path: string, root: string | undefined): Promise<TreePlace> {
  const walk = new LinkWalk(root === undefined ? "/" : resolve(root), path);
  // That the root itself can be looked at.
  await lookAt(walk.place, path);
  for (let next = walk.next(); next !== undefined; next = walk.next()) {
    const stats = await lookAt(next, path);
    if (stats === undefined) {
      if (walk.isInLink) throw dangling(path, next);
      return { path: join(next, ...walk.rest), stats: undefined, viaLink: walk.hasFollowed };
    }
    if (!stats.isSymbolicLink()) walk.stay();
    else if (!walk.follow(await readlink(next)))
      throw fileError(Object.assign(new Error(), { code: "ELOOP" }), path, "read");
  }
  return { path: walk.place, stats: await lookAt(walk.place, path), viaLink: walk.hasFollowed };
}

/** The path as the system below `root` sees it; undefined when it is outside. */
export function pathInTree(path: string, root: string): string | undefined {
  const inside = relative(resolve(root), resolve(path));
  return inside === ".." || inside.startsWith("../") ? undefined : `/${inside}`;
}

async function lookAt(path: string, asked: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw fileError(error, asked, "read");
  }
}

function dangling(path: string, missing: string): StoreError {
  return new StoreError(
    "file-missing",
    `cannot follow ${path}: a symbolic link in it leads to ${missing}, which does not exist`,
    {
      side: "local",
      hint: "remove the link, or make what it points to",
    },
  );
}
