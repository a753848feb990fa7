/** Reads what the official suite writes of its run, in JUnit's format. */

export interface SuiteReport {
  /** Results: a case may have several, such as of a removal and of its being seen at once. */
  readonly tests: number;
  readonly failures: number;
  readonly errors: number;
  readonly skipped: number;
  readonly disabled: number;
  readonly cases: readonly { readonly name: string; readonly status: string }[];
}

/**
 * Reads the counts of the suite and name and status of each case.
 * @throws Error when the text has no suite with cases
 */
export function parseJunitReport(text: string): SuiteReport {
  const suite = /<testsuite\s([^>]*)>/.exec(text)?.[1];
  const cases = [...text.matchAll(/<testcase\s([^>]*)>/g)].map(([, attributes = ""]) => ({
    name: attribute(attributes, "name") ?? "",
    status: attribute(attributes, "status") ?? "",
  }));
  if (suite === undefined || cases.length === 0) throw new Error("the suite's JUnit report has no cases");
  const count = (name: string): number => Number(attribute(suite, name) ?? 0);
  return {
    tests: count("tests"),
    failures: count("failures"),
    errors: count("errors"),
    skipped: count("skipped"),
    disabled: count("disabled"),
    cases,
  };
}

/** Names that only one side has. How often one has a name is its own affair: several blobs of an image are several cases. */
export function compareNames(
  ours: Iterable<string>,
  theirs: Iterable<string>,
): { readonly missing: readonly string[]; readonly surplus: readonly string[] } {
  const own = new Set(ours);
  const official = new Set(theirs);
  return {
    missing: [...official].filter((name) => !own.has(name)).sort(),
    surplus: [...own].filter((name) => !official.has(name)).sort(),
  };
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function attribute(attributes: string, name: string): string | undefined {
  const value = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1];
  return value?.replaceAll(/&(?:#(\d+)|(\w+));/g, (all, code: string | undefined, word: string | undefined) =>
    code === undefined ? (entities[word ?? ""] ?? all) : String.fromCodePoint(Number(code)),
  );
}
