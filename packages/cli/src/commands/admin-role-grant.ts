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

const name = "admin role grant";

export const command: Command = {
  name,
  summary: "Give a role on the server",
  description: [
    "Roles add up: reader pulls; pusher pulls and pushes; signer pulls and adds signatures, also where a pull policy hides the image; auditor pulls and records verification results; maintainer does all of these, deletes and gives roles; admin, on the whole server alone, does everything.",
  ],
  arguments: bindingArguments,
  options: [...bindingOptions, ...dataOptions],
  examples: [
    { line: "signet admin role grant pusher ann --namespace team", purpose: "Push to every repository below team/" },
    { line: "signet admin role grant reader anonymous --repository team/app", purpose: "Pull without an account" },
  ],
  async run(invocation, runtime) {
    const binding = readBinding(invocation, name);
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { bindRole } = await import("@signet/server");
    const subject = describeSubject(binding.subject);
    const where = describeTarget(binding);
    const database = offline.audited("role.grant", subject, { role: binding.role, where });
    await bindRole(database, binding, runtime.now());
    runtime.terminal.line(`${subject} is ${binding.role} on ${where}`);
    return exitCodes.done;
  },
};
