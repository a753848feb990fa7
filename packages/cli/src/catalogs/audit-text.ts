import type { AuditVerdict } from "@signet/openshift";
import { plural } from "../terminal/plural.ts";
import type { Painted, Terminal } from "../terminal/terminal.ts";
import { type AuditReport, listSummary, subjectOf } from "./audit-report.ts";

const colours: Readonly<Record<AuditVerdict | "error" | "warning" | "info", Painted["colour"]>> = {
  clean: "green",
  findings: "red",
  undetermined: "yellow",
  error: "red",
  warning: "yellow",
  info: "dim",
};

/** Findings that are printed; a catalog of ten thousand images has more than anybody reads. */
const MAX_PRINTED = 200;

/** Columns of verdicts and severities. */
const WIDTH = 14;

/** The verdict, then packages with their channels, findings and numbers. */
export function printAudit(report: AuditReport, terminal: Terminal): void {
  const { verdict, source, kind, packages, findings, summary } = report;
  const paint = (word: keyof typeof colours): [Painted, string] => [
    { colour: colours[word], text: word },
    " ".repeat(Math.max(1, WIDTH - word.length)),
  ];
  terminal.line(...paint(verdict), `${kind} ${source}`);
  for (const pack of packages) {
    const { name, bundles, images, errors, warnings } = pack;
    const things: readonly (readonly [number, string])[] = [
      [bundles, "bundle"],
      [images, "image"],
      [errors, "error"],
      [warnings, "warning"],
    ];
    const counts = things.map(([count, noun]) => plural(count, noun)).join(", ");
    terminal.line("  ", ...paint(pack.verdict), `${name === "" ? "(no package)" : name}  ${counts}`);
    for (const channel of pack.channels) {
      const { heads, entries, head } = channel;
      const isDefault = channel.name === pack.defaultChannel ? " (default)" : "";
      const newest = heads.length === 1 ? `, newest ${heads[0]}: ${head.verdict}` : "";
      terminal.line(
        "    ",
        ...paint(channel.verdict),
        `${channel.name}${isDefault}  ${plural(entries, "entry", "entries")}${newest}`,
      );
    }
  }
  for (const finding of findings.slice(0, MAX_PRINTED)) {
    const { severity, rule, message, place } = finding;
    terminal.line("  ", ...paint(severity), subjectOf(finding));
    const where = place === undefined ? "" : `  (${place.file}:${place.line})`;
    terminal.line(" ".repeat(WIDTH + 2), `${rule}: ${message}${where}`);
  }
  if (findings.length > MAX_PRINTED)
    terminal.line(`  … and ${findings.length - MAX_PRINTED} more findings; --output json and --report have all`);
  if (report.ignored.length > 0)
    terminal.line(`  ${"ignored".padEnd(WIDTH)}${plural(report.ignored.length, "file")} that .indexignore names`);
  for (const [name, text] of listSummary(summary)) terminal.line(`  ${name.padEnd(WIDTH)}${text}`);
  terminal.line(
    `  ${"findings".padEnd(WIDTH)}${plural(summary.errors, "error")}, ${plural(summary.warnings, "warning")}`,
  );
}
