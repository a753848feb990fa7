import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { FormatError, PolicyError, SignetError } from "@signet/core";
import fc from "fast-check";
import { MAX_REGISTRIES_D_FILE_BYTES, type RegistriesDFile, parseRegistriesDFile } from "./registries-d-file.ts";

interface FileVectors {
  readonly wellformed: readonly { text: string; sections: readonly string[]; warnings?: number }[];
  readonly malformed: readonly { text: string; line: number; error: string }[];
}

const vectors = JSON.parse(
  readFileSync(new URL("../../../../vectors/registries-d/files.json", import.meta.url), "utf8"),
) as FileVectors;

function parse(text: string): RegistriesDFile {
  return parseRegistriesDFile(new TextEncoder().encode(text), "/etc/x.yaml");
}

function parseError(text: string): SignetError {
  try {
    parse(text);
  } catch (error) {
    assert.ok(error instanceof SignetError, `not a SignetError: ${String(error)}`);
    return error;
  }
  assert.fail("it parsed");
}

describe("parseRegistriesDFile", () => {
  for (const { text, sections, warnings } of vectors.wellformed) {
    it(`reads ${JSON.stringify(text)}`, () => {
      const file = parse(text);
      const names = file.sections.map(({ namespace }) => namespace);
      if (file.defaultSection !== undefined) names.unshift("default-docker");
      assert.deepEqual(names, sections);
      assert.equal(file.warnings.length, warnings ?? 0, file.warnings.join("\n"));
    });
  }

  for (const { text, line, error: expected } of vectors.malformed) {
    it(`refuses ${JSON.stringify(text)}, naming the line`, () => {
      const error = parseError(text);
      assert.ok(error instanceof PolicyError);
      assert.equal(error.code, "registries-d-malformed");
      assert.ok(error.message.startsWith(`/etc/x.yaml:${line}: `), error.message);
      assert.ok(error.message.toLowerCase().includes(expected.toLowerCase()), error.message);
      assert.equal(error.details["file"], "/etc/x.yaml");
    });
  }

  it("keeps file and line of each value", () => {
    const { sections } = parse("docker:\n  h:\n    use-sigstore-attachments: yes\n\n    lookaside: file:///x\n");
    assert.deepEqual(sections, [
      {
        namespace: "h",
        file: "/etc/x.yaml",
        line: 2,
        urls: { lookaside: { value: "file:///x", line: 5 } },
        useSigstoreAttachments: { value: true, line: 3 },
      },
    ]);
  });

  it("lets a mapping's own keys win over merged ones, and earlier merged ones over later", () => {
    const { sections } = parse(
      "a: &a {lookaside: a, sigstore: a}\nb: &b {sigstore: b, lookaside-staging: b}\ndocker: {h: {<<: [*a, *b], lookaside: own}}\n",
    );
    const values = Object.entries(sections[0]!.urls).map(([key, { value }]) => [key, value]);
    assert.deepEqual(Object.fromEntries(values), { lookaside: "own", sigstore: "a", "lookaside-staging": "b" });
  });

  it("takes a redefined anchor as it stands before the alias", () => {
    const { sections } = parse(
      "one: &x {lookaside: 'file:///1'}\ndocker:\n  a: *x\n  b: &x {lookaside: 'file:///2'}\n  c: *x\n",
    );
    assert.deepEqual(
      sections.map(({ urls }) => urls.lookaside?.value),
      ["file:///1", "file:///2", "file:///2"],
    );
  });

  it("says which unknown key it passes over, and which it knows", () => {
    const { warnings } = parse("docker:\n  h:\n    lookasid: file:///x\n");
    assert.match(
      warnings[0]!,
      /^\/etc\/x\.yaml:3: unknown key "lookasid" in docker\.h is ignored; known are lookaside,/,
    );
  });

  it("refuses text that is not UTF-8, and files beyond the limit", () => {
    assert.throws(
      () => parseRegistriesDFile(new Uint8Array([0x23, 0xff]), "/etc/x.yaml"),
      (error) => error instanceof PolicyError && /not UTF-8/.test(error.message),
    );
    assert.throws(
      () => parseRegistriesDFile(new Uint8Array(MAX_REGISTRIES_D_FILE_BYTES + 1).fill(0x20), "/etc/x.yaml"),
      (error) => error instanceof FormatError && error.code === "input-too-large",
    );
  });

  it("T13: ends with an error, not with memory or time, on alias bombs and deep nesting", () => {
    let bomb = "a0: &a0 {lookaside: x}\n";
    for (let i = 1; i <= 40; i++) bomb += `a${i}: &a${i} {<<: [*a${i - 1}, *a${i - 1}]}\n`;
    assert.match(parseError(`${bomb}docker: {h: *a40}\n`).message, /more than 1000 aliases/);
    // The same bomb without merge keys is never unfolded: only what is asked for is looked at.
    let unread = "a0: &a0 [x]\n";
    for (let i = 1; i <= 40; i++) unread += `a${i}: &a${i} [${`*a${i - 1},`.repeat(9)}]\n`;
    assert.equal(parse(`${unread}docker: {h: {}}\n`).sections.length, 1);
    for (const hostile of ["[", "{a: ", "- ", "? ", "&a ", "!a ", ",", '"', "%a\n"])
      assert.equal(parseError(hostile.repeat(100_000 / hostile.length)).code, "registries-d-malformed");
  });

  it("throws nothing but its own errors on mutated files", () => {
    const seeds = [...vectors.wellformed, ...vectors.malformed].map(({ text }) => text).filter((text) => text !== "");
    const pieces = [
      "*x",
      "&x ",
      "<<: ",
      "docker:",
      "\n  ",
      "{",
      "}",
      "[",
      "]",
      ": ",
      "'",
      '"',
      "#",
      "---\n",
      "\t",
      "!!str ",
      "| ",
      "~",
      "\0",
      "é",
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(200), fc.nat(5), fc.constantFrom(...pieces)), { maxLength: 6 }),
        (seed, edits) => {
          let text = seed;
          for (const [at, cut, piece] of edits) {
            const place = at % (text.length + 1);
            text = text.slice(0, place) + piece + text.slice(place + cut);
          }
          try {
            const file = parse(text);
            const names = file.sections.map(({ namespace }) => namespace);
            assert.equal(new Set(names).size, names.length);
          } catch (error) {
            assert.ok(error instanceof PolicyError, `${JSON.stringify(text)}: ${String((error as Error).stack)}`);
          }
        },
      ),
      { numRuns: 2000, seed: 20261121 },
    );
  });
});
