/** A role, who has it and where, as the command line writes them. */
import type { RoleBinding } from "@signet/server";
import type { ArgumentSpec, Invocation, OptionSpec, TextOption } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";

const repositoryOption: TextOption = {
  kind: "text",
  name: "repository",
  value: "PATH",
  summary: "At this repository alone, which need not exist yet",
  completion: "nothing",
};
const namespaceOption: TextOption = {
  kind: "text",
  name: "namespace",
  value: "PATH",
  summary: "At every repository below this path",
  completion: "nothing",
};

export const bindingArguments: readonly ArgumentSpec[] = [
  {
    name: "ROLE",
    summary: "reader, pusher, signer, auditor, maintainer or admin",
    choices: ["reader", "pusher", "signer", "auditor", "maintainer", "admin"],
  },
  { name: "WHO", summary: "An account, group:NAME, authenticated or anonymous", completion: "nothing" },
];
export const bindingOptions: readonly OptionSpec[] = [repositoryOption, namespaceOption];

/** What the arguments and options say; without an option the role is on the whole server. */
export function readBinding(invocation: Invocation, command: string): RoleBinding {
  const [role, who] = invocation.arguments as [RoleBinding["role"], string];
  const repository = invocation.get(repositoryOption);
  const namespace = invocation.get(namespaceOption);
  if (repository !== undefined && namespace !== undefined)
    throw usage("--repository or --namespace, not both", command);
  const target = repository ?? namespace ?? "";
  const kind = namespace === undefined ? ("repository" as const) : ("namespace" as const);
  return { role, subject: readSubject(who), targetKind: target === "" ? "server" : kind, target };
}

function readSubject(who: string): RoleBinding["subject"] {
  if (who === "anonymous" || who === "authenticated") return { kind: who };
  return who.startsWith("group:")
    ? { kind: "group", name: who.slice("group:".length) }
    : { kind: "account", name: who };
}

/** Who, as {@link bindingArguments} writes them. */
export function describeSubject(subject: RoleBinding["subject"]): string {
  if (!("name" in subject)) return subject.kind;
  return subject.kind === "group" ? `group:${subject.name}` : subject.name;
}

/** Where, for people. */
export function describeTarget({ targetKind, target }: RoleBinding): string {
  return targetKind === "server" ? "server" : `${targetKind} ${target}`;
}
