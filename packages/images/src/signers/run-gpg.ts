/** Running gpg: argument arrays and no shell, the passphrase through a descriptor, every stream and the time bounded. */
import { spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { StoreError } from "@signet/core";
import { cleanText } from "../registry/clean-text.ts";

/** How gpg is run. */
export interface GpgOptions {
  /** gpg's home folder. Default: what gpg takes by itself, `GNUPGHOME` or `~/.gnupg`. */
  readonly homedir?: string;
  /** The executable: a path, or a name on the PATH. Default `gpg`. */
  readonly gpgPath?: string;
  /** Milliseconds until gpg is killed. Default {@link GPG_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
}

/** Milliseconds: long enough for a person who is asked for a passphrase or has to find a card. */
export const GPG_TIMEOUT_MS: number = 120_000;

/** Bytes: status lines of one run. Signing writes a few hundred. */
const MAX_STATUS_BYTES = 64 * 1024;

/** Bytes kept of what gpg says to people. */
const MAX_MESSAGE_BYTES = 64 * 1024;

/** One `[GNUPG:]` line. */
export interface GpgStatus {
  readonly keyword: string;
  readonly values: readonly string[];
}

/** What a run of gpg left behind. */
export interface GpgResult {
  readonly exitCode: number;
  readonly output: Uint8Array;
  readonly status: readonly GpgStatus[];
  /** What gpg said, one line, without control characters; for error messages. Untrusted text. */
  readonly message: string;
}

export interface GpgRun {
  readonly args: readonly string[];
  /** Bytes: more output than this is an error. */
  readonly maxOutputBytes: number;
  /** Written to gpg's standard input. Default: it is empty. */
  readonly input?: Uint8Array;
  /** Handed to gpg through a descriptor, never as an argument. Default: gpg asks its agent, which may ask a person. */
  readonly passphrase?: string;
}

/** In gpg's child process. 0, 1 and 2 are as everywhere. */
const STATUS_FD = 3;
const PASSPHRASE_FD = 4;

/**
 * Runs gpg once. A failure of gpg itself is in the result, for the caller knows what it means.
 * @throws StoreError `gpg-missing`; `gpg-failed` when it takes too long, writes too much or writes no status lines where these belong
 */
export async function runGpg(run: GpgRun, options: GpgOptions): Promise<GpgResult> {
  const { gpgPath = "gpg", homedir, timeoutMs = GPG_TIMEOUT_MS } = options;
  const args = [
    ...["--batch", "--no-tty", "--display-charset", "utf-8", "--status-fd", String(STATUS_FD)],
    ...(homedir === undefined ? [] : ["--homedir", homedir]),
    ...(run.passphrase === undefined ? [] : ["--pinentry-mode", "loopback", "--passphrase-fd", String(PASSPHRASE_FD)]),
    ...run.args,
  ];
  const child = spawn(gpgPath, args, {
    // gpg's words end up in error messages; the rest of the locale stays, since the dialogue for the passphrase uses it.
    env: { ...process.env, LC_MESSAGES: "C", LANGUAGE: "C" },
    stdio: ["pipe", "pipe", "pipe", "pipe", "pipe"],
  });
  let problem: string | undefined;
  const stop = (reason: string): void => {
    problem ??= reason;
    child.kill("SIGKILL");
    // A program that gpg started may still hold the other ends.
    for (const stream of child.stdio) stream?.destroy();
  };
  const timer = setTimeout(() => stop(`gpg did not finish within ${timeoutMs / 1000} seconds`), timeoutMs);
  const output = collect(child.stdout, run.maxOutputBytes, () =>
    stop(`gpg wrote more than ${run.maxOutputBytes} bytes`),
  );
  const messages = collect(child.stderr, MAX_MESSAGE_BYTES, () => {});
  const status = collect(child.stdio[STATUS_FD] as Readable, MAX_STATUS_BYTES, () =>
    stop(`gpg wrote more than ${MAX_STATUS_BYTES} bytes of status lines`),
  );
  write(child.stdin, run.input);
  const { passphrase } = run;
  write(child.stdio[PASSPHRASE_FD] as Writable, passphrase === undefined ? undefined : Buffer.from(`${passphrase}\n`));
  let exitCode: number | null;
  try {
    exitCode = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
  } catch (cause) {
    throw notStarted(gpgPath, cause as NodeJS.ErrnoException);
  } finally {
    clearTimeout(timer);
  }
  if (problem !== undefined || exitCode === null) throw failed(problem ?? "gpg was killed");
  return { exitCode, output: output(), status: parseStatus(status()), message: cleanMessage(messages()) };
}

function notStarted(gpgPath: string, cause: NodeJS.ErrnoException): StoreError {
  const isMissing = cause.code === "ENOENT" || cause.code === "EACCES";
  return new StoreError(isMissing ? "gpg-missing" : "gpg-failed", `gpg cannot be started: ${gpgPath} (${cause.code})`, {
    cause,
    side: "local",
    ...(isMissing ? { hint: "install it (apt-get install gnupg), or use a key file" } : {}),
  });
}

function failed(problem: string): StoreError {
  return new StoreError("gpg-failed", problem, { side: "local" });
}

/** Keeps at most `max` bytes of a stream and calls `onExcess` when there are more. */
function collect(stream: Readable, max: number, onExcess: () => void): () => Buffer {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= max) chunks.push(chunk);
    else onExcess();
  });
  stream.on("error", () => {}); // The process has gone; its exit is what counts.
  return () => Buffer.concat(chunks);
}

function write(stream: Writable, bytes: Uint8Array | undefined): void {
  stream.on("error", () => {}); // gpg may end without reading.
  stream.end(bytes);
}

const statusForm = /^\[GNUPG:\] ([A-Z][A-Z0-9_]*)((?: .*)?)$/;

/** Every line of the status descriptor must be a status line: nothing else has a right to be there. */
function parseStatus(bytes: Buffer): readonly GpgStatus[] {
  const text = bytes.toString("utf8");
  if (text === "") return [];
  if (!text.endsWith("\n")) throw failed("gpg's status lines end too early");
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => {
      const [, keyword, rest] = statusForm.exec(line) ?? [];
      if (keyword === undefined) {
        throw failed(`gpg wrote ${JSON.stringify(line.slice(0, 100))} instead of a status line`);
      }
      return { keyword, values: rest === "" ? [] : rest!.slice(1).split(" ") };
    });
}

/** Characters of gpg's own words in an error message. */
const MAX_MESSAGE_LENGTH = 500;

/** The last lines without their `gpg: `; a passphrase is never among them. */
function cleanMessage(bytes: Buffer): string {
  const lines = bytes
    .toString("utf8")
    .split("\n")
    .map((line) => line.replace(/^gpg: /, "").trim())
    .filter((line) => line !== "");
  return cleanText(lines.slice(-3).join("; "), MAX_MESSAGE_LENGTH);
}
