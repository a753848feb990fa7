/** For tests: runs `signet` as a process of its own, as people and scripts do. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";

/** The launcher. */
export const signetScript: string = join(import.meta.dirname, "../bin/signet.js");

export interface SignetRunOptions {
  /** Added to what {@link signetEnvironment} gives. */
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

/** Exit status of a process that the guard ended: it went for a path of this machine. */
const GUARD_STATUS = 99;

/** The guard itself; imports point down, so testkit is only named. */
const guard = new URL("../../testkit/src/machine-guard.ts", import.meta.url).href;

let emptyHome: string | undefined;

/** A home with nothing in it, for all runs of a test process that need none of their own. */
function homeOfNobody(): string {
  if (emptyHome === undefined) {
    const made = mkdtempSync(join(tmpdir(), "signet-home-"));
    process.once("exit", () => rmSync(made, { recursive: true, force: true }));
    emptyHome = made;
  }
  return emptyHome;
}

/**
 * Environment variables of a run that sees nothing of the machine's own configuration: home, policy, registries.d, registries.conf, credentials and keys are looked
 * for in a temporary folder, and a process that falls back on those of the system is ended with status 99 and a line that says `test guard`.
 * @param more HOME among them moves the user's other folders along
 */
export function signetEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { PATH = "", TMPDIR } = process.env;
  const home = more["HOME"] ?? homeOfNobody();
  return {
    PATH,
    LANG: "C.UTF-8",
    HOME: home,
    XDG_CONFIG_HOME: join(home, ".config"),
    XDG_DATA_HOME: join(home, ".local/share"),
    XDG_STATE_HOME: join(home, ".local/state"),
    XDG_RUNTIME_DIR: join(home, ".run"),
    XDG_CACHE_HOME: cacheFolder,
    GNUPGHOME: join(home, ".gnupg"),
    ...(TMPDIR === undefined ? {} : { TMPDIR }),
    ...more,
    NODE_OPTIONS: `--import ${guard} ${more["NODE_OPTIONS"] ?? ""}`.trim(),
  };
}

/**
 * Runs a command to its end.
 * @throws Error when the guard ended it
 */
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
      if (code === GUARD_STATUS) {
        reject(new Error(`signet ${args.join(" ")}: ${Buffer.concat(stderr).toString("utf8")}`));
        return;
      }
      resolve({
        status: code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
        stdout: Buffer.concat(stdout).toString("utf8"),
        stderr: Buffer.concat(stderr).toString("utf8"),
      });
    });
  });
}
