/** What `copy` says when it is done. */
import type { CopyResult, EndpointAttempt, ImageName } from "@signet/images";
import type { Terminal } from "../terminal/terminal.ts";

/** @param served the place of registries.conf that the source came from; undefined where its name is the only place */
export function printCopy(
  source: ImageName,
  destination: ImageName,
  result: CopyResult,
  terminal: Terminal,
  served: EndpointAttempt | undefined,
): void {
  const { carried, kept, made } = result.signatures;
  if (served !== undefined) terminal.line(`Served by ${served.role} ${served.reference}`);
  terminal.line(`Copied ${source.text} to ${destination.text}`);
  const keptPart = kept === 0 ? "" : `, ${kept} kept that were there`;
  terminal.line(`digest ${result.digest}, ${carried} signatures carried along${keptPart}, ${made} made`);
  if (result.converted !== undefined)
    terminal.line(`converted to ${result.converted.format} from digest ${result.converted.sourceDigest}`);
  printCompanions(result.companions, terminal);
}

/** What came along beside the image; nothing where there was nothing. */
function printCompanions(companions: CopyResult["companions"], terminal: Terminal): void {
  const { tags, referrers, present, leftBehind } = companions;
  if (tags + referrers + leftBehind === 0) return;
  terminal.line(
    `companions: ${tags} under cosign's tags, ${referrers} referrers (${present} of them were there), ${leftBehind} left behind`,
  );
}

/** The same as JSON. */
export function reportCopy(source: ImageName, destination: ImageName, result: CopyResult): unknown {
  const { digest, manifests, converted, blobs, foreignLayers, signatures, companions, warnings } = result;
  return {
    source: source.text,
    destination: destination.text,
    digest,
    manifests,
    converted: converted ?? null,
    blobs,
    foreignLayers,
    signatures,
    companions,
    warnings,
  };
}
