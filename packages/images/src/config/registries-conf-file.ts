/** One registries.conf file, version 2 (containers-registries.conf(5)): TOML to checked values. Finding and merging files is registries-conf.ts. */
import { PolicyError, SignetError, parseReference, referenceName } from "@signet/core";
import { parse } from "smol-toml";
import {
  MAX_REGISTRIES,
  type MirrorUse,
  type RegistryEntry,
  type RegistryMirror,
  type ShortNameAlias,
  type ShortNameMode,
  hasHost,
  isWildcard,
  sortByPrefix,
} from "./registry-entry.ts";

/** Mirrors of one registry: each is a registry to be asked before an image counts as missing. */
const MAX_MIRRORS = 64;

/** Short names of one file. The list that distributions share has a few hundred. */
const MAX_ALIASES = 100_000;

/** Entries of `credential-helpers`: each may be a program to start. */
const MAX_HELPERS = 32;

/** Entries of `unqualified-search-registries`. */
const MAX_SEARCH_REGISTRIES = 64;

/** Characters of a prefix or location, as of a reference's name. */
const MAX_PLACE_LENGTH = 255;

/** Unknown keys that are named; a file of another kind has hundreds. */
const MAX_UNKNOWN_KEYS = 20;

/** What one file says; undefined where it says nothing. */
export interface RegistriesConfFile {
  readonly path: string;
  /** Sorted by prefix, each prefix once. */
  readonly registries: readonly RegistryEntry[];
  readonly searchRegistries: readonly string[] | undefined;
  readonly shortNameMode: ShortNameMode | undefined;
  readonly credentialHelpers: readonly string[] | undefined;
  readonly aliases: ReadonlyMap<string, ShortNameAlias>;
  readonly warnings: readonly string[];
}

const topKeys = [
  "registry",
  "unqualified-search-registries",
  "short-name-mode",
  "credential-helpers",
  "aliases",
  "additional-layer-store-auth-helper",
];
const registryKeys = ["prefix", "location", "insecure", "blocked", "mirror-by-digest-only", "mirror"];
const mirrorKeys = ["location", "insecure", "pull-from-mirror"];
const mirrorUses: readonly string[] = ["all", "digest-only", "tag-only"] satisfies readonly MirrorUse[];
const shortNameModes: readonly string[] = ["enforcing", "permissive", "disabled"] satisfies readonly ShortNameMode[];

type Table = Readonly<Record<string, unknown>>;

/**
 * Parses one file. Keys that are not known are named in a warning, as the reference passes them over in silence; a known key in another case is refused, because
 * the reference takes it.
 * @throws PolicyError `registries-conf-malformed`, also for version 1 of the format
 */
export function parseRegistriesConfFile(bytes: Uint8Array, path: string): RegistriesConfFile {
  return new FileReader(path).read(parseToml(bytes, path));
}

function parseToml(bytes: Uint8Array, path: string): Table {
  try {
    return parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    const [problem = "it is not TOML"] = cause instanceof Error ? cause.message.split("\n", 1) : [];
    const line = cause instanceof Error && "line" in cause && typeof cause.line === "number" ? `:${cause.line}` : "";
    throw new PolicyError("registries-conf-malformed", `${path}${line}: ${problem}`, {
      cause,
      hint: "see containers-registries.conf(5)",
    });
  }
}

