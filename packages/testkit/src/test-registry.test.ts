import assert from "node:assert/strict";
import { test } from "node:test";
import { buildTestImage, buildTestIndex, httpPushTarget, pushTestImage } from "./test-image.ts";
import { startTestRegistry, testRegistryAccount } from "./test-registry.ts";

const basic = `Basic ${Buffer.from(`${testRegistryAccount.user}:${testRegistryAccount.password}`).toString("base64")}`;

async function errorCode(response: Response): Promise<string | undefined> {
  const { errors } = (await response.json()) as { errors: { code: string }[] };
  return errors[0]?.code;
}

test("an image pushed over HTTP comes back byte for byte, by tag and by digest", async () => {
  await using registry = await startTestRegistry();
  const image = await buildTestImage({ layers: 2 });
  await pushTestImage(httpPushTarget(registry.url), "team/app:1", image);
  for (const reference of ["1", image.digest]) {
    const response = await fetch(`${registry.url}/v2/team/app/manifests/${reference}`);
    assert.equal(response.headers.get("docker-content-digest"), image.digest);
    assert.equal(response.headers.get("content-type"), image.mediaType);
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), image.manifest);
  }
  const layer = image.layers[1]!;
  const whole = await fetch(`${registry.url}/v2/team/app/blobs/${layer.digest}`);
  assert.deepEqual(Buffer.from(await whole.arrayBuffer()), layer.bytes);
  const rest = await fetch(`${registry.url}/v2/team/app/blobs/${layer.digest}`, { headers: { range: "bytes=10-" } });
  assert.equal(rest.status, 206);
  assert.deepEqual(Buffer.from(await rest.arrayBuffer()), layer.bytes.subarray(10));
});

test("an upload in pieces keeps its order and refuses a gap", async () => {
  await using registry = await startTestRegistry();
  const started = await fetch(`${registry.url}/v2/team/app/blobs/uploads/`, { method: "POST" });
  const location = new URL(started.headers.get("location")!, registry.url);
  const patch = (range: string, body: string): Promise<Response> =>
    fetch(location, { method: "PATCH", headers: { "content-range": range }, body });
  assert.equal((await patch("0-4", "first")).status, 202);
  assert.equal((await patch("9-14", "second")).status, 416);
  assert.equal((await patch("5-10", "second")).headers.get("range"), "0-10");
  const { createHash } = await import("node:crypto");
  const digest = `sha256:${createHash("sha256").update("firstsecond").digest("hex")}`;
  location.searchParams.set("digest", digest);
  assert.equal((await fetch(location, { method: "PUT" })).status, 201);
  assert.equal(Buffer.from(registry.blob("team/app", digest)!).toString(), "firstsecond");
});

test("what does not match is refused with the code of the distribution specification", async () => {
  await using registry = await startTestRegistry();
  const image = await buildTestImage();
  const api = `${registry.url}/v2/team/app`;
  const put = (reference: string, body: Uint8Array, type: string): Promise<Response> =>
    fetch(`${api}/manifests/${reference}`, {
      method: "PUT",
      headers: { "content-type": type },
      body: Buffer.from(body),
    });
  assert.equal(await errorCode(await put("1", image.manifest, image.mediaType)), "MANIFEST_BLOB_UNKNOWN");
  await pushTestImage(registry, "team/app:1", image);
  assert.equal(await errorCode(await put("2", Buffer.from("{"), image.mediaType)), "MANIFEST_INVALID");
  assert.equal(await errorCode(await put("2", image.manifest, "application/json")), "MANIFEST_INVALID");
  const other = `sha256:${"0".repeat(64)}`;
  assert.equal(await errorCode(await put(other, image.manifest, image.mediaType)), "DIGEST_INVALID");
  assert.equal(await errorCode(await fetch(`${api}/manifests/none`)), "MANIFEST_UNKNOWN");
  assert.equal(await errorCode(await fetch(`${api}/blobs/${other}`)), "BLOB_UNKNOWN");
  assert.equal(await errorCode(await fetch(`${registry.url}/v2/none/tags/list`)), "NAME_UNKNOWN");
  assert.equal(await errorCode(await fetch(`${registry.url}/v2/UPPER/tags/list`)), "NAME_INVALID");
  const upload = `${api}/blobs/uploads/?digest=${other}`;
  assert.equal(await errorCode(await fetch(upload, { method: "POST", body: "x" })), "DIGEST_INVALID");
});

