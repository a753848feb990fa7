import { SignetError } from "@signet/core";
import type { SignResult } from "@signet/images";
import type { Command, FlagOption, TextOption } from "../command-line/command.ts";
import {
  keyOption,
  outputFormatOption,
  passphraseFdOption,
  passphraseFileOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { readPassphrase } from "../keys/passphrase.ts";
import { reportFailure } from "../terminal/failure.ts";
import type { Terminal } from "../terminal/terminal.ts";

const name = "sign";

const identityOption: TextOption = {
  kind: "text",
  name: "identity",
  value: "REF",
  summary: "What the signature is for, with its tag or digest (default: the image's own name)",
  completion: "nothing",
};
const allOption: FlagOption = {
  kind: "flag",
  name: "all",
  short: "a",
  summary: "Of a list sign every instance as well, which podman and skopeo need for verifying",
};
const forceOption: FlagOption = {
  kind: "flag",
  name: "force",
  summary: "Sign again where this key has signed the same already",
};
const storeOption: TextOption = {
  kind: "text",
  name: "store",
  value: "STORE",
  choices: ["lookaside", "extension"],
  summary: "Where signatures go: lookaside or extension (default: what the registry and registries.d say)",
};

export const command: Command = {
  name,
  summary: "Sign images where they lie, and store the signatures",
  description: [
    "Signs the manifest of each image and stores the signature where it will be looked for: behind the registry's signatures API, in the folder that registries.d names for writing, or beside a dir: image. A tag is resolved once; what is signed is the digest of the bytes that came back. Nothing else of the image is changed.",
    "A protected key file needs its passphrase from --passphrase-file, --passphrase-fd or the environment variable SIGNET_PASSPHRASE; on a terminal it is asked for.",
  ],
  arguments: [
    {
      name: "IMAGE",
      summary: "docker://… or dir:…; a bare name means docker://",
      repeats: true,
      completion: "nothing",
    },
  ],
  options: [
    keyOption,
    passphraseFileOption,
    passphraseFdOption,
    identityOption,
    allOption,
    storeOption,
    forceOption,
    outputFormatOption,
    registriesDOption,
    registriesConfOption,
    ...registryOptions.all,
    retryTimesOption,
  ],
  examples: [
    {
      line: "signet sign --key release@example.com registry.example.com/app:1",
      purpose: "With a key of the gpg keyring",
    },
    {
      line: "signet sign --key release.private --passphrase-file pass --identity registry.example.com/app:1 dir:app",
      purpose: "A folder, before it is copied to the registry",
    },
  ],
  async run(invocation, runtime) {
    const { terminal, progress, interruption } = runtime;
    const key = invocation.get(keyOption);
    const identity = invocation.get(identityOption);
    const images = invocation.arguments;
    if (key === undefined) throw usage("--key is missing: the key to sign with", name);
    if (identity !== undefined && images.length > 1)
      throw usage("--identity names one image, and several are to be signed", name);
    const { parseImageName, signImage } = await import("@signet/images");
    const { openImageAccess } = await import("../images/image-access.ts");
    const { openSigningKey } = await import("../keys/signing-key.ts");
    const store = invocation.get(storeOption) as "lookaside" | "extension" | undefined;
    await using access = await openImageAccess(invocation, registryOptions, runtime, store);
    const parsed = [];
    for (const image of images) parsed.push(await parseImageName(image, access.names));
    const signer = await openSigningKey(key, await readPassphrase(invocation, runtime.env), runtime);
    const results: unknown[] = [];
    let status: ExitCode = exitCodes.done;
    for (const [index, image] of parsed.entries()) {
      progress.count(index, parsed.length, `signing ${image.text}`);
      try {
        const result = await interruption.finish(
          signImage(image, {
            signer,
            now: runtime.now(),
            open: access.open,
            all: invocation.get(allOption),
            force: invocation.get(forceOption),
            ...(identity === undefined ? {} : { identity }),
          }),
        );
        results.push(reportResult(result));
        if (invocation.get(outputFormatOption) !== "json") printResult(result, terminal);
      } catch (error) {
        if (parsed.length === 1) throw error;
        // One image that cannot be signed must not keep the others waiting; the status still says it.
        terminal.note(`${image.text}:`);
        reportFailure(error, terminal, false);
        results.push({ image: image.text, error: describeError(error) });
        status = exitCodes.failed;
      }
    }
    if (invocation.get(outputFormatOption) === "json") terminal.json({ results });
    return status;
  },
};

function reportResult({ image, digest, store, receipts, warnings }: SignResult): unknown {
  return { image, digest, store, signatures: receipts, warnings };
}

function describeError(error: unknown): unknown {
  if (!(error instanceof SignetError)) return { code: "internal-fault", message: String(error) };
  return { code: error.code, message: error.message, hint: error.hint };
}

function printResult(result: SignResult, terminal: Terminal): void {
  for (const { role, digest, identity, outcome, location } of result.receipts) {
    const what = role === "image" ? result.image : `${result.image} (${role})`;
    const verb = outcome === "signed" ? "signed          " : "already signed  ";
    terminal.line(`${verb}${what}  ${digest}  as ${identity}`);
    terminal.line(`                in ${location}`);
  }
  for (const warning of result.warnings) terminal.warn(warning);
}
