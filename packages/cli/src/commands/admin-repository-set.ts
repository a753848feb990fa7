import type { SettingsChange } from "@signet/server";
import type { Command, FlagOption, ListOption, NumberOption, TextOption } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

const name = "admin repository set";

const visibilityOption: TextOption = {
  kind: "text",
  name: "visibility",
  value: "WHO",
  choices: ["private", "public"],
  summary: "public: everybody may pull, without an account too",
  completion: "nothing",
};
const descriptionOption: TextOption = {
  kind: "text",
  name: "description",
  value: "TEXT",
  summary: "What it is for",
  completion: "nothing",
};
const quotaBytesOption: NumberOption = {
  kind: "number",
  name: "quota-bytes",
  value: "BYTES",
  summary: "Bytes of all that it holds; 0: no limit",
  minimum: 0,
  maximum: 1e15,
};
const quotaTagsOption: NumberOption = {
  kind: "number",
  name: "quota-tags",
  value: "COUNT",
  summary: "How many tags it may have; 0: no limit",
  minimum: 0,
  maximum: 1e9,
};
const immutableTagOption: ListOption = {
  kind: "list",
  name: "immutable-tag",
  value: "PATTERN",
  summary: "Tags that may neither move nor go, such as 'v*'; all patterns that hold from now on",
  completion: "nothing",
};
const mutableTagsOption: FlagOption = {
  kind: "flag",
  name: "mutable-tags",
  summary: "Every tag may move again",
};

export const command: Command = {
  name,
  summary: "Change a repository of the server",
  description: ["What is not named stays as it is. What a repository already holds is never removed by a quota."],
  arguments: [{ name: "PATH", summary: "The repository, such as team/app", completion: "nothing" }],
  options: [
    visibilityOption,
    descriptionOption,
    quotaBytesOption,
    quotaTagsOption,
    immutableTagOption,
    mutableTagsOption,
    ...dataOptions,
  ],
  examples: [
    { line: "signet admin repository set team/app --visibility public", purpose: "Pulls without an account" },
    { line: "signet admin repository set team/app --immutable-tag 'v*'", purpose: "Releases stay what they are" },
  ],
  async run(invocation, runtime) {
    const [path = ""] = invocation.arguments;
    const patterns = invocation.get(immutableTagOption);
    if (patterns.length > 0 && invocation.get(mutableTagsOption)) {
      throw usage("--immutable-tag or --mutable-tags, not both", name);
    }
    const visibility = invocation.get(visibilityOption) as SettingsChange["visibility"];
    const description = invocation.get(descriptionOption);
    const quotaBytes = invocation.get(quotaBytesOption);
    const quotaTags = invocation.get(quotaTagsOption);
    const change: SettingsChange = {
      ...(visibility === undefined ? {} : { visibility }),
      ...(description === undefined ? {} : { description }),
      ...(quotaBytes === undefined ? {} : { quotaBytes }),
      ...(quotaTags === undefined ? {} : { quotaTags }),
      ...(patterns.length === 0 && !invocation.get(mutableTagsOption) ? {} : { immutableTags: patterns }),
    };
    if (Object.keys(change).length === 0) throw usage("nothing is to be changed", name);
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { changeRepositorySettings } = await import("@signet/server");
    await changeRepositorySettings(offline.database, path, change, "offline", runtime.now());
    runtime.terminal.line(`${path} is changed`);
    return exitCodes.done;
  },
};
