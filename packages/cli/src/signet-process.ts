/** For tests: runs `signet` as a process of its own, as people and scripts do. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";

/** The launcher. */
export const signetScript: string = join(import.meta.dirname, "../bin/signet.js");

export interface SignetRunOptions {
  /** Added to PATH, LANG and a home that does not exist. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
}

export interface SignetRun {
  /** 128 plus the signal's number for a process that a signal ended. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Milliseconds until a process that hangs is killed. */
const TIMEOUT_MS = 60_000;

/** Compiled code is kept between tests, or each process would compile everything anew. */
const cacheFolder = join(import.meta.dirname, "../../../.cache");

/** Environment variables of a run that sees nothing of the machine's own configuration. */
export function signetEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = "", TMPDIR } = process.env;
  return {
    PATH,
    LANG: "C.UTF-8",
    HOME: "/nonexistent",
    XDG_CACHE_HOME: cacheFolder,
    ...(TMPDIR === undefined ? {} : { TMPDIR }),
    ...more,
  };
}

/** Runs a command to its end. */
export async function runSignet(args: readonly string[], options: SignetRunOptions = {}): Promise<SignetRun> {
  const child = spawn(process.execPath, [signetScript, ...args], {
    env: signetEnvironment(options.env),
    cwd: options.cwd,
    stdio: ["pipe", "pipe", "pipe"],
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on("error", () => {}); // A command may end without reading its input.
  child.stdin.end(options.input);
  return await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      resolve({
        status: code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
        stdout: Buffer.concat(stdout).toString("utf8"),
        stderr: Buffer.concat(stderr).toString("utf8"),
      });
    });
  });
}
