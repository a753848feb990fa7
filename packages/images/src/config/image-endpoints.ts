/** Where registries.conf sends whoever wants to read or write an image: the selection of a `[[registry]]` table and what follows from it. */
import {
  PolicyError,
  type Reference,
  SignetError,
  formatReference,
  parseCanonicalReference,
  referenceName,
} from "@signet/core";
import type { RegistriesConf } from "./registries-conf.ts";
import { type RegistryEntry, isWildcard } from "./registry-entry.ts";

/** What an endpoint is to the image: the place that its name stands for, or a mirror of it. */
export type EndpointRole = "location" | "mirror";

/** A place where an image may be. */
export interface ImageEndpoint {
  readonly role: EndpointRole;
  /** The physical name: what the registry is asked with, and what credentials, certificates and signature stores go by. */
  readonly reference: Reference;
  /** Plain http and unknown certificates are allowed at this endpoint. */
  readonly insecure: boolean;
  /** Why it must not be contacted; undefined when it may be. */
  readonly blocked?: string;
}

/**
 * The table that speaks of a repository: the one with the longest prefix, alone. Tags and digests play no part, as in the reference implementation, and a host
 * without port fits one with a port.
 * @param name `host[:port]/path`
 */
export function findRegistry(conf: RegistriesConf, name: string): RegistryEntry | undefined {
  let best: RegistryEntry | undefined;
  for (const entry of conf.registries) {
    if (matchedLength(name, entry.prefix) === undefined) continue;
    if (best === undefined || entry.prefix.length > best.prefix.length) best = entry;
  }
  return best;
}

/**
 * Where to read an image, in the order in which to try: the mirrors that take such a reference, then the location. At least one. A registry that is blocked still has
 * its mirrors: that is how clusters are told never to contact the source.
 * @param reference the logical one, with a tag or digest
 * @throws PolicyError `registries-conf-malformed` when a location makes no reference
 */
export function pullEndpoints(conf: RegistriesConf, reference: Reference): readonly ImageEndpoint[] {
  const entry = findRegistry(conf, referenceName(reference));
  if (entry === undefined) return [{ role: "location", reference, insecure: false }];
  const byDigest = reference.digest !== undefined;
  const endpoints: ImageEndpoint[] = [];
  for (const mirror of entry.mirrors) {
    if (mirror.use === (byDigest ? "tag-only" : "digest-only")) continue;
    const physical = relocate(entry, mirror.location, reference);
    const own = findRegistry(conf, referenceName(physical));
    const blocked = own?.blocked === true ? blockedText(own) : undefined;
    endpoints.push(endpoint("mirror", physical, mirror.insecure, blocked));
  }
  const physical = entry.location === undefined ? reference : relocate(entry, entry.location, reference);
  // The reference looks at the table of the location alone; a name that is blocked must not be had by another name either.
  const blocking = [entry, findRegistry(conf, referenceName(physical))].find((one) => one?.blocked === true);
  return [...endpoints, endpoint("location", physical, entry.insecure, blocking && blockedText(blocking))];
}

/** Where to write an image: at the place its name says, since neither mirrors nor locations count for writing. `insecure` and `blocked` do. */
export function pushEndpoint(conf: RegistriesConf, reference: Reference): ImageEndpoint {
  const entry = findRegistry(conf, referenceName(reference));
  const blocked = entry?.blocked === true ? blockedText(entry) : undefined;
  return endpoint("location", reference, entry?.insecure === true, blocked);
}

function endpoint(
  role: EndpointRole,
  reference: Reference,
  insecure: boolean,
  blocked: string | undefined,
): ImageEndpoint {
  return { role, reference, insecure, ...(blocked === undefined ? {} : { blocked }) };
}

function blockedText(entry: RegistryEntry): string {
  return `registry ${entry.prefix} is blocked in ${entry.file}`;
}

/** How many characters of `name` the prefix stands for; undefined when the name does not begin with it. */
function matchedLength(name: string, prefix: string): number | undefined {
  if (isWildcard(prefix)) {
    const host = /^[^:/]*/.exec(name)![0];
    return host.length >= prefix.length && host.endsWith(prefix.slice(1)) ? host.length : undefined;
  }
  if (!name.startsWith(prefix)) return undefined;
  return name.length === prefix.length || /[:/]/.test(name[prefix.length]!) ? prefix.length : undefined;
}

function relocate(entry: RegistryEntry, location: string, reference: Reference): Reference {
  const text = formatReference(reference);
  const moved = location + text.slice(matchedLength(referenceName(reference), entry.prefix));
  try {
    return parseCanonicalReference(moved);
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    throw new PolicyError(
      "registries-conf-malformed",
      `${entry.file}: registry ${entry.prefix} sends ${text} to ${moved}: ${error.message}`,
      { cause: error, hint: "correct the location; of docker.io images the path includes library/" },
    );
  }
}
