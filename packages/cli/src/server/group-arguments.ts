/** A group and one of its accounts, as the command line writes them. */
import type { ArgumentSpec } from "../command-line/command.ts";

export const groupMemberArguments: readonly ArgumentSpec[] = [
  { name: "GROUP", summary: "The group", completion: "nothing" },
  { name: "ACCOUNT", summary: "The account", completion: "nothing" },
];
