/** The folder that local files of a Butane file are read from (`--files-dir`); nothing outside of it is. */
import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { SignetError } from "@signet/core";
import { fileError, readFileBounded } from "@signet/images";
import { MAX_FILE_BYTES } from "./data-url.ts";

/** Files of one tree. */
const MAX_TREE_FILES = 1000;

/** Folders within each other. */
const MAX_DEPTH = 32;

export interface TreeFile {
  /** With `/`, from the tree's top. */
  readonly path: string;
  readonly content: Uint8Array;
  readonly isExecutable: boolean;
}

/** What cannot be read is reported, and reading goes on. */
export interface LocalFolder {
  read(path: string, report: (problem: string) => void): Promise<Uint8Array | undefined>;
  /** Files below a folder, in the order of their names, folders where they stand among them. */
  walk(path: string, report: (problem: string) => void): AsyncIterable<TreeFile>;
}

const unnamed = "local file paths are relative to a files directory that must be specified with --files-dir";

/** For configurations without local files. */
export const noLocalFolder: LocalFolder = {
  async read(_path, report) {
    report(unnamed);
    return undefined;
  },
  walk(_path, report) {
    report(unnamed);
    return walkNothing();
  },
};

async function* walkNothing(): AsyncGenerator<TreeFile> {
  yield* [];
}

/** Links are followed within the folder, and not out of it. */
export function openLocalFolder(folder: string): LocalFolder {
  return {
    async read(path, report) {
      const place = await find(folder, path, report);
      return place === undefined ? undefined : readReporting(place, report);
    },
    async *walk(path, report) {
      const place = await find(folder, path, report);
      if (place === undefined) return;
      try {
        if (!(await stat(place)).isDirectory()) {
          report("root of tree must be a directory");
          return;
        }
      } catch (error) {
        report(fileError(error, path, "read").message);
        return;
      }
      yield* walkFolder(place, "", { count: 0 }, report);
    },
  };
}

async function find(folder: string, path: string, report: (problem: string) => void): Promise<string | undefined> {
  const isInside = (base: string, place: string): boolean => {
    const inner = relative(base, place);
    return inner !== ".." && !inner.startsWith(`..${sep}`) && !inner.startsWith(sep);
  };
  const base = resolve(folder);
  const place = join(base, path);
  if (path.includes("\0") || !isInside(base, place)) {
    report("local file path traverses outside the files directory");
    return undefined;
  }
  try {
    const [realBase, realPlace] = await Promise.all([realpath(base), realpath(place)]);
    if (isInside(realBase, realPlace)) return place;
    report("a link leads out of the files directory");
  } catch (error) {
    report(fileError(error, path, "read").message);
  }
  return undefined;
}

async function readReporting(place: string, report: (problem: string) => void): Promise<Uint8Array | undefined> {
  try {
    return await readFileBounded(place, MAX_FILE_BYTES, "local file", { regularOnly: true });
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    report(error.message);
    return undefined;
  }
}

async function* walkFolder(
  folder: string,
  prefix: string,
  seen: { count: number },
  report: (problem: string) => void,
): AsyncGenerator<TreeFile> {
  let entries: readonly Dirent[];
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (error) {
    report(fileError(error, folder, "read").message);
    return;
  }
  const byName = (a: Dirent, b: Dirent): number => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
  for (const entry of entries.toSorted(byName)) {
    const place = join(folder, entry.name);
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory()) {
      if (path.split("/").length > MAX_DEPTH) report(`${path}: more than ${MAX_DEPTH} folders within each other`);
      else yield* walkFolder(place, `${path}/`, seen, report);
      continue;
    }
    if (entry.isSymbolicLink()) {
      report(`${path}: links are not supported in this spec version`);
      continue;
    }
    if (!entry.isFile()) {
      report(`${path}: trees may only contain files, directories, and symlinks`);
      continue;
    }
    seen.count++;
    if (seen.count > MAX_TREE_FILES) {
      report(`more than ${MAX_TREE_FILES} files`);
      return;
    }
    const content = await readReporting(place, report);
    if (content !== undefined) yield { path, content, isExecutable: ((await stat(place)).mode & 0o111) !== 0 };
  }
}
