import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { buildTestImage, makeTempDir, makeTlsCertificates, requireTool, run, writeDirImage } from "@signet/testkit";
import { runSignet } from "../signet-process.ts";
import { type ServeProcess, adminPassword, startServe } from "./serve-process.testing.ts";

const basic = (user: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});

async function statusOf(server: ServeProcess, path: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(`${server.url}${path}`, { headers });
  await response.arrayBuffer();
  return response.status;
}

test("the first start makes admin and prints the password once; a restart finds everything again", async () => {
  using dir = makeTempDir("signet-serve-");
  const data = dir.join("data");
  let password = "";
  {
    await using server = await startServe(["--data", data], {});
    const said = /shown this once: (\S+)\n/;
    // It comes in a write of its own, after the one that says where.
    while (!said.test(server.stdout())) await new Promise((resolve) => setImmediate(resolve));
    password = said.exec(server.stdout())?.[1] ?? "";
    assert.equal(await statusOf(server, "/v2/", basic("admin", password)), 200);
    assert.equal(await statusOf(server, "/v2/", basic("admin", "another password")), 401);
    assert.equal(await statusOf(server, "/readyz"), 200);
    server.signal("SIGTERM");
    assert.equal(await server.ended, 0);
    assert.doesNotMatch(server.log(), new RegExp(password));
  }
  assert.equal(statSync(dir.join("data/registry.db")).mode & 0o077, 0);
  await using again = await startServe(["--data", data], { SIGNET_ADMIN_PASSWORD: "not looked at now" });
  assert.doesNotMatch(again.stdout(), /account/);
  assert.equal(await statusOf(again, "/v2/", basic("admin", password)), 200);
  assert.equal(await statusOf(again, "/v2/", basic("admin", "not looked at now")), 401);
});

test("without credentials /v2/ is a challenge, and a token comes by GET and by both forms of POST", async () => {
  using dir = makeTempDir("signet-serve-");
  await using server = await startServe(["--data", dir.path]);
  const challenge = await fetch(`${server.url}/v2/`);
  assert.equal(challenge.status, 401);
  assert.equal(challenge.headers.get("www-authenticate"), `Bearer realm="${server.url}/token",service="signet"`);
  const query = "service=signet&scope=repository:team/app:pull,push";
  const post = (form: string) => fetch(`${server.url}/token`, { method: "POST", body: new URLSearchParams(form) });
  const made = await runSignet(["admin", "token", "create", "admin", "test", "--data", dir.path]);
  assert.equal(made.status, 0, made.stderr);
  const answers = [
    await fetch(`${server.url}/token?${query}`, { headers: basic("admin", adminPassword) }),
    await post(`${query}&grant_type=password&username=admin&password=${encodeURIComponent(adminPassword)}`),
    await post(`${query}&grant_type=refresh_token&refresh_token=${made.stdout.trim()}`),
  ];
  for (const answer of answers) {
    assert.equal(answer.status, 200);
    const { token } = (await answer.json()) as { token: string };
    assert.equal(await statusOf(server, "/v2/", { authorization: `Bearer ${token}` }), 200);
    const begun = await fetch(`${server.url}/v2/team/app/blobs/uploads/`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(begun.status, 202);
  }
  assert.equal((await post(`${query}&grant_type=none`)).status, 400);
  assert.doesNotMatch(server.log(), /a password for tests|sgn_|eyJ/);
});

test("configurations that are wrong say where, and nothing is started or made", async () => {
  using dir = makeTempDir("signet-serve-");
  const data = dir.join("data");
  writeFileSync(dir.join("bad.yaml"), "log:\n  levle: warn\n");
  writeFileSync(dir.join("tls.yaml"), "tls: {cert: nowhere.crt, key: nowhere.key}\n");
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["--config", dir.join("bad.yaml")], /bad\.yaml:2:3: there is no key "log\.levle"\nhint: log has level/],
    [["--config", dir.join("missing.yaml")], /missing\.yaml/],
    [["--config", dir.join("tls.yaml")], /certificate .*nowhere\.crt/],
    [["--listen", "0.0.0.0:0"], /--listen: plain HTTP on 0\.0\.0\.0:0.*\nhint: set tls\.cert/],
    [["--listen", "elsewhere"], /--listen: listen: |--listen: it must be HOST:PORT/],
  ];
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = await runSignet(["serve", "--data", data, ...args]);
    assert.deepEqual([status, stdout], [2, ""], stderr);
    assert.match(stderr, message);
  }
  assert.equal(existsSync(data), false);
  // Before a restart, `config check` finds what would end it.
  writeFileSync(dir.join("users"), "carl:$2y$05$short\n");
  writeFileSync(dir.join("users.yaml"), "auth: {htpasswd: users}\n");
  writeFileSync(dir.join("no-users.yaml"), "auth: {htpasswd: nowhere}\n");
  writeFileSync(dir.join("two.yaml"), "log: {level: warn}\n---\nlog: {level: info}\n");
  for (const [file, message] of [
    ["bad.yaml", /bad\.yaml:2:3: there is no key "log\.levle"/],
    ["tls.yaml", /certificate .*nowhere\.crt/],
    ["users.yaml", /htpasswd file: line 1: carl has a malformed bcrypt hash/],
    ["no-users.yaml", /cannot read htpasswd file .*nowhere/],
    ["two.yaml", /two\.yaml:2:1: a second document begins here/],
  ] as const) {
    const { status, stdout, stderr } = await runSignet(["admin", "config", "check", "--config", dir.join(file)]);
    assert.deepEqual([status, stdout], [2, ""], stderr);
    assert.match(stderr, message);
  }
  await using server = await startServe(["--data", data]);
  const taken = await runSignet(["serve", "--data", dir.join("other"), "--listen", server.url.slice("http://".length)]);
  assert.match(taken.stderr, /cannot listen on .*: another program listens there/);
  assert.equal(taken.status, 2);
});

