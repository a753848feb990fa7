import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test, { type TestContext } from "node:test";
import { crc32 } from "node:zlib";
import { type FakeClock, makeFakeClock } from "@signet/testkit";
import type { Database } from "../db/database.ts";
import { type OpenDatabase, forEachAccessDatabase } from "./database.testing.ts";
import { type Access, makeAccess } from "./access.ts";
import { createAccessToken, listAccessTokens, revokeAccessToken } from "./access-tokens.ts";
import { createAccount, removeAccount, setDisabled, setPassword } from "./accounts.ts";
import type { Authentication } from "./authenticate.ts";
import { addMember, createGroup, removeMember } from "./groups.ts";
import { importHtpasswd } from "./htpasswd.ts";
import { bindRole, unbindRole } from "./role-bindings.ts";
import { decide } from "./roles.ts";

const PASSWORD = "hunter2-correct-horse";
const WRONG = "hunter2-battery-staple";

interface Server {
  readonly database: Database;
  readonly clock: FakeClock;
  readonly access: Access;
  /** Another process on the same database. */
  readonly replica: Access;
}

const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;

/** `ann`, or the reason of a failure. */
const said = (found: Authentication): string =>
  found.outcome === "failed" ? found.failure.reason : (found.subject.account?.name ?? "anonymous");

const mayPull = (found: Authentication, path = "team/app"): boolean =>
  found.outcome !== "failed" && decide(found.subject, "pull", { path, visibility: "private" }).isAllowed;

