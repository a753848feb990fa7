/** For tests: `signet serve` as a process of its own, on a free port of loopback. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { signetEnvironment, signetScript } from "../signet-process.ts";

/** Milliseconds until it must have said where it serves. */
const START_TIMEOUT_MS = 60_000;

export const adminPassword = "a password for tests";

export interface ServeProcess extends AsyncDisposable {
  /** With its scheme, without a final slash. */
  readonly url: string;
  readonly stdout: () => string;
  /** What it has logged so far; of what it does at this moment, perhaps not yet. */
  readonly log: () => string;
  /**
   * Resolves when the log has this.
   * @throws Error with the log when the server ends without
   */
  logged(text: RegExp): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** The exit status, once it has ended. */
  readonly ended: Promise<number | null>;
}

/** @param env what differs from an empty environment; the password of admin is {@link adminPassword} unless it is emptied */
export async function startServe(
  args: readonly string[],
  env: Readonly<Record<string, string>> = { SIGNET_ADMIN_PASSWORD: adminPassword },
): Promise<ServeProcess> {
  const child = spawn(process.execPath, [signetScript, "serve", "--listen", "127.0.0.1:0", ...args], {
    env: signetEnvironment(env),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, log] = ["", ""];
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (): void => reject(new Error(`signet serve is not ready: ${stdout}${log}`));
    const timer = setTimeout(fail, START_TIMEOUT_MS);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      const found = /^Signet serves (\S+)$/m.exec(stdout)?.[1];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    });
    void ended.then(fail);
  });
  return {
    url,
    stdout: () => stdout,
    log: () => log,
    logged: async (text) => {
      let hasEnded = false;
      void ended.then(() => (hasEnded = true));
      while (!text.test(log)) {
        if (hasEnded) throw new Error(`signet serve ended without logging ${String(text)}: ${log}`);
        await Promise.race([once(child.stderr, "data"), ended]);
      }
    },
    signal: (name) => child.kill(name),
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
