import assert from "node:assert/strict";
import { once } from "node:events";
import { truncateSync } from "node:fs";
import { get } from "node:http";
import { test } from "node:test";
import { sha256Digest } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { makeTempDir } from "@signet/testkit";
import { serveRegistry } from "../registry/serve.testing.ts";
import type { BlobStore, LentBytes } from "./blob-store.ts";
import { openFilesystemStore } from "./filesystem.ts";
import { makeBytes } from "./test-blob.testing.ts";

/** More than are given large buffers at once. */
const READERS = 120;
const SIZE = 1_500_000;

async function keep(store: BlobStore, bytes: Uint8Array): Promise<string> {
  async function* whole(): AsyncGenerator<Uint8Array> {
    yield bytes;
  }
  return await store.finish(await store.append(await store.begin(), whole()));
}

async function read(lent: LentBytes): Promise<Buffer> {
  const copies: Buffer[] = [];
  for (let piece = await lent.next(); piece !== undefined; piece = await lent.next()) {
    // Others read into their memory before this piece is looked at.
    await new Promise((resolve) => setImmediate(resolve));
    copies.push(Buffer.from(piece));
  }
  return Buffer.concat(copies);
}

test("readers side by side, more than there are large buffers, each get their own bytes, however often others stop half-way", async () => {
  using dir = makeTempDir("signet-blobs-");
  const store = await openFilesystemStore(dir.path);
  const contents = Array.from({ length: 5 }, (_, seed) => makeBytes(SIZE, seed + 1));
  const locations = await Promise.all(contents.map((bytes) => keep(store, bytes)));
  for (let round = 0; round < 2; round += 1) {
    await Promise.all(
      Array.from({ length: READERS }, async (_, index) => {
        const bytes = contents[index % 5]!;
        const [first, last] = [index * 1_000, SIZE - 1 - index * 77];
        await using lent = await store.lend!(locations[index % 5]!, { first, last });
        if (index % 3 === 0) return void (await lent.next());
        assert.ok((await read(lent)).equals(bytes.subarray(first, last + 1)), `reader ${index}`);
      }),
    );
  }
});

test("what was lent last stays as it is when its reader stops", async () => {
  using dir = makeTempDir("signet-blobs-");
  const store = await openFilesystemStore(dir.path);
  const [one, other] = [makeBytes(SIZE, 1), makeBytes(SIZE, 2)];
  const [place, otherPlace] = [await keep(store, one), await keep(store, other)];
  const pieces: Uint8Array[] = [];
  for (let count = 0; count < 10; count += 1) {
    await using lent = await store.lend!(place, { first: 0, last: SIZE - 1 });
    pieces.push((await lent.next())!);
  }
  for (let count = 0; count < 10; count += 1) {
    await using lent = await store.lend!(otherPlace, { first: 0, last: SIZE - 1 });
    assert.ok((await read(lent)).equals(other));
  }
  for (const piece of pieces) assert.ok(Buffer.from(piece).equals(one.subarray(0, piece.length)));
});

test("a blob that is shorter than it should be, or gone, is an error and no end", async () => {
  using dir = makeTempDir("signet-blobs-");
  const store = await openFilesystemStore(dir.path);
  const location = await keep(store, makeBytes(SIZE, 1));
  truncateSync(dir.join("blobs", location.slice(0, 2), location), SIZE - 1);
  await using lent = await store.lend!(location, { first: 0, last: SIZE - 1 });
  await assert.rejects(read(lent), { code: "blob-missing" });
  await store.remove(location);
  await assert.rejects(store.lend!(location, { first: 0, last: 0 }), { code: "blob-missing" });
});

test("clients that go away half-way leave the answers of others whole, and are no failure of the server", async () => {
  await using registry = await serveRegistry();
  const blobs = Array.from({ length: 4 }, (_, seed) => makeBytes(4_000_000 + seed, seed + 1));
  const paths: string[] = [];
  for (const bytes of blobs) {
    const digest = sha256Digest(bytes, nodeEngine);
    const pushed = await registry.request("POST", `/v2/team/app/blobs/uploads/?digest=${digest}`, bytes);
    assert.equal(pushed.status, 201);
    paths.push(`/v2/team/app/blobs/${digest}`);
  }
  await Promise.all(
    Array.from({ length: 48 }, async (_, index) => {
      const path = paths[index % 4]!;
      if (index % 2 === 0) {
        const answer = await registry.request("GET", path);
        assert.ok(answer.bytes.equals(blobs[index % 4]!));
        return;
      }
      const request = get(`${registry.url}${path}`);
      const [response] = (await once(request, "response")) as [NodeJS.ReadableStream];
      await once(response, "data");
      request.on("error", () => undefined);
      request.destroy();
    }),
  );
  const whole = await registry.request("GET", paths[0]!);
  assert.ok(whole.bytes.equals(blobs[0]!));
  assert.deepEqual(registry.failures, []);
});
