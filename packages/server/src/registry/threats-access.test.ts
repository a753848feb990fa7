/** Threats to access (docs/threat-model.md): where credentials are led, forged tokens, secrets that are told. */
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { startLoopbackServer } from "@signet/testkit";
import { CompactSign, exportJWK, generateKeyPair, importJWK } from "jose";
import { createAccount, setDisabled } from "../access/accounts.ts";
import { rotateTokenKey } from "../access/token-keys.ts";
import { openS3Store } from "../blobs/s3.ts";
import { openPostgresql } from "../db/postgresql.ts";
import { redactSecrets } from "../http/server-log.ts";
import { serveRegistry } from "./serve.testing.ts";
import { OCI_MANIFEST, digestOf, lookaside } from "./threats.testing.ts";
import { basic } from "../serve-app.testing.ts";
import { type Answered, BOB, type Headers, PASSWORD, admin, bob, serveWhole } from "./whole-server.testing.ts";

const realmOf = ({ headers }: Answered): string | undefined =>
  /^Bearer realm="([^"]*)"/.exec(String(headers["www-authenticate"]))?.[1];

void describe("T14 where clients are led", () => {
  const forged: Headers = {
    host: "evil.example",
    "x-forwarded-host": "evil.example",
    "x-forwarded-proto": "https",
    forwarded: "host=evil.example;proto=https",
    "x-original-host": "evil.example",
  };
  const asked: readonly (readonly [method: string, path: string, headers: Headers])[] = [
    ["GET", "/v2/", {}],
    ["GET", "/v2/team/app/manifests/1", {}],
    ["PUT", "/v2/team/app/manifests/1", {}],
    ["GET", "/v2/team/app/tags/list", { authorization: "Bearer abc" }],
    ["GET", "/v2/team/app/tags/list", basic("admin", "wrong")],
  ];

  void it("T14 CVE-2026-33540: with a public URL the realm is made of nothing that a client sent", async () => {
    await using server = await serveWhole({
      SIGNET_PUBLIC_URL: "https://registry.example.com",
      SIGNET_TRUSTED_PROXIES: "127.0.0.1",
    });
    for (const [method, path, headers] of asked) {
      const answer = await server.send(method, path, { ...forged, ...headers });
      assert.deepEqual([answer.status, realmOf(answer)], [401, "https://registry.example.com/token"], path);
      assert.doesNotMatch(inspect([answer.headers, answer.text]), /evil/);
    }
  });

  void it("T14 without one it is the Host that the client itself called, never a forwarded one, and nothing malformed", async () => {
    await using server = await serveWhole();
    const { host: _host, ...forwarded } = forged;
    for (const [method, path, headers] of asked) {
      const answer = await server.send(method, path, { host: "registry.internal:5000", ...forwarded, ...headers });
      assert.equal(realmOf(answer), "http://registry.internal:5000/token");
    }
    for (const host of [
      "a@evil.example",
      'x",realm="https://evil.example',
      "evil.example/x?",
      "a b",
      "evil.example:1:2",
      "[::1",
    ]) {
      const answer = await server.send("GET", "/v2/", { host });
      assert.equal(realmOf(answer), "http://127.0.0.1:0/token", host);
    }
  });

  void it("T14 a proxy is believed when it is named as trusted, and what it says must be a host", async () => {
    await using server = await serveWhole({ SIGNET_TRUSTED_PROXIES: "127.0.0.0/8" });
    const realm = async (headers: Headers) => realmOf(await server.send("GET", "/v2/", headers));
    const said = { "x-forwarded-host": "registry.example.com", "x-forwarded-proto": "https" };
    assert.equal(await realm(said), "https://registry.example.com/token");
    assert.equal(await realm({ ...said, "x-forwarded-proto": "javascript" }), "http://registry.example.com/token");
    assert.equal(await realm({ ...said, "x-forwarded-host": "a@evil.example" }), "https://127.0.0.1:0/token");
  });

  void it("T14 uploads, lists and tokens lead to paths of the same origin, and nothing redirects", async () => {
    await using server = await serveWhole();
    const upload = await server.send("POST", "/v2/team/app/blobs/uploads/", { ...forged, ...admin });
    assert.match(String(upload.headers["location"]), /^\/v2\/team\/app\/blobs\/uploads\/[0-9a-f-]{36}$/);
    const whole = await server.send(
      "POST",
      `/v2/bob/x/blobs/uploads/?digest=${digestOf("x")}`,
      { ...forged, ...admin },
      "x",
    );
    assert.equal(whole.headers["location"], `/v2/bob/x/blobs/${digestOf("x")}`);
    const list = await server.send("GET", "/v2/_catalog?n=1", { ...forged, ...admin });
    assert.equal(list.headers["link"], '</v2/_catalog?n=1&last=bob%2Fx>; rel="next"');
    for (const path of ["//evil.example/", "/v2/../token", "/token/", "/v2/team/app/manifests/1", "/%2e%2e/"]) {
      const { status, headers } = await server.send("GET", path, { ...forged, ...admin });
      assert.ok(status < 300 || status >= 400, path);
      assert.equal(headers["location"], undefined);
    }
  });

  void it("T14 CVE-2020-15157: the server itself goes nowhere, whatever manifests name", async () => {
    let requests = 0;
    const bait = await startLoopbackServer((_request, response) => {
      requests += 1;
      response.end();
    });
    await using registry = await serveRegistry();
    const config = { mediaType: "application/octet-stream", digest: digestOf("{}"), size: 2 };
    await registry.request("POST", `/v2/a/blobs/uploads/?digest=${config.digest}`, "{}");
    const foreign = { ...config, digest: digestOf("foreign"), urls: [`${bait.url}/layer`] };
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config,
      layers: [foreign],
      subject: { ...foreign, mediaType: OCI_MANIFEST, urls: [`${bait.url}/subject`] },
      annotations: { "org.opencontainers.image.url": bait.url },
    });
    const put = await registry.request("PUT", "/v2/a/manifests/1", manifest, { "content-type": OCI_MANIFEST });
    assert.equal(put.status, 201, put.text);
    assert.equal((await registry.request("GET", "/v2/a/manifests/1")).status, 200);
    assert.equal((await registry.request("GET", `/v2/a/blobs/${foreign.digest}`)).status, 404);
    assert.equal((await registry.request("POST", `/v2/a/blobs/uploads/?mount=${foreign.digest}&from=a`)).status, 202);
    await bait.dispose();
    assert.equal(requests, 0);
  });
});

