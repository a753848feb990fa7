/** What registries.conf says of registries and short names, checked and merged. */

/** Registries of one file, and of all together: each is compared with every name. Clusters have dozens. */
export const MAX_REGISTRIES = 10_000;

/** Which references a mirror is asked for. */
export type MirrorUse = "all" | "digest-only" | "tag-only";

/** How a short name that is no alias is completed. */
export type ShortNameMode = "enforcing" | "permissive" | "disabled";

export interface RegistryMirror {
  /** `host[:port][/path]`: takes the place of the registry's prefix. */
  readonly location: string;
  readonly insecure: boolean;
  readonly use: MirrorUse;
}

/** One `[[registry]]` table. */
export interface RegistryEntry {
  /** `host[:port][/path]` that names begin with, or `*.domain`. */
  readonly prefix: string;
  /** What takes the place of the prefix; undefined only with a wildcard: then names stay as they are. */
  readonly location: string | undefined;
  readonly insecure: boolean;
  readonly blocked: boolean;
  /** In the order in which they are tried. */
  readonly mirrors: readonly RegistryMirror[];
  /** The file that says so. */
  readonly file: string;
}

/** Where a short name leads. */
export interface ShortNameAlias {
  /** Repository in normal form; undefined when the file takes the alias away. */
  readonly repository: string | undefined;
  readonly file: string;
}

/** In the order in which the reference goes through them: of prefixes of one length the first counts. */
export function sortByPrefix(entries: Iterable<RegistryEntry>): readonly RegistryEntry[] {
  return [...entries].sort((a, b) => (a.prefix < b.prefix ? -1 : 1));
}

/** `*.example.com`: any host below example.com. */
export function isWildcard(prefix: string): boolean {
  return prefix.startsWith("*.");
}

/** True for a name with a host: its first component, with something behind it, has a dot or colon or is `localhost`. */
export function hasHost(name: string): boolean {
  const slash = name.indexOf("/");
  if (slash < 0) return false;
  const first = name.slice(0, slash);
  return first.includes(".") || first.includes(":") || first === "localhost";
}
