import assert from "node:assert/strict";
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { beforeEach, describe, test } from "node:test";
import { makeTempDir, type TempDir } from "@signet/testkit";
import { followTreePath, pathInTree } from "./tree-path.ts";

let folder: TempDir;
let top: string;
beforeEach((t) => {
  folder = makeTempDir();
  (t as { after(action: () => void): void }).after(() => folder.dispose());
  top = realpathSync(folder.path);
  mkdirSync(`${top}/etc/containers`, { recursive: true });
  writeFileSync(`${top}/etc/containers/policy.json`, "{}");
});

describe("paths below a root folder", () => {
  test("are what the system there sees", async () => {
    const place = await followTreePath("/etc/containers/policy.json", top);
    assert.equal(place.path, `${top}/etc/containers/policy.json`);
    assert.equal(place.stats?.isFile(), true);
    assert.equal(place.viaLink, false);
  });

  test("links stay inside: absolute ones begin at the root, and no .. leads out", async () => {
    symlinkSync("/etc/containers", `${top}/conf`);
    symlinkSync("../../../../../../etc/containers/policy.json", `${top}/etc/up`);
    symlinkSync("/conf/policy.json", `${top}/etc/twice`);
    for (const path of ["/conf/policy.json", "/etc/up", "/etc/twice", "/../../etc/containers/policy.json"]) {
      assert.equal((await followTreePath(path, top)).path, `${top}/etc/containers/policy.json`, path);
    }
    // On this machine /etc/passwd exists; in the tree it does not.
    symlinkSync("/etc/passwd", `${top}/etc/containers/key`);
    await assert.rejects(followTreePath("/etc/containers/key", top), {
      code: "file-missing",
      message: /symbolic link/,
    });
  });

  test("what does not exist is told by no stats, unless a link leads to it", async () => {
    const missing = await followTreePath("/usr/share/containers/policy.json", top);
    assert.deepEqual(missing, { path: `${top}/usr/share/containers/policy.json`, stats: undefined, viaLink: false });
    symlinkSync("etc", `${top}/link`);
    assert.equal((await followTreePath("/link/new.json", top)).path, `${top}/etc/new.json`);
    symlinkSync("nowhere/at/all", `${top}/etc/dangling`);
    await assert.rejects(followTreePath("/etc/dangling", top), { code: "file-missing" });
    await assert.rejects(followTreePath("/etc/dangling/below", top), { code: "file-missing" });
  });

  test("a loop is an error, as is a file used as a folder", async () => {
    symlinkSync("loop", `${top}/loop`);
    await assert.rejects(followTreePath("/loop", top), { message: /too many levels of symbolic links/ });
    await assert.rejects(followTreePath("/etc/containers/policy.json/x", top), { message: /not a directory/ });
  });

  test("without a root they are this machine's", async () => {
    symlinkSync(`${top}/etc/containers`, `${top}/conf`);
    assert.equal(
      (await followTreePath(`${top}/conf/policy.json`, undefined)).path,
      `${top}/etc/containers/policy.json`,
    );
  });
});

test("the path as the system below a root sees it", () => {
  assert.equal(pathInTree("/srv/node/etc/x", "/srv/node"), "/etc/x");
  assert.equal(pathInTree("/srv/node", "/srv/node/"), "/");
  assert.equal(pathInTree("/srv/nodes/x", "/srv/node"), undefined);
  assert.equal(pathInTree("/etc/x", "/srv/node"), undefined);
  assert.equal(pathInTree("/srv", "/srv/node"), undefined);
  assert.equal(pathInTree("/srv/node/..x", "/srv/node"), "/..x");
});
