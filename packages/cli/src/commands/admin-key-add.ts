import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";
import { offlineAuthor, reasonOption } from "../server/trust-author.ts";

export const command: Command = {
  name: "admin key add",
  summary: "Trust the keys of a file on the server",
  description: [
    "Signatures that the server keeps are judged by these keys, those that are there already too. Adding a key again takes over what is new: a later expiry, a revocation, subkeys.",
  ],
  arguments: [{ name: "FILE", summary: "Public keys, binary or armored", completion: "file" }],
  options: [reasonOption, ...dataOptions],
  examples: [{ line: "signet admin key add release.gpg --reason 'the release team'", purpose: "A team's key" }],
  async run(invocation, runtime) {
    const [file = ""] = invocation.arguments;
    const { readKeyFile } = await import("@signet/images");
    const keys = readKeyFile(file);
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { addTrustedKey } = await import("@signet/server");
    const author = await offlineAuthor(runtime);
    const added = await addTrustedKey(offline.database, keys, invocation.get(reasonOption) ?? "", author);
    for (const fingerprint of added) runtime.terminal.line(`${fingerprint} is trusted`);
    return exitCodes.done;
  },
};
