import type { DifferentialCase, MessageChange, SignatureRecipe } from "./case.ts";

/** What the two verifiers said about one case. */
export interface Answers {
  readonly skopeoAccepts: boolean;
  readonly skopeoText: string;
  readonly signetAccepts: boolean;
  readonly signetText: string;
}

/** A deliberate difference, as a row of docs/interop.md names it. */
export interface Explanation {
  readonly name: string;
  /** The case without what the difference is about; both must agree on it, or the explanation does not hold. */
  readonly without: DifferentialCase;
}

const isUnreadableBlob: ReadonlySet<MessageChange> = new Set([
  "empty",
  "text",
  "leading-nul",
  "leading-marker",
  "framed-unknown",
  "armored",
  "payload-alone",
  "truncated",
  "bit-flip",
]);
const isLenientFraming: ReadonlySet<MessageChange> = new Set(["bit-flip", "trailing-garbage-compressed", "framed"]);

/** The deliberate difference that may explain why the answers differ; undefined when none is known. */
export function explain(differentialCase: DifferentialCase, answers: Answers): Explanation | undefined {
  const { signatures } = differentialCase;
  const without = (drop: (recipe: SignatureRecipe) => boolean): DifferentialCase => ({
    ...differentialCase,
    signatures: signatures.filter((recipe) => !drop(recipe)),
  });

  if (answers.signetAccepts && !answers.skopeoAccepts) {
    if (
      /unrecognized signature format|empty signature blob|invalid signature format/.test(answers.skopeoText) &&
      signatures.some((recipe) => isUnreadableBlob.has(recipe.message))
    ) {
      return {
        name: "one unreadable blob fails the whole read in the reference, in Signet only itself",
        without: without((recipe) => isUnreadableBlob.has(recipe.message)),
      };
    }
    if (signatures.some((recipe) => recipe.key === "sub") && JSON.stringify(differentialCase.policy).includes("@sub")) {
      return {
        name: "subkeys are mapped to their primary (containers/image does so since 5.37)",
        without: without((recipe) => recipe.key === "sub"),
      };
    }
  }
  if (
    answers.skopeoAccepts &&
    !answers.signetAccepts &&
    signatures.some((recipe) => isLenientFraming.has(recipe.message))
  ) {
    return {
      name: "changed framing and data after a compressed message are refused",
      without: without((recipe) => isLenientFraming.has(recipe.message)),
    };
  }
  return undefined;
}