test("deleting a tag keeps the manifest, deleting the manifest takes its tags along", async () => {
  await using registry = await startTestRegistry();
  const image = await buildTestImage();
  for (const tag of ["1", "2"]) await pushTestImage(registry, `app:${tag}`, image);
  const remove = (reference: string): Promise<Response> =>
    fetch(`${registry.url}/v2/app/manifests/${reference}`, { method: "DELETE" });
  assert.equal((await remove("1")).status, 202);
  assert.equal(registry.manifest("app", "1"), undefined);
  assert.equal(registry.manifest("app", "2")?.digest, image.digest);
  assert.equal((await remove(image.digest)).status, 202);
  assert.equal(registry.manifest("app", "2"), undefined);
});

test("tags come in order and in pages; referrers name their subject's manifests", async () => {
  await using registry = await startTestRegistry();
  const image = await buildTestImage();
  for (const tag of ["c", "a", "b"]) await pushTestImage(registry, `app:${tag}`, image);
  const first = await fetch(`${registry.url}/v2/app/tags/list?n=2`);
  assert.deepEqual(await first.json(), { name: "app", tags: ["a", "b"] });
  const next = /<(.*)>/.exec(first.headers.get("link")!)![1]!;
  assert.deepEqual(await (await fetch(`${registry.url}${next}`)).json(), { name: "app", tags: ["c"] });

  const subject = { mediaType: image.mediaType, digest: image.digest, size: image.manifest.length };
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const referrer = JSON.stringify({ schemaVersion: 2, mediaType, artifactType: "text/note", subject });
  const { digest } = registry.putManifest("app", "note", Buffer.from(referrer), mediaType);
  const list = `${registry.url}/v2/app/referrers/${image.digest}`;
  const listed = (await (await fetch(list)).json()) as { manifests: { digest: string }[] };
  assert.deepEqual(
    listed.manifests.map((one) => one.digest),
    [digest],
  );
  const none = (await (await fetch(`${list}?artifactType=other`)).json()) as { manifests: unknown[] };
  assert.deepEqual(none.manifests, []);
});

test("an index is refused until the manifests it names are there", async () => {
  await using registry = await startTestRegistry();
  const index = buildTestIndex([await buildTestImage({ seed: 1 }), await buildTestImage({ seed: 2 })], "oci");
  const response = await fetch(`${registry.url}/v2/app/manifests/1`, {
    method: "PUT",
    headers: { "content-type": index.mediaType },
    body: Buffer.from(index.manifest),
  });
  assert.equal(await errorCode(response), "MANIFEST_BLOB_UNKNOWN");
  assert.equal(await pushTestImage(httpPushTarget(registry.url), "app:1", index), index.digest);
});

test("Basic authentication takes the right password only, and readers cannot push", async () => {
  await using registry = await startTestRegistry({
    auth: "basic",
    users: { [testRegistryAccount.user]: testRegistryAccount.password, reader: "x" },
    readOnlyUsers: ["reader"],
  });
  const ping = (authorization: string): Promise<Response> =>
    fetch(`${registry.url}/v2/`, { headers: { authorization } });
  const anonymous = await fetch(`${registry.url}/v2/`);
  assert.equal(anonymous.status, 401);
  assert.match(anonymous.headers.get("www-authenticate")!, /^Basic realm="/);
  assert.equal((await ping(basic)).status, 200);
  assert.equal((await ping(`Basic ${Buffer.from("tester:wrong").toString("base64")}`)).status, 401);
  const reader = `Basic ${Buffer.from("reader:x").toString("base64")}`;
  const push = await fetch(`${registry.url}/v2/app/blobs/uploads/`, {
    method: "POST",
    headers: { authorization: reader },
  });
  assert.equal(push.status, 403);
  assert.doesNotMatch(JSON.stringify(registry.log), /registry-test-password|Basic |wrong/);
});

test("a bearer token opens only the repositories and actions it was given for, until it expires", async () => {
  await using registry = await startTestRegistry({ auth: "bearer", anonymousPull: true });
  const image = await buildTestImage();
  await pushTestImage(registry, "app:1", image);
  const manifest = `${registry.url}/v2/app/manifests/1`;
  const refused = await fetch(manifest);
  const challenge = refused.headers.get("www-authenticate")!;
  assert.match(
    challenge,
    /^Bearer realm="http:\/\/127\.0\.0\.1:\d+\/token",service="[^"]+",scope="repository:app:pull"$/,
  );
  const token = async (scope: string, authorization?: string): Promise<string> => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const response = await fetch(`${registry.url}/token?scope=${scope}`, { headers });
    return ((await response.json()) as { token: string }).token;
  };
  const get = async (bearer: string): Promise<number> =>
    (await fetch(manifest, { headers: { authorization: `Bearer ${bearer}` } })).status;
  const pull = await token("repository:app:pull,push");
  assert.equal(await get(pull), 200);
  assert.equal(await get(await token("repository:other:pull")), 401);
  const push = async (bearer: string): Promise<number> =>
    (
      await fetch(`${registry.url}/v2/app/blobs/uploads/`, {
        method: "POST",
        headers: { authorization: `Bearer ${bearer}` },
      })
    ).status;
  assert.equal(await push(pull), 401, "anybody may pull, but not push");
  assert.equal(await push(await token("repository:app:pull,push", basic)), 202);
  registry.expireTokens();
  assert.equal(await get(pull), 401);
});

