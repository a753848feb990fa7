/** What clients do to fill the disk and the metrics: uploads without end or number, invented names (T25). */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openFilesystemStore } from "../blobs/filesystem.ts";
import { collectGarbage } from "../content/collection.ts";
import { changeRepositorySettings } from "../content/repository-settings.ts";
import { MAX_OPEN_UPLOADS } from "../content/uploads.ts";
import { type ServedDocument, serveDocument } from "../openapi/served-document.testing.ts";
import { askRaw, endlessChunks, openSocket, sendRaw, writeHead } from "./raw-client.testing.ts";
import { OCI_INDEX } from "./threats.testing.ts";
import { IN_FLIGHT, MIB, beginUpload, digestOf, statusOf } from "./admin-requests.testing.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

/** Bytes of all files below a folder. */
function bytesIn(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

void describe("T25: the disk", () => {
  const quota = 4 * MIB;
  const withQuota = async (served: ServedDocument): Promise<void> =>
    await changeRepositorySettings(served.database, "team/app", { quotaBytes: quota }, "admin", Date.now());

  void it("T25 an upload without end stops at the quota, and leaves what was there before", async () => {
    await using served = await serveDocument();
    await withQuota(served);
    const location = await beginUpload(served);
    assert.equal(await statusOf(served, location, { method: "PATCH", body: "12345678" }), 202);
    const before = bytesIn(served.blobs);
    const chunked = { ...served.admin, "transfer-encoding": "chunked" };
    const whole = `/v2/team/app/blobs/uploads/?digest=${digestOf(Buffer.from("x"))}`;
    for (const [method, target] of [
      ["PATCH", location],
      ["PUT", `${location}?digest=${digestOf(Buffer.from("x"))}`],
      ["POST", whole],
    ] as const) {
      const { status, text, sent } = await sendRaw(served.url, endlessChunks(writeHead(method, target, chunked)));
      assert.equal(status, 403, `${method}: ${text}`);
      assert.match(text, /"code":"DENIED".*the repository may hold 4194304 bytes/s);
      assert(sent < quota + IN_FLIGHT, `${method} took ${sent} bytes`);
      assert.equal(bytesIn(served.blobs), before, method);
    }
    const finished = `${location}?digest=${digestOf(Buffer.from("12345678"))}`;
    assert.equal(await statusOf(served, finished, { method: "PUT" }), 201);
  });

  void it("T25 manifests and signatures count too, and what is there already can be pushed and tagged beyond the quota", async () => {
    await using served = await serveDocument();
    await withQuota(served);
    const put = async (reference: string, body: string): Promise<number> =>
      statusOf(served, `/v2/team/app/manifests/${reference}`, {
        method: "PUT",
        headers: { "content-type": OCI_INDEX },
        body,
      });
    const list = (text: string): string =>
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [], annotations: { text } });
    const first = list("1".repeat(3 * MIB));
    assert.equal(await put("first", first), 201);
    for (const reference of ["second", digestOf(Buffer.from(list("2".repeat(MIB))))]) {
      assert.equal(await put(reference, list("2".repeat(MIB))), 403, reference);
      assert.equal(await statusOf(served, `/v2/team/app/manifests/${reference}`), 404);
    }
    assert.equal(await put("small", list("3")), 201);
    const { digest } = served.image;
    const sign = async (): Promise<number> => {
      const content = Buffer.from(await served.sign()).toString("base64");
      const name = `${digest}@${randomBytes(16).toString("hex")}`;
      const body = JSON.stringify({ schemaVersion: 2, type: "atomic", name, content });
      return await statusOf(served, `/extensions/v2/team/app/signatures/${digest}`, { method: "PUT", body });
    };
    assert.equal(await sign(), 201);
    await changeRepositorySettings(served.database, "team/app", { quotaBytes: MIB }, "admin", Date.now());
    assert.deepEqual([await put("again", first), await sign()], [201, 403]);
  });

  void it("T25 many uploads at once hold no more than the quota, finished or not", async () => {
    await using served = await serveDocument();
    await withQuota(served);
    const locations = await Promise.all(Array.from({ length: 12 }, () => beginUpload(served)));
    const before = bytesIn(served.blobs);
    const body = randomBytes(MIB);
    const patch = (location: string): Promise<number> =>
      statusOf(served, location, { method: "PATCH", body: new Uint8Array(body) });
    for (let round = 0; round < 3; round += 1) {
      const statuses = await Promise.all(locations.map(patch));
      // Given up, where others had used up the quota meanwhile.
      assert(
        statuses.every((status) => [202, 403, 404].includes(status)),
        statuses.join(),
      );
    }
    const held = bytesIn(served.blobs) - before;
    assert(held > 0 && held <= quota, `${held} bytes`);
    const other = await beginUpload(served);
    let count = 0;
    while ((await patch(other)) === 202) count += 1;
    assert(count <= 4, "no more fits");
    assert(bytesIn(served.blobs) - before <= quota);
    // What a client gives up counts no more.
    for (const location of [...locations, other]) await statusOf(served, location, { method: "DELETE" });
    assert.equal(bytesIn(served.blobs), before);
    assert.equal(await patch(await beginUpload(served)), 202);
  });

  void it("T25 an upload that began while there was room does not end beyond what others left", async () => {
    await using served = await serveDocument();
    await withQuota(served);
    const [slow, fast] = [await beginUpload(served), await beginUpload(served)];
    const before = bytesIn(served.blobs);
    const socket = openSocket(served.url);
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(writeHead("PATCH", slow, { ...served.admin, "content-length": String(3 * MIB) }));
    socket.write(Buffer.alloc(1.5 * MIB));
    while (bytesIn(served.blobs) < before + MIB) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await statusOf(served, fast, { method: "PATCH", body: new Uint8Array(2 * MIB) }), 202);
    socket.write(Buffer.alloc(1.5 * MIB));
    await closed;
    assert.match(text, /^HTTP\/1\.1 403 .*"code":"DENIED"/s);
    assert.equal(bytesIn(served.blobs), before + 2 * MIB);
    assert.equal(await statusOf(served, slow), 404);
  });

  void it("T25 an account has so many uploads open, and no more until some end", async () => {
    await using served = await serveDocument();
    const location = await beginUpload(served);
    await served.database.write(async (writer) => {
      const row = await writer.selectFrom("upload").selectAll().executeTakeFirstOrThrow();
      const ids = Array.from({ length: MAX_OPEN_UPLOADS - 1 }, (_, index) => `half-open ${index}`);
      for (let from = 0; from < ids.length; from += 1_000) {
        const rows = ids.slice(from, from + 1_000).map((id) => ({ ...row, id }));
        await writer.insertInto("upload").values(rows).execute();
      }
    });
    const begin = (): Promise<number> => statusOf(served, "/v2/team/app/blobs/uploads/", { method: "POST" });
    assert.equal(await begin(), 429);
    assert.equal(await statusOf(served, location, { method: "DELETE" }), 204);
    assert.equal(await begin(), 202);
    assert.equal(await begin(), 429);
  });

  void it("T25 uploads that are given up without a word are collected after a day, with their bytes", async () => {
    await using served = await serveDocument();
    const before = bytesIn(served.blobs);
    const locations = await Promise.all(Array.from({ length: 5 }, () => beginUpload(served)));
    for (const location of locations) {
      assert.equal(await statusOf(served, location, { method: "PATCH", body: new Uint8Array(MIB) }), 202);
    }
    assert.equal(bytesIn(served.blobs), before + 5 * MIB);
    const store = await openFilesystemStore(served.blobs);
    const collect = (after: number) =>
      collectGarbage(served.database, store, { now: Date.now() + after, withStrays: true });
    assert.equal((await collect(DAY_MS / 2)).expiredUploads, 0);
    assert.equal((await collect(DAY_MS + 1_000)).expiredUploads, 5);
    await store.close();
    assert.equal(bytesIn(served.blobs), before);
    assert.equal(await statusOf(served, locations[0]!), 404);
  });
});

