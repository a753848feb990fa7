import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { PolicyError } from "@signet/core";
import { MAX_YAML_BYTES, plainValue, readYaml, yamlFailure } from "./yaml-reader.ts";

const fail = yamlFailure("t.yaml", "policy-tests-malformed");
const read = (text: string): unknown => plainValue(readYaml(new TextEncoder().encode(text), fail));

function failsAt(place: string, problem: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof PolicyError, String(error));
    assert.equal(error.code, "policy-tests-malformed");
    assert.ok(error.message.startsWith(`t.yaml${place === "" ? "" : `:${place}`}: `), error.message);
    assert.match(error.message, problem);
    return true;
  };
}

describe("the strict reader of YAML", () => {
  test("reads what YAML 1.2's core schema says, and JSON", () => {
    assert.deepEqual(read("a: 1\nb: [x, 'y', true, null]\nc: {d: no}\n"), {
      a: 1,
      b: ["x", "y", true, null],
      c: { d: "no" },
    });
    assert.deepEqual(read('{"a": {"b": ["\\u00e9"]}}'), { a: { b: ["é"] } });
    assert.equal(read(""), null);
  });

  test("a member called __proto__ is a member", () => {
    const value = read("__proto__: {x: 1}") as object;
    assert.deepEqual(Object.keys(value), ["__proto__"]);
    assert.equal("x" in value, false);
  });

  test("an alias is what it stands for", () => {
    assert.deepEqual(read("a: &x {b: 1}\nc: *x\n"), { a: { b: 1 }, c: { b: 1 } });
  });

  const refused: readonly (readonly [what: string, text: string, place: string, problem: RegExp])[] = [
    ["a key that stands twice", "a: 1\nb: 2\n  \na: 3\n", "4:1", /"a" stands here twice/],
    ["a key that is a list", "? [a]\n: 1\n", "1:3", /plain text/],
    ["a merge key", "a: &x {b: 1}\nc:\n  <<: *x\n", "3:3", /merge keys/],
    ["an anchor that contains itself", "a: &x [*x]\n", "1:8", /no anchor "x" before/],
    ["an unknown anchor", "a: *y\n", "1:4", /no anchor|Unresolved alias|unknown/i],
    ["a tag", "a: !secret x\n", "1:", /tag/i],
    ["a second document", "a: 1\n---\nb: 2\n", "2:1", /a second document begins here/],
    ["bad indentation", "a:\n - b\n  - c: d\n e\n", "", /./],
    ["an open quote", 'a: "b\n', "", /quote/],
  ];
  for (const [what, text, place, problem] of refused) {
    test(`${what} is refused with its place`, () => {
      assert.throws(() => read(text), place === "" ? PolicyError : failsAtPrefix(place, problem));
    });
  }

  function failsAtPrefix(place: string, problem: RegExp): (error: unknown) => true {
    return (error) => {
      assert.ok(error instanceof PolicyError);
      assert.ok(error.message.startsWith(`t.yaml:${place}`), error.message);
      assert.match(error.message, problem);
      return true;
    };
  }

  test("what is not text, or too large, is refused", () => {
    assert.throws(() => readYaml(Uint8Array.of(0x61, 0xff), fail), failsAt("", /UTF-8/));
    assert.throws(() => readYaml(new Uint8Array(MAX_YAML_BYTES + 1), fail), failsAt("", /limit/));
  });

  test("aliases of aliases and deep nesting end with an error, not with the memory", () => {
    const levels = Array.from({ length: 12 }, (_, level) =>
      level === 0
        ? "l0: &l0 [1,1,1,1,1,1,1,1,1,1]"
        : `l${level}: &l${level} [${Array(10)
            .fill(`*l${level - 1}`)
            .join(",")}]`,
    );
    assert.throws(() => read(levels.join("\n")), /more than 100000 values/);
    assert.throws(() => read("[".repeat(70) + "]".repeat(70)), /nested more than 64/);
    assert.throws(() => read("[".repeat(20_000)), PolicyError);
  });

  test("nothing but a PolicyError is thrown for any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from("ab:- \n[]{}&*!<'\"#?|>%\t,1")) }), (text) => {
        try {
          read(text);
        } catch (error) {
          assert.ok(error instanceof PolicyError, `${JSON.stringify(text)}: ${String(error)}`);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
