import type { Finding } from "@signet/server";
import type { Command, FlagOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineStorage } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

/** Milliseconds: bytes without a row are leftovers only when older than any upload, which is kept for a day, can be. */
const STRAY_AGE_MS = 25 * 60 * 60 * 1_000;
/** Findings that are kept for `--output json` and for a repair; a store that is broken in more places is restored from a backup. */
const MAX_FINDINGS = 100_000;

const contentOption: FlagOption = {
  kind: "flag",
  name: "content",
  summary: "Also read every blob and compute its digest, and look for signatures that are not listed",
};
const repairOption: FlagOption = {
  kind: "flag",
  name: "repair",
  summary: "Take out what is broken, so that a push can bring it again; list signatures; remove leftovers",
};

export const command: Command = {
  name: "admin check",
  summary: "Check the server's blobs, manifests and signatures against its database",
  description: [
    "Holds everything that is stored against everything that the database says of it. Exit status 1 when something is wrong; leftovers of a crash alone are none.",
    "Safe beside a running server. What it finds while others write may be gone a moment later: look again before a repair.",
  ],
  arguments: [],
  options: [...dataOptions, contentOption, repairOption, outputFormatOption],
  examples: [
    { line: "signet admin check --data /srv/signet", purpose: "Sizes, references and versions" },
    { line: "signet admin check --content --repair", purpose: "Every byte, and mend what can be mended" },
  ],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    const isJson = invocation.get(outputFormatOption) === "json";
    await using storage = await openOfflineStorage(invocation, runtime);
    const { checkContent, repairFinding } = await import("@signet/server");
    const options = { withContent: invocation.get(contentOption), straysBefore: runtime.now() - STRAY_AGE_MS };
    const findings: (Finding & { readonly repair?: string; readonly notRepaired?: string })[] = [];
    let left = 0;
    for await (const finding of checkContent(storage.database, storage.blobs, options)) {
      let repair: string | undefined;
      let notRepaired: string | undefined;
      if (invocation.get(repairOption)) {
        const database = storage.audited("content.repair", finding.subject, { fault: finding.fault });
        const outcome = await repairFinding(database, storage.blobs, finding, runtime.now());
        if (outcome.repaired) repair = outcome.what;
        else notRepaired = outcome.why;
      }
      if (repair === undefined && finding.fault !== "stray-bytes") left += 1;
      const result = {
        ...(repair === undefined ? {} : { repair }),
        ...(notRepaired === undefined ? {} : { notRepaired }),
      };
      if (findings.length < MAX_FINDINGS) findings.push({ ...finding, ...result });
      if (isJson) continue;
      const said = repair ?? (notRepaired && `not repaired: ${notRepaired}`);
      terminal.line(`${finding.fault} ${finding.subject}: ${finding.message}${said === undefined ? "" : ` (${said})`}`);
    }
    if (isJson) terminal.json({ findings, left });
    else if (left === 0) terminal.line("nothing is wrong");
    else terminal.line(left === 1 ? "1 thing is wrong" : `${left} things are wrong`);
    return left === 0 ? exitCodes.done : exitCodes.rejected;
  },
};
