/** What the readers of image names share. */
import { type Reference, SignetError, UsageError, parseReference } from "@signet/core";

/** The transports that are offered, for hints. */
export const knownTransports =
  "docker://, dir:, oci:, oci-archive:, docker-archive:, docker-daemon:, containers-storage:";

/** Characters of a name in a message. */
const MAX_SHOWN_LENGTH = 300;

/** An error about an image name. */
export function malformedName(text: string, problem: string, hint?: string): UsageError {
  return new UsageError("image-name-malformed", `invalid image name ${shownName(text)}: ${problem}`, {
    hint: hint ?? `the transports are ${knownTransports}; a bare name means docker://`,
  });
}

/** A name as messages show it. */
export function shownName(text: string): string {
  return JSON.stringify(text.slice(0, MAX_SHOWN_LENGTH));
}

/**
 * The docker reference in an image name; no tag is added.
 * @throws UsageError `image-name-malformed`
 */
export function parseNameReference(text: string): Reference {
  try {
    return parseReference(text);
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    throw new UsageError("image-name-malformed", error.message, {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}
