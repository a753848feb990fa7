import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { ContainersHome } from "./containers-home.ts";
import { findTool } from "./tools.ts";

/** podman's service, which speaks the API of a docker engine over a socket. */
export interface PodmanService extends AsyncDisposable {
  /** Fit for `DOCKER_HOST`: `unix:///path`. */
  readonly address: string;
}

/** Milliseconds until the service must listen, on a loaded machine. */
const START_TIMEOUT_MS = 30_000;

/**
 * Starts the service on the images of `home`. Dispose it before the home.
 * @throws Error when podman is missing or does not listen in time
 */
export async function startPodmanService(home: ContainersHome): Promise<PodmanService> {
  const podman = findTool("podman");
  if (podman === undefined) throw new Error("podman is missing; install it with: apt-get install podman");
  const socket = join(home.path, "run", "docker.sock");
  const child = spawn(podman, [...home.podmanFlags, "system", "service", "--time=0", `unix://${socket}`], {
    env: { PATH: process.env["PATH"], ...home.env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-4000)));
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  for (const start = Date.now(); !existsSync(socket); await wait(50)) {
    if (child.exitCode === null && Date.now() - start < START_TIMEOUT_MS) continue;
    child.kill("SIGKILL");
    await ended;
    throw new Error(`podman system service does not listen: ${said}`);
  }
  return {
    address: `unix://${socket}`,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
