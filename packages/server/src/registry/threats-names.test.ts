/** Names that climb out of folders (T17), that speak to browsers (T22), and patterns that are slow to match (T24). */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { makeTestKey, writeTestMessage } from "@signet/testkit";
import { changeRepositorySettings } from "../content/repository-settings.ts";
import { listPaths } from "../content/repositories.ts";
import { type ServedDocument, serveDocument } from "../openapi/served-document.testing.ts";
import { askRaw } from "./raw-client.testing.ts";
import { beginUpload, digestOf, statusOf } from "./admin-requests.testing.ts";

/** As they stand in a request's target. */
const climbing: readonly string[] = [
  "..",
  "../..",
  "../../../../../../etc/passwd",
  "%2e%2e",
  "%2e%2e%2f%2e%2e%2f",
  "..%2f..%2fetc%2fpasswd",
  "%252e%252e%252fetc%252fpasswd",
  "..%5c..%5cwindows",
  "..\\..\\windows",
  "%5c%5chost%5cshare",
  "C:%5cwindows",
  "....//....//etc",
  ".%2e/.%2e/etc",
  "%c0%ae%c0%ae%c0%af",
  "%e0%80%ae%e0%80%ae",
  "%uff0e%uff0e",
  "%ff%fe",
  "%00",
  "app%00.json",
  "app%0a",
  "app%0d%0aSet-Cookie:%20x=1",
  "/etc/passwd",
  "%2fetc%2fpasswd",
  "file:%2f%2f%2fetc%2fpasswd",
  "./app",
  "app/.",
  "~",
  "$HOME",
  "app;id",
  ".git",
  "-rf",
];

/** Names of all files and folders of the data but the database's, and all paths that are served. */
async function readAll(served: ServedDocument): Promise<unknown> {
  const files = readdirSync(served.blobs, { recursive: true }).map(String).sort();
  const paths = await listPaths(served.database.read, "", 1_000);
  return { files, paths: paths.map((one) => one.path), beside: readdirSync(join(served.blobs, "../..")).sort() };
}

