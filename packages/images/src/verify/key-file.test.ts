import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import { describe, it } from "node:test";
import { SignetError } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { readKeyFile } from "./key-file.ts";

function codeOf(path: string): string {
  try {
    readKeyFile(path);
  } catch (error) {
    assert.ok(error instanceof SignetError, String(error));
    assert.ok(error.message.includes(path), error.message);
    return error.code;
  }
  return "read";
}

describe("readKeyFile", () => {
  it("reads a file whole, by its absolute path or from the working directory", (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const content = Buffer.alloc(100_000, "key");
    writeFileSync(dir.join("k"), content);
    assert.ok(content.equals(readKeyFile(dir.join("k"))));
    assert.ok(content.equals(readKeyFile(relative(process.cwd(), dir.join("k")))));
    writeFileSync(dir.join("empty"), "");
    assert.equal(readKeyFile(dir.join("empty")).length, 0);
    assert.ok(readKeyFile("/proc/self/status").length > 100);
  });

  it("T13: refuses what is missing, no file, or too large, and does not wait for a pipe", (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    assert.equal(codeOf(dir.join("missing")), "file-missing");
    assert.equal(codeOf(dir.path), "file-unreadable");
    assert.equal(codeOf("/dev/zero"), "file-unreadable");
    execFileSync("mkfifo", [dir.join("pipe")]);
    assert.equal(codeOf(dir.join("pipe")), "file-unreadable");
    writeFileSync(dir.join("large"), "");
    truncateSync(dir.join("large"), 16 * 1024 * 1024);
    assert.equal(codeOf(dir.join("large")), "read");
    truncateSync(dir.join("large"), 16 * 1024 * 1024 + 1);
    assert.equal(codeOf(dir.join("large")), "input-too-large");
  });
});
