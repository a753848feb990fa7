import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Signer, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type TestImage, buildTestImage, httpPushTarget, pushTestImage } from "@signet/testkit";
import { type Answer, type ServedRegistry, serveRegistry } from "./serve.testing.ts";

interface Bench extends AsyncDisposable {
  readonly registry: ServedRegistry;
  readonly image: TestImage;
  readonly path: string;
  /** A signature of the image, a new one each time. */
  sign(image?: TestImage): Promise<Uint8Array>;
  put(object: unknown): Promise<Answer>;
  list(): Promise<{ readonly name: string; readonly type: string; readonly content: string }[]>;
}

const now = Date.now();

async function setUp(): Promise<Bench> {
  const registry = await serveRegistry();
  const image = await buildTestImage();
  await pushTestImage(httpPushTarget(registry.url), "ns/app:v1", image);
  const key = await generateKey({ engine: nodeEngine, now, userIds: ["A <a@example.com>"], algorithm: "ed25519" });
  const signer: Signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now });
  const path = `/extensions/v2/ns/app/signatures/${image.digest}`;
  let second = 0;
  return {
    registry,
    image,
    path,
    sign: async (of = image) => {
      second += 1;
      const options = { engine: nodeEngine, now: now + second * 1_000, creator: "test" };
      return (await createSignature(of.manifest, `${registry.host}/ns/app:v1`, signer, options)).bytes;
    },
    put: async (object) =>
      await registry.request("PUT", path, typeof object === "string" ? object : JSON.stringify(object)),
    list: async () => {
      const { text } = await registry.request("GET", path);
      return (JSON.parse(text) as { signatures: { name: string; type: string; content: string }[] }).signatures;
    },
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  };
}

const hex = "cddeb7006d914716e2728000746a0b23";
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

