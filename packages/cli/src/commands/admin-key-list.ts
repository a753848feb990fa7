import type { Command } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin key list",
  summary: "List the keys by which the server judges signatures",
  description: ["One line a key: its fingerprint, whether it is trusted or withdrawn, and its owner's words."],
  arguments: [],
  options: [...dataOptions, outputFormatOption],
  examples: [{ line: "signet admin key list", purpose: "All of them, also those that were withdrawn" }],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { listTrustedKeys } = await import("@signet/server");
    const keys = await listTrustedKeys(offline.database.read);
    if (invocation.get(outputFormatOption) === "json") {
      terminal.json({ keys: keys.map((key) => ({ ...key, createdAt: new Date(key.createdAt).toISOString() })) });
    } else {
      for (const { fingerprint, state, userIds, reason } of keys) {
        terminal.line([fingerprint, state, userIds.join(", "), reason].filter((part) => part !== "").join("  "));
      }
    }
    return exitCodes.done;
  },
};
