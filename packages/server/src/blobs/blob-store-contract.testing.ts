/** What every blob store must do, as tests: run it once for each with {@link describeBlobStore}. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type TestContext, describe, it } from "node:test";
import { StoreError } from "@signet/core";
import type { BlobStore, UploadState } from "./blob-store.ts";
import { makeBytes } from "./test-blob.testing.ts";

/** One place for blobs, empty. */
export interface BlobStoreUnderTest {
  /** A store on that place, as another process would open it. The suite closes it. */
  open(): Promise<BlobStore>;
  /** What is left of uploads: files, parts and multipart uploads that no listing of blobs names. */
  countLeftovers(): Promise<number>;
}

export interface BlobStoreTraits {
  /** Bytes above which the store works in another way, such as in parts; sizes around it are tried. */
  readonly largeSize: number;
}

/** @param make skips the test and returns undefined where a tool is missing; cleans up by itself */
export function describeBlobStore(
  label: string,
  { largeSize }: BlobStoreTraits,
  make: (t: TestContext) => Promise<BlobStoreUnderTest | undefined>,
): void {
  const check = (
    title: string,
    body: (place: BlobStoreUnderTest, store: BlobStore, t: TestContext) => Promise<void>,
  ): void => {
    it(title, async (t) => {
      const place = await make(t);
      if (place === undefined) return;
      const opened: BlobStore[] = [];
      const open = async (): Promise<BlobStore> => {
        const store = await place.open();
        opened.push(store);
        return store;
      };
      try {
        await body({ ...place, open }, await open(), t);
      } finally {
        for (const store of opened) await store.close();
      }
    });
  };

  describe(`blob store: ${label}`, () => {
    check("keeps blobs of every size whole, wherever they are cut on the way", async (place, store) => {
      const locations = new Map<string, Uint8Array>();
      for (const size of [0, 1, 65_536, 1_000_003, largeSize - 1, largeSize, largeSize + 1, 2 * largeSize + 77]) {
        const bytes = makeBytes(size, size);
        const state = await store.append(await store.begin(), cut(bytes, 60_000));
        assert.equal(state.received, size);
        assert.equal(hash(await collect(store.readUpload(state))), hash(bytes));
        locations.set(await store.finish(state), bytes);
      }
      const other = await place.open();
      for (const [location, bytes] of locations) {
        assert.equal(await other.size(location), bytes.length);
        assert.equal(hash(await collect(await other.open(location))), hash(bytes));
      }
      const listed = new Map<string, number>();
      for await (const { location, size, modifiedAt } of other.list()) {
        assert.ok(Math.abs(modifiedAt.getTime() - Date.now()) < 600_000);
        listed.set(location, size);
      }
      assert.equal(listed.size, locations.size);
      for (const [location, bytes] of locations) assert.equal(listed.get(location), bytes.length);
      assert.equal(await place.countLeftovers(), 0);
    });

    check("a blob without any append is empty", async (_place, store) => {
      const location = await store.finish(await store.begin());
      assert.equal(await store.size(location), 0);
      assert.equal((await collect(await store.open(location))).length, 0);
    });

    check("goes on in another process after every step, and an abandoned step leaves nothing behind", async (place) => {
      const bytes = makeBytes(3 * largeSize + 5, 1);
      let state = await (await place.open()).begin();
      const steps = [1, 999_999, largeSize, largeSize - 1_000_000, largeSize + 5];
      let done = 0;
      for (const step of steps) {
        // What was appended after the saved state, by a process that then died, must not be in the blob.
        const dead = await place.open();
        await dead.append(state, cut(makeBytes(step + 100_000, 99), 50_000));
        const store = await place.open();
        state = await store.append(state, cut(bytes.subarray(done, done + step), 70_000));
        done += step;
        assert.equal(state.received, done);
        state = JSON.parse(JSON.stringify(state)) as UploadState;
      }
      assert.equal(done, bytes.length);
      const last = await place.open();
      assert.equal(hash(await collect(last.readUpload(state))), hash(bytes));
      const location = await last.finish(state);
      assert.equal(hash(await collect(await last.open(location))), hash(bytes));
      await last.removeStaleUploads(new Date(Date.now() + 60_000), () => Promise.resolve(false));
      assert.equal(await place.countLeftovers(), 0);
    });

    check("fifty small appends make one blob, in one process and in turns of three", async (place, store) => {
      for (const stores of [[store], [store, await place.open(), await place.open()]]) {
        const bytes = makeBytes(50 * 70_001, 2);
        let state = await store.begin();
        for (let index = 0; index < 50; index += 1) {
          const part = bytes.subarray(index * 70_001, (index + 1) * 70_001);
          state = await stores[index % stores.length]!.append(state, cut(part, 70_001));
        }
        const location = await stores.at(-1)!.finish(state);
        assert.equal(hash(await collect(await store.open(location))), hash(bytes));
      }
    });

    check("a source that fails half-way changes nothing, and its own error comes through", async (_place, store) => {
      const head = makeBytes(300_000, 3);
      const tail = makeBytes(largeSize + 1, 4);
      for (const size of [10, 1_500_000, largeSize + 1_000_000]) {
        const first = await store.append(await store.begin(), cut(head, 65_536));
        await assert.rejects(store.append(first, failing(makeBytes(size, 5))), /the client went away/);
        await assert.rejects(store.append(first, failing(makeBytes(size, 5))), /the client went away/);
        const whole = await store.append(first, cut(tail, 65_536));
        const location = await store.finish(whole);
        assert.equal(hash(await collect(await store.open(location))), hash(Buffer.concat([head, tail])));
      }
      const begun = await store.begin();
      await assert.rejects(store.append(begun, failing(makeBytes(10, 5))), /the client went away/);
      assert.equal(await store.size(await store.finish(begun)), 0);
    });

    check("gives up uploads, once and again, whatever their size", async (place, store) => {
      for (const size of [0, 1, largeSize + 1]) {
        const state = await store.append(await store.begin(), cut(makeBytes(size, 6), 65_536));
        await store.abort(state);
        await store.abort(state);
        // One that never had a byte leaves nothing to miss.
        if (size > 0) await assert.rejects(store.finish(state), isError("blob-missing"));
      }
      await store.abort(await store.begin());
      assert.equal(await place.countLeftovers(), 0);
      for await (const { location } of store.list()) assert.fail(`${location} is left`);
    });

    check("reads every range, and is left alone by who stops in the middle", async (_place, store) => {
      const bytes = makeBytes(largeSize + 1_000, 7);
      const location = await save(store, bytes);
      const end = bytes.length - 1;
      for (const [first, last] of [
        [0, 0],
        [0, end],
        [end, end],
        [1, 65_536],
        [largeSize - 5, largeSize + 5],
      ] as const) {
        const read = await collect(await store.open(location, { first, last }));
        assert.equal(hash(read), hash(bytes.subarray(first, last + 1)), `${first}-${last}`);
      }
      for (let times = 0; times < 30; times += 1) {
        const stream = await store.open(location);
        for await (const chunk of stream) {
          assert.ok((chunk as Uint8Array).length > 0);
          break;
        }
        if (!stream.closed) await new Promise((resolve) => stream.on("error", () => undefined).once("close", resolve));
        (await store.open(location)).on("error", () => undefined).destroy();
      }
    });

    check("says what is missing, and removes it without a word", async (_place, store) => {
      const location = await save(store, makeBytes(10, 8));
      await store.remove(location);
      await store.remove(location);
      assert.equal(await store.size(location), undefined);
      await assert.rejects(store.open(location), isError("blob-missing"));
      await assert.rejects(store.open(location, { first: 0, last: 3 }), isError("blob-missing"));
    });

    check("two blobs of the same bytes have places of their own", async (_place, store) => {
      const bytes = makeBytes(1_000, 9);
      const [one, other] = [await save(store, bytes), await save(store, bytes)];
      assert.notEqual(one, other);
      await store.remove(one);
      assert.equal(hash(await collect(await store.open(other))), hash(bytes));
    });

    check("takes nothing for a place or a state that it did not make", async (_place, store) => {
      const good = await store.append(await store.begin(), cut(makeBytes(10, 10), 10));
      for (const location of hostileLocations) {
        const calls = [store.open(location), store.size(location), store.remove(location), store.presign(location, 60)];
        for (const result of await Promise.allSettled(calls)) assert.ok(isRefused(result), `${location} was taken`);
      }
      for (const details of hostileDetails(good.details)) {
        const state = { received: good.received, details };
        const calls = [store.append(state, cut(new Uint8Array(1), 1)), store.finish(state), store.abort(state)];
        for (const result of await Promise.allSettled([...calls, collect(store.readUpload(state))]))
          assert.ok(isRefused(result), `${details} was taken`);
      }
      for (const received of [-1, 9, 11, 1.5, Number.NaN, 2 ** 60])
        await assert.rejects(
          store.append({ ...good, received }, cut(new Uint8Array(1), 1)),
          isError("blob-place-malformed"),
        );
      assert.equal(await store.size(await store.finish(good)), 10);
    });

    check(
      "refuses a second request on an upload while one is at work, and loses nothing of the first",
      async (_place, store) => {
        const first = await store.append(await store.begin(), cut(makeBytes(100, 11), 100));
        const { promise: gate, resolve: release } = Promise.withResolvers<void>();
        const slow = store.append(first, slowly([makeBytes(100_000, 12), makeBytes(100_000, 13)], gate));
        await assert.rejects(store.append(first, cut(makeBytes(5, 14), 5)), isError("store-busy"));
        await assert.rejects(store.finish(first), isError("store-busy"));
        await assert.rejects(store.abort(first), isError("store-busy"));
        release();
        const location = await store.finish(await slow);
        const expected = Buffer.concat([makeBytes(100, 11), makeBytes(100_000, 12), makeBytes(100_000, 13)]);
        assert.equal(hash(await collect(await store.open(location))), hash(expected));
      },
    );

    check("of two processes on one upload, none changes what the other was told is safe", async (place) => {
      const [one, other] = [await place.open(), await place.open()];
      const begun = await one.begin();
      const [a, b] = [makeBytes(400_000, 15), makeBytes(300_000, 16)];
      const [byOne, byOther] = await Promise.all([
        one.append(begun, cut(a, 65_536)),
        other.append(begun, cut(b, 65_536)),
      ]);
      // An older state again, in the process that has gone on: as when a request is repeated whose answer was lost.
      const again = await one.append(begun, cut(makeBytes(400_000, 17), 65_536));
      assert.equal(again.received, 400_000);
      assert.equal(hash(await collect(one.readUpload(byOne))), hash(a));
      assert.equal(hash(await collect(one.readUpload(byOther))), hash(b));
      const locations = [await one.finish(byOne), await other.finish(byOther)];
      assert.equal(hash(await collect(await other.open(locations[0]!))), hash(a));
      assert.equal(hash(await collect(await one.open(locations[1]!))), hash(b));
    });

    check(
      "a request that is repeated on an older state changes no byte that was acknowledged",
      async (_place, store) => {
        const head = makeBytes(100_000, 30);
        const first = await store.append(await store.begin(), cut(head, 65_536));
        const [a, b] = [makeBytes(200_000, 31), makeBytes(150_000, 32)];
        const byFirst = await store.append(first, cut(a, 65_536));
        const repeated = await store.append(first, cut(b, 65_536));
        assert.equal(repeated.received, 250_000);
        await assert.rejects(store.append(first, failing(b)), /the client went away/);
        const location = await store.finish(byFirst);
        assert.equal(hash(await collect(await store.open(location))), hash(Buffer.concat([head, a])));
      },
    );

    check(
      "a blob that one process has finished is not changed by another that is still appending",
      async (place, store) => {
        const head = makeBytes(100_000, 33);
        const first = await store.append(await store.begin(), cut(head, 65_536));
        const { promise: gate, resolve: release } = Promise.withResolvers<void>();
        const slow = store.append(first, slowly([makeBytes(2_000_000, 34), makeBytes(2_000_000, 35)], gate));
        const other = await place.open();
        const location = await other.finish(first);
        assert.equal(hash(await collect(await other.open(location))), hash(head));
        release();
        // It may have lost what it went on from, or not; its own state was never saved.
        await slow.catch(() => undefined);
        assert.equal(hash(await collect(await other.open(location))), hash(head));
      },
    );

    check("many uploads at once stay apart", async (_place, store) => {
      const all = Array.from({ length: 24 }, (_, index) => makeBytes(200_000 + index, 100 + index));
      const locations = await Promise.all(all.map((bytes) => save(store, bytes)));
      assert.equal(new Set(locations).size, all.length);
      const read = await Promise.all(locations.map(async (location) => collect(await store.open(location))));
      assert.deepEqual(read.map(hash), all.map(hash));
    });

    check("removes the leftovers of forgotten uploads, and only those", async (place, store) => {
      const kept = await store.append(await store.begin(), cut(makeBytes(largeSize + 10, 20), 65_536));
      const forgotten = await store.append(await store.begin(), cut(makeBytes(largeSize + 10, 21), 65_536));
      const blob = await save(store, makeBytes(10, 22));
      const isKnown = (mark: string): Promise<boolean> => Promise.resolve(kept.details.includes(mark));
      const [past, future] = [new Date(Date.now() - 600_000), new Date(Date.now() + 600_000)];
      const other = await place.open();
      assert.equal(await other.removeStaleUploads(past, () => Promise.resolve(false)), 0);
      assert.ok((await other.removeStaleUploads(future, isKnown)) > 0);
      assert.equal(await other.removeStaleUploads(future, isKnown), 0);
      await assert.rejects(store.finish(forgotten), isError("blob-missing"));
      assert.equal(await store.size(await store.finish(kept)), largeSize + 10);
      assert.equal(await store.size(blob), 10);
      assert.equal(await place.countLeftovers(), 0);
    });

    check("answers when asked whether it can be used, and leaves nothing of that", async (place, store) => {
      await store.ping();
      assert.equal(await place.countLeftovers(), 0);
      for await (const { location } of store.list()) assert.fail(`${location} is left`);
    });
  });
}

