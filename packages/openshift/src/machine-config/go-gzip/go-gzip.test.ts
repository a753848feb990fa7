import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { makeSeededRandom } from "@signet/testkit";
import { gzipAsGo } from "./go-gzip.ts";

const vectors = join(import.meta.dirname, "../../../../../vectors/machineconfig");

interface Row {
  readonly kind: "text" | "runs" | "noise";
  readonly bytes: number;
  readonly seed: number;
  readonly length: number;
  readonly sha256: string;
}

/** The contents that the vectors speak of: lines that resemble each other, short repetitions, or nothing that repeats. */
function makeContent({ kind, bytes, seed }: Pick<Row, "kind" | "bytes" | "seed">): Uint8Array {
  const random = makeSeededRandom(seed);
  const content = new Uint8Array(bytes);
  if (kind === "noise") return random.bytes(bytes);
  if (kind === "runs") {
    for (let at = 0; at < bytes; at++)
      content[at] = at > 50 && random.integer(3) > 0 ? content[at - 1 - random.integer(50)]! : random.integer(200);
    return content;
  }
  const lines: string[] = [];
  for (let length = 0; length < bytes; length += lines.at(-1)!.length)
    lines.push(`key${random.integer(100)}: value-${random.integer(1000)} ${"x".repeat(random.integer(20))}\n`);
  return new TextEncoder().encode(lines.join("")).slice(0, bytes);
}

const { rows } = JSON.parse(readFileSync(join(vectors, "go-gzip.json"), "utf8")) as { readonly rows: readonly Row[] };

test("gzip has the bytes of Go's compress/gzip: of empty, tiny, stored, fixed and dynamic blocks, and beyond a window; zlib reads it", () => {
  assert.ok(rows.length > 70);
  for (const row of rows) {
    const content = makeContent(row);
    const zipped = gzipAsGo(content);
    const found = { length: zipped.length, sha256: createHash("sha256").update(zipped).digest("hex") };
    assert.deepEqual(found, { length: row.length, sha256: row.sha256 }, JSON.stringify(row));
    assert.ok(gunzipSync(zipped).equals(content));
  }
});

test("the data URL in Butane's own documents is made again from its content", () => {
  const url = readFileSync(join(vectors, "butane-genuine-gzip-dataurl.txt"), "utf8").trim();
  const zipped = Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
  assert.deepEqual(Buffer.from(gzipAsGo(gunzipSync(zipped))), zipped);
});
