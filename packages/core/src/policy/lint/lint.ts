/** What a lint is, and what it finds. */
import type { JsonPath } from "./document-places.ts";
import type { LintContext } from "./lint-context.ts";

/** How much a finding matters. `error`: it cannot work as written, or trusts what nobody meant to trust. `warning`: probably not meant. `info`: good to know. */
export type LintSeverity = "error" | "warning" | "info";

/** One rule about policies. */
export interface Lint {
  /** Stable, kebab-case. */
  readonly name: string;
  /** What its findings have, unless one of them says otherwise. */
  readonly severity: LintSeverity;
  /** Why it matters: one or two sentences. */
  readonly reason: string;
  /** What to do about it: one or two sentences. */
  readonly fix: string;
  /** True: some of its findings can be corrected without changing what was meant. */
  readonly isFixable?: true;
  /** Looks at a policy. Does no I/O: all it may know stands in the context. */
  check(context: LintContext): Iterable<Found>;
}

/** Where a finding stands: in the policy, or in a file of registries.d. */
export type FoundPlace =
  | { readonly path: JsonPath; readonly part: "key" | "value" }
  | { readonly file: string; readonly line: number };

/** What a lint hands over; `lintPolicy` makes a finding of it. */
export interface Found {
  readonly place: FoundPlace;
  /** `docker: registry.example.com/team`, `default`, or the section of registries.d. */
  readonly scope: string;
  /** What is there: one sentence. May repeat text of the policy. */
  readonly what: string;
  /** What to do, where more can be said than in the lint's own `fix`. */
  readonly fix?: string;
  /** Where it differs from the lint's own. */
  readonly severity?: LintSeverity;
  /** The correction, when it is safe: it changes nothing but what the finding is about, and never accepts more images than the policy says. */
  readonly edits?: readonly PolicyEdit[];
}

/** A change to a policy document. */
export type PolicyEdit =
  | { readonly kind: "replace"; readonly path: JsonPath; readonly value: string }
  | { readonly kind: "rename"; readonly path: JsonPath; readonly key: string }
  | { readonly kind: "remove"; readonly path: JsonPath };