function testAuthenticate(open: OpenDatabase): void {
  const start = async (t: TestContext): Promise<Server> => {
    const database = await open(t);
    const clock = makeFakeClock();
    const options = {
      database,
      issuer: "https://registry.example/token",
      service: "registry.example",
      clock: () => clock.now(),
    };
    await createAccount(database, { name: "ann", kind: "user", password: PASSWORD }, clock.now());
    return { database, clock, access: makeAccess(options), replica: makeAccess(options) };
  };
  const login = (access: Access, authorization: string | undefined, address = "192.0.2.1"): Promise<Authentication> =>
    access.authenticate({ authorization, address });

  test("no header is anonymous, the right password is the account, the wrong one nobody", async (t) => {
    const { access } = await start(t);
    assert.equal(said(await login(access, undefined)), "anonymous");
    assert.equal(said(await login(access, basic("ann", PASSWORD))), "ann");
    const wrong = await login(access, basic("ann", WRONG));
    const unknown = await login(access, basic("nobody", WRONG));
    assert.equal(said(wrong), "refused");
    assert.deepEqual(unknown, wrong, "an account that is not there is refused in the same words");
    assert.equal(said(await login(access, "Basic %%%")), "malformed");
    assert.equal(said(await login(access, "Bearer abc")), "refused");
  });

  test("what was proved is not computed again, until it counts no more", async (t) => {
    const { database, access, replica } = await start(t);
    assert.equal(said(await login(access, basic("ann", PASSWORD))), "ann");
    const { password_hash: hash } = await database.read
      .selectFrom("account")
      .select("password_hash")
      .executeTakeFirstOrThrow();
    // Nothing tells the caches: whoever still logs in was not computed.
    const put = (value: string | null): Promise<unknown> =>
      database.write((writer) => writer.updateTable("account").set({ password_hash: value }).execute());
    await put(null);
    assert.equal(said(await login(access, basic("ann", PASSWORD))), "ann");
    assert.equal(said(await login(replica, basic("ann", PASSWORD))), "refused");
    await put(hash);
    // Changes of access by another process count with the next request.
    await setDisabled(database, "ann", true);
    assert.equal(said(await login(access, basic("ann", PASSWORD))), "refused");
    await setDisabled(database, "ann", false);
    assert.equal(said(await login(access, basic("ann", PASSWORD))), "ann");
    await setPassword(database, "ann", WRONG);
    assert.equal(said(await login(access, basic("ann", PASSWORD))), "refused");
    assert.equal(said(await login(access, basic("ann", WRONG))), "ann");
    await removeAccount(database, "ann");
    assert.equal(said(await login(access, basic("ann", WRONG))), "refused");
    await createAccount(database, { name: "ann", kind: "user", password: PASSWORD }, 0);
    assert.equal(
      said(await login(access, basic("ann", WRONG))),
      "refused",
      "the cache knew another account of that name",
    );
  });

  test("CVE-2025-23208: who leaves a group has lost its roles with the next request", async (t) => {
    const { database, access } = await start(t);
    await createGroup(database, "dev", 0);
    await addMember(database, "dev", "ann");
    await bindRole(
      database,
      { subject: { kind: "group", name: "dev" }, role: "reader", targetKind: "namespace", target: "team" },
      0,
    );
    assert(mayPull(await login(access, basic("ann", PASSWORD))));
    assert(!mayPull(await login(access, basic("ann", PASSWORD)), "teamx/app"));
    await removeMember(database, "dev", "ann");
    assert(!mayPull(await login(access, basic("ann", PASSWORD))));
    const forAll = {
      subject: { kind: "authenticated" },
      role: "reader",
      targetKind: "namespace",
      target: "team",
    } as const;
    await bindRole(database, forAll, 0);
    assert(mayPull(await login(access, basic("ann", PASSWORD))));
    assert(!mayPull(await login(access, undefined)), "anonymous is not authenticated");
    await unbindRole(database, forAll);
    await bindRole(database, { ...forAll, subject: { kind: "anonymous" } }, 0);
    assert(mayPull(await login(access, undefined)));
    assert(mayPull(await login(access, basic("ann", PASSWORD))), "what everybody may, accounts may");
  });

  test("wrong passwords lock by network for every process, not those who are in already", async (t) => {
    const { clock, access, replica } = await start(t);
    assert.equal(said(await login(access, basic("ann", PASSWORD), "198.51.100.9")), "ann");
    for (let index = 0; index < 5; index += 1) {
      assert.equal(said(await login(access, basic("ann", `${WRONG}${index}`))), "refused");
    }
    const locked = await login(replica, basic("ann", PASSWORD));
    assert(locked.outcome === "failed" && locked.failure.reason === "locked");
    assert.equal(locked.failure.retryAfterSeconds, 1);
    assert.equal(said(await login(replica, basic("ann", PASSWORD), "198.51.100.9")), "ann", "another network");
    assert.equal(said(await login(access, basic("ann", PASSWORD))), "ann", "proved before, computed never again");
    clock.advance(1_000);
    assert.equal(said(await login(replica, basic("ann", PASSWORD))), "ann");
  });

  test("the same wrong password again is one guess; many at once are not free ones", async (t) => {
    const { database, access } = await start(t);
    for (let index = 0; index < 20; index += 1) {
      assert.equal(said(await login(access, basic("ann", WRONG))), "refused");
    }
    const count = async (): Promise<number | undefined> =>
      (await database.read.selectFrom("login_network").select("failed_logins").executeTakeFirst())?.failed_logins;
    assert.equal(await count(), 1, "a machine with an old secret locks nobody out");
    const guesses = await Promise.all(
      Array.from({ length: 30 }, (_, index) => login(access, basic("ann", `guess number ${index}`))),
    );
    const refused = guesses.filter((found) => said(found) === "refused").length;
    // Two are computed at a time: the second may begin before the first has counted.
    assert(refused >= 4 && refused <= 5, `${refused} of 30 were computed`);
    assert.equal(guesses.filter((found) => said(found) === "locked").length, 30 - refused);
  });

  test("right credentials that come side by side are computed once, wrong ones count once", async (t) => {
    const { database, access } = await start(t);
    const many = await Promise.all(Array.from({ length: 150 }, () => login(access, basic("ann", PASSWORD))));
    assert(
      many.every((found) => said(found) === "ann"),
      "none was sent away as too many",
    );
    const wrong = await Promise.all(Array.from({ length: 20 }, () => login(access, basic("ann", WRONG))));
    assert(wrong.every((found) => said(found) === "refused"));
    const row = await database.read.selectFrom("login_network").select("failed_logins").executeTakeFirstOrThrow();
    assert.equal(row.failed_logins, 1);
  });

  test("one network gets so many failed log-ins, whatever names it tries", async (t) => {
    const { clock, access } = await start(t);
    const outcomes: string[] = [];
    // Access tokens that are nobody's: refused without argon2, so that this test is quick.
    const guess = (index: number): string => {
      const body = `sgn_${createHash("sha256").update(`${index}`).digest("hex").slice(0, 50)}`;
      return body + crc32(body).toString(36).padStart(7, "0");
    };
    for (let index = 0; index < 51; index += 1) outcomes.push(said(await login(access, basic("any", guess(index)))));
    assert.deepEqual([...new Set(outcomes)], ["refused", "limited"]);
    assert.equal(outcomes.filter((one) => one === "refused").length, 50);
    const limited = await login(access, basic("ann", PASSWORD));
    assert(limited.outcome === "failed" && limited.failure.reason === "limited");
    assert.equal(limited.failure.retryAfterSeconds, 10);
    assert.equal(said(await login(access, basic("ann", PASSWORD), "198.51.100.9")), "ann");
    clock.advance(10_000);
    assert.equal(said(await login(access, basic("ann", PASSWORD))), "ann");
  });

  test("access tokens log in by Basic with any name, and by Bearer, within their limits, until they end", async (t) => {
    const { database, clock, access, replica } = await start(t);
    await bindRole(
      database,
      { subject: { kind: "account", name: "ann" }, role: "pusher", targetKind: "namespace", target: "team" },
      0,
    );
    const { id, secret } = await createAccessToken(
      database,
      { account: "ann", name: "ci", scopes: ["repository:team/app:pull"], expiresAt: clock.now() + 600_000 },
      clock.now(),
    );
    for (const header of [basic("ann", secret), basic("unused", secret), basic("", secret), `Bearer ${secret}`]) {
      const found = await login(access, header);
      assert.equal(said(found), "ann");
      assert(mayPull(found) && !mayPull(found, "team/other"));
      assert(found.outcome !== "failed");
      const target = { path: "team/app", visibility: undefined };
      assert.deepEqual(decide(found.subject, "push", target), { isAllowed: false, reason: "outside-token" });
      assert.deepEqual(decide(found.subject, "delete", target), { isAllowed: false, reason: "no-right" });
    }
    const usedAt = async (): Promise<number | null | undefined> =>
      (await listAccessTokens(database.read, "ann"))[0]?.lastUsedAt;
    const first = clock.now();
    assert.equal(await usedAt(), first);
    clock.advance(59_000);
    await login(access, basic("ann", secret));
    await login(replica, basic("ann", secret));
    assert.equal(await usedAt(), first, "written at most once a minute");
    clock.advance(1_000);
    await login(access, basic("ann", secret));
    assert.equal(await usedAt(), first + 60_000);
    // Revoking another token ends nothing.
    const other = await createAccessToken(
      database,
      { account: "ann", name: "other", scopes: null, expiresAt: null },
      clock.now(),
    );
    await revokeAccessToken(database, "ann", other.id);
    assert.equal(said(await login(access, basic("ann", secret))), "ann");
    clock.advance(540_000);
    assert.equal(said(await login(access, basic("ann", secret))), "refused", "expired while cached");
    assert.equal(said(await login(replica, `Bearer ${secret}`)), "refused");
    const fresh = await createAccessToken(
      database,
      { account: "ann", name: "more", scopes: null, expiresAt: null },
      clock.now(),
    );
    assert.equal(said(await login(access, basic("ann", fresh.secret))), "ann");
    await revokeAccessToken(database, "ann", fresh.id);
    assert.equal(said(await login(access, basic("ann", fresh.secret))), "refused");
    await revokeAccessToken(database, "ann", id);
  });

  test("a hash from an htpasswd file becomes argon2id at the first log-in", async (t) => {
    const { database, access, replica } = await start(t);
    await importHtpasswd(database, "bob:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2", 0);
    const hash = async (): Promise<string | null> =>
      (
        await database.read
          .selectFrom("account")
          .select("password_hash")
          .where("name", "=", "bob")
          .executeTakeFirstOrThrow()
      ).password_hash;
    assert.equal(said(await login(access, basic("bob", WRONG))), "refused");
    assert.match((await hash()) ?? "", /^\$2y\$/);
    assert.equal(said(await login(access, basic("bob", "correct horse"))), "bob");
    assert.match((await hash()) ?? "", /^\$argon2id\$/);
    assert.equal(said(await login(access, basic("bob", "correct horse"))), "bob");
    assert.equal(said(await login(replica, basic("bob", "correct horse"))), "bob");
  });

  test("T23: no failure, error or row holds a secret", async (t) => {
    const { database, clock, access } = await start(t);
    const { secret } = await createAccessToken(
      database,
      { account: "ann", name: "ci", scopes: null, expiresAt: null },
      clock.now(),
    );
    const issued = await login(access, basic("ann", PASSWORD));
    assert(issued.outcome === "authenticated");
    const request = { subject: issued.subject, service: undefined, scopes: [] };
    const { token } = await access.issueToken(request, async () => await Promise.resolve(new Map()));
    const secrets = [PASSWORD, WRONG, secret, token, basic("ann", PASSWORD).slice(6)];
    const seen: unknown[] = [];
    for (const header of [
      basic("ann", WRONG),
      basic("ann", `${secret}x`),
      basic("ann", `${secret.slice(0, -2)}xx`),
      `Bearer ${token}x`,
      `Basic ${PASSWORD}`,
      `Digest ${PASSWORD}`,
      `Bearer ${PASSWORD}\u00e9`,
    ]) {
      seen.push(await login(access, header));
    }
    seen.push(await database.read.selectFrom("account").selectAll().execute());
    seen.push(await database.read.selectFrom("access_token").selectAll().execute());
    seen.push(await database.read.selectFrom("login_network").selectAll().execute());
    const text = JSON.stringify(seen);
    for (const one of secrets) assert(!text.includes(one), `${one.slice(0, 8)}… in ${text}`);
    // An engine that breaks: the error is about the database, and nobody is let in.
    await database.close();
    await assert.rejects(login(access, basic("ann", PASSWORD)), (error: unknown) => {
      assert(error instanceof Error);
      for (const one of secrets) assert(!`${error.stack}${JSON.stringify(error)}`.includes(one));
      return true;
    });
  });
}

forEachAccessDatabase(testAuthenticate);
