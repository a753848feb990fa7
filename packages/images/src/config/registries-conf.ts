/** registries.conf: where images are fetched from, what short names mean, and where credentials are looked for. Finds, reads and merges the files. */
import { readdir } from "node:fs/promises";
import { basename, isAbsolute, join } from "node:path";
import { PolicyError, SignetError } from "@signet/core";
import { readFileBounded } from "./bounded-file.ts";
import { errnoOf, fileError } from "./file-error.ts";
import { type HostEnvironment, systemPath, userConfigFolder } from "./host-environment.ts";
import { resolveSystemPath } from "./rooted-path.ts";
import type { RegistriesConfFile } from "./registries-conf-file.ts";
import {
  MAX_REGISTRIES,
  type RegistryEntry,
  type ShortNameAlias,
  type ShortNameMode,
  sortByPrefix,
} from "./registry-entry.ts";

/** Bytes of one file. Distributions' files with thousands of short names stay below a tenth of it. */
const MAX_FILE_BYTES = 1024 * 1024;

/** Bytes of all files together. */
const MAX_TOTAL_BYTES = 16 * 1024 * 1024;

/** Drop-in files of all folders together. */
const MAX_DROP_INS = 1_000;

/** The merged configuration. */
export interface RegistriesConf {
  /** Sorted by prefix, each prefix once. */
  readonly registries: readonly RegistryEntry[];
  /** What short names are completed with; undefined when no file says anything about it. */
  readonly searchRegistries: { readonly hosts: readonly string[]; readonly file: string } | undefined;
  readonly shortNameMode: ShortNameMode;
  /** By short name. */
  readonly aliases: ReadonlyMap<string, ShortNameAlias>;
  /** Undefined when no file names any. */
  readonly credentialHelpers: readonly string[] | undefined;
  /** Files read, in the order in which they were merged. */
  readonly files: readonly string[];
  readonly warnings: readonly string[];
}

export interface RegistriesConfOptions {
  /** Read this file and no other: no drop-ins, no override (`--registries-conf`). It must exist. */
  readonly file?: string;
}

/** Nothing configured: every name is fetched from where it points. */
export const emptyRegistriesConf: RegistriesConf = {
  registries: [],
  searchRegistries: undefined,
  shortNameMode: "permissive",
  aliases: new Map(),
  credentialHelpers: undefined,
  files: [],
  warnings: [],
};

/**
 * Loads the configuration as containers/image does since 5.40: the main file (`CONTAINERS_REGISTRIES_CONF`, else the first of the user's, `/etc` and `/usr/share`); then,
 * unless that variable named it, the drop-ins of `registries.conf.d`, of one name only the most important, in the order of their names; then
 * `CONTAINERS_REGISTRIES_CONF_OVERRIDE`. A later file replaces registries of the same prefix and short names one by one, all else as a whole.
 *
 * Of a host with a root folder no link leads out of it. What is then read is the word of another machine: do not run its `credentialHelpers` here.
 * @throws PolicyError `registries-conf-malformed`; StoreError `file-missing` for a file that was named, `file-unreadable`; FormatError `input-too-large`
 */
export async function loadRegistriesConf(
  host: HostEnvironment,
  options: RegistriesConfOptions = {},
): Promise<RegistriesConf> {
  const found = options.file === undefined ? await readImplicitFiles(host) : [await readNamed(options.file)];
  if (found.length === 0) return emptyRegistriesConf;
  // The TOML parser is loaded only where there is TOML.
  const { parseRegistriesConfFile } = await import("./registries-conf-file.ts");
  return merge(found.map(({ path, bytes }) => parseRegistriesConfFile(bytes, path)));
}

/**
 * The `credential-helpers` that count.
 * @returns undefined when no file names any, or the last one to speak of it gave an empty list
 * @throws as {@link loadRegistriesConf}
 */
export async function loadCredentialHelpers(
  host: HostEnvironment,
  options: RegistriesConfOptions = {},
): Promise<readonly string[] | undefined> {
  return (await loadRegistriesConf(host, options)).credentialHelpers;
}

/**
 * Short names that podman recorded when somebody chose at its prompt. They come before the aliases of registries.conf; nothing else in that file counts.
 * @throws as {@link loadRegistriesConf}
 */
export async function loadRecordedAliases(host: HostEnvironment): Promise<ReadonlyMap<string, ShortNameAlias>> {
  const recorded = await readIfThere(host, recordedAliasesPath(host));
  if (recorded === undefined) return new Map();
  const { parseRegistriesConfFile } = await import("./registries-conf-file.ts");
  return parseRegistriesConfFile(recorded.bytes, recorded.path).aliases;
}

