/** A new password, typed or read. */
import type { FlagOption, Invocation } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";
import type { Runtime } from "../runtime.ts";
import { readSecretFile } from "../terminal/input.ts";

export const passwordStdinOption: FlagOption = {
  kind: "flag",
  name: "password-stdin",
  summary: "The password is the first line of standard input (default: asks twice)",
};

/** @throws UsageError when there is no terminal to ask on, or the two answers differ */
export async function readNewPassword(invocation: Invocation, { askSecret }: Runtime, user: string): Promise<string> {
  if (invocation.get(passwordStdinOption)) return await readSecretFile("-", "password");
  const password = await askSecret(`New password of ${user}`);
  if ((await askSecret("The same again")) !== password) throw usage("the two passwords differ");
  return password;
}
