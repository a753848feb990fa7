/** A repository deleted by the command line, seen through the doors of a server that runs all the while. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Signer, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type TestImage, buildTestImage, httpPushTarget, makeTempDir, pushTestImage } from "@signet/testkit";
import { runSignet } from "../signet-process.ts";
import { adminPassword, startServe } from "./serve-process.testing.ts";

type Headers = Record<string, string>;

const basic = (user: string, password: string): Headers => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});
const owner = basic("admin", adminPassword);

async function makeSigner(): Promise<Signer> {
  const now = Date.now();
  const made = await generateKey({ engine: nodeEngine, now, userIds: ["A <a@example.com>"], algorithm: "ed25519" });
  return await openSecretKey(new TextEncoder().encode(made.secretKey), { engine: nodeEngine, now });
}

/** Everything by which an image can be read, by digest too. */
function placesOf(image: TestImage): readonly string[] {
  const file = `${image.digest.replace(":", "=")}/signature-1`;
  return [
    "/v2/team/app/tags/list",
    "/v2/team/app/manifests/1",
    `/v2/team/app/manifests/${image.digest}`,
    ...image.layers.map((layer) => `/v2/team/app/blobs/${layer.digest}`),
    "/extensions/v2/team/app/signatures",
    `/extensions/v2/team/app/signatures/${image.digest}?view=all`,
    `/lookaside/team/app@${file}`,
    `/signatures/${file}`,
  ];
}

test("a deleted repository is gone by every name, with its roles and settings, and a later one inherits nothing", async () => {
  using dir = makeTempDir("signet-repository-");
  await using server = await startServe(["--data", dir.path]);
  const run = (...args: readonly string[]) => runSignet(["admin", ...args, "--data", dir.path]);
  const admin = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(...args);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const ask = async (method: string, path: string, headers: Headers, body?: Uint8Array): Promise<Response> => {
    const answer = await fetch(`${server.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
    await answer.arrayBuffer();
    return answer;
  };
  const statuses = async (places: readonly string[], headers: Headers): Promise<number[]> =>
    await Promise.all(places.map(async (path) => (await ask("GET", path, headers)).status));

  const image = await buildTestImage();
  const target = httpPushTarget(server.url, { user: "admin", password: adminPassword });
  await pushTestImage(target, "team/app:1", image);
  await pushTestImage(target, "team/other:1", await buildTestImage({ seed: 2 }));
  const options = { engine: nodeEngine, now: Date.now(), creator: "test" };
  const signature = await createSignature(image.manifest, "example.com/team/app:1", await makeSigner(), options);
  const file = `/lookaside/team/app@${image.digest.replace(":", "=")}/signature-1`;
  assert.equal((await ask("PUT", file, owner, signature.bytes)).status, 201);
  await admin("user", "create", "robot$ci");
  const robot = basic("robot$ci", (await admin("token", "create", "robot$ci", "test")).trim());
  await admin("role", "grant", "maintainer", "robot$ci", "--repository", "team/app");
  await admin("role", "grant", "reader", "robot$ci", "--repository", "team/other");
  await admin("repository", "set", "team/app", "--visibility", "public", "--immutable-tag", "*");
  const places = placesOf(image);
  for (const headers of [owner, robot, {}])
    assert.deepEqual(await statuses(places, headers), Array(places.length).fill(200));
  const begun = await ask("POST", "/v2/team/app/blobs/uploads/", robot);
  const upload = begun.headers.get("location")!;
  const part = { "content-type": "application/octet-stream", "content-range": "0-3" };
  const continued = await ask("PATCH", upload, { ...robot, ...part }, Buffer.from("half"));
  assert.equal(continued.status, 202);

  const unsure = await run("repository", "delete", "team/app");
  assert.deepEqual([unsure.status, unsure.stdout], [64, ""]);
  assert.match(unsure.stderr, /nothing was deleted: --yes/);
  assert.deepEqual(await statuses(places, {}), Array(places.length).fill(200));

  const said = await admin("repository", "delete", "team/app", "--yes");
  assert.equal(said, "team/app is deleted: 1 tags, 1 manifests, 1 signatures, 1 roles on it\n");
  assert.deepEqual(await statuses(places, owner), Array(places.length).fill(404));
  const ofTree = (status: number): readonly number[] =>
    places.map((path) => (path.startsWith("/signatures/") ? 404 : status));
  assert.deepEqual(await statuses(places, robot), ofTree(403));
  assert.deepEqual(await statuses(places, {}), ofTree(401));
  const next = continued.headers.get("location")!;
  assert.deepEqual(
    [(await ask("GET", next, owner)).status, (await ask("PATCH", next, owner, Buffer.from("x"))).status],
    [404, 404],
  );
  const again = await run("repository", "delete", "team/app", "--yes");
  assert.match(again.stderr, /there is no repository "team\/app"/);
  assert.equal(await admin("role", "list"), "admin  admin  server\nreader  robot$ci  repository team/other\n");

  // Another one of that name, with another image: nothing of the first can be read in it.
  await pushTestImage(target, "team/app:1", await buildTestImage({ seed: 3 }));
  const [, , ...byDigest] = places;
  assert.deepEqual((await statuses(["/v2/team/app/tags/list"], robot))[0], 403);
  assert.deepEqual((await statuses(["/v2/team/app/tags/list"], {}))[0], 401);
  const inNew = byDigest.filter((path) => path !== "/extensions/v2/team/app/signatures");
  assert.deepEqual(await statuses(inNew, owner), Array(inNew.length).fill(404));
  const { repositories } = JSON.parse(await admin("repository", "list", "-o", "json")) as { repositories: object[] };
  assert.match(JSON.stringify(repositories[0]), /"team\/app".*"private"/);
  assert.doesNotMatch(JSON.stringify(repositories[0]), /"\*"/);
  assert.equal((await ask("GET", "/v2/team/other/tags/list", robot)).status, 200);
  assert.match(await admin("audit", "verify"), /none altered/);
  assert.match(await admin("check", "--content"), /./);
});
