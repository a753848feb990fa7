/** What a store had answered before it failed: kept with the error, so that it can be shown. */
import { FormatError, type SignetError, StoreError } from "@signet/core";
import type { StoreAttempt } from "./signature-store.ts";

/** Under this name in `details`. */
const MEMBER = "attempts";

/**
 * The same error with the looks that were made, the failing one last.
 * @param made those before it
 * @param location where the failing one was made
 */
export function withAttempts(error: unknown, made: readonly StoreAttempt[], location: string): unknown {
  const status = error instanceof StoreError ? error.status : undefined;
  const failed: StoreAttempt = { location, outcome: "failed", ...(status === undefined ? {} : { status }) };
  const more = (details: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
    return { ...details, [MEMBER]: [...made, failed] };
  };
  if (error instanceof StoreError) {
    const { code, message, hint, details, cause, retryable, side } = error;
    return new StoreError(code, message, {
      cause,
      details: more(details),
      retryable,
      ...(hint === undefined ? {} : { hint }),
      ...(status === undefined ? {} : { status }),
      ...(side === undefined ? {} : { side }),
    });
  }
  if (error instanceof FormatError) {
    const { code, message, hint, details, cause } = error;
    return new FormatError(code, message, {
      cause,
      details: more(details),
      ...(hint === undefined ? {} : { hint }),
      ...(error.offset === undefined ? {} : { offset: error.offset }),
      ...(error.path === undefined ? {} : { path: error.path }),
    });
  }
  return error;
}

/** The looks that were made before reading failed; none when the error does not say. */
export function attemptsOf(error: SignetError): readonly StoreAttempt[] {
  const attempts = error.details[MEMBER];
  return Array.isArray(attempts) ? (attempts as readonly StoreAttempt[]) : [];
}
