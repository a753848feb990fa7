/** The signature stores of another machine whose files lie below a folder here: a node's or an image's file tree. */
import { resolve } from "node:path";
import { folderLookasideBase, parseLookasideBase } from "../stores/lookaside-url.ts";
import type { LookasideKey, Located, RegistriesDSection } from "./registries-d-file.ts";
import type { RegistriesD } from "./registries-d.ts";
import { resolveInTree } from "./rooted-path.ts";

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
