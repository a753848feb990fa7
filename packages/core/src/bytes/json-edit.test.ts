import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FormatError, InternalError } from "../errors.ts";
import { editJson, type JsonEdit, type JsonValue } from "./json-edit.ts";
import { type JsonNode, parseJson } from "./strict-json.ts";

test("a member of a four-space document is replaced, and all other text stays", () => {
  const before = `{
    "default": [
        { "type":   "reject" }
    ],
    "n": 1.50e0,
    "transports": {
        "docker": {
            "example.com": [{"type": "reject"}]
        }
    }
}
`;
  assert.equal(
    edit(before, { path: ["transports", "docker", "example.com", 0, "type"], value: "insecureAcceptAnything" }),
    before.replace('[{"type": "reject"}]', '[{"type": "insecureAcceptAnything"}]'),
  );
});

test("a new member stands behind the others, laid out as they are", () => {
  const lines = '{\n  "a": [\n    1\n  ],\n  "b": [\n    2\n  ]\n}\n';
  assert.equal(
    edit(lines, { path: ["c"], value: [3, { d: true }] }),
    '{\n  "a": [\n    1\n  ],\n  "b": [\n    2\n  ],\n  "c": [\n    3,\n    {\n      "d": true\n    }\n  ]\n}\n',
  );
  const short = '{\n\t"a": [1],\n\t"b": [2]\n}';
  assert.equal(edit(short, { path: ["c"], value: [3, 4] }), '{\n\t"a": [1],\n\t"b": [2],\n\t"c": [3, 4]\n}');
  assert.equal(edit('{"a":1}', { path: ["b"], value: { c: [1, 2] } }), '{"a":1,"b":{"c":[1,2]}}');
  assert.equal(edit('{ "a": 1 }', { path: ["b"], value: { c: [1, 2] } }), '{ "a": 1, "b": {"c": [1, 2]} }');
  assert.equal(edit('{"a": 1\n  , "b": 2\n}', { path: ["c"], value: 3 }), '{"a": 1\n  , "b": 2\n  , "c": 3\n}');
});

test("objects and arrays that are missing on the way are made", () => {
  const before = '{\r\n    "default": []\r\n}\r\n';
  assert.equal(
    edit(before, { path: ["transports", "docker", "", 0], value: "x" }),
    '{\r\n    "default": [],\r\n    "transports": {\r\n        "docker": {\r\n            "": [\r\n                "x"\r\n            ]\r\n        }\r\n    }\r\n}\r\n',
  );
  assert.equal(edit("{}", { path: ["a", "b"], value: 1 }), '{\n    "a": {\n        "b": 1\n    }\n}');
  assert.equal(edit('{\n  "a": {}\n}', { path: ["a", "b"], value: 1 }), '{\n  "a": {\n    "b": 1\n  }\n}');
  assert.equal(edit('{"a":{ }}', { path: ["a", "b"], value: 1 }), '{"a":{"b":1}}');
});

test("a member is removed with its comma, wherever it stands", () => {
  const before = '{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}\n';
  assert.equal(edit(before, { path: ["a"], value: undefined }), '{\n  "b": 2,\n  "c": 3\n}\n');
  assert.equal(edit(before, { path: ["b"], value: undefined }), '{\n  "a": 1,\n  "c": 3\n}\n');
  assert.equal(edit(before, { path: ["c"], value: undefined }), '{\n  "a": 1,\n  "b": 2\n}\n');
  assert.equal(edit('{\n  "a": 1\n}\n', { path: ["a"], value: undefined }), "{}\n");
  assert.equal(edit("[1, 2, 3]", { path: [1], value: undefined }), "[1, 3]");
});

test("one edit sees what the ones before it made", () => {
  const edits: JsonEdit[] = [
    { path: [3], value: 4 },
    { path: [0], value: undefined },
    { path: [0], value: "two" },
  ];
  assert.equal(new TextDecoder().decode(editJson(encode("[1, 2, 3]"), edits)), '["two", 3, 4]');
});

