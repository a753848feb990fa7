import assert from "node:assert/strict";
import { createPublicKey, randomUUID } from "node:crypto";
import test, { type TestContext } from "node:test";
import { CompactSign, type JWK, SignJWT, UnsecuredJWT, exportJWK, exportSPKI, generateKeyPair, importJWK } from "jose";
import { FormatError, InternalError } from "@signet/core";
import { type FakeClock, makeFakeClock } from "@signet/testkit";
import type { Database } from "../db/database.ts";
import { type OpenDatabase, forEachAccessDatabase } from "./database.testing.ts";
import { type Access, makeAccess } from "./access.ts";
import { createAccessToken, revokeAccessToken } from "./access-tokens.ts";
import { createAccount, removeAccount, setDisabled, setPassword } from "./accounts.ts";
import type { Authentication } from "./authenticate.ts";
import { MAX_BEARER_LENGTH, makeBearerTokens } from "./bearer-tokens.ts";
import type { TokenAnswer } from "./issue-token.ts";
import { bindRole, unbindRole } from "./role-bindings.ts";
import { decide } from "./roles.ts";
import { type TokenAlgorithm, makeTokenKeys, rotateTokenKey } from "./token-keys.ts";

const ISSUER = "https://registry.example/token";
const SERVICE = "registry.example";
const PASSWORD = "correct horse";
const PUSH = "repository:team/app:pull,push";

class Server {
  readonly database: Database;
  readonly clock: FakeClock = makeFakeClock();
  readonly #now = (): number => this.clock.now();
  readonly access: Access;
  readonly algorithm: TokenAlgorithm;

  constructor(database: Database, algorithm: TokenAlgorithm) {
    this.database = database;
    this.algorithm = algorithm;
    this.access = this.replica();
  }

  /** Another process on the same database. */
  replica(options: { issuer?: string; service?: string } = {}): Access {
    const common = {
      database: this.database,
      issuer: ISSUER,
      service: SERVICE,
      tokenAlgorithm: this.algorithm,
      clock: this.#now,
    };
    return makeAccess({ ...common, ...options });
  }

  basic(password: string = PASSWORD): Promise<Authentication> {
    const authorization = `Basic ${Buffer.from(`ann:${password}`).toString("base64")}`;
    return this.access.authenticate({ authorization, address: "192.0.2.1" });
  }

  async issue(scopes: readonly string[] = [PUSH], password: string | null = PASSWORD): Promise<TokenAnswer> {
    const found =
      password === null
        ? await this.access.authenticate({ authorization: undefined, address: "192.0.2.1" })
        : await this.basic(password);
    assert(found.outcome !== "failed");
    return await this.access.issueToken({ subject: found.subject, service: SERVICE, scopes }, noneThere);
  }

  bearer(token: string, access: Access = this.access): Promise<Authentication> {
    return access.authenticate({ authorization: `Bearer ${token}`, address: "192.0.2.1" });
  }

  async isRefused(token: string): Promise<boolean> {
    const found = await this.bearer(token);
    return found.outcome === "failed" && found.failure.reason === "refused";
  }

  async signingJwk(): Promise<{ readonly kid: string; readonly jwk: JWK }> {
    const row = await this.database.read
      .selectFrom("token_key")
      .selectAll()
      .where("retired_at", "is", null)
      .executeTakeFirstOrThrow();
    return { kid: row.id, jwk: JSON.parse(row.private_jwk) as JWK };
  }
}

const noneThere = async (): Promise<Map<string, "private" | "public">> => await Promise.resolve(new Map());

const may = (found: Authentication, action: "delete" | "pull" | "push" | "sign", path = "team/app"): boolean =>
  found.outcome !== "failed" && decide(found.subject, action, { path, visibility: "private" }).isAllowed;

