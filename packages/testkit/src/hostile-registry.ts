/** Registries that do what none should, in a few lines each, and clients to send there. */
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { LookupFunction } from "node:net";
import type { TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { SignetError } from "@signet/core";
import { type Credentials, type RegistryClient, RegistryClients, type RegistryClientsOptions } from "@signet/images";
import { makeFakeClock } from "./fake-clock.ts";
import { type LoopbackServer, startLoopbackServer } from "./loopback-server.ts";
import { makeTempDir } from "./temp-dir.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** The password that must never be seen where it does not belong. */
export const hostilePassword = "correct-horse-battery";

export const hostileAccount: Credentials = { kind: "password", username: "tester", password: hostilePassword };

/** {@link hostileAccount} as Basic authentication carries it. */
export const encodedHostileAccount: string = Buffer.from(`tester:${hostilePassword}`).toString("base64");

/** Clients of a user without any configuration or credentials, who trusts plain http, waits for nothing, and gives up at the first failure; closed after the test. */
export function makeRegistryClients(t: TestContext, options: Partial<RegistryClientsOptions> = {}): RegistryClients {
  const home = makeTempDir("signet-home-");
  const clients = new RegistryClients({
    host: { env: {}, uid: 1000, home: home.path, root: home.join("root") },
    tlsVerify: false,
    clock: makeFakeClock(),
    retryTimes: 0,
    ...options,
  });
  t.after(async () => {
    await clients.close();
    home.dispose();
  });
  return clients;
}

/** For {@link makeRegistryClients} where waiting is what is tested: writers that give each other time. */
export const realClock: NonNullable<RegistryClientsOptions["clock"]> = {
  now: () => Date.now(),
  sleep: async (milliseconds) => {
    await wait(milliseconds);
  },
};

/** One of {@link makeRegistryClients}, with {@link hostileAccount}. */
export function makeAccountClient(
  t: TestContext,
  domain: string,
  options: Partial<RegistryClientsOptions> = {},
): RegistryClient {
  return makeRegistryClients(t, { credentials: async () => hostileAccount, ...options }).clientFor(domain);
}

/** A server for one test. */
export async function serve(
  t: TestContext,
  handler: Handler,
  options: Parameters<typeof startLoopbackServer>[1] = {},
): Promise<LoopbackServer> {
  const server = await startLoopbackServer((request, response) => {
    response.on("error", () => {});
    handler(request, response);
  }, options);
  t.after(() => server.dispose());
  return server;
}

/** Lets the ping through and answers all else with `then`. */
export function openRegistry(then: Handler): Handler {
  return (request, response) => {
    if (request.url === "/v2/") response.end();
    else then(request, response);
  };
}

/** Wants a token from `realm`, and answers all that has one with `then`. */
export function bearerRegistry(realm: () => string, then: Handler = sendManifest): Handler {
  return (request, response) => {
    if (request.headers.authorization !== undefined) return then(request, response);
    response.writeHead(401, { "www-authenticate": `Bearer realm="${realm()}",service="s"` }).end();
  };
}

/** Wants Basic authentication, and answers all that has it with `then`. */
export function basicRegistry(then: Handler): Handler {
  return (request, response) => {
    if (request.headers.authorization === undefined) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="r"' }).end();
    } else openRegistry(then)(request, response);
  };
}

/** The manifest that {@link sendManifest} sends. */
export const servedManifest: string = JSON.stringify({ schemaVersion: 2, config: {}, layers: [] });

export function sendManifest(_request: unknown, response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/vnd.oci.image.manifest.v1+json" }).end(servedManifest);
}

export function sendToken(_request: unknown, response: ServerResponse): void {
  response.end(JSON.stringify({ token: "token-1" }));
}

/** Resolves the names given, each time to the next of their lists of addresses, the last one for ever; other names are unknown. */
export function makeResolver(names: Readonly<Record<string, readonly (readonly string[])[]>>): LookupFunction {
  const asked = new Map<string, number>();
  return (hostname, options, callback) => {
    const turn = asked.get(hostname) ?? 0;
    asked.set(hostname, turn + 1);
    const answers = names[hostname];
    const addresses = answers?.[Math.min(turn, answers.length - 1)];
    if (addresses === undefined) return callback(Object.assign(new Error("unknown"), { code: "ENOTFOUND" }), "", 0);
    const entries = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    if (options.all === true) callback(null, entries);
    else callback(null, entries[0]!.address, entries[0]!.family);
  };
}

/** For `assert.rejects`: an error of Signet's with this code and message, in which no form of the password occurs. */
export function failsWith(code: string, pattern?: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof SignetError, String(error));
    assert.equal(error.code, code, error.message);
    if (pattern !== undefined) assert.match(error.message, pattern);
    const all = `${error.message}${error.hint}${JSON.stringify(error.details)}`;
    assert.doesNotMatch(all, new RegExp(`${hostilePassword}|${encodedHostileAccount}`));
    return true;
  };
}