test("what is already so leaves the very bytes, in whatever order and spelling the members are", () => {
  const bytes = encode('{"a" : {"x":1.0,"\\u0079":[null,true]}}');
  assert.equal(editJson(bytes, [{ path: ["a"], value: { y: [null, true], x: 1 } }]), bytes);
  assert.equal(editJson(bytes, [{ path: ["b"], value: undefined }]), bytes);
  assert.equal(editJson(bytes, [{ path: ["b", "c", 7], value: undefined }]), bytes);
});

test("the whole document is replaced by the empty path, and cannot be removed", () => {
  assert.equal(edit(' {"a":1}\n', { path: [], value: [] }), " []\n");
  assert.throws(() => edit("{}", { path: [], value: undefined }), InternalError);
});

test("a key that occurs twice on the path is an error that says where; elsewhere it stays", () => {
  assert.throws(
    () => edit('{"a":{"b":1,"\\u0062":2}}', { path: ["a", "b"], value: 3 }),
    (error) =>
      error instanceof FormatError && error.code === "json-malformed" && error.offset === 12 && error.path === "a.b",
  );
  assert.throws(() => edit('{"a":{},"a":{}}', { path: ["a", "new"], value: 3 }), /duplicate key "a"/);
  assert.throws(() => edit('{"a":1,"a":2}', { path: ["a"], value: undefined }), /duplicate key "a"/);
  assert.equal(edit('{"x":1,"x":2,"a":1}', { path: ["a"], value: 2 }), '{"x":1,"x":2,"a":2}');
});

test("a path that does not fit the document is an error, not a change", () => {
  assert.throws(() => edit('{"a":"text"}', { path: ["a", "b"], value: 1 }), /a: object expected, got a string/);
  assert.throws(() => edit('{"a":null}', { path: ["a", "b"], value: 1 }), /a: object expected, got null/);
  assert.throws(() => edit("[]", { path: ["a"], value: 1 }), /the top level: object expected, got an array/);
  assert.throws(() => edit('{"a":[1]}', { path: ["a", 2], value: 1 }), /a\[2\]: the array has 1 items/);
  assert.throws(() => edit('{"a":[1]}', { path: ["a", -1], value: 1 }), /the array has 1 items/);
  assert.throws(() => edit("{}", { path: ["a", 1], value: 1 }), /item 1 of an array that is not there/);
  assert.throws(() => edit("{a}", { path: ["a"], value: 1 }), /document: expected a member name/);
  assert.throws(() => edit("[1]", { path: [0], value: Number.NaN }), InternalError);
});

test("octets that are not UTF-8, escapes and odd numbers outside the edit stay as they are", () => {
  const before = Uint8Array.from([...encode('{"k\\u0065y":"'), 0xff, 0xc3, ...encode('","n":-0.0E+2,"z":1}')]);
  const after = editJson(before, [{ path: ["z"], value: 2 }]);
  assert.deepEqual([...after.subarray(0, -2)], [...before.subarray(0, -2)]);
  assert.equal(after.at(-2), "2".charCodeAt(0));
});

/** A JSON value, the same value written with arbitrary white space, and an edit of it. */
const documents = fc
  .letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom<JsonValue[]>(null, true, false, 0, -1.5, 1e30, "", "é", 'a"\\\n', "\u2028<"),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom("", "a", "b", "docker", "ex.com/é", '"', "__proto__"), tie("value"), {
        maxKeys: 4,
      }),
    ),
  }))
  .value.chain((value) =>
    fc.tuple(fc.constant(value), fc.array(fc.constantFrom("", "", " ", "\n", "\n  ", "\r\n\t"), { minLength: 7 })),
  );

const edits = fc.tuple(
  fc.array(fc.nat(9), { maxLength: 4 }),
  fc.option(fc.jsonValue({ maxDepth: 2 }), { nil: undefined }),
);

test("any edit of any document changes the value as told, and no byte of any other value", () => {
  fc.assert(
    fc.property(documents, edits, ([value, spaces], [choices, written]) => {
      const before = spell(value, spaces);
      const path = choosePath(value, choices, written === undefined);
      if (path.length === 0 && written === undefined) return;
      const after = editJson(before, [{ path, value: written as JsonValue | undefined }]);
      assert.deepEqual(JSON.parse(decode(after)), editValue(JSON.parse(decode(before)) as JsonValue, path, written));
      // After a removal another item may have moved to the path.
      assert.deepEqual(otherScalars(after, written === undefined ? undefined : path), otherScalars(before, path));
      const replaced = findNode(parseJson(before, "test"), path);
      if (replaced === undefined || written === undefined) return;
      assert.equal(decode(after.subarray(0, replaced.start)), decode(before.subarray(0, replaced.start)));
      assert.ok(decode(after).endsWith(decode(before.subarray(replaced.end))));
    }),
    { numRuns: 2000 },
  );
});

