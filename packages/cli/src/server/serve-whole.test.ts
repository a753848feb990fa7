/** `signet serve` as a whole: with PostgreSQL and S3, and told to end while clients work. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { test } from "node:test";
import {
  buildTestImage,
  httpPushTarget,
  makeTempDir,
  pushTestImage,
  requireTool,
  startPostgresql,
  startS3Server,
} from "@signet/testkit";
import { runSignet } from "../signet-process.ts";
import { type ServeProcess, adminPassword, startServe } from "./serve-process.testing.ts";

const admin = { authorization: `Basic ${Buffer.from(`admin:${adminPassword}`).toString("base64")}` };
const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

async function read(server: ServeProcess, path: string): Promise<Buffer> {
  const response = await fetch(`${server.url}${path}`, { headers: admin });
  const bytes = Buffer.from(await response.arrayBuffer());
  assert.equal(response.status, 200, `${path}: ${bytes.toString().slice(0, 200)}`);
  return bytes;
}

test("serve on PostgreSQL and S3: what is pushed to one process is read from another, and outlives both", async (t) => {
  if (requireTool(t, "postgres") === undefined || requireTool(t, "versitygw") === undefined) return;
  await using postgresql = await startPostgresql();
  await using s3 = await startS3Server();
  using dir = makeTempDir("signet-serve-");
  const url = await postgresql.makeDatabase();
  writeFileSync(dir.join("database-url"), `${url}\n`);
  const config = {
    database: { urlFile: "database-url" },
    blobs: {
      store: "s3",
      s3: {
        endpoint: s3.endpoint,
        region: s3.region,
        bucket: s3.makeBucket(),
        prefix: "registry/",
        forcePathStyle: true,
        accessKeyId: s3.accessKeyId,
      },
    },
  };
  writeFileSync(dir.join("c.yaml"), JSON.stringify(config));
  const env = { SIGNET_ADMIN_PASSWORD: adminPassword, SIGNET_BLOBS_S3_SECRET_ACCESS_KEY: s3.secretAccessKey };
  const start = (): Promise<ServeProcess> =>
    startServe(["--data", dir.join("data"), "--config", dir.join("c.yaml")], env);
  const image = await buildTestImage();
  const large = randomBytes(6 * 1024 * 1024);
  {
    await using one = await start();
    await using other = await start();
    await one.logged(/"database":"postgresql","blobs":"s3"/);
    assert.equal(
      await (await fetch(`${one.url}/readyz`)).json().then((value) => (value as { status: string }).status),
      "ready",
    );
    await pushTestImage(httpPushTarget(one.url, { user: "admin", password: adminPassword }), "team/app:1", image);
    const begun = await fetch(`${one.url}/v2/team/app/blobs/uploads/`, { method: "POST", headers: admin });
    const location = begun.headers.get("location")!;
    // Half of it by one process, half by the other.
    const half = large.length / 2;
    const first = await fetch(`${one.url}${location}`, {
      method: "PATCH",
      headers: admin,
      body: new Uint8Array(large.subarray(0, half)),
    });
    assert.equal(first.status, 202);
    const last = await fetch(`${other.url}${location}?digest=${digestOf(large)}`, {
      method: "PUT",
      headers: admin,
      body: new Uint8Array(large.subarray(half)),
    });
    assert.equal(last.status, 201);
    assert.deepEqual(await read(other, "/v2/team/app/manifests/1"), Buffer.from(image.manifest));
    assert((await read(other, `/v2/team/app/blobs/${digestOf(large)}`)).equals(large));
    for (const server of [one, other]) {
      server.signal("SIGTERM");
      assert.equal(await server.ended, 0, server.log());
      assert(!server.log().includes(s3.secretAccessKey));
    }
  }
  await using again = await start();
  assert.deepEqual(await read(again, "/v2/team/app/manifests/1"), Buffer.from(image.manifest));
  const password = new URL(url).password;
  assert(password === "" || !again.log().includes(password));
  const verified = await runSignet(
    ["admin", "audit", "verify", "--data", dir.join("data"), "--config", dir.join("c.yaml")],
    { env },
  );
  assert.match(verified.stdout, /^2 entries, none altered/, verified.stderr);
});

interface Exchange {
  readonly what: string;
  /** Undefined: the connection ended, or never was. */
  readonly status: number | undefined;
  readonly isWhole: boolean;
  readonly body: Buffer;
}

/** One request on a connection of its own. */
async function exchange(url: string, method: string, path: string, body?: Uint8Array): Promise<Exchange> {
  return await new Promise((resolve) => {
    let response: IncomingMessage | undefined;
    const chunks: Buffer[] = [];
    const end = (): void =>
      resolve({
        what: `${method} ${path}`,
        status: response?.statusCode,
        isWhole: response?.complete === true,
        body: Buffer.concat(chunks),
      });
    const length = { "content-length": body?.length ?? 0 };
    const sending = request(`${url}${path}`, { method, headers: { ...admin, ...length }, agent: false });
    sending.on("error", end).on("close", end);
    sending.on("response", (one) => {
      response = one;
      one.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", end);
    });
    sending.end(body);
  });
}

test("SIGTERM while 20 clients push and pull: what is answered is whole, what is acknowledged is there, and nothing fails", async () => {
  using dir = makeTempDir("signet-serve-");
  const acknowledged: Buffer[] = [];
  const exchanges: Exchange[] = [];
  const large = randomBytes(4 * 1024 * 1024);
  const post = (bytes: Buffer): string => `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
  {
    await using server = await startServe(["--data", dir.path]);
    assert.equal((await exchange(server.url, "POST", post(large), large)).status, 201);
    const push = async (): Promise<Exchange> => {
      const bytes = randomBytes(700_000);
      const done = await exchange(server.url, "POST", post(bytes), bytes);
      if (done.status === 201) acknowledged.push(bytes);
      return done;
    };
    const pull = (): Promise<Exchange> => exchange(server.url, "GET", `/v2/team/app/blobs/${digestOf(large)}`);
    const client = async (work: () => Promise<Exchange>): Promise<void> => {
      for (;;) {
        const done = await work();
        exchanges.push(done);
        if (done.status === undefined) return;
      }
    };
    const clients = Array.from({ length: 20 }, (_, index) => client(index % 2 === 0 ? push : pull));
    while (exchanges.length < 60) await new Promise((resolve) => setImmediate(resolve));
    server.signal("SIGTERM");
    await Promise.all(clients);
    assert.equal(await server.ended, 0, server.log());
    assert.match(server.log(), /"msg":"draining"/);
    assert.match(server.log(), /"cut":0,"msg":"stopped"/);
    assert.doesNotMatch(server.log(), /"level":"error"|"status":"cut"|"status":5/);
    const answered = exchanges.filter((one) => one.status !== undefined);
    for (const one of answered) {
      assert(one.isWhole, one.what);
      assert.equal(one.status, one.what.startsWith("GET") ? 200 : 201, one.what);
      if (one.what.startsWith("GET")) assert(one.body.equals(large), "half a blob");
    }
    // Whoever got no answer has no line of a request either: it was never begun.
    const logged = server
      .log()
      .split("\n")
      .filter((line) => line.includes('"msg":"request"')).length;
    assert.equal(logged, answered.length + 1);
  }
  await using again = await startServe(["--data", dir.path]);
  for (const bytes of acknowledged) {
    const { status, body } = await exchange(again.url, "GET", `/v2/team/app/blobs/${digestOf(bytes)}`);
    assert.equal(status, 200);
    assert(body.equals(bytes));
  }
});
