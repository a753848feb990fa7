import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { buildTestImage, buildTestIndex, httpPushTarget, pushTestImage } from "@signet/testkit";
import { type ServedRegistry, serveRegistry } from "./serve.testing.ts";

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX = "application/vnd.oci.image.index.v1+json";

function digestOf(bytes: Uint8Array | string, algorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

async function pushBlob(registry: ServedRegistry, path: string, content: string): Promise<string> {
  const digest = digestOf(content);
  const { status } = await registry.request("POST", `/v2/${path}/blobs/uploads/?digest=${digest}`, content);
  assert.equal(status, 201);
  return digest;
}

/** A manifest of the smallest image, with its blobs in place. */
async function makeManifest(
  registry: ServedRegistry,
  path: string,
  more: object = {},
  content = "{}",
): Promise<string> {
  const config = await pushBlob(registry, path, content);
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: "application/vnd.oci.empty.v1+json", digest: config, size: content.length },
    layers: [],
    ...more,
  });
}

async function putManifest(
  registry: ServedRegistry,
  path: string,
  reference: string,
  manifest: string,
): Promise<string> {
  const answer = await registry.request("PUT", `/v2/${path}/manifests/${reference}`, manifest, {
    "content-type": (JSON.parse(manifest) as { mediaType: string }).mediaType,
  });
  assert.equal(answer.status, 201, answer.text);
  return digestOf(manifest);
}

void describe("a push and a pull", () => {
  void it("give back what was pushed, with the headers that clients look at", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestImage({ layers: 2, format: "oci" });
    await pushTestImage(httpPushTarget(registry.url), "team/app:v1", image);
    const byTag = await registry.request("GET", "/v2/team/app/manifests/v1");
    assert.equal(byTag.status, 200);
    assert.equal(byTag.headers.get("docker-content-digest"), image.digest);
    assert.equal(byTag.headers.get("content-type"), image.mediaType);
    assert.equal(byTag.headers.get("x-registry-supports-signatures"), "1");
    assert.ok(byTag.bytes.equals(image.manifest));
    const head = await registry.request("HEAD", `/v2/team/app/manifests/${image.digest}`);
    assert.equal(head.status, 200);
    assert.equal(head.headers.get("content-length"), String(image.manifest.length));
    // With what caches go by: RFC 9110, section 15.4.5.
    for (const [path, caching, type] of [
      ["manifests/v1", "no-cache", image.mediaType],
      [`manifests/${image.digest}`, "private, max-age=31536000, immutable", image.mediaType],
      [`blobs/${image.layers[0]!.digest}`, "private, max-age=31536000, immutable", "application/octet-stream"],
    ] as const) {
      const whole = await registry.request("GET", `/v2/team/app/${path}`);
      const etag = whole.headers.get("etag")!;
      const unchanged = await registry.request("GET", `/v2/team/app/${path}`, undefined, { "if-none-match": etag });
      const saidOf = ({ headers }: typeof whole) =>
        ["cache-control", "etag", "content-type"].map((one) => headers.get(one));
      assert.deepEqual([whole.status, saidOf(whole)], [200, [caching, etag, type]]);
      assert.deepEqual([unchanged.status, saidOf(unchanged)], [304, [caching, etag, null]]);
    }
    for (const { digest, bytes } of [image.config, ...image.layers]) {
      const blob = await registry.request("GET", `/v2/team/app/blobs/${digest}`);
      assert.ok(blob.bytes.equals(bytes));
    }
    assert.deepEqual(registry.failures, []);
  });

  void it("of a list keep every platform, and the list may lack some", async () => {
    await using registry = await serveRegistry();
    const images = await Promise.all(
      ["amd64", "arm64"].map((architecture) => buildTestImage({ architecture, format: "oci" })),
    );
    await pushTestImage(httpPushTarget(registry.url), "team/list:all", buildTestIndex(images, "oci"));
    for (const image of images) {
      assert.equal((await registry.request("GET", `/v2/team/list/manifests/${image.digest}`)).status, 200);
    }
    const sparse = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [{ mediaType: OCI_MANIFEST, digest: digestOf("elsewhere"), size: 9 }],
    });
    await putManifest(registry, "team/list", "sparse", sparse);
  });

  void it("of a manifest whose blobs are missing, or another repository's, is refused", async () => {
    await using registry = await serveRegistry();
    const manifest = await makeManifest(registry, "team/one");
    const answer = await registry.request("PUT", "/v2/team/two/manifests/v1", manifest, {
      "content-type": OCI_MANIFEST,
    });
    assert.deepEqual([answer.status, answer.code], [404, "MANIFEST_BLOB_UNKNOWN"]);
    assert.equal((await registry.request("GET", "/v2/team/two/manifests/v1")).status, 404);
  });

  void it("by digest checks the digest, with sha512 as well", async () => {
    await using registry = await serveRegistry();
    const manifest = await makeManifest(registry, "a");
    const headers = { "content-type": OCI_MANIFEST };
    const wrong = await registry.request("PUT", `/v2/a/manifests/${digestOf("other")}`, manifest, headers);
    assert.deepEqual([wrong.status, wrong.code], [400, "DIGEST_INVALID"]);
    const digest = digestOf(manifest, "sha512");
    const put = await registry.request("PUT", `/v2/a/manifests/${digest}?tag=x&tag=y`, manifest, headers);
    assert.equal(put.status, 201);
    const got = await registry.request("GET", "/v2/a/manifests/y");
    assert.equal(got.headers.get("docker-content-digest"), digest);
  });
});

