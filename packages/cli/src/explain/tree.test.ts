import assert from "node:assert/strict";
import { test } from "node:test";
import { type Piece, treeStyleFor, wrapPieces } from "./tree.ts";

const text = (rows: readonly (readonly Piece[])[]): readonly string[] =>
  rows.map((row) => row.map((piece) => (typeof piece === "string" ? piece : piece.text)).join(""));

test("long lines break at blanks, within the width and without a blank at their end", () => {
  const rows = text(wrapPieces(["one two ", { colour: "red", text: "three four" }, " five"], 9, 0));
  assert.deepEqual(rows, ["one two", "three", "four five"]);
  for (const row of rows) assert.ok(row.length <= 9);
});

test("a word that is longer than the line stays whole, so that it can be copied", () => {
  assert.deepEqual(text(wrapPieces(["at sha256:0123456789abcdef now"], 10, 0)), [
    "at",
    "sha256:0123456789abcdef",
    "now",
  ]);
});

test("further lines leave room for their indentation", () => {
  assert.deepEqual(text(wrapPieces(["aa bb cc dd ee"], 8, 3)), ["aa bb cc", "dd ee"]);
});

test("without a width nothing breaks, and colours stay with their words", () => {
  assert.deepEqual(wrapPieces(["a b ", { colour: "red", text: "c" }], Infinity, 0).length, 1);
  const coloured = wrapPieces([{ colour: "red", text: "aaa bbb" }], 4, 0);
  for (const [piece] of coloured) assert.equal(typeof piece === "string" ? undefined : piece?.colour, "red");
});

test("a terminal gives the width; the locale says whether lines can be drawn", () => {
  assert.equal(treeStyleFor(true, 100, { LANG: "en_US.UTF-8" }).width, 100);
  assert.equal(treeStyleFor(false, 100, {}).width, Infinity);
  assert.equal(treeStyleFor(true, undefined, {}).width, Infinity);
  assert.equal(treeStyleFor(true, 80, { LANG: "C.utf8" }).lines.branch, "├─ ");
  assert.equal(treeStyleFor(true, 80, { LANG: "de_DE.UTF-8", LC_ALL: "C" }).lines.branch, "|- ");
});
