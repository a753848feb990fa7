import { FormatError, type Reference, UsageError, parseReference } from "@signet/core";

/**
 * A docker reference from the command line. What is a format error inside a file is a mistake of usage here.
 * @throws UsageError `command-line-malformed`
 */
export function parseReferenceArgument(text: string): Reference {
  try {
    return parseReference(text);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new UsageError("command-line-malformed", error.message, {
      cause: error,
      hint: error.hint ?? "write host/path:tag or host/path@sha256:…",
    });
  }
}
