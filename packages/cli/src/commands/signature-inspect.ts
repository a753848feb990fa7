import { FormatError, MAX_SIGNATURE_BYTES } from "@signet/core";
import { readInput } from "../terminal/input.ts";
import type { Command } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import {
  type SignatureReport,
  describeSignature,
  reportSignature,
  unverifiedNotice,
} from "../signatures/signature-report.ts";
import type { Terminal } from "../terminal/terminal.ts";

export const command: Command = {
  name: "signature inspect",
  summary: "Show what a signature file claims, without verifying it",
  description: [
    "Shows the claims inside a stored signature: a simple-signing message, or a sigstore signature as containers/image stores it. Nothing is verified, and the output says so.",
    "Exit status 1 means that the file is not a well-formed signature.",
  ],
  arguments: [{ name: "FILE", summary: "A signature file; - for standard input", completion: "file" }],
  options: [outputFormatOption],
  examples: [
    { line: "signet signature inspect app@sha256=…/signature-1", purpose: "A signature of a lookaside store" },
    {
      line: "signet signature inspect signature-1 -o json | jq -r .UntrustedDockerReference",
      purpose: "One claim, by the name that skopeo has for it",
    },
  ],
  async run(invocation, { terminal }) {
    const [file] = invocation.arguments as [string];
    const bytes = await readInput(file, MAX_SIGNATURE_BYTES, "signature");
    let report: SignatureReport;
    try {
      report = reportSignature(bytes);
    } catch (error) {
      if (error instanceof FormatError) return refuse(error, terminal);
      throw error;
    }
    if (invocation.get(outputFormatOption) === "json") terminal.json(report);
    else {
      terminal.line({ colour: "yellow", text: unverifiedNotice });
      for (const line of describeSignature(report)) terminal.line(line);
    }
    return exitCodes.done;
  },
};

/** A signature that cannot be read is a bad signature, which is an answer: 1, not 2. */
function refuse(error: FormatError, terminal: Terminal): ExitCode {
  terminal.note(`error: not a well-formed signature: ${error.message}`);
  if (error.hint !== undefined) terminal.note(`hint: ${error.hint}`);
  return exitCodes.rejected;
}
