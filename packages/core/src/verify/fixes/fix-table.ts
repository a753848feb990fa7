/** The fix for each check that can fail, by its name. */
import type { OpenPgpRule } from "../../formats/openpgp/fault.ts";
import { mirrorPrefixes } from "../../policy/identity-mismatch.ts";
import { parseClaimed } from "../../policy/identity-match.ts";
import type { SignedByRequirement } from "../../policy/policy.ts";
import { formatReference, referenceName } from "../../reference/reference.ts";
import { KEYFILE, keyPaths, ownScope, signCommand, trustCommand } from "./fix-command.ts";
import type { Fix, FixMaker, FixSituation } from "./fix.ts";

/** Where vendors publish the signatures of their registries; the folder's name of a repository follows it. */
const publicStores: ReadonlyMap<string, string> = new Map([
  ["registry.redhat.io", "https://registry.redhat.io/containers/sigstore"],
  ["registry.access.redhat.com", "https://access.redhat.com/webassets/docker/content/sigstore"],
]);

/** Checks of signatures and requirements, by the names that evidence has. */
type CheckName =
  | Exclude<OpenPgpRule, "key-malformed" | "key-version" | "key-algorithm" | "armor-malformed" | "cleartext-malformed">
  | "identity"
  | "key-creation-time"
  | "key-expiry"
  | "key-revocation"
  | "key-self-signature"
  | "key-type-unsupported"
  | "key-usage"
  | "manifest-digest"
  | "no-signature"
  | "payload-json"
  | "policy-reject"
  | "requirement-unsupported"
  | "signature-crypto"
  | "signature-expiry"
  | "signature-format"
  | "signer-known"
  | "subkey-binding"
  | "subkey-creation-time"
  | "subkey-expiry"
  | "subkey-revocation";

/** The signature itself is no good: a new one is needed. */
const signAnew: FixMaker = (situation) => ({
  message: `${problemOf(situation)}. ${capitalize(situation.hint ?? "the signature must be made anew")}`,
  ...signed(situation),
});

/** The key that signed is no good any more: it must come again, or another one. */
const renewKey: FixMaker = (situation) => ({
  message: `${problemOf(situation)}. If its holder has renewed the key, trust the new copy of it; else the image must be signed with another key`,
  ...trusted(situation, [KEYFILE]),
});

const replaceKey: FixMaker = (situation) => ({
  message: `${problemOf(situation)}. The image must be signed with another key that is trusted, and the signature of this one given up`,
  ...signed(situation),
});

const checkClocks: FixMaker = (situation) => ({
  message: `${problemOf(situation)}. Set the clocks of this machine and of the signer right; if the signer's was wrong, sign anew`,
  ...signed(situation),
});

const table: Readonly<Record<CheckName, FixMaker>> = {
  identity: fixIdentity,
  "key-creation-time": checkClocks,
  "key-expiry": renewKey,
  "key-revocation": replaceKey,
  "key-self-signature": renewKey,
  "key-type-unsupported": (situation) => ({
    message: `${problemOf(situation)}. Demand a signature by OpenPGP keys instead`,
    ...trusted(situation, [KEYFILE]),
  }),
  "key-usage": replaceKey,
  "manifest-digest": fixDigest,
  "message-armored": signAnew,
  "message-cleartext": signAnew,
  "message-compression": signAnew,
  "message-detached": signAnew,
  "message-empty": signAnew,
  "message-encrypted": signAnew,
  "message-inflated-too-large": signAnew,
  "message-literal-too-large": signAnew,
  "message-marker": signAnew,
  "message-nested-compression": signAnew,
  "message-not-openpgp": signAnew,
  "message-several-signatures": signAnew,
  "message-too-large": signAnew,
  "message-trailing-data": signAnew,
  "message-truncated": signAnew,
  "message-unexpected-packet": signAnew,
  "message-unsigned": signAnew,
  "no-signature": fixMissing,
  "one-pass-mismatch": signAnew,
  "packet-malformed": signAnew,
  "payload-json": signAnew,
  "policy-reject": fixReject,
  "requirement-unsupported": (situation) => ({
    message: `${problemOf(situation)}. Demand a signature by a key instead`,
    ...trusted(situation, [KEYFILE]),
  }),
  "signature-algorithm": signAnew,
  "signature-creation-time": checkClocks,
  "signature-critical-notation": signAnew,
  "signature-critical-subpacket": signAnew,
  "signature-crypto": (situation) => ({
    message: `${problemOf(situation)}. It is damaged or forged: find out which, then sign anew`,
    ...signed(situation),
  }),
  "signature-expiry": signAnew,
  "signature-format": fixFormat,
  "signature-hash": signAnew,
  "signature-issuer": signAnew,
  "signature-malformed": signAnew,
  "signature-type": signAnew,
  "signature-version": signAnew,
  "signer-known": fixSigner,
  "subkey-binding": renewKey,
  "subkey-creation-time": checkClocks,
  "subkey-expiry": renewKey,
  "subkey-revocation": replaceKey,
};

