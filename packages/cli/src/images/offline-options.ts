import type { OfflineImage } from "@signet/images";
import type { Invocation, ListOption, TextOption } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";

export const manifestOption: ListOption = {
  kind: "list",
  name: "manifest",
  value: "FILE",
  summary: "Judge this manifest under the name IMAGE and ask no network; of a list give its instances as well",
  completion: "file",
};
export const signaturesOption: TextOption = {
  kind: "text",
  name: "signatures",
  value: "DIR",
  summary: "With --manifest: a folder of signature-N files, a lookaside tree, sha256=HEX folders or a dir: image",
  completion: "directory",
};

/**
 * The files that stand for the image; undefined when its own place is asked.
 * @throws UsageError `command-line-malformed`
 */
export function readOfflineOptions(invocation: Invocation, command: string): OfflineImage | undefined {
  const manifests = invocation.get(manifestOption);
  const signatures = invocation.get(signaturesOption);
  if (manifests.length === 0) {
    if (signatures === undefined) return undefined;
    throw usage("--signatures needs --manifest", command, "name the manifest that the signatures are for");
  }
  return { manifests, ...(signatures === undefined ? {} : { signatures }) };
}
