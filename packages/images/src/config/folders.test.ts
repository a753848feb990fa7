import assert from "node:assert/strict";
import { chmodSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { makeTempDir } from "@signet/testkit";
import { makeFolders } from "./folders.ts";

test("a folder is made with those above it, once or again, also behind links, and by many at once", async () => {
  using dir = makeTempDir("signet-folders-");
  await makeFolders(dir.join("a/b/c"), 0o700);
  assert.equal(statSync(dir.join("a/b")).mode & 0o777, 0o700);
  chmodSync(dir.join("a"), 0o755);
  await makeFolders(dir.join("a/b/c"), 0o700);
  assert.equal(statSync(dir.join("a")).mode & 0o777, 0o755);
  symlinkSync("a", dir.join("link"));
  await makeFolders(dir.join("link"));
  await makeFolders(dir.join("link/d/"));
  assert.ok(statSync(dir.join("a/d")).isDirectory());
  await Promise.all(Array.from({ length: 20 }, () => makeFolders(dir.join("x/y/z"))));
  await makeFolders("/");
});

test("where none can be made the system's reason is told, and it ends", { timeout: 10_000 }, async () => {
  using dir = makeTempDir("signet-folders-");
  writeFileSync(dir.join("file"), "");
  symlinkSync("nowhere/at/all", dir.join("broken"));
  await assert.rejects(makeFolders(dir.join("file")), { code: "EEXIST" });
  await assert.rejects(makeFolders(dir.join("file/a")), { code: "ENOTDIR" });
  await assert.rejects(makeFolders(dir.join("broken")));
  for (const path of ["/proc/nope", "/proc/nope/a/b"]) await assert.rejects(makeFolders(path), { code: "ENOENT" });
});
