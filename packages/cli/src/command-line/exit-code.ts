/** Exit statuses, the same for every command. */
export const exitCodes = {
  /** Done, or accepted. */
  done: 0,
  /** A signature, policy or check said no. */
  rejected: 1,
  /** Could not tell or could not do: input and output, network, malformed configuration. */
  failed: 2,
  /** The command line was wrong. 64 is EX_USAGE of sysexits.h. */
  usage: 64,
  /** Ended by a signal: 128 and its number, as shells report it. */
  hungUp: 129,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/**
 * The status of a command that judged several things. One rejection outranks everything that could not be told: it is a fact that trying again does not
 * change, and whoever passes over 2 as a fault of the network must not pass over it (docs/decisions/0010-exit-status-of-many.md).
 */
export function exitCodeOfMany(found: { readonly isRejected: boolean; readonly isUndetermined: boolean }): ExitCode {
  if (found.isRejected) return exitCodes.rejected;
  return found.isUndetermined ? exitCodes.failed : exitCodes.done;
}
