/** Who may record, read and take back verification results, at a server with its real gate. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBase64 } from "@signet/core";
import { createAccessToken } from "../access/access-tokens.ts";
import { createAccount } from "../access/accounts.ts";
import { bindRole } from "../access/role-bindings.ts";
import { changeRepositorySettings } from "../content/repository-settings.ts";
import type { Role } from "../db/schema.ts";
import { basic } from "../serve-app.testing.ts";
import { makeSigner } from "../trust/trust.testing.ts";
import { accepted, verificationsOf } from "./recorded-verifications.testing.ts";
import { digestOf } from "./threats.testing.ts";
import { type Headers, type WholeServer, admin, serveWhole } from "./whole-server.testing.ts";

const body = JSON.stringify(accepted);

/** Signs `team/app:1`; the places of the results of the image and of the signature. */
async function prepare(server: WholeServer): Promise<{ readonly all: string; readonly one: string }> {
  const { digest, manifest } = server.image;
  const signer = await makeSigner(undefined, Date.now());
  const bytes = await signer.sign(manifest, "registry.example.com/team/app:1");
  const signature = { schemaVersion: 2, name: `${digest}@${"a".repeat(32)}`, content: encodeBase64(bytes) };
  const place = `/extensions/v2/team/app/signatures/${digest}`;
  assert.equal((await server.send("PUT", place, admin, JSON.stringify(signature))).status, 201);
  return { all: verificationsOf("team/app", digest), one: verificationsOf("team/app", digest, digestOf(bytes)) };
}

/** An account with a role on `team/app`, by its access token. */
async function makeRobot(
  server: WholeServer,
  name: string,
  role: Role | undefined,
  scopes: readonly string[] | null = null,
): Promise<Headers> {
  const { database } = server;
  const account = `robot$${name}`;
  await createAccount(database, { name: account, kind: "robot", password: null }, Date.now());
  const target =
    role === "admin"
      ? ({ targetKind: "server", target: "" } as const)
      : ({ targetKind: "repository", target: "team/app" } as const);
  if (role !== undefined)
    await bindRole(database, { subject: { kind: "account", name: account }, role, ...target }, Date.now());
  const { secret } = await createAccessToken(database, { account, name, scopes, expiresAt: null }, Date.now());
  return basic(account, secret);
}

test("each role may what the table says: record and take back with the right to audit, what others said with the right to delete", async () => {
  await using server = await serveWhole();
  const { all, one } = await prepare(server);
  const expected: Readonly<Record<Role | "none", readonly [read: boolean, audit: boolean, deletes: boolean]>> = {
    none: [false, false, false],
    reader: [true, false, false],
    pusher: [true, false, false],
    signer: [true, false, false],
    auditor: [true, true, false],
    maintainer: [true, true, true],
    admin: [true, true, true],
  };
  for (const [name, [reads, audits, deletes]] of Object.entries(expected)) {
    const role = name === "none" ? undefined : (name as Role);
    const as = await makeRobot(server, name, role);
    for (const [method, path, may, success, sent] of [
      ["GET", all, reads, 200],
      ["HEAD", all, reads, 200],
      ["GET", one, reads, 200],
      ["POST", one, audits, 201, body],
      ["DELETE", one, audits, 204],
      ["DELETE", all, audits, 204],
      ["DELETE", `${all}?by=${encodeURIComponent(`robot$${name}`)}`, audits, 204],
      ["DELETE", `${all}?by=admin`, deletes, 204],
      ["DELETE", `${one}?by=robot%24another`, deletes, 204],
    ] as const) {
      const { status, text, headers } = await server.send(method, path, as, sent);
      assert.equal(status, may ? success : 403, `${name} ${method} ${path}: ${text}`);
      if (!may && method !== "HEAD") assert.match(text, /"DENIED"/);
      assert.equal(headers["x-signet-verifications"], "1");
    }
  }
});

