/** What clients are told of pull policies: 403 with the reasons, or a header. */
import type { ServedRepository } from "../content/repositories.ts";
import type { PullGuard, PullJudgement, Pulled } from "../trust/pull-guard.ts";
import type { CompleteAnswer } from "./answer.ts";
import type { Caller } from "./caller.ts";
import { RegistryError } from "./registry-error.ts";

/** Says how the image was judged: `accepted`, or `warned` or `refused` with the first reason. Absent where no policy governs. */
const POLICY_HEADER = "x-signet-policy";
/** Characters of the header. */
const MAX_HEADER_CHARACTERS = 500;

/**
 * The answer to a pull as policies want it. Whoever may sign in the repository, or maintain it, reads what is refused to others: how else should it be signed.
 * @throws RegistryError `DENIED` with the reasons of every policy that is not met
 */
export async function guardPull(
  guard: PullGuard,
  caller: Caller,
  served: ServedRepository,
  made: CompleteAnswer,
  pulled: Pulled,
  now: number,
): Promise<CompleteAnswer> {
  const judgement = await guard.judge(served, pulled, now);
  if (judgement === undefined) return made;
  if (judgement.verdict === "refused" && !caller.may("sign", served)) {
    throw new RegistryError(
      "DENIED",
      { reason: "a pull policy is not met", digest: pulled.digest, policies: judgement.failures },
      { headers: { [POLICY_HEADER]: headerOf(judgement), "cache-control": "no-store" } },
    );
  }
  // Asked for again each time: what a policy says of an image can change.
  const headers = { ...made.headers, [POLICY_HEADER]: headerOf(judgement), "cache-control": "no-cache" };
  return { ...made, headers };
}

function headerOf({ verdict, failures }: PullJudgement): string {
  const first = failures[0];
  const reason = first === undefined ? "" : `; ${first.scope}: ${first.reasons[0]?.message ?? ""}`;
  // Reasons repeat what signatures say; a header holds printable ASCII.
  return `${verdict}${reason}`.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, MAX_HEADER_CHARACTERS);
}