test("the certificate is read again on SIGHUP; one that does not fit leaves the old one in use", async (t) => {
  if (!requireTool(t, "openssl")) return;
  using dir = makeTempDir("signet-serve-");
  using first = await makeTlsCertificates();
  using second = await makeTlsCertificates();
  const use = (one: typeof first, other = one): void => {
    copyFileSync(one.certFile, dir.join("tls.crt"));
    copyFileSync(other.keyFile, dir.join("tls.key"));
  };
  use(first);
  writeFileSync(dir.join("c.yaml"), "tls: {cert: tls.crt, key: tls.key}\n");
  await using server = await startServe(["--data", dir.join("data"), "--config", dir.join("c.yaml")]);
  const port = Number(new URL(server.url).port);
  const isServed = async (ca: string): Promise<boolean> => {
    const socket = connectTls({ host: "127.0.0.1", port, ca });
    return await new Promise((resolve) => {
      socket.once("secureConnect", () => resolve(true)).once("error", () => resolve(false));
    }).then((is) => (socket.destroy(), is as boolean));
  };
  assert.equal(await isServed(first.ca), true);
  use(second, first);
  server.signal("SIGHUP");
  await server.logged(/cannot be used, the old one stays/);
  assert.equal(await isServed(first.ca), true);
  use(second);
  server.signal("SIGHUP");
  await server.logged(/was read again/);
  assert.deepEqual([await isServed(first.ca), await isServed(second.ca)], [false, true]);
});

test("SIGHUP does not stop a service that has no certificate", async () => {
  using dir = makeTempDir("signet-serve-");
  await using server = await startServe(["--data", dir.path]);
  server.signal("SIGHUP");
  for (let count = 0; count < 5; count += 1) assert.equal(await statusOf(server, "/healthz"), 200);
  server.signal("SIGTERM");
  assert.equal(await server.ended, 0);
  assert.equal(server.log().split('"msg":"draining"').length, 2);
});

test("SIGTERM lets an upload in flight end, and takes no new connection", async () => {
  using dir = makeTempDir("signet-serve-");
  await using server = await startServe(["--data", dir.path]);
  const { hostname, port } = new URL(server.url);
  const begun = await fetch(`${server.url}/v2/team/app/blobs/uploads/`, {
    method: "POST",
    headers: basic("admin", adminPassword),
  });
  const socket = connect(Number(port), hostname);
  let answer = "";
  socket.setEncoding("utf8").on("data", (text: string) => (answer += text));
  const { authorization } = basic("admin", adminPassword);
  socket.write(
    `PATCH ${begun.headers.get("location")} HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n`,
  );
  while (!answer.includes("100 Continue")) await once(socket, "data");
  socket.write("12345");
  server.signal("SIGTERM");
  await server.logged(/draining/);
  await assert.rejects(fetch(`${server.url}/healthz`));
  socket.write("67890");
  await once(socket, "close");
  assert.match(answer, /HTTP\/1\.1 202 /);
  assert.equal(await server.ended, 0);
});

