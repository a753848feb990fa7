/** Runs registries as processes of their own, for tests that kill or measure them. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { StorageUnderTest } from "../storage-pairs.testing.ts";
import type { RegistryProcessOptions } from "./registry-process.testing.ts";

/** A registry in a process of its own. */
export interface RunningRegistry {
  readonly url: string;
  readonly process: ChildProcess;
  /** Bytes of its heap that are in use, after a collection. */
  readonly liveBytes: () => Promise<number>;
  /** What it printed to standard error. */
  readonly errors: () => string;
}

/** Starts a registry on this storage; see `registry-process.testing.ts`. */
export async function runRegistry(storage: StorageUnderTest, graceMs: number): Promise<RunningRegistry> {
  const program = fileURLToPath(new URL("registry-process.testing.ts", import.meta.url));
  const options: RegistryProcessOptions = { database: storage.database, blobs: storage.blobs, graceMs };
  const argument = JSON.stringify(options);
  const child = spawn(process.execPath, ["--conditions=@signet/source", "--expose-gc", program, argument], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const lines = createInterface(child.stdout);
  const ended = once(child, "exit").then(() => assert.fail(`the registry ended: ${errors}`));
  ended.catch(() => undefined);
  const nextLine = async (): Promise<string> => {
    const [line] = (await Promise.race([once(lines, "line"), ended])) as [string];
    return line;
  };
  const port = await nextLine();
  let answered: Promise<unknown> = Promise.resolve();
  const liveBytes = (): Promise<number> => {
    const answer = answered.then(async () => {
      const line = nextLine();
      child.kill("SIGUSR2");
      return Number(await line);
    });
    answered = answer.catch(() => undefined);
    return answer;
  };
  return { url: `http://127.0.0.1:${port}`, process: child, liveBytes, errors: () => errors };
}

/** Ends it at once, as a power cut would. */
export async function killRegistry({ process: child }: RunningRegistry): Promise<void> {
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}