void describe("a signature put at the extension", () => {
  void it("is listed as it came, by the name it was given", async () => {
    await using bench = await setUp();
    assert.deepEqual(await bench.list(), []);
    const content = base64(await bench.sign());
    const name = `${bench.image.digest}@${hex}`;
    const answer = await bench.put({ schemaVersion: 2, name, type: "atomic", content });
    assert.deepEqual([answer.status, answer.text], [201, ""]);
    const { headers, text } = await bench.registry.request("GET", bench.path);
    assert.equal(headers.get("content-type"), "application/json; charset=utf-8");
    assert.deepEqual(JSON.parse(text), { signatures: [{ schemaVersion: 2, name, type: "atomic", content }] });
  });

  void it("may be written as the documentation has it, without a type, or as a Go program would read it", async () => {
    await using bench = await setUp();
    const { digest } = bench.image;
    const objects = [
      { version: 2, name: `${digest}@${"a".repeat(32)}`, type: "atomic", content: base64(await bench.sign()) },
      { schemaVersion: 2, name: `${digest}@${"b".repeat(32)}`, content: base64(await bench.sign()) },
      {
        SchemaVersion: 2,
        Name: `${digest}@${"c".repeat(64)}`,
        type: "AtomicImageV1",
        CONTENT: base64(await bench.sign()),
      },
      {
        schemaVersion: 2,
        version: 1,
        name: `${digest}@short`,
        type: null,
        content: base64(await bench.sign()).replace(/.{60}/g, "$&\r\n"),
        more: { ignored: true },
      },
    ];
    for (const object of objects) assert.equal((await bench.put(object)).status, 201, JSON.stringify(object));
    // On the wire all are what clients understand.
    assert.deepEqual(
      (await bench.list()).map((one) => one.type),
      ["atomic", "atomic", "atomic", "atomic"],
    );
  });

  void it("exists only once, by name and by content", async () => {
    await using bench = await setUp();
    const { digest } = bench.image;
    const content = base64(await bench.sign());
    const object = { schemaVersion: 2, name: `${digest}@${hex}`, type: "atomic", content };
    assert.equal((await bench.put(object)).status, 201);
    for (const again of [
      object,
      { ...object, name: `${digest}@${"d".repeat(32)}` },
      { ...object, content: base64(await bench.sign()) },
    ]) {
      const answer = await bench.put(again);
      assert.deepEqual([answer.status, answer.code], [409, "SIGNATURE_EXISTS"]);
    }
    assert.equal((await bench.list()).length, 1);
  });

  void it("is refused with the reason when it is malformed, and about another image", async () => {
    await using bench = await setUp();
    const { digest } = bench.image;
    const other = await buildTestImage({ seed: 9 });
    const good = { schemaVersion: 2, name: `${digest}@${hex}`, type: "atomic", content: base64(await bench.sign()) };
    const cases: Readonly<Record<string, readonly [body: unknown, detail: RegExp]>> = {
      "no JSON": ["{", /signature/],
      "more after the object": [`${JSON.stringify(good)}{}`, /signature/],
      "a member twice": [JSON.stringify(good).replace("{", '{"Name":"x",'), /occurs twice/],
      "a list": [[good], /not an object/],
      "another version": [{ ...good, schemaVersion: 1 }, /schemaVersion=2/],
      "no version": [{ ...good, schemaVersion: undefined }, /schemaVersion=2/],
      "another type": [{ ...good, type: "cosign" }, /type/],
      "a name without @": [{ ...good, name: digest }, /imageName/],
      "a name that is a path": [{ ...good, name: `${digest}@../x` }, /imageName/],
      "the name of another image": [{ ...good, name: `${other.digest}@${hex}` }, /another image/],
      "no content": [{ ...good, content: undefined }, /content/],
      "empty content": [{ ...good, content: "" }, /empty/],
      "no base64": [{ ...good, content: "@@@" }, /base64/],
      "URL-safe base64": [{ ...good, content: "_-__" }, /base64/],
      "no OpenPGP": [{ ...good, content: base64(Buffer.from("<html>")) }, /OpenPGP/],
      "a signature of another image": [{ ...good, content: base64(await bench.sign(other)) }, /another image/],
      "bytes after the message": [
        { ...good, content: base64(Buffer.concat([await bench.sign(), Buffer.from("x")])) },
        /follow|OpenPGP/,
      ],
    };
    for (const [name, [body, detail]] of Object.entries(cases)) {
      const answer = await bench.put(body);
      assert.deepEqual([name, answer.status, answer.code], [name, 400, "SIGNATURE_INVALID"]);
      assert.match(answer.text, detail, name);
    }
    assert.deepEqual(await bench.list(), []);
    assert.deepEqual(bench.registry.failures, []);
  });

  void it("needs its image in this repository", async () => {
    await using bench = await setUp();
    const other = await buildTestImage({ seed: 9 });
    const object = { schemaVersion: 2, name: `${other.digest}@${hex}`, content: base64(await bench.sign(other)) };
    const path = bench.path.replace(bench.image.digest, other.digest);
    const answer = await bench.registry.request("PUT", path, JSON.stringify(object));
    assert.deepEqual([answer.status, answer.text], [404, ""]);
    const read = await bench.registry.request("GET", path);
    assert.deepEqual([read.status, read.text], [404, ""]);
  });

  void it("is removed by its name; old clients see 405 for every method that they do not know", async () => {
    await using bench = await setUp();
    const name = `${bench.image.digest}@${hex}`;
    await bench.put({ schemaVersion: 2, name, content: base64(await bench.sign()) });
    for (const method of ["DELETE", "POST", "OPTIONS"]) {
      assert.equal((await bench.registry.request(method, bench.path)).status, 405, method);
    }
    assert.equal((await bench.registry.request("DELETE", `${bench.path}/other`)).status, 404);
    assert.equal((await bench.registry.request("DELETE", `${bench.path}/${hex}`)).status, 204);
    assert.deepEqual(await bench.list(), []);
  });

  void it("is too much when clients could not read them all any more", async () => {
    await using bench = await setUp();
    for (let index = 0; index < 128; index += 1) {
      const name = `${bench.image.digest}@${String(index).padStart(32, "0")}`;
      const answer = await bench.put({ schemaVersion: 2, name, content: base64(await bench.sign()) });
      assert.equal(answer.status, 201);
    }
    const object = { schemaVersion: 2, name: `${bench.image.digest}@${hex}`, content: base64(await bench.sign()) };
    assert.deepEqual([(await bench.put(object)).status, (await bench.list()).length], [409, 128]);
  });

  void it("keeps its place as others come", async () => {
    await using bench = await setUp();
    const contents: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      const content = base64(await bench.sign());
      contents.push(content);
      await bench.put({ schemaVersion: 2, name: `${bench.image.digest}@${index}${hex}`, content });
      assert.deepEqual(
        (await bench.list()).map((one) => one.content),
        contents,
      );
    }
  });
});
