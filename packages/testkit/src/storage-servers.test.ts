import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { startPostgresql } from "./postgresql.ts";
import { startS3Server } from "./s3-server.ts";
import { makeTlsCertificates } from "./tls-certificates.ts";
import { findTool, requireTool, run } from "./tools.ts";

test("PostgreSQL starts a cluster of its own, gives a database to each who asks, and leaves nothing behind", async (t) => {
  if (requireTool(t, "postgres") === undefined) return;
  const psql = findTool("psql")!;
  const server = await startPostgresql();
  const [one, other] = [await server.makeDatabase(), await server.makeDatabase()];
  await run(psql, [one, "-c", "create table only_here (n int)"]);
  const names = await run(psql, [
    other,
    "-Atc",
    "select current_database(), count(*) from pg_tables where tablename = 'only_here'",
  ]);
  assert.match(names.stdout, /^test_2\|0$/m);
  const ports = await run(psql, [one, "-Atc", "show listen_addresses"]);
  assert.equal(ports.stdout.trim(), "");
  const folder = new URL(one).searchParams.get("host")!;
  await server.dispose();
  assert.equal(existsSync(folder), false);
});

test("PostgreSQL is gone when the process that started it was killed", async (t) => {
  if (requireTool(t, "postgres") === undefined) return;
  if (findTool("setpriv") === undefined) return t.skip("setpriv is missing; it is part of util-linux");
  const program = `
    import { startPostgresql } from ${JSON.stringify(import.meta.resolve("./postgresql.ts"))};
    const server = await startPostgresql();
    console.log(await server.makeDatabase());
    setInterval(() => undefined, 1e6);`;
  const child = spawn(process.execPath, ["--conditions=@signet/source", "--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const folder = new URL(line.toString("utf8").trim()).searchParams.get("host")!;
  child.kill("SIGKILL");
  await once(child, "close");
  const socket = `${folder}/.s.PGSQL.5432`;
  // No answer is the wanted end; the test's own time limit is the other one.
  while (await answers(socket)) await wait(20);
  await run(findTool("rm")!, ["-rf", folder]);
});

test("the S3 server answers who has its key, over http and https, and is gone afterwards", async (t) => {
  for (const tool of ["versitygw", "openssl"] as const) if (requireTool(t, tool) === undefined) return;
  using tls = await makeTlsCertificates();
  for (const options of [{}, { tls }]) {
    const server = await startS3Server(options);
    const { hostname, port, protocol } = new URL(server.endpoint);
    assert.equal(protocol, options.tls === undefined ? "http:" : "https:");
    assert.equal(hostname, "127.0.0.1");
    assert.notEqual(server.makeBucket(), server.makeBucket());
    if (protocol === "http:") assert.equal((await fetch(`${server.endpoint}/test-1/x`)).status, 403);
    await server.dispose();
    const socket = connect(Number(port), hostname);
    await assert.rejects(once(socket, "connect"), { code: "ECONNREFUSED" });
  }
});

async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  return new Promise((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
