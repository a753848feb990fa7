import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test, type TestContext } from "node:test";
import { ListMultipartUploadsCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { type S3Server, makeTlsCertificates, requireTool, startLoopbackServer, startS3Server } from "@signet/testkit";
import { collect, describeBlobStore } from "./blob-store-contract.testing.ts";
import { type S3Options, openS3Store } from "./s3.ts";
import { makeBytes } from "./test-blob.testing.ts";

let shared: Promise<S3Server> | undefined;
after(async () => (await shared)?.dispose());

/** A bucket of its own for each test, on one server. */
async function makeBucket(t: TestContext): Promise<S3Options | undefined> {
  if (requireTool(t, "versitygw") === undefined) return undefined;
  return optionsOf(await (shared ??= startS3Server()));
}

function optionsOf(server: S3Server): S3Options & { readonly endpoint: string } {
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  return {
    bucket: server.makeBucket(),
    region,
    endpoint,
    credentials: { accessKeyId, secretAccessKey },
    pathStyle: true,
  };
}

function clientOf(t: TestContext, { endpoint = "", region, credentials }: S3Options): S3Client {
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    ...(credentials !== undefined && { credentials }),
  });
  t.after(() => client.destroy());
  return client;
}

describeBlobStore("S3", { largeSize: 8 * 1024 * 1024 }, async (t) => {
  const options = await makeBucket(t);
  if (options === undefined) return undefined;
  return {
    open: () => openS3Store(options),
    countLeftovers: async () => {
      const { Uploads } = await clientOf(t, options).send(new ListMultipartUploadsCommand({ Bucket: options.bucket }));
      return Uploads?.length ?? 0;
    },
  };
});

test("a finish whose answer was lost gives the same place again, for one object and for many parts", async (t) => {
  const options = await makeBucket(t);
  if (options === undefined) return;
  const [store, other] = [await openS3Store(options), await openS3Store(options)];
  for (const size of [100, 9_000_000]) {
    const state = await store.append(await store.begin(), one(makeBytes(size, size)));
    const location = await store.finish(state);
    assert.equal(await store.finish(state), location);
    assert.equal(await other.finish(state), location);
    assert.deepEqual(await collect(await other.open(location)), Buffer.from(makeBytes(size, size)));
  }
  for (const opened of [store, other]) await opened.close();
});

test("a small blob costs one object, and whatever has another name in the bucket is left alone", async (t) => {
  const bucket = await makeBucket(t);
  if (bucket === undefined) return;
  const options = { ...bucket, prefix: "deep/down/" };
  const client = clientOf(t, options);
  for (const Key of ["deep/down/blobs/README", `blobs/${"0".repeat(32)}`, `deep/down/blobs/${"0".repeat(32)}x`])
    await client.send(new PutObjectCommand({ Bucket: options.bucket, Key, Body: "text" }));
  const store = await openS3Store(options);
  const location = await store.finish(await store.append(await store.begin(), one(makeBytes(1_000_000, 1))));
  const listed = [];
  for await (const object of store.list()) listed.push(object.location);
  assert.deepEqual(listed, [location]);
  const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: options.bucket }));
  assert.equal(Contents?.length, 4);
  await store.close();
});

test("listings go on over pages", async (t) => {
  const options = await makeBucket(t);
  if (options === undefined) return;
  const client = clientOf(t, options);
  const names = Array.from({ length: 1_005 }, (_, index) => createHash("md5").update(String(index)).digest("hex"));
  for (let start = 0; start < names.length; start += 50)
    await Promise.all(
      names
        .slice(start, start + 50)
        .map((name) => client.send(new PutObjectCommand({ Bucket: options.bucket, Key: `blobs/${name}`, Body: "x" }))),
    );
  const store = await openS3Store(options);
  const listed = new Set<string>();
  for await (const { location } of store.list()) listed.add(location);
  assert.deepEqual([...listed].sort(), names.sort());
  await store.close();
});