class FileReader {
  readonly #path: string;
  readonly #warnings: string[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  read(document: Table): RegistriesConfFile {
    if ("registries" in document) throw this.#isVersion1(document);
    this.#checkKeys(document, topKeys, "");
    return {
      path: this.#path,
      registries: this.#readRegistries(document["registry"]),
      searchRegistries: this.#readSearchRegistries(document["unqualified-search-registries"]),
      shortNameMode: this.#readShortNameMode(document["short-name-mode"]),
      credentialHelpers: this.#readList(document["credential-helpers"], "credential-helpers", MAX_HELPERS),
      aliases: this.#readAliases(document["aliases"]),
      warnings: this.#warnings,
    };
  }

  #isVersion1(document: Table): PolicyError {
    const isMixed = topKeys.some((key) => key in document);
    return this.#problem(
      isMixed
        ? "it mixes version 1 ([registries.search] and its like) with version 2 of the format"
        : "it is in version 1 of the format ([registries.search], [registries.insecure], [registries.block]), which is no longer read",
      "write registries.search as unqualified-search-registries = […], and for each of the others a [[registry]] table with location and insecure = true or blocked = true",
    );
  }

  #readRegistries(value: unknown): readonly RegistryEntry[] {
    const tables = this.#tables(value, "registry", MAX_REGISTRIES);
    const entries = tables.map((table, index) => this.#readRegistry(table, `registry[${index}]`));
    this.#refuseContradictions(entries);
    const byPrefix = new Map<string, RegistryEntry>();
    for (const entry of entries) {
      if (byPrefix.has(entry.prefix))
        this.#warn(`the prefix ${shown(entry.prefix)} is there more than once; the first one counts`);
      else byPrefix.set(entry.prefix, entry);
    }
    return sortByPrefix(byPrefix.values());
  }

  #readRegistry(table: Table, at: string): RegistryEntry {
    if ("pull-from-mirror" in table)
      throw this.#problem(
        `${at}: pull-from-mirror belongs into a [[registry.mirror]] table`,
        "move it there, or use mirror-by-digest-only",
      );
    this.#checkKeys(table, registryKeys, `${at}.`);
    const location = this.#readLocation(table["location"], `${at}.location`);
    const prefix = this.#readPrefix(table["prefix"], `${at}.prefix`) ?? location;
    if (prefix === undefined) throw this.#problem(`${at}: neither location nor prefix is set`, "name the registry");
    if (location === undefined && !isWildcard(prefix))
      throw this.#problem(
        `${at}: location is not set, and prefix ${shown(prefix)} is not of the form *.example.com`,
        "set location; it may be equal to prefix",
      );
    const byDigestOnly = this.#readFlag(table["mirror-by-digest-only"], `${at}.mirror-by-digest-only`);
    return {
      prefix,
      location,
      insecure: this.#readFlag(table["insecure"], `${at}.insecure`),
      blocked: this.#readFlag(table["blocked"], `${at}.blocked`),
      mirrors: this.#tables(table["mirror"], `${at}.mirror`, MAX_MIRRORS).map((mirror, index) =>
        this.#readMirror(mirror, `${at}.mirror[${index}]`, byDigestOnly),
      ),
      file: this.#path,
    };
  }

  #readMirror(table: Table, at: string, byDigestOnly: boolean): RegistryMirror {
    this.#checkKeys(table, mirrorKeys, `${at}.`);
    const location = this.#readLocation(table["location"], `${at}.location`);
    if (location === undefined) throw this.#problem(`${at}: the mirror's location is not set`, "name the mirror");
    const use = this.#readText(table["pull-from-mirror"], `${at}.pull-from-mirror`);
    if (use !== undefined && byDigestOnly)
      throw this.#problem(
        `${at}: pull-from-mirror and the registry's mirror-by-digest-only cannot be set together`,
        'leave mirror-by-digest-only out and write pull-from-mirror = "digest-only" for each mirror',
      );
    if (use !== undefined && !isMirrorUse(use))
      throw this.#problem(`${at}.pull-from-mirror is ${shown(use)}`, `use ${mirrorUses.join(", ")}`);
    const insecure = this.#readFlag(table["insecure"], `${at}.insecure`);
    return { location, insecure, use: byDigestOnly ? "digest-only" : (use ?? "all") };
  }

  /** The same place cannot be both; the reference refuses it as well. */
  #refuseContradictions(entries: readonly RegistryEntry[]): void {
    const byPlace = new Map<string, RegistryEntry>();
    for (const entry of entries) {
      const place = entry.location ?? entry.prefix;
      const other = byPlace.get(place) ?? entry;
      byPlace.set(place, other);
      for (const key of ["insecure", "blocked"] as const) {
        if (entry[key] !== other[key])
          throw this.#problem(
            `registry ${shown(place)} is defined several times with different values of ${key}`,
            "give all of them the same value",
          );
      }
    }
  }

  #readSearchRegistries(value: unknown): readonly string[] | undefined {
    const key = "unqualified-search-registries";
    return this.#readList(value, key, MAX_SEARCH_REGISTRIES)?.map((entry) => {
      const host = entry.replace(/\/+$/, "");
      // A single label would be read as a path on docker.io.
      if (!isPlace(host) || !hasHost(`${host}/x`) || host.includes("/"))
        throw this.#problem(`${key}: ${shown(entry)} is not a registry`, "write host or host:port, without a path");
      return host;
    });
  }

  #readShortNameMode(value: unknown): ShortNameMode | undefined {
    const mode = this.#readText(value, "short-name-mode");
    if (mode === undefined || isShortNameMode(mode)) return mode;
    throw this.#problem(`short-name-mode is ${shown(mode)}`, `use ${shortNameModes.join(", ")}`);
  }

  #readAliases(value: unknown): ReadonlyMap<string, ShortNameAlias> {
    const aliases = new Map<string, ShortNameAlias>();
    if (value === undefined) return aliases;
    if (!isTable(value))
      throw this.#problem("aliases is not a table", 'write [aliases] and lines "name" = "host/path"');
    const entries = Object.entries(value);
    if (entries.length > MAX_ALIASES)
      throw this.#problem(`more than ${MAX_ALIASES} aliases`, "keep those that are used");
    for (const [name, target] of entries) {
      if (typeof target !== "string")
        throw this.#problem(
          `aliases: ${shown(name)} is not a text`,
          'write "name" = "host/path"; quote names with dots',
        );
      if (!isShortRepository(name))
        throw this.#problem(
          `aliases: ${shown(name)} is not a short name`,
          "a short name is a repository without host, tag and digest",
        );
      aliases.set(name, { repository: target === "" ? undefined : this.#readTarget(name, target), file: this.#path });
    }
    return aliases;
  }

  #readTarget(name: string, target: string): string {
    const problem = (why: string): PolicyError =>
      this.#problem(
        `aliases: ${shown(name)} leads to ${shown(target)}: ${why}`,
        "write host/path, without tag and digest",
      );
    if (!hasHost(target)) throw problem("it has no host");
    try {
      const reference = parseReference(target);
      if (reference.tag !== undefined || reference.digest !== undefined) throw problem("it has a tag or digest");
      return referenceName(reference);
    } catch (error) {
      if (error instanceof SignetError && error.code === "reference-malformed") throw problem(error.message);
      throw error;
    }
  }

  #readLocation(value: unknown, at: string): string | undefined {
    const text = this.#readText(value, at)?.replace(/\/+$/, "");
    if (text === undefined || text === "") return undefined;
    if (!isPlace(text)) throw this.#notAPlace(at, text);
    return text;
  }

  #readPrefix(value: unknown, at: string): string | undefined {
    const text = this.#readText(value, at)?.replace(/\/+$/, "");
    if (text === undefined || text === "") return undefined;
    if (text.includes("*")) {
      if (isWildcard(text) && isPlace(text.slice(2)) && !/[/:]/.test(text)) return text;
      throw this.#problem(
        `${at} ${shown(text)}: a wildcard stands for the first labels of a host, alone`,
        "write *.example.com, without port and path",
      );
    }
    const bare = withoutTagAndDigest(text);
    if (bare === undefined || !isPlace(bare)) throw this.#notAPlace(at, text);
    if (bare !== text)
      this.#warn(`${at} ${shown(text)} fits no image: prefixes are compared with names without tag and digest`);
    return text;
  }

  #notAPlace(at: string, text: string): PolicyError {
    const hint = /^[a-z]+:\/\//i.test(text)
      ? "leave the scheme out; insecure = true allows http"
      : "write host, host:port or host/path, with a lower-case path";
    return this.#problem(`${at} ${shown(text)} is not the beginning of an image name`, hint);
  }

  #readFlag(value: unknown, at: string): boolean {
    if (value === undefined) return false;
    if (typeof value !== "boolean") throw this.#problem(`${at} is not a truth value`, "write true or false");
    return value;
  }

  #readText(value: unknown, at: string): string | undefined {
    if (value === undefined || value === "") return undefined;
    if (typeof value !== "string") throw this.#problem(`${at} is not a text`, "put it in quotes");
    return value;
  }

  #readList(value: unknown, at: string, maximum: number): readonly string[] | undefined {
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.length <= maximum && value.every((item) => typeof item === "string"))
      return value;
    throw this.#problem(`${at} must be a list of at most ${maximum} names`, `write ${at} = ["NAME", "NAME"]`);
  }

  #tables(value: unknown, at: string, maximum: number): readonly Table[] {
    if (value === undefined) return [];
    if (!Array.isArray(value) || !value.every(isTable))
      throw this.#problem(`${at} is not a list of tables`, `write [[${at.replaceAll(/\[\d+\]/g, "")}]]`);
    if (value.length > maximum) throw this.#problem(`${at}: more than ${maximum} tables`, "keep those that are used");
    return value;
  }

  #checkKeys(table: Table, known: readonly string[], at: string): void {
    for (const key of Object.keys(table)) {
      if (known.includes(key)) continue;
      const meant = known.find((name) => name === key.toLowerCase());
      if (meant !== undefined) throw this.#problem(`${at}${key}: keys are lower-case`, `write ${meant}`);
      if (this.#warnings.length < MAX_UNKNOWN_KEYS) this.#warn(`${at}${shown(key)} is not known and passed over`);
    }
  }

  #warn(text: string): void {
    this.#warnings.push(`${this.#path}: ${text}`);
  }

  #problem(text: string, hint: string): PolicyError {
    return new PolicyError("registries-conf-malformed", `${this.#path}: ${text}`, { hint });
  }
}

