/** A real S3 server for tests: versitygw on a temporary folder. */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { setTimeout as wait } from "node:timers/promises";
import { findFreePort } from "./free-port.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";
import { makeTempDir } from "./temp-dir.ts";
import type { TlsCertificates } from "./tls-certificates.ts";
import { findTool } from "./tools.ts";

/** Milliseconds until a server that does not answer is given up. */
const START_TIMEOUT_MS = 30_000;
/** Milliseconds between two questions whether it answers. */
const POLL_MS = 20;
/** Another process may take the port between our look and its start. */
const MAX_TRIES = 5;

export interface S3Server extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, or https. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Makes an empty bucket and returns its name. Buckets are addressed by path. */
  makeBucket(): string;
  /** Makes the server unreachable. */
  stop(): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Starts a server on a free port of the loopback interface.
 * @throws Error when versitygw is missing (ask `requireTool(t, "versitygw")` first) or does not start
 */
export async function startS3Server(options: { readonly tls?: TlsCertificates } = {}): Promise<S3Server> {
  const versitygw = findTool("versitygw");
  if (versitygw === undefined) throw new Error("versitygw is missing; `npm test` builds it");
  const dir = makeTempDir("signet-s3-");
  mkdirSync(dir.join("buckets"));
  const accessKeyId = "only-for-tests";
  const secretAccessKey = randomBytes(16).toString("hex");
  const region = "eu-test-1";
  const scheme = options.tls === undefined ? "http" : "https";
  let failure: unknown;
  for (let attempt = 1; attempt <= MAX_TRIES; attempt += 1) {
    const host = `127.0.0.1:${await findFreePort()}`;
    // Nobody else's server answers under this path.
    const health = `/health-${randomBytes(8).toString("hex")}`;
    const args = ["--port", host, "--region", region, "--health", health, "--quiet", "--keep-alive"];
    if (options.tls !== undefined) args.push("--cert", options.tls.certFile, "--key", options.tls.keyFile);
    const server = startServerProcess(versitygw, [...args, "posix", dir.join("buckets")], {
      cwd: dir.path,
      env: { ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey },
      signal: "SIGKILL",
    });
    const dispose = async (): Promise<void> => {
      await server.stop();
      dir.dispose();
    };
    try {
      await answering(server, `${scheme}://${host}${health}`, options.tls?.ca);
    } catch (error) {
      await server.stop();
      failure = error;
      continue;
    }
    let count = 0;
    return {
      endpoint: `${scheme}://${host}`,
      region,
      accessKeyId,
      secretAccessKey,
      makeBucket: () => {
        const name = `test-${(count += 1)}`;
        mkdirSync(dir.join("buckets", name));
        return name;
      },
      stop: () => server.stop(),
      dispose,
      [Symbol.asyncDispose]: dispose,
    };
  }
  dir.dispose();
  throw new Error("versitygw does not start", { cause: failure });
}

async function answering(server: ServerProcess, url: string, ca: string | undefined): Promise<void> {
  const start = performance.now();
  while (server.isRunning && performance.now() - start < START_TIMEOUT_MS) {
    if ((await statusOf(url, ca)) === 200) return;
    await wait(POLL_MS);
  }
  throw new Error(`versitygw does not answer: ${server.log()}`);
}

/** The status of an answer, or undefined when there is none. */
async function statusOf(url: string, ca: string | undefined): Promise<number | undefined> {
  return new Promise((resolve) => {
    const request = ca === undefined ? httpRequest(url) : httpsRequest(url, { ca });
    request.once("response", (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once("error", () => resolve(undefined));
    request.setTimeout(START_TIMEOUT_MS, () => request.destroy());
    request.end();
  });
}
