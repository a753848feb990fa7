import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cleanDocument, cleanJson, cleanText } from "./clean-text.ts";

test("control characters become visible escapes", () => {
  const cases: readonly [string, string][] = [
    ["\u001b[31mred\u001b[0m", "\\x1b[31mred\\x1b[0m"],
    ["\u009b31m", "\\x9b31m"],
    ["a\nb\r\tc", "a\\nb\\r\\tc"],
    ["\u0000\u007f\b", "\\x00\\x7f\\x08"],
    ["user\u202egpj.exe", "user\\u202egpj.exe"],
    ["\u2066x\u2069", "\\u2066x\\u2069"],
    ["zero\u200bwidth", "zero\\u200bwidth"],
    ["\u2028\ufeff", "\\u2028\\ufeff"],
    ["\u{e0041}", "\\u{e0041}"],
    ["\ud800", "\\ud800"],
  ];
  for (const [text, expected] of cases) assert.equal(cleanText(text), expected);
});

test("text that people write stays as it is", () => {
  for (const text of ["", "Grüße, 你好, 🔏, עברית", "a\\x1b b", "…", "é"]) assert.equal(cleanText(text), text);
});

test("nothing that is left can move a cursor or reorder text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.doesNotMatch(cleanText(text), /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/);
    }),
  );
});

test("a cleaned JSON document still means the same", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: "binary" }), (value, text) => {
      const document = cleanJson(JSON.stringify({ value, text }, undefined, 2));
      assert.deepEqual(JSON.parse(document), JSON.parse(JSON.stringify({ value, text })));
      assert.doesNotMatch(document, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e]/);
    }),
  );
});

test("a document keeps its lines and tabs, and nothing else of that kind", () => {
  assert.equal(cleanDocument("{\n\t\u001b]0;x\u0007}\n"), "{\n\t\\x1b]0;x\\x07}\n");
});
