/** Short names (`busybox`): what registries.conf makes of them. */
import { UsageError, formatReference, parseReference, referenceName } from "@signet/core";
import type { RegistriesConf } from "./registries-conf.ts";
import { type ShortNameAlias, hasHost } from "./registry-entry.ts";

/** A short name resolved. */
export interface ResolvedShortName {
  /** The name in full form, with the tag or digest that was written. */
  readonly name: string;
  /** For people: what resolved it; undefined where registries.conf has no say in it. */
  readonly explanation: string | undefined;
}

/** True for a name without a host, whose meaning registries.conf decides. */
export function isShortName(text: string): boolean {
  return !hasHost(text.split("@", 1)[0]!);
}

/**
 * Completes a short name: by a recorded alias, else an alias of registries.conf, else the one search registry, else docker.io where no file speaks of search
 * registries. Of several search registries none is tried: which of them answers must not decide what is judged, whatever `short-name-mode` says.
 * @param text a name without a host, with or without tag and digest
 * @param recorded see `loadRecordedAliases`
 * @throws UsageError `short-name-ambiguous`; FormatError `reference-malformed`
 */
export function resolveShortName(
  text: string,
  conf: RegistriesConf,
  recorded: ReadonlyMap<string, ShortNameAlias> = new Map(),
): ResolvedShortName {
  const written = parseReference(text);
  const tail = formatReference(written).slice(referenceName(written).length);
  const short = text.slice(0, text.length - tail.length);
  const alias = recorded.get(short) ?? conf.aliases.get(short);
  if (alias?.repository !== undefined)
    return { name: `${alias.repository}${tail}`, explanation: `${short} is an alias in ${alias.file}` };
  const { searchRegistries } = conf;
  if (searchRegistries === undefined) return { name: formatReference(written), explanation: undefined };
  const { hosts, file } = searchRegistries;
  const candidates = hosts.map((host) => complete(host, short, tail));
  if (candidates.length === 1)
    return { name: candidates[0]!, explanation: `completed by the search registry in ${file}` };
  const hint = "write the name with its registry, or add it to [aliases] in registries.conf";
  if (candidates.length === 0)
    throw new UsageError(
      "short-name-ambiguous",
      `${text} is a short name and no alias, and ${file} has no search registries`,
      { hint },
    );
  throw new UsageError(
    "short-name-ambiguous",
    `${text} is a short name and could mean ${candidates.join(", ")} (search registries in ${file})`,
    { hint, details: { candidates } },
  );
}

/** docker.io fills in `library/`. */
function complete(host: string, short: string, tail: string): string {
  return formatReference(parseReference(`${host}/${short}${tail}`));
}
