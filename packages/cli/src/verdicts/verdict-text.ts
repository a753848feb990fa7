import type { VerifiedSigner } from "@signet/core";
import type { ImageRow } from "@signet/images";
import type { Painted, Terminal } from "../terminal/terminal.ts";
import { type VerifyReport, describeManifest, reportRow } from "./verdict-report.ts";

const colours: Readonly<Record<ImageRow["outcome"], Painted["colour"]>> = {
  accepted: "green",
  rejected: "red",
  undetermined: "yellow",
};

/** Columns of the verdict, so that names stand below each other. */
const VERDICT_WIDTH = 14;

/** Columns before what is said about an image. */
const INDENT = " ".repeat(VERDICT_WIDTH);

/** One image: its verdict, what was judged of a list, who signed, or why not. */
export function printRow(row: ImageRow, terminal: Terminal): void {
  const { image, digest, reasons, warnings, scope, endpoints } = reportRow(row);
  const verdict: Painted = { colour: colours[row.outcome], text: row.outcome };
  const padding = " ".repeat(VERDICT_WIDTH - row.outcome.length);
  terminal.line(verdict, `${padding}${image}${digest === null || image.endsWith(digest) ? "" : `  ${digest}`}`);
  if (row.outcome === "undetermined") {
    // What could not be told is an error like any other, and goes where errors go.
    terminal.note(`error: ${row.error.message} [${row.error.code}]`);
    if (row.error.hint !== undefined) terminal.note(`hint: ${row.error.hint}`);
    return;
  }
  for (const endpoint of endpoints) {
    const place = `${endpoint.role} ${endpoint.reference}`;
    if (endpoint.outcome === "served") terminal.line(`${INDENT}served by ${place}`);
    else terminal.line(`${INDENT}not served by ${place}: ${endpoint.message}`);
  }
  for (const manifest of row.manifests) {
    if (manifest.role === "image") continue;
    terminal.line(`${INDENT}judged ${describeManifest(manifest)}: ${manifest.outcome}`);
  }
  if (row.outcome === "accepted") {
    const signers = distinctSigners(row);
    for (const signer of signers) terminal.line(`${INDENT}signed by ${describeSigner(signer)}`);
    if (signers.length === 0) terminal.line(`${INDENT}no signature is required by scope ${scope}`);
  }
  for (const { message, hint } of reasons) {
    terminal.line(`${INDENT}reason: ${message}`);
    if (hint !== undefined) terminal.line(`${INDENT}  hint: ${hint}`);
  }
  for (const warning of warnings) terminal.warn(`${image}: ${warning}`);
}

/** How many of which. */
export function printSummary({ summary }: VerifyReport, terminal: Terminal): void {
  const { total, accepted, rejected, undetermined } = summary;
  terminal.line(`${total} images: ${accepted} accepted, ${rejected} rejected, ${undetermined} undetermined`);
}

function distinctSigners(row: Exclude<ImageRow, { readonly outcome: "undetermined" }>): readonly VerifiedSigner[] {
  const signers = new Map<string, VerifiedSigner>();
  for (const manifest of row.manifests) {
    if (manifest.outcome !== "accepted" || manifest.verdict.verdict !== "accepted") continue;
    for (const signer of manifest.verdict.signers)
      signers.set(`${signer.fingerprint} ${signer.dockerReference}`, signer);
  }
  return [...signers.values()];
}

function describeSigner(signer: VerifiedSigner): string {
  const userId = signer.userIds[0] === undefined ? "" : ` (${signer.userIds[0]})`;
  return `${signer.fingerprint}${userId} for ${signer.dockerReference}, ${signer.signedAt.slice(0, 10)}`;
}
