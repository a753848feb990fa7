import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FormatError } from "../errors.ts";
import { type JsonNode, jsonString, parseJson, strictObject } from "./strict-json.ts";

const encoder = new TextEncoder();
const parse = (text: string | Uint8Array): JsonNode =>
  parseJson(typeof text === "string" ? encoder.encode(text) : text, "test");

/** The plain value of a tree, for comparison with `JSON.parse`. */
function plain(node: JsonNode): unknown {
  switch (node.kind) {
    case "null":
      return null;
    case "array":
      return node.items.map(plain);
    case "object":
      return Object.fromEntries(node.members.map(({ key, value }) => [key, plain(value)]));
    default:
      return node.value;
  }
}

const malformed = (error: unknown): boolean =>
  error instanceof FormatError && error.code === "json-malformed" && error.offset !== undefined;

describe("parseJson refuses", () => {
  const cases = [
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "{,}",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    "{'a':1}",
    "{a:1}",
    '{"a":1 "b":2}',
    "[1 2]",
    "nul",
    "True",
    "NaN",
    "Infinity",
    "+1",
    "01",
    "-",
    "-01",
    ".5",
    "1.",
    "1.e1",
    "1e",
    "1e+",
    "0x1",
    "1e999",
    "-1e999",
    '{"x":[1e999]}',
    '"',
    '"\\"',
    '"\\x"',
    '"\\u12"',
    '"\\u12g4"',
    '"\n"',
    '"\u0000"',
    '"\t"',
    "// c\n1",
    "/* c */1",
    "\uFEFF{}",
    "\u00A0{}",
    "\u000B{}",
    "{}{}",
    "{} x",
    "{}\0",
    "1 1",
    "[1]]",
    '{"a":1}}',
    "[1}",
    '{"a":1]',
    "tru",
    "{1:1}",
    "&",
    "{&}",
    '{"a":&}',
  ];
  for (const text of cases) test(JSON.stringify(text), () => assert.throws(() => parse(text), malformed));

  test("a document over the size limit", () => {
    assert.throws(
      () => parseJson(encoder.encode("[1, 2, 3]"), "test", { maxBytes: 8 }),
      (error: unknown) => error instanceof FormatError && error.code === "input-too-large",
    );
  });
  test("more values than the limit, so that four megabytes of zeros cannot cost hundreds", () => {
    const zeros = `[${"0,".repeat(2_000_000)}0]`;
    assert.throws(() => parse(zeros), /too many values/);
    assert.throws(() => parseJson(encoder.encode("[1,2]"), "test", { maxValues: 2 }), /too many values/);
    assert.equal(parseJson(encoder.encode("[1,2]"), "test", { maxValues: 3 }).kind, "array");
  });
  test("nesting beyond the limit, and allows nesting up to it, without exhausting the stack", () => {
    assert.throws(() => parse("[".repeat(10_001) + "]".repeat(10_001)), /nested deeper than 10000/);
    assert.throws(() => parse('{"a":'.repeat(700_000)), /nested deeper/);
    assert.equal(parse("[".repeat(10_000) + "]".repeat(10_000)).kind, "array");
  });
});

test("parseJson agrees with JSON.parse on every valid document", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), fc.constantFrom(undefined, 1, "\t"), (text, indent) => {
      const pretty = JSON.stringify(JSON.parse(text), undefined, indent);
      assert.deepEqual(plain(parse(pretty)), JSON.parse(pretty));
    }),
    { numRuns: 1000, seed: 11 },
  );
});

