/** Whose signatures a release needs, by the options of the command line. */
import { nodeEngine } from "@signet/core/node-engine";
import type { ReleaseTrust } from "@signet/openshift";
import type { Invocation, ListOption, OptionSpec, TextOption } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";

const trustOption: TextOption = {
  kind: "text",
  name: "trust",
  value: "NAME",
  choices: ["redhat"],
  summary: "Built-in keys and stores: redhat (default, unless others are named)",
};
const trustConfigMapOption: TextOption = {
  kind: "text",
  name: "trust-configmap",
  value: "FILE",
  summary: "Keys and stores of this verification ConfigMap, as a cluster has it",
  completion: "file",
};
const keyOption: ListOption = {
  kind: "list",
  name: "key",
  value: "FILE",
  summary: "Public keys; each file is a keyring that a signature must satisfy",
  completion: "file",
};
export const storeOption: ListOption = {
  kind: "list",
  name: "store",
  value: "URL",
  summary: "Look for signatures here, https://…, http://… or file:///…, instead of in the stores of the trust",
  completion: "nothing",
};

export const trustFromReleaseOption: TextOption = {
  kind: "text",
  name: "trust-from-release",
  value: "IMAGE",
  summary: "Keys and stores that this release carries; --trust, --trust-configmap or --key must accept it first",
  completion: "nothing",
};

export const releaseTrustOptions: readonly OptionSpec[] = [
  trustOption,
  trustConfigMapOption,
  keyOption,
  trustFromReleaseOption,
  storeOption,
];

/**
 * The trust that the options name; without any, Red Hat's. Not yet that of a release: the trust that must accept the release first.
 * @throws UsageError `command-line-malformed` for options that contradict each other; and what reading files throws
 */
export async function readReleaseTrust(invocation: Invocation): Promise<ReleaseTrust> {
  const { loadReleaseTrust, loadVerificationConfigMap, redHatReleaseTrust } = await import("@signet/openshift");
  const name = invocation.get(trustOption);
  const configMap = invocation.get(trustConfigMapOption);
  const keys = invocation.get(keyOption);
  const stores = invocation.get(storeOption);
  const given = [name !== undefined, configMap !== undefined, keys.length > 0].filter(Boolean).length;
  if (given > 1) throw usage("use one of --trust, --trust-configmap and --key");
  const base =
    configMap === undefined ? redHatReleaseTrust(nodeEngine) : await loadVerificationConfigMap(configMap, nodeEngine);
  if (keys.length === 0 && stores.length === 0) return base;
  const named = await loadReleaseTrust(keys, stores, nodeEngine);
  return {
    source: keys.length === 0 ? base.source : named.source,
    keyrings: keys.length === 0 ? base.keyrings : named.keyrings,
    stores: stores.length === 0 ? base.stores : named.stores,
    warnings: [...(keys.length === 0 ? base.warnings : []), ...named.warnings],
  };
}
