/**
 * Signet's registry beside Debian's docker-registry, in one run, on one machine, with the same content: the operations and columns of zot's `zb`, single routes under `wrk`,
 * and the memory of Signet while 64 clients pull 1 GB each. The two take turns, A B A B …, and a ratio is the median of those of the pairs, so that a machine whose speed
 * drifts treats both alike. Needs docker-registry, wrk and `npm run build`.
 *
 *     node --conditions=@signet/source benchmarks/registry.ts [--only TEXT] [--turns N] [--concurrency N] [--requests N] [--megabytes N] [--seconds N] [--quick]
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { OCI_MANIFEST_TYPE, createSignature, encodeBase64, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import { findTool, makeTempDir } from "@signet/testkit";
import { Connection, expectStatus } from "./registry/connection.ts";
import {
  type Operation,
  type Pullable,
  makeOperations,
  pulledRepository,
  pulledSizes,
  runTurn,
} from "./registry/operations.ts";
import {
  type Registry,
  bundle,
  configuration,
  contentOf,
  makeContent,
  makePublic,
  manifestOf,
  peakMemory,
  pushBlob,
  pushManifest,
  startPeer,
  startSignet,
} from "./registry/registries.ts";
import { type Row, compareTurns, printComparison, printHeading, summarize } from "./registry/report.ts";
import { runHeadRequests } from "./registry/head-requests.ts";
import { runWrk } from "./registry/wrk.ts";

const { values } = parseArgs({
  options: {
    /** Rows whose name holds this. */
    only: { type: "string", default: "" },
    turns: { type: "string" },
    concurrency: { type: "string", default: "10" },
    /** Requests of one turn, at most. */
    requests: { type: "string", default: "100" },
    /** MB that one turn moves, at most; but one request by each client. */
    megabytes: { type: "string" },
    /** Of one turn of wrk. */
    seconds: { type: "string" },
    /** Short turns, for a first look. */
    quick: { type: "boolean", default: false },
  },
});
/** Turns of each registry; odd, so that the median is one of them. */
const TURNS = Number(values.turns ?? (values.quick ? 3 : 5));
const CONCURRENCY = Number(values.concurrency);
const REQUESTS = Number(values.requests);
const MAX_TURN_BYTES = Number(values.megabytes ?? (values.quick ? 200 : 1000)) * 1e6;
const SECONDS = Number(values.seconds ?? (values.quick ? 1 : 3));
/** Connections of wrk. */
const WRK_CONNECTIONS = 8;
/** Tags of the repository whose tags are listed. */
const TAGS = 100;
const MEMORY_CLIENTS = 64;
const MEMORY_BYTES = 1e9;
/** MiB. */
const MEMORY_WANTED = 250;

if (!existsSync(bundle)) throw new Error("packages/cli/dist/signet.js is missing: run npm run build");
for (const tool of ["docker-registry", "wrk"]) if (findTool(tool) === undefined) throw new Error(`${tool} is missing`);

using folder = makeTempDir("signet-benchmark-");
const data = folder.join("data");
mkdirSync(data);

const isChosen = (name: string): boolean => name.toLowerCase().includes(values.only.toLowerCase());
const layers = {
  "1mb": makeContent(pulledSizes["1mb"]),
  "10mb": makeContent(pulledSizes["10mb"]),
  "100mb": makeContent(pulledSizes["100mb"]),
};
const images: Readonly<Record<keyof typeof layers, Pullable>> = {
  "1mb": { layer: layers["1mb"], manifest: manifestOf(layers["1mb"]) },
  "10mb": { layer: layers["10mb"], manifest: manifestOf(layers["10mb"]) },
  "100mb": { layer: layers["100mb"], manifest: manifestOf(layers["100mb"]) },
};
const signed = images["1mb"].manifest;
const made = await generateKey({ engine, now: Date.now(), userIds: ["Bench <b@example.com>"], algorithm: "rsa4096" });
const signer = await openSecretKey(new TextEncoder().encode(made.secretKey), { engine, now: Date.now() });
const signature = await createSignature(signed.parts[0]!, `registry.example/${pulledRepository}:1mb`, signer, {
  engine,
  now: Date.now(),
});
const signatureBlob = contentOf(signature.bytes);

