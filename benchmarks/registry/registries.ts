/** The two registries, each a process of its own on loopback with storage of its own, and the same content in both. */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { OCI_MANIFEST_TYPE } from "@signet/core";
import { makeTempDir, runChecked, startDockerRegistry, startServerProcess } from "@signet/testkit";
import { type Connection, expectStatus, headerOf } from "./connection.ts";

export interface Registry extends AsyncDisposable {
  readonly name: "docker-registry" | "signet";
  readonly host: string;
  readonly pid: number;
  /** The `Authorization` of pushes and lists; empty where everybody may do everything. */
  readonly authorization: string;
  /** The same, as clients want it; undefined where everybody may do everything. */
  readonly account: { readonly user: string; readonly password: string } | undefined;
}

export const bundle: string = fileURLToPath(new URL("../../packages/cli/dist/signet.js", import.meta.url));

/** Milliseconds until a server must say where it listens. */
const START_TIMEOUT_MS = 30_000;

const account = { user: "admin", password: "benchmark-password" };

/** Debian's docker-registry, open to all, without a log of requests and with the descriptor cache that Debian configures. */
export async function startPeer(): Promise<Registry> {
  const peer = await startDockerRegistry({ isQuiet: true, hasCache: true });
  const { host, pid } = peer;
  return {
    name: "docker-registry",
    host,
    pid,
    authorization: "",
    account: undefined,
    [Symbol.asyncDispose]: () => peer.dispose(),
  };
}

/**
 * `signet serve` from the built bundle on a folder, with accounts and durability as they are by default, and without a log of requests.
 * @param nodeOptions of its Node, such as those of a profile
 */
export async function startSignet(data: string, nodeOptions: readonly string[] = []): Promise<Registry> {
  const server = startServerProcess(
    process.execPath,
    [...nodeOptions, bundle, "serve", "--data", data, "--listen", "127.0.0.1:0"],
    {
      cwd: data,
      env: { SIGNET_ADMIN_PASSWORD: account.password, SIGNET_LOG_ACCESS: "false" },
      // Of a profile nothing is written when the process is killed at once.
      signal: nodeOptions.length === 0 ? "SIGKILL" : "SIGTERM",
    },
  );
  await server.printed("Signet serves http://", START_TIMEOUT_MS);
  const host = /Signet serves http:\/\/(127\.0\.0\.1:\d+)/.exec(server.log())![1]!;
  const authorization = `Basic ${Buffer.from(`${account.user}:${account.password}`).toString("base64")}`;
  return { name: "signet", host, pid: server.pid, authorization, account, [Symbol.asyncDispose]: () => server.stop() };
}

/** Lets everybody read a repository of Signet, as everybody reads the peer's. */
export async function makePublic(data: string, repository: string): Promise<void> {
  const args = ["admin", "repository", "set", repository, "--visibility", "public", "--data", data];
  using home = makeTempDir("signet-benchmark-home-");
  await runChecked(process.execPath, [bundle, ...args], { env: { HOME: home.path } });
}

/** MiB of memory that a process has held at most. */
export function peakMemory({ pid }: Registry): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;
}

/** Bytes in parts, whose digest is known before anything is timed. */
export interface Content {
  readonly parts: readonly Uint8Array[];
  readonly size: number;
  readonly digest: string;
}

/** One memory for all large contents: 16 bytes of their own make each of them another one. */
const filling = randomBytes(8 * 1024 * 1024);

/** A content that nobody has seen before. @param size bytes, at least 16 */
export function makeContent(size: number): Content {
  const parts: Uint8Array[] = [randomBytes(16)];
  for (let left = size - 16; left > 0; left -= filling.length) parts.push(filling.subarray(0, left));
  return contentOf(...parts);
}

export function contentOf(...parts: readonly Uint8Array[]): Content {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  return { parts, size, digest: `sha256:${hash.digest("hex")}` };
}

/** The configuration of every image here. */
export const configuration: Content = contentOf(
  Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'),
);

/** The manifest of an image of these layers. */
export function manifestOf(...layers: readonly Content[]): Content {
  const layerType = "application/vnd.oci.image.layer.v1.tar";
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST_TYPE,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: configuration.digest,
      size: configuration.size,
    },
    layers: layers.map(({ digest, size }) => ({ mediaType: layerType, digest, size })),
  };
  return contentOf(Buffer.from(JSON.stringify(manifest)));
}

/** POST, then the bytes: in one PUT, or in PATCH requests of `chunk` bytes each and a PUT without any. */
export async function pushBlob(
  connection: Connection,
  repository: string,
  content: Content,
  chunk?: number,
): Promise<void> {
  const begun = expectStatus(await connection.request("POST", `/v2/${repository}/blobs/uploads/`), 202);
  const type = "Content-Type: application/octet-stream\r\n";
  let place = placeOf(headerOf(begun, "location"));
  let rest = content.parts;
  if (chunk !== undefined) {
    let sent = 0;
    for (const [parts, size] of chunksOf(content, chunk)) {
      const range = `Content-Range: ${sent}-${sent + size - 1}\r\n`;
      const answer = expectStatus(await connection.request("PATCH", place, type + range, parts), 202);
      place = placeOf(headerOf(answer, "location"));
      sent += size;
    }
    rest = [];
  }
  const end = `${place}${place.includes("?") ? "&" : "?"}digest=${content.digest}`;
  expectStatus(await connection.request("PUT", end, type, rest), 201);
}

function placeOf(location: string | undefined): string {
  if (location === undefined) throw new Error("an upload without a location");
  return location.replace(/^https?:\/\/[^/]+/, "");
}

function* chunksOf({ parts }: Content, size: number): Generator<readonly [readonly Uint8Array[], number]> {
  let chunk: Uint8Array[] = [];
  let length = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length;) {
      const taken = part.subarray(at, at + size - length);
      chunk.push(taken);
      length += taken.length;
      at += taken.length;
      if (length < size) continue;
      yield [chunk, length];
      chunk = [];
      length = 0;
    }
  }
  if (length > 0) yield [chunk, length];
}

export async function pushManifest(
  connection: Connection,
  repository: string,
  reference: string,
  manifest: Content,
): Promise<void> {
  const type = `Content-Type: ${OCI_MANIFEST_TYPE}\r\n`;
  expectStatus(await connection.request("PUT", `/v2/${repository}/manifests/${reference}`, type, manifest.parts), 201);
}
