import type { Command, ListOption, NumberOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

const DAY_MS = 86_400_000;

const scopeOption: ListOption = {
  kind: "list",
  name: "scope",
  value: "SCOPE",
  summary: "Limit it to this, such as repository:team/app:pull,push or namespace:team:pull",
  completion: "nothing",
};
const daysOption: NumberOption = {
  kind: "number",
  name: "days",
  value: "N",
  minimum: 1,
  maximum: 3_650,
  summary: "Days for which it is good (default: until it is revoked)",
};

export const command: Command = {
  name: "admin token create",
  summary: "Make an access token for an account of the server",
  description: [
    "Prints the secret, which is used in the place of a password and is not kept anywhere. It begins with sgn_, so that scanners find it where it does not belong.",
  ],
  arguments: [
    { name: "USER", summary: "The account", completion: "nothing" },
    { name: "NAME", summary: "A note of what it is for", completion: "nothing" },
  ],
  options: [...dataOptions, scopeOption, daysOption, outputFormatOption],
  examples: [
    {
      line: "signet admin token create 'robot$ci' deploy --scope repository:team/app:pull --days 90",
      purpose: "A pipeline that pulls one repository",
    },
  ],
  async run(invocation, runtime) {
    const { now, terminal } = runtime;
    const [account, name] = invocation.arguments as [string, string];
    const scopes = invocation.get(scopeOption);
    const days = invocation.get(daysOption);
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { createAccessToken } = await import("@signet/server");
    const time = now();
    const expiresAt = days === undefined ? null : time + days * DAY_MS;
    const token = { account, name, scopes: scopes.length === 0 ? null : scopes, expiresAt };
    const database = offline.audited("token.create", account, { name, scopes: token.scopes, expires_at: expiresAt });
    const { id, secret } = await createAccessToken(database, token, time);
    if (invocation.get(outputFormatOption) === "json") terminal.json({ id, secret });
    else terminal.line(secret);
    return exitCodes.done;
  },
};
