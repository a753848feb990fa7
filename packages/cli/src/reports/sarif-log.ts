/** The frame of SARIF 2.1.0 (OASIS Standard, 27 March 2020), which code hosts and editors show at the line. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { version } from "../version.ts";

/** Our severities in SARIF's words. */
export const sarifLevels: Readonly<Record<"error" | "warning" | "info", "error" | "warning" | "note">> = {
  error: "error",
  warning: "warning",
  info: "note",
};

/** What can be found; results name it by its position. */
export interface SarifRule {
  readonly name: string;
  readonly severity: "error" | "warning" | "info";
  readonly reason: string;
  readonly fix: string;
}

/** The log of one run. @param isSuccessful false when the run ended before everything was looked at */
export function writeSarifLog(
  rules: readonly SarifRule[],
  results: readonly unknown[],
  isSuccessful: boolean,
): unknown {
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "signet",
            semanticVersion: version,
            rules: rules.map(({ name, severity, reason, fix }) => ({
              id: name,
              shortDescription: { text: name.replaceAll("-", " ") },
              fullDescription: { text: reason },
              help: { text: fix },
              defaultConfiguration: { level: sarifLevels[severity] },
            })),
          },
        },
        invocations: [{ executionSuccessful: isSuccessful }],
        columnKind: "unicodeCodePoints",
        results,
      },
    ],
  };
}

/** Relative paths stay relative, as code hosts want them. */
export function uriOf(file: string): string {
  if (file.startsWith("/")) return pathToFileURL(resolve(file)).href;
  return file.split("/").map(encodeURIComponent).join("/");
}
