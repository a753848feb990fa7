/** Running skopeo and podman, which know the storage drivers: argument arrays and no shell, output and time bounded. */
import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { StoreError } from "@signet/core";
import type { HostEnvironment } from "../config/host-environment.ts";
import { cleanText } from "../registry/clean-text.ts";

/** Milliseconds: a large image on a slow disk takes minutes. */
const TOOL_TIMEOUT_MS: number = 60 * 60 * 1000;

/** Bytes kept of what a tool says. */
const MAX_OUTPUT_BYTES: number = 64 * 1024;

/** Characters of its words in an error message. */
const MAX_MESSAGE_LENGTH = 500;

/** A tool that can be run. */
export interface Tool {
  readonly name: "skopeo" | "podman";
  readonly path: string;
}

/**
 * The first of the tools that is on the PATH.
 * @throws StoreError `tool-missing`
 */
export function findTool(names: readonly Tool["name"][], host: HostEnvironment, purpose: string): Tool {
  for (const name of names) {
    for (const folder of (host.env["PATH"] ?? "").split(delimiter)) {
      // A relative folder of the PATH would let the working directory choose what is run.
      if (!isAbsolute(folder)) continue;
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        if (statSync(path).isFile()) return { name, path };
      } catch {
        // Not here; the next folder may have it.
      }
    }
  }
  throw new StoreError("tool-missing", `${names.join(" or ")} is needed ${purpose}, and is not installed`, {
    side: "local",
    hint: "install skopeo (apt-get install skopeo, dnf install skopeo)",
  });
}

/**
 * Runs a tool to its end. The process is killed when `signal` aborts, or when it takes longer than an hour.
 * @throws StoreError `tool-failed`, with what the tool said last
 */
export async function runTool(
  tool: Tool,
  args: readonly string[],
  host: HostEnvironment,
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.timeout(TOOL_TIMEOUT_MS);
  const env = Object.fromEntries(Object.entries(host.env).filter(([, value]) => value !== undefined));
  let said = Buffer.alloc(0);
  let status: number | null;
  try {
    status = await new Promise<number | null>((resolve, reject) => {
      const child = spawn(tool.path, args, {
        env: { ...env, LC_ALL: "C.UTF-8" },
        stdio: ["ignore", "ignore", "pipe"],
        killSignal: "SIGKILL",
        signal: AbortSignal.any([signal, limit]),
      });
      child.stderr.on("data", (chunk: Buffer) => {
        // The last words are the ones that matter.
        said = Buffer.concat([said, chunk]).subarray(-MAX_OUTPUT_BYTES);
      });
      let failure: Error | undefined;
      child.on("error", (error) => {
        failure = error;
        if (child.pid === undefined) reject(error);
      });
      // Until then the process may still write.
      child.on("close", (code) => (failure === undefined ? resolve(code) : reject(failure)));
    });
  } catch (cause) {
    const reason = limit.aborted ? "did not finish within an hour" : `cannot be run: ${(cause as Error).message}`;
    throw failed(`${tool.name} ${reason}`, cause);
  }
  if (status === 0) return;
  const ending = status === null ? "was killed" : `ended with status ${status}`;
  throw failed(`${tool.name} ${ending}: ${lastWords(said)}`);
}

/** The last line, without the frame that these tools put around a message. */
function lastWords(said: Buffer): string {
  const line = said.toString("utf8").trim().split("\n").at(-1) ?? "";
  const message = /\bmsg="(.*)"$/.exec(line)?.[1]?.replaceAll('\\"', '"') ?? line;
  return cleanText(message, MAX_MESSAGE_LENGTH) || "it said nothing";
}

function failed(problem: string, cause?: unknown): StoreError {
  return new StoreError("tool-failed", problem, { side: "local", ...(cause === undefined ? {} : { cause }) });
}
