import type { Command, FlagOption } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { passwordStdinOption, readNewPassword } from "../server/new-password.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

const noPasswordOption: FlagOption = {
  kind: "flag",
  name: "no-password",
  summary: "Log in by access tokens alone; robots always do",
};

export const command: Command = {
  name: "admin user create",
  summary: "Make an account on the server",
  description: [
    "The account may nothing until `signet admin role grant` gives it a role. A name that begins with robot$ is a robot: it has no password and logs in with access tokens (`signet admin token create`).",
  ],
  arguments: [{ name: "NAME", summary: "Lower-case letters, digits and . _ @ + -", completion: "nothing" }],
  options: [...dataOptions, passwordStdinOption, noPasswordOption],
  examples: [
    { line: "signet admin user create ann", purpose: "Asks for the password" },
    { line: "signet admin user create 'robot$ci'", purpose: "For a pipeline" },
  ],
  async run(invocation, runtime) {
    const [name] = invocation.arguments as [string];
    const kind = name.startsWith("robot$") ? "robot" : "user";
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { createAccount } = await import("@signet/server");
    const isWithout = kind === "robot" || invocation.get(noPasswordOption);
    const password = isWithout ? null : await readNewPassword(invocation, runtime, name);
    await createAccount(offline.audited("account.create", name, { kind }), { name, kind, password }, runtime.now());
    runtime.terminal.line(`${name} was made`);
    return exitCodes.done;
  },
};
