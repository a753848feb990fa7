/** Registries that send too much, too slowly, or something else than what was asked for (T1, T3, T12, T13). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { type Server, type Socket, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { type TestContext, describe, it } from "node:test";
import { type Digest, SignetError, parseDigest } from "@signet/core";
import { type LoopbackServer, startLoopbackServer } from "@signet/testkit";
import { type Handler, failsWith, makeRegistryClients, openRegistry, serve } from "@signet/testkit/hostile-registry";
import type { RegistryClient, RegistryClientsOptions } from "./client.ts";

function serveOpen(t: TestContext, then: Handler): Promise<LoopbackServer> {
  return serve(t, openRegistry(then));
}

function makeClient(t: TestContext, domain: string, options: Partial<RegistryClientsOptions> = {}): RegistryClient {
  return makeRegistryClients(t, options).clientFor(domain);
}

function digestOf(text: string | Uint8Array): Digest {
  return parseDigest(`sha256:${createHash("sha256").update(text).digest("hex")}`);
}

const digest = digestOf("what was asked for");

async function drain(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString();
}

/** Everything that reads a document or a stream. */
const readings: Readonly<Record<string, (client: RegistryClient) => Promise<unknown>>> = {
  manifest: (client) => client.fetchManifest("team/app", { tag: "1" }),
  "signature list": (client) => client.listSignatures("team/app", digest),
  "tag list": (client) => client.listTags("team/app"),
};

/** Sends zeros until the client has had enough. */
function sendForEver(response: ServerResponse): void {
  const chunk = Buffer.alloc(64 * 1024, 0x20);
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on("drain", more);
  more();
}

