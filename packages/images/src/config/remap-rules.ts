/** From registries.conf to `remapIdentity` rules of policy.json: under which name the images of a scope were signed, where that is not the name they are used by. */
import { PolicyError } from "@signet/core";
import { findRegistry } from "./image-endpoints.ts";
import type { RegistriesConf } from "./registries-conf.ts";
import { type RegistryEntry, isWildcard } from "./registry-entry.ts";

/** What the policy needs at one scope. */
export interface RemapRule {
  /** Scope of policy.json: `host[:port][/path]`. */
  readonly scope: string;
  /** `signedIdentity` of that scope; undefined where images were signed under the name they are used by. */
  readonly remap: { readonly prefix: string; readonly signedPrefix: string } | undefined;
  /** For people. */
  readonly explanation: string;
}

/**
 * The rules that a policy needs so that signatures hold, whichever name an image is used by: its logical one, or directly that of a mirror.
 *
 * A mirror holds what was signed under the prefix of its `[[registry]]` table. So images used by a mirror's name are judged by the prefix, and for a scope that lies in a prefix, or
 * has prefixes below it, every mirror gets a scope of its own. Of a table whose location differs from its prefix it cannot be told which of the two was signed for; there
 * the scope itself says it, since only the other name would need a rule:
 * - a scope in the location: signed under the prefix (images were relocated, their signatures kept);
 * - a scope in the prefix: signed under the location (the prefix is another name for it); so are the mirrors.
 *
 * Not checked: what signatures really say.
 * @param scope `host[:port]` or `host[:port]/path`
 * @returns the rule of `scope` first, the others by scope; at least one has a remap
 * @throws PolicyError `remap-underivable` when registries.conf says nothing of the scope, or two things
 */
export function deriveRemapRules(conf: RegistriesConf, scope: string): readonly RemapRule[] {
  const entries = conf.registries.filter(isPlain);
  const places = new Map<string, Rewrite[]>([[scope, ownRewrites(entries, scope)]]);
  for (const { place, rewrite } of [...mirrorsOf(conf, scope), ...placesBelow(entries, scope)])
    places.set(place, [...(places.get(place) ?? []), rewrite]);
  for (const [place, found] of places) {
    // Another table may speak of the same place; then it is not known whose image lies there.
    const known = new Set(found.map(({ prefix }) => prefix));
    if (place !== scope) found.push(...ownRewrites(entries, place).filter(({ prefix }) => !known.has(prefix)));
  }
  const [own, ...others] = [...places].map(([place, found]) => makeRule(place, found));
  const rules = [own!, ...others.toSorted((a, b) => (a.scope < b.scope ? -1 : 1))];
  if (rules.some(({ remap }) => remap !== undefined)) return rules;
  const files = conf.files.length === 0 ? "no registries.conf is there" : conf.files.join(", ");
  throw new PolicyError("remap-underivable", `${files}: no mirror and no other location is known for ${scope}`, {
    hint: "name a scope that a [[registry]] table speaks of, or write the rule yourself: remap=PREFIX=SIGNED-PREFIX",
  });
}

/** Images used by names in `used` were signed under `signed`. */
interface Rewrite {
  readonly used: string;
  readonly signed: string;
  /** Of the table that says so. */
  readonly prefix: string;
  readonly explanation: string;
}

/** What the tables say of a place whose images are used by its own name: the most specific ones; several only if they disagree. */
function ownRewrites(entries: readonly RegistryEntry[], place: string): Rewrite[] {
  const fitting = entries.flatMap(rewritesOf).filter(({ used }) => isWithin(place, used));
  const longest = Math.max(...fitting.map(({ used }) => used.length));
  return fitting.filter(({ used }) => used.length === longest);
}

