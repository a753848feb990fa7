/** Readings that another process overtakes: between the look at what a path serves and the query for its content the repository moves on. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeTempDir } from "@signet/testkit";
import { openFilesystemStore } from "../blobs/filesystem.ts";
import { openSqlite } from "../db/sqlite.ts";
import { pushImage } from "../trust/trust.testing.ts";
import { serveRegistry } from "./serve.testing.ts";

const mover = fileURLToPath(new URL("move-tag.testing.ts", import.meta.url));

test("a tag that another process moves within the turn of the event loop in which it is read is found where it is then", async (t) => {
  const folder = makeTempDir("signet-changed-");
  const file = folder.join("signet.db");
  const database = await openSqlite(file);
  const blobs = await openFilesystemStore(folder.join("blobs"));
  t.after(async () => {
    await blobs.close();
    await database.close();
    folder.dispose();
  });
  const before = await pushImage(database, "team/app", 1);
  let move: (() => void) | undefined;
  // SQLite answers within a turn: only what holds the turn up, as the other process does here, comes between.
  const overtaken = new Proxy(database, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== "turnMark") return typeof value === "function" ? (value.bind(target) as unknown) : value;
      return () => {
        const mark = target.turnMark();
        move?.();
        move = undefined;
        return mark;
      };
    },
  });
  await using registry = await serveRegistry(() => true, {}, { database: overtaken, blobs });
  const read = async (path: string): Promise<readonly unknown[]> => {
    const answer = await registry.request("GET", `/v2/team/app/${path}`);
    return [answer.status, answer.text];
  };
  // What the path serves is known from here on, and the tag's answer is not kept.
  assert.equal((await read(`manifests/${before.digest}`))[0], 200);
  let moved = "";
  move = () => {
    moved = execFileSync(process.execPath, ["--conditions=@signet/source", mover, file, "team/app", "2"]).toString();
  };
  const [status, text] = await read("manifests/1");
  assert.deepEqual([status, text], [200, moved]);
  assert.notEqual(moved, Buffer.from(before.bytes).toString());
  assert.deepEqual(await read("manifests/1"), [200, moved]);
  assert.deepEqual(registry.failures, []);
});
