/** Which section of registries.d serves a reference (registries.d, section 1.2). */
import { type Reference, dockerPolicyIdentity, dockerScopeAncestors, withDefaultTag } from "@signet/core";
import type { RegistriesD } from "./registries-d.ts";
import type { LookasideKey, RegistriesDSection } from "./registries-d-file.ts";
import { type LookasideBase, folderLookasideBase, parseLookasideBase } from "../stores/lookaside-url.ts";

/** `write` also covers deleting. */
export type LookasideAccess = "read" | "write";

/** The store of a reference and what chose it. */
export interface LookasideChoice {
  readonly base: LookasideBase;
  /** For people: `docker: registry.example.com (lookaside) in /etc/…/x.yaml:3`, or that the built-in folder is used. */
  readonly explanation: string;
  /** The section that gave the URL; undefined for the built-in folder. */
  readonly section?: RegistriesDSection;
}

/** Whether sigstore attachments are used for a reference, and what says so. */
export interface AttachmentsChoice {
  readonly enabled: boolean;
  readonly explanation: string;
}

/** The keys that count for an access, first one first. */
const keysByAccess: Readonly<Record<LookasideAccess, readonly LookasideKey[]>> = {
  read: ["lookaside", "sigstore"],
  write: ["lookaside-staging", "sigstore-staging", "lookaside", "sigstore"],
};

/**
 * The base URL of a reference's lookaside store: the first section, most specific first, that has a URL for this access. A section without one is passed over,
 * as the reference implementation does in contrast to its documentation. There always is a store: at the end stands a built-in folder.
 *
 * Not checked: whether the scheme can be read or written; the store says that when it is used.
 * @param reference the place the image is fetched from or pushed to
 * @throws PolicyError `registries-d-malformed`
 */
export function lookasideBase(config: RegistriesD, reference: Reference, access: LookasideAccess): LookasideChoice {
  return chooseBase(config, candidateSections(config, reference), access);
}

/**
 * The base URL for the images of a scope that no more specific section speaks of.
 * @param scope of transport docker, as policy.json writes it; `""` for all of them
 * @throws PolicyError `registries-d-malformed`
 */
export function lookasideBaseOfScope(config: RegistriesD, scope: string, access: LookasideAccess): LookasideChoice {
  return chooseBase(config, sectionsOf(config, scope === "" ? [] : [scope, ...dockerScopeAncestors(scope)]), access);
}

function chooseBase(
  config: RegistriesD,
  sections: Iterable<RegistriesDSection>,
  access: LookasideAccess,
): LookasideChoice {
  for (const section of sections) {
    for (const key of keysByAccess[access]) {
      const choice = choiceOf(section, key);
      if (choice !== undefined) return choice;
    }
  }
  return {
    base: folderLookasideBase(config.builtinFolder),
    explanation: `no section of registries.d gives a URL for ${access === "read" ? "reading" : "writing"}; the built-in folder is used`,
  };
}

/** What a section gives follows from it alone, and is asked for twice with every image. */
const choices = new WeakMap<RegistriesDSection, Map<LookasideKey, LookasideChoice>>();

/** @throws PolicyError `registries-d-malformed`, each time */
function choiceOf(section: RegistriesDSection, key: LookasideKey): LookasideChoice | undefined {
  const url = section.urls[key];
  if (url === undefined) return undefined;
  const known = choices.get(section) ?? new Map<LookasideKey, LookasideChoice>();
  choices.set(section, known);
  let choice = known.get(key);
  if (choice === undefined) {
    const place = `${section.file}:${url.line}`;
    choice = {
      base: parseLookasideBase(url.value, `${sectionLabel(section)}.${key} in ${place}`),
      explanation: `${sectionLabel(section)} (${key}) in ${place}`,
      section,
    };
    known.set(key, choice);
  }
  return choice;
}

/** Whether sigstore attachments are on: the first section, most specific first, that says so either way. Default off. */
export function useSigstoreAttachments(config: RegistriesD, reference: Reference): AttachmentsChoice {
  for (const section of candidateSections(config, reference)) {
    const setting = section.useSigstoreAttachments;
    if (setting === undefined) continue;
    return {
      enabled: setting.value,
      explanation: `${sectionLabel(section)} (use-sigstore-attachments) in ${section.file}:${setting.line}`,
    };
  }
  return { enabled: false, explanation: "no section of registries.d sets use-sigstore-attachments" };
}

/** The sections that speak of a reference, most specific first. The keys are those that policy.json is asked with. */
function candidateSections(config: RegistriesD, reference: Reference): Iterable<RegistriesDSection> {
  const { identity, namespaces } = dockerPolicyIdentity(withDefaultTag(singleReference(reference)));
  return sectionsOf(config, [identity, ...namespaces]);
}

/** Those of `keys` that are there, in their order, then the default. */
function* sectionsOf(config: RegistriesD, keys: readonly string[]): Iterable<RegistriesDSection> {
  for (const key of keys) {
    const section = config.sections.get(key);
    if (section !== undefined) yield section;
  }
  if (config.defaultSection !== undefined) yield config.defaultSection;
}

/** Of a tag and a digest the digest is what a registry is asked with. */
function singleReference(reference: Reference): Reference {
  if (reference.tag === undefined || reference.digest === undefined) return reference;
  return { domain: reference.domain, path: reference.path, digest: reference.digest };
}

function sectionLabel(section: RegistriesDSection): string {
  return section.namespace === undefined ? "default-docker" : `docker: ${section.namespace}`;
}
