import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestRegistry } from "../test-registry.ts";
import type { Fault } from "./faults.ts";

/** A registry that misbehaves at its ping, and what the ping gives. */
async function pingWith(t: test.TestContext, ...faults: readonly Fault[]): Promise<() => Promise<Response>> {
  const registry = await startTestRegistry({ faults });
  t.after(() => registry.dispose());
  return () => fetch(`${registry.url}/v2/`, { redirect: "manual", signal: AbortSignal.timeout(5000) });
}

test("a fault strikes from its request on, as often as it says", async (t) => {
  const ping = await pingWith(t, { from: 2, times: 2, status: 503, headers: { "retry-after": "1" }, body: "busy" });
  assert.equal((await ping()).status, 200);
  const busy = await ping();
  assert.deepEqual([busy.status, busy.headers.get("retry-after"), await busy.text()], [503, "1", "busy"]);
  assert.equal((await ping()).status, 503);
  assert.equal((await ping()).status, 200);
});

test("a fault for another method or path leaves the request alone", async (t) => {
  const ping = await pingWith(t, { method: "PUT", status: 500 }, { path: /manifests/, status: 500 });
  assert.equal((await ping()).status, 200);
});

test("a redirect points elsewhere, and a header can be added or taken away", async (t) => {
  const ping = await pingWith(
    t,
    { redirect: "http://elsewhere.example/" },
    { from: 2, headers: { "docker-distribution-api-version": "", "x-odd": "yes" } },
  );
  const redirected = await ping();
  assert.deepEqual([redirected.status, redirected.headers.get("location")], [307, "http://elsewhere.example/"]);
  const odd = await ping();
  assert.deepEqual([odd.headers.has("docker-distribution-api-version"), odd.headers.get("x-odd")], [false, "yes"]);
});

test("an altered body keeps the digest that was announced", async (t) => {
  const registry = await startTestRegistry();
  t.after(() => registry.dispose());
  const digest = registry.putBlob("app", Buffer.from("true bytes"));
  registry.addFaults({ path: /blobs/, from: 2, alterBody: () => Buffer.from("other") });
  const get = (): Promise<Response> => fetch(`${registry.url}/v2/app/blobs/${digest}`);
  assert.equal(await (await get()).text(), "true bytes");
  const altered = await get();
  assert.deepEqual([await altered.text(), altered.headers.get("docker-content-digest")], ["other", digest]);
});

test("a truncated body is shorter than announced, so that the client sees it break off", async (t) => {
  const ping = await pingWith(t, { status: 200, body: "0123456789", truncateAt: 4 });
  const response = await ping();
  assert.equal(response.headers.get("content-length"), "10");
  await assert.rejects(response.text());
});

test("a dripping body arrives whole", async (t) => {
  const ping = await pingWith(t, { body: "0123456789", drip: { bytes: 3, everyMs: 1 } });
  assert.equal(await (await ping()).text(), "0123456789");
});

test("an endless body goes on until the client has enough", async (t) => {
  const ping = await pingWith(t, { endless: true });
  const response = await ping();
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > 1024 * 1024) break;
  }
  assert.ok(size > 1024 * 1024);
});

test("a dropped connection and a hanging one give no answer", async (t) => {
  const registry = await startTestRegistry({ faults: [{ disconnect: true }, { from: 2, hang: true }] });
  t.after(() => registry.dispose());
  await assert.rejects(fetch(`${registry.url}/v2/`));
  await assert.rejects(fetch(`${registry.url}/v2/`, { signal: AbortSignal.timeout(200) }), { name: "TimeoutError" });
  assert.deepEqual(
    registry.log.map((entry) => entry.status),
    [undefined, undefined],
  );
});

test("tampering changes what is stored, not its name", async (t) => {
  const registry = await startTestRegistry();
  t.after(() => registry.dispose());
  const digest = registry.putBlob("app", Buffer.from("true"));
  registry.tamper("app", digest, () => Buffer.from("false"));
  assert.equal(await (await fetch(`${registry.url}/v2/app/blobs/${digest}`)).text(), "false");
  assert.throws(() => registry.tamper("app", "sha256:none", (bytes) => bytes));
});
