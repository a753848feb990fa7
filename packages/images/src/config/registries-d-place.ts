/** Which registries.d file is edited for a namespace, so that none is ever defined twice. */
import type { Stats } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PolicyError } from "@signet/core";
import { readFileBounded } from "./bounded-file.ts";
import type { FileChange } from "./file-change.ts";
import { errnoOf, fileError } from "./file-error.ts";
import type { HostEnvironment } from "./host-environment.ts";
import { MAX_REGISTRIES_D_FILES, implicitRegistriesDFolders } from "./registries-d.ts";
import { type StoreChange, removeRegistriesDSection, sectionOf, setRegistriesDSection } from "./registries-d-edit.ts";
import {
  MAX_REGISTRIES_D_FILE_BYTES,
  type RegistriesDFile,
  type RegistriesDSection,
  parseRegistriesDFile,
} from "./registries-d-file.ts";
import { followTreePath, pathInTree } from "./tree-path.ts";

/** One folder of the search, most important first. */
interface Folder {
  /** For people. */
  readonly path: string;
  /** Without symbolic links. */
  readonly target: string;
  readonly exists: boolean;
}

interface Entry {
  readonly name: string;
  /** Position of its folder. */
  readonly rank: number;
  readonly path: string;
  readonly target: string;
  readonly stats: Stats;
  readonly isVendors: boolean;
  readonly bytes: Uint8Array;
  readonly file: RegistriesDFile;
  /** False: a file of the same name in a more important folder is read in its place. */
  readonly counts: boolean;
}

/** All registries.d files of a host, and the folder that edits go to. */
export interface RegistriesDFolders {
  readonly folders: readonly Folder[];
  readonly entries: readonly Entry[];
  /** Position of the folder that new files go to. */
  readonly home: number;
}

/** The folder of the administrator. */
const SYSTEM_FOLDER = "/etc/containers/registries.d";

/**
 * Reads all registries.d files for editing.
 * @param directory the only folder (`--registries.d`); taken literally
 * @param home whose folder edits go to when none is named
 * @throws PolicyError `registries-d-malformed`; StoreError `file-unreadable`, `file-missing` for links that lead nowhere
 */
export async function readRegistriesDFolders(
  host: HostEnvironment,
  directory: string | undefined,
  home: "user" | "system",
): Promise<RegistriesDFolders> {
  const root = directory === undefined ? host.root : undefined;
  const { root: _, ...inTree } = host;
  const paths = directory === undefined ? implicitRegistriesDFolders(inTree) : [resolve(directory)];
  const shown = directory === undefined ? implicitRegistriesDFolders(host) : [directory];
  const folders: Folder[] = [];
  const entries: Entry[] = [];
  for (const [rank, path] of paths.entries()) {
    // A user's folder is never below the root.
    const base = shown[rank] === path ? undefined : root;
    const place = await followTreePath(path, base);
    folders.push({ path: shown[rank]!, target: place.path, exists: place.stats !== undefined });
    if (place.stats === undefined) continue;
    for (const name of await listYamlFiles(place.path, shown[rank]!)) {
      if (entries.length === MAX_REGISTRIES_D_FILES) {
        throw new PolicyError("registries-d-malformed", `${shown[rank]}: more than ${MAX_REGISTRIES_D_FILES} files`);
      }
      const counts = !entries.some((entry) => entry.name === name);
      const entry = await readEntry(name, rank, join(path, name), join(shown[rank]!, name), base, counts);
      if (entry !== undefined) entries.push(entry);
    }
  }
  const position = home === "user" || directory !== undefined ? 0 : paths.indexOf(SYSTEM_FOLDER);
  return { folders, entries, home: position };
}

async function listYamlFiles(folder: string, shown: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(".yaml")).sort();
  } catch (error) {
    throw fileError(error, shown, "read", errnoOf(error) === "ENOTDIR" ? "" : "directory");
  }
}

async function readEntry(
  name: string,
  rank: number,
  inTree: string,
  path: string,
  root: string | undefined,
  counts: boolean,
): Promise<Entry | undefined> {
  const { path: target, stats } = await followTreePath(inTree, root);
  if (stats === undefined || stats.isDirectory()) return undefined;
  const bytes = await readFileBounded(target, MAX_REGISTRIES_D_FILE_BYTES, "registries.d file", { regularOnly: true });
  const real = root === undefined ? target : (pathInTree(target, root) ?? target);
  const file = parseRegistriesDFile(bytes, path);
  return { name, rank, path, target, stats, isVendors: real.startsWith("/usr/share/"), bytes, file, counts };
}