const hostileLocations: readonly string[] = [
  "",
  ".",
  "..",
  "../../etc/passwd",
  "/etc/passwd",
  "blobs/00",
  `${"0".repeat(31)}/`,
  `${"0".repeat(32)}\n`,
  `${"0".repeat(32)}/..`,
  "0".repeat(33),
  "A".repeat(32),
  `${"0".repeat(31)}\0`,
  `%2e%2e%2f${"0".repeat(23)}`,
  "0".repeat(1_000_000),
];

/** What somebody might have put into the database in the place of `good`. */
function hostileDetails(good: string): readonly string[] {
  const upload = /[0-9a-f]{32}/.exec(good)![0];
  return [
    "",
    "{",
    "null",
    "[]",
    "7",
    '"text"',
    "{}",
    " ".repeat(3_000_000),
    ...["../../../../etc/passwd", "/etc", "..", "", "A".repeat(32), `${upload}/..`].map((name) =>
      good.replaceAll(upload, name),
    ),
    good.replace("[", '["x",'),
    good.replace(/\b10\b/, "-10"),
    good.replace(/\b10\b/, "11"),
    good.replace(/\b10\b/, '"10"'),
    good.replace(/\b10\b/, "1e400"),
  ];
}

function isRefused(result: PromiseSettledResult<unknown>): boolean {
  return result.status === "rejected" && isError("blob-place-malformed")(result.reason);
}

function isError(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof StoreError, String(error));
    assert.equal(error.code, code, error.message);
    assert.ok(error.hint !== undefined && error.hint !== "");
    return true;
  };
}

async function save(store: BlobStore, bytes: Uint8Array): Promise<string> {
  return store.finish(await store.append(await store.begin(), cut(bytes, 65_536)));
}

async function* cut(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

/** All but the last at once, the last when the gate opens. */
async function* slowly(chunks: readonly Uint8Array[], gate: Promise<void>): AsyncIterable<Uint8Array> {
  yield* chunks.slice(0, -1);
  await gate;
  yield* chunks.slice(-1);
}

async function* failing(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield* cut(bytes, 65_536);
  throw new Error("the client went away");
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

function hash(bytes: Uint8Array): string {
  return `${bytes.length} ${createHash("sha256").update(bytes).digest("hex")}`;
}
