import { type Certificate, type KeyAssessment, assessCertificate } from "@signet/core";
import type { Painted, Terminal } from "../terminal/terminal.ts";

/** One certificate as JSON. Times are ISO 8601, UTC. */
export interface CertificateReport {
  readonly fingerprint: string;
  readonly version: number;
  readonly userIds: readonly string[];
  readonly source: string;
  /** Fingerprints of the keys whose signatures would be accepted now. */
  readonly signingKeys: readonly string[];
  readonly keys: readonly KeyReport[];
  readonly warnings: readonly string[];
}

interface KeyReport {
  readonly fingerprint: string;
  readonly keyId: string;
  readonly primary: boolean;
  readonly algorithm: string;
  readonly created: string;
  readonly expires: string | null;
  readonly revocation: { readonly time: string | null; readonly reason: string; readonly hard: boolean } | null;
  readonly status: string;
  readonly explanation: string;
}

/** What can be said of a certificate at `now` (milliseconds since 1970 UTC). */
export function reportCertificate(certificate: Certificate, source: string, now: number): CertificateReport {
  const assessment = assessCertificate(certificate, now);
  return {
    fingerprint: certificate.fingerprint,
    version: certificate.version,
    userIds: certificate.userIds,
    source,
    signingKeys: assessment.signingKeys,
    keys: assessment.keys.map(reportKey),
    warnings: assessment.warnings,
  };
}

function reportKey(key: KeyAssessment): KeyReport {
  const { revocation } = key;
  return {
    fingerprint: key.fingerprint,
    keyId: key.keyId,
    primary: key.isPrimary,
    algorithm: key.algorithm,
    created: isoTime(key.created),
    expires: key.expiresAt === undefined ? null : isoTime(key.expiresAt),
    revocation:
      revocation === undefined
        ? null
        : {
            time: revocation.created === 0 ? null : isoTime(revocation.created),
            reason: revocation.reason,
            hard: revocation.isHard,
          },
    status: key.status,
    explanation: key.explanation,
  };
}

/** One line: fingerprint, algorithm, whether it can sign, user id. */
export function printCertificateLine(report: CertificateReport, terminal: Terminal): void {
  const [primary] = report.keys;
  const [userId = "(no user id)"] = report.userIds;
  terminal.line(`${report.fingerprint}  ${primary!.algorithm.padEnd(9)}  `, paintedSummary(report), `  ${userId}`);
}

/** Everything about one certificate. */
export function printCertificate(report: CertificateReport, terminal: Terminal): void {
  terminal.line({ colour: "bold", text: report.fingerprint }, "  ", paintedSummary(report));
  for (const userId of report.userIds) terminal.line(`  user id  ${userId}`);
  for (const key of report.keys) {
    terminal.line(`  ${key.primary ? "primary" : "subkey "}  ${key.fingerprint}  ${key.algorithm}`);
    const expiry = key.expires === null ? "never expires" : `expires ${key.expires.slice(0, 10)}`;
    terminal.line(`           made ${key.created.slice(0, 10)}, ${expiry}; ${key.explanation}`);
    if (key.revocation !== null) {
      const time = key.revocation.time === null ? "" : ` on ${key.revocation.time.slice(0, 10)}`;
      const kind = key.revocation.hard ? "for good" : "superseded or retired";
      const reason = key.revocation.reason === "" ? "" : `: ${key.revocation.reason}`;
      terminal.line(`           revoked${time}, ${kind}${reason}`);
    }
  }
  for (const warning of report.warnings) terminal.line({ colour: "yellow", text: `  warning  ${warning}` });
}

/** `can sign until 2030-01-01`, or why it cannot. */
function paintedSummary(report: CertificateReport): Painted {
  const usable = report.keys.filter((key) => key.status === "usable");
  if (usable.length === 0) {
    const [primary] = report.keys;
    const why = primary!.status === "not-for-signing" ? "no usable signing key" : primary!.explanation;
    return { colour: "red", text: `cannot sign: ${why}` };
  }
  const ends = usable.flatMap((key) => (key.expires === null ? [] : [key.expires]));
  if (ends.length < usable.length) return { colour: "green", text: "can sign" };
  return { colour: "green", text: `can sign until ${ends.toSorted().at(-1)!.slice(0, 10)}` };
}

function isoTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
