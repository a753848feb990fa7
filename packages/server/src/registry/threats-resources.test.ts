/** What clients do to use up the server's time and memory: endless and slow bodies, bombs, floods, numbers beyond reason (T13). */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import {
  buildTestImage,
  httpPushTarget,
  makeTestKey,
  pushTestImage,
  writeTestCompressed,
  writeTestMessage,
} from "@signet/testkit";
import type { Database } from "../db/database.ts";
import { type ServedDocument, serveDocument } from "../openapi/served-document.testing.ts";
import { askRaw, endlessChunks, openSocket, sendRaw, writeHead } from "./raw-client.testing.ts";
import { serveRegistry } from "./serve.testing.ts";
import { IN_FLIGHT, MIB, beginUpload, statusOf } from "./admin-requests.testing.ts";
import { OCI_MANIFEST, digestOf, pushBlob } from "./threats.testing.ts";

void describe("T13: bodies without end", () => {
  void it("T13 are cut off on every route that reads them whole, announced or chunked", async () => {
    await using served = await serveDocument();
    const { digest } = served.image;
    const object = `/extensions/v2/team/app/signatures/${digest}`;
    const file = `/lookaside/team/app@${digest.replace(":", "=")}/signature-1`;
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const routes: readonly (readonly [string, string, Record<string, string>, number])[] = [
      ["PUT", "/v2/team/app/manifests/2", { "content-type": "application/json" }, 4 * MIB],
      ["PUT", object, {}, 6 * MIB],
      ["PUT", file, {}, 4 * MIB],
      ["POST", "/token", form, 65_536],
    ];
    for (const [method, target, more, limit] of routes) {
      const headers = { ...served.admin, ...more };
      const chunked = endlessChunks(writeHead(method, target, { ...headers, "transfer-encoding": "chunked" }));
      const endless = await sendRaw(served.url, chunked);
      assert.equal(endless.status, 413, `${target}: ${endless.text}`);
      assert(endless.sent < limit + IN_FLIGHT, `${target} took ${endless.sent} bytes`);
      const announced = writeHead(method, target, { ...headers, "content-length": String(2 ** 50) });
      assert.equal((await sendRaw(served.url, [announced])).status, 413, target);
    }
    assert.equal(await statusOf(served, "/healthz"), 200);
  });

  void it("T13 that nobody may send, or nobody reads, end the connection with the answer", async () => {
    await using served = await serveDocument();
    const { digest } = served.image;
    for (const [method, target] of [
      ["PUT", "/v2/team/app/manifests/2"],
      ["PUT", `/extensions/v2/team/app/signatures/${digest}`],
      ["PUT", `/lookaside/team/app@${digest.replace(":", "=")}/signature-1`],
      ["POST", "/v2/team/app/blobs/uploads/"],
      ["POST", "/nowhere"],
      ["DELETE", "/v2/team/app/tags/list"],
      ["GET", "/v2/team/app/tags/list"],
      ["GET", "/healthz"],
      ["GET", "/token"],
    ] as const) {
      const head = writeHead(method, target, { "transfer-encoding": "chunked", connection: "keep-alive" });
      const { status, sent } = await sendRaw(served.url, endlessChunks(head));
      assert([200, 401, 404, 405].includes(status), `${method} ${target}: ${status}`);
      assert(sent < IN_FLIGHT, `${target} took ${sent} bytes`);
    }
  });

  void it("T13 that drip are cut on every route, and half a request head too", async () => {
    await using served = await serveDocument({
      SIGNET_LIMITS_HEADER_TIMEOUT: "1s",
      SIGNET_LIMITS_IDLE_TIMEOUT: "1s",
    });
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const length = { "content-length": "100000" };
    const { digest } = served.image;
    const heads = [
      "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ",
      "G",
      "",
      writeHead("POST", "/token", { ...form, ...length }),
      writeHead("PATCH", await beginUpload(served), { ...served.admin, ...length }),
      writeHead("PATCH", await beginUpload(served), { ...served.admin, "transfer-encoding": "chunked" }),
      writeHead("PUT", `/extensions/v2/team/app/signatures/${digest}`, { ...served.admin, ...length }),
    ];
    const slow = Array.from({ length: 210 }, (_, index) => heads[index % heads.length]!).map(async (head) => {
      const socket = openSocket(served.url).resume();
      const closed = new Promise((resolve) => socket.once("close", resolve));
      if (head !== "") socket.write(head);
      const timer = setInterval(() => head !== "" && socket.write("1"), 100);
      await closed;
      clearInterval(timer);
    });
    // Others are served meanwhile.
    assert.equal(await statusOf(served, "/v2/team/app/tags/list"), 200);
    await Promise.all(slow);
    assert.equal(await statusOf(served, "/v2/team/app/tags/list"), 200);
  });
});

