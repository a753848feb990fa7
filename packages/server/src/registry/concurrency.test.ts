import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type Signer, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type SeededRandom, type TestImage, buildTestImage, makeSeededRandom } from "@signet/testkit";
import { type Finding, checkContent } from "../content/check.ts";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { killRegistry, runRegistry } from "./run-registry.testing.ts";

/** Seconds that the clients work; SIGNET_SOAK_SECONDS asks for more, for long runs by hand. */
const SECONDS = Number(process.env["SIGNET_SOAK_SECONDS"] ?? 8);
const CLIENTS = 64;
/** Milliseconds that garbage collection spares what was touched: longer than a client waits for its turn on a busy machine. */
const GRACE_MS = 30_000;
/** Repositories that several clients work in. */
const SHARED = 4;
/** Images that all clients push, so that they meet. */
const IMAGES = 12;
/** Milliseconds between two looks at what is in use: each collects everything, which takes the server some 50 ms. */
const LIVE_INTERVAL_MS = 20_000;
/** Bytes that may stay in use over the run: repositories and answers are kept up to bounds of their own. */
const MAX_GROWTH_BYTES = 60_000_000;
/**
 * Bytes of memory that the process may take, whatever its clients do. The greater part is Node's: some 120 MB to start with, up to 134 MB for what is young, and what waits
 * to be collected, more the busier the machine.
 */
const MAX_MEMORY_BYTES = 450_000_000;

/** What a client of the registry is told, and may be told while others work in the same repository. */
const expected: Readonly<Record<string, readonly number[]>> = {
  blob: [201],
  // 404: another client deleted the same image, and with it the blobs, since this one uploaded them.
  manifest: [201, 404],
  sign: [201, 404, 409],
  pull: [200, 404],
  layer: [200, 404],
  tags: [200, 404],
  signatures: [200, 404],
  delete: [202, 404],
};

class Client {
  readonly counts = new Map<string, number>();
  readonly #url: string;
  readonly #path: string;
  readonly #random: SeededRandom;
  readonly #isAlone: boolean;

  constructor(url: string, number: number, seed: number) {
    this.#url = url;
    this.#isAlone = number % 2 === 0;
    this.#path = this.#isAlone ? `own/r${number}` : `shared/r${number % SHARED}`;
    this.#random = makeSeededRandom(seed + number);
  }

