/** What the configuration makes of the whole server: accounts from a file, proxies, limits by address. */
import assert from "node:assert/strict";
import { channel } from "node:diagnostics_channel";
import { writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { type Socket, connect } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { makeTempDir } from "@signet/testkit";
import { listAccounts } from "./access/accounts.ts";
import { verifyAuditLog } from "./audit/audit-verification.ts";
import { changeRepositorySettings } from "./content/repository-settings.ts";
import { serveDocument } from "./openapi/served-document.testing.ts";
import { askRaw, sendRaw, writeHead } from "./registry/raw-client.testing.ts";
import { admin, bob, serveWhole } from "./registry/whole-server.testing.ts";
import { basic } from "./serve-app.testing.ts";

// `correct horse`, by htpasswd.
const HASH = "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2";

test("names of an htpasswd file become accounts at the start, with an entry in the audit log, and those that are there stay", async () => {
  using dir = makeTempDir("signet-app-");
  const file = dir.join("htpasswd");
  writeFileSync(file, `# ours\nbob:${HASH}\nadmin:${HASH}\n`);
  await using served = await serveDocument({ SIGNET_AUTH_HTPASSWD: file });
  const login = async (user: string, password: string): Promise<number> =>
    (await fetch(`${served.url}/v2/`, { headers: basic(user, password) })).status;
  assert.equal(await login("bob", "correct horse"), 200);
  assert.equal(await login("bob", "wrong"), 401);
  assert.equal(await login("admin", "correct horse"), 401);
  assert.equal(await login("admin", served.adminPassword), 200);
  const pull = await fetch(`${served.url}/v2/team/app/tags/list`, { headers: basic("bob", "correct horse") });
  assert.equal(pull.status, 403, "an account may nothing yet");
  const { read } = served.database;
  const names = (await listAccounts(read, { after: "", limit: 10 })).map((one) => one.name);
  assert.deepEqual(names, ["admin", "bob", "robot$stranger"]);
  const entries = await read
    .selectFrom("audit_entry")
    .select(["action", "target", "detail"])
    .orderBy("sequence")
    .limit(2)
    .execute();
  assert.deepEqual({ ...entries[1] }, { action: "account.import", target: "htpasswd", detail: '{"created":["bob"]}' });
  assert.deepEqual((await verifyAuditLog(read)).faults, []);
});

test("a file of accounts that is malformed, or is not there, starts no server", async () => {
  using dir = makeTempDir("signet-app-");
  const file = dir.join("htpasswd");
  await assert.rejects(serveDocument({ SIGNET_AUTH_HTPASSWD: file }), { code: "file-missing" });
  writeFileSync(file, `bob:${HASH}\neve:{SHA}abc\n`);
  await assert.rejects(serveDocument({ SIGNET_AUTH_HTPASSWD: file }), (error: Error) => {
    assert.match(error.message, /line 2: eve has a SHA-1 hash/);
    assert(!error.message.includes("abc"));
    return true;
  });
});

/** The realm of the challenge that a request with these headers gets. */
async function realmOf(url: string, headers: Record<string, string>): Promise<string> {
  const { text } = await askRaw(url, "GET", "/v2/", { host: "registry.example:5000", ...headers });
  return /realm="([^"]*)"/.exec(text)?.[1] ?? text;
}

test("X-Forwarded-Proto and -Host are believed of trusted proxies alone, and never what is no host", async () => {
  const said = { "x-forwarded-proto": "https", "x-forwarded-host": "outside.example" };
  for (const [env, realm] of [
    [{}, "http://registry.example:5000/token"],
    [{ SIGNET_TRUSTED_PROXIES: "10.0.0.0/8, ::1" }, "http://registry.example:5000/token"],
    [{ SIGNET_TRUSTED_PROXIES: "127.0.0.0/8" }, "https://outside.example/token"],
    [
      { SIGNET_TRUSTED_PROXIES: "127.0.0.1", SIGNET_PUBLIC_URL: "https://fixed.example" },
      "https://fixed.example/token",
    ],
  ] as const) {
    await using served = await serveDocument(env);
    assert.equal(await realmOf(served.url, said), realm);
    if (!realm.includes("outside")) continue;
    const own = "127.0.0.1:0";
    for (const host of ["evil.example/path", "a b", 'x",realm="y', "user@evil.example", "[::1", "-x", "a,b"]) {
      assert.equal(await realmOf(served.url, { ...said, "x-forwarded-host": host }), `https://${own}/token`, host);
    }
    assert.equal(
      await realmOf(served.url, { ...said, "x-forwarded-proto": "javascript" }),
      "http://outside.example/token",
    );
  }
});

/** How many of so many requests at once are answered 429. */
async function countLimited(
  url: string,
  count: number,
  headersOf: (index: number) => Record<string, string>,
): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_, index) => askRaw(url, "GET", "/healthz", headersOf(index))),
  );
  const limited = answers.filter(({ status }) => status === 429);
  for (const { text } of limited) assert.match(text, /^retry-after: [1-9]\d*\r$/im);
  assert(answers.every(({ status }) => status === 429 || status === 200));
  return limited.length;
}