test("an identity token buys a bearer token", async () => {
  await using registry = await startTestRegistry({ auth: "bearer", identityTokens: { "identity-1": "tester" } });
  const ask = (refreshToken: string): Promise<Response> =>
    fetch(`${registry.url}/token`, {
      method: "POST",
      body: new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: refreshToken,
        scope: "repository:app:push",
      }),
    });
  assert.equal((await ask("other")).status, 401);
  assert.equal((await ask("identity-1")).status, 200);
});

test("the signatures API keeps what it is given, in order, and says why it refuses", async () => {
  await using registry = await startTestRegistry({ signaturesExtension: true });
  const image = await buildTestImage();
  await pushTestImage(registry, "ns/app:1", image);
  const address = `${registry.url}/extensions/v2/ns/app/signatures/${image.digest}`;
  const put = (value: unknown): Promise<Response> => fetch(address, { method: "PUT", body: JSON.stringify(value) });
  const signature = (name: string, content: string): object => ({
    schemaVersion: 2,
    name: `${image.digest}@${name}`,
    type: "atomic",
    content,
  });
  const ping = await fetch(`${registry.url}/v2/`);
  assert.equal(ping.headers.get("x-registry-supports-signatures"), "1");
  assert.equal(await (await fetch(address)).text(), '{"signatures":[]}');
  assert.equal((await put(signature("one", "AAAA"))).status, 201);
  assert.equal((await put(signature("two", "BBBB"))).status, 201);
  assert.equal(await errorCode(await put(signature("one", "CCCC"))), "SIGNATURE_EXISTS");
  assert.equal(await errorCode(await put(signature("three", "AAAA"))), "SIGNATURE_EXISTS");
  assert.equal(await errorCode(await put(signature("three", "@@@"))), "SIGNATURE_INVALID");
  assert.equal(await errorCode(await put(signature("three", ""))), "SIGNATURE_INVALID");
  assert.equal(await errorCode(await put({ ...signature("three", "CCCC"), name: "none" })), "SIGNATURE_INVALID");
  assert.equal(await errorCode(await put({ ...signature("three", "CCCC"), schemaVersion: 1 })), "SIGNATURE_INVALID");
  const unknown = `sha256:${"0".repeat(64)}`;
  assert.equal((await fetch(address.replace(image.digest, unknown))).status, 404);
  assert.equal((await fetch(address, { method: "DELETE" })).status, 405);
  const listed = (await (await fetch(address)).json()) as { signatures: { content: string }[] };
  assert.deepEqual(
    listed.signatures.map((one) => one.content),
    ["AAAA", "BBBB"],
  );
});

test("a registry without the signatures API neither announces nor serves it", async () => {
  await using registry = await startTestRegistry();
  assert.equal((await fetch(`${registry.url}/v2/`)).headers.has("x-registry-supports-signatures"), false);
  assert.equal((await fetch(`${registry.url}/extensions/v2/app/signatures/sha256:${"0".repeat(64)}`)).status, 404);
});
