/** Requirements, and what lies between two lists of them, in words. */
import type { KeySource, Requirement, Requirements, SigstoreSignedRequirement } from "../policy.ts";
import type { KeyComparison } from "./compared-keys.ts";
import { describeIdentity } from "./identity-order.ts";

/** `signedBy(2 keys, any of) and sigstoreSigned(1 key, matchRepository)`. */
export function describeRequirements(requirements: Requirements, keys: KeyComparison): string {
  return requirements.map((requirement) => describeRequirement(requirement, keys)).join(" and ");
}

function describeRequirement(requirement: Requirement, keys: KeyComparison): string {
  switch (requirement.type) {
    case "signedBy": {
      const parts = [countKeys(requirement.keys, "openpgp", keys), ...namedIdentity(requirement.signedIdentity)];
      if (requirement.keyType !== "GPGKeys") parts.unshift(`keyType ${requirement.keyType}, which accepts nothing`);
      return `signedBy(${parts.join(", ")})`;
    }
    case "sigstoreSigned":
      return `sigstoreSigned(${[...describeSigstore(requirement, keys), ...namedIdentity(requirement.signedIdentity)].join(", ")})`;
    case "signedBaseLayer":
      return "signedBaseLayer, which accepts nothing";
    default:
      return requirement.type;
  }
}

function describeSigstore({ trust, rekor }: SigstoreSignedRequirement, keys: KeyComparison): readonly string[] {
  const log = rekor === undefined ? [] : ["transparency log"];
  switch (trust.kind) {
    case "keys":
      return [countKeys(trust.keys, "pem", keys), ...log];
    case "fulcio":
      return [`certificates for ${trust.subjectEmail} by ${trust.oidcIssuer}`, ...log];
    case "pki":
      return [`certificates for ${[trust.subjectEmail, trust.subjectHostname].filter(Boolean).join(" and ")}`, ...log];
  }
}

/** The default goes without saying. */
function namedIdentity(identity: Parameters<typeof describeIdentity>[0]): readonly string[] {
  return identity.type === "matchRepoDigestOrExact" ? [] : [describeIdentity(identity)];
}

function countKeys(source: KeySource, form: "openpgp" | "pem", keys: KeyComparison): string {
  const reading = keys.reading(source, form);
  if (reading.kind === "unreadable") {
    const count = source.kind === "files" ? source.paths.length : source.blobs.length;
    return plural(count, source.kind === "files" ? "key file" : "key");
  }
  return plural(reading.keys.length, "key");
}

function plural(count: number, what: string): string {
  if (count === 0) return `no ${what}, which accepts nothing`;
  return count === 1 ? `1 ${what}` : `${count} ${what}s, any of`;
}

/** What changed, requirement by requirement: those of one type are held against each other in their order. */
export function explainChange(before: Requirements, after: Requirements, keys: KeyComparison): readonly string[] {
  const reasons: string[] = [];
  const left = [...before];
  const right: Requirement[] = [];
  for (const requirement of after) {
    const at = left.findIndex(({ type }) => type === requirement.type);
    if (at < 0) right.push(requirement);
    else reasons.push(...explainPair(left.splice(at, 1)[0]!, requirement, keys));
  }
  const words = (requirement: Requirement): string => describeRequirement(requirement, keys);
  for (const requirement of left) {
    if (requirement.type === "reject") reasons.push("images are no longer rejected outright");
    // That everything was accepted is said by what is required now.
    else if (requirement.type !== "insecureAcceptAnything") reasons.push(`no longer required: ${words(requirement)}`);
  }
  for (const requirement of right) {
    if (requirement.type === "reject") reasons.push("every image is rejected now");
    else if (requirement.type !== "insecureAcceptAnything") reasons.push(`now required: ${words(requirement)}`);
    else if (after.length === 1) reasons.push("every image is accepted now, signed or not");
  }
  return reasons;
}

function explainPair(before: Requirement, after: Requirement, keys: KeyComparison): readonly string[] {
  if (before.type === "signedBy" && after.type === "signedBy") {
    return [
      ...(before.keyType === after.keyType ? [] : [`keyType ${before.keyType} → ${after.keyType}`]),
      ...keys.differences(before.keys, after.keys, "openpgp"),
      ...explainIdentity(before, after),
    ];
  }
  if (before.type !== "sigstoreSigned" || after.type !== "sigstoreSigned") return [];
  return [...explainTrust(before, after, keys), ...explainLog(before, after, keys), ...explainIdentity(before, after)];
}

function explainTrust(
  { trust: a }: SigstoreSignedRequirement,
  { trust: b }: SigstoreSignedRequirement,
  keys: KeyComparison,
): readonly string[] {
  if (a.kind === "keys" && b.kind === "keys") return keys.differences(a.keys, b.keys, "pem");
  if (a.kind === "fulcio" && b.kind === "fulcio") {
    return [
      ...keys.differences(a.authorities, b.authorities, "pem"),
      ...explainText("oidcIssuer", a.oidcIssuer, b.oidcIssuer),
      ...explainText("subjectEmail", a.subjectEmail, b.subjectEmail),
    ];
  }
  if (a.kind !== "pki" || b.kind !== "pki") return [`trust in ${a.kind} → ${b.kind}`];
  const intermediates: readonly [KeySource, KeySource] = [a.intermediates ?? none, b.intermediates ?? none];
  return [
    ...keys.differences(a.roots, b.roots, "pem"),
    ...keys.differences(...intermediates, "pem").map((text) => `intermediate certificates: ${text}`),
    ...explainText("subjectEmail", a.subjectEmail, b.subjectEmail),
    ...explainText("subjectHostname", a.subjectHostname, b.subjectHostname),
  ];
}

const none: KeySource = Object.freeze({ kind: "data", blobs: Object.freeze([]) });

function explainLog(
  a: SigstoreSignedRequirement,
  b: SigstoreSignedRequirement,
  keys: KeyComparison,
): readonly string[] {
  if (a.rekor === undefined && b.rekor === undefined) return [];
  if (a.rekor === undefined) return ["an entry in a transparency log is required now"];
  if (b.rekor === undefined) return ["no entry in a transparency log is required any more"];
  return keys.differences(a.rekor, b.rekor, "pem").map((text) => `transparency log: ${text}`);
}

function explainText(what: string, before: string | undefined, after: string | undefined): readonly string[] {
  return before === after ? [] : [`${what} ${before ?? "any"} → ${after ?? "any"}`];
}

type WithIdentity = Extract<Requirement, { readonly type: "signedBy" | "sigstoreSigned" }>;

function explainIdentity(before: WithIdentity, after: WithIdentity): readonly string[] {
  const [old, now] = [describeIdentity(before.signedIdentity), describeIdentity(after.signedIdentity)];
  return old === now ? [] : [`signedIdentity ${old} → ${now}`];
}
