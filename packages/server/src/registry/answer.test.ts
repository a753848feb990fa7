import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { buildTestImage, httpPushTarget, pushTestImage, startLoopbackServer } from "@signet/testkit";
import { MAX_JOINED_BYTES, answer, openExchange } from "./answer.ts";
import { serveRegistry } from "./serve.testing.ts";

/** Around what is copied behind the head of an answer, as text, and what is sent by itself, as bytes. */
const sizes: readonly number[] = [256, MAX_JOINED_BYTES - 1, MAX_JOINED_BYTES, MAX_JOINED_BYTES + 1];

/** Every value that a byte can have, again and again. @param size at least 256 for all of them */
function everyByte(size: number): Uint8Array<ArrayBuffer> {
  // Not at the beginning of its memory, as much that comes from databases and pools is not.
  return Uint8Array.from({ length: size + 7 }, (_, index) => (index + 249) & 0xff).subarray(7);
}

/** Every byte that UTF-8 can have but those that JSON escapes, `size` in all, as the rest of a JSON string. */
function everyUtf8Byte(size: number): string {
  const escaped = new Set([0x22, 0x5c]);
  const ascii = Array.from({ length: 96 }, (_, index) => index + 32).filter((code) => !escaped.has(code));
  const two = Array.from({ length: 30 }, (_, index) => 0x80 + index * 64);
  const three = Array.from({ length: 16 }, (_, index) =>
    index === 0 ? 0x8ff : index === 13 ? 0xd7ff : index * 0x1000,
  );
  const four = [0x10000, 0x40fff, 0x80000, 0xc0000, 0x10fffd];
  // Continuation bytes, all 64 of them.
  const tails = Array.from({ length: 64 }, (_, index) => 0xc0 + index);
  const text = [...ascii, ...two, ...three, ...four, ...tails].map((code) => String.fromCodePoint(code)).join("");
  const repeated = text.repeat(Math.floor(size / Buffer.byteLength(text)));
  return repeated + "x".repeat(size - Buffer.byteLength(repeated));
}

void describe("a body comes out as it went in", () => {
  void it("whatever its bytes and its size, and also when it is text", async () => {
    const bodies: readonly (string | Uint8Array<ArrayBuffer>)[] = [
      ...sizes.map(everyByte),
      "",
      "ü\u{1f511}\u0000\u00ff",
    ];
    await using server = await startLoopbackServer((request, response) => {
      const exchange = openExchange(request, response, 0);
      answer(exchange, 200, {}, bodies[Number(exchange.path.slice(1))]);
    });
    for (const [index, body] of bodies.entries()) {
      const sent = await fetch(`${server.url}/${index}`);
      const expected = Buffer.from(body as string);
      assert.equal(sent.headers.get("content-length"), String(expected.length));
      assert.deepEqual(Buffer.from(await sent.arrayBuffer()), expected);
      const head = await fetch(`${server.url}/${index}`, { method: "HEAD" });
      assert.equal(head.headers.get("content-length"), String(expected.length));
      assert.equal((await head.arrayBuffer()).byteLength, 0);
    }
  });

  void it("as a blob", async () => {
    await using registry = await serveRegistry();
    for (const bytes of sizes.map(everyByte)) {
      const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      const { status } = await registry.request("POST", `/v2/a/b/blobs/uploads/?digest=${digest}`, bytes);
      assert.equal(status, 201);
      // From the store, and from memory.
      for (let turn = 0; turn < 2; turn += 1) {
        const { bytes: found } = await registry.request("GET", `/v2/a/b/blobs/${digest}`);
        assert.deepEqual(new Uint8Array(found), new Uint8Array(bytes));
      }
    }
  });

  void it("as a manifest", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestImage({ format: "oci" });
    await pushTestImage(httpPushTarget(registry.url), "a/b:1", image);
    const manifest = JSON.parse(Buffer.from(image.manifest).toString()) as Record<string, unknown>;
    const write = (note: string): Buffer => Buffer.from(JSON.stringify({ ...manifest, annotations: { note } }));
    const seen = new Set<number>();
    for (const size of [5_000, ...sizes.slice(1)]) {
      const bytes = write(everyUtf8Byte(size - write("").length));
      assert.equal(bytes.length, size);
      for (const byte of bytes) seen.add(byte);
      const headers = { "content-type": image.mediaType };
      assert.equal((await registry.request("PUT", "/v2/a/b/manifests/2", bytes, headers)).status, 201);
      for (let turn = 0; turn < 2; turn += 1)
        assert.deepEqual((await registry.request("GET", "/v2/a/b/manifests/2")).bytes, bytes);
    }
    // Not in UTF-8: c0, c1, f5 to ff. In JSON only as escapes: controls; and nothing here needs a backslash.
    assert.equal(seen.size, 256 - 2 - 11 - 32 - 1);
  });

  void it("as a signature", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestImage();
    await pushTestImage(httpPushTarget(registry.url), "a/b:1", image);
    const now = Date.now();
    const key = await generateKey({ engine: nodeEngine, now, userIds: ["A <a@example.com>"], algorithm: "ed25519" });
    const signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now });
    const sign = async (length: number): Promise<Uint8Array<ArrayBuffer>> => {
      const options = { engine: nodeEngine, now, creator: "ü".repeat(length / 2) + "x".repeat(length % 2) };
      const { bytes } = await createSignature(image.manifest, `${registry.host}/a/b:1`, signer, options);
      return new Uint8Array(bytes);
    };
    const more = (await sign(12_000)).length - 12_000;
    const lengths: number[] = [];
    const place = `/lookaside/a/b@${image.digest.replace(":", "=")}/signature-`;
    for (const [index, size] of [600, ...sizes.slice(1)].entries()) {
      const bytes = await sign(size - more);
      lengths.push(bytes.length);
      assert.equal((await registry.request("PUT", `${place}${index + 1}`, bytes)).status, 201);
      for (let turn = 0; turn < 2; turn += 1)
        assert.deepEqual(new Uint8Array((await registry.request("GET", `${place}${index + 1}`)).bytes), bytes);
    }
    assert.deepEqual(lengths.slice(1), sizes.slice(1));
  });
});
