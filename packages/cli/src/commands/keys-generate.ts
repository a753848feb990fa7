import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { DEFAULT_KEY_ALGORITHM, type KeyAlgorithm, StoreError, generateKey, keyAlgorithms } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { writeFileAtomic } from "@signet/images/atomic-file";
import type { Command, FlagOption, Invocation, TextOption } from "../command-line/command.ts";
import { passphraseFdOption, passphraseFileOption } from "../command-line/common-options.ts";
import { exitCodes } from "../command-line/exit-code.ts";
import { usage } from "../command-line/parse.ts";
import { readPassphrase } from "../keys/passphrase.ts";
import type { Runtime } from "../runtime.ts";

const name = "keys generate";

/** Octal permission bits: the owner alone. */
const SECRET_FILE_MODE = 0o600;
const PUBLIC_FILE_MODE = 0o644;

const outputPrefixOption: TextOption = {
  kind: "text",
  name: "output-prefix",
  value: "PREFIX",
  summary: "Write PREFIX.private, PREFIX.pub and PREFIX.revoke",
  completion: "file",
};
const algorithmOption: TextOption = {
  kind: "text",
  name: "algorithm",
  value: "NAME",
  choices: keyAlgorithms,
  summary: `${keyAlgorithms.join(", ")} (default ${DEFAULT_KEY_ALGORITHM})`,
};
const expiresOption: TextOption = {
  kind: "text",
  name: "expires",
  value: "TIME",
  summary: "When the key ends: a number with d, w, m or y, such as 2y, or never (default 2y)",
  completion: "nothing",
};
const noPassphraseOption: FlagOption = {
  kind: "flag",
  name: "no-passphrase",
  summary: "Do not protect the secret key: whoever reads the file can sign",
};

export const command: Command = {
  name,
  summary: "Make a key pair for signing",
  description: [
    "Makes an OpenPGP signing key and writes three armored files: the secret key (mode 0600), the public key, and a certificate that withdraws the key, to be kept apart for the day when the key is lost. Files that exist are never replaced.",
    "The passphrase comes from --passphrase-file, --passphrase-fd or SIGNET_PASSPHRASE; on a terminal it is asked for.",
  ],
  arguments: [{ name: "USER-ID", summary: "Whose key it is, such as 'Release Signing <release@example.com>'" }],
  options: [
    outputPrefixOption,
    algorithmOption,
    expiresOption,
    passphraseFileOption,
    passphraseFdOption,
    noPassphraseOption,
  ],
  examples: [
    {
      line: "signet keys generate 'Release Signing <release@example.com>' --output-prefix release --passphrase-file pass",
      purpose: "A key for two years, protected by a passphrase",
    },
  ],
  async run(invocation, runtime) {
    const [userId] = invocation.arguments as [string];
    const prefix = invocation.get(outputPrefixOption);
    if (prefix === undefined) throw usage("--output-prefix is missing: where the files go", name);
    const now = runtime.now();
    const seconds = readExpiry(invocation.get(expiresOption) ?? "2y");
    const files = { secret: `${prefix}.private`, public: `${prefix}.pub`, revocation: `${prefix}.revoke` };
    for (const file of Object.values(files)) refuseToOverwrite(file);
    const passphrase = await choosePassphrase(invocation, runtime);
    runtime.progress.step("Making the key");
    const key = await generateKey({
      engine: nodeEngine,
      now,
      userIds: [userId],
      algorithm: (invocation.get(algorithmOption) as KeyAlgorithm | undefined) ?? DEFAULT_KEY_ALGORITHM,
      ...(seconds === undefined ? {} : { expiresInSeconds: seconds }),
      ...(passphrase === undefined ? {} : { passphrase }),
    });
    await runtime.interruption.finish(
      writeAll([
        // The secret key first: a public key without its secret half would only mislead.
        { path: files.secret, text: key.secretKey, mode: SECRET_FILE_MODE },
        { path: files.revocation, text: key.revocationCertificate, mode: SECRET_FILE_MODE },
        { path: files.public, text: key.publicKey, mode: PUBLIC_FILE_MODE },
      ]),
    );
    runtime.terminal.line(`Key ${key.fingerprint} written to ${files.secret} and ${files.public}`);
    if (passphrase === undefined) runtime.terminal.warn(`${files.secret} is not protected by a passphrase`);
    runtime.terminal.note(`keep ${files.revocation} apart: it withdraws the key`);
    return exitCodes.done;
  },
};

interface NewFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

/** All of them or none. */
async function writeAll(files: readonly NewFile[]): Promise<void> {
  const written: string[] = [];
  try {
    for (const { path, text, mode } of files) {
      await writeFileAtomic(path, new TextEncoder().encode(text), { mode });
      written.push(path);
    }
  } catch (error) {
    await Promise.all(written.map((path) => rm(path, { force: true })));
    throw error;
  }
}

function refuseToOverwrite(file: string): void {
  if (!existsSync(file)) return;
  throw new StoreError("file-unwritable", `Refusing to overwrite existing ${JSON.stringify(file)}`, {
    side: "local",
    hint: "choose another --output-prefix, or move the file away",
  });
}

async function choosePassphrase(invocation: Invocation, runtime: Runtime): Promise<string | undefined> {
  const given = await readPassphrase(invocation, runtime.env);
  const isNone = invocation.get(noPassphraseOption);
  if (isNone) {
    if (given !== undefined) throw usage("--no-passphrase, and a passphrase was given", name);
    return undefined;
  }
  if (given !== undefined) return given;
  if (!process.stdin.isTTY)
    throw usage("the new key needs a passphrase", name, "use --passphrase-file FILE, or --no-passphrase");
  const first = await runtime.askSecret("New passphrase");
  if ((await runtime.askSecret("The same again")) !== first) throw usage("the two passphrases differ", name);
  return first;
}

/** Seconds in the units that gpg knows as well; a month is 30 days and a year 365. */
const units: Readonly<Record<string, number>> = { d: 86_400, w: 604_800, m: 2_592_000, y: 31_536_000 };

function readExpiry(text: string): number | undefined {
  if (text === "never") return undefined;
  const [, count, unit] = /^([1-9][0-9]{0,4})([dwmy])$/.exec(text) ?? [];
  if (count === undefined)
    throw usage(`--expires ${JSON.stringify(text)} is not a time`, name, "write 90d, 26w, 6m, 2y or never");
  return Number(count) * units[unit!]!;
}
