import type { Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import {
  bindingArguments,
  bindingOptions,
  describeSubject,
  describeTarget,
  readBinding,
} from "../server/binding-arguments.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

const name = "admin role revoke";

export const command: Command = {
  name,
  summary: "Take a role on the server away",
  description: [
    "Takes a role away that was given to this subject at this very place. It counts from the next request on.",
  ],
  arguments: bindingArguments,
  options: [...bindingOptions, ...dataOptions],
  examples: [
    { line: "signet admin role revoke pusher ann --namespace team", purpose: "Push to every repository below team/" },
    { line: "signet admin role revoke reader anonymous --repository team/app", purpose: "Pull without an account" },
  ],
  async run(invocation, runtime) {
    const binding = readBinding(invocation, name);
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { unbindRole } = await import("@signet/server");
    const subject = describeSubject(binding.subject);
    const where = describeTarget(binding);
    const database = offline.audited("role.revoke", subject, { role: binding.role, where });
    await unbindRole(database, binding);
    runtime.terminal.line(`${subject} is no longer ${binding.role} on ${where}`);
    return exitCodes.done;
  },
};
