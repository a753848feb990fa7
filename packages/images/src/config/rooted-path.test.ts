import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { test } from "node:test";
import { StoreError } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { resolveInRoot } from "./rooted-path.ts";

test("links inside a tree are followed as its own system would, and nothing leads out of it", async () => {
  using dir = makeTempDir();
  mkdirSync(dir.join("root/usr/share"), { recursive: true });
  mkdirSync(dir.join("root/etc"));
  symlinkSync("/usr/share", dir.join("root/etc/absolute"));
  symlinkSync("../usr/share", dir.join("root/etc/relative"));
  symlinkSync("../../../../..", dir.join("root/etc/up"));
  symlinkSync("absolute/x", dir.join("root/etc/chain"));
  symlinkSync("loop", dir.join("root/etc/loop"));
  const root = dir.join("root");
  const found = (path: string): Promise<string> => resolveInRoot(root, path);
  assert.equal(await found("/etc/absolute/key"), dir.join("root/usr/share/key"));
  assert.equal(await found("/etc/relative/key"), dir.join("root/usr/share/key"));
  assert.equal(await found("/etc/chain"), dir.join("root/usr/share/x"));
  assert.equal(await found("/etc/up/key"), dir.join("root/key"));
  assert.equal(await found("/../../key"), dir.join("root/key"));
  assert.equal(await found("no/such/../key"), dir.join("root/no/key"));
  await assert.rejects(
    found("/etc/loop/key"),
    (error) => error instanceof StoreError && /too many levels/.test(error.message),
  );
});

test("without a root a path stays as it is", async () => {
  assert.equal(await resolveInRoot(undefined, "../x"), "../x");
});