test("parseJson accepts exactly the texts that JSON.parse accepts", () => {
  const text = fc.stringMatching(/^[[\]{}",:0-9eE+.\\ntrufals -]{0,12}$/);
  fc.assert(
    fc.property(text, (candidate) => {
      let expected = true;
      try {
        JSON.parse(candidate);
      } catch {
        expected = false;
      }
      let actual = true;
      try {
        parse(candidate);
      } catch (error) {
        assert.ok(malformed(error));
        actual = false;
      }
      if (actual !== expected) assert.match(candidate, /[eE]\+?[0-9]{3,}/, "only numbers out of range may differ");
    }),
    { numRuns: 5000, seed: 13 },
  );
});

test("duplicate members and their order are kept", () => {
  const node = parse('{"b":1,"a":2,"b":3,"\\u0062":4,"__proto__":5}');
  assert.ok(node.kind === "object");
  assert.deepEqual(
    node.members.map((member) => member.key),
    ["b", "a", "b", "b", "__proto__"],
  );
});

test("nodes know their byte offsets", () => {
  const node = parse(' {"é": [1, "x"]} ');
  assert.ok(node.kind === "object");
  assert.deepEqual([node.start, node.end], [1, 17]);
  const [member] = node.members;
  assert.ok(member?.value.kind === "array");
  assert.deepEqual([member.keyStart, member.value.start, member.value.end], [2, 8, 16]);
});

describe("strings", () => {
  const cases: readonly (readonly [string, string])[] = [
    ['"\\u00e9\\n\\/\\""', 'é\n/"'],
    ['"\\ud83d\\ude00"', "😀"],
    ['"\\ud83d"', "\uFFFD"],
    ['"\\ude00\\ud83d"', "\uFFFD\uFFFD"],
    ['"\\ud83dx"', "\uFFFDx"],
    ['"\uFEFFx"', "\uFEFFx"],
    ['"\u007f"', "\u007f"],
  ];
  for (const [json, text] of cases) test(json, () => assert.equal(jsonString(parse(json), "x"), text));

  test("each octet of invalid UTF-8 becomes one U+FFFD", () => {
    const quoted = (...octets: number[]): string => jsonString(parse(Uint8Array.from([0x22, ...octets, 0x22])), "x");
    assert.equal(quoted(0xff), "\uFFFD");
    assert.equal(quoted(0xe2, 0x82), "\uFFFD\uFFFD");
    assert.equal(quoted(0x61, 0xf0, 0x9f, 0x98, 0x62), "a\uFFFD\uFFFD\uFFFDb");
    assert.equal(quoted(0xed, 0xa0, 0x80), "\uFFFD\uFFFD\uFFFD");
    assert.equal(quoted(0xc0, 0x80), "\uFFFD\uFFFD");
    assert.equal(quoted(0xc3, 0xa9, 0xff), "é\uFFFD");
  });
});

describe("strictObject", () => {
  const shape = { required: ["a"], optional: ["b"] };
  test("takes known members", () => {
    assert.deepEqual([...strictObject(parse('{"b":1,"a":2}'), "", shape).keys()], ["b", "a"]);
  });
  const refused: readonly (readonly [string, RegExp])[] = [
    ["1", /JSON object expected, got a number/],
    ["null", /object expected, got null/],
    ["[]", /got an array/],
    ["{}", /key "a" missing/],
    ['{"a":1,"a":2}', /duplicate key "a"/],
    ['{"a":1,"\\u0061":2}', /duplicate key "a"/],
    ['{"a":1,"A":2}', /unknown key "A"/],
    ['{"a":1,"__proto__":2}', /unknown key "__proto__"/],
  ];
  for (const [text, message] of refused)
    test(`refuses ${text}`, () => assert.throws(() => strictObject(parse(text), "", shape), message));

  test("passes over unknown members where told so, but not when they repeat", () => {
    const open = { required: [], allowUnknown: true };
    assert.equal(strictObject(parse('{"x":{"a":1,"a":2},"__proto__":1}'), "optional", open).size, 2);
    assert.throws(() => strictObject(parse('{"x":1,"x":2}'), "optional", open), /optional: duplicate key "x"/);
    const bothInvalid = Uint8Array.from([
      ...encoder.encode('{"'),
      0xff,
      ...encoder.encode('":1,"'),
      0xfe,
      ...encoder.encode('":2}'),
    ]);
    assert.throws(() => strictObject(parse(bothInvalid), "optional", open), /duplicate key/);
  });
});
