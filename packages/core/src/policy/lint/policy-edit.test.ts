import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePolicy } from "../policy-document.ts";
import type { PolicyEdit } from "./lint.ts";
import { editPolicy } from "./policy-edit.ts";

const requirements = (count: number): string => {
  return Array.from({ length: count }, (_, index) => {
    return `{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k${index}"}`;
  }).join(" ,\n  ");
};

function edit(text: string, edits: readonly PolicyEdit[]): string {
  return new TextDecoder().decode(editPolicy(new TextEncoder().encode(text), edits).bytes);
}

/** Which keys are left of a list of four, after every choice of removals. */
for (let choice = 0; choice < 16; choice++) {
  const removed = [0, 1, 2, 3].filter((index) => (choice >> index) % 2 === 1);
  test(`removing ${removed.length === 0 ? "nothing" : `items ${removed.join(", ")}`} leaves the others, and the text around`, () => {
    const before = `{ "default": [ ${requirements(4)} ]\t}\n`;
    const after = edit(
      before,
      removed.map((index) => ({ kind: "remove", path: ["default", index] })),
    );
    assert.ok(after.startsWith('{ "default": [ ') && after.endsWith(" ]\t}\n"), after);
    const policy = parsePolicy(new TextEncoder().encode(after));
    // A list from which everything would go stays whole: an empty one is no policy.
    const left = removed.length === 4 ? [0, 1, 2, 3] : [0, 1, 2, 3].filter((index) => !removed.includes(index));
    assert.deepEqual(
      policy.default.map((requirement) => (requirement.type === "signedBy" ? requirement.keys : undefined)),
      left.map((index) => ({ kind: "files", paths: [`/k${index}`] })),
    );
  });
}

test("names and values are exchanged where they stand, also names that are written with escapes", () => {
  const before = '{"transports":{"docker":{"b\\u0075sy\\"box":[{"type":"reject"}]}},"default":[{"type":"reject"}]}';
  const path = ["transports", "docker", 'busy"box'];
  const after = edit(before, [
    { kind: "rename", path, key: 'a"b' },
    { kind: "replace", path: [...path, 0, "type"], value: "insecureAcceptAnything" },
  ]);
  assert.equal(
    after,
    '{"transports":{"docker":{"a\\"b":[{"type":"insecureAcceptAnything"}]}},"default":[{"type":"reject"}]}',
  );
});

test("an edit inside something that goes away is left out, and one that leads nowhere too", () => {
  const before = `{"default":[${requirements(2)}]}`;
  const { applied } = editPolicy(new TextEncoder().encode(before), [
    { kind: "replace", path: ["default", 1, "keyPath"], value: "/x" },
    { kind: "remove", path: ["default", 1] },
    { kind: "replace", path: ["default", 7, "keyPath"], value: "/x" },
    { kind: "rename", path: ["transports", "docker", "x"], key: "y" },
  ]);
  assert.deepEqual(
    applied.map(({ kind }) => kind),
    ["remove"],
  );
});