void describe("T25: metrics", () => {
  void it("T25 CVE-2026-49835: thousands of invented names, methods, agents and paths make no series", async () => {
    await using served = await serveDocument();
    const methods = ["PROPFIND", "SEARCH", "M-SEARCH", "OPTIONS", "TRACE", "LOCK", "REPORT"];
    const invent = async (count: number): Promise<void> => {
      for (let from = 0; from < count; from += 100) {
        const requests = Array.from({ length: 100 }, (_, index) => {
          const name = `t${from + index}-${randomBytes(8).toString("hex")}`;
          const headers = { ...served.admin, "user-agent": name, "x-request-id": name };
          const [method, target] = [
            ["GET", `/v2/${name}/tags/list`],
            ["GET", `/v2/team/app/manifests/${name}`],
            [methods[index % methods.length]!, `/v2/${name}/manifests/1`],
            ["GET", `/${name}/${name}?${name}=${name}`],
            ["GET", `/v2/${name.toUpperCase()}/tags/list`],
          ][index % 5] as [string, string];
          return askRaw(served.url, method, target, headers);
        });
        await Promise.all(requests);
      }
    };
    const series = async (): Promise<readonly string[]> => {
      const text = await (await fetch(`${served.url}/metrics`, { headers: served.admin })).text();
      return text
        .split("\n")
        .filter((line) => line.startsWith("signet_"))
        .map((line) => line.replace(/ [^ ]+$/, ""))
        .sort();
    };
    await series();
    await invent(100);
    const before = await series();
    await invent(2_000);
    assert.deepEqual(await series(), before);
    assert.doesNotMatch(before.join("\n"), /t\d+-[0-9a-f]{16}|PROPFIND/i);
  });
});