test("what is said is said in the name of whoever is logged in, and of no other", async () => {
  await using server = await serveWhole();
  const { all, one } = await prepare(server);
  const as = await makeRobot(server, "auditor", "auditor");
  assert.equal((await server.send("POST", one, as, body)).status, 201);
  // Not by a header, a member or a parameter.
  assert.equal((await server.send("POST", one, as, JSON.stringify({ ...accepted, by: "admin" }))).status, 400);
  assert.equal((await server.send("POST", `${one}?by=admin`, { ...as, "x-test-account": "admin" }, body)).status, 201);
  const { text } = await server.send("GET", all, admin);
  const { verifications } = JSON.parse(text) as { verifications: { by: string }[] };
  assert.deepEqual(
    verifications.map((each) => each.by),
    ["robot$auditor"],
  );
});

test("a token of the scope `audit` records, others do not, and the challenge names what is needed", async () => {
  await using server = await serveWhole();
  const { all, one } = await prepare(server);
  const as = await makeRobot(server, "auditor", "auditor");
  const bearer = async (scope: string): Promise<Headers> => ({
    authorization: `Bearer ${await server.token([scope], as)}`,
  });
  const scopeOf = ({ headers }: { readonly headers: Record<string, unknown> }): string | undefined =>
    /scope="([^"]+)"/.exec(String(headers["www-authenticate"]))?.[1];
  for (const [headers, error] of [
    [{}, undefined],
    [await bearer("repository:team/app:pull"), "insufficient_scope"],
    [await bearer("repository:team/app:pull,push,sign,delete"), "insufficient_scope"],
    [await bearer("repository:other/app:audit"), "insufficient_scope"],
    [{ authorization: "Bearer e30.e30.e30" }, "invalid_token"],
  ] as const) {
    for (const [method, path] of [
      ["POST", one],
      ["DELETE", one],
      ["DELETE", all],
    ] as const) {
      const answer = await server.send(method, path, headers, method === "POST" ? body : undefined);
      assert.equal(answer.status, 401);
      assert.equal(scopeOf(answer), "repository:team/app:pull,audit");
      assert.equal(/error="([^"]+)"/.exec(String(answer.headers["www-authenticate"]))?.[1], error);
    }
  }
  const deletion = await server.send("DELETE", `${all}?by=admin`);
  assert.equal(scopeOf(deletion), "repository:team/app:pull,delete");
  assert.equal(scopeOf(await server.send("GET", all)), "repository:team/app:pull");
  const granted = await bearer(scopeOf(await server.send("POST", one, {}, body))!);
  assert.equal((await server.send("POST", one, granted, body)).status, 201);
  assert.equal((await server.send("GET", all, granted)).status, 200);
  assert.equal((await server.send("DELETE", one, granted)).status, 204);
  // Whoever may not get no more by asking for it.
  const reader = await makeRobot(server, "reader", "reader");
  const token = await server.token(["repository:team/app:pull,audit"], reader);
  assert.equal((await server.send("POST", one, { authorization: `Bearer ${token}` }, body)).status, 401);
});

test("an access token may be for audits alone, and one without them records nothing", async () => {
  await using server = await serveWhole();
  const { all, one } = await prepare(server);
  const audits = await makeRobot(server, "audits", "maintainer", ["repository:team/app:audit,pull"]);
  const pulls = await makeRobot(server, "pulls", "maintainer", ["namespace:team:pull,push,sign,delete"]);
  assert.equal((await server.send("POST", one, audits, body)).status, 201);
  assert.equal((await server.send("DELETE", `${all}?by=admin`, audits)).status, 403);
  assert.equal((await server.send("POST", one, pulls, body)).status, 403);
  assert.equal((await server.send("DELETE", all, pulls)).status, 403);
  assert.equal((await server.send("DELETE", `${all}?by=${encodeURIComponent("robot$audits")}`, pulls)).status, 204);
});

test("of a public repository everybody reads results, and nobody without an account records any", async () => {
  await using server = await serveWhole();
  const { all, one } = await prepare(server);
  assert.equal((await server.send("GET", all)).status, 401);
  await changeRepositorySettings(server.database, "team/app", { visibility: "public" }, "admin", Date.now());
  assert.equal((await server.send("POST", one, admin, body)).status, 201);
  assert.match((await server.send("GET", all)).text, /"by":"admin"/);
  assert.equal((await server.send("POST", one, {}, body)).status, 401);
  assert.equal((await server.send("DELETE", all)).status, 401);
});
