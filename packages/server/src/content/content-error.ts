/** Why the registry will not take or give something. Each door words it as its protocol asks. */

/** What was wrong, in terms of content. */
export type ContentProblem =
  | "blob-in-use"
  | "blob-unknown"
  | "digest-mismatch"
  | "manifest-blob-unknown"
  | "manifest-invalid"
  | "manifest-unknown"
  | "quota-exceeded"
  | "repository-unknown"
  | "signature-exists"
  | "signature-invalid"
  | "signature-unknown"
  | "signature-withdrawn"
  | "signatures-too-many"
  | "size-mismatch"
  | "tag-immutable"
  | "tag-unknown"
  | "upload-conflict"
  | "upload-unknown"
  | "uploads-too-many"
  | "verifications-too-many";

/** Content that is refused or not there: the client's matter, not a failure of the server. */
export class ContentError extends Error {
  readonly problem: ContentProblem;
  /** What it is about, such as the digest that is missing. */
  readonly detail: Readonly<Record<string, string>>;

  constructor(problem: ContentProblem, message: string, detail: Readonly<Record<string, string>> = {}) {
    super(message);
    this.name = "ContentError";
    this.problem = problem;
    this.detail = detail;
  }
}
