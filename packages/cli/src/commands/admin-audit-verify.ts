import type { AuditAnchor } from "@signet/server";
import type { Command, ListOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { openOfflineDatabase } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

const name = "admin audit verify";

const headOption: ListOption = {
  kind: "list",
  name: "head",
  value: "NUMBER:HASH",
  summary: "What an earlier run printed as the head: it must still be in the log",
  completion: "nothing",
};

export const command: Command = {
  name,
  summary: "Check that the server's audit log is whole",
  description: [
    "Reads the audit log of the server's database and reports every entry that was altered, removed, moved or put in. Exit status 1 when there is one.",
    "Whoever can write to the database could also write the whole log anew. Keep the head that is printed elsewhere, and give it to a later run with --head, to find that too.",
  ],
  arguments: [],
  options: [...dataOptions, headOption, outputFormatOption],
  examples: [
    { line: "signet admin audit verify --data /srv/signet", purpose: "The log of a server on this machine" },
    { line: "signet admin audit verify --head 1042:9f86d0… --output json", purpose: "Against a head that was noted" },
  ],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    const anchors = invocation.get(headOption).map(readHead);
    await using offline = await openOfflineDatabase(invocation, runtime);
    const { verifyAuditLog } = await import("@signet/server");
    const { entries, head, faults } = await verifyAuditLog(offline.database.read, anchors);
    if (invocation.get(outputFormatOption) === "json") terminal.json({ entries, head, faults });
    else {
      for (const { sequence, problem } of faults) terminal.line(`entry ${sequence}: ${problem}`);
      terminal.line(faults.length === 0 ? `${entries} entries, none altered` : `${entries} entries, not whole`);
      terminal.line(`head ${head.sequence}:${head.hash}`);
    }
    return faults.length === 0 ? exitCodes.done : exitCodes.rejected;
  },
};

function readHead(text: string): AuditAnchor {
  const [, sequence, hash] = /^([1-9][0-9]{0,14}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (sequence === undefined || hash === undefined) throw usage(`--head is NUMBER:HASH, as printed`, name);
  return { sequence: Number(sequence), hash };
}
