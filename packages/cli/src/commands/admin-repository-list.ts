import type { RepositorySettings } from "@signet/server";
import type { Command } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

/** Repositories read at a time. */
const PAGE = 1_000;

export const command: Command = {
  name: "admin repository list",
  summary: "List the server's repositories and their settings",
  description: ["One line a repository: its path, who may pull without an account, and what limits it."],
  arguments: [],
  options: [...dataOptions, outputFormatOption],
  examples: [{ line: "signet admin repository list", purpose: "All of them" }],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { listRepositories } = await import("@signet/server");
    const repositories: RepositorySettings[] = [];
    for (;;) {
      const page = await listRepositories(offline.database.read, repositories.at(-1)?.path ?? "", PAGE);
      repositories.push(...page);
      if (page.length < PAGE) break;
    }
    if (invocation.get(outputFormatOption) === "json") terminal.json({ repositories });
    else for (const one of repositories) terminal.line(describe(one));
    return exitCodes.done;
  },
};

function describe({ path, visibility, quotaBytes, quotaTags, immutableTags }: RepositorySettings): string {
  const parts = [
    path,
    visibility,
    quotaBytes === undefined ? "" : `at most ${quotaBytes} bytes`,
    quotaTags === undefined ? "" : `at most ${quotaTags} tags`,
    immutableTags.length === 0 ? "" : `immutable ${immutableTags.join(" ")}`,
  ];
  return parts.filter((part) => part !== "").join("  ");
}
