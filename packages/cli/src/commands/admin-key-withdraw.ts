import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";
import { offlineAuthor, reasonOption } from "../server/trust-author.ts";

export const command: Command = {
  name: "admin key withdraw",
  summary: "Withdraw a key and every signature of it, for good",
  description: [
    "In one step the key is trusted no more, its signatures leave every repository, and none is ever stored again. This cannot be undone.",
  ],
  arguments: [{ name: "FINGERPRINT", summary: "Of the primary key, all its hex digits", completion: "nothing" }],
  options: [reasonOption, ...dataOptions],
  examples: [{ line: "signet admin key withdraw 6D3F…A1 --reason 'laptop stolen'", purpose: "A key that leaked" }],
  async run(invocation, runtime) {
    const [fingerprint = ""] = invocation.arguments;
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { withdrawKey } = await import("@signet/server");
    const author = await offlineAuthor(runtime);
    const gone = await withdrawKey(offline.database, fingerprint, invocation.get(reasonOption) ?? "", author);
    runtime.terminal.line(`${fingerprint} is withdrawn; ${gone.length} of its signatures are gone`);
    return exitCodes.done;
  },
};