/** The section of a namespace (undefined: `default-docker`) in the files that count. */
export function findSection(
  folders: RegistriesDFolders,
  namespace: string | undefined,
): RegistriesDSection | undefined {
  const entry = definingEntry(folders, namespace);
  return entry === undefined ? undefined : sectionOf(entry.file, namespace);
}

/**
 * What has to change for a section to say what is asked: the file that defines the namespace, else the one named after it. A file of a less important folder, such as the
 * vendor's, is not touched: one of the same name takes its place.
 * @returns undefined when it is so already
 * @throws PolicyError `registries-d-malformed`, also for a namespace that two files define
 */
export function planSectionChange(
  folders: RegistriesDFolders,
  namespace: string | undefined,
  change: StoreChange,
): FileChange | undefined {
  const name = fileNameFor(namespace);
  const entry =
    definingEntry(folders, namespace) ?? folders.entries.find((other) => other.counts && other.name === name);
  if (entry === undefined) {
    const folder = folders.folders[folders.home]!;
    const path = join(folder.path, name);
    const after = setRegistriesDSection(undefined, path, namespace, change);
    return { path, target: join(folder.target, name), stats: undefined, before: undefined, after };
  }
  return changeEntry(folders, entry, setRegistriesDSection(entry.bytes, entry.path, namespace, change));
}

/**
 * What has to change for a section to be gone. A file that holds nothing else goes with it, unless a less important one of its name would come back.
 * @returns undefined when there is no such section
 * @throws as {@link planSectionChange}
 */
export function planSectionRemoval(folders: RegistriesDFolders, namespace: string | undefined): FileChange | undefined {
  const entry = definingEntry(folders, namespace);
  if (entry === undefined) return undefined;
  const after = removeRegistriesDSection(entry.bytes, entry.path, namespace);
  const hides = folders.entries.some((other) => other.name === entry.name && other !== entry);
  const isOurs = entry.rank <= folders.home && !entry.isVendors;
  if (after === undefined && isOurs && !hides) return { ...asChange(entry), after: undefined };
  return changeEntry(folders, entry, after ?? new TextEncoder().encode("docker: {}\n"));
}

function changeEntry(folders: RegistriesDFolders, entry: Entry, after: Uint8Array): FileChange | undefined {
  if (after === entry.bytes) return undefined;
  if (entry.rank <= folders.home && !entry.isVendors) return { ...asChange(entry), after };
  const folder = folders.folders[Math.min(entry.rank, folders.home)]!;
  return {
    path: join(folder.path, entry.name),
    target: join(folder.target, entry.name),
    stats: undefined,
    before: undefined,
    after,
    copiedFrom: { path: entry.path, bytes: entry.bytes },
  };
}

function asChange({ path, target, stats, bytes }: Entry): Omit<FileChange, "after"> {
  return { path, target, stats, before: bytes };
}

function definingEntry(folders: RegistriesDFolders, namespace: string | undefined): Entry | undefined {
  const [entry, second] = folders.entries.filter(
    ({ counts, file }) => counts && sectionOf(file, namespace) !== undefined,
  );
  if (entry === undefined || second === undefined) return entry;
  const what = namespace === undefined ? "default-docker" : `docker namespace ${JSON.stringify(namespace)}`;
  throw new PolicyError("registries-d-malformed", `${what} defined both in ${entry.path} and ${second.path}`, {
    hint: "keep one of the two; files are merged, they do not override each other",
  });
}

/** As atomic names them: `registry.example.com-team.yaml`. */
function fileNameFor(namespace: string | undefined): string {
  if (namespace === undefined) return "default.yaml";
  const name = namespace.replace(/^\*\./, "wildcard.").replaceAll(/[/@]/g, "-");
  return `${name.slice(0, MAX_FILE_NAME_LENGTH)}.yaml`;
}

/** Characters: what file systems take for a name, less room for the extension, `.bak` and a temporary name. */
const MAX_FILE_NAME_LENGTH = 200;
