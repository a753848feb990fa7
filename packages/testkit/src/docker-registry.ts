import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { findFreePort } from "./free-port.ts";
import { makeTempDir } from "./temp-dir.ts";
import { findTool } from "./tools.ts";
import type { TlsCertificates } from "./tls-certificates.ts";

/** The one account of a registry started with `auth: true`. */
export const dockerRegistryAccount = { user: "tester", password: "registry-test-password" } as const;

/** bcrypt, cost 4, of the password above; the registry reads no other form. */
const htpasswd = "tester:$2b$04$wPUJFBRG5thiCzWXg0jRteY34ptMPj4IVtHzJBNi6PmtWELfWqLV6\n";

export interface DockerRegistryOptions {
  /** Basic authentication with {@link dockerRegistryAccount}. Default open to all. */
  readonly auth?: boolean;
  /** Serves https with these. Default http. */
  readonly tls?: TlsCertificates;
  /** Whether manifests may be deleted. Default true; the registry's own default is false. */
  readonly deletion?: boolean;
  /** Logs errors only, for benchmarks: the lines of each request take it more time than the request. Default false. */
  readonly isQuiet?: boolean;
  /** Keeps descriptors of blobs in memory, as the configuration that Debian installs does. Default false, for tests that tamper with the files. */
  readonly hasCache?: boolean;
}

/** Debian's `docker-registry` on a free loopback port, its storage in a temporary directory. */
export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, as it stands in image names. */
  readonly host: string;
  /** With its scheme, without a final slash. */
  readonly url: string;
  /** Of its process, for benchmarks that count its processor time. */
  readonly pid: number;
  /** Root of the registry's files, for tests that tamper with what it stores. */
  readonly storageDir: string;
  /** What the process printed so far. */
  log(): string;
  dispose(): Promise<void>;
}

/** Milliseconds until it must have said where it listens. */
const START_TIMEOUT_MS = 30_000;

/** @throws Error when docker-registry is not installed (call `requireTool(t, "docker-registry")` first) or does not start */
export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const executable = findTool("docker-registry");
  if (executable === undefined)
    throw new Error("docker-registry is missing; install it with: apt-get install docker-registry");
  const dir = makeTempDir("signet-docker-registry-");
  const storageDir = dir.join("storage");
  const quietAddress = options.isQuiet === true ? `127.0.0.1:${await findFreePort()}` : undefined;
  const config = {
    version: "0.1",
    log: {
      level: options.isQuiet === true ? "error" : "info",
      formatter: "json",
      // The access log knows no level: its lines would still be written, and read by whoever started the registry.
      ...(options.isQuiet === true && { accesslog: { disabled: true } }),
    },
    storage: {
      filesystem: { rootdirectory: storageDir },
      delete: { enabled: options.deletion ?? true },
      ...(options.hasCache === true && { cache: { blobdescriptor: "inmemory" } }),
    },
    http: {
      addr: quietAddress ?? "127.0.0.1:0",
      secret: "only-for-tests",
      ...(options.tls && { tls: { certificate: options.tls.certFile, key: options.tls.keyFile } }),
    },
    ...(options.auth === true && { auth: { htpasswd: { realm: "test", path: dir.join("htpasswd") } } }),
  };
  writeFileSync(dir.join("htpasswd"), htpasswd);
  writeFileSync(dir.join("config.yml"), JSON.stringify(config)); // JSON is YAML.

  const child = spawn(executable, ["serve", dir.join("config.yml")], {
    env: { PATH: process.env["PATH"] ?? "", HOME: dir.path },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", () => resolve());
  });
  let log = "";
  const dispose = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    dir.dispose();
  };
  try {
    const announced = new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`docker-registry does not listen: ${log}`)), START_TIMEOUT_MS);
      let isListening = false;
      const read = (chunk: Buffer): void => {
        log += chunk.toString("utf8");
        // Once it is known, the log, which grows with every request, need not be searched again.
        if (isListening) return;
        const address = /listening on (127\.0\.0\.1:\d+)/.exec(log)?.[1];
        if (address === undefined) return;
        isListening = true;
        clearTimeout(timer);
        resolve(address);
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      void ended.then(() => {
        clearTimeout(timer);
        reject(new Error(`docker-registry ended at once: ${log}`));
      });
    });
    const host = quietAddress === undefined ? await announced : await answering(quietAddress, announced);
    const url = `${options.tls === undefined ? "http" : "https"}://${host}`;
    return { host, url, pid: child.pid!, storageDir, log: () => log, dispose, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Waits until something accepts connections there. @param ended rejects when the registry has ended */
async function answering(host: string, ended: Promise<unknown>): Promise<string> {
  let failure: unknown;
  ended.catch((error: unknown) => (failure = error));
  for (;;) {
    if (failure !== undefined) throw new Error(`${host} did not begin to answer`, { cause: failure });
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(Number(host.split(":")[1]), "127.0.0.1");
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
      socket.once("close", () => resolve(false));
      socket.setTimeout(1000, () => socket.destroy());
      socket.once("connect", () => socket.destroy());
    });
    if (isOpen) return host;
    await wait(POLL_MS);
  }
}

/** Milliseconds between two tries to connect. */
const POLL_MS = 20;
