/** The audit as CSV (RFC 4180): a row for each place where an image is named. */
import { cleanText } from "../terminal/clean-text.ts";
import type { AuditReport } from "./audit-report.ts";

const header = [
  "package",
  "bundle",
  "role",
  "name",
  "image",
  "named by",
  "registry",
  "scope",
  "demands",
  "signed",
  "verdict",
  "signers",
  "mirror",
  "findings",
];

export function writeAuditCsv({ images, findings }: AuditReport): string {
  const rulesOf = new Map<string, Set<string>>();
  for (const { image, rule } of findings) {
    if (image === undefined) continue;
    const rules = rulesOf.get(image) ?? new Set();
    rulesOf.set(image, rules.add(rule));
  }
  const rows = images.flatMap(({ image, form, registry, scope, demand, signed, verdict, signers, mirror, uses }) =>
    uses.map((use) => [
      use.package,
      use.bundle,
      use.role,
      use.name,
      image,
      form,
      registry ?? "",
      scope ?? "",
      demand ?? "",
      signed === null ? "" : signed ? "yes" : "no",
      verdict ?? "",
      signers.join(" "),
      mirror?.outcome ?? "",
      [...(rulesOf.get(image) ?? [])].join(" "),
    ]),
  );
  return [header, ...rows].map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}

/** Spreadsheets take a text that begins like a formula for one, and run it. */
function cell(text: string): string {
  const clean = cleanText(text);
  const harmless = /^\s*[=+\-@]/.test(clean) ? `'${clean}` : clean;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
