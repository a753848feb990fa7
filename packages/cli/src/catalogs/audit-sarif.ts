/** The audit as SARIF 2.1.0: a result for each finding, at the document of the catalog. */
import { auditRules } from "@signet/openshift";
import { sarifLevels, uriOf, writeSarifLog } from "../reports/sarif-log.ts";
import { type AuditReport, subjectOf } from "./audit-report.ts";

export function writeAuditSarif({ findings, source }: AuditReport): unknown {
  const results = findings.map((finding) => {
    const { rule, severity, message, place, package: owner, channel, bundle, image } = finding;
    const subject = subjectOf(finding);
    return {
      ruleId: rule,
      ruleIndex: auditRules.findIndex(({ name }) => name === rule),
      level: sarifLevels[severity],
      message: { text: `${subject}: ${message}. Fix: ${auditRules.find(({ name }) => name === rule)?.fix ?? ""}` },
      locations: [
        {
          physicalLocation: {
            artifactLocation: { uri: uriOf(place?.file ?? source) },
            ...(place === undefined ? {} : { region: { startLine: place.line } }),
          },
          logicalLocations: [{ fullyQualifiedName: subject }],
        },
      ],
      properties: {
        ...(owner === undefined ? {} : { package: owner }),
        ...(channel === undefined ? {} : { channel }),
        ...(bundle === undefined ? {} : { bundle }),
        ...(image === undefined ? {} : { image }),
      },
    };
  });
  return writeSarifLog(auditRules, results, true);
}