test("slow clients are cut: without their headers, and with a body that drips", async () => {
  using dir = makeTempDir("signet-serve-");
  writeFileSync(dir.join("c.yaml"), "limits: {headerTimeout: 1s, idleTimeout: 1s}\n");
  await using server = await startServe(["--data", dir.join("data"), "--config", dir.join("c.yaml")]);
  const { hostname, port } = new URL(server.url);
  const drip = async (beginning: string): Promise<void> => {
    const socket = connect(Number(port), hostname);
    // Cut off is cut off, also where it is by a reset; `once` of node:events would make that a failure.
    socket.on("error", () => undefined);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(beginning);
    const timer = setInterval(() => socket.write("a"), 50);
    socket.resume();
    await closed;
    clearInterval(timer);
  };
  const { authorization } = basic("admin", adminPassword);
  await drip("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ");
  await drip(
    `PUT /v2/team/app/manifests/1 HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: 100000\r\n\r\n`,
  );
  assert.equal(await statusOf(server, "/healthz"), 200);
});

test("metrics have bounded labels, request ids are repeated when well formed, the log holds no secret and no forged line", async () => {
  using dir = makeTempDir("signet-serve-");
  await using server = await startServe(["--data", dir.path]);
  const admin = basic("admin", adminPassword);
  const idOf = async (id: string): Promise<string | null> => {
    const response = await fetch(`${server.url}/healthz`, { headers: { "x-request-id": id } });
    return response.headers.get("x-request-id");
  };
  assert.equal(await idOf("build-7.1"), "build-7.1");
  assert.notEqual(await idOf('a" b'), 'a" b');
  await statusOf(server, "/v2/secret-team/app/tags/list", admin);
  await statusOf(server, "/v2/%0a%7b%22forged%22:1%7d?token=hunter2", { "user-agent": "Bearer hunter3hunter3" });
  await fetch(`${server.url}/v2/`, { method: "PROPFIND" });
  assert.equal(await statusOf(server, "/metrics"), 401);
  const response = await fetch(`${server.url}/metrics`, { headers: admin });
  const text = await response.text();
  assert.match(text, /signet_http_requests_total\{method="GET",route="tags",status="4xx"\} 1/);
  assert.match(text, /method="other",route="base"/);
  assert.doesNotMatch(text, /secret-team|PROPFIND/);
  server.signal("SIGTERM");
  await server.ended;
  for (const line of server.log().trimEnd().split("\n")) assert.equal(typeof JSON.parse(line), "object", line);
  assert.doesNotMatch(server.log(), /hunter|a password for tests|"forged":1|QTpw|Basic [A-Za-z0-9]/);
  assert.match(
    server.log(),
    /"account":"admin".*"path":"\/v2\/secret-team\/app\/tags\/list","route":"tags","status":404/,
  );
});

test("what the server fails at stands in the log, also of requests whose body it had read", async () => {
  using dir = makeTempDir("signet-serve-");
  await using server = await startServe(["--data", dir.path]);
  rmSync(dir.join("blobs"), { recursive: true });
  const headers = { ...basic("admin", adminPassword), "x-request-id": "failing" };
  const body = new Uint8Array(10);
  const digest = `sha256:${createHash("sha256").update(body).digest("hex")}`;
  const answer = await fetch(`${server.url}/v2/team/app/blobs/uploads/?digest=${digest}`, {
    method: "POST",
    headers,
    body,
  });
  assert.equal(answer.status, 500);
  server.signal("SIGTERM");
  assert.equal(await server.ended, 0);
  assert.match(server.log(), /"level":"error".*"request":"failing".*"code":"blob-store-unusable".*ENOENT/);
});