void describe("a manifest that could mean two things", () => {
  const blob = { mediaType: "application/octet-stream", digest: digestOf("{}"), size: 2 };
  const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: blob, layers: [] };
  const cases: Readonly<Record<string, readonly [body: string, type: string]>> = {
    "layers and manifests": [JSON.stringify({ ...image, manifests: [] }), OCI_MANIFEST],
    "a type that its content contradicts": [JSON.stringify({ ...image, mediaType: OCI_INDEX }), OCI_INDEX],
    "a declared type that contradicts its own": [JSON.stringify(image), OCI_INDEX],
    "mediaType twice": [JSON.stringify(image).replace("{", `{"mediaType":"${OCI_INDEX}",`), OCI_MANIFEST],
    "layers in another case": [JSON.stringify({ ...image, Layers: [] }), OCI_MANIFEST],
    "docker schema 1": [JSON.stringify({ schemaVersion: 1, name: "a", tag: "b", fsLayers: [], history: [] }), ""],
    "a digest that is none": [JSON.stringify(image).replaceAll("sha256:", "sha256:../"), OCI_MANIFEST],
    "no JSON": ["<html>", OCI_MANIFEST],
  };
  for (const [name, [body, type]] of Object.entries(cases)) {
    void it(`is refused: ${name}`, async () => {
      await using registry = await serveRegistry();
      await pushBlob(registry, "a", "{}");
      const answer = await registry.request("PUT", "/v2/a/manifests/v1", body, { "content-type": type });
      assert.deepEqual([answer.status, answer.code], [400, "MANIFEST_INVALID"]);
      assert.equal((await registry.request("GET", "/v2/a/manifests/v1")).status, 404);
    });
  }

  void it("is refused when it is larger than clients read", async () => {
    await using registry = await serveRegistry();
    const body = Buffer.alloc(4 * 1024 * 1024 + 1, " ");
    const answer = await registry.request("PUT", "/v2/a/manifests/v1", body, { "content-type": OCI_MANIFEST });
    assert.deepEqual([answer.status, answer.code], [413, "MANIFEST_INVALID"]);
  });
});

