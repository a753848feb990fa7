/** Options that say what a scope asks for, and the rule they make. */
import type { NewIdentity, NewKeys, NewRule } from "@signet/core";
import { type KeyPurpose, joinEmbeddedKeys, readTrustKeys } from "@signet/images";
import type { FlagOption, Invocation, ListOption, OptionSpec, TextOption } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";
import { identityOption, readIdentity } from "./identity-option.ts";

const typeOption: TextOption = {
  kind: "text",
  name: "type",
  short: "t",
  value: "TYPE",
  choices: ["accept", "reject", "signedBy", "sigstoreSigned"],
  otherChoices: ["insecureAcceptAnything"],
  summary: "accept, reject, signedBy or sigstoreSigned (default signedBy)",
};
const pubkeysFileOption: ListOption = {
  kind: "list",
  name: "pubkeysfile",
  short: "f",
  value: "FILE",
  summary: "Public key to trust; with several, a signature by any of them is enough",
  completion: "file",
};
/** atomic's form of the option: the key goes into the policy. */
const embeddedKeyOption: ListOption = {
  kind: "list",
  name: "pubkeys",
  short: "k",
  value: "FILE",
  summary: "Public key to put into the policy",
  completion: "file",
  hidden: true,
};
const keyTypeOption: TextOption = {
  kind: "text",
  name: "keytype",
  value: "TYPE",
  choices: ["GPGKeys"],
  summary: "Kind of the keys, as atomic has it",
  hidden: true,
};
const keyDataOption: FlagOption = {
  kind: "flag",
  name: "key-data",
  summary: "Put the keys themselves into the policy, not the names of their files",
};
const requireAllOption: FlagOption = {
  kind: "flag",
  name: "require-all",
  summary: "Ask for a signature by every one of the keys",
};
const rekorKeyOption: ListOption = {
  kind: "list",
  name: "rekor-key",
  value: "FILE",
  summary: "Public key of a transparency log that must have recorded the signature, for sigstoreSigned",
  completion: "file",
};
export const forceOption: FlagOption = {
  kind: "flag",
  name: "force",
  summary: "Trust keys that expired or were revoked, and take transports that are not known",
};

/** In the order of the help. */
export const ruleOptions: readonly OptionSpec[] = [
  typeOption,
  pubkeysFileOption,
  embeddedKeyOption,
  keyTypeOption,
  keyDataOption,
  requireAllOption,
  identityOption,
  rekorKeyOption,
  forceOption,
];

/** A rule, with what is to be said about it. */
export interface ChosenRule {
  readonly rule: NewRule;
  /** One a key file. */
  readonly keys: readonly string[];
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
}

/** What reading a rule takes besides the options. */
export interface RuleContext {
  readonly command: string;
  /** Root folder of the file tree whose policy it is. */
  readonly root: string | undefined;
  readonly now: number;
}

/**
 * The rule that the options describe. Key files are read and checked.
 * @throws UsageError `command-line-malformed`; as `readTrustKeys`
 */
export async function readRule(invocation: Invocation, context: RuleContext): Promise<ChosenRule> {
  const type = readType(invocation);
  const { command } = context;
  const embedded = invocation.get(embeddedKeyOption);
  const files = invocation.get(pubkeysFileOption);
  if (files.length > 0 && embedded.length > 0)
    throw usage("use --pubkeysfile, or --pubkeys as atomic has it, not both", command);
  const paths = [...files, ...embedded];
  const rekorPaths = invocation.get(rekorKeyOption);
  const identity = invocation.get(identityOption);
  if (type === "reject" || type === "insecureAcceptAnything") {
    refuseForPlainType(invocation, type, paths.length + rekorPaths.length, context);
    return { rule: { type }, keys: [], warnings: [], notes: [] };
  }
  if (paths.length === 0) throw usage(`type ${type} needs at least one public key`, command, "name it with -f FILE");
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw usage(`the key file ${twice} is named twice`, command);
  if (rekorPaths.length > 0 && type === "signedBy") throw usage("--rekor-key goes with --type sigstoreSigned", command);
  const embed = invocation.get(keyDataOption) || embedded.length > 0;
  const read = (purpose: KeyPurpose, from: readonly string[]): ReturnType<typeof readTrustKeys> =>
    readTrustKeys(from, {
      purpose,
      embed,
      force: invocation.get(forceOption),
      now: context.now,
      ...(context.root === undefined ? {} : { root: context.root }),
    });
  const requireAll = invocation.get(requireAllOption);
  const chosenIdentity = identity === undefined ? undefined : readIdentity(identity, command);
  const keys = await read(type === "signedBy" ? "openpgp" : "sigstore", paths);
  const rekor = rekorPaths.length === 0 ? undefined : await read("rekor", rekorPaths);
  const isJoined = type === "signedBy" && !requireAll;
  return {
    rule: {
      type,
      keys: isJoined ? joinEmbeddedKeys(keys.keys) : keys.keys,
      requireAll,
      ...(chosenIdentity === undefined ? {} : { identity: chosenIdentity }),
      ...(rekor === undefined ? {} : { rekor: rekor.keys }),
    },
    keys: [...keys.descriptions, ...(rekor?.descriptions ?? [])],
    warnings: [...keys.warnings, ...(rekor?.warnings ?? [])],
    notes: type === "sigstoreSigned" ? sigstoreNotes(chosenIdentity, keys.keys, rekor?.keys, requireAll) : [],
  };
}

function readType(invocation: Invocation): NewRule["type"] {
  const type = invocation.get(typeOption) ?? "signedBy";
  return type === "accept" ? "insecureAcceptAnything" : (type as NewRule["type"]);
}

function refuseForPlainType(
  invocation: Invocation,
  type: "reject" | "insecureAcceptAnything",
  keyCount: number,
  { command }: RuleContext,
): void {
  const word = type === "reject" ? "reject" : "accept";
  if (keyCount > 0)
    throw usage(`type ${word} takes no keys`, command, "leave --type out to accept what the keys signed");
  for (const option of [keyDataOption, requireAllOption]) {
    if (invocation.get(option)) throw usage(`--${option.name} does not go with type ${word}`, command);
  }
  if (invocation.get(identityOption) !== undefined) throw usage(`--identity does not go with type ${word}`, command);
}

function sigstoreNotes(
  identity: NewIdentity | undefined,
  keys: NewKeys,
  rekor: NewKeys | undefined,
  requireAll: boolean,
): readonly string[] {
  const notes: string[] = [];
  if (identity === undefined) {
    notes.push(
      "signatures of plain `cosign sign` name a repository and no tag, and meet this rule only with --identity repo",
    );
  }
  const isPlural = (set: NewKeys | undefined): boolean =>
    set !== undefined && (set.kind === "files" ? set.paths : set.blobs).length > 1;
  // containers/image: keyPaths, keyDatas (#2524) and the plural Rekor members (#2526) came with 5.33.0 and, by #2531, with 5.32.2; Rekor and Fulcio with 5.24.0: the
  // first tags whose docs/containers-policy.json.5.md has them. The tools are the first whose go.mod asks for that version.
  if ((isPlural(keys) && !requireAll) || isPlural(rekor)) {
    notes.push(
      "several sigstore keys in one rule are read by containers/image 5.32.2 and later (skopeo 1.16.1, podman 5.2.2); older readers refuse the whole policy",
    );
  } else if (rekor !== undefined) {
    notes.push(
      "rules with a transparency log are read by containers/image 5.24.0 and later (skopeo 1.11.0, podman 4.4.0); older readers refuse the whole policy",
    );
  }
  return notes;
}
