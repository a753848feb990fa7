import type { Command, NumberOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openOfflineStorage } from "../server/offline-database.ts";
import { dataOptions } from "../server/server-options.ts";

const graceOption: NumberOption = {
  kind: "number",
  name: "grace",
  value: "SECONDS",
  summary: "Spare what was pushed or asked for in this time (default 3600)",
  minimum: 60,
  maximum: 31_536_000,
};

export const command: Command = {
  name: "admin collect",
  summary: "Remove what no repository of the server holds any more",
  description: [
    "Collects garbage once, as a running server does by itself from time to time; safe beside one.",
    "What was pushed by digest alone is made part of its repository; uploads that nobody went on with for a day are given up.",
  ],
  arguments: [],
  options: [...dataOptions, graceOption, outputFormatOption],
  examples: [{ line: "signet admin collect --data /srv/signet", purpose: "Free space now" }],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    await using storage = await openOfflineStorage(invocation, runtime);
    const { collectGarbage } = await import("@signet/server");
    const grace = invocation.get(graceOption);
    const collected = await collectGarbage(storage.database, storage.blobs, {
      now: runtime.now(),
      ...(grace === undefined ? {} : { graceMs: grace * 1_000 }),
      withStrays: true,
    });
    if (invocation.get(outputFormatOption) === "json") terminal.json(collected);
    else {
      const { manifests, signatures, blobs, bytes, strays, expiredUploads } = collected;
      terminal.line(`${manifests} manifests, ${signatures} signatures, ${blobs} blobs of ${bytes} bytes removed`);
      if (strays + expiredUploads > 0) terminal.line(`${expiredUploads} old uploads and ${strays} leftovers removed`);
    }
    return exitCodes.done;
  },
};
