import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FormatError } from "@signet/core";
import { type DocumentText, MAX_DOCUMENT_BYTES, splitDocuments } from "./document-stream.ts";

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

async function split(text: string, size = text.length || 1): Promise<readonly (readonly [number, string])[]> {
  const found: DocumentText[] = [];
  for await (const document of splitDocuments(pieces(Buffer.from(text), size), "c")) found.push(document);
  return found.map(({ line, bytes }) => [line, Buffer.from(bytes).toString("utf8")]);
}

const fails = (text: string, message: RegExp): Promise<void> =>
  assert.rejects(split(text), (error: unknown) => error instanceof FormatError && message.test(error.message));

void describe("splitDocuments", () => {
  const json = ' \n{"a": "}{\\"\\\\"}\n\n{\n"b": [{}, "é ]"]}{"c":1}\n';
  const yaml = `# c\n%YAML 1.2\n---\na: 1\n  ---\nb: |\n  ---x\n--- # next\nc: 2\n---\n---\n\n# nothing\n--- {d: 3}\n---x: 4\n---`;

  void it("cuts JSON values out of any stream, whatever its strings hold, with the line of each", async () => {
    const expected = [
      [2, '{"a": "}{\\"\\\\"}'],
      [4, '{\n"b": [{}, "é ]"]}'],
      [5, '{"c":1}'],
    ];
    for (const size of [1, 2, 3, 7, 1000]) assert.deepEqual(await split(json, size), expected, `${size}`);
  });

  void it("cuts YAML at separators alone, in pieces of any size", async () => {
    const whole = await split(yaml);
    assert.deepEqual(
      whole.map(([line]) => line),
      [1, 8, 10],
    );
    assert.equal(whole.map(([, text]) => text).join(""), yaml.replace(/\n---$/, "\n---"));
    for (const size of [1, 2, 3, 4, 5, 11]) assert.deepEqual(await split(yaml, size), whole, `${size}`);
    assert.deepEqual(await split("  a: 1\n  b: 2"), [[1, "  a: 1\n  b: 2"]]);
    assert.deepEqual(await split("\r\n---\r\na: 1\r\n---\r\nb: 1\r\n"), [
      [2, "---\r\na: 1\r\n"],
      [4, "---\r\nb: 1\r\n"],
    ]);
  });

  void it("finds nothing in nothing", async () => {
    for (const text of ["", " \n\t\r\n", "# only a comment\n", "---\n---\n"]) assert.deepEqual(await split(text), []);
  });

  void it("refuses what has no end, stands between values, or is nested without end", async () => {
    await fails('{"a":1', /^c:1: the JSON object that begins at line 1 has no end$/);
    await fails('{}\n\n{"a":"', /^c:3: .*begins at line 3/);
    await fails("{}\n,{}", /^c:2: a JSON object is expected here/);
    await fails("{}\n---\na: 1\n", /^c:2: a JSON object is expected/);
    await fails("{}[]", /a JSON object is expected/);
    await fails(`{"a":${"[".repeat(1000)}`, /nested deeper than 1000 levels/);
  });

  void it("holds no more than one document, and none that is too large", async () => {
    let given = 0;
    const megabyte = Buffer.alloc(1024 * 1024, "x");
    async function* endless(start: string): AsyncGenerator<Uint8Array, void, undefined> {
      yield Buffer.from(start);
      for (;;) {
        given += megabyte.length;
        yield megabyte;
      }
    }
    for (const start of ['{"a":"', "a: "]) {
      given = 0;
      await assert.rejects(
        async () => {
          for await (const document of splitDocuments(endless(start), "c")) assert.fail(`${document.line}`);
        },
        (error: unknown) => error instanceof FormatError && error.code === "input-too-large",
      );
      assert.ok(given <= MAX_DOCUMENT_BYTES + megabyte.length, `${given}`);
    }
  });
});
