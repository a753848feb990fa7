/** Of several signatures that were all rejected, the one that people mean when they ask why. */
import type { Check, SignatureEvidence } from "./evidence.ts";

/** The signature that came closest to being accepted: the one with most checks passed, among equals the first. */
export function closestSignature(signatures: readonly SignatureEvidence[]): SignatureEvidence | undefined {
  let closest: SignatureEvidence | undefined;
  let most = -1;
  for (const signature of signatures) {
    const passed = signature.checks.filter(({ outcome }) => outcome === "passed").length;
    if (passed <= most) continue;
    closest = signature;
    most = passed;
  }
  return closest;
}

/** The first check of a signature that failed; undefined when none did. */
export function firstFailedCheck(signature: SignatureEvidence): Check | undefined {
  return signature.checks.find(({ outcome }) => outcome === "failed");
}