/** What prevented judging, by the code of the error. */
const errors: Readonly<Record<string, FixMaker>> = {
  "file-missing": fixKeyFile,
  "file-unreadable": fixKeyFile,
  "no-trust-anchors": fixKeyFile,
  "registry-forbidden": (situation) => ({
    message: `${situation.message}. Use an account that may read the repository`,
    ...login(situation),
  }),
  "registry-unauthorized": (situation) => ({
    message: `${situation.message}. The registry wants credentials`,
    ...login(situation),
  }),
  "requirement-undetermined": fixUndetermined,
  "signature-store-error": fixStore,
};

/** The names that have a fix of their own. */
export const checksWithFix: readonly string[] = Object.keys(table);

/** The codes of errors that have a fix of their own. */
export const errorsWithFix: readonly string[] = Object.keys(errors);

/**
 * The fix for a failure.
 * @param code the name of the check that failed, or the code of the error that prevented judging. One without a fix of its own gives what the failure suggests
 */
export function fixFor(code: string, situation: FixSituation): Fix {
  const makers: Readonly<Record<string, FixMaker | undefined>> = { ...errors, ...table };
  const maker = makers[code] ?? repeatHint;
  return { check: code, ...maker(situation) };
}

const repeatHint: FixMaker = ({ message, hint }) => ({
  message: hint === undefined ? message : `${message}. ${capitalize(hint)}`,
  placeholders: [],
});

type Way = Pick<Fix, "command" | "placeholders">;

const noWay: Way = { placeholders: [] };

function signed(situation: FixSituation, more: readonly string[] = []): Way {
  return signCommand(situation, more) ?? noWay;
}

/** Trusts further keys beside those that are trusted already. */
function trusted(situation: FixSituation, keys: readonly string[]): Way {
  return trustCommand(situation, { keys, placeholders: keys.includes(KEYFILE) ? [KEYFILE] : [] });
}

function login({ place, reference }: FixSituation): Way {
  const domain = (place ?? reference)?.domain;
  return domain === undefined ? noWay : { command: `signet login ${domain}`, placeholders: [] };
}

function problemOf({ failed, message }: FixSituation): string {
  return capitalize((failed?.message ?? message).replace(/\.$/, ""));
}

