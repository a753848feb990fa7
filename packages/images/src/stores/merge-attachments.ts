/** Two manifests under the same cosign tag, made one (see attachment-manifest.ts for the form). */
import { FormatError, MAX_SIGNATURES_PER_MANIFEST } from "@signet/core";
import type { CompanionSuffix } from "../registry/companion-tags.ts";
import type { RawManifest } from "../transports/transport.ts";
import {
  type AttachmentManifest,
  type PresentAttachments,
  appendLayers,
  missingLayers,
  parseAttachmentManifest,
} from "./attachment-manifest.ts";

/**
 * Adds the layers of one manifest to those of another that is there already.
 * @param label of the tag, for messages
 * @returns undefined when all are there
 * @throws FormatError `manifest-unsupported`; `input-too-large` when there would be more signatures than readers take
 */
export function mergeAttachments(
  present: PresentAttachments,
  incoming: RawManifest,
  suffix: CompanionSuffix,
  label: string,
): AttachmentManifest | undefined {
  const { layers } = present.parsed;
  const added = missingLayers(layers, parseAttachmentManifest(incoming, label).layers);
  if (added.length === 0) return undefined;
  const count = layers.length + added.length;
  if (suffix === "sig" && count > MAX_SIGNATURES_PER_MANIFEST) {
    throw new FormatError(
      "input-too-large",
      `${label} would have ${count} signatures; readers stop at ${MAX_SIGNATURES_PER_MANIFEST}`,
      { hint: "remove signatures that are not needed any more, or leave the source's behind: --remove-signatures" },
    );
  }
  return appendLayers(present, added);
}
