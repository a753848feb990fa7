/** What is kept of an image's judgement where there are thousands: a few hundred bytes, and everything a report says. */
import { type Policy, type Reason, findGoverningScope } from "@signet/core";
import type { ImageName } from "../transports/transport.ts";
import type { ImageOutcome } from "./judge-under-policies.ts";

/** Reasons kept with their texts; the codes of all are kept. */
const MAX_REASONS = 3;

/** Characters of a reason's text. */
const MAX_TEXT = 500;

/** Signers named of one image. */
const MAX_SIGNERS = 8;

/** How one policy judges one image. */
export interface SimulatedVerdict {
  readonly verdict: "accepted" | "rejected" | "undetermined";
  /** The scope that governs, as `docker: registry.example.com/team` or `default`; null for what is no image name. */
  readonly scope: string | null;
  /** Codes of all reasons, each once, sorted; empty for an accepted image. */
  readonly codes: readonly string[];
  /** The first reasons with their texts, which may hold untrusted data. */
  readonly reasons: readonly Reason[];
  /** Fingerprints of the primary keys that signed; only when accepted. */
  readonly signers: readonly string[];
}

/** One image under the policies that were asked about. Nothing in it but what its JSON says. */
export interface SimulatedRow {
  /** Of the image's own manifest, for a list that of the list; null when it is not known. */
  readonly digest: string | null;
  /** Under the policy that is not in force yet. */
  readonly next: SimulatedVerdict;
  /** Under the policy it is compared with; null without one. */
  readonly present: SimulatedVerdict | null;
  /** Digests that nodes run under this name and that it does not stand for any more. */
  readonly runsOther: readonly string[];
}

/** @param name undefined for what is no image name */
export function simulatedVerdict(outcome: ImageOutcome, policy: Policy, name: ImageName | undefined): SimulatedVerdict {
  const scope = name === undefined ? null : findGoverningScope(policy, name.policyIdentity).scope.label;
  const reasons = reasonsOf(outcome);
  return {
    verdict: outcome.outcome,
    scope,
    codes: [...new Set(reasons.map(({ code }) => code))].toSorted(),
    reasons: reasons.slice(0, MAX_REASONS).map(shorten),
    signers: signersOf(outcome),
  };
}

/** A reason, or an error in its place. */
interface Explanation {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

function reasonsOf(outcome: ImageOutcome): readonly Explanation[] {
  if (outcome.outcome === "undetermined") return [outcome.error];
  return outcome.manifests.flatMap((manifest): readonly Explanation[] => {
    if (manifest.outcome === "undetermined") return [manifest.error];
    return manifest.verdict.verdict === "rejected" ? manifest.verdict.reasons : [];
  });
}

function shorten({ code, message, hint }: Explanation): Reason {
  return {
    code,
    message: message.slice(0, MAX_TEXT),
    ...(hint === undefined ? {} : { hint: hint.slice(0, MAX_TEXT) }),
  };
}

function signersOf(outcome: ImageOutcome): readonly string[] {
  if (outcome.outcome !== "accepted") return [];
  const signers = outcome.manifests.flatMap((manifest) =>
    manifest.outcome !== "undetermined" && manifest.verdict.verdict === "accepted" ? manifest.verdict.signers : [],
  );
  return [...new Set(signers.map(({ fingerprint }) => fingerprint))].slice(0, MAX_SIGNERS);
}
