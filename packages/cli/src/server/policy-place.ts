/** Where a pull policy is set: at a repository, a namespace, or the whole server. */
import type { Invocation, OptionSpec, TextOption } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";

const repositoryOption: TextOption = {
  kind: "text",
  name: "repository",
  value: "PATH",
  summary: "Of this repository",
  completion: "nothing",
};
const namespaceOption: TextOption = {
  kind: "text",
  name: "namespace",
  value: "PATH",
  summary: "Of every repository at or below this path (default: the whole server)",
  completion: "nothing",
};

export const policyPlaceOptions: readonly OptionSpec[] = [repositoryOption, namespaceOption];

export interface PolicyPlace {
  readonly kind: "namespace" | "repository";
  /** Empty: the whole server. */
  readonly path: string;
  /** For people. */
  readonly description: string;
}

/** What the options say. */
export function readPolicyPlace(invocation: Invocation, command: string): PolicyPlace {
  const repository = invocation.get(repositoryOption);
  const namespace = invocation.get(namespaceOption);
  if (repository !== undefined && namespace !== undefined)
    throw usage("--repository or --namespace, not both", command);
  if (repository !== undefined)
    return { kind: "repository", path: repository, description: `repository ${repository}` };
  const path = namespace ?? "";
  return { kind: "namespace", path, description: path === "" ? "server" : `namespace ${path}` };
}
