import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type TestContext, describe, it } from "node:test";
import { type Digest, StoreError, parseDigest } from "@signet/core";
import {
  buildTestImage,
  dockerRegistryAccount,
  makeFakeClock,
  makeTlsCertificates,
  pushTestImage,
  requireTool,
  startDockerRegistry,
  startTestRegistry,
  testRegistryAccount,
} from "@signet/testkit";
import { failsWith, makeRegistryClients } from "@signet/testkit/hostile-registry";
import type { RegistryClient, RegistryClients, RegistryClientsOptions } from "./client.ts";
import type { Credentials } from "./credentials.ts";

const account: Credentials = {
  kind: "password",
  username: testRegistryAccount.user,
  password: testRegistryAccount.password,
};

/** The shared ones, with the retries that are the default. */
function makeClients(t: TestContext, options: Partial<RegistryClientsOptions> = {}): RegistryClients {
  return makeRegistryClients(t, { retryTimes: 3, ...options });
}

function digestOf(bytes: Uint8Array): Digest {
  return parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
}

async function* chunksOf(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts);
}

/** Pushes an image through the client, as `copy` would, and reads it back. */
async function roundTrip(client: RegistryClient, repository: string): Promise<void> {
  const image = await buildTestImage({ layers: 2, layerBytes: 200_000 });
  for (const { bytes } of [image.config, ...image.layers]) {
    const descriptor = { digest: digestOf(bytes), size: bytes.length };
    assert.equal(await client.hasBlob(repository, descriptor), false);
    await client.uploadBlob(repository, descriptor, chunksOf(bytes, 30_000));
    assert.equal(await client.hasBlob(repository, descriptor), true);
    assert.deepEqual(await collect(client.fetchBlob(repository, descriptor)), Buffer.from(bytes));
    assert.deepEqual(await collect(client.fetchBlob(repository, { digest: descriptor.digest })), Buffer.from(bytes));
  }
  const digest = digestOf(image.manifest);
  await client.storeManifest(repository, { digest }, image.manifest, image.mediaType);
  await client.storeManifest(repository, { tag: "v1" }, image.manifest, image.mediaType);
  for (const name of [{ tag: "v1" }, { digest }]) {
    const manifest = await client.fetchManifest(repository, name);
    assert.equal(manifest.digest, digest);
    assert.deepEqual(Buffer.from(manifest.bytes), Buffer.from(image.manifest));
    assert.equal(manifest.declaredMediaType, image.mediaType);
  }
  assert.deepEqual(await client.listTags(repository), ["v1"]);
  const layer = image.layers[0]!;
  assert.equal(await client.mountBlob(`${repository}-copy`, digestOf(layer.bytes), repository), true);
  assert.equal(await client.hasBlob(`${repository}-copy`, { digest: digestOf(layer.bytes) }), true);
  await client.deleteManifest(repository, digest);
  await assert.rejects(client.fetchManifest(repository, { tag: "v1" }), failsWith("image-missing"));
}

void describe("registry client at Debian's docker-registry", () => {
  void it("pushes, reads, mounts, lists and deletes over plain http", async (t) => {
    if (requireTool(t, "docker-registry") === undefined) return;
    await using registry = await startDockerRegistry();
    await roundTrip(makeClients(t).clientFor(registry.host), "team/app");
  });

  void it("does the same with Basic authentication", async (t) => {
    if (requireTool(t, "docker-registry") === undefined) return;
    await using registry = await startDockerRegistry({ auth: true });
    const { user: username, password } = dockerRegistryAccount;
    const client = makeClients(t, { credentials: async () => ({ kind: "password", username, password }) });
    await client.clientFor(registry.host).checkLogin();
    await roundTrip(client.clientFor(registry.host), "team/app");
  });

  void it("does the same over https with an authority from certs.d", async (t) => {
    if (requireTool(t, "docker-registry") === undefined || requireTool(t, "openssl") === undefined) return;
    using tls = await makeTlsCertificates();
    await using registry = await startDockerRegistry({ tls });
    await roundTrip(makeClients(t, { tlsVerify: true, certDir: tls.certDir }).clientFor(registry.host), "team/app");
  });

  void it("gives up an upload whose bytes are not what was announced, and the registry keeps nothing", async (t) => {
    if (requireTool(t, "docker-registry") === undefined) return;
    await using registry = await startDockerRegistry();
    const client = makeClients(t).clientFor(registry.host);
    const good = Buffer.from("good bytes");
    const evil = Buffer.from("evil bytes");
    for (const descriptor of [{ digest: digestOf(good) }, { digest: digestOf(good), size: good.length }]) {
      await assert.rejects(client.uploadBlob("team/app", descriptor, chunksOf(evil, 3)), failsWith("digest-mismatch"));
      assert.equal(await client.hasBlob("team/app", descriptor), false);
      assert.equal(await client.hasBlob("team/app", { digest: digestOf(evil) }), false);
    }
    // Uploads that were given up are gone, not left to rot.
    const left = await import("node:fs/promises").then((fs) => fs.readdir(registry.storageDir, { recursive: true }));
    assert.deepEqual(
      left.filter((path) => /_uploads\/.*\/data$/.test(path)),
      [],
    );
  });

  void it("says that a registry does not know an image, and what the registry says to it", async (t) => {
    if (requireTool(t, "docker-registry") === undefined) return;
    await using registry = await startDockerRegistry();
    const client = makeClients(t).clientFor(registry.host);
    await assert.rejects(
      client.fetchManifest("no/such", { tag: "x" }),
      failsWith("image-missing", /MANIFEST_UNKNOWN: manifest unknown/),
    );
    await assert.rejects(client.listTags("no/such"), failsWith("image-missing", /NAME_UNKNOWN/));
    assert.equal(await client.mountBlob("no/other", digestOf(Buffer.from("nothing")), "no/such"), false);
  });
});

