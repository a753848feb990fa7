/** Finding and running the real tools that tests compare Signet with. A missing tool is loud: the test is skipped with the reason, or fails with CI=true. */

import { spawn } from "node:child_process";
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { constants as osConstants } from "node:os";
import { delimiter, join } from "node:path";
import type { TestContext } from "node:test";
import { type BuiltToolName, builtToolFolder, builtTools, isBuiltTool } from "./built-tools.ts";

/** Executables that tests use and Debian packages bring. */
type PackagedTool =
  | "docker-registry"
  | "gpg"
  | "gpgconf"
  | "gpgv"
  | "openssl"
  | "patch"
  | "podman"
  | "postgres"
  | "skopeo";

/** Executables that tests use. */
export type ToolName = BuiltToolName | PackagedTool;

/** The Debian package that brings each. What has none is in `builtTools`. */
export const toolPackages: Readonly<Record<PackagedTool, string>> = {
  "docker-registry": "docker-registry",
  gpg: "gnupg",
  gpgconf: "gpgconf",
  gpgv: "gpgv",
  openssl: "openssl",
  patch: "patch",
  podman: "podman",
  postgres: "postgresql",
  skopeo: "skopeo",
};

/** Where a plain user's PATH does not look, but Debian puts some of the tools. */
const extraDirectories: readonly string[] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** Debian keeps PostgreSQL's server programs off the PATH, a folder a version. */
const postgresqlRoot = "/usr/lib/postgresql";

function postgresqlDirectories(): readonly string[] {
  try {
    const versions = readdirSync(postgresqlRoot).filter((name) => /^\d+$/.test(name));
    return versions
      .sort((one, other) => Number(other) - Number(one))
      .map((version) => join(postgresqlRoot, version, "bin"));
  } catch {
    return []; // Not installed, or not Debian.
  }
}

/**
 * The absolute path of an executable on the PATH (and the places off it where tools of the tests are kept), or undefined. What the tests build is taken in its pinned version
 * only: another one on the PATH may not know the options that tests give it.
 */
export function findTool(name: string): string | undefined {
  const onPath = (process.env["PATH"] ?? "").split(delimiter);
  const directories = isBuiltTool(name)
    ? [builtToolFolder(name)]
    : [...onPath, ...extraDirectories, ...postgresqlDirectories()];
  for (const directory of directories) {
    if (directory === "") continue;
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // Not here; the next directory may have it.
    }
  }
  return undefined;
}

/**
 * The path of a tool that the running test cannot do without. When it is missing the test is skipped with a message saying what to install,
 * and undefined is returned: `if (requireTool(t, "skopeo") === undefined) return;`.
 * @throws Error instead of skipping when CI=true, so that a gap in the machine cannot look like success
 */
export function requireTool(t: TestContext, name: ToolName): string | undefined {
  const path = findTool(name);
  if (path !== undefined) return path;
  const advice = isBuiltTool(name)
    ? `\`${builtTools[name].builtBy}\` builds it where it can`
    : `install it with: apt-get install ${toolPackages[name]}`;
  const message = `${name} is missing; ${advice}`;
  if (process.env["CI"] === "true") throw new Error(message);
  t.skip(message);
  return undefined;
}

export interface RunOptions {
  /** Added to a small fixed environment (PATH, TMPDIR, LANG, TZ, HOME=/nonexistent, and for Node the guard of machine-guard.ts); nothing else of the caller's is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input, which is then closed. Without it standard input is empty. */
  readonly input?: string | Uint8Array;
  /** Milliseconds until the process is killed. Default {@link DEFAULT_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
  readonly cwd?: string;
}

export interface RunResult {
  /** The exit status; 128 plus the signal's number for a process ended by a signal. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as it came, for tools that print bytes. */
  readonly stdoutBytes: Uint8Array;
}

/** Milliseconds: skopeo, podman and gpg need a second or two; a loaded two-core machine a few times that. */
export const DEFAULT_TIMEOUT_MS: number = 60_000;

/** Bytes kept of each output stream; a test that prints more is broken. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Runs a program without a shell and returns what it printed, whatever its exit status.
 * @throws Error when it cannot be started, prints more than 64 MiB, or outlives `timeoutMs`
 */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...baseEnvironment(), ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  return await new Promise<RunResult>((resolve, reject) => {
    let failure: Error | undefined;
    const stop = (error: Error): void => {
      failure ??= error;
      child.kill("SIGKILL");
    };
    const timer = setTimeout(() => {
      stop(new Error(`${describe(command, args)} did not end within ${timeoutMs} ms: ${text(stderr).slice(-2000)}`));
    }, timeoutMs);
    const collect = (chunks: Buffer[]): ((chunk: Buffer) => void) => {
      let size = 0;
      return (chunk) => {
        size += chunk.length;
        if (size > MAX_OUTPUT_BYTES) stop(new Error(`${describe(command, args)} printed more than 64 MiB`));
        else chunks.push(chunk);
      };
    };
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", collect(stdout));
    child.stderr.on("data", collect(stderr));
    child.stdin.on("error", () => {}); // A program may end without reading its input.
    child.stdin.end(options.input);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (failure !== undefined) return reject(failure);
      const stdoutBytes = Buffer.concat(stdout);
      const status = code ?? 128 + (signal === null ? 0 : osConstants.signals[signal]);
      resolve({ status, stdout: stdoutBytes.toString("utf8"), stderr: text(stderr), stdoutBytes });
    });
  });
}

/** Like {@link run}, but a non-zero exit status is an error that holds what the program printed. */
export async function runChecked(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const result = await run(command, args, options);
  if (result.status === 0) return result;
  throw new Error(`${describe(command, args)} ended with ${result.status}\n${result.stdout}${result.stderr}`);
}

/** `NODE_OPTIONS` that keep a Node process away from the machine's own trust and containers; see machine-guard.ts. */
const guardedNodeOptions: string = `--import ${new URL("machine-guard.ts", import.meta.url).href}`;

function baseEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {
    LANG: "C.UTF-8",
    TZ: "UTC",
    HOME: "/nonexistent",
    NODE_OPTIONS: guardedNodeOptions,
  };
  for (const name of ["PATH", "TMPDIR"]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

function text(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString("utf8");
}

function describe(command: string, args: readonly string[]): string {
  return [command, ...args].join(" ").slice(0, 500);
}
