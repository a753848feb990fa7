import assert from "node:assert/strict";
import test from "node:test";
import { SignetError } from "@signet/core";
import { type OpenDatabase, forEachAccessDatabase } from "./database.testing.ts";
import { readAccessChange } from "./access-change.ts";
import { createAccessToken, listAccessTokens, looksLikeAccessToken, revokeAccessToken } from "./access-tokens.ts";
import { createAccount, createFirstAdmin, listAccounts, removeAccount, setDisabled, setPassword } from "./accounts.ts";
import { addMember, createGroup, listGroups, removeGroup, removeMember } from "./groups.ts";
import { importHtpasswd } from "./htpasswd.ts";
import { verifyPassword } from "./passwords.ts";
import { type RoleBinding, bindRole, listRoleBindings, unbindRepository, unbindRole } from "./role-bindings.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");

const withCode = (code: string) => (error: unknown) => error instanceof SignetError && error.code === code;
const robot = (name: string) => ({ name, kind: "robot", password: null }) as const;

function testAccounts(open: OpenDatabase): void {
  test("accounts are made, listed in pages, disabled, removed; each change moves the number", async (t) => {
    const database = await open(t);
    const numbers = [await readAccessChange(database)];
    const step = async (work: Promise<unknown>): Promise<void> => {
      await work;
      numbers.push(await readAccessChange(database));
    };
    await step(createAccount(database, { name: "ann@example.org", kind: "user", password: "correct horse" }, NOW));
    await step(createAccount(database, robot("robot$team+builder"), NOW));
    await step(setPassword(database, "ann@example.org", "battery staple"));
    await step(setDisabled(database, "ann@example.org", true));
    assert.equal(new Set(numbers).size, 5);
    const all = await listAccounts(database.read, { after: "", limit: 10 });
    assert.deepEqual(
      all.map(({ name, kind: which, isDisabled, hasPassword }) => [name, which, isDisabled, hasPassword]),
      [
        ["ann@example.org", "user", true, true],
        ["robot$team+builder", "robot", false, false],
      ],
    );
    const page = await listAccounts(database.read, { after: "ann@example.org", limit: 1 });
    assert.deepEqual(
      page.map(({ name }) => name),
      ["robot$team+builder"],
    );
    await step(removeAccount(database, "ann@example.org"));
    assert.equal((await listAccounts(database.read, { after: "", limit: 10 })).length, 1);
  });

  test("names are bounded and tell people from robots; names twice and unknown ones are refused", async (t) => {
    const database = await open(t);
    for (const name of [
      "",
      "Ann",
      "a b",
      "ann:x",
      "ann\n",
      "-ann",
      "robot$x",
      "../x",
      "\u00e4nn",
      "a".repeat(151),
      "a$b",
    ]) {
      await assert.rejects(
        createAccount(database, { name, kind: "user", password: null }, NOW),
        withCode("access-name-malformed"),
      );
    }
    for (const name of ["x", "robot$", "robot$robot$x", "robot$X", "robot$a:b"]) {
      await assert.rejects(createAccount(database, robot(name), NOW), withCode("access-name-malformed"));
    }
    await createAccount(database, robot("robot$x"), NOW);
    const before = await readAccessChange(database);
    await assert.rejects(createAccount(database, robot("robot$x"), NOW), withCode("access-entry-exists"));
    assert.equal(await readAccessChange(database), before, "a refused change changes nothing");
    await assert.rejects(
      createAccount(database, { ...robot("robot$y"), password: "correct horse" }, NOW),
      withCode("password-refused"),
    );
    await assert.rejects(setPassword(database, "robot$x", "correct horse"), withCode("password-refused"));
    await assert.rejects(setPassword(database, "nobody", "correct horse"), withCode("access-entry-missing"));
    await assert.rejects(setDisabled(database, "nobody", true), withCode("access-entry-missing"));
    await assert.rejects(removeAccount(database, "nobody"), withCode("access-entry-missing"));
  });

  test("the first start makes admin once, with a password given or made, never a default", async (t) => {
    const database = await open(t);
    await assert.rejects(createFirstAdmin(database, "admin", NOW), withCode("password-refused"));
    // As two processes that start at once.
    const starts = await Promise.all([
      createFirstAdmin(database, undefined, NOW),
      createFirstAdmin(database, undefined, NOW),
    ]);
    const made = starts.filter((one) => one !== null);
    assert.equal(made.length, 1);
    const password = made[0]?.madePassword ?? "";
    assert.equal(password.length, 24);
    const { password_hash: hash } = await database.read
      .selectFrom("account")
      .select("password_hash")
      .where("name", "=", "admin")
      .executeTakeFirstOrThrow();
    assert.equal(await verifyPassword(password, hash), "right");
    assert.equal(await createFirstAdmin(database, "another one", NOW), null);
    assert.deepEqual(await listRoleBindings(database.read), [
      { subject: { kind: "account", name: "admin" }, role: "admin", targetKind: "server", target: "" },
    ]);
    const other = await open(t);
    assert.deepEqual(await createFirstAdmin(other, "correct horse", NOW), { name: "admin", madePassword: null });
  });

  test("a later account, group or repository of the same name inherits nothing", async (t) => {
    const database = await open(t);
    await createAccount(database, robot("robot$x"), NOW);
    await createGroup(database, "dev", NOW);
    await addMember(database, "dev", "robot$x");
    await createAccessToken(database, { account: "robot$x", name: "ci", scopes: null, expiresAt: null }, NOW);
    const given: readonly RoleBinding[] = [
      { subject: { kind: "account", name: "robot$x" }, role: "pusher", targetKind: "namespace", target: "team" },
      { subject: { kind: "group", name: "dev" }, role: "reader", targetKind: "repository", target: "team/app" },
      { subject: { kind: "anonymous" }, role: "reader", targetKind: "repository", target: "base" },
    ];
    for (const binding of given) await bindRole(database, binding, NOW);
    for (const binding of given) await bindRole(database, binding, NOW);
    assert.deepEqual(await listRoleBindings(database.read), given, "given twice is given once");
    await removeAccount(database, "robot$x");
    await removeGroup(database, "dev");
    const before = await readAccessChange(database);
    await database.write((writer) => unbindRepository(writer, "base"));
    assert.notEqual(await readAccessChange(database), before);
    await createAccount(database, robot("robot$x"), NOW);
    await createGroup(database, "dev", NOW);
    assert.deepEqual(await listRoleBindings(database.read), []);
    assert.deepEqual(await listAccessTokens(database.read, "robot$x"), []);
    assert.deepEqual(await listGroups(database.read), [{ name: "dev", members: [] }]);
  });

  test("groups keep their members; what is not there is named", async (t) => {
    const database = await open(t);
    for (const name of ["robot$a", "robot$b"]) await createAccount(database, robot(name), NOW);
    await createGroup(database, "dev", NOW);
    await createGroup(database, "ops", NOW);
    for (const name of ["robot$b", "robot$a", "robot$a"]) await addMember(database, "dev", name);
    assert.deepEqual(await listGroups(database.read), [
      { name: "dev", members: ["robot$a", "robot$b"] },
      { name: "ops", members: [] },
    ]);
    await removeMember(database, "dev", "robot$a");
    await assert.rejects(removeMember(database, "dev", "robot$a"), withCode("access-entry-missing"));
    await assert.rejects(addMember(database, "none", "robot$a"), withCode("access-entry-missing"));
    await assert.rejects(addMember(database, "dev", "none"), withCode("access-entry-missing"));
    await assert.rejects(createGroup(database, "dev", NOW), withCode("access-entry-exists"));
    await assert.rejects(createGroup(database, "Dev", NOW), withCode("access-name-malformed"));
  });

  test("roles that would open the server by mistake are refused", async (t) => {
    const database = await open(t);
    await createAccount(database, robot("robot$x"), NOW);
    const x = { kind: "account", name: "robot$x" } as const;
    const wrong: readonly RoleBinding[] = [
      { subject: { kind: "anonymous" }, role: "pusher", targetKind: "namespace", target: "team" },
      { subject: { kind: "anonymous" }, role: "admin", targetKind: "server", target: "" },
      { subject: { kind: "authenticated" }, role: "admin", targetKind: "server", target: "" },
      { subject: { kind: "authenticated" }, role: "maintainer", targetKind: "namespace", target: "team" },
      { subject: x, role: "admin", targetKind: "namespace", target: "team" },
      { subject: x, role: "reader", targetKind: "server", target: "team" },
      { subject: x, role: "reader", targetKind: "namespace", target: "" },
      { subject: x, role: "reader", targetKind: "namespace", target: "team/" },
      { subject: x, role: "reader", targetKind: "repository", target: "Team" },
    ];
    for (const binding of wrong) {
      await assert.rejects(bindRole(database, binding, NOW), withCode("role-binding-refused"), JSON.stringify(binding));
    }
    const right: RoleBinding = { subject: x, role: "reader", targetKind: "namespace", target: "team" };
    await bindRole(database, right, NOW);
    await assert.rejects(unbindRole(database, { ...right, role: "pusher" }), withCode("access-entry-missing"));
    await unbindRole(database, right);
    await assert.rejects(unbindRole(database, right), withCode("access-entry-missing"));
    await assert.rejects(
      bindRole(database, { ...right, subject: { kind: "group", name: "none" } }, NOW),
      withCode("access-entry-missing"),
    );
  });

  test("access tokens: a recognisable secret, kept as a hash, limited, listed, revoked", async (t) => {
    const database = await open(t);
    await createAccount(database, robot("robot$x"), NOW);
    const request = {
      account: "robot$x",
      name: "ci",
      scopes: ["namespace:team:push,pull", "namespace:team:pull"],
      expiresAt: NOW + 1_000,
    };
    const { id, secret } = await createAccessToken(database, request, NOW);
    assert.match(secret, /^sgn_[0-9a-z]{57}$/);
    assert(looksLikeAccessToken(secret));
    for (const text of [
      `${secret}0`,
      secret.replace("sgn_", "sgm_"),
      secret.slice(0, -1),
      `${secret.slice(0, -1)}${secret.endsWith("0") ? "1" : "0"}`,
      "",
    ]) {
      assert(!looksLikeAccessToken(text), text);
    }
    const rows = await database.read.selectFrom("access_token").selectAll().execute();
    assert(!JSON.stringify(rows).includes(secret.slice(4, 20)), "only a hash is stored");
    assert.deepEqual(await listAccessTokens(database.read, "robot$x"), [
      {
        id,
        name: "ci",
        scopes: ["namespace:team:pull,push"],
        expiresAt: NOW + 1_000,
        createdAt: NOW,
        lastUsedAt: null,
      },
    ]);
    await assert.rejects(createAccessToken(database, request, NOW), withCode("access-entry-exists"));
    for (const [change, code] of [
      [{ name: "" }, "access-name-malformed"],
      [{ name: "two\nlines" }, "access-name-malformed"],
      [{ name: "turned \u202e round" }, "access-name-malformed"],
      [{ name: "b", scopes: [] }, "access-token-refused"],
      [{ name: "b", scopes: ["repository:x:fly"] }, "token-scope-malformed"],
      [{ name: "b", expiresAt: NOW }, "access-token-refused"],
      [{ name: "b", expiresAt: Number.NaN }, "access-token-refused"],
      [{ name: "b", account: "none" }, "access-entry-missing"],
    ] as const) {
      await assert.rejects(
        createAccessToken(database, { ...request, ...change }, NOW),
        withCode(code),
        JSON.stringify(change),
      );
    }
    await createAccount(database, robot("robot$y"), NOW);
    await assert.rejects(
      revokeAccessToken(database, "robot$y", id),
      withCode("access-entry-missing"),
      "another's token",
    );
    await revokeAccessToken(database, "robot$x", id);
    await assert.rejects(revokeAccessToken(database, "robot$x", id), withCode("access-entry-missing"));
    for (let index = 0; index < 100; index += 1) {
      await createAccessToken(database, { ...request, name: `t${index}` }, NOW);
    }
    await assert.rejects(
      createAccessToken(database, { ...request, name: "t100" }, NOW),
      withCode("access-token-refused"),
    );
  });

  test("htpasswd files are imported whole or not at all, and problems name lines and no hashes", async (t) => {
    const database = await open(t);
    const hash = "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2";
    const good = `# users\r\nann:${hash}\r\n\r\nbob:${hash}\n`;
    assert.deepEqual(await importHtpasswd(database, good, NOW), { created: ["ann", "bob"], kept: [] });
    assert.deepEqual(await importHtpasswd(database, `${good}eve:${hash}`, NOW), {
      created: ["eve"],
      kept: ["ann", "bob"],
    });
    const bad = [
      "md5:$apr1$hunter2x$hunter2hunter2hunter2",
      "sha:{SHA}hunter2hunter2hunter2hunt=",
      "sha2:$6$hunter2$hunter2",
      "plain:hunter2hunter2",
      "hunter2 without colon",
      `Upper:${hash}`,
      `twice:${hash}`,
      `twice:${hash}`,
      `slow:${hash.replace("$05$", "$17$")}`,
      `short:${hash.slice(0, -3)}`,
    ];
    await assert.rejects(importHtpasswd(database, `new:${hash}\n${bad.join("\n")}`, NOW), (error: unknown) => {
      assert(error instanceof SignetError && error.code === "htpasswd-malformed");
      for (const line of [2, 3, 4, 5, 6, 7, 9, 10, 11]) assert.match(error.message, new RegExp(`line ${line}: `));
      assert.doesNotMatch(error.message, /line (1|8): /);
      assert(!error.message.includes("hunter2") && !error.message.includes("abcdefghij"), error.message);
      return true;
    });
    assert.equal((await listAccounts(database.read, { after: "", limit: 10 })).length, 3);
    await assert.rejects(importHtpasswd(database, "#".repeat(1_048_577), NOW), withCode("htpasswd-malformed"));
  });
}

forEachAccessDatabase(testAccounts);
