import type { Command, FlagOption } from "../command-line/command.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { asUsage, notLoggedIn } from "../registry/registry-argument.ts";

const name = "logout";

const allOption: FlagOption = {
  kind: "flag",
  name: "all",
  short: "a",
  summary: "Forget the credentials for every registry",
};

export const command: Command = {
  name,
  summary: "Forget the credentials for a registry",
  description: [
    "Removes the credentials that `signet login` or `podman login` kept. Other places, such as docker's own file, are left alone; if one still has credentials, that is said.",
  ],
  arguments: [{ name: "REGISTRY", summary: "As it was given to login", optional: true, completion: "nothing" }],
  options: [allOption, registryOptions.authFile],
  examples: [{ line: "signet logout registry.example.com", purpose: "Forget one registry" }],
  async run(invocation, { terminal, interruption }) {
    const [registry] = invocation.arguments;
    const isAll = invocation.get(allOption);
    if (isAll === (registry !== undefined)) throw usage("name one registry, or use --all", name);
    const { currentHost, removeAllCredentials, removeCredentials } = await import("@signet/images");
    const authFile = invocation.get(registryOptions.authFile);
    const search = { host: currentHost(), ...(authFile === undefined ? {} : { authFile }) };
    if (registry === undefined) {
      await interruption.finish(removeAllCredentials(search));
      terminal.line("Removed login credentials for all registries");
      return exitCodes.done;
    }
    const { removed, remaining } = await asUsage(interruption.finish(removeCredentials(registry, search)));
    if (!removed && remaining === undefined) throw notLoggedIn(registry);
    if (removed) terminal.line(`Removed login credentials for ${registry}`);
    if (remaining !== undefined) terminal.warn(`${remaining} still has credentials for ${registry}`);
    return removed ? exitCodes.done : exitCodes.failed;
  },
};
