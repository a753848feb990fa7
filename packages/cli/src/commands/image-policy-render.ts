import { MAX_POLICY_BYTES } from "@signet/core";
import type { Command, TextOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { readInput } from "../terminal/input.ts";

const name = "image-policy render";

const baseOption: TextOption = {
  kind: "text",
  name: "base",
  value: "FILE",
  summary: "The policy.json of nodes without any configuration (default: that of OpenShift, which accepts everything)",
  completion: "file",
};
const releaseRepositoryOption: TextOption = {
  kind: "text",
  name: "release-repository",
  value: "REPOSITORY",
  summary: "Where the cluster's own images come from (default quay.io/openshift-release-dev/ocp-release)",
  completion: "nothing",
};
const writeOption: TextOption = {
  kind: "text",
  name: "write",
  value: "DIR",
  summary: "Write all files below this folder, at their paths on a node",
  completion: "directory",
};

export const command: Command = {
  name,
  summary: "Show the policy.json and registries.d that a cluster makes of its image policies",
  description: [
    "Reads ClusterImagePolicy and ImagePolicy objects, and beside them the image configuration `cluster` and mirror sets, as files of manifests. Prints the policy.json that the machine-config operator puts on every node for them; --write also writes the policies of namespaces (/etc/crio/policies) and the registries.d file that makes attached signatures be looked for, with mirrors.",
    "Objects that the cluster's API or the operator would refuse are refused. Without any policy or restriction of registries there is nothing to print: the nodes keep what they have.",
  ],
  arguments: [
    { name: "FILE", summary: "Manifests, YAML or JSON; - for standard input", repeats: true, completion: "file" },
  ],
  options: [baseOption, releaseRepositoryOption, writeOption, outputFormatOption],
  examples: [
    {
      line: "oc get clusterimagepolicies,imagepolicies,imagedigestmirrorsets -A -o yaml | signet image-policy render -",
      purpose: "What a cluster makes of its policies",
    },
    { line: "signet image-policy render policy.yaml mirrors.yaml --write node", purpose: "All files that nodes get" },
  ],
  async run(invocation, { terminal }) {
    const { MAX_MANIFEST_FILE_BYTES, parseManifestObjects, renderClusterTrust } = await import("@signet/openshift");
    const objects = [];
    for (const file of invocation.arguments) {
      const bytes = await readInput(file, MAX_MANIFEST_FILE_BYTES, "file of manifests");
      objects.push(...parseManifestObjects(bytes, file === "-" ? "standard input" : file));
    }
    if (objects.length === 0) throw usage("there is no object in these files", name);
    const base = invocation.get(baseOption);
    const { files, warnings } = renderClusterTrust(
      objects,
      base === undefined ? undefined : await readInput(base, MAX_POLICY_BYTES, "policy"),
      invocation.get(releaseRepositoryOption),
    );
    for (const warning of warnings) terminal.warn(warning);
    const folder = invocation.get(writeOption);
    if (folder !== undefined) {
      const { writeFileTree } = await import("../machine-config/file-tree.ts");
      await writeFileTree(folder, files);
    }
    if (invocation.get(outputFormatOption) === "json") {
      const decode = (content: Uint8Array): string => new TextDecoder().decode(content);
      terminal.json({ files: files.map(({ path, content }) => ({ path, content: decode(content) })), warnings });
    } else if (folder !== undefined) for (const { path } of files) terminal.line(`${folder}${path}`);
    else {
      const [policy, ...others] = files;
      if (policy !== undefined)
        terminal.bytes(new TextEncoder().encode(`${new TextDecoder().decode(policy.content)}\n`));
      for (const { path } of others) terminal.note(`also made: ${path} (see --write)`);
    }
    if (files.length === 0) terminal.note("nothing is configured; the nodes keep the policy that they have");
    return exitCodes.done;
  },
};
