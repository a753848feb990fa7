/** What a stored signature says, taken apart without verifying anything. */
import {
  FormatError,
  type UntrustedSignatureBlob,
  type UntrustedSigstoreBlob,
  inspectSignedMessage,
  parseSignatureBlob,
  parseSimpleSigningPayload,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";

/** Repeated in every report, so that nobody takes a claim for a fact. */
export const unverifiedNotice = "UNVERIFIED: anybody can write such claims; use verify to judge them";

/** One signature as JSON. The members that begin with `Untrusted` are those of skopeo's dump, by the same names. */
export type SignatureReport = SimpleSigningReport | SigstoreReport;

interface SimpleSigningReport {
  readonly verified: false;
  readonly format: "simple-signing";
  readonly UntrustedDockerManifestDigest: string;
  readonly UntrustedDockerReference: string;
  readonly UntrustedCreatorID: string | null;
  /** ISO 8601, UTC. */
  readonly UntrustedTimestamp: string | null;
  readonly UntrustedShortKeyIdentifier: string;
  readonly untrustedOpenPgp: {
    readonly fingerprint: string | null;
    readonly version: number;
    readonly algorithm: string;
    readonly hash: string;
    readonly type: string;
    readonly signedAt: string;
    readonly expiresAt: string | null;
    readonly compression: string | null;
    readonly trailingOctets: number;
  };
}

interface SigstoreReport {
  readonly verified: false;
  readonly format: "sigstore-json";
  readonly untrustedMimeType: string;
  /** The payload as JSON where it is JSON, else as text. */
  readonly untrustedPayload: unknown;
  readonly untrustedAnnotations: Readonly<Record<string, string>>;
}

/**
 * Takes a signature blob apart.
 * @param bytes as stored
 * @throws FormatError `signature-blob-malformed`, `openpgp-malformed`, `json-malformed`, `payload-malformed` …: the signature is bad, whatever it claims
 */
export function reportSignature(bytes: Uint8Array): SignatureReport {
  const blob = parseSignatureBlob(bytes);
  return blob.format === "simple-signing" ? reportSimpleSigning(blob) : reportSigstore(blob);
}

function reportSimpleSigning(
  blob: UntrustedSignatureBlob & { readonly format: "simple-signing" },
): SimpleSigningReport {
  const message = inspectSignedMessage(blob.message, nodeEngine);
  const payload = parseSimpleSigningPayload(message.content);
  return {
    verified: false,
    format: "simple-signing",
    UntrustedDockerManifestDigest: payload.manifestDigest,
    UntrustedDockerReference: payload.dockerReference,
    UntrustedCreatorID: payload.creator ?? null,
    UntrustedTimestamp: payload.timestamp === undefined ? null : formatSeconds(payload.timestamp),
    UntrustedShortKeyIdentifier: message.keyId,
    untrustedOpenPgp: {
      fingerprint: message.fingerprint ?? null,
      version: message.version,
      algorithm: message.algorithm,
      hash: message.hash,
      type: message.type,
      signedAt: new Date(message.signedAt).toISOString(),
      expiresAt: message.expiresAt === undefined ? null : new Date(message.expiresAt).toISOString(),
      compression: message.compression ?? null,
      trailingOctets: message.trailingOctets,
    },
  };
}

function reportSigstore(blob: UntrustedSigstoreBlob): SigstoreReport {
  const text = new TextDecoder().decode(blob.payload);
  return {
    verified: false,
    format: "sigstore-json",
    untrustedMimeType: blob.mimeType,
    untrustedPayload: parseIfJson(text),
    untrustedAnnotations: Object.fromEntries(blob.annotations),
  };
}

/** For showing only: what duplicate members mean here decides nothing. */
function parseIfJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The signer may claim any number; one beyond the calendar is shown as it stands. */
export function formatSeconds(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds} seconds since 1970` : date.toISOString().replace(".000Z", "Z");
}

/** The same as lines of text, without the notice. */
export function describeSignature(report: SignatureReport): readonly string[] {
  if (report.format === "sigstore-json") {
    return [
      "format            sigstore (cosign)",
      `media type        ${report.untrustedMimeType}`,
      `payload           ${typeof report.untrustedPayload === "string" ? report.untrustedPayload : JSON.stringify(report.untrustedPayload)}`,
      ...Object.entries(report.untrustedAnnotations).map(([key, value]) => `annotation        ${key}=${value}`),
    ];
  }
  const { untrustedOpenPgp: message } = report;
  return [
    "format            simple signing (OpenPGP)",
    `manifest digest   ${report.UntrustedDockerManifestDigest}`,
    `docker reference  ${report.UntrustedDockerReference}`,
    `creator           ${report.UntrustedCreatorID ?? "-"}`,
    `timestamp         ${report.UntrustedTimestamp ?? "-"}`,
    `key               ${message.fingerprint ?? report.UntrustedShortKeyIdentifier}`,
    `signed at         ${message.signedAt}${message.expiresAt === null ? "" : `, until ${message.expiresAt}`}`,
    `message           version ${message.version}, ${message.algorithm}, ${message.hash}, ${message.compression ?? "not compressed"}`,
    ...(message.trailingOctets === 0 ? [] : [`trailing          ${message.trailingOctets} octets after the message`]),
  ];
}

/** {@link reportSignature} for a listing, where a bad signature is one of the things to show. */
export function tryReportSignature(
  bytes: Uint8Array,
): SignatureReport | { readonly verified: false; readonly malformed: string } {
  try {
    return reportSignature(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { verified: false, malformed: error.message };
  }
}
