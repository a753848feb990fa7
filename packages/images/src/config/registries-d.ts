/** registries.d: where the signatures of which images are kept. Finds, reads and merges the files (registries.d, section 1). */
import type { Stats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { PolicyError } from "@signet/core";
import { readFileBounded } from "./bounded-file.ts";
import { errnoOf, fileError } from "./file-error.ts";
import { type HostEnvironment, systemPath, userConfigFolder } from "./host-environment.ts";
import { resolveSystemPath } from "./rooted-path.ts";
import type { RegistriesDFile, RegistriesDSection } from "./registries-d-file.ts";

/** Files read from all directories together. Distributions ship a handful; a folder with more is not a registries.d folder. */
export const MAX_REGISTRIES_D_FILES: number = 1000;

/** Bytes read from all files together. */
const MAX_TOTAL_BYTES = 16 * 1024 * 1024;

/** The merged configuration. */
export interface RegistriesD {
  /** By namespace. */
  readonly sections: ReadonlyMap<string, RegistriesDSection>;
  readonly defaultSection: RegistriesDSection | undefined;
  /** Folder used where nothing is configured. */
  readonly builtinFolder: string;
  /** Files read, in the order in which they were merged. */
  readonly files: readonly string[];
  /** Folders that were looked for, most important first. */
  readonly folders: readonly string[];
  readonly warnings: readonly string[];
}

export interface RegistriesDOptions {
  readonly host: HostEnvironment;
  /** Read only this directory (`--registries.d`). Taken literally. */
  readonly directory?: string;
}

/**
 * Loads the configuration. With `directory`, from there alone; otherwise from the user's folder, then the system's for this kind of user, as containers/image
 * does since 5.40: of files with one name only that of the most important folder counts, and all that remain are merged. A folder that does not exist is
 * an empty one.
 *
 * @throws PolicyError `registries-d-malformed` for a file that does not parse and for a namespace that two files define; StoreError `file-unreadable`;
 *   FormatError `input-too-large`
 */
export async function loadRegistriesD(options: RegistriesDOptions): Promise<RegistriesD> {
  const { host, directory } = options;
  const folders = directory === undefined ? implicitRegistriesDFolders(host) : [directory];
  const warnings: string[] = [];
  const paths = await listFiles(folders, directory === undefined ? host : undefined);
  if (directory !== undefined && paths === undefined)
    warnings.push(`${directory}: no such directory; nothing is configured`);

  const sections = new Map<string, RegistriesDSection>();
  let defaultSection: RegistriesDSection | undefined;
  for await (const file of parseFiles(paths ?? [])) {
    warnings.push(...file.warnings);
    if (file.defaultSection !== undefined) {
      if (defaultSection !== undefined) throw definedTwice("default-docker", defaultSection, file.defaultSection);
      defaultSection = file.defaultSection;
    }
    for (const section of file.sections) {
      const namespace = section.namespace ?? "";
      const earlier = sections.get(namespace);
      if (earlier !== undefined) throw definedTwice(`docker namespace ${JSON.stringify(namespace)}`, earlier, section);
      sections.set(namespace, section);
    }
  }
  return { sections, defaultSection, builtinFolder: builtinFolder(host), files: paths ?? [], folders, warnings };
}

async function* parseFiles(paths: readonly string[]): AsyncGenerator<RegistriesDFile, void, undefined> {
  if (paths.length === 0) return;
  // The YAML parser is loaded only where there is YAML.
  const { MAX_REGISTRIES_D_FILE_BYTES, parseRegistriesDFile } = await import("./registries-d-file.ts");
  let totalBytes = 0;
  for (const path of paths) {
    const bytes = await readFileBounded(path, MAX_REGISTRIES_D_FILE_BYTES, "registries.d file", { regularOnly: true });
    totalBytes += bytes.length;
    if (totalBytes > MAX_TOTAL_BYTES)
      throw problem(path, `the files of registries.d are larger than ${MAX_TOTAL_BYTES} bytes together`);
    yield parseRegistriesDFile(bytes, path);
  }
}

/** The folders that are read when none is named, most important first. */
export function implicitRegistriesDFolders(host: HostEnvironment): string[] {
  const user = userConfigFolder(host);
  const folders = user === undefined ? [] : [join(user, "registries.d")];
  for (const system of ["/etc/containers", "/usr/share/containers"]) {
    const names =
      host.uid === 0
        ? ["registries.rootful.d", "registries.d"]
        : [`registries.rootless.d/${host.uid}`, "registries.rootless.d", "registries.d"];
    for (const name of names) folders.push(systemPath(host, join(system, name)));
  }
  return folders;
}

/**
 * `*.yaml` of all folders, one path a file name, in byte order of the names; undefined when none of the folders exists.
 * @param host whose root folder no link leads out of; undefined for a folder that was named, which is taken literally
 */
async function listFiles(folders: readonly string[], host: HostEnvironment | undefined): Promise<string[] | undefined> {
  const resolvePath = (path: string): string => (host === undefined ? path : resolveSystemPath(host, path));
  const byName = new Map<string, string>();
  let exists = false;
  for (const named of folders) {
    const folder = resolvePath(named);
    let names: string[];
    try {
      names = await readdir(folder);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") continue;
      throw fileError(error, folder, "read", "directory");
    }
    exists = true;
    for (const name of names) {
      if (!name.endsWith(".yaml") || byName.has(name)) continue;
      const path = resolvePath(join(folder, name));
      if ((await statFile(path)).isDirectory()) continue;
      byName.set(name, path);
      if (byName.size > MAX_REGISTRIES_D_FILES) throw problem(folder, `more than ${MAX_REGISTRIES_D_FILES} files`);
    }
  }
  if (!exists) return undefined;
  return [...byName.keys()]
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map((name) => byName.get(name)!);
}

async function statFile(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    throw fileError(error, path, "read", "registries.d file");
  }
}

/** Where signatures of images lie that no section speaks of. */
function builtinFolder(host: HostEnvironment): string {
  return host.uid === 0 ? "/var/lib/containers/sigstore" : join(host.home, ".local/share/containers/sigstore");
}

function definedTwice(what: string, first: RegistriesDSection, second: RegistriesDSection): PolicyError {
  return new PolicyError(
    "registries-d-malformed",
    `${what} defined both in ${first.file}:${first.line} and ${second.file}:${second.line}`,
    {
      hint: "keep one of the two; files are merged, they do not override each other",
      path: what,
      details: { files: [first.file, second.file] },
    },
  );
}

function problem(place: string, text: string): PolicyError {
  return new PolicyError("registries-d-malformed", `${place}: ${text}`, {
    hint: "check that this is a registries.d folder",
  });
}
