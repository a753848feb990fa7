import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { SignetError, parseReference } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { fileTreeHost } from "./host-environment.ts";
import { placeInTree } from "./file-tree.ts";
import { resolveInTree } from "./rooted-path.ts";
import { lookasideBase } from "./registries-d-lookup.ts";
import { loadRegistriesD } from "./registries-d.ts";

describe("a path of another machine", () => {
  test("lies below the tree, whatever leads out of it", () => {
    using dir = makeTempDir();
    assert.equal(resolveInTree(dir.path, "/etc/keys/a.gpg"), dir.join("etc/keys/a.gpg"));
    assert.equal(resolveInTree(dir.path, "keys/a.gpg"), dir.join("keys/a.gpg"));
    assert.equal(resolveInTree(dir.path, "/../../etc/shadow"), dir.join("etc/shadow"));
    assert.equal(resolveInTree(dir.path, "/a/../../../etc/./shadow"), dir.join("etc/shadow"));
  });

  test("follows symbolic links as they would be followed there", () => {
    using dir = makeTempDir();
    mkdirSync(dir.join("etc"));
    mkdirSync(dir.join("usr/share/keys"), { recursive: true });
    symlinkSync("/usr/share/keys", dir.join("etc/keys"));
    symlinkSync("../../../../../../etc/passwd", dir.join("usr/share/keys/out.gpg"));
    symlinkSync("real.gpg", dir.join("usr/share/keys/link.gpg"));
    symlinkSync("/loop", dir.join("loop"));
    assert.equal(resolveInTree(dir.path, "/etc/keys/a.gpg"), dir.join("usr/share/keys/a.gpg"));
    assert.equal(resolveInTree(dir.path, "/etc/keys/link.gpg"), dir.join("usr/share/keys/real.gpg"));
    assert.equal(resolveInTree(dir.path, "/etc/keys/out.gpg"), dir.join("etc/passwd"));
    assert.throws(
      () => resolveInTree(dir.path, "/loop/x"),
      (error) => error instanceof SignetError && error.code === "file-unreadable",
    );
  });
});

test("the stores of another machine lie below its tree, those on the web stay where they are", async () => {
  using dir = makeTempDir();
  mkdirSync(dir.join("etc/containers/registries.d"), { recursive: true });
  writeFileSync(
    dir.join("etc/containers/registries.d/a.yaml"),
    "docker:\n  a.example.com: {lookaside: 'file:///srv/my%20sig'}\n  b.example.com: {lookaside: 'https://sig.example.com/x'}\n",
  );
  const config = placeInTree(await loadRegistriesD({ host: fileTreeHost(dir.path) }), dir.path);
  const folderOf = (name: string): string | undefined =>
    lookasideBase(config, parseReference(name), "read").base.folder;
  assert.equal(folderOf("a.example.com/x:1"), dir.join("srv/my sig"));
  assert.equal(folderOf("c.example.com/x:1"), dir.join("var/lib/containers/sigstore"));
  assert.equal(
    lookasideBase(config, parseReference("b.example.com/x:1"), "read").base.label,
    "https://sig.example.com/x",
  );
});
