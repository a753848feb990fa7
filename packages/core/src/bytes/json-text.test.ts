import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { writeJsonString } from "./json-text.ts";
import { foldMemberName } from "./member-name.ts";

test("strings are escaped as Go's encoder does it, with HTML's specials and the line separators", () => {
  assert.equal(writeJsonString('a"b\\c'), '"a\\"b\\\\c"');
  assert.equal(writeJsonString("<a>&\u2028\u2029"), '"\\u003ca\\u003e\\u0026\\u2028\\u2029"');
  assert.equal(writeJsonString("\b\f\n\r\t\u0000\u001f\u007f"), '"\\b\\f\\n\\r\\t\\u0000\\u001f\u007f"');
  assert.equal(writeJsonString("é 漢 😀"), '"é 漢 😀"');
});

test("a lone surrogate is written as the replacement character, a pair as it stands", () => {
  assert.equal(writeJsonString("a\ud800b"), '"a\\ufffdb"');
  assert.equal(writeJsonString("\udc00\ud83d\ude00"), '"\\ufffd😀"');
});

test("every well-formed text survives writing and reading", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      assert.equal(JSON.parse(writeJsonString(text)), text.toWellFormed());
    }),
  );
});

test("member names fold as Go's decoder folds them", () => {
  assert.equal(foldMemberName("mediaType"), foldMemberName("MEDIATYPE"));
  assert.equal(foldMemberName("layer\u017f"), foldMemberName("layers"));
  assert.equal(foldMemberName("\u212ay"), foldMemberName("ky"));
  assert.notEqual(foldMemberName("layérs"), foldMemberName("layÉrs"));
  assert.notEqual(foldMemberName("layers"), foldMemberName("layer"));
});
