/** Registries that try to lead credentials and requests astray by redirects, links and locations (T14). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { parseDigest } from "@signet/core";
import { type LoopbackServer, makeTlsCertificates, requireTool } from "@signet/testkit";
import {
  basicRegistry,
  encodedHostileAccount,
  failsWith,
  makeAccountClient,
  makeResolver,
  openRegistry,
  sendManifest,
  serve,
} from "@signet/testkit/hostile-registry";
import type { RegistryClient } from "./client.ts";

const digest = parseDigest(`sha256:${"a".repeat(64)}`);

const reading = (client: RegistryClient): Promise<unknown> => client.fetchManifest("team/app", { tag: "1" });

async function drain(client: RegistryClient): Promise<void> {
  for await (const _ of client.fetchBlob("team/app", { digest }));
}

void describe("T14: redirects", () => {
  void it("CVE-2026-49349, CVE-2020-15157: lose credentials across origins, and do not find them again", async (t) => {
    const storage: LoopbackServer = await serve(t, (request, response) => {
      if (request.url === "/back") response.writeHead(302, { location: `${registry.url}/open` }).end();
      else response.end("from storage");
    });
    const registry: LoopbackServer = await serve(t, (request, response) => {
      if (request.url === "/open") return void response.end(String(request.headers.authorization));
      basicRegistry((_, redirect) => redirect.writeHead(307, { location: `${storage.url}${path}` }).end())(
        request,
        response,
      );
    });
    let path = "/blob?X-Signature=secret";
    const client = makeAccountClient(t, registry.host);
    await assert.rejects(drain(client), failsWith("digest-mismatch"));
    assert.equal(storage.requests.length, 1);
    assert.equal(storage.requests[0]!.url, path);
    assert.equal(storage.requests[0]!.headers.authorization, undefined);
    path = "/back";
    await assert.rejects(drain(client), failsWith("digest-mismatch"));
    assert.equal(registry.requests.at(-1)!.url, "/open");
    assert.equal(registry.requests.at(-1)!.headers.authorization, undefined);
  });

  void it("keep credentials at the registry's own origin", async (t) => {
    const registry = await serve(
      t,
      basicRegistry((request, response) => {
        if (request.url === "/moved") sendManifest(request, response);
        else response.writeHead(301, { location: "/moved" }).end();
      }),
    );
    await reading(makeAccountClient(t, registry.host));
    assert.equal(registry.requests.at(-1)!.headers.authorization, `Basic ${encodedHostileAccount}`);
  });

  void it("never leave https for http", async (t) => {
    if (requireTool(t, "openssl") === undefined) return;
    using tls = await makeTlsCertificates();
    const plain = await serve(t, sendManifest);
    const registry = await serve(
      t,
      openRegistry((_, response) => response.writeHead(302, { location: `${plain.url}/x` }).end()),
      { tls },
    );
    await assert.rejects(
      reading(makeAccountClient(t, registry.host)),
      failsWith("registry-url-refused", /leaves https for http/),
    );
    assert.equal(plain.requests.length, 0);
  });

  for (const [where, location, code] of [
    ["the metadata service of a cloud", "http://169.254.169.254/latest/meta-data/iam/", "registry-url-refused"],
    ["a private network", "http://192.168.0.1/admin", "registry-url-refused"],
    ["a URL with a user name", "http://user:pw@127.0.0.1:1/", "registry-url-refused"],
    ["a file", "file:///etc/passwd", "registry-url-refused"],
    ["nowhere", "http://", "registry-error"],
    ["itself, for ever", "", "registry-error"],
  ] as const) {
    void it(`are not followed to ${where}`, async (t) => {
      const registry = await serve(
        t,
        openRegistry((request, response) =>
          response.writeHead(302, { location: location === "" ? request.url! : location }).end(),
        ),
      );
      await assert.rejects(reading(makeAccountClient(t, registry.host)), failsWith(code));
      assert.ok(registry.requests.length < 10);
    });
  }

  void it("do not let another host answer in the registry's place at the door", async (t) => {
    const other = await serve(t, (_, response) => response.setHeader("x-registry-supports-signatures", "1").end());
    const registry = await serve(t, (_, response) => response.writeHead(307, { location: `${other.url}/v2/` }).end());
    await assert.rejects(makeAccountClient(t, registry.host).ping(), failsWith("registry-error", /not that registry/));
  });

  void it("are followed into a private network that is named as trusted", async (t) => {
    const storage = await serve(t, sendManifest);
    const registry = await serve(
      t,
      openRegistry((_, response) =>
        response.writeHead(302, { location: `http://storage.test:${storage.host.split(":")[1]}/x` }).end(),
      ),
    );
    const lookup = makeResolver({ "storage.test": [["127.0.0.1", "10.0.0.1"]] });
    await assert.rejects(reading(makeAccountClient(t, registry.host, { lookup })), failsWith("registry-url-refused"));
    await reading(makeAccountClient(t, registry.host, { lookup, trustedRedirects: ["storage.test"] }));
    const host = { env: { SIGNET_TRUSTED_REDIRECTS: "storage.test" }, uid: 1000, home: "/nonexistent" };
    await reading(makeAccountClient(t, registry.host, { lookup, host }));
  });

  void it("do not show the registry's client certificate to others", async (t) => {
    if (requireTool(t, "openssl") === undefined) return;
    using tls = await makeTlsCertificates();
    const seen: unknown[] = [];
    const storage = await serve(
      t,
      (request, response) => {
        seen.push((request.socket as TLSSocket).getPeerCertificate().subject);
        sendManifest(request, response);
      },
      { tls: { ...tls, asksClient: true } },
    );
    const registry = await serve(
      t,
      (request, response) => {
        seen.push((request.socket as TLSSocket).getPeerCertificate().subject?.CN);
        if (request.url === "/v2/") response.end();
        else response.writeHead(302, { location: `https://localhost:${storage.host.split(":")[1]}/x` }).end();
      },
      { tls: { ...tls, clientCa: tls.ca } },
    );
    await reading(makeAccountClient(t, registry.host, { tlsVerify: true, certDir: tls.certDir }));
    assert.deepEqual(seen, ["tester", "tester", undefined]);
  });

  void it("CVE-2020-15157: are not needed for foreign layers, whose URLs are not followed", async (t) => {
    const elsewhere = await serve(t, (_, response) => response.end("layer"));
    const registry = await serve(
      t,
      openRegistry((_, response) => response.writeHead(404).end()),
    );
    const client = makeAccountClient(t, registry.host);
    const layer = client.fetchBlob("team/app", { digest, urls: [`${elsewhere.url}/layer`] });
    await assert.rejects(layer.next(), failsWith("image-missing"));
    assert.equal(elsewhere.requests.length, 0);
  });
});

void describe("T14: other places that a registry names", () => {
  void it("the next page of tags is not fetched from another host", async (t) => {
    const thief = await serve(t, (_, response) => response.end('{"tags":["evil"]}'));
    const registry = await serve(
      t,
      basicRegistry((_, response) => {
        response.setHeader("link", `<${thief.url}/v2/team/app/tags/list?last=a>; rel="next"`);
        response.end('{"tags":["a"]}');
      }),
    );
    await assert.rejects(makeAccountClient(t, registry.host).listTags("team/app"), failsWith("registry-url-refused"));
    assert.equal(thief.requests.length, 0);
  });

  void it("pages that lead in a circle end", async (t) => {
    const registry = await serve(
      t,
      basicRegistry((_, response) => {
        response.setHeader("link", `</v2/team/app/tags/list?last=a>; rel="next"`);
        response.end('{"tags":["a"]}');
      }),
    );
    await assert.rejects(
      makeAccountClient(t, registry.host).listTags("team/app"),
      failsWith("registry-error", /repeat/),
    );
  });

  void it("nothing is uploaded to another host", async (t) => {
    const thief = await serve(t, (_, response) => response.writeHead(202).end());
    const port = thief.host.split(":")[1];
    const registry = await serve(
      t,
      basicRegistry((_, response) => response.writeHead(202, { location: `http://localhost:${port}/up` }).end()),
    );
    const upload = makeAccountClient(t, registry.host).uploadBlob("team/app", { digest }, (async function* () {})());
    await assert.rejects(upload, failsWith("registry-url-refused"));
    assert.equal(thief.requests.length, 0);
  });

  void it("an upload stays at the registry's origin when its Location has another scheme or port", async (t) => {
    const registry = await serve(
      t,
      basicRegistry((request, response) => {
        request.resume().on("end", () => {
          if (request.method === "PUT") response.writeHead(201).end();
          else response.writeHead(202, { location: `https://127.0.0.1/up?state=${request.method}` }).end();
        });
      }),
    );
    const bytes = Buffer.from("x");
    const own = parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
    await makeAccountClient(t, registry.host).uploadBlob(
      "team/app",
      { digest: own },
      (async function* () {
        yield bytes;
      })(),
    );
    assert.deepEqual(
      registry.requests.slice(-3).map(({ method, url }) => `${method} ${url}`),
      [
        "POST /v2/team/app/blobs/uploads/",
        "PATCH /up?state=POST",
        `PUT /up?state=PATCH&digest=${encodeURIComponent(own)}`,
      ],
    );
  });
});
