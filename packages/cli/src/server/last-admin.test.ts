import assert from "node:assert/strict";
import { test } from "node:test";
import { makeTempDir } from "@signet/testkit";
import { runSignet } from "../signet-process.ts";
import { startServe } from "./serve-process.testing.ts";

test("the last admin stays, with a hint how to go on, and nothing of a refused command is done or logged", async () => {
  using dir = makeTempDir("signet-last-admin-");
  await using server = await startServe(["--data", dir.path]);
  assert.ok(server.url);
  const admin = (...args: readonly string[]) => runSignet(["admin", ...args, "--data", dir.path]);
  const done = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await admin(...args);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const refused = async (...args: readonly string[]): Promise<void> => {
    const { status, stdout, stderr } = await admin(...args);
    assert.match(stderr, /^error: no account could administer the server any more$/m);
    assert.match(stderr, /^hint: make another account admin first: .*`signet admin role grant admin NAME`/m);
    assert.deepEqual([status, stdout], [64, ""]);
  };
  await refused("user", "remove", "admin");
  await refused("user", "disable", "admin");
  await refused("role", "revoke", "admin", "admin");
  await done("group", "add", "admins");
  await done("group", "member", "add", "admins", "admin");
  await done("role", "grant", "admin", "group:admins");
  await done("role", "revoke", "admin", "admin");
  await refused("group", "member", "remove", "admins", "admin");
  await refused("group", "remove", "admins");
  await refused("role", "revoke", "admin", "group:admins");
  await done("user", "create", "robot$ops");
  await done("role", "grant", "admin", "robot$ops");
  await done("user", "remove", "admin");
  assert.match(await done("role", "list"), /^admin {2}group:admins {2}server\nadmin {2}robot\$ops {2}server\n$/);
  // The first start, and what was done.
  assert.match(await done("audit", "verify"), /^8 entries, none altered/);
});
