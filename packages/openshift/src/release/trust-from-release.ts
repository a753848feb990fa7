/** The trust that a release carries for those that come after it, as a cluster takes it from the release that it runs. */
import { type Digest, type Engine, type Platform, PolicyError, UsageError, parseManifest } from "@signet/core";
import { type ImageSource, readImageManifest } from "@signet/images";
import { parseManifestObjects } from "../kubernetes/manifests.ts";
import { readReleaseManifests } from "./release-manifests.ts";
import type { ReleaseTrust } from "./release-trust.ts";
import type { ReleaseSignaturesVerdict } from "./release-verdict.ts";
import {
  VERIFICATION_ANNOTATION,
  findVerificationConfigMap,
  parseVerificationConfigMap,
} from "./verification-config-map.ts";

/**
 * The digests that one release goes by: its image's own, and for a list those of its instances, which are signed one by one and say the same.
 * @throws FormatError for a manifest that cannot be read; what reading throws
 */
export async function digestsOfRelease(source: ImageSource): Promise<ReadonlySet<Digest>> {
  const { digest, bytes, declaredMediaType } = await source.manifest();
  const content = parseManifest(bytes, declaredMediaType);
  return new Set([digest, ...(content.kind === "list" ? content.instances.map((instance) => instance.digest) : [])]);
}

/**
 * A release cannot vouch for itself, nor one architecture's image for the list that it stands in.
 * @param vouching digests of the release whose trust is to be used
 * @param judged digests of the one that is judged by it
 * @throws UsageError `command-line-malformed` when they have one in common
 */
export function refuseSelfTrust(vouching: ReadonlySet<Digest>, judged: ReadonlySet<Digest>): void {
  const common = [...judged].find((digest) => vouching.has(digest));
  if (common === undefined) return;
  throw new UsageError("command-line-malformed", `a release cannot vouch for itself: both are ${common}`, {
    hint: "take the trust from another release that was verified before, such as the one that the cluster runs",
  });
}

/**
 * Reads the verification ConfigMap out of a release image: the first in the order of the files' names, whatever becomes of it, as the cluster's operator has it. Whoever
 * wrote the release image decides with it what is accepted from now on, so nothing is read from a release that was not accepted by other trust before.
 *
 * Not checked: whether a cluster's profile or features leave the ConfigMap out, and manifests that the operator brings in `manifests`.
 * @param verdict on the signatures of this very image
 * @param platform which instance of a list
 * @throws PolicyError `release-trust-malformed` for a release without the ConfigMap, or with one that is not as it must be; UsageError `command-line-malformed` for a
 *   verdict that is none, or that is not about this image; as `readReleaseImage` otherwise
 */
export async function readTrustOfRelease(
  source: ImageSource,
  verdict: ReleaseSignaturesVerdict,
  platform: Platform,
  engine: Engine,
): Promise<ReleaseTrust> {
  const { top, manifest } = await readImageManifest(source, platform);
  if (verdict.verdict !== "accepted" || verdict.digest !== top.digest)
    throw new UsageError("command-line-malformed", `${source.name.text} was not accepted, and its trust is not read`);
  const { picked } = await readReleaseManifests(source, manifest, VERIFICATION_ANNOTATION);
  for (const { name, bytes } of picked) {
    const place = `${source.name.text}: release-manifests/${name}`;
    const object = findVerificationConfigMap(parseManifestObjects(bytes, place));
    if (object === undefined) continue;
    const trust = parseVerificationConfigMap(object, engine);
    return { ...trust, source: `${trust.source} of ${source.name.text}` };
  }
  throw new PolicyError("release-trust-malformed", `${source.name.text} carries no verification ConfigMap`, {
    hint: "a cluster that runs it accepts no release at all; name keys with --key, or a ConfigMap with --trust-configmap",
  });
}