  async work(images: readonly TestImage[], signer: Signer, until: number): Promise<void> {
    while (performance.now() < until) {
      const image = images[this.#random.integer(images.length)]!;
      const tag = `t${this.#random.integer(5)}`;
      const mayPull = await this.#push(image, tag);
      const reads = [
        () => this.#ask("pull", "GET", `/v2/${this.#path}/manifests/${tag}`),
        () => this.#ask("layer", "GET", `/v2/${this.#path}/blobs/${image.layers[0]!.digest}`),
        () => this.#ask("tags", "GET", `/v2/${this.#path}/tags/list`),
        () => this.#ask("signatures", "GET", `/extensions/v2/${this.#path}/signatures/${image.digest}`),
      ];
      for (let count = this.#random.integer(6); count > 0; count -= 1) await reads[this.#random.integer(4)]!();
      if (this.#random.integer(3) === 0) await this.#sign(image, signer);
      // Whoever is alone in a repository gets just what it put there.
      if (this.#isAlone && mayPull) {
        const answer = await fetch(`${this.#url}/v2/${this.#path}/manifests/${image.digest}`);
        assert.ok(Buffer.from(await answer.arrayBuffer()).equals(image.manifest));
      }
      if (this.#random.integer(3) === 0)
        await this.#ask("delete", "DELETE", `/v2/${this.#path}/manifests/${image.digest}`);
    }
  }

  async #push(image: TestImage, tag: string): Promise<boolean> {
    for (const blob of [image.config, ...image.layers]) {
      await this.#ask(
        "blob",
        "POST",
        `/v2/${this.#path}/blobs/uploads/?digest=${blob.digest}`,
        Buffer.from(blob.bytes),
      );
    }
    const path = `/v2/${this.#path}/manifests/${tag}`;
    const status = await this.#ask("manifest", "PUT", path, Buffer.from(image.manifest), image.mediaType);
    if (this.#isAlone) assert.equal(status, 201);
    return status === 201;
  }

  async #sign(image: TestImage, signer: Signer): Promise<void> {
    const options = { engine: nodeEngine, now: Date.now(), creator: "test" };
    const { bytes } = await createSignature(image.manifest, `127.0.0.1/${this.#path}:t`, signer, options);
    const name = `${image.digest}@${this.#random
      .integer(2 ** 31)
      .toString(16)
      .padStart(32, "0")}`;
    const object = { schemaVersion: 2, name, type: "atomic", content: Buffer.from(bytes).toString("base64") };
    await this.#ask("sign", "PUT", `/extensions/v2/${this.#path}/signatures/${image.digest}`, JSON.stringify(object));
  }

  async #ask(what: string, method: string, path: string, body?: Buffer | string, type?: string): Promise<number> {
    const headers = type === undefined ? {} : { "content-type": type };
    const answer = await fetch(`${this.#url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
    const text = await answer.text();
    assert.ok(expected[what]!.includes(answer.status), `${method} ${path}: ${answer.status} ${text.slice(0, 500)}`);
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    return answer.status;
  }
}

/** Bytes of memory that a process has, as the kernel says. */
function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1_024;
}

void describe(`${CLIENTS} clients that push, sign, pull and delete at once`, () => {
  forEachStorage((make, pair) => {
    if (pair !== "SQLite and files" && pair !== "PostgreSQL and S3") return;
    void it("get no error but the right ones, and what they leave is whole", async (t) => {
      const storage = await make(t);
      if (storage === undefined) return;
      const seed = Date.now();
      t.diagnostic(`seed ${seed}`);
      const key = await generateKey({
        engine: nodeEngine,
        now: seed,
        userIds: ["C <c@example.com>"],
        algorithm: "ed25519",
      });
      const signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now: seed });
      const images = await Promise.all(
        Array.from({ length: IMAGES }, (_, index) => buildTestImage({ seed: index + 1, layers: 1 + (index % 3) })),
      );
      const registry = await runRegistry(storage, GRACE_MS);
      const memory: number[] = [];
      try {
        const sample = setInterval(() => memory.push(memoryOf(registry.process.pid!)), 500);
        const until = performance.now() + SECONDS * 1_000;
        const clients = Array.from({ length: CLIENTS }, (_, index) => new Client(registry.url, index, seed));
        const live = [await registry.liveBytes()];
        const look = setInterval(() => void registry.liveBytes().then((bytes) => live.push(bytes)), LIVE_INTERVAL_MS);
        await Promise.all(clients.map((client) => client.work(images, signer, until))).finally(() => {
          clearInterval(sample);
          clearInterval(look);
        });
        live.push(await registry.liveBytes());
        const totals: Record<string, number> = {};
        for (const { counts } of clients)
          for (const [what, count] of counts) totals[what] = (totals[what] ?? 0) + count;
        t.diagnostic(JSON.stringify(totals));
        const megabytes = memory.map((bytes) => Math.round(bytes / 1e6));
        t.diagnostic(
          `memory: ${megabytes[0]} MB at first, ${megabytes.at(-1)} at last, ${Math.max(...megabytes)} at most`,
        );
        t.diagnostic(`in use: ${live.map((bytes) => Math.round(bytes / 1e6)).join(", ")} MB`);
        assert.ok(live.at(-1)! < live[0]! + MAX_GROWTH_BYTES);
        assert.ok(Math.max(...memory) < MAX_MEMORY_BYTES);
      } finally {
        await killRegistry(registry);
      }
      assert.equal(registry.errors(), "");
      const { database, blobs } = await storage.open();
      const findings: Finding[] = [];
      for await (const finding of checkContent(database, blobs, { withContent: true, straysBefore: 0 }))
        findings.push(finding);
      assert.deepEqual(findings, []);
    });
  });
});
