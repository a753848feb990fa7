/** For callers who want an acceptance or an exception. */
import { RejectedError } from "../errors.ts";
import type { Verdict } from "./evidence.ts";

/** The accepted arm of a verdict. */
export type AcceptedVerdict = Extract<Verdict, { verdict: "accepted" }>;

/**
 * Returns an accepted verdict as what it is.
 * @throws RejectedError `image-rejected` with all reasons in the message, and reasons and evidence in `details`
 */
export function requireAccepted(verdict: Verdict): AcceptedVerdict {
  if (verdict.verdict === "accepted") return verdict;
  const { reasons, evidence } = verdict;
  const hint = reasons.find((reason) => reason.hint !== undefined)?.hint;
  throw new RejectedError("image-rejected", reasons.map(({ message }) => message).join("; "), {
    details: { reasons, evidence },
    ...(hint === undefined ? {} : { hint }),
  });
}
