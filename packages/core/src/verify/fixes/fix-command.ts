/** Commands as a shell takes them. */
import type { KeySource, SignedByRequirement, SignedIdentity } from "../../policy/policy.ts";
import { formatReference, isNameOnly, referenceName } from "../../reference/reference.ts";
import type { Fix, FixSituation } from "./fix.ts";

/** Stands for the secret key to sign with. */
const KEY = "KEY";

/** Stands for a file with the public key to trust. */
export const KEYFILE = "KEYFILE";

/** A word that a POSIX shell reads back as `text`. */
export function shellWord(text: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function shellLine(words: readonly string[]): string {
  return words.map(shellWord).join(" ");
}

type Command = Required<Pick<Fix, "command" | "placeholders">>;

/** `signet sign`, with a trusted key where one is known, and for the identity that the policy asks for. */
export function signCommand(situation: FixSituation, more: readonly string[] = []): Command | undefined {
  if (situation.transport !== "docker" && situation.transport !== "dir") return undefined;
  const key = situation.signingKeys[0] ?? KEY;
  const identity = wantedIdentity(situation);
  const own = situation.reference === undefined ? undefined : formatReference(situation.reference);
  if (identity === undefined && own === undefined) return undefined;
  const { place } = situation;
  // Signatures go where the image is named to be: of one that came from elsewhere, that has to be named, and whom they are for beside it.
  const image = place === undefined ? situation.image : `docker://${formatReference(place)}`;
  const target = place === undefined ? own : formatReference(place);
  const signedFor = identity ?? own;
  const forOther = signedFor === undefined || signedFor === target ? [] : ["--identity", signedFor];
  const words = ["signet", "sign", ...more, "--key", key, ...forOther, image];
  const options = situation.transport === "docker" ? [...situation.storeOptions, ...situation.registryOptions] : [];
  return { command: shellLine([...words, ...options]), placeholders: key === KEY ? [KEY] : [] };
}

/** What a new signature must be for; undefined when it is the image's own name, or cannot be told. */
function wantedIdentity({ requirement, reference }: FixSituation): string | undefined {
  if (requirement?.type !== "signedBy") return undefined;
  const { signedIdentity } = requirement;
  switch (signedIdentity.type) {
    case "exactReference":
      return formatReference(signedIdentity.reference);
    case "exactRepository": {
      const tag = reference?.tag ?? "latest";
      const isOwn = reference !== undefined && referenceName(reference) === signedIdentity.repository;
      return isOwn && !isNameOnly(reference) ? undefined : `${signedIdentity.repository}:${tag}`;
    }
    case "remapIdentity": {
      if (reference === undefined) return undefined;
      const text = formatReference(reference);
      const { prefix, signedPrefix } = signedIdentity;
      const isUnder = referenceName(reference) === prefix || referenceName(reference).startsWith(`${prefix}/`);
      return isUnder ? signedPrefix + text.slice(prefix.length) : undefined;
    }
    case "matchExact":
    case "matchRepoDigestOrExact":
    case "matchRepository":
      return undefined;
  }
}

/** How `trust set` writes the identity rules. */
function identityWord(identity: SignedIdentity): string | undefined {
  switch (identity.type) {
    case "matchRepoDigestOrExact":
      return undefined;
    case "exactReference":
      return `reference=${identity.dockerReference}`;
    case "exactRepository":
      return `repository=${identity.dockerRepository}`;
    case "remapIdentity":
      return `remap=${identity.prefix}=${identity.signedPrefix}`;
    case "matchExact":
    case "matchRepository":
      return identity.type;
  }
}

export interface TrustChange {
  /** Default: the scope that governs; for the policy's default the image's repository. */
  readonly scope?: string;
  /** Default signedBy. */
  readonly type?: string;
  /** Key files to trust. */
  readonly keys?: readonly string[];
  /** The rule for identities; default: that of the requirement. */
  readonly identity?: SignedIdentity;
  readonly lookaside?: string;
  /** Turns on sigstore attachments for the scope, where its images are in a registry. */
  readonly attachments?: boolean;
  readonly placeholders: readonly string[];
}

/** `signet trust set`. */
export function trustCommand(situation: FixSituation, change: TrustChange): Command {
  const { requirement } = situation;
  const { scope = nearScope(situation), type, keys = [] } = change;
  const kept = requirement?.type === "signedBy" ? requirement.signedIdentity : undefined;
  const identity = change.identity ?? (keys.length > 0 ? kept : undefined);
  const word = identity === undefined ? undefined : identityWord(identity);
  const isAttached = change.attachments === true && situation.transport === "docker";
  const words = [
    ...["signet", "trust", "set", scope],
    ...(situation.transport === "docker" ? [] : ["--transport", situation.transport]),
    ...(type === undefined ? [] : ["-t", type]),
    ...keys.flatMap((key) => ["-f", key]),
    ...(word === undefined ? [] : ["--identity", word]),
    ...(change.lookaside === undefined ? [] : ["--lookaside", change.lookaside]),
    ...(isAttached ? ["--attachments"] : []),
    ...situation.policyOptions,
    ...(change.lookaside === undefined && !isAttached ? [] : situation.storeOptions),
  ];
  return { command: shellLine(words), placeholders: change.placeholders };
}

/** The narrowest change that helps this image: the governing scope where it is about this repository or a part of it, else the repository itself. */
function nearScope({ scope, reference, image }: FixSituation): string {
  if (scope.scope !== undefined && scope.scope !== "") return scope.scope;
  return reference === undefined ? image.slice(image.indexOf(":") + 1) : referenceName(reference);
}

/** The image's repository as a scope of its own; a scope that is narrower than it stays. */
export function ownScope(situation: FixSituation): string {
  const { scope, reference, image } = situation;
  if (reference === undefined) return image.slice(image.indexOf(":") + 1);
  const repository = referenceName(reference);
  return scope.scope !== undefined && scope.scope.startsWith(repository) ? scope.scope : repository;
}

/** Key files of a requirement; none when the policy holds the keys itself. */
export function keyPaths(requirement: SignedByRequirement): readonly string[] {
  return pathsOf(requirement.keys);
}

function pathsOf(keys: KeySource): readonly string[] {
  return keys.kind === "files" ? keys.paths : [];
}
