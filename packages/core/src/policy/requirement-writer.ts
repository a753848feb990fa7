/** From what somebody wants to what policy.json says (policy-json, sections 4 and 5). */
import { encodeBase64 } from "../bytes/base64.ts";
import type { JsonValue } from "../bytes/json-edit.ts";
import { concatBytes } from "../bytes/concat.ts";
import { InternalError } from "../errors.ts";

/** Keys for a requirement: paths as the readers of the policy will see them, or content to be embedded. At least one. */
export type NewKeys =
  | { readonly kind: "files"; readonly paths: readonly string[] }
  | { readonly kind: "data"; readonly blobs: readonly Uint8Array[] };

/** What signatures must be for. */
export type NewIdentity =
  | { readonly type: "matchExact" | "matchRepoDigestOrExact" | "matchRepository" }
  | { readonly type: "exactReference"; readonly dockerReference: string }
  | { readonly type: "exactRepository"; readonly dockerRepository: string }
  | { readonly type: "remapIdentity"; readonly prefix: string; readonly signedPrefix: string };

/** One rule for a scope. */
export type NewRule = { readonly type: "insecureAcceptAnything" | "reject" } | NewSignedRule;

export interface NewSignedRule {
  readonly type: "signedBy" | "sigstoreSigned";
  readonly keys: NewKeys;
  /** True: a signature by every key is asked for. False: one by any of them is enough. */
  readonly requireAll: boolean;
  /** Default `matchRepoDigestOrExact`. */
  readonly identity?: NewIdentity;
  /** For `sigstoreSigned`: keys of transparency logs, one of which must have recorded the signature. */
  readonly rekor?: NewKeys;
}

/**
 * The requirements of a scope, as policy.json writes them. The default identity is left out. Several OpenPGP keys to embed must be binary: they become one keyring,
 * since a requirement that any of them satisfies has one `keyData`.
 *
 * Not checked: keys, paths and references; `parsePolicy` looks at the latter.
 */
export function writeRequirements(rule: NewRule): readonly JsonValue[] {
  if (!isSigned(rule)) return [{ type: rule.type }];
  const groups = rule.requireAll ? splitKeys(rule.keys) : [rule.keys];
  return groups.map((keys) => ({
    type: rule.type,
    ...(rule.type === "signedBy" ? { keyType: "GPGKeys", ...keyring(keys) } : keyMembers(keys, "key")),
    ...(rule.rekor === undefined ? {} : keyMembers(rule.rekor, "rekorPublicKey")),
    ...(rule.identity === undefined || rule.identity.type === "matchRepoDigestOrExact"
      ? {}
      : { signedIdentity: { ...rule.identity } }),
  }));
}

function isSigned(rule: NewRule): rule is NewSignedRule {
  return rule.type === "signedBy" || rule.type === "sigstoreSigned";
}

function splitKeys(keys: NewKeys): readonly NewKeys[] {
  return keys.kind === "files"
    ? keys.paths.map((path): NewKeys => ({ kind: "files", paths: [path] }))
    : keys.blobs.map((blob): NewKeys => ({ kind: "data", blobs: [blob] }));
}

function keyring(keys: NewKeys): Record<string, JsonValue> {
  if (keys.kind === "data") return { keyData: encodeBase64(concatBytes(keys.blobs)) };
  return keyMembers(keys, "key");
}

/** The singular member for one, which older readers know as well, the plural for several. */
function keyMembers(keys: NewKeys, prefix: "key" | "rekorPublicKey"): Record<string, JsonValue> {
  const values = keys.kind === "files" ? keys.paths : keys.blobs.map((blob) => encodeBase64(blob));
  const [first, ...more] = values;
  if (first === undefined) throw new InternalError("a requirement without keys was to be written");
  const member = `${prefix}${keys.kind === "files" ? "Path" : "Data"}`;
  return more.length === 0 ? { [member]: first } : { [`${member}s`]: values };
}
