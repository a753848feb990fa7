/** Options of the server and of the offline work on its data. */
import type { Invocation, OptionSpec, TextOption } from "../command-line/command.ts";
import type { Runtime } from "../runtime.ts";
import type { LoadedConfig } from "@signet/server";

const dataOption: TextOption = {
  kind: "text",
  name: "data",
  value: "DIR",
  summary: "Folder of database and blobs (default ~/.local/share/signet)",
  completion: "directory",
};
const configOption: TextOption = {
  kind: "text",
  name: "config",
  value: "FILE",
  summary: "Configuration in YAML; docs/registry-config.md has every key",
  completion: "file",
};
export const listenOption: TextOption = {
  kind: "text",
  name: "listen",
  value: "HOST:PORT",
  summary: "Where to listen (default 127.0.0.1:5000); port 0 takes any free one",
  completion: "nothing",
};

/** What says where the server's data is. */
export const dataOptions: readonly OptionSpec[] = [dataOption, configOption];

/**
 * The configuration that the options, the environment and the file make together.
 * @param listen what `--listen` says, where the command has it
 * @throws as `loadConfig`
 */
export async function loadServerConfig(
  invocation: Invocation,
  { env }: Runtime,
  listen?: string,
): Promise<LoadedConfig> {
  const { loadConfig } = await import("@signet/server");
  const file = invocation.get(configOption);
  return await loadConfig({ file, env, options: { data: invocation.get(dataOption), listen } });
}