const partsOf = (token: string): readonly [string, string, string] => token.split(".") as [string, string, string];
const readPart = (part: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
const writePart = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

function testBearerTokens(open: OpenDatabase): void {
  const start = async (t: TestContext, algorithm: TokenAlgorithm = "ES256"): Promise<Server> => {
    const server = new Server(await open(t), algorithm);
    await createAccount(server.database, { name: "ann", kind: "user", password: PASSWORD }, server.clock.now());
    await bindRole(server.database, pusher, 0);
    return server;
  };
  const pusher = {
    subject: { kind: "account", name: "ann" },
    role: "pusher",
    targetKind: "namespace",
    target: "team",
  } as const;

  for (const algorithm of ["ES256", "EdDSA"] as const) {
    test(`a token by ${algorithm} says what Docker's specification wants, and is taken by every process`, async (t) => {
      const server = await start(t, algorithm);
      const answer = await server.issue([`${PUSH} repository:other/app:pull`, "registry:catalog:*"]);
      assert.deepEqual(
        [answer.expires_in, answer.issued_at, answer.access_token],
        [300, "2026-01-01T00:00:00.000Z", answer.token],
      );
      const [header, payload] = partsOf(answer.token).slice(0, 2).map(readPart) as [
        Record<string, unknown>,
        Record<string, unknown>,
      ];
      assert.deepEqual(header, { alg: algorithm, kid: (await server.signingJwk()).kid, typ: "JWT" });
      const { jti, account, credential, ...registered } = payload;
      const at = server.clock.now() / 1_000;
      assert.deepEqual(registered, {
        iss: ISSUER,
        sub: "ann",
        aud: SERVICE,
        exp: at + 300,
        nbf: at,
        iat: at,
        access: [
          { type: "repository", name: "team/app", actions: ["pull", "push"] },
          { type: "registry", name: "catalog", actions: ["*"] },
        ],
      });
      assert.match(String(jti), /^[0-9a-f-]{36}$/);
      assert.equal(typeof account, "number");
      assert.deepEqual(credential, { kind: "password", version: 1 });
      for (const access of [server.access, server.replica()]) {
        const found = await server.bearer(answer.token, access);
        assert(may(found, "push") && may(found, "pull"));
        assert(!may(found, "push", "team/other") && !may(found, "delete") && !may(found, "sign"));
      }
    });
  }

  test("a token ends with its time, with the right, and with whatever it was proved by", async (t) => {
    const server = await start(t);
    const { database } = server;
    const { token } = await server.issue();
    assert(may(await server.bearer(token), "push"));
    await unbindRole(database, pusher);
    assert(!may(await server.bearer(token), "push"), "a role that was taken is gone with the next request");
    await bindRole(database, pusher, 0);
    assert(may(await server.bearer(token), "push"));
    await setDisabled(database, "ann", true);
    assert(await server.isRefused(token));
    await setDisabled(database, "ann", false);
    assert(!(await server.isRefused(token)));
    server.clock.advance(309_000);
    assert(!(await server.isRefused(token)), "within the tolerance for clocks");
    server.clock.advance(1_000);
    assert(await server.isRefused(token), "expired while cached");

    const second = (await server.issue()).token;
    await setPassword(database, "ann", "battery staple");
    assert(await server.isRefused(second), "a new password ends what the old one proved");

    const access = await createAccessToken(
      database,
      { account: "ann", name: "ci", scopes: ["repository:team/app:pull"], expiresAt: null },
      0,
    );
    const third = (await server.issue([PUSH], access.secret)).token;
    assert(may(await server.bearer(third), "pull") && !may(await server.bearer(third), "push"));
    await setPassword(database, "ann", PASSWORD);
    assert(may(await server.bearer(third), "pull"), "access tokens do not depend on passwords");
    await revokeAccessToken(database, "ann", access.id);
    assert(await server.isRefused(third));

    const fourth = (await server.issue()).token;
    await removeAccount(database, "ann");
    await createAccount(database, { name: "ann", kind: "user", password: PASSWORD }, 0);
    assert(await server.isRefused(fourth), "another account of that name");
  });

  test("anonymous tokens, and requests that are refused", async (t) => {
    const server = await start(t);
    const { token } = await server.issue([PUSH], null);
    const found = await server.bearer(token);
    assert(found.outcome === "anonymous");
    assert(!may(found, "pull"));
    assert.equal(readPart(partsOf(token)[1])["sub"], "");
    const visible = await server.access.issueToken(
      {
        subject: { ...found.subject, isBearer: false, limits: null },
        service: undefined,
        scopes: [PUSH],
      },
      async () => await Promise.resolve(new Map([["team/app", "public"]] as const)),
    );
    assert.deepEqual(readPart(partsOf(visible.token)[1])["access"], [
      { type: "repository", name: "team/app", actions: ["pull"] },
    ]);
    const ann = await server.basic();
    const byBearer = await server.bearer((await server.issue()).token);
    assert(ann.outcome === "authenticated" && byBearer.outcome === "authenticated");
    for (const [request, code] of [
      [{ subject: byBearer.subject, service: SERVICE, scopes: [] }, "token-request-malformed"],
      [{ subject: ann.subject, service: "other.example", scopes: [] }, "token-request-malformed"],
      [{ subject: ann.subject, service: SERVICE, scopes: ["repository:../x:pull"] }, "token-scope-malformed"],
    ] as const) {
      await assert.rejects(
        server.access.issueToken(request, noneThere),
        (error: unknown) => error instanceof FormatError && error.code === code,
      );
    }
  });

  test("the longest token that can be asked for is taken", async (t) => {
    const server = await start(t);
    await bindRole(server.database, { ...pusher, role: "maintainer", targetKind: "server", target: "" }, 0);
    const scopes = Array.from({ length: 32 }, (_, index) => `repository:team/${`${index}`.padStart(76, "a")}:*`);
    const { token } = await server.issue(scopes);
    assert(token.length > 6_000 && token.length <= MAX_BEARER_LENGTH, `${token.length}`);
    assert(may(await server.bearer(token), "delete", scopes[31]?.split(":")[1]));
    assert.throws(
      () =>
        makeBearerTokens(makeTokenKeys(server.database, "ES256"), {
          issuer: ISSUER,
          service: SERVICE,
          lifetimeSeconds: 3_601,
        }),
      InternalError,
    );
  });

  test("keys: made once by whoever is first, renewed, retired ones verify for as long as their tokens", async (t) => {
    const server = await start(t);
    const replicas = [server.replica(), server.replica(), server.replica()];
    const found = await server.basic();
    assert(found.outcome === "authenticated");
    const request = { subject: found.subject, service: SERVICE, scopes: [PUSH] };
    const answers = await Promise.all(replicas.map((access) => access.issueToken(request, noneThere)));
    const kids = new Set(answers.map(({ token }) => readPart(partsOf(token)[0])["kid"]));
    assert.equal(kids.size, 1);
    const { token: old } = await server.issue();
    const oldKey = await server.signingJwk();
    await rotateTokenKey(server.database, "ES256", server.clock.now());
    const { token: fresh } = await server.issue();
    assert.notEqual(partsOf(old)[0], partsOf(fresh)[0]);
    assert(may(await server.bearer(old), "push") && may(await server.bearer(fresh), "push"));
    // Whoever copied the old key cannot make tokens once it is retired.
    server.clock.advance(20_000);
    const at = server.clock.now() / 1_000;
    const forged = await sign(oldKey, server.clock.now(), { ...(await payloadOf(fresh)), iat: at, nbf: at });
    const asBefore = await sign(oldKey, server.clock.now(), await payloadOf(fresh));
    assert(!(await server.isRefused(asBefore)), "the key is still known");
    assert(await server.isRefused(forged), "signed by a retired key after it was retired");
    await rotateTokenKey(server.database, "ES256", server.clock.now(), { endsOthers: true });
    assert(await server.isRefused(old));
    assert(await server.isRefused(fresh));
    const last = await server.signingJwk();
    server.clock.advance(31 * 24 * 3_600_000);
    await server.issue();
    assert.notEqual((await server.signingJwk()).kid, last.kid, "after a month the next token has a new key");
    const rows = await server.database.read.selectFrom("token_key").select("id").execute();
    assert.equal(rows.length, 2);
  });

  test("T15: tokens that were not signed by us for us are refused", async (t) => {
    const server = await start(t);
    const { token } = await server.issue();
    const key = await server.signingJwk();
    const now = server.clock.now();
    const payload = await payloadOf(token);
    const [header, body, signature] = partsOf(token);
    const good = readPart(header);
    const attacker = await generateKeyPair("ES256", { extractable: true });
    const attackerJwk = await exportJWK(attacker.publicKey);
    const { d: _private, ...ownPublicJwk } = key.jwk;
    const publicPem = createPublicKey({ key: ownPublicJwk, format: "jwk" }).export({ type: "spki", format: "pem" });
    const byAttacker = (extra: Record<string, unknown>): Promise<string> =>
      new CompactSign(Buffer.from(JSON.stringify(payload)))
        .setProtectedHeader({ alg: "ES256", typ: "JWT", kid: key.kid, ...extra })
        .sign(attacker.privateKey);
    const byUs = (change: Record<string, unknown>): Promise<string> => sign(key, now, { ...payload, ...change });
    const at = Math.floor(now / 1_000);

    assert(!(await server.isRefused(await byUs({}))), "the base of the cases below is good");

    const cases: Record<string, string> = {
      "alg none": new UnsecuredJWT({ ...payload }).encode(),
      "alg none with our kid": `${writePart({ alg: "none", kid: key.kid, typ: "JWT" })}.${body}.`,
      "alg nOnE": `${writePart({ alg: "nOnE", kid: key.kid, typ: "JWT" })}.${body}.`,
      "our header without a signature": `${header}.${body}.`,
      "HS256 with the public key as PEM": await new SignJWT({ ...payload })
        .setProtectedHeader({ alg: "HS256", kid: key.kid, typ: "JWT" })
        .sign(Buffer.from(publicPem)),
      "HS256 with the public key as JWK": await new SignJWT({ ...payload })
        .setProtectedHeader({ alg: "HS256", kid: key.kid, typ: "JWT" })
        .sign(Buffer.from(JSON.stringify(ownPublicJwk))),
      "HS256 with the signature of our header": `${writePart({ ...good, alg: "HS256" })}.${body}.${signature}`,
      "CVE-2025-24976: embedded JWK with our kid": await byAttacker({ jwk: { ...attackerJwk, kid: key.kid } }),
      "embedded JWK without kid": await byAttacker({ jwk: attackerJwk, kid: undefined }),
      jku: await byAttacker({ jku: "https://evil.example/keys.json" }),
      x5u: await byAttacker({ x5u: "https://evil.example/chain.pem" }),
      x5c: await byAttacker({ x5c: [Buffer.from(await exportSPKI(attacker.publicKey)).toString("base64")] }),
      "another key under our kid": await byAttacker({}),
      "kid as a path": await byAttacker({ kid: "../../../../dev/null" }),
      "kid as SQL": await byAttacker({ kid: "' or '1'='1" }),
      "kid as a list": await byAttacker({ kid: [key.kid] as never }),
      "kid of a prototype": await byAttacker({ kid: "__proto__" }),
      "another kid with the same key": await sign({ ...key, kid: "other" }, now, payload),
      "no kid with the same key": await sign({ ...key, kid: undefined as never }, now, payload),
      crit: `${writePart({ ...good, crit: ["exp"], exp: 1 })}.${body}.${signature}`,
      "typ of another kind": await sign(key, now, payload, { typ: "at+jwt" }),
      "a header of ours with a member twice": `${writePart(`{"alg":"ES256","alg":"none","kid":"${key.kid}","typ":"JWT"}`)}.${body}.${signature}`,
      "a header of ours spelt otherwise": `${writePart(JSON.stringify(good, null, 1))}.${body}.${signature}`,
      "wrong aud": await byUs({ aud: "other.example" }),
      "aud as a list with ours in it": await byUs({ aud: [SERVICE, "other.example"] }),
      "aud as a list of ours": await byUs({ aud: [SERVICE] }),
      "no aud": await byUs({ aud: undefined }),
      "wrong iss": await byUs({ iss: "https://evil.example/token" }),
      "iss that begins like ours": await byUs({ iss: `${ISSUER}/x` }),
      "no iss": await byUs({ iss: undefined }),
      expired: await byUs({ iat: at - 400, nbf: at - 400, exp: at - 100 }),
      "no exp": await byUs({ exp: undefined }),
      "exp as text": await byUs({ exp: `${at + 300}` }),
      "a lifetime beyond the bound": await byUs({ exp: at + 100_000 }),
      "nbf in the future": await byUs({ nbf: at + 60 }),
      "no nbf": await byUs({ nbf: undefined }),
      "iat in the future": await byUs({ iat: at + 60 }),
      "iat too long ago": await byUs({ iat: at - 4_000 }),
      "no jti": await byUs({ jti: undefined }),
      "no sub": await byUs({ sub: undefined }),
      "no access": await byUs({ access: undefined }),
      "an account that is not there": await byUs({ account: 999_999 }),
      "duplicate claims": await signText(
        key,
        JSON.stringify({ ...payload, exp: at + 300 }).replace("{", '{"aud":"registry.example",'),
      ),
      "claims that are a list": await signText(key, "[]"),
      "claims that are no JSON": await signText(key, "ann"),
      oversized: await byUs({ filler: "x".repeat(MAX_BEARER_LENGTH) }),
      "another body under our signature": `${header}.${writePart({ ...payload, sub: "admin" })}.${signature}`,
      "a bit of the signature changed": `${header}.${body}.${flip(signature)}`,
      "signature of zeros (CVE-2022-21449)": `${header}.${body}.${Buffer.alloc(64).toString("base64url")}`,
      "two parts": `${header}.${body}`,
      "four parts": `${token}.${signature}`,
      "five parts (JWE)": `${token}.${body}.${signature}`,
      "one part": "abc",
      dots: "...",
      "nothing before the dot": `.${body}.${signature}`,
    };
    for (const [name, forged] of Object.entries(cases)) {
      const found = await server.bearer(forged);
      assert(found.outcome === "failed", name);
      const expected = forged.length > MAX_BEARER_LENGTH ? ["malformed", "refused"] : ["refused"];
      assert(expected.includes(found.failure.reason), `${name}: ${found.failure.reason}`);
    }
    assert(may(await server.bearer(token), "push"), "and the good one is still good");
    for (const options of [{ issuer: "https://other.example/token" }, { service: "other.example" }]) {
      const found = await server.bearer(token, server.replica(options));
      assert.equal(found.outcome, "failed", "another server on the same keys");
    }
  });
}

async function payloadOf(token: string): Promise<Record<string, unknown>> {
  return await Promise.resolve({ ...readPart(partsOf(token)[1]), jti: randomUUID() });
}

/** As the server signs: the same header, its own key. */
async function sign(
  key: { readonly kid: string; readonly jwk: JWK },
  now: number,
  payload: Record<string, unknown>,
  header: Record<string, string> = {},
): Promise<string> {
  const at = Math.floor(now / 1_000);
  return await signText(key, JSON.stringify({ iat: at, nbf: at, exp: at + 300, ...payload }), header);
}

async function signText(
  { kid, jwk }: { readonly kid: string; readonly jwk: JWK },
  text: string,
  header: Record<string, string> = {},
): Promise<string> {
  return await new CompactSign(Buffer.from(text))
    .setProtectedHeader({ alg: "ES256", kid, typ: "JWT", ...header })
    .sign(await importJWK(jwk, "ES256"));
}

function flip(signature: string): string {
  const bytes = Buffer.from(signature, "base64url");
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  return bytes.toString("base64url");
}

forEachAccessDatabase(testBearerTokens);
