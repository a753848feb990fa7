import assert from "node:assert/strict";
import { type Server, createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { type TestContext, describe, it } from "node:test";
import { StoreError } from "@signet/core";
import {
  buildTestImage,
  makeTempDir,
  makeTlsCertificates,
  pushTestImage,
  requireTool,
  startTestRegistry,
} from "@signet/testkit";
import { makeRegistryClients } from "@signet/testkit/hostile-registry";
import type { RegistryClient, RegistryClientsOptions } from "./client.ts";

interface Proxy {
  readonly host: string;
  /** What it was asked for, with the credentials for the proxy. */
  readonly asked: readonly string[];
}

/** A proxy that leads every name to this machine. With `password` it wants that of user `proxy`. */
async function startProxy(t: TestContext, password?: string): Promise<Proxy> {
  const asked: string[] = [];
  const wanted = password === undefined ? undefined : `Basic ${Buffer.from(`proxy:${password}`).toString("base64")}`;
  const server: Server = createServer((_, response) => response.writeHead(501).end());
  server.on("connect", (request, socket) => {
    asked.push(`CONNECT ${request.url}`);
    socket.on("error", () => {});
    if (request.headers["proxy-authorization"] !== wanted) {
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
      return;
    }
    const onward = connect(Number(request.url!.split(":")[1]), "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      onward.pipe(socket);
      socket.pipe(onward);
    });
    onward.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

function makeClient(
  t: TestContext,
  domain: string,
  env: Record<string, string>,
  options: Partial<RegistryClientsOptions> = {},
): RegistryClient {
  const home = makeTempDir("signet-home-");
  t.after(() => home.dispose());
  const host = { env, uid: 1000, home: home.path, root: home.path };
  return makeRegistryClients(t, { host, tlsVerify: true, retryTimes: 1, ...options }).clientFor(domain);
}

void describe("registry client behind a proxy", () => {
  void it("tunnels https through it, with TLS to the registry itself", async (t) => {
    if (requireTool(t, "openssl") === undefined) return;
    using tls = await makeTlsCertificates();
    await using registry = await startTestRegistry({ tls: { cert: tls.cert, key: tls.key } });
    await pushTestImage(registry, "team/app:1", await buildTestImage());
    const proxy = await startProxy(t, "s3cr3t");
    const domain = `registry.test:${registry.host.split(":")[1]}`;
    const env = { HTTPS_PROXY: `http://proxy:s3cr3t@${proxy.host}` };
    await makeClient(t, domain, env, { tlsVerify: false }).fetchManifest("team/app", { tag: "1" });
    assert.deepEqual(new Set(proxy.asked), new Set([`CONNECT ${domain}`]));
    // The certificate is for another name: the tunnel does not weaken the check.
    await assert.rejects(
      makeClient(t, domain, env, { certDir: tls.certDir }).ping(),
      (error) => error instanceof StoreError && error.code === "tls-failed",
    );
  });

  void it("goes around it for hosts that NO_PROXY names", async (t) => {
    const proxy = await startProxy(t);
    const client = makeClient(t, "registry.invalid", { HTTPS_PROXY: `http://${proxy.host}`, NO_PROXY: ".invalid" });
    await assert.rejects(client.ping(), /host name not found|cannot be resolved/);
    assert.deepEqual(proxy.asked, []);
  });

  void it("T23: says that the proxy refuses, without its password", async (t) => {
    const proxy = await startProxy(t, "right");
    const client = makeClient(t, "registry.test", { HTTPS_PROXY: `http://proxy:s3cr3t@${proxy.host}` });
    await assert.rejects(client.ping(), (error) => {
      assert.ok(error instanceof StoreError, String(error));
      assert.equal(error.code, "registry-unreachable");
      assert.match(error.message, /407/);
      assert.doesNotMatch(`${error.message}${error.hint}`, /s3cr3t/);
      return true;
    });
  });

  void it("says that the proxy cannot be reached", async (t) => {
    const proxy = await startTestRegistry();
    await proxy.dispose();
    const client = makeClient(t, "registry.test", { HTTPS_PROXY: proxy.url });
    await assert.rejects(
      client.ping(),
      (error) => error instanceof StoreError && error.code === "registry-unreachable",
    );
  });
});