console.log(
  `benchmarks/registry: ${TURNS} turns each, zb operations at ${CONCURRENCY} at a time, wrk with ${WRK_CONNECTIONS} connections for ${SECONDS} s; load at the start ${loadavg()[0]!.toFixed(1)}`,
);
{
  await using peer = await startPeer();
  await using own = await startSignet(data);
  for (const registry of [peer, own]) await fill(registry);
  await makePublic(data, pulledRepository);
  printHeading();
  for (const route of routesOf()) if (isChosen(route.name)) await compareRoute([peer, own], route);
  for (const operation of makeOperations(images)) {
    if (isChosen(operation.name)) await compareOperation([peer, own], operation);
  }
}
if (isChosen("memory")) await measureMemory();

async function fill({ name, host, authorization }: Registry): Promise<void> {
  const connection = new Connection(host, authorization);
  for (const [tag, { layer, manifest }] of Object.entries(images)) {
    await pushBlob(connection, pulledRepository, layer);
    await pushBlob(connection, pulledRepository, configuration);
    await pushManifest(connection, pulledRepository, tag, manifest);
  }
  for (let index = 0; index < TAGS; index++) {
    await pushManifest(connection, pulledRepository, `tag-${index}`, images["1mb"].manifest);
  }
  if (name === "signet") {
    const content = encodeBase64(signature.bytes);
    const object = { schemaVersion: 2, name: `${signed.digest}@${"0".repeat(32)}`, type: "atomic", content };
    const path = `/extensions/v2/${pulledRepository}/signatures/${signed.digest}`;
    expectStatus(await connection.request("PUT", path, "", [Buffer.from(JSON.stringify(object))]), 201);
  } else {
    await pushBlob(connection, pulledRepository, signatureBlob);
  }
  connection.close();
}

interface WrkRoute {
  readonly name: string;
  readonly method: "GET" | "HEAD";
  readonly path: string;
  /** Where the peer has another one. */
  readonly peerPath?: string;
  readonly connections?: number;
  readonly wanted?: number;
  /** True: bytes a second count. */
  readonly isBulk?: boolean;
}

function routesOf(): readonly WrkRoute[] {
  const base = `/v2/${pulledRepository}`;
  const manifest = `${base}/manifests/${signed.digest}`;
  return [
    { name: "wrk manifest GET by digest", method: "GET", path: manifest, wanted: 8 },
    { name: "wrk manifest GET by tag", method: "GET", path: `${base}/manifests/1mb`, wanted: 8 },
    { name: "manifest HEAD by digest", method: "HEAD", path: manifest, wanted: 8 },
    { name: "manifest HEAD by tag", method: "HEAD", path: `${base}/manifests/1mb`, wanted: 8 },
    { name: "wrk tags list (100 tags)", method: "GET", path: `${base}/tags/list`, wanted: 5 },
    {
      // The peer has no signatures: there a client knows the digest of a blob that holds one, and gets it, which is the least it could do.
      name: "wrk signature GET (extension; peer: the same bytes as a blob)",
      method: "GET",
      path: `/extensions/v2/${pulledRepository}/signatures/${signed.digest}`,
      peerPath: `${base}/blobs/${signatureBlob.digest}`,
      wanted: 5,
    },
    {
      name: "wrk signature GET (lookaside; peer: the same bytes as a blob)",
      method: "GET",
      path: `/lookaside/${pulledRepository}@${signed.digest.replace(":", "=")}/signature-1`,
      peerPath: `${base}/blobs/${signatureBlob.digest}`,
      wanted: 5,
    },
    { name: "wrk config GET", method: "GET", path: `${base}/blobs/${configuration.digest}` },
    { name: "wrk blob GET 1MB", method: "GET", path: `${base}/blobs/${layers["1mb"].digest}`, wanted: 0.9 },
    { name: "wrk blob GET 10MB", method: "GET", path: `${base}/blobs/${layers["10mb"].digest}`, wanted: 0.9 },
    {
      name: "wrk blob GET 100MB",
      method: "GET",
      path: `${base}/blobs/${layers["100mb"].digest}`,
      wanted: 0.9,
      isBulk: true,
    },
  ];
}

async function compareRoute(pair: readonly [Registry, Registry], route: WrkRoute): Promise<void> {
  const turns: [Row[], Row[]] = [[], []];
  for (let turn = -1; turn < TURNS; turn++) {
    for (const [index, registry] of pair.entries()) {
      const path = index === 0 ? (route.peerPath ?? route.path) : route.path;
      const row = await runRoute(registry, route, path);
      // The first turn fills caches.
      if (turn >= 0) turns[index]!.push(row);
    }
  }
  printComparison(compareTurns(route.name, turns, route.wanted));
}

