import assert from "node:assert/strict";
import { argon2Sync } from "node:crypto";
import test from "node:test";
import { InternalError, StoreError, UsageError } from "@signet/core";
import {
  checkNewPassword,
  hashPassword,
  isBcryptHash,
  isOutdated,
  makeRandomPassword,
  verifyPassword,
} from "./passwords.ts";

test("a password is hashed by argon2id with OWASP's parameters and a salt of its own, and proved again", async () => {
  const [one, other] = [await hashPassword("correct horse"), await hashPassword("correct horse")];
  assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(one, other);
  // Another reader of PHC strings would compute the same.
  const [salt = "", tag] = one.split("$").slice(4);
  const computed = argon2Sync("argon2id", {
    message: "correct horse",
    nonce: Buffer.from(salt, "base64"),
    memory: 19_456,
    passes: 2,
    parallelism: 1,
    tagLength: 32,
  });
  assert.equal(computed.toString("base64").replace(/=+$/, ""), tag);
  assert.equal(await verifyPassword("correct horse", one), "right");
  assert.equal(await verifyPassword("correct horse ", one), "wrong");
  assert.equal(await verifyPassword("", one), "wrong");
  assert.equal(isOutdated(one, "correct horse"), false);
});

test("an account that is not there, or has no password, is computed like one that is, and never right", async () => {
  let asked = 0;
  const verdict = await verifyPassword("anything at all", null, {
    isWanted: async () => {
      asked += 1;
      return await Promise.resolve(true);
    },
  });
  assert.deepEqual([verdict, asked], ["wrong", 1]);
});

test("the same text is the same password however it was composed", async () => {
  const stored = await hashPassword("Zu\u0308rich-2026");
  assert.equal(await verifyPassword("Z\u00fcrich-2026", stored), "right");
});

test("new passwords are bounded, and refusals do not repeat them", () => {
  const bad = ["", "short12", "x".repeat(513), "with\nline-end", "nul\0inside-it", "lone \ud800 surrogate"];
  for (const password of bad) {
    assert.throws(
      () => checkNewPassword(password),
      (error: unknown) => {
        assert(error instanceof UsageError && error.code === "password-refused");
        assert(password === "" || !error.message.includes(password));
        return true;
      },
    );
  }
  checkNewPassword("x".repeat(512));
  checkNewPassword(makeRandomPassword());
  assert.notEqual(makeRandomPassword(), makeRandomPassword());
});

test("bcrypt hashes in htpasswd's three spellings are proved, and are outdated at once", async () => {
  // Made by libxcrypt: crypt("correct horse", "$2y$05$abcdefghijklmnopqrstuu").
  const made = "$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2";
  for (const letter of ["a", "b", "y"]) {
    const stored = made.replace(/^\$2./, `$2${letter}`);
    assert(isBcryptHash(stored));
    assert.equal(await verifyPassword("correct horse", stored), "right");
    assert.equal(await verifyPassword("wrong horse", stored), "wrong");
    assert.equal(isOutdated(stored, "correct horse"), true);
  }
  assert.equal(isOutdated(made, "x".repeat(73)), false, "bcrypt saw only 72 bytes of it");
  for (const text of [
    made.replace("$05$", "$13$"),
    made.replace("$05$", "$03$"),
    `${made}x`,
    made.replace("$2y", "$2x"),
    null,
  ]) {
    assert.equal(isBcryptHash(text), false);
  }
});

test("a stored hash that asks for too much, or is none, is never computed", async () => {
  const salt = "c2FsdHNhbHRzYWx0c2FsdA";
  const tag = "A".repeat(43);
  for (const stored of [
    `$argon2id$v=19$m=999999,t=2,p=1$${salt}$${tag}`,
    `$argon2id$v=19$m=19456,t=99,p=1$${salt}$${tag}`,
    `$argon2id$v=19$m=19456,t=2,p=9$${salt}$${tag}`,
    `$argon2id$v=19$m=4,t=2,p=1$${salt}$${tag}`,
    `$argon2i$v=19$m=19456,t=2,p=1$${salt}$${tag}`,
    "$1$abc$def",
    "plain-text-secret",
  ]) {
    await assert.rejects(verifyPassword("plain-text-secret", stored), (error: unknown) => {
      assert(error instanceof InternalError);
      assert(!`${error.message}${error.hint}`.includes("secret"));
      return true;
    });
  }
});

test("two passwords are computed at a time; whoever comes when too many wait is asked to come back", async () => {
  const stored = await hashPassword("correct horse");
  let running = 0;
  let most = 0;
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const checks = Array.from({ length: 103 }, () =>
    verifyPassword("correct horse", stored, {
      isWanted: async () => {
        running += 1;
        most = Math.max(most, running);
        await gate;
        running -= 1;
        return false;
      },
    }),
  );
  const outcomes = Promise.allSettled(checks);
  open();
  const refused = (await outcomes).filter((outcome) => outcome.status === "rejected");
  assert.equal(most, 2);
  assert.equal(refused.length, 1);
  const error: unknown = refused[0]?.reason;
  assert(error instanceof StoreError && error.code === "login-busy" && error.retryable);
  // The turns are given back, also after failures.
  assert.equal(await verifyPassword("correct horse", stored), "right");
});