void describe("T13: answers without end", () => {
  for (const [what, read] of Object.entries(readings)) {
    void it(`CVE-2023-46737: a ${what} is given up at its limit`, async (t) => {
      let sent = 0;
      const registry = await serveOpen(t, (request, response) => {
        sendForEver(response);
        response.on("close", () => (sent = request.socket.bytesWritten));
      });
      await assert.rejects(read(makeClient(t, registry.host)), failsWith("input-too-large"));
      assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were sent`);
    });

    void it(`a ${what} that announces too much is not even begun`, async (t) => {
      const registry = await serveOpen(t, (_, response) =>
        response.writeHead(200, { "content-length": "99999999" }).write("{"),
      );
      await assert.rejects(read(makeClient(t, registry.host)), failsWith("input-too-large"));
    });
  }

  void it("a token is given up at its limit", async (t) => {
    const registry = await startLoopbackServer((request, response) => {
      if (request.url!.startsWith("/token")) sendForEver(response);
      else response.writeHead(401, { "www-authenticate": `Bearer realm="http://${registry.host}/token"` }).end();
    });
    t.after(() => registry.dispose());
    await assert.rejects(readings["manifest"]!(makeClient(t, registry.host)), failsWith("input-too-large"));
  });

  void it("an error text is given up, and the error still told", async (t) => {
    const registry = await serveOpen(t, (_, response) => {
      response.writeHead(500);
      sendForEver(response);
    });
    await assert.rejects(
      readings["manifest"]!(makeClient(t, registry.host)),
      failsWith("registry-error", /HTTP 500.*beyond all measure/),
    );
  });

  void it("a blob ends one byte after its announced size", async (t) => {
    const registry = await serveOpen(t, (_, response) => sendForEver(response));
    const chunks = makeClient(t, registry.host).fetchBlob("team/app", { digest, size: 1000 });
    await assert.rejects(drain(chunks), failsWith("digest-mismatch", /longer than the 1000 bytes/));
  });

  void it("the head of an answer is limited as well", async (t) => {
    const raw = await serveRaw(t, (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      const line = `x-filler: ${"y".repeat(8000)}\r\n`;
      const more = (): void => {
        while (!socket.destroyed && socket.write(line));
      };
      socket.on("drain", more);
      more();
    });
    await assert.rejects(makeClient(t, raw).ping(), failsWith("registry-error"));
  });

  void it("redirects end after five", async (t) => {
    let count = 0;
    const registry = await serveOpen(t, (_, response) =>
      response.writeHead(302, { location: `/next/${++count}` }).end(),
    );
    await assert.rejects(
      readings["manifest"]!(makeClient(t, registry.host)),
      failsWith("registry-error", /more than 5 redirects/),
    );
    assert.equal(count, 6);
  });
});

/** A server below HTTP. Returns its host. */
async function serveRaw(t: TestContext, handler: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => handler(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

void describe("T13: answers that take their time", () => {
  const quick = { idleMs: 100, headersMs: 200, documentMs: 20_000, progressWindowMs: 100, minProgressBytes: 1000 };

  for (const [what, read] of Object.entries(readings)) {
    void it(`a ${what} that stands still is given up`, async (t) => {
      const registry = await serveOpen(t, (_, response) =>
        response.writeHead(200, { "content-length": "100" }).write("{"),
      );
      await assert.rejects(
        read(makeClient(t, registry.host, { timeouts: quick })),
        failsWith("registry-unreachable", /nothing came for 100 ms/),
      );
    });
  }

  void it("slow-loris: a body that comes byte by byte is given up, a blob as well", async (t) => {
    const registry = await serveOpen(t, (_, response) => {
      response.writeHead(200, { "content-length": "100000" });
      const timer = setInterval(() => response.write("x"), 20);
      response.on("close", () => clearInterval(timer));
    });
    const client = makeClient(t, registry.host, { timeouts: quick });
    const slow = failsWith("registry-unreachable", /less than 1000 bytes in 100 ms/);
    await assert.rejects(readings["manifest"]!(client), slow);
    await assert.rejects(drain(client.fetchBlob("team/app", { digest, size: 100_000 })), slow);
  });

  void it("a document has a budget for all of it, however lively it drips", async (t) => {
    const registry = await serveOpen(t, (_, response) => {
      response.writeHead(200, { "content-length": "100000" });
      const timer = setInterval(() => response.write("x"), 20);
      response.on("close", () => clearInterval(timer));
    });
    const timeouts = { ...quick, documentMs: 300, minProgressBytes: 0 };
    await assert.rejects(
      readings["manifest"]!(makeClient(t, registry.host, { timeouts })),
      failsWith("registry-unreachable", /takes too long/),
    );
  });

  void it("a slow consumer is not taken for a slow registry", async (t) => {
    const body = Buffer.alloc(400_000, "z");
    const registry = await serveOpen(t, (_, response) => response.end(body));
    let length = 0;
    for await (const chunk of makeClient(t, registry.host, { timeouts: quick }).fetchBlob("team/app", {
      digest: digestOf(body),
    })) {
      length += chunk.length;
      if (length < 150_000) await new Promise((resolve) => setTimeout(resolve, 150));
    }
    assert.equal(length, body.length);
  });

  void it("an answer whose head never comes is given up", async (t) => {
    const registry = await serveOpen(t, () => {});
    await assert.rejects(
      readings["manifest"]!(makeClient(t, registry.host, { timeouts: quick })),
      failsWith("registry-unreachable"),
    );
  });

  void it("a blob that breaks off again and again is given up, however little each part brings", async (t) => {
    const registry = await serveOpen(t, (request, response) => {
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      const head = from === 0 ? {} : { "content-range": `bytes ${from}-99999/100000` };
      response.writeHead(from === 0 ? 200 : 206, { "content-length": String(100_000 - from), ...head });
      response.write("x");
      setTimeout(() => response.destroy(), 10);
    });
    const client = makeClient(t, registry.host, { retryTimes: 3 });
    await assert.rejects(
      drain(client.fetchBlob("team/app", { digest, size: 100_000 })),
      failsWith("registry-unreachable"),
    );
    assert.equal(registry.requests.filter(({ url }) => url!.includes("/blobs/")).length, 4);
  });

  void it("an upload that is refused while it is under way ends", async (t) => {
    const registry = await serveOpen(t, (request, response) => {
      if (request.method === "PATCH") response.writeHead(413, { connection: "close" }).end("too large");
      else response.writeHead(202, { location: "/up" }).end();
    });
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (;;) {
        yield new Uint8Array(64 * 1024);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const client = makeClient(t, registry.host);
    await assert.rejects(client.uploadBlob("team/app", { digest }, endless()), (error) => {
      assert.ok(error instanceof SignetError, String(error));
      return /HTTP 413|connection was lost/.test(error.message);
    });
  });
});

void describe("T1: bytes other than those asked for", () => {
  const manifest = JSON.stringify({ schemaVersion: 2, config: {}, layers: [] });
  const type = "application/vnd.oci.image.manifest.v1+json";

  void it("CVE-2024-3727: a manifest that does not hash to the digest it was asked for by is refused, whatever the registry calls it", async (t) => {
    const wanted = digestOf("another manifest");
    for (const claim of [wanted, digestOf(manifest), "sha256:zzz"]) {
      const registry = await serveOpen(t, (_, response) => {
        response.writeHead(200, { "content-type": type, "docker-content-digest": claim }).end(manifest);
      });
      const client = makeClient(t, registry.host);
      await assert.rejects(client.fetchManifest("team/app", { digest: wanted }), failsWith("digest-mismatch"));
      assert.equal((await client.fetchManifest("team/app", { tag: "1" })).digest, digestOf(manifest));
    }
  });

  void it("a manifest asked for by sha512 is compared by sha512, and has its sha256 digest all the same", async (t) => {
    const registry = await serveOpen(t, (_, response) =>
      response.writeHead(200, { "content-type": type }).end(manifest),
    );
    const client = makeClient(t, registry.host);
    const long = (text: string): Digest => parseDigest(`sha512:${createHash("sha512").update(text).digest("hex")}`);
    const read = await client.fetchManifest("team/app", { digest: long(manifest) });
    assert.deepEqual([read.digest, read.namedDigest], [digestOf(manifest), long(manifest)]);
    await assert.rejects(client.fetchManifest("team/app", { digest: long("other") }), failsWith("digest-mismatch"));
  });

  void it("a signed schema 1 manifest is compared by its payload", async (t) => {
    const payload =
      '{\n   "schemaVersion": 1,\n   "name": "a",\n   "tag": "b",\n   "fsLayers": [],\n   "history": []\n}';
    const encode = (text: string): string => Buffer.from(text).toString("base64url");
    const header = encode(
      JSON.stringify({ formatLength: payload.length - 2, formatTail: encode("\n}"), time: "2026-01-01T00:00:00Z" }),
    );
    const signatures = JSON.stringify([{ header: {}, signature: "AA", protected: header }]);
    const signed = `${payload.slice(0, -2)},\n   "signatures": ${signatures}\n}`;
    const registry = await serveOpen(t, (_, response) => {
      response
        .writeHead(200, { "content-type": "application/vnd.docker.distribution.manifest.v1+prettyjws" })
        .end(signed);
    });
    const client = makeClient(t, registry.host);
    assert.equal((await client.fetchManifest("team/app", { digest: digestOf(payload) })).digest, digestOf(payload));
    await assert.rejects(client.fetchManifest("team/app", { digest: digestOf(signed) }), failsWith("digest-mismatch"));
  });

  for (const [what, sent] of [
    ["other bytes of the same length", "What was asked for"],
    ["a byte less", "what was asked fo"],
    ["a byte more", "what was asked for!"],
    ["nothing", ""],
  ] as const) {
    void it(`a blob of ${what} is refused, with its size known or not`, async (t) => {
      const registry = await serveOpen(t, (_, response) => response.end(sent));
      const client = makeClient(t, registry.host);
      for (const size of [18, undefined]) {
        const descriptor = size === undefined ? { digest } : { digest, size };
        await assert.rejects(drain(client.fetchBlob("team/app", descriptor)), failsWith("digest-mismatch"));
      }
    });
  }

  void it("a blob put together from two different answers is refused", async (t) => {
    const good = Buffer.alloc(200_000, "g");
    const registry = await serveOpen(t, (request, response) => {
      if (request.headers.range === undefined) {
        response.writeHead(200, { "content-length": String(good.length) }).write(good.subarray(0, 100_000));
        setTimeout(() => response.destroy(), 20);
      } else response.end(Buffer.alloc(200_000, "e"));
    });
    const client = makeClient(t, registry.host, { retryTimes: 1 });
    const descriptor = { digest: digestOf(good), size: good.length };
    await assert.rejects(drain(client.fetchBlob("team/app", descriptor)), failsWith("digest-mismatch"));
  });

  void it("a blob that begins anew when it was to be taken up is joined correctly", async (t) => {
    const good = Buffer.from(Array.from({ length: 200_000 }, (_, index) => index % 251));
    let first = true;
    const registry = await serveOpen(t, (_, response) => {
      response.writeHead(200, { "content-length": String(good.length) });
      if (!first) return void response.end(good);
      first = false;
      response.write(good.subarray(0, 77_777));
      setTimeout(() => response.destroy(), 20);
    });
    const client = makeClient(t, registry.host, { retryTimes: 1 });
    const parts: Uint8Array[] = [];
    for await (const chunk of client.fetchBlob("team/app", { digest: digestOf(good), size: good.length }))
      parts.push(chunk);
    assert.deepEqual(Buffer.concat(parts), good);
  });

  void it("another part than the one asked for is refused", async (t) => {
    const registry = await serveOpen(t, (request, response) => {
      if (request.headers.range !== undefined) {
        response.writeHead(206, { "content-range": "bytes 0-99/200000" }).end("x".repeat(100));
        return;
      }
      response.writeHead(200, { "content-length": "200000" }).write("y".repeat(100_000));
      setTimeout(() => response.destroy(), 20);
    });
    const client = makeClient(t, registry.host, { retryTimes: 1 });
    await assert.rejects(
      drain(client.fetchBlob("team/app", { digest, size: 200_000 })),
      failsWith("registry-error", /another part/),
    );
  });

  void it("a web page in place of a manifest is called that", async (t) => {
    const registry = await serveOpen(t, (_, response) =>
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<html>Sign in</html>"),
    );
    await assert.rejects(readings["manifest"]!(makeClient(t, registry.host)), failsWith("registry-error", /web page/));
  });

  void it("T12: a list of tags or signatures that cannot be read is an error, not an empty list", async (t) => {
    for (const body of [
      "",
      "null",
      "[]",
      "{}",
      "<html></html>",
      '{"tags":{},"signatures":{}}',
      '{"tags":["a"],"tags":[],"signatures":[],"signatures":[]}',
      '{"tags":[1],"signatures":[1]}',
    ]) {
      const registry = await serveOpen(t, (_, response) => response.end(body));
      const client = makeClient(t, registry.host);
      await assert.rejects(client.listTags("team/app"), failsWith("registry-error"), body);
      await assert.rejects(client.listSignatures("team/app", digest), failsWith("registry-error"), body);
    }
  });

  for (const [what, answer] of [
    ["something that is not HTTP", "SSH-2.0-OpenSSH_9.2p1 Debian\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 500\r\n\r\nhello"],
    ["a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"],
    ["nothing at all", ""],
  ] as const) {
    void it(`an answer with ${what} is an error`, async (t) => {
      const raw = await serveRaw(t, (socket) => socket.end(answer));
      await assert.rejects(makeClient(t, raw).ping(), (error) => error instanceof SignetError);
    });
  }
});
