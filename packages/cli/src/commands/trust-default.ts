import type { Command } from "../command-line/command.ts";
import { fileOptions, readTrustFiles } from "../trust/trust-options.ts";
import { setDefault } from "../trust/set-default.ts";

const name = "trust default";

export const command: Command = {
  name,
  summary: "Say what holds for images that no scope of the policy names",
  description: [
    "Sets the policy's default, and makes the policy if there is none yet: in /etc/containers for root, else in ~/.config/containers. With reject, only what a scope allows is run; with accept, everything that no scope forbids.",
  ],
  arguments: [{ name: "RULE", summary: "accept or reject", choices: ["accept", "reject"] }],
  options: fileOptions,
  examples: [
    { line: "signet trust default reject", purpose: "Run nothing but what is named in the policy" },
    {
      line: "signet trust default reject --root /srv/node --dry-run",
      purpose: "What would change in a node's file tree",
    },
  ],
  async run(invocation, runtime) {
    const [rule] = invocation.arguments as ["accept" | "reject"];
    const files = await readTrustFiles(invocation, name);
    const type = rule === "reject" ? rule : "insecureAcceptAnything";
    return setDefault({ type }, undefined, files, invocation, runtime);
  },
};