test("a member that is added and removed again leaves the document as it was", () => {
  fc.assert(
    fc.property(documents, ([value, spaces]) => {
      if (typeof value !== "object" || value === null || Array.isArray(value) || Object.keys(value).length === 0)
        return;
      const before = spell(value, spaces);
      const added = editJson(before, [{ path: ["new"], value: { x: [1, "y"] } }]);
      assert.notDeepEqual(added, before);
      assert.equal(decode(editJson(added, [{ path: ["new"], value: undefined }])), decode(before));
    }),
  );
});

/** A path into the value, walked by the numbers; for something to be written it may end one step outside. */
function choosePath(value: JsonValue, choices: readonly number[], isRemoval: boolean): (string | number)[] {
  const path: (string | number)[] = [];
  let at: JsonValue | undefined = value;
  for (const choice of choices) {
    if (typeof at !== "object" || at === null) break;
    const outside: string | number = isList(at) ? at.length : "outside";
    const steps: (string | number)[] = isList(at) ? [...at.keys()] : Object.keys(at);
    const step: string | number = steps[choice % (steps.length + 1)] ?? outside;
    if (isRemoval && step === outside) break;
    path.push(step);
    at = (at as Record<string | number, JsonValue>)[step];
  }
  return path;
}

/** The same edit on the value that a plain reader sees. */
function editValue(value: JsonValue, path: readonly (string | number)[], written: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return JSON.parse(JSON.stringify(written));
  if (isList(value)) {
    const items: unknown[] = [...value];
    if (rest.length === 0 && written === undefined) items.splice(step as number, 1);
    else items[step as number] = editValue(items[step as number] as JsonValue, rest, written);
    return items;
  }
  const members = new Map<string, unknown>(Object.entries(value ?? {}));
  if (rest.length === 0 && written === undefined) members.delete(step as string);
  else members.set(step as string, editValue(members.get(step as string) as JsonValue, rest, written));
  return Object.fromEntries(members);
}

/** The text of every scalar but those at and below the path. */
function otherScalars(bytes: Uint8Array, path: readonly (string | number)[] | undefined): string[] {
  const found: string[] = [];
  const visit = (node: JsonNode, at: readonly (string | number)[]): void => {
    if (path?.length === at.length && at.every((step, index) => step === path[index])) return;
    if (node.kind === "array") for (const [index, item] of node.items.entries()) visit(item, [...at, index]);
    else if (node.kind === "object") for (const { key, value } of node.members) visit(value, [...at, key]);
    else found.push(decode(bytes.subarray(node.start, node.end)));
  };
  visit(parseJson(bytes, "test"), []);
  return found;
}

function findNode(node: JsonNode, path: readonly (string | number)[]): JsonNode | undefined {
  let at: JsonNode | undefined = node;
  for (const step of path) {
    if (at?.kind === "array") at = at.items[step as number];
    else if (at?.kind === "object") at = at.members.find(({ key }) => key === step)?.value;
    else return undefined;
  }
  return at;
}

function spell(value: JsonValue, spaces: readonly string[]): Uint8Array {
  let used = 0;
  const space = (): string => spaces[used++ % spaces.length]!;
  const write = (part: JsonValue): string => {
    if (isList(part)) return `[${part.map((item) => `${space()}${write(item)}${space()}`).join(",")}]`;
    if (typeof part !== "object" || part === null) return JSON.stringify(part);
    const members = Object.entries(part).map(
      ([key, item]) => `${space()}${JSON.stringify(key)}${space()}:${space()}${write(item)}${space()}`,
    );
    return `{${members.join(",")}}`;
  };
  return encode(`${space()}${write(value)}${space()}`);
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function edit(text: string, change: JsonEdit): string {
  return decode(editJson(encode(text), [change]));
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