test("a signed URL gives the blob to who has no credentials, and no other blob", async (t) => {
  const options = await makeBucket(t);
  if (options === undefined) return;
  const store = await openS3Store(options);
  const location = await store.finish(await store.append(await store.begin(), one(makeBytes(70_000, 2))));
  const url = (await store.presign(location, 60))!;
  const answer = await fetch(url, { headers: { Range: "bytes=1-65536" } });
  assert.equal(answer.status, 206);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), Buffer.from(makeBytes(70_000, 2).subarray(1, 65_537)));
  const refused = await fetch(url.replace(location, "0".repeat(32)));
  assert.equal(refused.status, 403);
  assert.doesNotMatch(url, new RegExp(options.credentials!.secretAccessKey));
  await store.close();
});

test("over https only a server of the named authority is trusted", async (t) => {
  for (const tool of ["versitygw", "openssl"] as const) if (requireTool(t, tool) === undefined) return;
  using tls = await makeTlsCertificates();
  await using server = await startS3Server({ tls });
  const options = optionsOf(server);
  await assert.rejects(openS3Store(options), { code: "blob-store-unusable" });
  const store = await openS3Store({ ...options, ca: tls.ca });
  await store.ping();
  await store.close();
});

test("frozen options, as a configuration gives them, will do", async (t) => {
  const options = await makeBucket(t);
  if (options === undefined) return;
  const store = await openS3Store(Object.freeze({ ...options, credentials: Object.freeze(options.credentials!) }));
  await store.ping();
  await store.close();
});

test("a bucket that is not there, wrong credentials and a dead server are said without a secret", async (t) => {
  if (requireTool(t, "versitygw") === undefined) return;
  await using server = await startS3Server();
  const options = optionsOf(server);
  const store = await openS3Store(options);
  const location = await store.finish(await store.append(await store.begin(), one(makeBytes(10, 3))));
  const wrong = { accessKeyId: server.accessKeyId, secretAccessKey: "another-secret" };
  await assert.rejects(openS3Store({ ...options, bucket: "none" }), isUnusable(/the bucket none at http/, /bucket/));
  await assert.rejects(
    openS3Store({ ...options, credentials: wrong }),
    isUnusable(/the bucket test-1 at http/, /credentials/),
  );
  await server.stop();
  const calls = [
    store.ping(),
    store.open(location),
    store.size(location),
    store.remove(location),
    openS3Store(options),
  ];
  for (const result of await Promise.allSettled<unknown>(calls))
    await assert.rejects(unwrap(result), isUnusable(/the bucket test-1 at http/, /answers/));
  await store.close();

  function isUnusable(message: RegExp, hint: RegExp): (error: Error & { code?: string; hint?: string }) => boolean {
    return (error) => {
      assert.equal(error.code, "blob-store-unusable");
      assert.match(error.message, message);
      assert.match(error.hint ?? "", hint);
      for (const secret of [server.secretAccessKey, "another-secret"]) assert.ok(!error.message.includes(secret));
      return true;
    };
  }
});

test("a server that breaks off an answer is no short blob, and a full one is said to be full", async () => {
  await using server = await startLoopbackServer((request, response) => {
    if (request.method === "GET") {
      response.writeHead(200, { "Content-Length": "100000" });
      response.write("half", () => response.destroy());
    } else response.writeHead(request.method === "HEAD" ? 200 : 507).end();
  });
  const credentials = { accessKeyId: "a", secretAccessKey: "b" };
  const store = await openS3Store({ bucket: "b", region: "r", endpoint: server.url, credentials, pathStyle: true });
  await assert.rejects(collect(await store.open("0".repeat(32))));
  await assert.rejects(store.append(await store.begin(), one(makeBytes(10, 4))), { code: "disk-full" });
  await store.close();
});

function unwrap(result: PromiseSettledResult<unknown>): Promise<unknown> {
  return result.status === "rejected" ? Promise.reject(result.reason as Error) : Promise.resolve(result.value);
}

async function* one(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
