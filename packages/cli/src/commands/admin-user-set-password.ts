import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { passwordStdinOption, readNewPassword } from "../server/new-password.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin user set-password",
  summary: "Give an account of the server a new password",
  description: [
    "What was proved by the old password ends at once, and so does a lock-out; access tokens stay. This is also the way back in when the password of admin is lost.",
  ],
  arguments: [{ name: "NAME", summary: "The account", completion: "nothing" }],
  options: [...dataOptions, passwordStdinOption],
  examples: [{ line: "signet admin user set-password admin", purpose: "Asks for the password" }],
  async run(invocation, runtime) {
    const [name] = invocation.arguments as [string];
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { setPassword } = await import("@signet/server");
    const password = await readNewPassword(invocation, runtime, name);
    await setPassword(offline.audited("account.password", name), name, password);
    runtime.terminal.line(`${name} has a new password`);
    return exitCodes.done;
  },
};
