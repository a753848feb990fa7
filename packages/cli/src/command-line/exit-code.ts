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
