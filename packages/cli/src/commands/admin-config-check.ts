import type { Command } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { dataOptions, loadServerConfig } from "../server/server-options.ts";

export const command: Command = {
  name: "admin config check",
  summary: "Check the server's configuration and show what holds",
  description: [
    "Reads the configuration as `signet serve` would, from the file, the environment and the options, and prints each key with its value and where that was said. Secrets are not shown. Certificate, key and htpasswd file are read as at a start; database and blob store are not opened.",
  ],
  arguments: [],
  options: [...dataOptions, outputFormatOption],
  examples: [{ line: "signet admin config check --config /etc/signet/signet.yaml", purpose: "Before a restart" }],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    const { checkNamedFiles } = await import("@signet/server");
    const { config, settings } = await loadServerConfig(invocation, runtime);
    await checkNamedFiles(config);
    if (invocation.get(outputFormatOption) === "json") {
      terminal.json({ settings: settings.map(({ path, value, origin }) => ({ key: path, value, origin })) });
      return exitCodes.done;
    }
    const width = Math.max(...settings.map(({ path }) => path.length));
    for (const { path, value, origin } of settings) {
      const said = origin === "default" ? "" : `  (${origin})`;
      terminal.line(`${path.padEnd(width)}  ${value ?? "-"}${said}`);
    }
    return exitCodes.done;
  },
};
