import type { Command } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin pull-policy show",
  summary: "Show what the server asks of images before they are pulled",
  description: ["Every policy that is set: of the server, of namespaces, of repositories."],
  arguments: [],
  options: [...dataOptions, outputFormatOption],
  examples: [{ line: "signet admin pull-policy show", purpose: "All of them" }],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { listPullPolicies } = await import("@signet/server");
    const policies = await listPullPolicies(offline.database.read);
    if (invocation.get(outputFormatOption) === "json") terminal.json({ policies });
    else
      for (const { scope, mode, requirements } of policies)
        terminal.line(`${scope}  ${mode}  ${requirements.replace(/\s+/g, " ").trim()}`);
    return exitCodes.done;
  },
};