function merge(files: readonly RegistriesConfFile[]): RegistriesConf {
  const registries = new Map<string, RegistryEntry>();
  const aliases = new Map<string, ShortNameAlias>();
  let { searchRegistries, shortNameMode, credentialHelpers } = emptyRegistriesConf;
  for (const file of files) {
    for (const entry of file.registries) registries.set(entry.prefix, entry);
    for (const [name, alias] of file.aliases) aliases.set(name, alias);
    if (file.searchRegistries !== undefined) searchRegistries = { hosts: file.searchRegistries, file: file.path };
    shortNameMode = file.shortNameMode ?? shortNameMode;
    credentialHelpers = file.credentialHelpers ?? credentialHelpers;
  }
  if (registries.size > MAX_REGISTRIES) throw tooMany(`${MAX_REGISTRIES} registries in all files of registries.conf`);
  return {
    registries: sortByPrefix(registries.values()),
    searchRegistries,
    shortNameMode,
    aliases,
    // An empty list takes back what an earlier file said.
    credentialHelpers: credentialHelpers?.length === 0 ? undefined : credentialHelpers,
    files: files.map(({ path }) => path),
    warnings: files.flatMap(({ warnings }) => warnings),
  };
}

interface FoundFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

async function readImplicitFiles(host: HostEnvironment): Promise<readonly FoundFile[]> {
  const named = nonEmpty(host.env["CONTAINERS_REGISTRIES_CONF"]);
  const override = nonEmpty(host.env["CONTAINERS_REGISTRIES_CONF_OVERRIDE"]);
  const found: FoundFile[] = named === undefined ? await readSearched(host) : [await readNamed(named)];
  if (override !== undefined) found.push(await readNamed(override));
  return found;
}

async function readSearched(host: HostEnvironment): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  for (const folder of configFolders(host)) {
    const main = await readIfThere(host, join(folder, "registries.conf"));
    if (main === undefined) continue;
    found.push(main);
    break;
  }
  let totalBytes = 0;
  for (const path of await listDropIns(host)) {
    const dropIn = await readIfThere(host, path);
    if (dropIn === undefined) continue;
    found.push(dropIn);
    totalBytes += dropIn.bytes.length;
    if (totalBytes > MAX_TOTAL_BYTES) throw tooMany(`${MAX_TOTAL_BYTES} bytes in registries.conf.d`);
  }
  return found;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** Most important first. */
function configFolders(host: HostEnvironment): readonly string[] {
  const user = userConfigFolder(host);
  const system = ["/etc/containers", "/usr/share/containers"].map((path) => systemPath(host, path));
  return user === undefined ? system : [user, ...system];
}

/** Most important first: the user's folder; those of the system, first what is for this kind of user alone. */
function dropInFolders(host: HostEnvironment): readonly string[] {
  const user = userConfigFolder(host);
  const special =
    host.uid === 0
      ? ["registries.rootful.conf.d"]
      : [`registries.rootless.conf.d/${host.uid}`, "registries.rootless.conf.d"];
  const system = ["/etc/containers", "/usr/share/containers"].flatMap((folder) =>
    [...special, "registries.conf.d"].map((name) => systemPath(host, join(folder, name))),
  );
  return user === undefined ? system : [join(user, "registries.conf.d"), ...system];
}

/** Of files with one name only that of the most important folder counts; all that remain in the order of their names. */
async function listDropIns(host: HostEnvironment): Promise<readonly string[]> {
  const byName = new Map<string, string>();
  for (const folder of dropInFolders(host)) {
    for (const name of await namesIn(resolveSystemPath(host, folder)))
      if (!byName.has(name)) byName.set(name, join(folder, name));
    if (byName.size > MAX_DROP_INS) throw tooMany(`${MAX_DROP_INS} files in registries.conf.d`);
  }
  return [...byName.values()].toSorted((a, b) => (basename(a) < basename(b) ? -1 : 1));
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.name.endsWith(".conf") && !entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw fileError(error, folder, "read", "folder");
  }
}

/** Where podman keeps the short names that were chosen at its prompt. It is read, never written. */
function recordedAliasesPath(host: HostEnvironment): string {
  const name = "containers/short-name-aliases.conf";
  if (host.uid === 0) return systemPath(host, join("/var/cache", name));
  const cache = host.env["XDG_CACHE_HOME"];
  return join(cache !== undefined && isAbsolute(cache) ? cache : join(host.home, ".cache"), name);
}

async function readNamed(path: string): Promise<FoundFile> {
  return { path, bytes: await readFileBounded(path, MAX_FILE_BYTES, "registries.conf") };
}

async function readIfThere(host: HostEnvironment, named: string): Promise<FoundFile | undefined> {
  const path = resolveSystemPath(host, named);
  try {
    return { path, bytes: await readFileBounded(path, MAX_FILE_BYTES, "registries.conf", { regularOnly: true }) };
  } catch (error) {
    if (error instanceof SignetError && error.code === "file-missing") return undefined;
    throw error;
  }
}

function tooMany(what: string): PolicyError {
  return new PolicyError("registries-conf-malformed", `more than ${what}`, {
    hint: "check that this is the configuration of registries",
  });
}
