/** What `npm run check` reads of knip: how many files it processed, which no reporter of its own says, and one line a finding. */

interface KnipReport {
  readonly counters: { readonly processed: number };
  /** By kind, then by file, then by name. */
  readonly issues: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, KnipIssue>>>>>>;
  readonly cwd: string;
}

interface KnipIssue {
  readonly type: string;
  readonly filePath: string;
  readonly symbol: string;
}

// knip asks for a default export.
// oxlint-disable-next-line import/no-default-export
export default function reportKnip({ counters, issues, cwd }: KnipReport): void {
  const lines = Object.values(issues)
    .filter((byFile) => !(byFile instanceof Set))
    .flatMap((byFile) => Object.values(byFile))
    .flatMap((bySymbol) => Object.values(bySymbol))
    .map(({ type, filePath, symbol }) => `${filePath.replace(`${cwd}/`, "")}: ${type}: ${symbol}`);
  console.log(JSON.stringify({ processed: counters.processed, lines: [...new Set(lines)].sort() }));
}
