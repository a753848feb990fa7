import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";
import { offlineAuthor, reasonOption } from "../server/trust-author.ts";

export const command: Command = {
  name: "admin signature withdraw",
  summary: "Withdraw one signature from the server, for good",
  description: ["It leaves every repository and is never stored again. This cannot be undone."],
  arguments: [{ name: "DIGEST", summary: "sha256:… of the signature's bytes", completion: "nothing" }],
  options: [reasonOption, ...dataOptions],
  examples: [
    { line: "signet admin signature withdraw sha256:9b1c… --reason 'signed by mistake'", purpose: "One signature" },
  ],
  async run(invocation, runtime) {
    const [digest = ""] = invocation.arguments;
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { withdrawSignature } = await import("@signet/server");
    const author = await offlineAuthor(runtime);
    await withdrawSignature(offline.database, digest, invocation.get(reasonOption) ?? "", author);
    runtime.terminal.line(`${digest} is withdrawn`);
    return exitCodes.done;
  },
};
