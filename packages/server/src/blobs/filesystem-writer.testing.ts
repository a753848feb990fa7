/**
 * A program for the test that kills it: pushes blob after blob, each in several appends, and prints what was acknowledged, one JSON line each, as soon as it was.
 * Every blob says by its first bytes how long it is and what is in it (see `makeTestBlob`), so that a half one is known wherever it turns up.
 */
import { openFilesystemStore } from "./filesystem.ts";
import { makeTestBlob } from "./test-blob.testing.ts";

const [folder = "", seed = "0"] = process.argv.slice(2);
const store = await openFilesystemStore(folder);
process.stdout.write("{}\n");
for (let index = 0; ; index += 1) {
  const blob = makeTestBlob(Number(seed) * 1_000 + index);
  let state = await store.begin();
  const step = Math.ceil(blob.length / 3);
  for (let start = 0; start < blob.length; start += step) {
    state = await store.append(state, parts(blob.subarray(start, start + step)));
    process.stdout.write(`${JSON.stringify({ state })}\n`);
  }
  const location = await store.finish(state);
  process.stdout.write(`${JSON.stringify({ location })}\n`);
}

async function* parts(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += 65_536) yield bytes.subarray(start, start + 65_536);
}
