/** Registries that try to lead credentials and requests astray by the realm of their token service (T14). */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { describe, it } from "node:test";
import type { RegistryClient } from "./client.ts";
import { type LoopbackServer, makeTempDir, makeTlsCertificates, requireTool } from "@signet/testkit";
import {
  bearerRegistry,
  encodedHostileAccount,
  failsWith,
  makeAccountClient,
  makeResolver,
  sendManifest,
  sendToken,
  serve,
} from "@signet/testkit/hostile-registry";

const reading = (client: RegistryClient): Promise<unknown> => client.fetchManifest("team/app", { tag: "1" });

void describe("T14: the realm of a token service", () => {
  void it("CVE-2026-33540: gets no credentials when it is another host", async (t) => {
    const thief = await serve(t, sendToken);
    const realm = `http://localhost:${thief.host.split(":")[1]}/token`;
    const registry = await serve(
      t,
      bearerRegistry(() => realm),
    );
    const client = makeAccountClient(t, registry.host);
    await assert.rejects(reading(client), failsWith("registry-url-refused", /credentials to http:\/\/localhost/));
    await assert.rejects(client.checkLogin(), failsWith("registry-url-refused"));
    assert.equal(thief.requests.length, 0);
  });

  void it("is asked anonymously when it is another host, and with credentials once it is trusted", async (t) => {
    const service = await serve(t, sendToken);
    const port = service.host.split(":")[1];
    const registry = await serve(
      t,
      bearerRegistry(() => `http://localhost:${port}/token`),
    );
    await reading(makeAccountClient(t, registry.host, { credentials: async () => undefined }));
    assert.equal(service.requests[0]!.headers.authorization, undefined);
    await reading(makeAccountClient(t, registry.host, { trustedRealms: [`localhost:${port}`] }));
    assert.equal(service.requests[1]!.headers.authorization, `Basic ${encodedHostileAccount}`);
    const env = { SIGNET_TRUSTED_REALMS: ` other.test:1 , localhost:${port}` };
    await reading(makeAccountClient(t, registry.host, { host: { env, uid: 1000, home: "/nonexistent" } }));
    assert.equal(service.requests[2]!.headers.authorization, `Basic ${encodedHostileAccount}`);
  });

  for (const realm of [
    "http://169.254.169.254/latest/meta-data/",
    "http://[fe80::1]/",
    "http://10.255.255.1/token",
    "http://[::ffff:10.0.0.1]/token",
    "http://100.100.100.200/",
  ]) {
    void it(`ggcr#2193: is not asked, not even anonymously, at ${realm} by the word of a registry that lives elsewhere`, async (t) => {
      const registry = await serve(
        t,
        bearerRegistry(() => realm),
      );
      const client = makeAccountClient(t, registry.host, {
        credentials: async () => undefined,
        timeouts: { connectMs: 1000 },
      });
      await assert.rejects(reading(client), failsWith("registry-url-refused", /is a (link-local|private) address/));
    });
  }

  void it("is not asked when its name leads into a private network, wholly or in part", async (t) => {
    const registry = await serve(
      t,
      bearerRegistry(() => "http://intranet.test/token"),
    );
    for (const addresses of [["10.0.0.1"], ["127.0.0.1", "169.254.169.254"], ["8.8.8.8", "fd00::1"]]) {
      const lookup = makeResolver({ "intranet.test": [addresses] });
      const client = makeAccountClient(t, registry.host, { credentials: async () => undefined, lookup });
      await assert.rejects(reading(client), failsWith("registry-url-refused", /http:\/\/intranet\.test\/token/));
    }
  });

  void it("is not asked when its name leads elsewhere the second time (DNS rebinding)", async (t) => {
    const service = await serve(t, (request, response) => {
      response.setHeader("connection", "close");
      sendToken(request, response);
    });
    const realm = `http://rebind.test:${service.host.split(":")[1]}/token`;
    const registry = await serve(
      t,
      bearerRegistry(() => realm),
    );
    const lookup = makeResolver({ "rebind.test": [["127.0.0.1"], ["169.254.169.254"]] });
    const client = makeAccountClient(t, registry.host, { credentials: async () => undefined, lookup });
    await reading(client);
    await assert.rejects(
      client.fetchManifest("other/app", { tag: "1" }),
      failsWith("registry-url-refused", /169\.254\.169\.254/),
    );
    assert.equal(service.requests.length, 1);
  });

  void it("is not asked on this machine by the word of a registry that is not on it", async (t) => {
    const local = await serve(t, sendToken);
    const registry = await serve(
      t,
      bearerRegistry(() => `http://${local.host}/token`),
    );
    // The proxy stands for the world outside: where the registry really is cannot be seen through it.
    const proxy = await serve(t, (request, response) => {
      const target = new URL(request.url!);
      assert.equal(target.hostname, "registry.test");
      const onward = httpRequest(
        { host: "127.0.0.1", port: registry.host.split(":")[1], path: target.pathname, headers: request.headers },
        (answer) => {
          response.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(response);
        },
      );
      onward.end();
    });
    const home = makeTempDir();
    t.after(() => home.dispose());
    const host = { env: { HTTP_PROXY: proxy.url }, uid: 1000, home: home.path, root: home.path };
    const client = makeAccountClient(t, "registry.test", { host, credentials: async () => undefined });
    await assert.rejects(reading(client), failsWith("registry-url-refused", /127\.0\.0\.1 is a loopback address/));
    assert.equal(local.requests.length, 0);
  });

  void it("CVE-2019-10214: gets no credentials over http when the registry speaks https", async (t) => {
    if (requireTool(t, "openssl") === undefined) return;
    using tls = await makeTlsCertificates();
    const service = await serve(t, sendToken);
    const registry = await serve(
      t,
      bearerRegistry(() => `http://${service.host}/token`),
      { tls },
    );
    await assert.rejects(
      reading(makeAccountClient(t, registry.host)),
      failsWith("registry-url-refused", /leaves https for http/),
    );
    assert.equal(service.requests.length, 0);
  });

  void it("loses the credentials when it redirects to another origin", async (t) => {
    const thief = await serve(t, sendToken);
    const registry: LoopbackServer = await serve(t, (request, response) => {
      if (request.url!.startsWith("/token")) response.writeHead(302, { location: `${thief.url}/token` }).end();
      else bearerRegistry(() => `http://${registry.host}/token`)(request, response);
    });
    await reading(makeAccountClient(t, registry.host));
    assert.equal(thief.requests.length, 1);
    assert.equal(thief.requests[0]!.headers.authorization, undefined);
  });

  void it("may not ask for tokens to other repositories than the one that is wanted", async (t) => {
    const registry: LoopbackServer = await serve(t, (request, response) => {
      if (request.url!.startsWith("/token")) return sendToken(request, response);
      const scope = 'scope="repository:secret/app:pull,push repository:team/app:pull,delete"';
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { "www-authenticate": `Bearer realm="http://${registry.host}/token",${scope}` }).end();
      } else sendManifest(request, response);
    });
    await reading(makeAccountClient(t, registry.host));
    const asked = registry.requests.find(({ url }) => url!.startsWith("/token"))!;
    assert.deepEqual(new URL(asked.url!, "http://x").searchParams.getAll("scope"), [
      "repository:team/app:pull",
      "repository:team/app:pull,delete",
    ]);
  });

  for (const [what, body] of [
    ["no JSON", "<html>"],
    ["no token", "{}"],
    ["a token with a line break", JSON.stringify({ token: "a\r\nx-evil: 1" })],
    ["a token that is no text", JSON.stringify({ token: 1 })],
    ["an empty token twice", JSON.stringify({ token: "", access_token: "" })],
    ["two tokens under one name", '{"token":"a","token":"b"}'],
  ] as const) {
    void it(`is not believed when it answers with ${what}`, async (t) => {
      const registry: LoopbackServer = await serve(t, (request, response) => {
        if (request.url!.startsWith("/token")) response.end(body);
        else bearerRegistry(() => `http://${registry.host}/token`)(request, response);
      });
      await assert.rejects(reading(makeAccountClient(t, registry.host)), failsWith("registry-error"));
    });
  }

  void it("is not asked for again and again when its tokens are refused", async (t) => {
    const registry: LoopbackServer = await serve(t, (request, response) => {
      if (request.url!.startsWith("/token")) return sendToken(request, response);
      response.writeHead(401, { "www-authenticate": `Bearer realm="http://${registry.host}/token"` }).end();
    });
    await assert.rejects(
      reading(makeAccountClient(t, registry.host, { retryTimes: 5 })),
      failsWith("registry-unauthorized"),
    );
    assert.ok(registry.requests.length < 10, `${registry.requests.length} requests`);
  });
});
