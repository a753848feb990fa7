import { MAX_MANIFEST_BYTES, createSignature } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { writeFileAtomic } from "@signet/images/atomic-file";
import type { Command, TextOption } from "../command-line/command.ts";
import { passphraseFdOption, passphraseFileOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { readPassphrase } from "../keys/passphrase.ts";
import { readInput } from "../terminal/input.ts";

const name = "standalone-sign";

const outputOption: TextOption = {
  kind: "text",
  name: "output",
  short: "o",
  value: "SIGNATURE",
  summary: "File to write the signature to",
  completion: "file",
};

export const command: Command = {
  name,
  summary: "Sign a manifest file, offline",
  description: [
    "Makes a simple signature over MANIFEST for the image REFERENCE, which is signed exactly as it is written, and writes it to a file. Nothing is sent anywhere.",
    "A protected key file needs its passphrase from --passphrase-file, --passphrase-fd or the environment variable SIGNET_PASSPHRASE; on a terminal it is asked for.",
  ],
  arguments: [
    { name: "MANIFEST", summary: "File with the manifest", completion: "file" },
    { name: "REFERENCE", summary: "What the signature is for, such as registry.example.com/app:1" },
    {
      name: "KEY",
      summary: "A secret key file, or a key of the gpg keyring: fingerprint, key id, e-mail",
      completion: "file",
    },
  ],
  options: [outputOption, passphraseFileOption, passphraseFdOption],
  examples: [
    {
      line: "signet standalone-sign manifest.json registry.example.com/app:1 release@example.com -o app.sig",
      purpose: "With a key of the gpg keyring",
    },
    {
      line: "signet standalone-sign manifest.json registry.example.com/app:1 ./release.private -o app.sig --passphrase-file pass",
      purpose: "With a key file",
    },
  ],
  async run(invocation, runtime) {
    const [manifestFile, reference, key] = invocation.arguments as [string, string, string];
    const output = invocation.get(outputOption);
    if (output === undefined) throw usage("--output is missing: the file to write the signature to", name);
    const manifest = await readInput(manifestFile, MAX_MANIFEST_BYTES, "manifest");
    const { openSigningKey } = await import("../keys/signing-key.ts");
    const signer = await openSigningKey(key, await readPassphrase(invocation, runtime.env), runtime);
    const signature = await createSignature(manifest, reference, signer, { engine: nodeEngine, now: runtime.now() });
    await runtime.interruption.finish(writeFileAtomic(output, signature.bytes));
    return exitCodes.done;
  },
};
