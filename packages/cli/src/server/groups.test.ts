/** Groups by the command line, seen through the door of a server that runs all the while. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildTestImage, httpPushTarget, makeTempDir, pushTestImage } from "@signet/testkit";
import { runSignet } from "../signet-process.ts";
import { adminPassword, startServe } from "./serve-process.testing.ts";

const basic = (user: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});

test("a role of a group counts for its members at once, by password and by bearer token, and goes at once", async () => {
  using dir = makeTempDir("signet-groups-");
  await using server = await startServe(["--data", dir.path]);
  const admin = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await runSignet(["admin", ...args, "--data", dir.path]);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const statusOf = async (headers: Record<string, string>): Promise<number> => {
    const response = await fetch(`${server.url}/v2/team/app/tags/list`, { headers });
    await response.arrayBuffer();
    return response.status;
  };
  const target = httpPushTarget(server.url, { user: "admin", password: adminPassword });
  await pushTestImage(target, "team/app:1", await buildTestImage());
  await admin("user", "create", "robot$ci");
  const secret = (await admin("token", "create", "robot$ci", "test")).trim();
  const robot = basic("robot$ci", secret);
  assert.equal(await statusOf(robot), 403);

  await admin("group", "add", "developers");
  await admin("group", "add", "others");
  await admin("role", "grant", "pusher", "group:developers", "--namespace", "team");
  assert.equal(await statusOf(robot), 403);
  await admin("group", "member", "add", "developers", "robot$ci");
  assert.equal(await statusOf(robot), 200);
  assert.equal(await admin("group", "list"), "developers  robot$ci\nothers\n");
  assert.deepEqual(JSON.parse(await admin("group", "list", "-o", "json")), {
    groups: [
      { name: "developers", members: ["robot$ci"] },
      { name: "others", members: [] },
    ],
  });

  const url = `${server.url}/token?service=signet&scope=repository:team/app:pull,push`;
  const answer = await fetch(url, { headers: robot });
  const { token } = (await answer.json()) as { token: string };
  const bearer = { authorization: `Bearer ${token}` };
  assert.equal(await statusOf(bearer), 200);
  const push = async (headers: Record<string, string>): Promise<number> =>
    (await fetch(`${server.url}/v2/team/new/blobs/uploads/`, { method: "POST", headers })).status;
  assert.equal(await push(robot), 202);

  await admin("group", "member", "remove", "developers", "robot$ci");
  assert.deepEqual([await statusOf(robot), await statusOf(bearer), await push(robot)], [403, 401, 403]);
  await admin("group", "member", "add", "developers", "robot$ci");
  assert.deepEqual([await statusOf(robot), await statusOf(bearer)], [200, 200]);

  await admin("group", "remove", "developers");
  assert.deepEqual([await statusOf(robot), await statusOf(bearer)], [403, 401]);
  await admin("group", "add", "developers");
  await admin("group", "member", "add", "developers", "robot$ci");
  assert.equal(await statusOf(robot), 403, "a later group of the name inherits no role");
  assert.doesNotMatch(await admin("role", "list"), /developers/);
  assert.match(await admin("audit", "verify"), /none altered/);
});

test("what is not there, is there already or cannot be a name is said, and leaves no entry in the audit log", async () => {
  using dir = makeTempDir("signet-groups-");
  await using server = await startServe(["--data", dir.path]);
  assert.ok(server.url);
  const admin = (...args: readonly string[]) => runSignet(["admin", ...args, "--data", dir.path]);
  assert.equal((await admin("group", "add", "ops")).status, 0);
  const before = (await admin("audit", "verify")).stdout;
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["add", "ops"], /there is a group "ops" already/],
    [["add", "Ops"], /"Ops" cannot name a group/],
    [["remove", "none"], /no group "none"/],
    [["member", "add", "none", "admin"], /no group "none"/],
    [["member", "add", "ops", "nobody"], /no account "nobody"/],
    [["member", "remove", "ops", "admin"], /admin is not in group ops/],
  ];
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = await admin("group", ...args);
    assert.match(stderr, message);
    assert.notEqual(status, 0);
    assert.equal(stdout, "");
  }
  assert.equal((await admin("audit", "verify")).stdout, before);
});