void describe("registry client", () => {
  for (const auth of ["none", "basic", "bearer"] as const) {
    void it(`works with authentication ${auth}`, async (t) => {
      await using registry = await startTestRegistry({ auth });
      const clients = makeClients(t, { credentials: async () => (auth === "none" ? undefined : account) });
      await roundTrip(clients.clientFor(registry.host), "team/app");
      assert.ok(registry.log.every(({ userAgent }) => userAgent === "signet"));
    });
  }

  void it("asks for one token a scope, and keeps it", async (t) => {
    await using registry = await startTestRegistry({ auth: "bearer" });
    const image = await buildTestImage();
    await pushTestImage(registry, "team/app:1", image);
    const client = makeClients(t, { credentials: async () => account }).clientFor(registry.host);
    await Promise.all([1, 2, 3].map(() => client.fetchManifest("team/app", { tag: "1" })));
    const tokens = registry.log.filter(({ path }) => path === "/token");
    assert.equal(tokens.length, 1);
    assert.equal(new URLSearchParams(tokens[0]!.query).get("scope"), "repository:team/app:pull");
    assert.equal(registry.log.filter(({ path }) => path === "/v2/").length, 1);
  });

  void it("asks for a new token when the old one has run out, by its own clock or by the registry's word", async (t) => {
    await using registry = await startTestRegistry({ auth: "bearer", tokenLifetimeSeconds: 300 });
    await pushTestImage(registry, "team/app:1", await buildTestImage());
    const clock = makeFakeClock();
    const client = makeClients(t, { credentials: async () => account, clock }).clientFor(registry.host);
    const tokens = (): number => registry.log.filter(({ path }) => path === "/token").length;
    await client.fetchManifest("team/app", { tag: "1" });
    clock.advance(290_000);
    await client.fetchManifest("team/app", { tag: "1" });
    assert.equal(tokens(), 1);
    clock.advance(10_000);
    await client.fetchManifest("team/app", { tag: "1" });
    assert.equal(tokens(), 2);
    registry.expireTokens();
    await client.fetchManifest("team/app", { tag: "1" });
    assert.equal(tokens(), 3);
  });

  void it("reads public images anonymously where a token is wanted all the same", async (t) => {
    await using registry = await startTestRegistry({ auth: "bearer", anonymousPull: true });
    await pushTestImage(registry, "team/app:1", await buildTestImage());
    const client = makeClients(t).clientFor(registry.host);
    await client.fetchManifest("team/app", { tag: "1" });
    assert.ok(registry.log.every(({ user }) => user === undefined));
    await assert.rejects(
      client.uploadBlob("team/app", { digest: digestOf(Buffer.from("x")) }, chunksOf(Buffer.from("x"))),
      failsWith("registry-unauthorized"),
    );
  });

  void it("remembers what single requests wanted although the ping did not", async (t) => {
    await using registry = await startTestRegistry({
      auth: "bearer",
      faults: [{ path: "/v2/", times: Infinity, status: 200 }],
    });
    await pushTestImage(registry, "team/app:1", await buildTestImage());
    const client = makeClients(t, { credentials: async () => account }).clientFor(registry.host);
    for (let round = 0; round < 3; round++) await client.fetchManifest("team/app", { tag: "1" });
    assert.deepEqual(
      registry.log.filter(({ path }) => path !== "/token").map(({ status }) => status),
      [200, 401, 200, 200, 200],
    );
  });

  void it("exchanges an identity token for an access token", async (t) => {
    await using registry = await startTestRegistry({
      auth: "bearer",
      identityTokens: { "identity-token-1": "tester" },
    });
    await pushTestImage(registry, "team/app:1", await buildTestImage());
    const credentials = { kind: "identity-token", token: "identity-token-1" } as const;
    const client = makeClients(t, { credentials: async () => credentials }).clientFor(registry.host);
    await client.fetchManifest("team/app", { tag: "1" });
    assert.equal(registry.log.filter(({ method, path }) => method === "POST" && path === "/token").length, 1);
  });

  for (const auth of ["basic", "bearer"] as const) {
    void it(`T23: says that ${auth} credentials are wrong or missing, with a hint and without showing them`, async (t) => {
      await using registry = await startTestRegistry({ auth });
      const password = "hunter2-hunter2";
      for (const credentials of [undefined, { kind: "password", username: "tester", password } as const]) {
        const client = makeClients(t, { credentials: async () => credentials }).clientFor(registry.host);
        for (const attempt of [
          () => client.checkLogin(),
          () => client.fetchManifest("team/app", { tag: "1" }),
        ] as const) {
          await assert.rejects(attempt(), (error) => {
            failsWith("registry-unauthorized")(error);
            const { message, hint, details } = error as StoreError;
            assert.match(hint!, /signet login 127\.0\.0\.1/);
            assert.doesNotMatch(JSON.stringify([message, hint, details]), /hunter2|aHVudGVy/);
            return true;
          });
        }
      }
      const right = makeClients(t, { credentials: async () => account }).clientFor(registry.host);
      await right.checkLogin();
    });
  }

  void it("does not look for credentials that nobody asks for", async (t) => {
    await using registry = await startTestRegistry();
    await pushTestImage(registry, "team/app:1", await buildTestImage());
    const credentials = (): never => assert.fail("looked for credentials");
    await makeClients(t, { credentials }).clientFor(registry.host).fetchManifest("team/app", { tag: "1" });
  });

  void it("finds credentials by repository, so that two of one host can differ", async (t) => {
    await using registry = await startTestRegistry({ auth: "bearer", users: { a: "1", b: "2" } });
    for (const repository of ["a/app", "b/app"])
      await pushTestImage(registry, `${repository}:1`, await buildTestImage());
    const client = makeClients(t, {
      credentials: async (_domain, repository) =>
        repository?.startsWith("a/") === true
          ? { kind: "password", username: "a", password: "1" }
          : { kind: "password", username: "b", password: "2" },
    }).clientFor(registry.host);
    for (const repository of ["a/app", "b/app", "a/app"]) await client.fetchManifest(repository, { tag: "1" });
    const users = registry.log.filter(({ path }) => path.endsWith("/manifests/1")).map(({ user }) => user);
    assert.deepEqual(users, ["a", "b", "a"]);
  });

  void it("knows from the ping whether there is a signatures API, by exactly the value 1", async (t) => {
    for (const [value, supported] of [
      ["1", true],
      ["2", false],
      ["true", false],
      ["", false],
    ] as const) {
      await using registry = await startTestRegistry({
        faults: [{ path: "/v2/", times: Infinity, headers: { "x-registry-supports-signatures": value } }],
      });
      assert.equal((await makeClients(t).clientFor(registry.host).ping()).supportsSignatures, supported, value);
    }
    await using registry = await startTestRegistry({ signaturesExtension: true, auth: "bearer" });
    assert.equal((await makeClients(t).clientFor(registry.host).ping()).supportsSignatures, true);
  });

  void it("does not speak plain http unless it is told to", async (t) => {
    await using registry = await startTestRegistry();
    const client = makeClients(t, { tlsVerify: true, retryTimes: 0 }).clientFor(registry.host);
    await assert.rejects(client.ping(), failsWith("tls-failed"));
    assert.equal(registry.log.length, 0);
  });

  void it("refuses a certificate of an unknown authority, and takes it from certs.d or without verification", async (t) => {
    if (requireTool(t, "openssl") === undefined) return;
    using tls = await makeTlsCertificates();
    await using registry = await startTestRegistry({ tls: { cert: tls.cert, key: tls.key } });
    const strict = makeClients(t, { tlsVerify: true }).clientFor(registry.host);
    await assert.rejects(strict.ping(), (error) => {
      failsWith("tls-failed")(error);
      assert.match((error as StoreError).hint!, /certs\.d\/127\.0\.0\.1:\d+\/ca\.crt/);
      return true;
    });
    assert.equal(
      (await makeClients(t, { tlsVerify: true, certDir: tls.certDir }).clientFor(registry.host).ping()).origin.protocol,
      "https:",
    );
    assert.equal(
      (await makeClients(t, { tlsVerify: false }).clientFor(registry.host).ping()).origin.protocol,
      "https:",
    );
  });

  void it("shows a client certificate where one is demanded", async (t) => {
    if (requireTool(t, "openssl") === undefined) return;
    using tls = await makeTlsCertificates();
    await using registry = await startTestRegistry({ tls: { cert: tls.cert, key: tls.key, clientCa: tls.ca } });
    await makeClients(t, { tlsVerify: true, certDir: tls.certDir }).clientFor(registry.host).ping();
    const without = makeClients(t, { tlsVerify: false, retryTimes: 0 }).clientFor(registry.host);
    await assert.rejects(without.ping(), StoreError);
  });

  void it("tries again after 429, 502, 503, 504 and lost connections, as long as it was told to wait", async (t) => {
    await using registry = await startTestRegistry();
    await pushTestImage(registry, "team/app:1", await buildTestImage());
    const path = "/v2/team/app/manifests/1";
    registry.addFaults(
      { path, status: 429, headers: { "retry-after": "7" } },
      { path, from: 2, status: 503 },
      { path, from: 3, disconnect: true },
      { path, from: 4, truncateAt: 10 },
    );
    const clock = makeFakeClock();
    const client = makeClients(t, { clock, random: () => 0, retryTimes: 4 }).clientFor(registry.host);
    await client.fetchManifest("team/app", { tag: "1" });
    assert.deepEqual(clock.slept, [7000, 1000, 2000, 4000]);
    registry.addFaults({ path, times: Infinity, status: 503 });
    await assert.rejects(client.fetchManifest("team/app", { tag: "1" }), failsWith("registry-error", /HTTP 503/));
    assert.equal(clock.slept.length, 8);
  });

  void it("does not try again what is refused for good", async (t) => {
    await using registry = await startTestRegistry({
      faults: [{ path: /manifests/, times: Infinity, status: 403, body: "<html>no</html>" }],
    });
    const clock = makeFakeClock();
    const client = makeClients(t, { clock }).clientFor(registry.host);
    await assert.rejects(
      client.fetchManifest("team/app", { tag: "1" }),
      failsWith("registry-forbidden", /\(a web page\)/),
    );
    assert.deepEqual(clock.slept, []);
  });

  void it("takes a blob up again where the connection broke", async (t) => {
    const bytes = Buffer.alloc(300_000, "0123456789abcdef");
    await using registry = await startTestRegistry();
    const digest = parseDigest(registry.putBlob("team/app", bytes));
    const path = `/v2/team/app/blobs/${digest}`;
    registry.addFaults({ path, truncateAt: 100_000 }, { path, from: 2, truncateAt: 100_000 });
    const client = makeClients(t).clientFor(registry.host);
    assert.deepEqual(await collect(client.fetchBlob("team/app", { digest, size: bytes.length })), bytes);
    const ranges = registry.log.filter((request) => request.path === path).map(({ range }) => range);
    assert.equal(ranges.length, 3);
    assert.equal(ranges[0], undefined);
    for (const range of ranges.slice(1)) assert.match(range!, /^bytes=\d+-$/);
  });

  void it("lists tags page by page", async (t) => {
    await using registry = await startTestRegistry();
    const image = await buildTestImage();
    const tags = Array.from({ length: 2100 }, (_, index) => `v${String(index).padStart(5, "0")}`);
    for (const { bytes } of [image.config, ...image.layers]) registry.putBlob("team/app", bytes);
    for (const tag of tags) registry.putManifest("team/app", tag, image.manifest, image.mediaType);
    assert.deepEqual(await makeClients(t).clientFor(registry.host).listTags("team/app"), tags);
    assert.equal(registry.log.filter(({ path }) => path.endsWith("/tags/list")).length, 3);
  });

  void it("says that a registry cannot be reached, and which", async (t) => {
    const registry = await startTestRegistry();
    await registry.dispose();
    const client = makeClients(t, { retryTimes: 1 }).clientFor(registry.host);
    await assert.rejects(
      client.ping(),
      failsWith("registry-unreachable", new RegExp(`${registry.host}: connection refused`)),
    );
    const unknown = makeClients(t).clientFor("registry.invalid");
    await assert.rejects(unknown.ping(), failsWith("registry-unreachable", /registry\.invalid/));
  });

  void it("asks Docker Hub at the host that serves docker.io", async (t) => {
    const asked: string[] = [];
    const client = makeClients(t, {
      tlsVerify: true,
      lookup: (hostname, _options, callback) => {
        asked.push(hostname);
        callback(Object.assign(new Error("not found"), { code: "ENOTFOUND" }), "", 0);
      },
    }).clientFor("docker.io");
    await assert.rejects(client.ping(), failsWith("registry-unreachable"));
    assert.deepEqual(asked, ["registry-1.docker.io"]);
  });
});