void describe("T15 bearer tokens at the doors", () => {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

  void it("T15 forged ones let nobody in, and are answered as any other that is not valid", async () => {
    await using server = await serveWhole();
    const token = await server.token(["repository:bob/app:pull,push"]);
    const [head = "", body = "", signature = ""] = token.split(".");
    const payload = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>;
    const { id: kid, private_jwk: own } = await server.database.read
      .selectFrom("token_key")
      .selectAll()
      .executeTakeFirstOrThrow();
    const { d: _private, ...ownPublic } = JSON.parse(own) as Record<string, string>;
    const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
    const wide = {
      ...payload,
      access: [{ type: "repository", name: "team/app", actions: ["delete", "pull", "push"] }],
    };
    const forge = (header: object, claims: object = wide): Promise<string> =>
      new CompactSign(Buffer.from(JSON.stringify(claims)))
        .setProtectedHeader({ alg: "ES256", typ: "JWT", kid, ...header })
        .sign(privateKey);
    const resign = async (claims: object): Promise<string> =>
      new CompactSign(Buffer.from(JSON.stringify(claims)))
        .setProtectedHeader({ alg: "ES256", kid, typ: "JWT" })
        .sign(await importJWK(JSON.parse(own) as Record<string, string>, "ES256"));
    const hmac = (key: string): string => {
      const signed = `${encode({ alg: "HS256", kid, typ: "JWT" })}.${encode(wide)}`;
      return `${signed}.${crypto.createHmac("sha256", key).update(signed).digest("base64url")}`;
    };
    const past = Math.floor(Date.now() / 1_000) - 4_000;
    const cases: Readonly<Record<string, string>> = {
      "alg none": `${encode({ alg: "none", typ: "JWT", kid })}.${encode(wide)}.`,
      "HS256 with the public key": hmac(JSON.stringify(ownPublic)),
      "CVE-2025-24976: an embedded JWK under our kid": await forge({ jwk: await exportJWK(publicKey) }),
      "a linked key": await forge({ jku: "http://127.0.0.1/keys" }),
      "a kid that is a path": await forge({ kid: "../../../../dev/null" }),
      "claims widened under our signature": `${head}.${encode(wide)}.${signature}`,
      "another audience": await resign({ ...payload, aud: "other.example.com" }),
      "several audiences": await resign({ ...payload, aud: [payload["aud"], "other.example.com"] }),
      "another issuer": await resign({ ...payload, iss: "https://evil.example/token" }),
      expired: await resign({ ...payload, iat: past, nbf: past, exp: past + 300 }),
      "not yet valid": await resign({ ...payload, nbf: past + 8_000 }),
    };
    assert.equal((await server.send("GET", "/v2/", { authorization: `Bearer ${token}` })).status, 200);
    for (const [name, forged] of Object.entries(cases)) {
      for (const [method, path] of [
        ["GET", "/v2/"],
        ["GET", "/v2/team/app/manifests/1"],
        ["DELETE", "/v2/team/app/manifests/1"],
        ["POST", "/v2/bob/app/blobs/uploads/"],
      ] as const) {
        const answer = await server.send(method, path, { authorization: `Bearer ${forged}` });
        assert.equal(answer.status, 401, name);
        assert.match(String(answer.headers["www-authenticate"]), /error="invalid_token"/, name);
        assert.match(answer.text, /the bearer token is not valid, or no longer/, name);
      }
    }
  });

  void it("T15 even one that our own key signed gives no more than its account has", async () => {
    await using server = await serveWhole();
    const everything = ["repository:team/app:pull,push,delete", "repository:bob/app:*", "registry:catalog:*"];
    const headers = { authorization: `Bearer ${await server.token(everything)}` };
    for (const [method, path] of [
      ["GET", "/v2/team/app/manifests/1"],
      ["DELETE", "/v2/team/app/manifests/1"],
      ["POST", "/v2/team/app/blobs/uploads/"],
      ["PUT", `/extensions/v2/team/app/signatures/${server.image.digest}`],
    ] as const) {
      assert.equal((await server.send(method, path, headers)).status, 401, path);
    }
    assert.equal((await server.send("POST", "/v2/bob/app/blobs/uploads/", headers)).status, 202);
  });

  void it("T15 one for pulling pulls just that, whatever it is used for, and in whatever order scopes are asked for", async () => {
    await using server = await serveWhole();
    const pull = { authorization: `Bearer ${await server.token(["repository:team/app:pull"], admin)}` };
    assert.equal((await server.send("GET", "/v2/team/app/manifests/1", pull)).status, 200);
    for (const [method, path] of [
      ["PUT", "/v2/team/app/manifests/2"],
      ["DELETE", "/v2/team/app/manifests/1"],
      ["POST", "/v2/team/app/blobs/uploads/"],
      ["GET", "/v2/team/app2/tags/list"],
      ["GET", "/v2/team/tags/list"],
      ["GET", "/v2/_catalog"],
      ["GET", "/metrics"],
      ["PUT", lookaside("team/app", server.image.digest, 1)],
    ] as const) {
      assert.equal((await server.send(method, path, pull)).status, 401, path);
    }
    // No token for a token, and none by the query.
    assert.equal((await server.send("GET", "/token?scope=repository:team/app:push", pull)).status, 400);
    const bare = pull.authorization.slice("Bearer ".length);
    for (const name of ["access_token", "token"])
      assert.equal((await server.send("GET", `/v2/team/app/manifests/1?${name}=${bare}`)).status, 401);
    const access = async (...scopes: string[]): Promise<unknown> => {
      const [, claims = ""] = (await server.token(scopes)).split(".");
      return (JSON.parse(Buffer.from(claims, "base64url").toString()) as { access: unknown }).access;
    };
    const expected = [{ type: "repository", name: "bob/app", actions: ["pull", "push", "sign"] }];
    for (const scopes of [
      ["repository:bob/app:push,pull"],
      ["repository:bob/app:pull,push,push,pull"],
      ["repository:bob/app:push", "repository:bob/app:pull"],
      ["repository:bob/app:pull repository:bob/app:push repository:team/app:pull"],
      ["repository:bob/app:push,pull,administer,grant"],
    ]) {
      assert.deepEqual(await access(...scopes), expected, scopes.join(" "));
    }
  });

  void it("T15 all end at once when the key may have leaked", async () => {
    await using server = await serveWhole();
    const headers = { authorization: `Bearer ${await server.token(["repository:bob/app:pull"])}` };
    assert.equal((await server.send("GET", "/v2/", headers)).status, 200);
    await rotateTokenKey(server.database, "ES256", Date.now(), { endsOthers: true });
    assert.equal((await server.send("GET", "/v2/", headers)).status, 401);
  });
});

