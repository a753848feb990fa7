/** Paths of another machine whose files lie below a folder here: a node's or an image's file tree. */
import { lstatSync, readlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { StoreError } from "@signet/core";
import { folderLookasideBase, parseLookasideBase } from "../stores/lookaside-url.ts";
import type { LookasideKey, Located, RegistriesDSection } from "./registries-d-file.ts";
import type { RegistriesD } from "./registries-d.ts";

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
  throw new StoreError("file-unreadable", `${path} below ${root}: too many symbolic links`, { side: "local" });
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

/** A configuration of the other machine, its folders below `tree`: the built-in one, and those that `file:` URLs name. */
export function placeInTree(config: RegistriesD, tree: string): RegistriesD {
  // A file: URL holds a whole path.
  const root = resolve(tree);
  const place = (section: RegistriesDSection): RegistriesDSection => ({ ...section, urls: placeUrls(section, root) });
  return {
    ...config,
    sections: new Map([...config.sections].map(([namespace, section]) => [namespace, place(section)])),
    defaultSection: config.defaultSection === undefined ? undefined : place(config.defaultSection),
    builtinFolder: resolveInTree(root, config.builtinFolder),
  };
}

function placeUrls(section: RegistriesDSection, root: string): RegistriesDSection["urls"] {
  const urls: Partial<Record<LookasideKey, Located<string>>> = {};
  for (const [key, url] of Object.entries(section.urls) as [LookasideKey, Located<string>][]) {
    const folder = isFileUrl(url.value) ? parseLookasideBase(url.value, section.file).folder : undefined;
    urls[key] = folder === undefined ? url : { ...url, value: fileUrl(resolveInTree(root, folder)) };
  }
  return urls;
}

function isFileUrl(text: string): boolean {
  return text.slice(0, 5).toLowerCase() === "file:";
}

function fileUrl(folder: string): string {
  const { path } = folderLookasideBase(folder);
  return `file://${path.split("/").map(encodeURIComponent).join("/")}`;
}
