import { existsSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import {
  type Keyring,
  type SignedDocumentVerdict,
  StoreError,
  UsageError,
  equalBytes,
  makeKeyring,
  verifySignedDocument,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { ChecksumEntry, FileCheck } from "@signet/openshift";
import type { Command, FlagOption, Invocation, ListOption, TextOption } from "../command-line/command.ts";
import { outputFormatOption } from "../command-line/common-options.ts";
import { type ExitCode, exitCodeOfMany, exitCodes } from "../command-line/exit-code.ts";
import { openPgpOptions, readSwitches } from "../command-line/openpgp-options.ts";
import { usage } from "../command-line/parse.ts";
import { readPublicKeys } from "../keys/key-source.ts";
import type { Runtime } from "../runtime.ts";
import { readInput } from "../terminal/input.ts";
import { plural } from "../terminal/plural.ts";
import type { Terminal } from "../terminal/terminal.ts";

const name = "checksums verify";

/** Bytes of a signed list; genuine ones have some ten thousand. */
const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;

const keyOption: ListOption = {
  kind: "list",
  name: "key",
  value: "FILE|FINGERPRINT",
  summary: "Public keys of which any may sign (default: Red Hat's, which are built in; see signet release trust)",
  completion: "file",
};
const fingerprintOption: ListOption = {
  kind: "list",
  name: "fingerprint",
  value: "FPR",
  summary: "Only a key with this fingerprint, primary or signing, may have signed; as often as wanted",
  completion: "nothing",
};
const sumsOption: TextOption = {
  kind: "text",
  name: "sums",
  value: "FILE",
  summary: "The plain list (default: the signed file's name without .gpg, .sig or .asc, where it is there)",
  completion: "file",
};
const checkOption: TextOption = {
  kind: "text",
  name: "check",
  value: "DIR",
  summary: "Check the listed files in this folder",
  completion: "directory",
};
const ignoreMissingOption: FlagOption = {
  kind: "flag",
  name: "ignore-missing",
  summary: "Listed files that are not there do not count; at least one must be",
};
const strictOption: FlagOption = {
  kind: "flag",
  name: "strict",
  summary: "Files in the folder that are not listed count as failures",
};
const outputOption: TextOption = {
  kind: "text",
  name: "write-sums",
  value: "FILE",
  summary: "Write the signed text here, when its signature is good",
  completion: "file",
};
const forceOption: FlagOption = {
  kind: "flag",
  name: "force",
  summary: "With --write-sums: replace a file that holds another text",
};

export const command: Command = {
  name,
  summary: "Verify a signed list of checksums, then the files themselves",
  description: [
    "Verifies the signature of a sha256sum.txt in any form that it is published in, tells which form it is, and trusts only the text that was signed: inside an opaque message (sha256sum.txt.gpg, and the old sha256sum.txt.sig), the readable part of a clear-signed file, or the plain file that a detached signature (.asc) is about. A plain list beside a signed one must hold the same text. Of several signatures that stand apart from the text, one by a key of the keyring is enough.",
    "With --check the files in a folder are hashed, and a list in a folder below, such as amd64/sha256sum.txt, vouches for its files too. Exit status 1 means that a signature or a checksum is wrong, or a listed file is missing.",
  ],
  arguments: [
    { name: "SIGNED", summary: "The signed list, or its detached signature", completion: "file" },
    {
      name: "FILE",
      summary: "Names in the list; with them only these files are checked",
      optional: true,
      repeats: true,
    },
  ],
  options: [
    keyOption,
    fingerprintOption,
    sumsOption,
    checkOption,
    ignoreMissingOption,
    strictOption,
    outputOption,
    forceOption,
    outputFormatOption,
    ...openPgpOptions,
  ],
  examples: [
    { line: "signet checksums verify sha256sum.txt.gpg --check .", purpose: "What was downloaded from Red Hat" },
    {
      line: "signet checksums verify sha256sum.txt.asc --key ci.pub --check . openshift-client-linux.tar.gz",
      purpose: "One file of a list with a detached signature",
    },
  ],
  async run(invocation, runtime) {
    const { terminal } = runtime;
    const [signed, ...only] = invocation.arguments as [string, ...string[]];
    if (only.length > 0 && invocation.get(checkOption) === undefined) throw usage("FILE needs --check DIR", name);
    const document = await readInput(signed, MAX_DOCUMENT_BYTES, "signed list");
    const plainPath = invocation.get(sumsOption) ?? plainFileBeside(signed);
    const plain =
      plainPath === undefined ? undefined : await readInput(plainPath, MAX_DOCUMENT_BYTES, "list of checksums");
    const keyring = await readKeyring(invocation);
    const options = { engine: nodeEngine, now: runtime.now(), switches: readSwitches(invocation) };
    const verdict = verifySignedDocument(document, plain, keyring, options);
    const problem = findProblem(verdict, plain, plainPath, invocation);
    const note = await noteOnSigner(verdict);
    const report: Report = {
      verdict,
      ...(problem === undefined ? {} : { problem }),
      ...(note === undefined ? {} : { note }),
    };
    if (problem !== undefined || verdict.outcome.verdict === "rejected") {
      print(report, exitCodes.rejected, invocation, terminal);
      return exitCodes.rejected;
    }
    const { parseChecksumList } = await import("@signet/openshift");
    const { content } = verdict.outcome;
    const list = parseChecksumList(content, `the signed list of ${signed}`);
    for (const warning of list.warnings) terminal.warn(warning);
    const entries = chooseEntries(list.entries, only);
    await writeSums(content, invocation);
    const folder = invocation.get(checkOption);
    if (folder === undefined) {
      print({ ...report, listed: list.entries.length }, exitCodes.done, invocation, terminal);
      return exitCodes.done;
    }
    const files = await check(folder, entries, signed, invocation, runtime);
    const status = exitCodeOf(files, invocation);
    print({ ...report, listed: list.entries.length, ...files }, status, invocation, terminal);
    if (status === exitCodes.failed && files.files.every(({ outcome }) => outcome === "missing"))
      terminal.note("error: no file was verified");
    return status;
  },
};

interface CheckedFiles {
  readonly files: readonly FileCheck[];
  readonly unlisted: readonly string[];
}

interface Report extends Partial<CheckedFiles> {
  readonly verdict: SignedDocumentVerdict;
  /** What the signer's key says of the list. */
  readonly note?: string;
  /** What is wrong although the signature verifies. */
  readonly problem?: { readonly code: string; readonly message: string };
  readonly listed?: number;
}

async function noteOnSigner({ outcome }: SignedDocumentVerdict): Promise<string | undefined> {
  if (outcome.verdict === "rejected") return undefined;
  const { describeRedHatKey } = await import("@signet/openshift");
  return describeRedHatKey(outcome.certificate.fingerprint);
}

/** `sha256sum.txt` beside `sha256sum.txt.gpg`. */
function plainFileBeside(signed: string): string | undefined {
  const match = /^(.+)\.(?:gpg|sig|asc|pgp)$/.exec(signed);
  return match !== null && existsSync(match[1]!) ? match[1] : undefined;
}

async function readKeyring(invocation: Invocation): Promise<Keyring> {
  const keys = invocation.get(keyOption);
  if (keys.length === 0) {
    const { redHatReleaseTrust } = await import("@signet/openshift");
    return redHatReleaseTrust(nodeEngine).keyrings[0]!.keyring;
  }
  const { PolicyError, parseKeyring } = await import("@signet/core");
  const certificates = (await Promise.all(keys.map(readPublicKeys))).flatMap((bytes, index) => {
    const read = parseKeyring(bytes, nodeEngine);
    if (read.certificates.length === 0)
      throw new PolicyError("no-trust-anchors", `${keys[index]} holds no OpenPGP public key that can be read`);
    return read.certificates;
  });
  return makeKeyring(certificates);
}

function findProblem(
  { form, outcome }: SignedDocumentVerdict,
  plain: Uint8Array | undefined,
  plainPath: string | undefined,
  invocation: Invocation,
): Report["problem"] {
  if (outcome.verdict === "rejected") return undefined;
  const wanted = invocation.get(fingerprintOption).map((text) => text.replaceAll(/[\s:]/g, "").toUpperCase());
  const signers = [outcome.certificate.fingerprint, outcome.signingFingerprint];
  if (wanted.length > 0 && !wanted.some((fingerprint) => signers.includes(fingerprint))) {
    const message = `the list is signed by ${outcome.certificate.fingerprint}, which is not the key that was asked for`;
    return { code: "key-accepted", message };
  }
  if (form === "detached" || plain === undefined || isSameText(outcome.content, plain, form)) return undefined;
  return {
    code: "plain-list-differs",
    message: `the signed text and ${plainPath} differ: only what is inside the signed file is signed`,
  };
}

/** Of a clear-signed text blanks at the ends of lines are not signed, and so not compared. */
function isSameText(signed: Uint8Array, plain: Uint8Array, form: SignedDocumentVerdict["form"]): boolean {
  if (form !== "cleartext") return equalBytes(signed, plain);
  const normal = (bytes: Uint8Array): string =>
    new TextDecoder("latin1")
      .decode(bytes)
      .split("\n")
      .map((line) => line.replace(/[ \t\r]{1,1000}$/, ""))
      .join("\n")
      .replace(/\n$/, "");
  return normal(signed) === normal(plain);
}

/** The entries for the names that were given; for one that a list in a folder below may have, that list. */
function chooseEntries(entries: readonly ChecksumEntry[], only: readonly string[]): readonly ChecksumEntry[] {
  if (only.length === 0) return entries;
  const find = (searched: string): ChecksumEntry | undefined => entries.find((entry) => entry.name === searched);
  const chosen = only.map((wanted) => {
    const file = plainName(wanted);
    const slash = file.indexOf("/");
    const entry = find(file) ?? (slash < 0 ? undefined : find(`${file.slice(0, slash)}/sha256sum.txt`));
    if (entry === undefined) throw notListed(wanted);
    return entry;
  });
  return [...new Set(chosen)];
}

function plainName(file: string): string {
  return file.replace(/^\.\//, "");
}

function notListed(file: string): UsageError {
  return new UsageError("command-line-malformed", `${file} is not in the signed list`, {
    hint: "names are written as in the list, relative to the folder of --check",
  });
}

async function writeSums(content: Uint8Array, invocation: Invocation): Promise<void> {
  const path = invocation.get(outputOption);
  if (path === undefined) {
    if (invocation.get(forceOption)) throw usage("--force goes with --write-sums", name);
    return;
  }
  const { readFileBounded, writeFileAtomic } = await import("@signet/images");
  if (existsSync(path) && !invocation.get(forceOption)) {
    const there = await readFileBounded(path, MAX_DOCUMENT_BYTES, "list of checksums");
    if (equalBytes(there, content)) return;
    throw new StoreError("file-unwritable", `${path} is there, and holds another text than the signed one`, {
      side: "local",
      hint: "compare the two; --force replaces it",
    });
  }
  await writeFileAtomic(path, content);
}

async function check(
  folder: string,
  entries: readonly ChecksumEntry[],
  signed: string,
  invocation: Invocation,
  { progress }: Runtime,
): Promise<CheckedFiles> {
  const { checkFiles } = await import("@signet/openshift");
  // Without the folder, all its files would be missing: a mistake, and no verdict about them.
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new StoreError("file-missing", `--check ${folder}: there is no such folder`, { side: "local" });
  let bytes = 0;
  const isBeside = resolve(dirname(signed)) === resolve(folder);
  const plain = basename(signed).replace(/\.(?:gpg|sig|asc|pgp)$/, "");
  const checked = await checkFiles(folder, entries, {
    engine: nodeEngine,
    known: isBeside ? [basename(signed), plain] : [],
    onBytes: (file, count) => {
      bytes += count;
      progress.count(
        entries.findIndex((entry) => entry.name === file) + 1,
        entries.length,
        `${file}, ${Math.round(bytes / 2 ** 20)} MiB hashed`,
      );
    },
  });
  const only = invocation.arguments.slice(1).map(plainName);
  if (only.length === 0) return checked;
  const missed = only.find((wanted) => !checked.files.some(({ name: found }) => found === wanted));
  // A list below that is wrong vouches for nothing, and is what there is to say.
  if (missed !== undefined && checked.files.every(({ outcome }) => outcome === "ok")) throw notListed(missed);
  const isAsked = (file: FileCheck): boolean => only.includes(file.name) || basename(file.name) === "sha256sum.txt";
  // Of single files nobody asked what else is there.
  return { files: checked.files.filter(isAsked), unlisted: [] };
}

/** When nothing was verified, it could not be told. */
function exitCodeOf({ files, unlisted }: CheckedFiles, invocation: Invocation): ExitCode {
  const count = (outcome: FileCheck["outcome"]): number => files.filter((file) => file.outcome === outcome).length;
  const isIncomplete = count("missing") > 0 && !invocation.get(ignoreMissingOption);
  const isCrowded = invocation.get(strictOption) && unlisted.length > 0;
  const isRejected = count("failed") > 0 || isIncomplete || isCrowded;
  return exitCodeOfMany({ isRejected, isUndetermined: count("unreadable") > 0 || count("ok") === 0 });
}

const formWords: Readonly<Record<string, string>> = {
  opaque: "an opaque message that holds the list (it is no detached signature, whatever its name)",
  cleartext: "a clear-signed list",
  detached: "a detached signature of the plain list",
};

function print(report: Report, status: ExitCode, invocation: Invocation, terminal: Terminal): void {
  if (invocation.get(outputFormatOption) === "json") return terminal.json(toJson(report, status));
  const { form, isArmored, outcome } = report.verdict;
  const isGood = outcome.verdict === "accepted" && report.problem === undefined;
  terminal.line({ colour: isGood ? "green" : "red", text: isGood ? "signature good" : "rejected" });
  if (form !== undefined) terminal.line(`  form     ${formWords[form]}${isArmored === true ? ", armored" : ""}`);
  if (outcome.verdict === "accepted") {
    const { certificate, signingFingerprint, signedAt } = outcome;
    const subkey = signingFingerprint === certificate.fingerprint ? "" : ` (subkey ${signingFingerprint})`;
    terminal.line(`  key      ${certificate.fingerprint}${subkey}`);
    for (const userId of certificate.userIds) terminal.line(`  user id  ${userId}`);
    if (report.note !== undefined) terminal.line(`  note     ${report.note}`);
    terminal.line(`  made     ${new Date(signedAt).toISOString().replace(".000Z", "Z")}`);
  } else {
    for (const { message, hint } of outcome.reasons) {
      terminal.line(`  reason   ${message}`);
      if (hint !== undefined) terminal.line(`    hint: ${hint}`);
    }
    if (outcome.reasons.some(({ code }) => code === "message-not-openpgp"))
      terminal.line(
        "    hint: name what is signed: sha256sum.txt.gpg, .sig or .asc; the plain list vouches for nothing",
      );
  }
  if (report.problem !== undefined) terminal.line(`  reason   ${report.problem.message}`);
  if (report.listed !== undefined) terminal.line(`  lists    ${plural(report.listed, "file")}`);
  printFiles(report, invocation, terminal);
}

const outcomeWords: Readonly<Record<FileCheck["outcome"], string>> = {
  ok: "OK",
  failed: "FAILED",
  missing: "FAILED open or read",
  unreadable: "FAILED open or read",
};

/** In the words of sha256sum, which scripts look for. */
function printFiles({ files, unlisted }: Report, invocation: Invocation, terminal: Terminal): void {
  const ignoresMissing = invocation.get(ignoreMissingOption);
  for (const file of files ?? []) {
    if (file.outcome === "missing" && ignoresMissing) continue;
    terminal.line(`${file.name}: ${outcomeWords[file.outcome]}`);
    if (file.error !== undefined) terminal.warn(file.error.message);
  }
  for (const file of unlisted ?? []) terminal.warn(`${file} is not in the signed list`);
  if (files === undefined) return;
  const counts = (["ok", "failed", "missing", "unreadable"] as const)
    .map((outcome) => [outcome, files.filter((file) => file.outcome === outcome).length] as const)
    .filter(([outcome, count]) => count > 0 || outcome === "ok");
  terminal.line(
    `${plural(files.length, "file")}: ${counts.map(([outcome, count]) => `${count} ${outcome}`).join(", ")}`,
  );
  const count = (...outcomes: readonly FileCheck["outcome"][]): number =>
    files.filter(({ outcome }) => outcomes.includes(outcome)).length;
  const unread = ignoresMissing ? count("unreadable") : count("unreadable", "missing");
  const failed = count("failed");
  if (unread > 0) terminal.note(`sha256sum: WARNING: ${plural(unread, "listed file")} could not be read`);
  if (failed > 0) terminal.note(`sha256sum: WARNING: ${plural(failed, "computed checksum")} did NOT match`);
}

const verdicts: Readonly<Record<number, string>> = { 0: "accepted", 1: "rejected", 2: "undetermined" };

function toJson({ verdict, problem, listed, files, unlisted }: Report, status: ExitCode): object {
  const { form, isArmored, outcome } = verdict;
  const isGood = outcome.verdict === "accepted" && problem === undefined;
  return {
    verdict: verdicts[status],
    signature: isGood ? "accepted" : "rejected",
    form: form ?? null,
    armored: isArmored ?? null,
    signer:
      outcome.verdict === "rejected"
        ? null
        : {
            fingerprint: outcome.certificate.fingerprint,
            signingFingerprint: outcome.signingFingerprint,
            userIds: outcome.certificate.userIds,
            signedAt: new Date(outcome.signedAt).toISOString(),
          },
    reasons: [...(outcome.verdict === "rejected" ? outcome.reasons : []), ...(problem === undefined ? [] : [problem])],
    checks: outcome.checks,
    listed: listed ?? null,
    files:
      files?.map((file) => ({
        name: file.name,
        outcome: file.outcome,
        expected: file.expected,
        found: file.found ?? null,
      })) ?? null,
    unlisted: unlisted ?? null,
  };
}
