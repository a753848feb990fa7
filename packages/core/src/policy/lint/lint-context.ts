/** A policy taken apart for lints: every scope and requirement with the place where it stands. */
import type { KeySource, Policy, Requirement, Requirements } from "../policy.ts";
import { DocumentPlaces, type JsonPath } from "./document-places.ts";
import { KeyMaterial } from "./key-material.ts";
import type { LintFacts } from "./lint-facts.ts";
import { type PolicyScope, policyScopes, scopeLabel } from "./policy-scopes.ts";
import { lessSpecificScopes } from "./scope-order.ts";

/** What every lint gets. */
export interface LintContext {
  readonly policy: Policy;
  readonly facts: LintFacts;
  /** The default first, then all scopes in document order. */
  readonly scopes: readonly LintedScope[];
  /** Keys of the policy, read once. */
  readonly keys: KeyMaterial;
  readonly places: DocumentPlaces;
}

/** The requirements of one scope, or the default, and where they stand. */
export interface LintedScope extends PolicyScope {
  readonly path: JsonPath;
  readonly items: readonly LintedRequirement[];
}

/** One requirement and where it stands. */
export interface LintedRequirement {
  readonly requirement: Requirement;
  readonly path: JsonPath;
  /** Every file it names. */
  readonly files: readonly NamedKeyFile[];
}

/** A file that a requirement names as key or certificate. */
export interface NamedKeyFile {
  /** As written. */
  readonly file: string;
  readonly path: JsonPath;
  /** `openpgp` for `signedBy`, `pem` for everything of `sigstoreSigned`. */
  readonly form: "openpgp" | "pem";
}

/** @param policy one that was read from a document */
export function makeLintContext(policy: Policy, bytes: Uint8Array, facts: LintFacts): LintContext {
  const places = new DocumentPlaces(bytes);
  const scopes = policyScopes(policy).map((scope) => placeScope(scope, places));
  return { policy, facts, scopes, keys: new KeyMaterial(facts), places };
}

function placeScope(scope: PolicyScope, places: DocumentPlaces): LintedScope {
  const { transport } = scope;
  const path = transport === undefined ? ["default"] : ["transports", transport, scope.scope ?? ""];
  const items = scope.requirements.map((requirement, index) => {
    const at = [...path, index];
    return { requirement, path: at, files: namedFiles(requirement, at, places) };
  });
  return { ...scope, path, items };
}

/** What would govern the images of a scope if it were not there. */
export function governingWithout(policy: Policy, scope: LintedScope): { label: string; requirements: Requirements } {
  const { transport } = scope;
  if (transport !== undefined && scope.scope !== undefined) {
    const scopes = policy.transports.get(transport);
    for (const candidate of lessSpecificScopes(transport, scope.scope)) {
      const requirements = scopes?.get(candidate);
      if (requirements !== undefined) return { label: scopeLabel(transport, candidate), requirements };
    }
  }
  return { label: "default", requirements: policy.default };
}

function namedFiles(requirement: Requirement, path: JsonPath, places: DocumentPlaces): readonly NamedKeyFile[] {
  const files: NamedKeyFile[] = [];
  const add = (source: KeySource | undefined, form: NamedKeyFile["form"], at: JsonPath, one: string, many: string) => {
    if (source?.kind !== "files") return;
    const isList = !places.has(at, one) || places.node([...at, one])?.kind !== "string";
    source.paths.forEach((file, index) => {
      files.push({ file, form, path: isList ? [...at, many, index] : [...at, one] });
    });
  };
  if (requirement.type === "signedBy") add(requirement.keys, "openpgp", path, "keyPath", "keyPaths");
  if (requirement.type !== "sigstoreSigned") return files;
  const { trust, rekor } = requirement;
  if (trust.kind === "keys") add(trust.keys, "pem", path, "keyPath", "keyPaths");
  if (trust.kind === "fulcio") add(trust.authorities, "pem", [...path, "fulcio"], "caPath", "caPath");
  if (trust.kind === "pki") {
    add(trust.roots, "pem", [...path, "pki"], "caRootsPath", "caRootsPath");
    add(trust.intermediates, "pem", [...path, "pki"], "caIntermediatesPath", "caIntermediatesPath");
  }
  add(rekor, "pem", path, "rekorPublicKeyPath", "rekorPublicKeyPaths");
  return files;
}
