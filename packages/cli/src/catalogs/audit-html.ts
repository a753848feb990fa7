/** The audit as one page without scripts, pictures or anything that is fetched. */
import { cleanText } from "../terminal/clean-text.ts";
import { plural } from "../terminal/plural.ts";
import { type AuditReport, type ImageReport, listSummary, subjectOf } from "./audit-report.ts";

/** Text as it may stand in an element or a quoted attribute. Every text of the page passes it. */
function html(text: string): string {
  return cleanText(text).replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const style = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #1b1b1b; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top }
td { overflow-wrap: anywhere } td.rule, td.place, td.undetermined { overflow-wrap: normal } td.rule, td.place { min-width: 8rem } .clean, .accepted, .present { color: #0a6b2d } .findings, .error, .rejected, .absent { color: #a30000 }
.undetermined, .warning { color: #7a4b00 } .info { color: #555 }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #1b1b1b } td, th { border-color: #555 }
.clean, .accepted, .present { color: #6fd08c } .findings, .error, .rejected, .absent { color: #ff8a8a } .undetermined, .warning { color: #f0c060 } .info { color: #aaa } }
`;

/** @param now milliseconds since 1970 UTC, of the audit */
export function writeAuditHtml(report: AuditReport, now: number): string {
  const { source, digest, kind, verdict, packages, findings, images, summary } = report;
  const title = `Audit of ${kind} ${source}`;
  const rows = (cells: readonly (readonly Cell[])[]): string => cells.map(row).join("\n");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${html(title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${html(title)}</h1>
<p><strong class="${verdict}">${verdict}</strong> · ${html(new Date(now).toISOString())}${digest === null ? "" : ` · ${html(digest)}`}</p>
<table>
${rows([...listSummary(summary), ["findings", `${plural(summary.errors, "error")}, ${plural(summary.warnings, "warning")}`]])}
</table>
<h2>Packages and channels</h2>
<table>
<tr><th>Package</th><th>Channel</th><th>Newest</th><th>Entries</th><th>Images</th><th>Errors</th><th>Warnings</th><th>Verdict</th></tr>
${rows(
  packages.flatMap((pack) => [
    [pack.name, "", "", `${pack.bundles}`, `${pack.images}`, `${pack.errors}`, `${pack.warnings}`, mark(pack.verdict)],
    ...pack.channels.map((channel): readonly Cell[] => [
      "",
      `${channel.name}${channel.name === pack.defaultChannel ? " (default)" : ""}`,
      channel.heads.join(", "),
      `${channel.entries}`,
      `${channel.images}`,
      `${channel.errors}`,
      `${channel.warnings}`,
      mark(channel.verdict),
    ]),
  ]),
)}
</table>
<h2>Findings</h2>
<table>
<tr><th>Severity</th><th>Rule</th><th>About</th><th>What</th><th>Where</th></tr>
${rows(
  findings.map((finding) => [
    mark(finding.severity),
    { text: finding.rule, name: "rule" },
    subjectOf(finding),
    finding.message,
    { text: finding.place === undefined ? "" : `${finding.place.file}:${finding.place.line}`, name: "place" },
  ]),
)}
</table>
<h2>Images</h2>
<table>
<tr><th>Image</th><th>Named by</th><th>Used by</th><th>Policy scope</th><th>Demands</th><th>Signed</th><th>Verdict</th><th>Mirror</th></tr>
${rows(images.map(imageCells))}
</table>
</body>
</html>
`;
}

/** A text, or one with a class: the one that is named, else the text itself. */
type Cell = string | { readonly text: string; readonly name?: string };

/** A word of ours that is its own class. */
function mark(word: string): Cell {
  return { text: word };
}

function row(cells: readonly Cell[]): string {
  const inner = cells.map((cell) =>
    typeof cell === "string"
      ? `<td>${html(cell)}</td>`
      : `<td class="${html(cell.name ?? cell.text)}">${html(cell.text)}</td>`,
  );
  return `<tr>${inner.join("")}</tr>`;
}

/** Places that are listed of one image. */
const MAX_USES = 10;

function imageCells({ image, form, uses, scope, requirements, signed, verdict, mirror }: ImageReport): readonly Cell[] {
  const places = uses.map(({ bundle, role, name }) => [bundle, role, name].filter((part) => part !== "").join(" "));
  const more = places.length > MAX_USES ? ` and ${places.length - MAX_USES} more` : "";
  return [
    image,
    form,
    `${places.slice(0, MAX_USES).join(", ")}${more}`,
    scope ?? "",
    requirements ?? "",
    signed === null ? "" : signed ? "yes" : "no",
    mark(verdict ?? ""),
    mark(mirror?.outcome ?? ""),
  ];
}
