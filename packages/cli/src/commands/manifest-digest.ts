import { MAX_MANIFEST_BYTES, computeManifestDigest } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { readInput } from "../terminal/input.ts";
import type { ArgumentSpec, Command } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";

const manifestArgument: ArgumentSpec = {
  name: "FILE",
  summary: "A manifest; - for standard input",
  completion: "file",
};

export const command: Command = {
  name: "manifest-digest",
  summary: "Print the digest of a manifest file",
  description: [
    "Prints the digest that registries and signatures know the manifest by: SHA-256 over its bytes, for a signed docker schema 1 manifest over its payload.",
  ],
  arguments: [manifestArgument],
  options: [],
  examples: [{ line: "signet manifest-digest manifest.json", purpose: "The digest of a manifest that was saved" }],
  async run(invocation, { terminal }) {
    const [file] = invocation.arguments as [string];
    const manifest = await readInput(file, MAX_MANIFEST_BYTES, "manifest");
    terminal.line(computeManifestDigest(manifest, nodeEngine));
    return exitCodes.done;
  },
};