test("requests of one address are limited, by X-Forwarded-For of trusted proxies alone", async () => {
  const env = { SIGNET_LIMITS_REQUESTS_PER_SECOND: "10" };
  const invented = (index: number): Record<string, string> => ({ "x-forwarded-for": `192.0.2.${index % 250}` });
  {
    await using served = await serveDocument(env);
    assert((await countLimited(served.url, 400, () => ({}))) > 0);
    assert((await countLimited(served.url, 400, invented)) > 0, "nobody trusts what this client says");
  }
  await using served = await serveDocument({ ...env, SIGNET_TRUSTED_PROXIES: "127.0.0.1, 10.0.0.0/8" });
  assert.equal(await countLimited(served.url, 400, invented), 0);
  // What stands before the client's own address is its own tale; what stands behind are our proxies.
  const tale = (index: number): Record<string, string> => ({
    "x-forwarded-for": `198.51.100.${index % 250}, 203.0.113.9, 10.1.2.3`,
  });
  assert((await countLimited(served.url, 400, tale)) > 0);
  const malformed = (index: number): Record<string, string> => ({ "x-forwarded-for": `host-${index}` });
  assert((await countLimited(served.url, 400, malformed)) > 0, "then it is the proxy itself");
});

test("connections of one address are limited; others, and later ones, are not", async () => {
  await using served = await serveDocument({ SIGNET_LIMITS_CONNECTIONS_PER_ADDRESS: "20" });
  const { hostname, port } = new URL(served.url);
  const open = (localAddress: string): Socket =>
    connect({ host: hostname, port: Number(port), localAddress }).on("error", () => undefined);
  const ask = async (socket: Socket): Promise<string> => {
    socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    return await new Promise((resolve) => {
      socket.once("data", (data: Buffer) => resolve(data.toString("latin1").slice(9, 12)));
      socket.once("close", () => resolve("closed"));
    });
  };
  const sockets = Array.from({ length: 25 }, () => open("127.0.0.3"));
  const answers = await Promise.all(sockets.map(ask));
  assert.equal(answers.filter((one) => one === "200").length, 20);
  assert.equal(answers.filter((one) => one === "closed").length, 5);
  const other = open("127.0.0.4");
  assert.equal(await ask(other), "200");
  const first = sockets[answers.indexOf("200")]!;
  first.destroy();
  // The server hears of it a little later.
  for (let answer = ""; answer !== "200";) {
    const next = open("127.0.0.3");
    answer = await ask(next);
    sockets.push(next);
  }
  for (const socket of [...sockets, other]) socket.destroy();
});

test("a request behind another on its connection is answered by what was committed before it was sent, however soon after the first", async (t) => {
  await using server = await serveWhole();
  const { url, database, folder } = server;
  await changeRepositorySettings(database, "team/app", { visibility: "public" }, "admin", Date.now());
  const target = "/v2/team/app/manifests/1";
  const first = writeHead("GET", target, { connection: "keep-alive", "x-request-id": "first" });
  const second = writeHead("GET", target, { "x-request-id": "second" });
  // The answer is kept, and under the present mark.
  assert.equal((await sendRaw(url, [second])).status, 200);
  // Both requests come in one piece, and between them another process makes the repository private.
  using beside = new DatabaseSync(join(folder, "registry.db"));
  const hide = ({ request }: { request: IncomingMessage }): void => {
    if (request.headers["x-request-id"] !== "second") return;
    beside.exec("update repository set visibility = 'private'");
  };
  const begun = channel("http.server.request.start");
  begun.subscribe(hide as (message: unknown) => void);
  t.after(() => begun.unsubscribe(hide as (message: unknown) => void));
  const { text } = await sendRaw(url, [first + second]);
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => match[1]);
  assert.equal(statuses.length, 2);
  // The first may see it, too: it had not been answered.
  assert.equal(statuses[1], "401");
});

test("a target with the server's name is the one without, and of two hosts none counts", async () => {
  await using server = await serveWhole();
  const { url } = server;
  for (const [target, status] of [
    [`${url}/healthz`, 200],
    ["http://other.example/healthz?x=1", 200],
    ["HTTPS://other.example/v2/team/app/tags/list", 401],
    ["http://other.example", 404],
    ["http://other.example?x", 404],
    ["ftp://other.example/healthz", 404],
    ["http:///healthz", 404],
  ] as const)
    assert.equal((await askRaw(url, "GET", target, {})).status, status, target);
  const { text } = await askRaw(url, "GET", "http://named.example/v2/", { host: "other.example" });
  assert.match(text, /realm="http:\/\/named\.example\/token"/);
  for (const path of ["/healthz", "/v2/", "/v2/team/app/manifests/1"]) {
    const head = `GET ${path} HTTP/1.1\r\nHost: a.example\r\nhOST: b.example\r\nConnection: close\r\n\r\n`;
    assert.equal((await sendRaw(url, [head])).status, 400, path);
  }
});

test("metrics are for admins: others are told to log in, or that it does not help", async () => {
  await using server = await serveWhole();
  const pull = { authorization: `Bearer ${await server.token(["repository:team/app:pull"], admin)}` };
  for (const [headers, status] of [
    [{}, 401],
    [pull, 401],
    [basic("bob", "wrong"), 401],
    [bob, 403],
    [admin, 200],
  ] as const)
    assert.equal((await server.send("GET", "/metrics", headers)).status, status);
});
