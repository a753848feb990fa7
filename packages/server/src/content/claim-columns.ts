/** What the database keeps of a signature's claims, to show them: whoever signs writes them, so they may be anything. The bytes beside them are kept as they came. */

/** Characters of a claim that is kept. A reference has fewer than 500; an index of PostgreSQL takes no more than 2,704 bytes. */
const MAX_CLAIM_CHARACTERS = 600;
/** Milliseconds from 1970 to the last moment that a `Date` knows (ECMAScript, "Time Values and Time Range"). */
const MAX_DATE_MS = 8.64e15;

/** Claims as a format's reader has them. */
export interface TextualClaims {
  readonly reference?: string | undefined;
  readonly creator?: string | undefined;
  /** Seconds since 1970. */
  readonly timestamp?: number | undefined;
}

/** The columns of the table `signature` for these claims: null for what is not claimed, and for what is no text or no time that could be shown. Nothing is checked else. */
export function claimColumns({ reference, creator, timestamp }: TextualClaims): {
  claimed_reference: string | null;
  claimed_creator: string | null;
  claimed_at: number | null;
} {
  const at = Math.trunc(timestamp ?? Number.NaN) * 1_000;
  return {
    claimed_reference: showable(reference),
    claimed_creator: showable(creator),
    claimed_at: Math.abs(at) <= MAX_DATE_MS ? at : null,
  };
}

/** PostgreSQL takes no U+0000. */
function showable(claim: string | undefined): string | null {
  const isShowable = claim !== undefined && claim.length <= MAX_CLAIM_CHARACTERS && !claim.includes("\0");
  return isShowable ? claim : null;
}