void describe("T23 secrets", () => {
  void it("T23 an account that is not there, is disabled or has no password costs the same hashing as a wrong password, and is answered alike", async (t) => {
    await using server = await serveWhole();
    await createAccount(server.database, { name: "passwordless", kind: "user", password: null }, Date.now());
    await createAccount(server.database, { name: "gone", kind: "user", password: "gone has one" }, Date.now());
    await setDisabled(server.database, "gone", true);
    const spy = t.mock.method(crypto, "argon2");
    syncBuiltinESMExports();
    t.after(() => {
      spy.mock.restore();
      syncBuiltinESMExports();
    });
    const seen: unknown[] = [];
    for (const [name, password] of [
      ["bob", "a wrong password"],
      ["nobody", "a wrong password"],
      ["passwordless", "a wrong password"],
      ["gone", "gone has one"],
      ["", "a wrong password"],
    ] as const) {
      spy.mock.resetCalls();
      const { status, text, headers } = await server.send("GET", "/v2/team/app/manifests/1", basic(name, password));
      const work = spy.mock.calls.map(({ arguments: [algorithm, { memory, passes, parallelism, tagLength }] }) => {
        return [algorithm, memory, passes, parallelism, tagLength];
      });
      const { date: _date, "x-request-id": _id, ...said } = headers;
      seen.push({ work, status, text, said });
    }
    assert.deepEqual((seen[0] as { work: unknown }).work, [["argon2id", 19_456, 2, 1, 32]]);
    for (const one of seen.slice(1)) assert.deepEqual(one, seen[0]);
  });

  void it("T23 CVE-2026-4404: no password opens a server by habit", async () => {
    await using server = await serveWhole();
    for (const name of ["admin", "root", "signet"])
      for (const password of [name, "admin", "password", "signet", "Harbor12345", "changeme"])
        assert.ok([401, 429].includes((await server.send("GET", "/v2/", basic(name, password))).status));
    assert.equal((await server.send("GET", "/v2/", basic("admin", ""))).status, 401);
  });

  void it("T23 GHSA-prh4-vhfh-24mj: neither answers nor the audit log repeat what a client proved itself by", async () => {
    await using server = await serveWhole();
    const token = await server.token(["repository:bob/app:pull,push"]);
    const secrets = [PASSWORD, BOB, "hunter4", token, bob["authorization"]!.slice(6), token.slice(0, -9)];
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const grant = (password: string) => new URLSearchParams({ grant_type: "password", username: "bob", password });
    const answers = [
      await server.send("GET", "/v2/team/app/manifests/1", basic("bob", "hunter4 wrong")),
      await server.send("GET", "/v2/team/app/manifests/1", bob),
      await server.send("GET", "/v2/team/app/manifests/1", { authorization: `Bearer ${token}x` }),
      await server.send("GET", "/v2/", { authorization: `Digest ${PASSWORD}` }),
      await server.send("GET", `/v2/bob/app/tags/list?n=x&token=${token}`, bob),
      await server.send("GET", "/token?scope=repository:x:y:z", bob),
      await server.send("POST", "/token", form, grant("hunter4 wrong").toString()),
      await server.send("POST", "/token", form, `grant_type=refresh_token&refresh_token=${token}x`),
      await server.send("POST", `/v2/bob/app/blobs/uploads/?digest=${digestOf("x")}`, bob, "x"),
    ];
    const entries = await server.database.read.selectFrom("audit_entry").selectAll().execute();
    assert.ok(entries.length > 0);
    const text = inspect([answers, entries], { depth: 10, maxStringLength: null, maxArrayLength: null });
    for (const secret of secrets) assert.ok(!text.includes(secret), secret.slice(0, 10));
  });

  void it("T23 CVE-2025-48374: a database or a store that cannot be used is told without its credentials", async () => {
    const failures = await Promise.all([
      openPostgresql("postgresql://ann:hunter5@127.0.0.1:1/signet").catch((error: unknown) => error),
      openPostgresql("postgresql://127.0.0.1:1/signet?user=ann&password=hunter5").catch((error: unknown) => error),
      openS3Store({
        bucket: "signet",
        region: "us-east-1",
        endpoint: "http://127.0.0.1:1",
        credentials: { accessKeyId: "ann", secretAccessKey: "hunter5" },
        pathStyle: true,
      })
        .then((store) => store.ping())
        .catch((error: unknown) => error),
    ]);
    for (const failure of failures) {
      assert.ok(failure instanceof Error);
      assert.doesNotMatch(inspect(failure, { depth: 20, showHidden: true, maxStringLength: null }), /hunter5/);
    }
  });

  void it("T23 what the log says of a URL has no credentials, wherever they stand in it", () => {
    for (const url of [
      "postgresql://ann:hunter5@db.example.com/signet",
      "postgresql://ann:hun@hunter5@db.example.com/signet",
      "postgresql://db.example.com/signet?user=ann&password=hunter5&sslmode=require",
      "http://ann:hunter5@proxy.example.com:8080",
      "https://s3.example.com/x?X-Amz-Credential=ann&X-Amz-Signature=hunter5",
      "https://registry.example.com/v2/?access_token=hunter5",
    ]) {
      const text = redactSecrets(`cannot reach ${url}: refused`);
      assert.doesNotMatch(text, /hunter5/, url);
      assert.match(text, /^cannot reach [a-z]+:\/\/.*: refused$/);
    }
  });
});
