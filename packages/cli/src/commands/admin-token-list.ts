import type { Command } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin token list",
  summary: "List the access tokens of an account of the server",
  description: ["Their secrets are not kept, and cannot be shown again."],
  arguments: [{ name: "USER", summary: "The account", completion: "nothing" }],
  options: [...dataOptions, outputFormatOption],
  examples: [{ line: "signet admin token list 'robot$ci'", purpose: "Of a robot" }],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    const [user] = invocation.arguments as [string];
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { listAccessTokens } = await import("@signet/server");
    const time = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
    const tokens = (await listAccessTokens(offline.database.read, user)).map((token) => ({
      id: token.id,
      name: token.name,
      scopes: token.scopes,
      created: time(token.createdAt),
      expires: time(token.expiresAt),
      last_used: time(token.lastUsedAt),
    }));
    if (invocation.get(outputFormatOption) === "json") terminal.json({ tokens });
    else
      for (const { id, name, scopes, expires, last_used: used } of tokens) {
        const limits = scopes === null ? "all that the account may" : scopes.join(" ");
        terminal.line(`${id}  ${name}  ${limits}  expires ${expires ?? "never"}  last used ${used ?? "never"}`);
      }
    return exitCodes.done;
  },
};
