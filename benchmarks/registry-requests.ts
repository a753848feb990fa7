/** The least that a client can ask of a registry, for benchmarks: how long the registry itself takes. */
import { type Socket, connect } from "node:net";
import { manifestMediaTypes } from "@signet/core";
import type { DockerRegistry } from "@signet/testkit";

/**
 * Asks for the manifests of `names` (`host/repository:tag`) over kept connections and looks at nothing of the answers but their length.
 * @param connections each with one request under way
 * @returns seconds
 */
export async function requestManifests(
  registry: DockerRegistry,
  names: readonly string[],
  connections: number,
): Promise<number> {
  const accept = manifestMediaTypes.join(", ");
  const requests = names.map((name) => {
    const [, repository, tag] = /^[^/]+\/(.+):([^:]+)$/.exec(name)!;
    return `GET /v2/${repository}/manifests/${tag} HTTP/1.1\r\nHost: ${registry.host}\r\nAccept: ${accept}\r\n\r\n`;
  });
  const queue = requests.values();
  const started = performance.now();
  await Promise.all(Array.from({ length: connections }, () => workThrough(registry, queue)));
  return (performance.now() - started) / 1000;
}

async function workThrough(registry: DockerRegistry, requests: Iterable<string>): Promise<void> {
  const [host, port] = registry.host.split(":");
  const socket = connect(Number(port), host);
  socket.setNoDelay(true);
  for (const request of requests) await exchange(socket, request);
  socket.destroy();
}

function exchange(socket: Socket, request: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = "";
    const settle = (then: () => void): void => {
      socket.off("data", read);
      socket.off("close", fail);
      then();
    };
    const fail = (): void => settle(() => reject(new Error(`the registry broke off: ${received.slice(0, 200)}`)));
    const read = (chunk: Buffer): void => {
      received += chunk.toString("latin1");
      const headEnd = received.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const length = /^HTTP\/1\.1 200 [^]*?\r\ncontent-length: (\d+)\r\n/i.exec(received)?.[1];
      if (length === undefined) fail();
      else if (received.length >= headEnd + 4 + Number(length)) settle(resolve);
    };
    socket.on("data", read);
    socket.on("close", fail);
    socket.write(request);
  });
}