function capitalize(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Nothing is signed, or what is signed lies where nobody looked. */
function fixMissing(situation: FixSituation): ReturnType<FixMaker> {
  if (situation.requirement?.type === "sigstoreSigned") return fixSigstoreMissing(situation);
  const { list, store, attachments = 0, signature } = situation;
  if (list !== undefined && list.signatures > 0) {
    const message =
      "The list is signed and this instance of it is not, while podman, skopeo and CRI-O judge the instance. Sign every instance as well";
    return { message, ...signed(situation, ["--all"]) };
  }
  if (attachments > 0 || signature?.claims.format === "sigstore-json") return fixSigstoreOnly(situation);
  if (store !== undefined && store.pages > 0) {
    const message = `${store.label} answers web pages where signatures would be, so whatever lies there cannot be found. Let the web server answer 404 for a file that does not exist`;
    return { message, placeholders: [] };
  }
  if (store?.kind === "none") {
    const message =
      "No signature was given, so the image counts as unsigned. Name the place of its signatures with --signatures, or sign it";
    return { message, ...signed(situation) };
  }
  // A command that names a store names a scope of the policy as well, and a mirror is none.
  const reference = situation.place === undefined ? situation.reference : undefined;
  const published = reference === undefined ? undefined : publicStores.get(reference.domain);
  if (store?.isConfigured === false && reference !== undefined && published !== undefined) {
    const message = `No section of registries.d says where the signatures of ${reference.domain} are, and its maker publishes them at ${published}`;
    return { message, ...storeCommand(situation, reference.domain, published) };
  }
  const elsewhere =
    store?.isConfigured === false && reference !== undefined
      ? `. If its signatures are kept elsewhere, name the place: ${storeCommand(situation, reference.domain, "URL").command}`
      : "";
  const place = store === undefined ? "" : ` in ${store.label}`;
  return { message: `The image has no signature${place}. Sign it${elsewhere}`, ...signed(situation) };
}

/** The rule as it is, with the place of its signatures. */
function storeCommand(situation: FixSituation, scope: string, lookaside: string): ReturnType<typeof trustCommand> {
  const { requirement } = situation;
  const kept = requirement?.type === "signedBy" ? keyPaths(requirement) : [];
  const keys = kept.length === 0 ? [KEYFILE] : kept;
  return trustCommand(situation, { scope, keys, lookaside, placeholders: kept.length === 0 ? [KEYFILE] : [] });
}

function fixSigstoreOnly(situation: FixSituation): ReturnType<FixMaker> {
  const message =
    "The image has sigstore signatures, and the policy demands a simple one (signedBy). Demand sigstoreSigned with the signer's public key, or sign the image with an OpenPGP key";
  const key = "COSIGN.pub";
  return {
    message,
    ...trustCommand(situation, {
      type: "sigstoreSigned",
      keys: [key],
      identity: { type: "matchRepository" },
      attachments: true,
      placeholders: [key],
    }),
  };
}

/** A sigstore signature is demanded. */
function fixSigstoreMissing(situation: FixSituation): ReturnType<FixMaker> {
  if ((situation.simpleSignatures ?? 0) > 0) return fixUndetermined(situation);
  return {
    message: `${problemOf(situation)}. Sign the image with a sigstore key, and turn on use-sigstore-attachments in registries.d for it, without which nobody looks for such signatures`,
    placeholders: [],
  };
}

function fixFormat(situation: FixSituation): ReturnType<FixMaker> {
  if (situation.signature?.claims.format === "sigstore-json") return fixSigstoreOnly(situation);
  const place = situation.signature?.location ?? "what lies in the store";
  return {
    message: `${place} is not a signature. Remove it, or let the server answer 404, and sign the image if no other signature is left`,
    ...signed(situation),
  };
}

function fixSigner(situation: FixSituation): ReturnType<FixMaker> {
  const { requirement, signature, failed } = situation;
  const key = failed?.found ?? signature?.claims.keyId ?? "another key";
  const kept = requirement?.type === "signedBy" ? keyPaths(requirement) : [];
  const isInside = requirement?.type === "signedBy" && requirement.keys.kind === "data";
  const more = isInside ? "; the keys inside the policy must be named as files as well to stay trusted" : "";
  return {
    message: `The signature was made by key ${key}, which the policy does not trust here. If it is the right one, trust it (${KEYFILE}: a file with that key)${more}; else sign the image with a trusted key`,
    ...trusted(situation, [...kept, KEYFILE]),
  };
}

function fixIdentity(situation: FixSituation): ReturnType<FixMaker> {
  const { requirement, signature, reference, failed } = situation;
  const claimed = signature?.claims.dockerReference ?? failed?.found ?? "";
  const found = parseClaimed(claimed);
  const problem = `The signature is for ${claimed}`;
  if (requirement?.type !== "signedBy" || found === undefined)
    return { message: `${problem}, which names no image. Sign the image anew`, ...signed(situation) };
  const keep = (identity: SignedByRequirement["signedIdentity"]): Way =>
    trustCommand(situation, {
      keys: requirement.keys.kind === "files" ? keyPaths(requirement) : [KEYFILE],
      identity,
      placeholders: requirement.keys.kind === "files" ? [] : [KEYFILE],
    });
  if (reference === undefined) {
    const message = `${problem}, and this image has no name of its own to compare with. If that is the image meant, say so in the policy`;
    return { message, ...keep({ type: "exactReference", dockerReference: claimed, reference: found }) };
  }
  const { type } = requirement.signedIdentity;
  const isMatch = type === "matchExact" || type === "matchRepoDigestOrExact";
  if (referenceName(found) === referenceName(reference) && isMatch) {
    const message = `${problem}, not for ${formatReference(reference)}. If any tag of ${referenceName(reference)} will do, use matchRepository; else sign the image under this name`;
    return { message, ...keep({ type: "matchRepository" }) };
  }
  const prefixes = mirrorPrefixes(reference, found);
  if (prefixes !== undefined && (isMatch || type === "matchRepository")) {
    const { prefix, signedPrefix } = prefixes;
    const message = `${problem}. If ${prefix} is a mirror of ${signedPrefix}, let the policy take one name for the other (prefix ${prefix}, signedPrefix ${signedPrefix}); else sign the image under its own name`;
    return { message, ...keep({ type: "remapIdentity", prefix, signedPrefix }) };
  }
  const expected = failed?.expected === undefined ? "" : `, and the policy asks for ${failed.expected}`;
  return {
    message: `${problem}${expected}. Sign the image for that, or correct the policy's signedIdentity`,
    ...signed(situation),
  };
}

function fixDigest(situation: FixSituation): ReturnType<FixMaker> {
  const { list, signature, reference, digest, failed } = situation;
  const claimed = signature?.claims.manifestDigest ?? failed?.found ?? "another digest";
  if (list !== undefined && claimed === list.digest) {
    const message =
      "The signature is for the list, while podman, skopeo and CRI-O judge the instance. Sign every instance as well";
    return { message, ...signed(situation, ["--all"]) };
  }
  const other =
    reference === undefined
      ? "use the image that was signed"
      : `use what was signed, ${referenceName(reference)}@${claimed}`;
  return {
    message: `The image changed after it was signed: it is ${digest ?? "another one"} now, and ${claimed} was signed. If the change is meant, sign it anew; else ${other}`,
    ...signed(situation),
  };
}

function fixReject(situation: FixSituation): ReturnType<FixMaker> {
  const { scope } = situation;
  const why =
    scope.transport === undefined
      ? "No scope of the policy is about this image, and its default rejects everything"
      : `Scope ${scope.label} of the policy rejects everything`;
  return {
    message: `${why}. If the image shall be used, say whose signature it needs (${KEYFILE}: a file with the signer's public key)`,
    ...trustCommand(situation, { scope: ownScope(situation), keys: [KEYFILE], placeholders: [KEYFILE] }),
  };
}

function fixKeyFile(situation: FixSituation): ReturnType<FixMaker> {
  const { requirement, message } = situation;
  if (requirement?.type !== "signedBy") return repeatHint(situation);
  return {
    message: `${capitalize(message)}. Put the key there, or name another file`,
    ...trusted(situation, [KEYFILE]),
  };
}

function fixUndetermined(situation: FixSituation): ReturnType<FixMaker> {
  const { simpleSignatures = 0 } = situation;
  if (simpleSignatures === 0 || situation.requirement?.type !== "sigstoreSigned") return repeatHint(situation);
  return {
    message: `The policy demands a sigstore signature, and the image has ${simpleSignatures} simple ${simpleSignatures === 1 ? "signature" : "signatures"}. Demand signedBy with the signer's OpenPGP key instead`,
    ...trustCommand(situation, { type: "signedBy", keys: [KEYFILE], placeholders: [KEYFILE] }),
  };
}

/** What a store's status usually comes from. */
const statusCauses: ReadonlyMap<number, string> = new Map([
  [401, "lookaside stores are read without credentials: let everybody read it"],
  [
    403,
    "a bucket that may not be listed answers so for files that do not exist: grant s3:ListBucket, or let 403 become 404 for them",
  ],
  [410, "let it answer 404 for a signature that does not exist"],
]);

function fixStore(situation: FixSituation): ReturnType<FixMaker> {
  const { status, message, hint, store } = situation;
  const cause = (status === undefined ? undefined : statusCauses.get(status)) ?? hint;
  const place = store === undefined || message.includes(store.label) ? "" : `${store.label}: `;
  return { message: `${place}${message}${cause === undefined ? "" : `. ${capitalize(cause)}`}`, placeholders: [] };
}
