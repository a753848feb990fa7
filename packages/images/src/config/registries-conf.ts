/** registries.conf, as far as credentials need it: which places they are looked for in, and in what order (registries.conf(5), `credential-helpers`). */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { PolicyError, SignetError } from "@signet/core";
import { readFileBounded } from "./bounded-file.ts";
import { errnoOf, fileError } from "./file-error.ts";
import { type HostEnvironment, systemPath, userConfigFolder } from "./host-environment.ts";

/** Bytes of one file. Distributions' files with thousands of short names stay below a tenth of it. */
const MAX_FILE_BYTES = 1024 * 1024;

/** Drop-in files of all folders together. */
const MAX_DROP_INS = 1_000;

/** Entries of `credential-helpers`: each may be a program to start. */
const MAX_HELPERS = 32;

/**
 * The `credential-helpers` that count: those of the main file (`CONTAINERS_REGISTRIES_CONF`, else the first of the user's, `/etc` and `/usr/share`), replaced by those of any later drop-in of
 * `registries.conf.d` that names some, and by `CONTAINERS_REGISTRIES_CONF_OVERRIDE`. A named main file disables the drop-ins.
 *
 * Not read here: registries, mirrors, short names.
 * @returns undefined when no file names any
 * @throws PolicyError `registries-conf-malformed`; StoreError `file-missing` for a file that a variable names, `file-unreadable`; FormatError `input-too-large`
 */
export async function loadCredentialHelpers(host: HostEnvironment): Promise<readonly string[] | undefined> {
  const named = nonEmpty(host.env["CONTAINERS_REGISTRIES_CONF"]);
  const override = nonEmpty(host.env["CONTAINERS_REGISTRIES_CONF_OVERRIDE"]);
  let helpers: readonly string[] | undefined;
  if (named === undefined) {
    for (const folder of configFolders(host)) {
      const bytes = await readIfThere(join(folder, "registries.conf"));
      if (bytes === undefined) continue;
      helpers = await readHelpers(bytes, join(folder, "registries.conf"));
      break;
    }
    for (const path of await listDropIns(host)) {
      const bytes = await readIfThere(path);
      if (bytes !== undefined) helpers = (await readHelpers(bytes, path)) ?? helpers;
    }
  } else helpers = await readHelpers(await readFileBounded(named, MAX_FILE_BYTES, "registries.conf"), named);
  if (override === undefined) return helpers;
  return (await readHelpers(await readFileBounded(override, MAX_FILE_BYTES, "registries.conf"), override)) ?? helpers;
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

/** Of files with one name only that of the most important folder counts; all that remain in the order of their names. */
async function listDropIns(host: HostEnvironment): Promise<readonly string[]> {
  const byName = new Map<string, string>();
  for (const folder of configFolders(host).map((path) => join(path, "registries.conf.d"))) {
    for (const name of await namesIn(folder)) if (!byName.has(name)) byName.set(name, join(folder, name));
  }
  if (byName.size > MAX_DROP_INS) {
    throw new PolicyError("registries-conf-malformed", `more than ${MAX_DROP_INS} files in registries.conf.d`);
  }
  return [...byName.values()].toSorted((a, b) => (basename(a) < basename(b) ? -1 : 1));
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(".conf"));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw fileError(error, folder, "read", "folder");
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFileBounded(path, MAX_FILE_BYTES, "registries.conf");
  } catch (error) {
    if (error instanceof SignetError && error.code === "file-missing") return undefined;
    throw error;
  }
}

async function readHelpers(bytes: Uint8Array, path: string): Promise<readonly string[] | undefined> {
  // Loaded only where there is such a file.
  const { parse } = await import("smol-toml");
  let helpers: unknown;
  try {
    helpers = parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))["credential-helpers"];
  } catch (cause) {
    const [problem = "it is not TOML"] = cause instanceof Error ? cause.message.split("\n", 1) : [];
    throw new PolicyError("registries-conf-malformed", `${path}: ${problem}`, {
      cause,
      hint: "see registries.conf(5)",
    });
  }
  if (helpers === undefined) return undefined;
  if (!isNameList(helpers) || helpers.length > MAX_HELPERS) {
    throw new PolicyError(
      "registries-conf-malformed",
      `${path}: credential-helpers must be a list of at most ${MAX_HELPERS} names`,
      { hint: 'write credential-helpers = ["containers-auth.json", "NAME"]' },
    );
  }
  return helpers.length === 0 ? undefined : helpers;
}

function isNameList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