const label = "(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])";
const hostForm = new RegExp(`^${label}(?:\\.${label})*(?::[0-9]+)?$`);

/** `host[:port][/path]`, as names in full form begin. A host of one label passes, though no image name can have it. */
function isPlace(text: string): boolean {
  if (text.length > MAX_PLACE_LENGTH) return false;
  const slash = text.indexOf("/");
  if (slash < 0) return hostForm.test(text);
  // The path is what it would be under any host.
  return hostForm.test(text.slice(0, slash)) && isRepository(`host.example${text.slice(slash)}`);
}

function isRepository(text: string): boolean {
  try {
    const { tag, digest } = parseReference(text);
    return tag === undefined && digest === undefined;
  } catch (error) {
    if (error instanceof SignetError) return false;
    throw error;
  }
}

function isShortRepository(name: string): boolean {
  return !hasHost(name) && isRepository(name);
}

function withoutTagAndDigest(text: string): string | undefined {
  const bare = text.split("@", 1)[0]!;
  const slash = bare.lastIndexOf("/");
  const colon = bare.lastIndexOf(":");
  return slash >= 0 && colon > slash ? bare.slice(0, colon) : bare;
}

function isMirrorUse(text: string): text is MirrorUse {
  return mirrorUses.includes(text);
}

function isShortNameMode(text: string): text is ShortNameMode {
  return shortNameModes.includes(text);
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