void describe("T17: names", () => {
  void it("T17 that climb are refused in every place of a path, by every method, and make nothing", async () => {
    await using served = await serveDocument();
    const { digest } = served.image;
    const hex = digest.replace(":", "=");
    const upload = await beginUpload(served);
    const before = await readAll(served);
    const templates: readonly ((name: string) => string)[] = [
      (name) => `/v2/${name}/manifests/1`,
      (name) => `/v2/team/${name}/tags/list`,
      (name) => `/v2/team/${name}/app/blobs/uploads/`,
      (name) => `/v2/${name}/referrers/${digest}`,
      (name) => `/v2/team/app/manifests/${name}`,
      (name) => `/v2/team/app/blobs/${name}`,
      (name) => `/v2/team/app/blobs/sha256:${name}`,
      (name) => `/v2/team/app/blobs/uploads/${name}`,
      (name) => `${upload}${name}`,
      (name) => `/extensions/v2/${name}/signatures/${digest}`,
      (name) => `/extensions/v2/team/app/signatures/${name}`,
      (name) => `/extensions/v2/team/app/signatures/${digest}/${name}/${name}`,
      (name) => `/lookaside/${name}@${hex}/signature-1`,
      (name) => `/lookaside/team/app@${name}/signature-1`,
      (name) => `/lookaside/team/app@${hex}/${name}`,
      (name) => `/lookaside/team/app@${hex}/signature-1${name}`,
      (name) => `/signatures/${name}/signature-1`,
      (name) => `/signatures/${hex}/${name}`,
      (name) => `/${name}`,
    ];
    for (const name of climbing) {
      for (const template of templates) {
        const target = template(name);
        const answers = await Promise.all(
          ["GET", "PUT", "POST", "PATCH", "DELETE"].map((method) => askRaw(served.url, method, target, served.admin)),
        );
        for (const { status, text } of answers) {
          assert(status >= 400 && status < 500, `${target}: ${text}`);
          assert.doesNotMatch(text, /root:|^set-cookie/im);
        }
      }
    }
    assert.deepEqual(await readAll(served), before);
  });

  void it("T17 that climb are refused in every parameter", async () => {
    await using served = await serveDocument();
    const { digest, manifest, mediaType } = served.image;
    const before = await readAll(served);
    for (const name of climbing) {
      const value = name.replaceAll("\\", "%5c").replaceAll("/", "%2f");
      const put = await fetch(`${served.url}/v2/team/app/manifests/${digest}?tag=${value}`, {
        method: "PUT",
        body: new Uint8Array(manifest),
        headers: { ...served.admin, "content-type": mediaType },
      });
      assert.equal(put.status, 400, name);
      const uploads = "/v2/team/app/blobs/uploads/";
      assert.equal(await statusOf(served, `${uploads}?digest=${value}`, { method: "POST", body: "x" }), 400, name);
      assert.equal(await statusOf(served, `${uploads}?mount=${value}&from=team/app`, { method: "POST" }), 400, name);
      assert.equal(await statusOf(served, `/token?scope=repository:${value}:pull`), 400, name);
      const object = {
        schemaVersion: 2,
        name: `${digest}@${decodeURIComponentOrSame(name)}`,
        type: "atomic",
        content: "",
      };
      const body = JSON.stringify(object);
      assert.equal(
        await statusOf(served, `/extensions/v2/team/app/signatures/${digest}`, { method: "PUT", body }),
        400,
      );
    }
    assert.deepEqual(await readAll(served), before);
    // A mount from such a name is an upload, as from any that is not there.
    const mount = `/v2/team/app/blobs/uploads/?mount=${digest}&from=..%2f..%2fetc`;
    assert.equal(await statusOf(served, mount, { method: "POST" }), 202);
  });

  void it("T17 a link in the place of a blob or of an upload leads to nothing", async () => {
    await using served = await serveDocument();
    const secret = join(served.blobs, "../../secret");
    for (const size of [5_000, 200_000]) {
      const text = `the secret ${"x".repeat(size)}`;
      writeFileSync(secret, text);
      const bytes = randomBytes(text.length);
      const body = new Uint8Array(bytes);
      const present = new Set(readdirSync(join(served.blobs, "blobs"), { recursive: true }).map(String));
      const post = `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
      assert.equal(await statusOf(served, post, { method: "POST", body }), 201);
      const made = readdirSync(join(served.blobs, "blobs"), { recursive: true }).map(String);
      const [place] = made.filter((path) => !present.has(path));
      const file = join(served.blobs, "blobs", place!);
      rmSync(file);
      symlinkSync(secret, file);
      for (const headers of [{}, { range: "bytes=0-99" }]) {
        const answer = await fetch(`${served.url}/v2/team/app/blobs/${digestOf(bytes)}`, {
          headers: { ...served.admin, ...headers },
        });
        assert.equal(answer.status, 500);
        assert.doesNotMatch(await answer.text(), /secret|\//);
      }
    }
    const upload = await beginUpload(served);
    assert.equal(await statusOf(served, upload, { method: "PATCH", body: "12345" }), 202);
    const [name] = readdirSync(join(served.blobs, "uploads"));
    const file = join(served.blobs, "uploads", name!);
    rmSync(file);
    symlinkSync(secret, file);
    const { size } = statSync(secret);
    assert.equal(await statusOf(served, upload, { method: "PATCH", body: "67890" }), 500);
    const finish = `${upload}?digest=${digestOf(Buffer.from("12345"))}`;
    assert.notEqual(await statusOf(served, finish, { method: "PUT" }), 201);
    assert(existsSync(secret));
    assert.equal(statSync(secret).size, size);
  });
});

function decodeURIComponentOrSame(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

void describe("T22: what clients wrote, in answers", () => {
  const markup = `<script>alert(1)</script>"'&\u001b[2J\u001b]0;owned\u0007\u202e\u2028`;

  void it("T22 every answer has a type that is no markup, is not sniffed, and runs nothing", async () => {
    await using served = await serveDocument();
    const escaped = encodeURIComponent(markup);
    for (const [target, headers] of [
      ["/", {}],
      ["/healthz", {}],
      ["/readyz", {}],
      ["/metrics", served.admin],
      ["/metrics", {}],
      ["/openapi.json", {}],
      ["/token", served.admin],
      [`/token?scope=${escaped}`, served.admin],
      ["/v2/", served.admin],
      ["/v2/", {}],
      [`/v2/${escaped}/tags/list`, served.admin],
      [`/v2/team/app/manifests/${escaped}`, served.admin],
      [`/v2/team/app/tags/list?n=${escaped}`, served.admin],
      ["/v2/team/app/manifests/1", served.admin],
      ["/v2/_catalog", served.admin],
      [`/${escaped}`, {}],
      [`/extensions/v2/team/app/signatures?view=${escaped}`, served.admin],
      [`/signatures/${served.image.digest.replace(":", "=")}/signature-1`, served.admin],
    ] as const) {
      const answer = await fetch(`${served.url}${target}`, { headers: { ...headers, accept: "text/html" } });
      const text = await answer.text();
      assert.equal(answer.headers.get("x-content-type-options"), "nosniff", target);
      const policy = "default-src 'none'; frame-ancestors 'none'; sandbox";
      assert.equal(answer.headers.get("content-security-policy"), policy, target);
      assert.match(answer.headers.get("content-type") ?? "", /^(application|text\/plain)/, target);
      assert(!text.includes("\u001b") && !text.includes("\u0007"), target);
      if (answer.headers.get("content-type")!.includes("json"))
        assert.doesNotThrow(() => void JSON.parse(text), target);
    }
  });

  void it("T22 a blob of markup is bytes, and no manifest is taken whose type is markup's", async () => {
    await using served = await serveDocument();
    const bytes = Buffer.from(`<html>${markup}`);
    const post = `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
    assert.equal(await statusOf(served, post, { method: "POST", body: new Uint8Array(bytes) }), 201);
    const answer = await fetch(`${served.url}/v2/team/app/blobs/${digestOf(bytes)}`, { headers: served.admin });
    assert.equal(answer.headers.get("content-type"), "application/octet-stream");
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    await answer.arrayBuffer();
    for (const type of ["text/html", "image/svg+xml", "application/xhtml+xml"]) {
      const body = Buffer.from(served.image.manifest).toString().replaceAll(served.image.mediaType, type);
      const init = { method: "PUT", body, headers: { "content-type": type } };
      assert.equal(await statusOf(served, "/v2/team/app/manifests/html", init), 400, type);
    }
  });

  void it("T22 the claims of a signature are data of the list, whatever they say", async () => {
    await using served = await serveDocument();
    const { digest } = served.image;
    const critical = {
      type: "atomic container signature",
      image: { "docker-manifest-digest": digest },
      identity: { "docker-reference": `example.com/${markup}` },
    };
    const payload = JSON.stringify({ critical, optional: { creator: markup } });
    const content = writeTestMessage(makeTestKey("ed25519"), Buffer.from(payload));
    const at = `/lookaside/team/app@${digest.replace(":", "=")}/signature-1`;
    assert.equal(await statusOf(served, at, { method: "PUT", body: new Uint8Array(content) }), 201);
    const list = `${served.url}/extensions/v2/team/app/signatures/${digest}?view=all`;
    const answer = await fetch(list, { headers: served.admin });
    const text = await answer.text();
    assert.equal(answer.headers.get("content-type"), "application/json; charset=utf-8");
    assert(!text.includes("\u001b") && !text.includes("\u0007"));
    const { signatures } = JSON.parse(text) as { signatures: { unverifiedClaims: { creator?: string } }[] };
    assert(signatures.some((one) => one.unverifiedClaims.creator === markup));
  });
});

void describe("T24: patterns", () => {
  // Each would be tried in exponentially many ways by a matcher that goes back: the test would not end.
  void it("T24 of immutable tags match in linear time", async () => {
    await using served = await serveDocument();
    const patterns = ["*a".repeat(64), `${"*".repeat(127)}b`, "a*".repeat(63) + "b*", "*aa".repeat(42)];
    await changeRepositorySettings(served.database, "team/app", { immutableTags: patterns }, "admin", Date.now());
    const put = (tag: string): Promise<number> =>
      statusOf(served, `/v2/team/app/manifests/${tag}`, {
        method: "PUT",
        body: new Uint8Array(served.image.manifest),
        headers: { "content-type": served.image.mediaType },
      });
    const free = `${"a".repeat(60)}c`;
    const fixed = "a".repeat(64);
    assert.deepEqual([await put(free), await put(fixed)], [201, 201]);
    const remove = (tag: string) => statusOf(served, `/v2/team/app/manifests/${tag}`, { method: "DELETE" });
    assert.deepEqual([await remove(fixed), await remove(free)], [409, 202]);
  });

  void it("T24 of names, scopes, ranges and credentials end on texts made to go back in", async () => {
    await using served = await serveDocument();
    const path = `${"a-".repeat(127)}!`;
    for (const name of [path, `${"a__".repeat(84)}!`, `${"a/".repeat(126)}!`, "-".repeat(250), `a${"-".repeat(250)}`]) {
      assert.equal(await statusOf(served, `/v2/${name}/tags/list`), 400, name);
      assert.equal(await statusOf(served, `/token?scope=repository:${name}:pull`), 400, name);
    }
    const actions = `${"pull-".repeat(500)}!`;
    assert.equal(await statusOf(served, `/token?scope=repository:a/b:${actions}`), 400);
    const headers = { range: `bytes=${"0".repeat(20_000)}-`, "if-none-match": `${'W/"'.repeat(5_000)},`.repeat(2) };
    assert.equal(await statusOf(served, "/v2/team/app/manifests/1", { headers }), 200);
    for (const authorization of [`Basic ${"=".repeat(30_000)}`, `Bearer ${"a.".repeat(15_000)}`, " ".repeat(30_000)]) {
      assert(
        [400, 401].includes(await statusOf(served, "/v2/", { headers: { authorization } })),
        authorization.slice(0, 9),
      );
    }
  });
});