void describe("T13: lists", () => {
  void it("T13 of referrers with annotations as large as manifests may be go page by page, each as large as clients read", async () => {
    await using registry = await serveRegistry();
    const config = { mediaType: "application/x", digest: await pushBlob(registry, "a", "{}"), size: 2 };
    const subject = { mediaType: OCI_MANIFEST, digest: digestOf("subject"), size: 7 };
    const expected: string[] = [];
    for (const size of [3.9 * MIB, 3.9 * MIB, MIB, MIB, 10, 10]) {
      const annotations = { index: String(expected.length), text: "x".repeat(size) };
      const body = JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config,
        layers: [],
        subject,
        annotations,
      });
      const digest = digestOf(body);
      const put = await registry.request("PUT", `/v2/a/manifests/${digest}`, body, { "content-type": OCI_MANIFEST });
      assert.equal(put.status, 201, put.text);
      expected.push(digest);
    }
    const found: string[] = [];
    let pages = 0;
    let next: string | undefined = `/v2/a/referrers/${subject.digest}?artifactType=application/x`;
    while (next !== undefined) {
      const { status, bytes, text, headers } = await registry.request("GET", next);
      assert.deepEqual([status, headers.get("oci-filters-applied")], [200, "artifactType"]);
      assert(bytes.length < 4 * MIB, `a page of ${bytes.length} bytes`);
      found.push(...(JSON.parse(text) as { manifests: { digest: string }[] }).manifests.map((one) => one.digest));
      next = /^<(.+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
      pages += 1;
    }
    assert.deepEqual(found, expected.toSorted());
    assert(pages < expected.length, "small ones share a page");
  });
});

void describe("T13: signatures", () => {
  const put = async (served: ServedDocument, content: Uint8Array): Promise<number> => {
    const { digest } = served.image;
    const name = `${digest}@${randomBytes(16).toString("hex")}`;
    const object = { schemaVersion: 2, name, type: "atomic", content: Buffer.from(content).toString("base64") };
    const path = `/extensions/v2/team/app/signatures/${digest}`;
    return await statusOf(served, path, { method: "PUT", body: JSON.stringify(object) });
  };

  void it("T13 that are bombs of compression are refused at each door, and their likes of usual size are not", async () => {
    await using served = await serveDocument();
    const key = makeTestKey("ed25519");
    const { digest } = served.image;
    const critical = {
      type: "atomic container signature",
      image: { "docker-manifest-digest": digest },
      identity: { "docker-reference": "example.com/team/app:1" },
    };
    // The same but for the blanks behind it: only the size decides.
    const message = (blanks: number): Uint8Array =>
      writeTestCompressed(
        1,
        writeTestMessage(key, Buffer.from(JSON.stringify({ critical, optional: {} }) + " ".repeat(blanks))),
      );
    const bomb = message(300 * MIB);
    assert(bomb.length < MIB);
    assert.equal(await put(served, bomb), 400);
    const file = `/lookaside/team/app@${digest.replace(":", "=")}/signature-1`;
    assert.equal(await statusOf(served, file, { method: "PUT", body: new Uint8Array(bomb) }), 400);
    assert.equal(await put(served, message(1_000)), 201);
  });

  void it("T13 beyond the 128th of an image are refused, and the 128 can be read", async () => {
    await using served = await serveDocument();
    const signatures = await Promise.all(Array.from({ length: 129 }, () => served.sign()));
    for (const content of signatures.slice(0, 128)) assert.equal(await put(served, content), 201);
    assert.equal(await put(served, signatures[128]!), 409);
    const at = `/lookaside/team/app@${served.image.digest.replace(":", "=")}/signature-`;
    const body = new Uint8Array(signatures[128]!);
    assert.equal(await statusOf(served, `${at}129`, { method: "PUT", body }), 409);
    assert.deepEqual([await statusOf(served, `${at}128`), await statusOf(served, `${at}129`)], [200, 404]);
    const tree = `/signatures/${served.image.digest.replace(":", "=")}/signature-`;
    assert.deepEqual([await statusOf(served, `${tree}128`), await statusOf(served, `${tree}99999`)], [200, 404]);
    const list = await fetch(`${served.url}/extensions/v2/team/app/signatures/${served.image.digest}`, {
      headers: served.admin,
    });
    assert.equal(((await list.json()) as { signatures: unknown[] }).signatures.length, 128);
  });
});

