/** The trust that a release carries, for `--trust-from-release`: used only after the trust that the other options name has accepted that release. */
import { type Digest, RejectedError } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { ReleaseSignaturesVerdict, ReleaseTrust } from "@signet/openshift";
import type { Invocation, OptionSpec } from "../command-line/command.ts";
import {
  overrideArchOption,
  overrideOsOption,
  overrideVariantOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { openPgpOptions } from "../command-line/openpgp-options.ts";
import { usage } from "../command-line/parse.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import type { ImageAccess } from "../images/image-access.ts";
import { readPlatform } from "../images/platform-options.ts";
import type { Runtime } from "../runtime.ts";
import { readReleaseTrust, storeOption, trustFromReleaseOption } from "./release-trust-options.ts";
import { configMapOption, explainUndetermined, judgeRelease, maxSignaturesOption } from "./signature-search.ts";

/** What reading a release and finding its signatures takes. */
export const releaseReadingOptions: readonly OptionSpec[] = [
  configMapOption,
  maxSignaturesOption,
  registriesDOption,
  registriesConfOption,
  overrideOsOption,
  overrideArchOption,
  overrideVariantOption,
  ...registryOptions.all,
  retryTimesOption,
  ...openPgpOptions,
];

/** The trust that a release is judged by. */
export interface UsedTrust {
  readonly trust: ReleaseTrust;
  /** The release that it was taken from, and why that one was believed. */
  readonly from?: {
    readonly image: string;
    readonly signatures: ReleaseSignaturesVerdict;
    /** What accepted it. */
    readonly acceptedBy: string;
  };
}

/**
 * The trust that the options name: files, what is built in, or that of a release which these accept.
 * @param judged the digests of the release that is to be judged by it: no release vouches for itself
 * @throws UsageError `command-line-malformed` for a release that is named by its tag, or is the one that is judged; RejectedError `image-rejected` for one that the other
 *   trust does not accept; PolicyError `release-trust-malformed` for one without the ConfigMap; and what reading it throws
 */
export async function findReleaseTrust(
  judged: ReadonlySet<Digest>,
  access: ImageAccess,
  invocation: Invocation,
  runtime: Runtime,
): Promise<UsedTrust> {
  const base = await readReleaseTrust(invocation);
  for (const warning of base.warnings) runtime.terminal.warn(warning);
  const image = invocation.get(trustFromReleaseOption);
  if (image === undefined) return { trust: base };
  const { openImageSource, parseImageName } = await import("@signet/images");
  const { digestsOfRelease, readTrustOfRelease, refuseSelfTrust } = await import("@signet/openshift");
  const name = await parseImageName(image, access.names);
  if (name.reference !== undefined && name.reference.digest === undefined) {
    throw usage(
      `${name.text}, whose trust is to be used, is named by its tag`,
      undefined,
      "name it by its digest: a registry can let a tag lead to any release that was ever signed, with keys that are trusted no more",
    );
  }
  await using source = await openImageSource(name, access.open);
  refuseSelfTrust(await digestsOfRelease(source), judged);
  const { digest } = await source.manifest();
  let signatures: ReleaseSignaturesVerdict;
  try {
    signatures = await judgeRelease({ digest, source }, base, access, invocation, runtime);
  } catch (error) {
    throw explainUndetermined(error, name.text);
  }
  if (signatures.verdict === "rejected") {
    const [reason] = signatures.reasons;
    throw new RejectedError(
      "image-rejected",
      `${name.text}, whose trust is to be used, is not accepted by ${base.source}: ${reason?.message ?? ""}`,
      {
        hint: "a release cannot vouch for itself: name the keys that vouch for this one with --trust, --trust-configmap or --key",
        details: { reasons: signatures.reasons },
      },
    );
  }
  runtime.progress.step(`Reading the trust that ${name.text} carries`);
  const carried = await readTrustOfRelease(source, signatures, readPlatform(invocation), nodeEngine);
  for (const warning of carried.warnings) runtime.terminal.warn(warning);
  // Stores that were named hold the signatures of both: where signatures lie says nothing about whom to trust.
  const trust = invocation.get(storeOption).length === 0 ? carried : { ...carried, stores: base.stores };
  return { trust, from: { image: name.text, signatures, acceptedBy: base.source } };
}
