import type { PullPolicySetting } from "@signet/server";
import type { Command, TextOption } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { policyPlaceOptions, readPolicyPlace } from "../server/policy-place.ts";
import { dataOptions } from "../server/server-options.ts";
import { offlineAuthor } from "../server/trust-author.ts";

const name = "admin pull-policy set";

/** Bytes of the file: the server's own limit for a list, with room for white space. */
const MAX_FILE_BYTES = 1_048_576;

const requirementsOption: TextOption = {
  kind: "text",
  name: "requirements",
  value: "FILE",
  summary: "A JSON list of requirements, as policy.json has them",
  completion: "file",
};

export const command: Command = {
  name,
  summary: "Set what the server asks of images before they are pulled",
  description: [
    "warn says in a header what is missing, enforce refuses the pull, off asks for nothing. Policies of the server, of namespaces and of repositories add up.",
    'Keys stand in keyData, or are those of the server: "keyPath": "server:keyring". docs/pull-policy.md has the rules.',
  ],
  arguments: [{ name: "MODE", summary: "off, warn or enforce", choices: ["off", "warn", "enforce"] }],
  options: [requirementsOption, ...policyPlaceOptions, ...dataOptions],
  examples: [
    {
      line: "signet admin pull-policy set enforce --requirements signed.json --namespace prod",
      purpose: "Only what is signed leaves prod/",
    },
    { line: "signet admin pull-policy set off --repository team/app", purpose: "Nothing is asked any more" },
  ],
  async run(invocation, runtime) {
    const mode = invocation.arguments[0] as PullPolicySetting["mode"];
    const place = readPolicyPlace(invocation, name);
    const file = invocation.get(requirementsOption);
    const { readFileBounded } = await import("@signet/images");
    const requirements =
      file === undefined
        ? undefined
        : Buffer.from(await readFileBounded(file, MAX_FILE_BYTES, "requirements")).toString("utf8");
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { setNamespacePullPolicy, setPullPolicy } = await import("@signet/server");
    const author = await offlineAuthor(runtime);
    const setting = { mode, requirements };
    if (place.kind === "repository") await setPullPolicy(offline.database, place.path, setting, author);
    else await setNamespacePullPolicy(offline.database, place.path, setting, author);
    runtime.terminal.line(`${place.description}: ${mode}`);
    return exitCodes.done;
  },
};
