import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Signer, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type SeededRandom,
  type TestImage,
  buildTestImage,
  httpPushTarget,
  makeSeededRandom,
  pushTestImage,
} from "@signet/testkit";
import { type Finding, checkContent } from "../content/check.ts";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { killRegistry, runRegistry } from "./run-registry.testing.ts";

/** Random points at which the process is killed; SIGNET_KILL_POINTS asks for more, for long runs by hand. */
const KILL_POINTS = Number(process.env["SIGNET_KILL_POINTS"] ?? 15);
/** Milliseconds that garbage collection spares what was touched: shorter than the test, so that it has work. */
const GRACE_MS = 3_000;
/** Clients at once. */
const CLIENTS = 4;
/** Images that a client keeps in its repository; older ones are deleted. */
const KEPT = 3;

/** What a client was told of one image; undefined: it asked, got no answer, and has not looked since. */
interface Told {
  readonly image: TestImage;
  readonly tag: string;
  isThere: boolean | undefined;
  isSigned: boolean | undefined;
}

/** Pushes, signs and deletes in a repository of its own, and remembers every acknowledgement. */
class Client {
  readonly told: Told[] = [];
  readonly path: string;
  readonly #number: number;
  readonly #signer: Signer;
  #count = 0;

  constructor(number: number, signer: Signer) {
    this.#number = number;
    this.path = `kill/r${number}`;
    this.#signer = signer;
  }

  /** Works until a request fails, as they do once the process is dead. */
  async work(url: string): Promise<void> {
    for (;;) {
      this.#count += 1;
      const image = await buildTestImage({ seed: this.#number * 10_000 + this.#count, layers: 2 });
      const told: Told = { image, tag: `t${this.#count}`, isThere: undefined, isSigned: undefined };
      this.told.push(told);
      try {
        await pushTestImage(httpPushTarget(url), `${this.path}:${told.tag}`, image);
        told.isThere = true;
        await this.#sign(url, told);
        const oldest = this.told.filter((one) => one.isThere === true)[0];
        if (oldest !== undefined && this.told.filter((one) => one.isThere === true).length > KEPT) {
          await this.#delete(url, oldest);
        }
      } catch (error) {
        // fetch's word for a connection that is refused or breaks.
        if (error instanceof TypeError) return;
        throw error;
      }
    }
  }

  async #sign(url: string, told: Told): Promise<void> {
    const options = { engine: nodeEngine, now: Date.now(), creator: "test" };
    const reference = `127.0.0.1/${this.path}:${told.tag}`;
    const { bytes } = await createSignature(told.image.manifest, reference, this.#signer, options);
    const { digest } = told.image;
    const name = `${digest}@${"0".repeat(32)}`;
    const answer = await fetch(`${url}/extensions/v2/${this.path}/signatures/${digest}`, {
      method: "PUT",
      body: JSON.stringify({ schemaVersion: 2, name, type: "atomic", content: Buffer.from(bytes).toString("base64") }),
    });
    assert.equal(answer.status, 201, await answer.text());
    told.isSigned = true;
  }

  async #delete(url: string, told: Told): Promise<void> {
    told.isThere = undefined;
    told.isSigned = undefined;
    const answer = await fetch(`${url}/v2/${this.path}/manifests/${told.image.digest}`, { method: "DELETE" });
    assert.equal(answer.status, 202, await answer.text());
    told.isThere = false;
    told.isSigned = false;
  }

  /**
   * Everything that was acknowledged is there, whole, and nothing that was deleted is. What got no answer may be either, and then whole; what was seen of it
   * counts as told from then on.
   */
  async verify(url: string): Promise<void> {
    for (const told of this.told) {
      const { image, tag } = told;
      const byTag = await fetch(`${url}/v2/${this.path}/manifests/${tag}`);
      const bytes = Buffer.from(await byTag.arrayBuffer());
      const expected = told.isThere === undefined ? [200, 404] : [told.isThere ? 200 : 404];
      assert.ok(expected.includes(byTag.status), `${this.path}:${tag} answers ${byTag.status}`);
      told.isThere = byTag.status === 200;
      if (!told.isThere) continue;
      assert.ok(bytes.equals(image.manifest));
      for (const blob of [image.config, ...image.layers]) {
        const got = await fetch(`${url}/v2/${this.path}/blobs/${blob.digest}`);
        assert.ok(Buffer.from(await got.arrayBuffer()).equals(blob.bytes), `${this.path}:${tag} ${blob.digest}`);
      }
      const list = await fetch(`${url}/extensions/v2/${this.path}/signatures/${image.digest}`);
      const { signatures } = (await list.json()) as { signatures: unknown[] };
      const counts = told.isSigned === undefined ? [0, 1] : [told.isSigned ? 1 : 0];
      assert.ok(counts.includes(signatures.length), `${this.path}:${tag} has ${signatures.length} signatures`);
      told.isSigned = signatures.length === 1;
    }
    // What is gone need not be asked for each time.
    this.told.splice(0, this.told.length, ...this.told.filter((one) => one.isThere === true));
  }
}

void describe("a registry that is killed at random points", () => {
  forEachStorage((make, pair) => {
    // The other two pairs share their parts with these.
    if (pair !== "SQLite and files" && pair !== "PostgreSQL and S3") return;
    void it("loses nothing that it acknowledged, and serves no half state", async (t) => {
      const storage = await make(t);
      if (storage === undefined) return;
      const now = Date.now();
      const key = await generateKey({ engine: nodeEngine, now, userIds: ["K <k@example.com>"], algorithm: "ed25519" });
      const signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now });
      const random: SeededRandom = makeSeededRandom(now);
      t.diagnostic(`seed ${now}`);
      const clients = Array.from({ length: CLIENTS }, (_, index) => new Client(index, signer));
      const { database, blobs } = await storage.open();
      for (let point = 0; point < KILL_POINTS; point += 1) {
        const registry = await runRegistry(storage, GRACE_MS);
        try {
          await Promise.all(clients.map((client) => client.verify(registry.url)));
          const work = Promise.all(clients.map((client) => client.work(registry.url)));
          await Promise.race([work, delay(20 + random.integer(400))]);
          await killRegistry(registry);
          await work;
        } finally {
          await killRegistry(registry);
        }
        assert.equal(registry.errors(), "");
        const findings: Finding[] = [];
        // Bytes that no row names yet are what a kill leaves; the next collection removes them.
        for await (const finding of checkContent(database, blobs, { withContent: true, straysBefore: 0 }))
          findings.push(finding);
        assert.deepEqual(findings, []);
      }
      t.diagnostic(`${clients.reduce((sum, client) => sum + client.told.length, 0)} images at the end`);
    });
  });
});
