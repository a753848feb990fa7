/**
 * Every failure that Signet throws carries a code from {@link errorTable}. Verdicts are data and are
 * never thrown; what is thrown means "could not tell" or "could not do".
 */

/** Which of the few error classes a code belongs to; callers act on the class, people read the code. */
export type ErrorKind = "format" | "policy" | "store" | "usage" | "internal" | "undetermined";

/** One row of the table: what the code means and what to do about it. `docs/errors.md` is kept equal to it by a test. */
export interface ErrorRow {
  readonly kind: ErrorKind;
  readonly meaning: string;
  readonly remedy: string;
}

/** The one table of error codes, sorted by code. */
export const errorTable = {
  "base64-malformed": {
    kind: "format",
    meaning: "A text that must be standard, padded base64 (RFC 4648 section 4) is not.",
    remedy: "Encode the bytes again with `base64`; URL-safe or unpadded base64 is not accepted.",
  },
  "digest-malformed": {
    kind: "format",
    meaning:
      "A digest is not `sha256:`, `sha384:` or `sha512:` followed by exactly 64, 96 or 128 lower-case hex digits.",
    remedy: "Copy the digest whole, in lower case, with its algorithm.",
  },
  "input-too-large": {
    kind: "format",
    meaning: "An input is larger than the limit for its kind.",
    remedy: "Check that the right file was given; no genuine document of this kind is that large.",
  },
  "internal-fault": {
    kind: "internal",
    meaning: "Signet contradicted itself. This cannot happen and is a bug.",
    remedy: "Please report it with the command and its `--debug` output.",
  },
  "json-malformed": {
    kind: "format",
    meaning: "A document is not well-formed JSON, or its members are not the ones its format allows.",
    remedy: "Look at the offset and path in the message.",
  },
  "reference-malformed": {
    kind: "format",
    meaning: "An image name does not follow the grammar of docker references.",
    remedy: "Write it as `host/path:tag` or `host/path@sha256:…`, with a lower-case path.",
  },
} as const;

/** A stable, documented error code. */
export type ErrorCode = keyof typeof errorTable;

/** Optional parts of an error. */
export interface ErrorOptionsWithHint {
  /** The platform's own error, if one caused this. */
  readonly cause?: unknown;
  /** What to do next, in one line; printed as `hint: …`. */
  readonly hint?: string;
  /** Machine-readable facts; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * Base of all errors that Signet throws on purpose.
 * @param code a code of {@link errorTable}
 * @param message what happened to which thing; must not hold secrets
 */
export class SignetError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptionsWithHint = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/** Where in the input a format error was found. */
export interface FormatErrorOptions extends ErrorOptionsWithHint {
  /** Byte offset from the start of the input. */
  readonly offset?: number;
  /** Path inside a structured document, such as `critical.image`. */
  readonly path?: string;
}

/** The input bytes do not follow their format. */
export class FormatError extends SignetError {
  readonly offset: number | undefined;
  readonly path: string | undefined;

  constructor(code: ErrorCode, message: string, options: FormatErrorOptions = {}) {
    super(code, message, options);
    this.offset = options.offset;
    this.path = options.path;
  }
}

/** A policy or configuration document is not acceptable. */
export class PolicyError extends FormatError {}

/** What a caller may want to know of a failed I/O operation. */
export interface StoreErrorOptions extends ErrorOptionsWithHint {
  /** True when the same call may succeed later. Default false. */
  readonly retryable?: boolean;
  /** HTTP status, where there was one. */
  readonly status?: number;
  /** Which side failed. */
  readonly side?: "source" | "destination" | "local";
}

/** Reading or writing failed: files, registries, signature stores. */
export class StoreError extends SignetError {
  readonly retryable: boolean;
  readonly status: number | undefined;
  readonly side: "source" | "destination" | "local" | undefined;

  constructor(code: ErrorCode, message: string, options: StoreErrorOptions = {}) {
    super(code, message, options);
    this.retryable = options.retryable ?? false;
    this.status = options.status;
    this.side = options.side;
  }
}

/** Our API or command line was called wrongly. */
export class UsageError extends SignetError {}

/** Judging was started and could not be finished; never an acceptance. `details.evidence` holds what was found. */
export class UndeterminedError extends SignetError {}

/** Cannot happen. */
export class InternalError extends SignetError {
  constructor(message: string, options: ErrorOptionsWithHint = {}) {
    super("internal-fault", message, options);
  }
}
