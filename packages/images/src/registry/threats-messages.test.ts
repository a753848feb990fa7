/** Registries that try to speak to the terminal, or to have secrets printed (T22, T23). */
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { describe, it } from "node:test";
import { type StoreError, parseDigest } from "@signet/core";
import type { LoopbackServer } from "@signet/testkit";
import {
  basicRegistry,
  bearerRegistry,
  encodedHostileAccount,
  failsWith,
  hostilePassword,
  makeAccountClient,
  openRegistry,
  sendToken,
  serve,
} from "@signet/testkit/hostile-registry";
import type { RegistryClient } from "./client.ts";

const reading = (client: RegistryClient): Promise<unknown> => client.fetchManifest("team/app", { tag: "1" });

void describe("T22, T23: what a registry says", () => {
  void it("is printed without control characters, and cut", async (t) => {
    const body = JSON.stringify({
      errors: [{ code: "\u001B[2JDENIED", message: `no\r\n\u009Baccess\u202E ${"x".repeat(5000)}` }],
    });
    const registry = await serve(
      t,
      openRegistry((_, response) => response.writeHead(403).end(body)),
    );
    await assert.rejects(reading(makeAccountClient(t, registry.host)), (error) => {
      failsWith("registry-forbidden", /DENIED: no access xxx/)(error);
      assert.doesNotMatch((error as StoreError).message, /[\p{Cc}\p{Cf}]/u);
      assert.ok((error as StoreError).message.length < 1000);
      return true;
    });
  });

  for (const [auth, echo] of [
    ["basic", (request: IncomingMessage) => String(request.headers.authorization)],
    ["basic", () => `your password is ${hostilePassword}`],
  ] as const) {
    void it(`is printed without the ${auth} credentials that it echoes (${String(echo).length})`, async (t) => {
      const registry = await serve(
        t,
        basicRegistry((request, response) => response.writeHead(500).end(echo(request))),
      );
      await assert.rejects(reading(makeAccountClient(t, registry.host)), failsWith("registry-error", /…/));
    });
  }

  void it("a token that is echoed is not printed", async (t) => {
    const registry: LoopbackServer = await serve(t, (request, response) => {
      if (request.url!.startsWith("/token")) return sendToken(request, response);
      if (request.headers.authorization === undefined)
        bearerRegistry(() => `http://${registry.host}/token`)(request, response);
      else response.writeHead(403).end(`denied to ${request.headers.authorization}`);
    });
    await assert.rejects(reading(makeAccountClient(t, registry.host)), (error) => {
      assert.doesNotMatch((error as Error).message, /token-1/);
      return failsWith("registry-forbidden")(error);
    });
  });

  void it("URLs in logs and messages lose their queries", async (t) => {
    const lines: string[] = [];
    const storage = await serve(t, (_, response) => response.writeHead(500).end());
    const registry = await serve(
      t,
      basicRegistry((_, response) =>
        response.writeHead(307, { location: `${storage.url}/b?X-Amz-Signature=secret` }).end(),
      ),
    );
    const client = makeAccountClient(t, registry.host, { log: (level, message) => lines.push(`${level} ${message}`) });
    const layer = client.fetchBlob("team/app", { digest: parseDigest(`sha256:${"a".repeat(64)}`) });
    await assert.rejects(layer.next(), (error) => {
      assert.doesNotMatch((error as Error).message, /Amz/);
      return true;
    });
    assert.ok(lines.some((line) => line.includes(`${storage.host}/b`)));
    assert.doesNotMatch(lines.join("\n"), new RegExp(`Amz|${encodedHostileAccount}|${hostilePassword}`));
  });
});
