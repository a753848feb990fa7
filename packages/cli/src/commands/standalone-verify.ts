import {
  type Keyring,
  MAX_KEYRING_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_SIGNATURE_BYTES,
  makeKeyring,
  parseKeyring,
  verifyStandalone,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { Command, TextOption } from "../command-line/command.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { openPgpOptions, readSwitches } from "../command-line/openpgp-options.ts";
import { usage } from "../command-line/parse.ts";
import { parseReferenceArgument } from "../command-line/reference-argument.ts";
import { readInput } from "../terminal/input.ts";
import type { Terminal } from "../terminal/terminal.ts";

const name = "standalone-verify";

const publicKeyFileOption: TextOption = {
  kind: "text",
  name: "public-key-file",
  value: "FILE",
  summary: "File with the public keys (default: the gpg keyring)",
  completion: "file",
};

export const command: Command = {
  name,
  summary: "Verify a signature file against a manifest file, offline",
  description: [
    "Verifies that SIGNATURE is a simple signature over MANIFEST for the image REFERENCE by one of KEYS. No policy is read and no registry is asked.",
    "Exit status 1 means that the signature is bad, 2 that it could not be told.",
  ],
  arguments: [
    { name: "MANIFEST", summary: "File with the manifest", completion: "file" },
    { name: "REFERENCE", summary: "The image that must be signed, such as registry.example.com/app:1" },
    { name: "KEYS", summary: "Accepted fingerprints in full, separated by commas; or any, with --public-key-file" },
    { name: "SIGNATURE", summary: "File with the signature", completion: "file" },
  ],
  options: [publicKeyFileOption, ...openPgpOptions],
  examples: [
    {
      line: "signet standalone-verify manifest.json registry.example.com/app:1 any app.sig --public-key-file release.asc",
      purpose: "Any key of a file may have signed",
    },
  ],
  async run(invocation, { terminal, now }) {
    const [manifestFile, reference, keys, signatureFile] = invocation.arguments as [string, string, string, string];
    const keyFile = invocation.get(publicKeyFileOption);
    const accepted = keys === "any" ? keys : keys.split(",");
    if (accepted === "any" && keyFile === undefined)
      throw usage(
        "any fingerprint can be accepted only from a file of public keys",
        name,
        "add --public-key-file FILE",
      );
    if (accepted !== "any" && accepted.includes("any")) throw usage("any stands alone, not in a list", name);

    parseReferenceArgument(reference);

    const manifest = await readInput(manifestFile, MAX_MANIFEST_BYTES, "manifest");
    const signature = await readInput(signatureFile, MAX_SIGNATURE_BYTES, "signature");
    const keyring = await readKeys(keyFile, accepted, terminal);
    const verdict = verifyStandalone(manifest, reference, accepted, signature, keyring, {
      engine: nodeEngine,
      now: now(),
      switches: readSwitches(invocation),
    });
    for (const { outcome, message } of verdict.checks) if (outcome === "warning") terminal.warn(message);
    if (verdict.verdict === "accepted") {
      terminal.line(`Signature verified using fingerprint ${verdict.fingerprint}, digest ${verdict.digest}`);
      return exitCodes.done;
    }
    for (const reason of verdict.reasons) {
      terminal.note(`error: signature rejected: ${reason.message}`);
      if (reason.hint !== undefined) terminal.note(`hint: ${reason.hint}`);
    }
    return exitCodes.rejected;
  },
};

/** gpg is started, and the code for it loaded, only for those who keep their keys there. */
async function readKeys(
  file: string | undefined,
  accepted: readonly string[] | "any",
  terminal: Terminal,
): Promise<Keyring> {
  if (file === undefined) {
    const { readGpgKeyring, warnOfSkippedKeys } = await import("../keys/key-source.ts");
    const source = await readGpgKeyring(accepted === "any" ? [] : accepted);
    warnOfSkippedKeys([source], terminal);
    return makeKeyring(source.certificates);
  }
  const { certificates, warnings } = parseKeyring(
    await readInput(file, MAX_KEYRING_BYTES, "public key file"),
    nodeEngine,
  );
  for (const warning of warnings) terminal.warn(`${file}: ${warning}`);
  return makeKeyring(certificates);
}
