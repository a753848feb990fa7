import { MAX_POLICY_BYTES, keyFilesOf, parsePolicy } from "@signet/core";
import type { Command, TextOption } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { readInput } from "../terminal/input.ts";

const name = "image-policy lift";

const policyOption: TextOption = {
  kind: "text",
  name: "policy",
  value: "FILE",
  summary: "The policy; - for standard input (default /etc/containers/policy.json)",
  completion: "file",
};
const prefixOption: TextOption = {
  kind: "text",
  name: "name-prefix",
  value: "TEXT",
  summary: "What the names of the objects begin with",
  completion: "nothing",
};
const outputOption: TextOption = {
  kind: "text",
  name: "output",
  short: "o",
  value: "FORMAT",
  choices: ["yaml", "json"],
  summary: "yaml, or json with what could not be said (default yaml)",
  completion: "nothing",
};

export const command: Command = {
  name,
  summary: "Say in ClusterImagePolicies what a policy.json says, and name what cannot be said",
  description: [
    "A cluster keeps image policies as objects, which every node gets without a MachineConfig. They know sigstore signatures only, one key or authority each: what they cannot say (OpenPGP, several keys of which any is enough, other defaults and transports, some identities) is named on standard error, and the exit status is 1.",
    "Key files that the policy names are read from this machine and become part of the objects.",
  ],
  arguments: [],
  options: [policyOption, prefixOption, outputOption],
  examples: [
    { line: "signet image-policy lift --policy policy.json | oc apply -f -", purpose: "From files to the cluster" },
    {
      line: "signet image-policy lift --policy policy.json -o json",
      purpose: "What can be said, and what cannot, for a script",
    },
  ],
  async run(invocation, { terminal }) {
    const file = invocation.get(policyOption) ?? "/etc/containers/policy.json";
    const source = file === "-" ? "standard input" : file;
    const bytes = await readInput(file, MAX_POLICY_BYTES, "policy");
    const policy = parsePolicy(bytes, source);
    const { embedKeys, liftPolicy } = await import("@signet/openshift");
    const { readKeyFile } = await import("@signet/images");
    const sigstoreKeys = keyFilesOf(withoutOpenPgp(policy));
    const contentOf = new Map(sigstoreKeys.map((path) => [path, readKeyFile(path)]));
    // Other key files are OpenPGP keys, which nothing is made of.
    const embedded = embedKeys(bytes, source, (path) => contentOf.get(path) ?? new Uint8Array([0x80]));
    const { yaml, names, unsaid } = liftPolicy(embedded, source, invocation.get(prefixOption));
    if (invocation.get(outputOption) === "json") {
      const { parseManifestObjects } = await import("@signet/openshift");
      const objects = parseManifestObjects(new TextEncoder().encode(yaml), source).map(({ value }) => value);
      terminal.json({ objects, unsaid });
    } else {
      terminal.bytes(new TextEncoder().encode(yaml));
      for (const reason of unsaid) terminal.note(`cannot be said: ${reason}`);
      if (names.length === 0) terminal.note("nothing of this policy can be said by image policies");
    }
    return unsaid.length === 0 ? exitCodes.done : exitCodes.rejected;
  },
};

type Policy = ReturnType<typeof parsePolicy>;

/** The same policy as far as its key files may be needed. */
function withoutOpenPgp(policy: Policy): Policy {
  const keep = (requirements: Policy["default"]): Policy["default"] =>
    requirements.filter(({ type }) => type !== "signedBy");
  const transports = new Map(
    [...policy.transports].map(([transport, scopes]) => {
      return [transport, new Map([...scopes].map(([scope, list]) => [scope, keep(list)]))] as const;
    }),
  );
  return { ...policy, default: keep(policy.default), transports };
}