/** One turn of a route, with the columns of its row. */
async function runRoute({ name, host }: Registry, route: WrkRoute, path: string): Promise<Row> {
  const headers = { Accept: OCI_MANIFEST_TYPE };
  const common = { registry: name, concurrency: WRK_CONNECTIONS };
  if (route.method === "HEAD") {
    const { seconds, failures, times } = await runHeadRequests(host, path, headers, WRK_CONNECTIONS, SECONDS);
    const requests = times.length + failures;
    return { ...common, requests, failures, rate: times.length / seconds, bytes: 0, latency: summarize(times) };
  }
  const request = { url: `http://${host}${path}`, headers, connections: WRK_CONNECTIONS, seconds: SECONDS };
  const { rate, bytes, requests, failures, latency } = await runWrk(request, (text) => {
    const file = folder.join("wrk.lua");
    writeFileSync(file, text);
    return file;
  });
  const { min, mean, p50, p75, p90, p99, max } = latency;
  return {
    ...common,
    requests,
    failures,
    // Of what is larger than a turn can bring many times, the bytes that came count.
    rate: route.isBulk === true ? bytes / pulledSizes["100mb"] : rate,
    bytes,
    latency: [min, mean, p50, p75, p90, p99, max],
  };
}

async function compareOperation(pair: readonly [Registry, Registry], operation: Operation): Promise<void> {
  const turns: [Row[], Row[]] = [[], []];
  const fitting = operation.meanBytes === 0 ? REQUESTS : Math.floor(MAX_TURN_BYTES / operation.meanBytes);
  const requests = Math.max(CONCURRENCY, Math.min(REQUESTS, fitting));
  for (let turn = -1; turn < TURNS; turn++) {
    for (const [index, registry] of pair.entries()) {
      const steps = operation.prepare(registry, turn < 0 ? CONCURRENCY : requests);
      const { seconds, bytes, failures, times } = await runTurn(registry, steps, CONCURRENCY);
      if (failures.length > 0) console.error(`${registry.name}: ${failures[0]!.message}`);
      if (turn < 0) continue;
      turns[index]!.push({
        registry: registry.name,
        concurrency: CONCURRENCY,
        requests: steps.length,
        failures: failures.length,
        rate: times.length / seconds,
        bytes: bytes / seconds,
        latency: summarize(times),
      });
    }
  }
  printComparison(compareTurns(operation.name, turns, operation.wanted));
}

/** 64 clients pull a blob of 1 GB each from a server that has just been started; then the peer. */
async function measureMemory(): Promise<void> {
  const blob = makeContent(MEMORY_BYTES);
  const fresh = folder.join("memory");
  mkdirSync(fresh);
  for (const name of ["signet", "docker-registry"]) {
    if (name === "signet") {
      await using first = await startSignet(fresh);
      await pushOnce(first, blob);
      console.log(`\nmemory, push of 1 GB: signet ${peakMemory(first).toFixed(0)} MiB at most`);
    }
    await using registry = name === "signet" ? await startSignet(fresh) : await startPeer();
    if (name !== "signet") await pushOnce(registry, blob);
    const before = peakMemory(registry);
    const steps = Array.from({ length: MEMORY_CLIENTS }, () => ({
      bytes: blob.size,
      run: async (connection: Connection): Promise<void> => {
        const path = `/v2/bench/large/blobs/${blob.digest}`;
        const { size } = expectStatus(await connection.request("GET", path), 200);
        if (size !== blob.size) throw new Error(`${size} bytes came`);
      },
    }));
    const { seconds, failures } = await runTurn(registry, steps, MEMORY_CLIENTS);
    if (failures.length > 0) throw failures[0]!;
    const peak = peakMemory(registry);
    const aim = name === "signet" ? `, wanted below ${MEMORY_WANTED}: ${peak < MEMORY_WANTED ? "met" : "missed"}` : "";
    console.log(
      `memory, pull of 1 GB by ${MEMORY_CLIENTS} clients: ${name} ${peak.toFixed(0)} MiB at most (before: ${before.toFixed(0)})${aim}; ${((MEMORY_CLIENTS * blob.size) / seconds / 1e6).toFixed(0)} MB/s`,
    );
  }
}

async function pushOnce({ host, authorization }: Registry, blob: Parameters<typeof pushBlob>[2]): Promise<void> {
  const connection = new Connection(host, authorization);
  await pushBlob(connection, "bench/large", blob);
  connection.close();
}
