import type { Command, FlagOption } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { openOfflineStorage } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

const name = "admin repository delete";

const yesOption: FlagOption = {
  kind: "flag",
  name: "yes",
  summary: "Do it: there is no way back",
};

export const command: Command = {
  name,
  summary: "Delete a repository of the server with everything in it",
  description: [
    "Tags, immutable ones too, manifests, signatures, uploads in flight, settings, pull policy and the roles on the repository go at once, also in a running server. A later repository of that name begins with none of them.",
    "Roles on namespaces stay, and so do withdrawals of signatures. Blobs that no other repository holds go with the next collection.",
  ],
  arguments: [{ name: "PATH", summary: "The repository, such as team/app", completion: "nothing" }],
  options: [yesOption, ...dataOptions],
  examples: [{ line: "signet admin repository delete team/app --yes", purpose: "A project that is over" }],
  async run(invocation, runtime) {
    const [path = ""] = invocation.arguments;
    if (!invocation.get(yesOption)) throw usage(`nothing was deleted: --yes deletes ${path} for good`, name);
    await using storage = await openOfflineStorage(invocation, runtime);
    const { deleteRepository } = await import("@signet/server");
    const { database, blobs } = storage;
    const gone = await deleteRepository(database, blobs, path, "offline", runtime.now());
    const { tags, manifests, signatures, roles } = gone;
    runtime.terminal.line(
      `${path} is deleted: ${tags} tags, ${manifests} manifests, ${signatures} signatures, ${roles} roles on it`,
    );
    return exitCodes.done;
  },
};
