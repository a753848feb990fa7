import assert from "node:assert/strict";
import { test } from "node:test";
import { DocumentPlaces, formatJsonPath } from "./document-places.ts";

const places = (text: string): DocumentPlaces => new DocumentPlaces(new TextEncoder().encode(text));

test("values and names are found by line and column, which counts characters", () => {
  const document = places('{\n  "ä": {"x/\\"y": [1, "zwölf"]}\n}\n');
  assert.deepEqual(document.range(["ä"], "key"), { line: 2, column: 3, endLine: 2, endColumn: 6 });
  assert.deepEqual(document.range(["ä", 'x/"y'], "key"), { line: 2, column: 9, endLine: 2, endColumn: 16 });
  assert.deepEqual(document.range(["ä", 'x/"y', 1], "value"), { line: 2, column: 22, endLine: 2, endColumn: 29 });
  assert.deepEqual(document.range([], "value"), { line: 1, column: 1, endLine: 3, endColumn: 2 });
});

test("of what is not there, the nearest thing above it that is", () => {
  const document = places('{\n"a": {"b": []}}');
  assert.deepEqual(document.range(["a", "none", 3], "value"), document.range(["a"], "value"));
  assert.deepEqual(document.range(["none"], "key"), document.range([], "value"));
});

test("places far into one long line are right, and looking up many is quick work", () => {
  const names = Array.from({ length: 20_000 }, (_, index) => `n${index}`);
  const text = `{${names.map((name) => `"${name}":0`).join(",")}}`;
  const document = places(text);
  for (const name of names) {
    assert.equal(document.range([name], "key").column, text.indexOf(`"${name}"`) + 1);
    if (name === "n200") break;
  }
  for (const name of names) assert.equal(document.range([name], "key").line, 1);
  assert.equal(document.range(["n19999"], "key").column, text.lastIndexOf('"n19999"') + 1);
});

test("paths are written as the parser's messages have them", () => {
  assert.equal(
    formatJsonPath(["transports", "docker", "example.com", 0, "keyPath"]),
    'transports.docker["example.com"][0].keyPath',
  );
});