void describe("uploads", () => {
  void it("take chunks in order and refuse all others", async () => {
    await using registry = await serveRegistry();
    const begun = await registry.request("POST", "/v2/a/b/blobs/uploads/");
    const location = begun.headers.get("location")!;
    const patch = (range: string, body: string) =>
      registry.request("PATCH", location, body, { "content-range": range, "content-type": "application/octet-stream" });
    const first = await patch("0-4", "hello");
    assert.deepEqual([first.status, first.headers.get("range")], [202, "0-4"]);
    const gap = await patch("6-10", "world");
    assert.deepEqual([gap.status, gap.headers.get("range")], [416, "0-4"]);
    const again = await patch("0-4", "hello");
    assert.equal(again.status, 416);
    const lies = await patch("5-99", "world");
    assert.equal(lies.status, 416);
    const state = await registry.request("GET", location);
    assert.deepEqual([state.status, state.headers.get("range")], [204, "0-4"]);
    const digest = digestOf("helloworld");
    const finished = await registry.request("PUT", `${location}?digest=${digest}`, "world");
    assert.deepEqual([finished.status, finished.headers.get("location")], [201, `/v2/a/b/blobs/${digest}`]);
    assert.equal((await registry.request("GET", `/v2/a/b/blobs/${digest}`)).text, "helloworld");
    assert.equal((await registry.request("GET", location)).status, 404);
  });

  void it("with another digest than was said leave nothing", async () => {
    await using registry = await serveRegistry();
    const digest = digestOf("said");
    const answer = await registry.request("POST", `/v2/a/blobs/uploads/?digest=${digest}`, "sent");
    assert.deepEqual([answer.status, answer.code], [400, "DIGEST_INVALID"]);
    assert.equal((await registry.request("HEAD", `/v2/a/blobs/${digest}`)).status, 404);
    assert.equal((await registry.request("HEAD", `/v2/a/blobs/${digestOf("sent")}`)).status, 404);
    const places = [];
    for await (const { location } of registry.blobs.list()) places.push(location);
    assert.deepEqual(places, []);
  });

  void it("whose connection breaks go on from what is durable", async () => {
    await using registry = await serveRegistry();
    const location = (await registry.request("POST", "/v2/a/blobs/uploads/")).headers.get("location")!;
    const [host = "", port = ""] = registry.host.split(":");
    const socket = connect(Number(port), host);
    socket.write(`PATCH ${location} HTTP/1.1\r\nhost: ${registry.host}\r\ncontent-length: 1000\r\n\r\npart`);
    await once(socket, "connect");
    socket.end();
    await once(socket.resume(), "close");
    const state = await registry.request("GET", location);
    assert.deepEqual([state.status, state.headers.get("range")], [204, "0-0"]);
    const digest = digestOf("whole");
    assert.equal((await registry.request("PUT", `${location}?digest=${digest}`, "whole")).status, 201);
    assert.equal((await registry.request("GET", `/v2/a/blobs/${digest}`)).text, "whole");
    assert.deepEqual(registry.failures, []);
  });

  void it("of another repository, or none, are unknown", async () => {
    await using registry = await serveRegistry();
    const location = (await registry.request("POST", "/v2/a/blobs/uploads/")).headers.get("location")!;
    await registry.request("POST", "/v2/b/blobs/uploads/");
    for (const path of [
      location.replace("/v2/a/", "/v2/b/"),
      "/v2/a/blobs/uploads/..%2f..%2fetc",
      "/v2/a/blobs/uploads/00000000-0000-0000-0000-000000000000",
    ]) {
      const { status } = await registry.request("PATCH", path, "x");
      assert.equal(status, 404, path);
    }
    assert.equal((await registry.request("DELETE", location)).status, 204);
    assert.equal((await registry.request("PATCH", location, "x")).status, 404);
  });
});

