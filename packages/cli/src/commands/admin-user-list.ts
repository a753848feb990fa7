import type { Account } from "@signet/server";
import type { Command } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

/** Accounts read at a time. */
const PAGE = 1_000;

export const command: Command = {
  name: "admin user list",
  summary: "List the server's accounts",
  description: ["One line an account: its name, whether it is a user or a robot, and whether it may log in."],
  arguments: [],
  options: [...dataOptions, outputFormatOption],
  examples: [{ line: "signet admin user list", purpose: "All of them" }],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { listAccounts } = await import("@signet/server");
    const accounts: Account[] = [];
    for (;;) {
      const page = await listAccounts(offline.database.read, { after: accounts.at(-1)?.name ?? "", limit: PAGE });
      accounts.push(...page);
      if (page.length < PAGE) break;
    }
    if (invocation.get(outputFormatOption) === "json") {
      const created = ({ createdAt }: Account): string => new Date(createdAt).toISOString();
      const accountsJson = accounts.map((account) => ({
        name: account.name,
        kind: account.kind,
        disabled: account.isDisabled,
        password: account.hasPassword,
        created: created(account),
      }));
      terminal.json({ accounts: accountsJson });
    } else
      for (const { name, kind, isDisabled } of accounts)
        terminal.line(`${name}  ${kind}${isDisabled ? "  disabled" : ""}`);
    return exitCodes.done;
  },
};
