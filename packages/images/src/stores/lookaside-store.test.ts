import assert from "node:assert/strict";
import { type IncomingMessage, type RequestListener, type ServerResponse, createServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { readFileSync } from "node:fs";
import { type TestContext, describe, it } from "node:test";
import { FormatError, type Reference, SignetError, StoreError, parseDigest, parseReference } from "@signet/core";
import { makeFakeClock, makeTempDir, makeTlsCertificates, requireTool } from "@signet/testkit";
import { RegistryClients } from "../registry/client.ts";
import { lookasideStore } from "./lookaside-store.ts";
import { folderLookasideBase, parseLookasideBase } from "./lookaside-url.ts";
import type { SignatureReading } from "./signature-store.ts";

const genuine = readFileSync(new URL("../../../../vectors/dir-images/valid/signature-1", import.meta.url));
const reference: Reference = parseReference("registry.example.com/team/app:1");
const digest = parseDigest(`sha256:${"1".repeat(64)}`);
const place = `/s/team/app@sha256=${"1".repeat(64)}/signature-`;

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

interface WebServer {
  readonly url: string;
  /** Path and query of each request, and its headers. */
  readonly requests: readonly { readonly path: string; readonly headers: IncomingMessage["headers"] }[];
}

/** A web server whose answers depend on the position that is asked for. */
async function serve(
  t: TestContext,
  answerFor: (position: number, path: string) => Answer,
  tls?: { readonly cert: string; readonly key: string },
): Promise<WebServer> {
  const requests: { path: string; headers: IncomingMessage["headers"] }[] = [];
  const listener: RequestListener = (request, response) => {
    const path = request.url ?? "";
    requests.push({ path, headers: request.headers });
    answerFor(Number(/signature-(\d+)/.exec(path)?.[1] ?? 0), path)(response, request);
  };
  const server = tls === undefined ? createServer(listener) : createHttpsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const scheme = tls === undefined ? "http" : "https";
  return { url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(code, headers).end("an answer");
const body =
  (bytes: Uint8Array | string, type = "application/octet-stream"): Answer =>
  (response) =>
    response.writeHead(200, { "content-type": type }).end(bytes);
const missing = status(404);
const page = body("<!DOCTYPE html><html><body>Welcome</body></html>", "text/html; charset=utf-8");

interface ReadOptions {
  readonly base?: string;
  readonly retryTimes?: number;
  readonly clock?: ReturnType<typeof makeFakeClock>;
  readonly idleMs?: number;
  readonly certDir?: string;
}

async function read(t: TestContext, server: WebServer, options: ReadOptions = {}): Promise<SignatureReading> {
  const clients = new RegistryClients({
    host: { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" },
    retryTimes: options.retryTimes ?? 0,
    clock: options.clock ?? makeFakeClock(),
    random: () => 0,
    timeouts: { idleMs: options.idleMs ?? 5000 },
    ...(options.certDir === undefined ? {} : { certDir: options.certDir }),
  });
  t.after(() => clients.close());
  const base = parseLookasideBase(options.base ?? `${server.url}/s`, "here");
  const store = lookasideStore({
    read: base,
    write: folderLookasideBase("/nonexistent"),
    openWeb: (host) => clients.openWeb(host),
  });
  return store.read(reference, digest);
}

function failsWith(code: string, check: (error: SignetError) => void = () => {}): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof SignetError, String(error));
    assert.equal(error.code, code, error.message);
    check(error);
    return true;
  };
}

describe("a lookaside store on the web", () => {
  it("is read up to the first 404, each signature with its URL", async (t) => {
    const server = await serve(t, (position) => (position <= 2 ? body(genuine) : missing));
    const reading = await read(t, server);
    assert.equal(reading.store, `${server.url}/s`);
    assert.deepEqual(
      reading.signatures.map(({ bytes, location }) => [Buffer.from(bytes).equals(genuine), location]),
      [
        [true, `${server.url}${place}1`],
        [true, `${server.url}${place}2`],
      ],
    );
    assert.deepEqual(
      reading.attempts.map(({ outcome, status: code }) => [outcome, code]),
      [
        ["found", 200],
        ["found", 200],
        ["absent", 404],
      ],
    );
  });

  it("is asked for four signatures at once, and never uses one behind the gap", async (t) => {
    const waiting: (() => void)[] = [];
    const server = await serve(t, (position) => (response, request) => {
      const answer = position === 2 ? missing : body(genuine);
      // Nobody is answered before all four have asked.
      waiting.push(() => answer(response, request));
      if (waiting.length >= 4) for (const go of waiting.splice(0)) go();
    });
    const reading = await read(t, server);
    assert.equal(reading.signatures.length, 1);
    assert.deepEqual(
      server.requests.map(({ path }) => path).toSorted(),
      [1, 2, 3, 4].map((n) => `${place}${n}`),
    );
  });

  it("does not fail for what lies behind the gap, however it fails", async (t) => {
    const behind: readonly Answer[] = [
      status(500),
      (response) => response.destroy(),
      status(302, { location: "ftp://x/" }),
      body("x".repeat(5_000_000)),
    ];
    for (const answer of behind) {
      const server = await serve(t, (position) => (position === 1 ? body(genuine) : position === 2 ? missing : answer));
      assert.equal((await read(t, server)).signatures.length, 1);
    }
  });

  it("is not waited for behind the gap: those requests are given up", async (t) => {
    const givenUp: Promise<void>[] = [];
    const server = await serve(t, (position) => (response, request) => {
      if (position > 1) {
        givenUp.push(new Promise((resolve) => response.on("close", resolve)));
        response.writeHead(200).write("slow");
      }
      // The gap shows only when the others are on their way.
      if (position === 1) setTimeout(() => missing(response, request), 50);
    });
    assert.equal((await read(t, server, { idleMs: 600_000 })).signatures.length, 0);
    assert.equal(givenUp.length, 3);
    await Promise.all(givenUp);
  });

  for (const code of [403, 401, 410, 400, 204, 206, 500, 503, 304]) {
    it(`T12: is broken, not empty, when it answers ${code}`, async (t) => {
      const server = await serve(t, () => status(code));
      await assert.rejects(
        read(t, server),
        failsWith("signature-store-error", (error) => {
          assert.ok(error instanceof StoreError);
          assert.equal(error.status, code);
          assert.match(error.message, new RegExp(`signature-1: HTTP ${code}`));
          assert.ok(error.hint !== undefined);
          if (code === 403) assert.match(error.hint, /s3:ListBucket/);
        }),
      );
    });
  }

  it("T12: is broken when a later signature cannot be had", async (t) => {
    const server = await serve(t, (position) =>
      position === 1 ? body(genuine) : position === 2 ? status(403) : missing,
    );
    await assert.rejects(read(t, server), failsWith("signature-store-error"));
  });

  it("is asked again after failures that may pass, a few times, waiting as it asks for", async (t) => {
    let failures = 0;
    const server = await serve(t, (position) => {
      if (position > 1) return missing;
      failures++;
      return failures <= 2 ? status(503, { "retry-after": "7" }) : body(genuine);
    });
    const clock = makeFakeClock();
    assert.equal((await read(t, server, { retryTimes: 5, clock })).signatures.length, 1);
    assert.deepEqual(clock.slept, [7000, 7000]);
    failures = -10;
    await assert.rejects(read(t, server, { retryTimes: 5 }), failsWith("signature-store-error"));
    assert.equal(failures, -7);
  });

  it("passes over a web page with a warning and goes on", async (t) => {
    const server = await serve(t, (position) => (position === 1 ? page : position === 2 ? body(genuine) : missing));
    const reading = await read(t, server);
    assert.equal(reading.signatures.length, 1);
    assert.equal(reading.signatures[0]?.location, `${server.url}${place}2`);
    assert.deepEqual(
      reading.attempts.map(({ outcome }) => outcome),
      ["skipped", "found", "absent"],
    );
    assert.match(reading.warnings[0]!, /signature-1: a web page instead of a signature, skipped/);
  });

  it("ends with a warning when it answers with pages for everything", async (t) => {
    for (const type of ["text/html", "application/octet-stream"]) {
      const server = await serve(t, () => body("\n <html><head>", type));
      const reading = await read(t, server);
      assert.deepEqual(reading.signatures, []);
      assert.deepEqual(
        reading.attempts.map(({ outcome }) => outcome),
        ["skipped", "skipped", "skipped"],
      );
      assert.match(reading.warnings.at(-1)!, /answers with pages instead of signatures/);
    }
  });

  it("passes over pages again after a signature, and still ends", async (t) => {
    const server = await serve(t, (position) => (position === 3 ? body(genuine) : page));
    const reading = await read(t, server);
    assert.equal(reading.signatures.length, 1);
    assert.equal(reading.attempts.length, 6);
  });

  it("takes a signature that is called a web page, with a warning", async (t) => {
    const server = await serve(t, (position) => (position === 1 ? body(genuine, "Text/HTML") : missing));
    const reading = await read(t, server);
    assert.equal(reading.signatures.length, 1);
    assert.match(reading.warnings[0]!, /calls this signature a web page/);
  });

  it("hands out an empty body and bytes of no known format as they are", async (t) => {
    const server = await serve(t, (position) =>
      position === 1 ? body("") : position === 2 ? body("<xml/>") : position === 3 ? body(genuine) : missing,
    );
    const reading = await read(t, server);
    assert.deepEqual(
      reading.signatures.map(({ bytes }) => bytes.length),
      [0, 6, genuine.length],
    );
  });

  it("T13: is refused beyond 128 signatures, 4 MiB of one or 32 MiB of all", async (t) => {
    const full = await serve(t, (position) => (position <= 128 ? body(`${position}`) : missing));
    assert.equal((await read(t, full)).signatures.length, 128);
    assert.ok(full.requests.length <= 129);
    const endless = await serve(t, () => body("x"));
    await assert.rejects(
      read(t, endless),
      failsWith("signature-store-error", ({ message }) => assert.match(message, /more than 128/)),
    );
    assert.ok(endless.requests.length <= 129);
    const large = await serve(t, (position) => (position === 1 ? body(new Uint8Array(4 * 1024 * 1024 + 1)) : missing));
    await assert.rejects(
      read(t, large),
      failsWith("input-too-large", (error) => assert.ok(error instanceof FormatError)),
    );
    const heavy = await serve(t, (position) => (position <= 10 ? body(new Uint8Array(4 * 1024 * 1024)) : missing));
    await assert.rejects(
      read(t, heavy),
      failsWith("signature-store-error", ({ message }) => assert.match(message, /larger than/)),
    );
  });

  it("T13: is left when a body has no end", async (t) => {
    let sent = 0;
    const server = await serve(t, () => (response) => {
      response.writeHead(200);
      const more = (): void => {
        sent += 65_536;
        if (!response.destroyed) response.write(new Uint8Array(65_536), more);
      };
      more();
    });
    await assert.rejects(read(t, server), failsWith("input-too-large"));
    assert.ok(sent < 100 * 1024 * 1024);
  });

  it("T13: is left when a body stands still", async (t) => {
    const server = await serve(
      t,
      () => (response) => response.writeHead(200, { "content-length": "100" }).write("slow"),
    );
    await assert.rejects(read(t, server, { idleMs: 50 }), failsWith("registry-unreachable"));
  });

  it("T12: is broken when a body ends too early or nobody is there", async (t) => {
    const short = await serve(t, () => (response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("short", () => response.destroy());
    });
    await assert.rejects(read(t, short), failsWith("registry-unreachable"));
    await assert.rejects(read(t, { url: "http://127.0.0.1:1", requests: [] }), failsWith("registry-unreachable"));
  });

  it("may redirect, but not without end and not to what is no web address", async (t) => {
    const server = await serve(t, (position, path) =>
      path.startsWith("/moved")
        ? position === 1
          ? body(genuine)
          : missing
        : status(302, { location: `/moved${path}` }),
    );
    assert.equal((await read(t, server)).signatures.length, 1);
    const loop = await serve(t, (_position, path) => status(302, { location: path }));
    await assert.rejects(read(t, loop), failsWith("registry-error"));
    for (const location of ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pass@127.0.0.1/"]) {
      const away = await serve(t, () => status(302, { location }));
      await assert.rejects(read(t, away), failsWith("registry-url-refused"));
    }
  });

  it("is sent no credentials, unless its own URL has some; those go nowhere else and are not shown", async (t) => {
    const other = await serve(t, (position) => (position === 1 ? body(genuine) : missing));
    const server = await serve(t, () => status(404));
    await read(t, server);
    assert.ok(server.requests.every(({ headers }) => headers.authorization === undefined));
    const redirecting = await serve(t, (_position, path) => status(302, { location: `${other.url}${path}` }));
    const base = `${redirecting.url.replace("//", "//user:p%40ss@")}/s?token=secret`;
    const reading = await read(t, redirecting, { base });
    assert.ok(redirecting.requests.length > 0);
    for (const { headers, path } of redirecting.requests) {
      assert.equal(headers.authorization, `Basic ${Buffer.from("user:p@ss").toString("base64")}`);
      assert.ok(path.endsWith("?token=secret"), path);
    }
    assert.ok(other.requests.every(({ headers }) => headers.authorization === undefined));
    assert.doesNotMatch(JSON.stringify(reading), /p%40ss|p@ss|secret|user/);
    const failing = await serve(t, () => status(403));
    const failingBase = `${failing.url.replace("//", "//user:p%40ss@")}/s?token=secret`;
    await assert.rejects(
      read(t, failing, { base: failingBase }),
      failsWith("signature-store-error", (error) =>
        assert.doesNotMatch(JSON.stringify([error.message, error.hint, error.details]), /p%40ss|secret|user/),
      ),
    );
  });
});

describe("a lookaside store over https", () => {
  it("is trusted by the same certificate authorities as a registry, and not otherwise", async (t) => {
    if (requireTool(t, "openssl") === undefined) return;
    using tls = await makeTlsCertificates();
    const server = await serve(t, (position) => (position === 1 ? body(genuine) : missing), tls);
    assert.equal((await read(t, server, { certDir: tls.certDir })).signatures.length, 1);
    await assert.rejects(read(t, server), failsWith("tls-failed"));
  });

  it("is never left for http", async (t) => {
    if (requireTool(t, "openssl") === undefined) return;
    using tls = await makeTlsCertificates();
    const plain = await serve(t, () => body(genuine));
    const server = await serve(t, (_position, path) => status(302, { location: `${plain.url}${path}` }), tls);
    await assert.rejects(read(t, server, { certDir: tls.certDir }), failsWith("registry-url-refused"));
    assert.deepEqual(plain.requests, []);
  });
});

describe("a lookaside store with a scheme of no use", () => {
  for (const [url, problem] of [
    ["/no/scheme/just/a/path", /has no scheme/],
    ["no/scheme/relative/path", /has no scheme/],
    ["s3://bucket/x", /s3: is not known/],
  ] as const) {
    it(`cannot be read or written: ${url}`, async () => {
      const base = parseLookasideBase(url, "here");
      const store = lookasideStore({ read: base, write: base, openWeb: () => assert.fail("nothing to open") });
      await assert.rejects(
        store.read(reference, digest),
        failsWith("registries-d-malformed", ({ message }) => assert.match(message, problem)),
      );
      assert.match(store.unwritable ?? "", problem);
      await assert.rejects(
        store.add(reference, digest, genuine),
        failsWith("signature-store-unwritable", ({ hint }) => assert.match(hint ?? "", /lookaside-staging/)),
      );
    });
  }

  it("can be read at one place and written at another", async (t) => {
    const dir = makeTempDir();
    t.after(() => dir.dispose());
    const store = lookasideStore({
      read: folderLookasideBase(dir.join("public")),
      write: folderLookasideBase(dir.join("staging")),
      openWeb: () => assert.fail("nothing to open"),
    });
    const location = await store.add(reference, digest, genuine);
    assert.equal(location, dir.join("staging", `team/app@sha256=${"1".repeat(64)}`, "signature-1"));
    assert.deepEqual((await store.read(reference, digest)).signatures, []);
  });
});