void describe("blobs", () => {
  void it("come whole or by range", async () => {
    await using registry = await serveRegistry();
    const digest = await pushBlob(registry, "a", "0123456789");
    const get = (range: string) => registry.request("GET", `/v2/a/blobs/${digest}`, undefined, { range });
    for (const [range, status, text, content] of [
      ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
      ["bytes=7-", 206, "789", "bytes 7-9/10"],
      ["bytes=-2", 206, "89", "bytes 8-9/10"],
      ["bytes=5-500", 206, "56789", "bytes 5-9/10"],
      ["bytes=-500", 206, "0123456789", "bytes 0-9/10"],
      ["lines=1-2", 200, "0123456789", null],
      ["bytes=0-1,4-5", 200, "0123456789", null],
    ] as const) {
      const answer = await get(range);
      assert.deepEqual([range, answer.status, answer.text], [range, status, text]);
      assert.equal(answer.headers.get("content-range"), content);
    }
    for (const range of ["bytes=10-", "bytes=5-3", "bytes=-0"]) {
      const answer = await get(range);
      assert.deepEqual([range, answer.status, answer.code], [range, 416, "RANGE_INVALID"]);
    }
  });

  void it("are mounted only from where the caller may read", async () => {
    const rights = new Map([
      ["alice", /^alice\//],
      ["bob", /^bob\//],
    ]);
    await using registry = await serveRegistry(
      (name, _action, path) => name === "tester" || rights.get(name)?.test(path) === true,
    );
    const digest = await pushBlob(registry, "alice/app", "secret");
    const mount = (account: string, query: string) =>
      registry.request("POST", `/v2/bob/app/blobs/uploads/?mount=${digest}${query}`, undefined, {
        "x-test-account": account,
      });
    for (const query of ["&from=alice/app", "&from=nobody/app", ""]) {
      assert.equal((await mount("bob", query)).status, 202, query);
    }
    const read = await registry.request("HEAD", `/v2/bob/app/blobs/${digest}`, undefined, { "x-test-account": "bob" });
    assert.equal(read.status, 404);
    assert.equal((await mount("tester", "&from=alice/app")).status, 201);
    assert.equal((await registry.request("GET", `/v2/bob/app/blobs/${digest}`)).text, "secret");
  });

  void it("that a manifest names are not deleted under it", async () => {
    await using registry = await serveRegistry();
    const manifest = await putManifest(registry, "a", "v1", await makeManifest(registry, "a"));
    const blob = digestOf("{}");
    const refused = await registry.request("DELETE", `/v2/a/blobs/${blob}`);
    assert.deepEqual([refused.status, refused.code], [405, "UNSUPPORTED"]);
    assert.equal((await registry.request("DELETE", `/v2/a/manifests/${manifest}`)).status, 202);
    assert.equal((await registry.request("GET", "/v2/a/manifests/v1")).status, 404);
    // It went with the only manifest that named it.
    assert.equal((await registry.request("GET", `/v2/a/blobs/${blob}`)).status, 404);
  });
});

void describe("lists", () => {
  void it("of tags come in order, in pages that lead on", async () => {
    await using registry = await serveRegistry();
    const manifest = await makeManifest(registry, "a");
    const names = ["v1", "v1-rc", "v1.0", "v10", "V2", "_x", "a"];
    for (const name of names) await putManifest(registry, "a", name, manifest);
    const sorted = names.toSorted();
    const all = await registry.request("GET", "/v2/a/tags/list");
    assert.deepEqual(JSON.parse(all.text), { name: "a", tags: sorted });
    const seen: string[] = [];
    for (let path: string | undefined = "/v2/a/tags/list?n=2"; path !== undefined;) {
      const answer = await registry.request("GET", path);
      seen.push(...(JSON.parse(answer.text) as { tags: string[] }).tags);
      path = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];
    }
    assert.deepEqual(seen, sorted);
    assert.deepEqual(JSON.parse((await registry.request("GET", "/v2/a/tags/list?n=0")).text), { name: "a", tags: [] });
    for (const n of ["-1", "x", "1e3", "9".repeat(40)]) {
      const answer = await registry.request("GET", `/v2/a/tags/list?n=${n}`);
      assert.deepEqual([n, answer.status, answer.code], [n, 400, "PAGINATION_NUMBER_INVALID"]);
    }
    assert.equal((await registry.request("GET", "/v2/a/tags/list?n=999999999999")).status, 200);
  });

  void it("of repositories name those that the caller may read", async () => {
    await using registry = await serveRegistry((name, _action, path) => name === "tester" || path.startsWith("open/"));
    for (const path of ["closed/a", "open/a", "open/b", "zclosed/b"]) await pushBlob(registry, path, "x");
    const list = async (account: string, query = "") => {
      const headers = { "x-test-account": account };
      return JSON.parse((await registry.request("GET", `/v2/_catalog${query}`, undefined, headers)).text) as unknown;
    };
    assert.deepEqual(await list("somebody"), { repositories: ["open/a", "open/b"] });
    assert.deepEqual(await list("somebody", "?n=1&last=open/a"), { repositories: ["open/b"] });
    assert.deepEqual(await list("tester", "?n=3"), { repositories: ["closed/a", "open/a", "open/b"] });
  });

  void it("of referrers are indexes, filtered when asked", async () => {
    await using registry = await serveRegistry();
    const image = await makeManifest(registry, "a");
    const digest = await putManifest(registry, "a", "v1", image);
    const subject = { mediaType: OCI_MANIFEST, digest, size: image.length };
    for (const artifactType of ["test/one", "test/two"]) {
      const manifest = await makeManifest(registry, "a", {
        subject,
        artifactType,
        annotations: { "x.y": artifactType },
      });
      const put = await registry.request("PUT", `/v2/a/manifests/${digestOf(manifest)}`, manifest, {
        "content-type": OCI_MANIFEST,
      });
      assert.equal(put.headers.get("oci-subject"), digest);
    }
    const list = async (query = "") => await registry.request("GET", `/v2/a/referrers/${digest}${query}`);
    const all = await list();
    assert.equal(all.headers.get("content-type"), OCI_INDEX);
    const { manifests } = JSON.parse(all.text) as { manifests: { artifactType: string; annotations: object }[] };
    assert.deepEqual(manifests.map((one) => one.artifactType).toSorted(), ["test/one", "test/two"]);
    assert.deepEqual(
      manifests.map((one) => Object.keys(one.annotations)),
      [["x.y"], ["x.y"]],
    );
    const some = await list("?artifactType=test/two");
    assert.equal(some.headers.get("oci-filters-applied"), "artifactType");
    assert.equal((JSON.parse(some.text) as { manifests: unknown[] }).manifests.length, 1);
    const none = await registry.request("GET", `/v2/nowhere/referrers/${digest}`);
    assert.deepEqual([none.status, (JSON.parse(none.text) as { manifests: unknown[] }).manifests], [200, []]);
  });

  void it("of referrers are kept for their own question, and an empty filter filters nothing", async () => {
    await using registry = await serveRegistry();
    const image = await makeManifest(registry, "a");
    const digest = await putManifest(registry, "a", "v1", image);
    const subject = { mediaType: OCI_MANIFEST, digest, size: image.length };
    await putManifest(registry, "a", "v2", await makeManifest(registry, "a", { subject, artifactType: "b c" }));
    const count = async (query: string): Promise<number> => {
      const { text } = await registry.request("GET", `/v2/a/referrers/${digest}${query}`);
      return (JSON.parse(text) as { manifests: unknown[] }).manifests.length;
    };
    // Each pair is one text when position and filter are only written one behind the other.
    assert.deepEqual([await count("?artifactType="), await count("")], [1, 1]);
    assert.deepEqual([await count("?last=+b&artifactType=c"), await count("?last=&artifactType=b+c")], [0, 1]);
    assert.deepEqual([await count("?last=0+b&artifactType=c"), await count("?last=0&artifactType=b+c")], [0, 1]);
  });
});

void describe("paths", () => {
  for (const [path, status, code] of [
    ["/v2/UPPER/manifests/v1", 400, "NAME_INVALID"],
    ["/v2/a//b/manifests/v1", 400, "NAME_INVALID"],
    ["/v2/a/..%2fb/manifests/v1", 400, "NAME_INVALID"],
    ["/v2/a/manifests/sha256:ABC", 400, "DIGEST_INVALID"],
    [`/v2/a/blobs/sha256:${"A".repeat(64)}`, 400, "DIGEST_INVALID"],
    ["/v2/a/blobs/sha256:..%2f..%2fetc%2fpasswd", 404, undefined],
    ["/v2/a/manifests/-x", 404, "TAG_INVALID"],
    ["/v2/a/manifests/unknown", 404, "NAME_UNKNOWN"],
    [`/v2/${"a/".repeat(200)}b/tags/list`, 400, "NAME_INVALID"],
    [`/v2/${"a".repeat(2_000)}/tags/list`, 404, undefined],
    ["/v2/a/other/thing", 404, undefined],
    ["/lookaside/a@sha256=..%2f..%2fetc/signature-1", 404, undefined],
    ["/signatures/%2e%2e/signature-1", 404, undefined],
  ] as const) {
    void it(`that are malformed are refused: ${path.slice(0, 60)}`, async () => {
      await using registry = await serveRegistry();
      const answer = await registry.request("GET", path);
      assert.deepEqual([answer.status, answer.code], [status, code]);
      assert.deepEqual(registry.failures, []);
    });
  }
});

void describe("garbage collection and versions", () => {
  void it("a reader never sees a tag gone while it moves", async () => {
    await using registry = await serveRegistry();
    const manifests = [await makeManifest(registry, "a"), await makeManifest(registry, "a", {}, "{ }")];
    await putManifest(registry, "a", "moving", manifests[0]!);
    let isDone = false;
    const mover = (async () => {
      for (let index = 1; index <= 60; index += 1) await putManifest(registry, "a", "moving", manifests[index % 2]!);
      isDone = true;
    })();
    const readers = Array.from({ length: 4 }, async () => {
      while (!isDone) {
        const answer = await registry.request("GET", "/v2/a/manifests/moving");
        assert.equal(answer.status, 200, answer.text);
        const list = await registry.request("GET", "/v2/a/tags/list");
        assert.deepEqual(JSON.parse(list.text), { name: "a", tags: ["moving"] });
      }
    });
    await Promise.all([mover, ...readers]);
  });
});
