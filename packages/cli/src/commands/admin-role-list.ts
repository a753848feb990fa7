import type { Command } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { describeSubject, describeTarget } from "../server/binding-arguments.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

export const command: Command = {
  name: "admin role list",
  summary: "List who has which role on the server",
  description: ["One line a role that was given, in the order in which they were: the role, who has it, and where."],
  arguments: [],
  options: [...dataOptions, outputFormatOption],
  examples: [{ line: "signet admin role list", purpose: "All of them" }],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { listRoleBindings } = await import("@signet/server");
    const bindings = await listRoleBindings(offline.database.read);
    if (invocation.get(outputFormatOption) === "json") {
      const roles = bindings.map(({ role, subject, targetKind, target }) => ({
        role,
        subject: describeSubject(subject),
        target_kind: targetKind,
        target,
      }));
      terminal.json({ roles });
    } else
      for (const binding of bindings)
        terminal.line(`${binding.role}  ${describeSubject(binding.subject)}  ${describeTarget(binding)}`);
    return exitCodes.done;
  },
};