function rewritesOf(entry: RegistryEntry): readonly Rewrite[] {
  const { prefix, location = prefix, mirrors, file } = entry;
  const isRelocated = location !== prefix;
  const rewrites = mirrors.flatMap((mirror) => {
    const signed = isRelocated ? [prefix, location] : [prefix];
    return signed.map((name) => mirrorRewrite(mirror.location, name, entry));
  });
  if (!isRelocated) return rewrites;
  const relocated = `${prefix} lies at ${location} by ${file}`;
  rewrites.push({ used: location, signed: prefix, prefix, explanation: relocated });
  rewrites.push({ used: prefix, signed: location, prefix, explanation: relocated });
  return rewrites;
}

function mirrorRewrite(location: string, signed: string, { prefix, file }: RegistryEntry): Rewrite {
  return { used: location, signed, prefix, explanation: `${location} mirrors ${prefix} by ${file}` };
}

interface RewrittenPlace {
  readonly place: string;
  readonly rewrite: Rewrite;
}

/** Where the images that the scope names lie on mirrors. */
function mirrorsOf(conf: RegistriesConf, scope: string): readonly RewrittenPlace[] {
  const entry = findRegistry(conf, scope);
  if (entry === undefined || entry.mirrors.length === 0) return [];
  if (!isPlain(entry)) {
    throw new PolicyError(
      "remap-underivable",
      `${entry.file}: ${entry.prefix} stands for many hosts, so names on its mirrors do not tell which of them was signed for`,
      { hint: "give that host a [[registry]] table of its own" },
    );
  }
  if (!isWithin(scope, entry.prefix)) return [];
  return entry.mirrors.map(({ location }) => ({
    place: location + scope.slice(entry.prefix.length),
    rewrite: mirrorRewrite(location, entry.location ?? entry.prefix, entry),
  }));
}

/** Prefixes below the scope with their mirrors, and mirrors that lie below it. */
function placesBelow(entries: readonly RegistryEntry[], scope: string): readonly RewrittenPlace[] {
  return entries.flatMap((entry) => {
    const { prefix, location = prefix, mirrors, file } = entry;
    const found = mirrors.filter((mirror) => isBelow(prefix, scope) || isBelow(mirror.location, scope));
    if (
      location !== prefix &&
      [prefix, location, ...found.map((mirror) => mirror.location)].some((one) => isBelow(one, scope))
    ) {
      throw new PolicyError(
        "remap-underivable",
        `${file}: of ${prefix}, which lies at ${location}, it cannot be told under which name it was signed`,
        {
          hint: `choose by the scope: ${location} for signatures under ${prefix}, ${prefix} for signatures under ${location}`,
        },
      );
    }
    return found.map((mirror) => ({ place: mirror.location, rewrite: mirrorRewrite(mirror.location, prefix, entry) }));
  });
}

function makeRule(scope: string, found: readonly Rewrite[]): RemapRule {
  const [first] = found;
  if (first === undefined) return { scope, remap: undefined, explanation: `${scope} is signed under its own name` };
  const signedName = ({ used, signed }: Rewrite): string => signed + scope.slice(used.length);
  const other = found.find((one) => signedName(one) !== signedName(first));
  if (other !== undefined) {
    throw new PolicyError(
      "remap-underivable",
      `images at ${scope} may have been signed under two names: ${first.signed} (${first.explanation}), ${other.signed} (${other.explanation})`,
      { hint: `choose one yourself: remap=${first.used}=${first.signed} or remap=${other.used}=${other.signed}` },
    );
  }
  return { scope, remap: { prefix: first.used, signedPrefix: first.signed }, explanation: first.explanation };
}

/** A table whose prefix can stand in a policy: neither a wildcard nor a single image. */
function isPlain({ prefix }: RegistryEntry): boolean {
  return !isWildcard(prefix) && !/@|\/[^/]*:/.test(prefix);
}

function isWithin(place: string, outer: string): boolean {
  return place === outer || isBelow(place, outer);
}

function isBelow(place: string, outer: string): boolean {
  return place.startsWith(`${outer}/`);
}