test("the second address has health and metrics for whoever reaches it, and nothing else", async () => {
  using dir = makeTempDir("signet-serve-");
  writeFileSync(dir.join("c.yaml"), "metrics: {listen: 127.0.0.1:0}\n");
  await using server = await startServe(["--data", dir.join("data"), "--config", dir.join("c.yaml")]);
  await server.logged(/metrics and health are served.*\n/);
  const lines = server.log().slice(0, server.log().lastIndexOf("\n")).split("\n");
  const events = lines.map((line) => JSON.parse(line) as { readonly msg: string; readonly address?: string });
  const side = `http://${events.find(({ msg }) => msg === "metrics and health are served")?.address}`;
  for (const path of ["/healthz", "/metrics", "/readyz"]) {
    for (const method of ["GET", "HEAD"]) assert.equal((await fetch(`${side}${path}`, { method })).status, 200, path);
    assert.equal((await fetch(`${side}${path}`, { method: "POST" })).status, 405, path);
  }
  const { authorization } = basic("admin", adminPassword);
  for (const path of ["/token", "/openapi.json", "/v2/", "/v2/_catalog", "/extensions/v2/", "/", "/constructor"])
    assert.equal((await fetch(`${side}${path}`, { headers: { authorization } })).status, 404, path);
});

test("offline administration counts in the running server at once, and the audit log says so", async () => {
  using dir = makeTempDir("signet-serve-");
  await using server = await startServe(["--data", dir.path]);
  const admin = async (...args: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await runSignet(["admin", ...args, "--data", dir.path]);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const made = await runSignet(["admin", "user", "create", "ann", "--password-stdin", "--data", dir.path], {
    input: "ann has a password\n",
  });
  assert.equal(made.status, 0, made.stderr);
  const ann = basic("ann", "ann has a password");
  assert.equal(await statusOf(server, "/v2/", ann), 200);
  await admin("user", "disable", "ann");
  assert.equal(await statusOf(server, "/v2/", ann), 401);
  await admin("user", "enable", "ann");
  assert.equal(await statusOf(server, "/v2/", ann), 200);
  await admin("role", "grant", "pusher", "ann", "--namespace", "team");
  assert.match(await admin("role", "list"), /^pusher {2}ann {2}namespace team$/m);
  await admin("role", "revoke", "pusher", "ann", "--namespace", "team");
  await admin("user", "remove", "ann");
  assert.match(await admin("audit", "verify"), /^7 entries, none altered\nhead 7:[0-9a-f]{64}\n$/);
  const missing = await runSignet(["admin", "user", "list", "--data", dir.join("nowhere")]);
  assert.match(missing.stderr, /there is no database/);
  const check = await admin("config", "check");
  assert.match(check, /^data +.* \(--data\)$/m);
});

test("podman logs in, and skopeo pushes and pulls", async (t) => {
  if (!requireTool(t, "podman") || !requireTool(t, "skopeo")) return;
  using dir = makeTempDir("signet-serve-");
  await using server = await startServe(["--data", dir.join("data")]);
  const host = new URL(server.url).host;
  const auth = ["--authfile", dir.join("auth.json")];
  const env = { PATH: process.env["PATH"] ?? "", HOME: dir.path };
  const login = (password: string) =>
    run("podman", ["login", "--tls-verify=false", ...auth, "-u", "admin", "-p", password, host], { env });
  const loggedIn = await login(adminPassword);
  assert.equal(loggedIn.status, 0, loggedIn.stderr);
  const wrong = await login("not the password");
  assert.notEqual(wrong.status, 0);
  writeFileSync(dir.join("policy.json"), '{"default":[{"type":"insecureAcceptAnything"}]}');
  writeDirImage(dir.join("image"), await buildTestImage());
  const copy = (from: string, to: string, ...more: readonly string[]) =>
    run("skopeo", ["--policy", dir.join("policy.json"), "copy", ...auth, ...more, from, to], { env });
  const pushed = await copy(`dir:${dir.join("image")}`, `docker://${host}/team/app:1`, "--dest-tls-verify=false");
  assert.equal(pushed.status, 0, pushed.stderr);
  const pulled = await copy(`docker://${host}/team/app:1`, `dir:${dir.join("pulled")}`, "--src-tls-verify=false");
  assert.equal(pulled.status, 0, pulled.stderr);
  const verified = await runSignet(["admin", "audit", "verify", "--data", dir.join("data")]);
  assert.match(verified.stdout, /^2 entries, none altered/);
});