void describe("T13: requests beyond reason", () => {
  void it("T13 JSON of any depth is refused, not followed", async () => {
    await using served = await serveDocument();
    const deep = "[".repeat(500_000) + "]".repeat(500_000);
    const type = "application/vnd.oci.image.manifest.v1+json";
    for (const [path, body] of [
      ["/v2/team/app/manifests/2", `{"schemaVersion":2,"mediaType":"${type}","annotations":${deep}}`],
      ["/v2/team/app/manifests/2", deep],
      ["/v2/team/app/manifests/2", '{"a":'.repeat(500_000)],
      [`/extensions/v2/team/app/signatures/${served.image.digest}`, deep],
      [`/extensions/v2/team/app/signatures/${served.image.digest}`, '{"a":'.repeat(500_000)],
    ] as const) {
      assert.equal(await statusOf(served, path, { method: "PUT", body, headers: { "content-type": type } }), 400, path);
    }
    assert.equal(await statusOf(served, "/v2/team/app/manifests/1"), 200);
  });

  void it("T13 CVE-2023-2253: pages are bounded whatever n and last say", async () => {
    await using served = await serveDocument();
    const lists = ["/v2/_catalog", "/v2/team/app/tags/list", "/extensions/v2/team/app/signatures"];
    for (const list of lists) {
      for (const n of ["-1", "1e9", "0x10", "1.5", "9999999999999999999", "NaN", "%00", "1%0a", "", "١"]) {
        assert.equal(await statusOf(served, `${list}?n=${n}`), 400, `${list} n=${n}`);
      }
      for (const query of [
        "n=999999999999999",
        "n=0",
        "n=2147483648&n=-1",
        `last=${"z".repeat(15_000)}`,
        "last=%00%ff",
      ]) {
        assert.equal(await statusOf(served, `${list}?${query}`), 200, `${list} ${query.slice(0, 50)}`);
      }
    }
    const image = await buildTestImage();
    const target = httpPushTarget(served.url, { user: "admin", password: served.adminPassword });
    await pushTestImage(target, "many/app:1", image);
    for (let from = 0; from < 1_050; from += 50) {
      const tags = Array.from({ length: 50 }, (_, index) => `tag=t${from + index}`).join("&");
      const path = `/v2/many/app/manifests/${image.digest}?${tags}`;
      const body = new Uint8Array(image.manifest);
      const headers = { "content-type": image.mediaType };
      assert.equal(await statusOf(served, path, { method: "PUT", body, headers }), 201);
    }
    const response = await fetch(`${served.url}/v2/many/app/tags/list?n=999999999999999`, { headers: served.admin });
    assert.equal(((await response.json()) as { tags: unknown[] }).tags.length, 1_000);
  });

  void it("T13 a page of one costs whoever may read nothing no query for each repository", async () => {
    await using registry = await serveRegistry();
    const now = Date.now();
    const count = 5_000;
    await registry.database.write(async (writer) => {
      for (let index = 0; index < count; index += 1) {
        const name = `r${String(index).padStart(5, "0")}`;
        const { id } = await writer
          .insertInto("repository")
          .values({
            name,
            kind: "push",
            description: "",
            visibility: "private",
            pull_policy_mode: "off",
            pull_policy: null,
            immutable_tags: "[]",
            quota_bytes: null,
            quota_tags: null,
            retain_versions: 1,
            latest_version: 0,
            change_number: 1,
            locked_by: null,
            locked_until: null,
            created_at: now,
          })
          .returning("id")
          .executeTakeFirstOrThrow();
        const row = { path: name, repository_id: id, version: null, created_at: now };
        await writer.insertInto("distribution").values(row).execute();
      }
    });
    let queries = 0;
    const counter: Parameters<Database["read"]["withPlugin"]>[0] = {
      transformQuery: ({ node }) => ((queries += 1), node),
      transformResult: ({ result }) => Promise.resolve(result),
    };
    const read = registry.database.read.withPlugin(counter);
    const storage = { database: { ...registry.database, read }, blobs: registry.blobs };
    await using counted = await serveRegistry((_account, _action, path) => path === "r04999", {}, storage);
    const { status, text } = await counted.request("GET", "/v2/_catalog?n=1");
    assert.deepEqual([status, JSON.parse(text)], [200, { repositories: ["r04999"] }]);
    // Each time twice as many rows.
    assert(queries <= 2 + Math.log2(count), `${queries} queries`);
    const all = await registry.request("GET", "/v2/_catalog?n=3&last=r00009");
    assert.deepEqual(JSON.parse(all.text), { repositories: ["r00010", "r00011", "r00012"] });
  });

  void it("T13 floods of headers, long targets and too many parameters are refused", async () => {
    await using served = await serveDocument({ SIGNET_LIMITS_HEADER_BYTES: "16KiB" });
    function* flood(): Generator<string> {
      yield "GET /v2/ HTTP/1.1\r\nHost: x\r\n";
      for (let index = 0; ; index += 1) yield `X-${index}: ${"a".repeat(100)}\r\n`;
    }
    const { status, sent } = await sendRaw(served.url, flood());
    assert.equal(status, 431);
    assert(sent < IN_FLIGHT);
    const one = { ...served.admin, "x-long": "a".repeat(20_000) };
    assert.equal((await askRaw(served.url, "GET", "/v2/", one)).status, 431);
    assert.equal((await askRaw(served.url, "GET", `/v2/${"a/".repeat(20_000)}tags/list`, served.admin)).status, 431);
    await using wide = await serveDocument({ SIGNET_LIMITS_HEADER_BYTES: "128KiB" });
    const long = await askRaw(wide.url, "GET", `/v2/${"a/".repeat(20_000)}tags/list`, wide.admin);
    assert.equal(long.status, 404);
    const many = await askRaw(wide.url, "GET", `/v2/team/app/tags/list?${"n=1&".repeat(20_000)}`, wide.admin);
    assert.equal(many.status, 414);
    const scopes = "scope=repository:a/b:pull&".repeat(4_000);
    assert.equal((await askRaw(wide.url, "GET", `/token?${scopes}`, wide.admin)).status, 400);
    const tags = Array.from({ length: 65 }, (_, index) => `tag=t${index}`).join("&");
    const path = `/v2/team/app/manifests/${wide.image.digest}?${tags}`;
    const headers = { "content-type": wide.image.mediaType };
    assert.equal(
      await statusOf(wide, path, { method: "PUT", body: new Uint8Array(wide.image.manifest), headers }),
      414,
    );
  });

  void it("T13 ranges are one slice of the blob, the whole of it, or 416", async () => {
    await using served = await serveDocument();
    for (const size of [1_000, 200_000]) {
      const bytes = randomBytes(size);
      const path = `/v2/team/app/blobs/${digestOf(bytes)}`;
      const body = new Uint8Array(bytes);
      const upload = `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
      assert.equal(await statusOf(served, upload, { method: "POST", body }), 201);
      const get = async (range: string): Promise<readonly [number, Buffer]> => {
        const response = await fetch(`${served.url}${path}`, { headers: { ...served.admin, range } });
        return [response.status, Buffer.from(await response.arrayBuffer())];
      };
      for (const range of [
        `bytes=${Array.from({ length: 1_000 }, (_, index) => `${index}-${index}`).join(",")}`,
        `bytes=${"0-,".repeat(1_000)}0-`,
        "bytes=0-18446744073709551615",
        "bytes=-99999999999999999999",
        "bytes=--1",
        "bytes=-1-5",
        "bytes=-",
        "bytes=0x0-0x5",
        "bytes= 0-5",
        "octets=0-5",
        "bytes=1e3-",
      ]) {
        const [status, got] = await get(range);
        assert.equal(status, 200, range.slice(0, 40));
        assert(got.equals(bytes), range.slice(0, 40));
      }
      for (const range of [
        "bytes=5-2",
        `bytes=${size}-`,
        "bytes=999999999999999-",
        "bytes=-0",
        "bytes=999999999999998-999999999999999",
      ]) {
        assert.equal((await get(range))[0], 416, range);
      }
      for (const [range, from, to] of [
        ["bytes=0-999999999999999", 0, size],
        ["bytes=-999999999999999", 0, size],
        ["bytes=7-7", 7, 8],
      ] as const) {
        const [status, got] = await get(range);
        assert.equal(status, 206);
        assert(got.equals(bytes.subarray(from, to)), range);
      }
    }
    const upload = await beginUpload(served);
    for (const range of [
      "-1-3",
      "0-99999999999999999999",
      "5-8",
      "3-0",
      "0-3,4-7",
      "0-3/2/4",
      "a-b",
      "999999999999999-999999999999999",
    ]) {
      const init = { method: "PATCH", body: "1234", headers: { "content-range": range } };
      assert.equal(await statusOf(served, upload, init), 416, range);
    }
    assert.equal(
      await statusOf(served, upload, { method: "PATCH", body: "1234", headers: { "content-range": "0-3" } }),
      202,
    );
  });
});
