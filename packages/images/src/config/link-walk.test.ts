/** Links that are followed by hand lead where the system itself would go. */
import assert from "node:assert/strict";
import { lstatSync, mkdirSync, realpathSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeSeededRandom, makeTempDir } from "@signet/testkit";
import { errnoOf } from "./file-error.ts";
import { resolveInTree } from "./rooted-path.ts";
import { followTreePath } from "./tree-path.ts";

/** Trees that are tried, each with some paths. */
const TREES = 60;
const PATHS = 25;

/** What the system says of a path: where it leads, or why nowhere. */
function ask(path: string): { readonly place?: string; readonly code?: string | undefined } {
  try {
    return { place: realpathSync.native(path) };
  } catch (error) {
    return { code: errnoOf(error) };
  }
}

/** True when a link on the way of `path` leads to nothing, and not merely its end is missing. */
function isLedAstray(path: string, top: string): boolean {
  const parts = path.slice(top.length + 1).split("/");
  const prefixes = parts.map((_, index) => join(top, ...parts.slice(0, index + 1)));
  return prefixes.some((prefix) => {
    const stats = lstatSync(prefix, { throwIfNoEntry: false });
    return stats?.isSymbolicLink() === true && ask(prefix).place === undefined;
  });
}

test("on this machine a path leads where the system says, through links of every kind, missing ones and circles", async () => {
  const random = makeSeededRandom(41);
  const names = ["a", "b", "c", "d"];
  const seen = { found: 0, missing: 0, circle: 0 };
  for (let index = 0; index < TREES; index += 1) {
    using dir = makeTempDir("signet-walk-");
    const top = realpathSync.native(dir.path);
    const folders = [top];
    const pathOf = (length: number): string => Array.from({ length }, () => random.pick(names)).join("/");
    for (let made = 0; made < 12; made += 1) {
      const place = join(random.pick(folders), random.pick(names));
      const steps = Array.from({ length: 1 + random.integer(3) }, () => random.pick([...names, "..", "."])).join("/");
      // Some lead above the tree; the system says of those, too, where that is.
      const target = random.pick([`${top}/${pathOf(1 + random.integer(2))}`, steps]);
      try {
        if (random.integer(3) > 0) {
          mkdirSync(place);
          folders.push(place);
        } else symlinkSync(target, place);
      } catch (error) {
        assert.equal(errnoOf(error), "EEXIST");
      }
    }
    for (let tried = 0; tried < PATHS; tried += 1) {
      const path = join(top, pathOf(1 + random.integer(4)));
      const { place, code } = ask(path);
      const strict = await followTreePath(path, undefined).catch((error: unknown) => error as Error & { code: string });
      if (place !== undefined) {
        seen.found += 1;
        assert.ok(!(strict instanceof Error), path);
        assert.deepEqual([strict.path, strict.stats?.isDirectory()], [place, true], path);
        assert.equal(resolveInTree("/", path), place);
      } else if (code === "ELOOP") {
        seen.circle += 1;
        assert.ok(strict instanceof Error && /too many levels/.test(strict.message), path);
        assert.throws(() => resolveInTree("/", path), { code: "file-unreadable" });
      } else {
        seen.missing += 1;
        assert.equal(code, "ENOENT");
        if (strict instanceof Error) assert.equal(strict.code, "file-missing");
        assert.equal(strict instanceof Error, isLedAstray(path, top), path);
      }
    }
  }
  assert.ok(seen.found > 200 && seen.missing > 200 && seen.circle > 10, JSON.stringify(seen));
});

test("as many links are followed as the system follows", async () => {
  using dir = makeTempDir("signet-walk-");
  const top = realpathSync.native(dir.path);
  mkdirSync(join(top, "link-0"));
  for (let link = 1; link <= 41; link += 1) symlinkSync(`link-${link - 1}`, join(top, `link-${link}`));
  for (const last of ["link-40", "link-41"]) {
    const path = join(top, last);
    const { place, code } = ask(path);
    assert.equal(code, last === "link-40" ? undefined : "ELOOP");
    if (place === undefined) {
      await assert.rejects(followTreePath(path, undefined), /too many levels/);
      assert.throws(() => resolveInTree("/", path), /too many levels/);
    } else {
      assert.equal((await followTreePath(path, undefined)).path, place);
      assert.equal(resolveInTree("/", path), place);
    }
  }
});

test("the root is its own place, however it is written", async () => {
  using dir = makeTempDir("signet-walk-");
  for (const path of ["/", "/..", ""]) {
    assert.equal((await followTreePath(path, dir.path)).path, dir.path);
    assert.equal(resolveInTree(dir.path, path), dir.path);
  }
});
