import assert from "node:assert/strict";
import { chmodSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { makeSeededRandom, makeTempDir } from "@signet/testkit";
import { collect, describeBlobStore } from "./blob-store-contract.testing.ts";
import type { UploadState } from "./blob-store.ts";
import { openFilesystemStore } from "./filesystem.ts";
import { isTestBlob, makeBytes } from "./test-blob.testing.ts";

describeBlobStore("filesystem", { largeSize: 2_500_000 }, (t) => {
  const dir = makeTempDir("signet-blobs-");
  t.after(() => dir.dispose());
  return Promise.resolve({
    open: () => openFilesystemStore(dir.join("store")),
    countLeftovers: () => Promise.resolve(readdirSync(dir.join("store", "uploads")).length),
  });
});

test("the folders and files of blobs are for the server alone, and a second opening changes nothing", async () => {
  using dir = makeTempDir("signet-blobs-");
  const store = await openFilesystemStore(dir.join("a", "store"));
  const location = await store.finish(await store.append(await store.begin(), one(makeBytes(5, 1))));
  await openFilesystemStore(dir.join("a", "store"));
  const path = dir.join("a", "store", "blobs", location.slice(0, 2), location);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(dir.join("a", "store", "blobs")).mode & 0o777, 0o700);
  assert.equal(readdirSync(dir.join("a", "store", "blobs")).length, 256);
});

test("a link in the place of a blob is not followed, and files of other names are no blobs", async () => {
  using dir = makeTempDir("signet-blobs-");
  const store = await openFilesystemStore(dir.path);
  writeFileSync(dir.join("secret"), "secret");
  const location = "0".repeat(32);
  symlinkSync(dir.join("secret"), dir.join("blobs", "00", location));
  writeFileSync(dir.join("blobs", "00", "README"), "text");
  writeFileSync(dir.join("blobs", "00", "1".repeat(32)), "in the wrong folder");
  writeFileSync(dir.join("uploads", "lost"), "text");
  await assert.rejects(store.open(location), { code: "blob-store-unusable" });
  const listed = [];
  for await (const { location: found } of store.list()) listed.push(found);
  assert.deepEqual(listed, []);
  assert.equal(await store.removeStaleUploads(new Date(Date.now() + 1e9), () => Promise.resolve(false)), 0);
});

test("a finish whose answer was lost gives the same place again", async () => {
  using dir = makeTempDir("signet-blobs-");
  const store = await openFilesystemStore(dir.path);
  const state = await store.append(await store.begin(), one(makeBytes(100, 2)));
  const location = await store.finish(state);
  assert.equal(await store.finish(state), location);
  const other = await openFilesystemStore(dir.path);
  assert.equal(await other.finish(state), location);
  assert.deepEqual(await collect(await other.open(location)), Buffer.from(makeBytes(100, 2)));
});

test("a folder that is none, or may not be written to, is said to be unusable", async (t) => {
  using dir = makeTempDir("signet-blobs-");
  writeFileSync(dir.join("file"), "");
  await assert.rejects(openFilesystemStore(dir.join("file", "store")), { code: "blob-store-unusable", hint: /folder/ });
  const store = await openFilesystemStore(dir.join("store"));
  rmSync(dir.join("store", "uploads"), { recursive: true });
  await assert.rejects(store.ping(), { code: "blob-store-unusable" });
  await assert.rejects(store.append(await store.begin(), one(makeBytes(1, 1))), { code: "blob-store-unusable" });
  if (process.getuid?.() === 0) return t.diagnostic("root may write everywhere");
  chmodSync(dir.join("store"), 0o500);
  await assert.rejects(openFilesystemStore(dir.join("store")), { code: "blob-store-unusable" });
});

/** Times that the writer is killed: each takes a second, most of it for starting. */
const KILLS = 12;

test(`killed ${KILLS} times while it writes, the store has every acknowledged byte, and no half blob`, async () => {
  using dir = makeTempDir("signet-blobs-");
  const random = makeSeededRandom(20_261);
  const whole = new Set<string>();
  let [finished, unfinished] = [0, 0];
  for (let seed = 1; seed <= KILLS; seed += 1) {
    const { locations, state } = await writeAndKill(dir.path, seed, random.integer(12), random.integer(6));
    const store = await openFilesystemStore(dir.path);
    const listed = new Set<string>();
    for await (const { location } of store.list()) {
      listed.add(location);
      if (whole.has(location)) continue;
      assert.ok(isTestBlob(await collect(await store.open(location)), "whole"), `after kill ${seed}: half a blob`);
      whole.add(location);
    }
    for (const location of [...locations, ...whole])
      assert.ok(listed.has(location), `after kill ${seed}: ${location} is lost`);
    finished += locations.length;
    if (state !== undefined) {
      unfinished += 1;
      // Killed after the renaming and before it could say so, the upload is a blob already; finishing it says where.
      const location = await store.finish(state);
      const bytes = await collect(await store.open(location));
      assert.equal(bytes.length, state.received);
      assert.ok(isTestBlob(bytes, "beginning"), `after kill ${seed}: acknowledged bytes of an upload are lost`);
      if (!listed.has(location)) await store.remove(location);
    }
    await store.removeStaleUploads(new Date(Date.now() + 60_000), () => Promise.resolve(false));
    assert.deepEqual(readdirSync(dir.join("uploads")), []);
  }
  assert.ok(finished > 0 && unfinished > 0, "the kills did not hit the writing");
});

/**
 * Starts the writer and kills it after so many lines, and some turns of the event loop more.
 * @returns the blobs that it had acknowledged, and the last state of the upload that it was at
 */
async function writeAndKill(
  folder: string,
  seed: number,
  lines: number,
  turns: number,
): Promise<{ locations: readonly string[]; state: UploadState | undefined }> {
  const program = join(import.meta.dirname, "filesystem-writer.testing.ts");
  const child = spawn(process.execPath, ["--conditions=@signet/source", program, folder, String(seed)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const locations: string[] = [];
  let state: UploadState | undefined;
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    // What was acknowledged before it died counts, also when it is read later.
    const said = JSON.parse(line) as { readonly location?: string; readonly state?: UploadState };
    if (said.location !== undefined) locations.push(said.location);
    state = said.state;
    if (seen++ !== lines) continue;
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    child.kill("SIGKILL");
  }
  await ended;
  return { locations, state };
}

async function* one(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
