/** The operations of zot's `zb`, by its names: https://github.com/project-zot/zot/tree/main/cmd/zb. One operation is one image: of a pull its manifest (HEAD, GET), configuration and layer; of a push the same the other way. */
import { OCI_MANIFEST_TYPE } from "@signet/core";
import { Connection, expectStatus } from "./connection.ts";
import {
  type Content,
  type Registry,
  configuration,
  makeContent,
  manifestOf,
  pushBlob,
  pushManifest,
} from "./registries.ts";

const MIB = 1024 * 1024;
/** Bytes of one PATCH. */
const CHUNK_BYTES = 8 * MIB;

/** The repository of what is pulled. */
export const pulledRepository = "bench/pulled";

/** Layers of the images that are there to be pulled, by their tags. */
export const pulledSizes: Readonly<Record<Tag, number>> = { "1mb": MIB, "10mb": 10 * MIB, "100mb": 100 * MIB };
type Tag = "100mb" | "10mb" | "1mb";

export interface Step {
  /** Bytes of the layer that moves. */
  readonly bytes: number;
  run(connection: Connection): Promise<void>;
}

export interface Operation {
  readonly name: string;
  /** The work of one turn, made before it is timed. */
  prepare(registry: Registry, requests: number): readonly Step[];
  /** Bytes that a request moves on average, so that a turn can be bounded. */
  readonly meanBytes: number;
  /** Of docker-registry's rate. */
  readonly wanted?: number;
}

/** Shares of the three sizes in zb's mixed operations. */
const mixedShares: readonly (readonly [Tag, number])[] = [
  ["1mb", 0.2],
  ["10mb", 0.7],
  ["100mb", 0.1],
];

export interface Pullable {
  readonly manifest: Content;
  readonly layer: Content;
}

/** zb's operations. @param images what is there to be pulled, by tag */
export function makeOperations(images: Readonly<Record<Tag, Pullable>>): readonly Operation[] {
  const pull = (tag: Tag): Step => ({
    bytes: images[tag].layer.size,
    run: (connection) => pullImage(connection, tag, images[tag]),
  });
  const push = (tag: Tag, index: number, chunk?: number): Step => pushStep(makeContent(pulledSizes[tag]), index, chunk);
  const each = (make: (index: number, requests: number) => Step) => (_registry: Registry, requests: number) =>
    Array.from({ length: requests }, (_, index) => make(index, requests));
  return [
    {
      name: "Get Catalog",
      meanBytes: 0,
      prepare: each(() => ({
        bytes: 0,
        run: async (connection) => void expectStatus(await connection.request("GET", "/v2/_catalog"), 200),
      })),
    },
    {
      name: "Push Monolith 1MB",
      meanBytes: MIB,
      wanted: 1.5,
      prepare: each((index) => push("1mb", index)),
    },
    { name: "Push Monolith 10MB", meanBytes: 10 * MIB, prepare: each((index) => push("10mb", index)) },
    { name: "Push Monolith 100MB", meanBytes: 100 * MIB, wanted: 1, prepare: each((index) => push("100mb", index)) },
    { name: "Push Chunk Streamed 1MB", meanBytes: MIB, prepare: each((index) => push("1mb", index, CHUNK_BYTES)) },
    {
      name: "Push Chunk Streamed 10MB",
      meanBytes: 10 * MIB,
      prepare: each((index) => push("10mb", index, CHUNK_BYTES)),
    },
    {
      name: "Push Chunk Streamed 100MB",
      meanBytes: 100 * MIB,
      prepare: each((index) => push("100mb", index, CHUNK_BYTES)),
    },
    { name: "Pull 1MB", meanBytes: MIB, wanted: 0.9, prepare: each(() => pull("1mb")) },
    { name: "Pull 10MB", meanBytes: 10 * MIB, wanted: 0.9, prepare: each(() => pull("10mb")) },
    { name: "Pull 100MB", meanBytes: 100 * MIB, wanted: 0.9, prepare: each(() => pull("100mb")) },
    { name: "Pull Mixed 20% 1MB, 70% 10MB, 10% 100MB", meanBytes: 17 * MIB, prepare: each(spread(pull)) },
    { name: "Push Monolith Mixed 20% 1MB, 70% 10MB, 10% 100MB", meanBytes: 17 * MIB, prepare: each(spread(push)) },
    {
      name: "Pull 75% and Push 25% 1MB",
      meanBytes: MIB,
      prepare: each((index) => (index % 4 === 3 ? push("1mb", index) : pull("1mb"))),
    },
  ];
}

/** Deals the sizes out evenly over a turn, in the same order for every registry. */
function spread(make: (tag: Tag, index: number) => Step): (index: number, requests: number) => Step {
  return (index, requests) => {
    // 7 has no divisor in common with any number of requests that is used: each place comes once.
    let place = ((index * 7) % requests) / requests;
    for (const [tag, share] of mixedShares) {
      if (place < share) return make(tag, index);
      place -= share;
    }
    return make("10mb", index);
  };
}

async function pullImage(connection: Connection, tag: string, { manifest, layer }: Pullable): Promise<void> {
  const accept = `Accept: ${OCI_MANIFEST_TYPE}\r\n`;
  const base = `/v2/${pulledRepository}`;
  expectStatus(await connection.request("HEAD", `${base}/manifests/${tag}`, accept), 200);
  await get(connection, `${base}/manifests/${tag}`, manifest.size, accept);
  await get(connection, `${base}/blobs/${configuration.digest}`, configuration.size);
  await get(connection, `${base}/blobs/${layer.digest}`, layer.size);
}

async function get(connection: Connection, path: string, size: number, headers?: string): Promise<void> {
  const answer = expectStatus(await connection.request("GET", path, headers), 200);
  if (answer.size !== size) throw new Error(`${path} has ${answer.size} bytes, not ${size}`);
}

/** Repositories that are pushed to: images of one turn are not all in the same. */
const PUSHED_REPOSITORIES = 10;

function pushStep(layer: Content, index: number, chunk?: number): Step {
  const manifest = manifestOf(layer);
  const repository = `bench/pushed-${index % PUSHED_REPOSITORIES}`;
  return {
    bytes: layer.size,
    run: async (connection) => {
      await pushBlob(connection, repository, layer, chunk);
      await pushBlob(connection, repository, configuration);
      await pushManifest(connection, repository, layer.digest.slice("sha256:".length, 30), manifest);
    },
  };
}

/** How one turn went. */
export interface Turn {
  readonly seconds: number;
  readonly bytes: number;
  readonly failures: readonly Error[];
  /** Milliseconds of each request that succeeded, in ascending order. */
  readonly times: readonly number[];
}

/** Works through the steps with so many connections, each with one request under way. */
export async function runTurn(
  { host, authorization }: Registry,
  steps: readonly Step[],
  concurrency: number,
): Promise<Turn> {
  const queue = steps.values();
  const times: number[] = [];
  const failures: Error[] = [];
  let bytes = 0;
  const worker = async (): Promise<void> => {
    let connection = new Connection(host, authorization);
    for (const step of queue) {
      const began = performance.now();
      try {
        await step.run(connection);
        times.push(performance.now() - began);
        bytes += step.bytes;
      } catch (error) {
        failures.push(error as Error);
        connection.close();
        connection = new Connection(host, authorization);
      }
    }
    connection.close();
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  const seconds = (performance.now() - started) / 1000;
  return { seconds, bytes, failures, times: times.toSorted((a, b) => a - b) };
}
