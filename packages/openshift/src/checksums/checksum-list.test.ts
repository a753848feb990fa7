import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { makeTempDir, run } from "@signet/testkit";
import { parseChecksumList } from "./checksum-list.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const a = "a".repeat(64);
const b = "b".repeat(64);
const names = (text: string): readonly string[] =>
  parseChecksumList(encode(text), "list").entries.map(({ name }) => name);

void describe("parseChecksumList", () => {
  void it("reads GNU and BSD lines, binary marks, escapes, capitals, empty lines and a missing last line end", () => {
    const text = `${a}  one\n${b} *two words\n\nSHA256 (three (3)) = ${a}\n\\${b}  back\\\\slash\\nline\n${a.toUpperCase()}  sub/four`;
    assert.deepEqual(names(text), ["one", "two words", "three (3)", "back\\slash\nline", "sub/four"]);
    const [first] = parseChecksumList(encode(text), "list").entries;
    assert.deepEqual(first, { name: "one", digest: `sha256:${a}`, line: 1 });
  });

  void it("reads back what sha256sum writes of hostile names", async () => {
    using dir = makeTempDir();
    const hostile = ["plain", "with blanks ", "new\nline", "back\\slash", "(brackets) = x", "*star"];
    for (const name of hostile) writeFileSync(dir.join(name), name);
    for (const form of [[], ["--tag"], ["--binary"]]) {
      const { stdout, status } = await run("sha256sum", [...form, "--", ...hostile], { cwd: dir.path });
      assert.equal(status, 0);
      assert.deepEqual(names(stdout), hostile, form.join());
    }
  });

  void it("takes CR LF with a warning, and one name twice with the same checksum", () => {
    const { entries, warnings } = parseChecksumList(encode(`${a}  one\r\n${a}  one\r\n`), "list");
    assert.equal(entries.length, 1);
    assert.match(warnings.join(), /CR LF/);
  });

  void it("refuses names that lead elsewhere, contradictions, other lines, and a list of nothing", () => {
    for (const [text, message] of [
      [`${a}  /etc/passwd`, /list:1: .*is absolute/],
      [`${a}  ok\n${a}  x/../../y`, /list:2: .*leads out/],
      [`${a}  ..`, /leads out/],
      [`${a}  dir/`, /is not a file's/],
      [`${a}  .`, /is not a file's/],
      [`${a}  nul\0`, /NUL/],
      [`\\${a}  bad\\x`, /unknown escape/],
      [`${a}  one\n${b}  one`, /list:2: "one" stands here and in line 1/],
      [`${a.slice(1)}  short`, /expected/],
      [`${a} one`, /expected/],
      ["<!DOCTYPE html>", /expected/],
      ["\n\n", /lists no file/],
      ["", /lists no file/],
    ] as const) {
      assert.throws(() => names(text), { code: "checksum-list-malformed", message }, text);
    }
    assert.throws(() => parseChecksumList(new Uint8Array(5 * 1024 * 1024), "list"), { code: "input-too-large" });
    assert.throws(() => parseChecksumList(Uint8Array.of(0xff), "list"), { message: /UTF-8/ });
  });
});
