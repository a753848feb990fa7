/** A server of somebody else's, started for tests and gone with them. */
import { type ChildProcess, spawn } from "node:child_process";
import { findTool } from "./tools.ts";

/** Under whom it runs. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface ServerProcessOptions {
  readonly cwd: string;
  /** All of its environment besides PATH: nothing of the caller's leads it elsewhere. */
  readonly env?: Readonly<Record<string, string>>;
  /** Only root can choose one. Default: the caller's. */
  readonly account?: Account | undefined;
  /** What ends it at once, with its own children. */
  readonly signal: "SIGKILL" | "SIGQUIT" | "SIGTERM";
}

export interface ServerProcess {
  /** The end of what it has printed, both streams. */
  log(): string;
  /**
   * Resolves when it has printed `text`.
   * @throws Error with its log when it ends before, or `timeoutMs` have passed
   */
  printed(text: string, timeoutMs: number): Promise<void>;
  /** For benchmarks that look at its memory. */
  readonly pid: number;
  /** True until it has ended, by itself or otherwise. */
  readonly isRunning: boolean;
  /** Ends it and waits for that. */
  stop(): Promise<void>;
}

/** Characters of its log that are kept. */
const MAX_LOG = 20_000;

/** Starts it. Where `setpriv` (util-linux) is there, the kernel ends it when this process is gone, in whatever way. */
export function startServerProcess(
  command: string,
  args: readonly string[],
  { cwd, env, account, signal }: ServerProcessOptions,
): ServerProcess {
  const setpriv = process.platform === "linux" ? findTool("setpriv") : undefined;
  const bound =
    setpriv === undefined ? undefined : ["--pdeathsig", signal.slice("SIG".length), ...asUser(account), command];
  const child: ChildProcess = spawn(setpriv ?? command, [...(bound ?? []), ...args], {
    ...(bound === undefined && account),
    cwd,
    env: { PATH: process.env["PATH"] ?? "", LANG: "C.UTF-8", TZ: "UTC", HOME: cwd, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  let isRunning = true;
  let listener = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      isRunning = false;
      listener();
      resolve();
    };
    child.once("close", end);
    child.once("error", (error) => {
      log += error.message;
      end();
    });
  });
  const read = (text: string): void => {
    log = (log + text).slice(-MAX_LOG);
    listener();
  };
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", read);
  return {
    log: () => log,
    printed: (text, timeoutMs) =>
      new Promise((resolve, reject) => {
        const settle = (error?: Error): void => {
          clearTimeout(timer);
          listener = () => undefined;
          if (error === undefined) resolve();
          else reject(error);
        };
        const timer = setTimeout(() => settle(new Error(`${command} is not ready: ${log}`)), timeoutMs);
        listener = () => {
          if (log.includes(text)) settle();
          else if (!isRunning) settle(new Error(`${command} ended: ${log}`));
        };
        listener();
      }),
    // `setpriv` becomes the server: it is the same process.
    pid: child.pid ?? -1,
    get isRunning() {
      return isRunning;
    },
    async stop() {
      child.kill(signal);
      await ended;
    },
  };
}

function asUser(account: Account | undefined): readonly string[] {
  return account === undefined
    ? []
    : ["--reuid", String(account.uid), "--regid", String(account.gid), "--clear-groups"];
}
