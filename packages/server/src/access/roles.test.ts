import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { FormatError } from "@signet/core";
import type { Role } from "../db/schema.ts";
import { grantScopes } from "./issue-token.ts";
import {
  type Binding,
  type Subject,
  actionsOfRole,
  decide,
  decideOnGrant,
  decideOnListing,
  decideOnServer,
  joinBindings,
} from "./roles.ts";
import { type AccessEntry, coversRepository, parseRequestedScopes, parseTokenLimits, writeScopes } from "./scopes.ts";

function subject(bindings: readonly Binding[], limits: readonly AccessEntry[] | null = null): Subject {
  return {
    account: { id: 1, name: "ann", kind: "user" },
    credential: { kind: "password", version: 1 },
    isBearer: false,
    rights: joinBindings(bindings),
    limits,
    credentialLimits: limits,
  };
}

const on = (role: Role, targetKind: Binding["targetKind"], target: string): Binding => ({ role, targetKind, target });
const at = (path: string): { path: string; visibility: undefined } => ({ path, visibility: undefined });
const repositoryActions = ["audit", "configure", "delete", "grant", "pull", "pull-hidden", "push", "sign"] as const;
const roles = Object.keys(actionsOfRole) as Role[];

test("each role may exactly what its row says", () => {
  const rows = roles.map((role) => [
    role,
    repositoryActions
      .filter((action) => decide(subject([on(role, "repository", "team/app")]), action, at("team/app")).isAllowed)
      .join(" "),
  ]);
  const all = repositoryActions.join(" ");
  assert.deepEqual(Object.fromEntries(rows), {
    reader: "pull",
    pusher: "pull push",
    signer: "pull pull-hidden sign",
    auditor: "audit pull",
    maintainer: all,
    admin: all,
  });
});

test("only role admin on the whole server administers, whatever the table of bindings holds", () => {
  assert.equal(decideOnServer(subject([on("admin", "server", "")]), "administer").isAllowed, true);
  for (const bindings of [[on("admin", "namespace", "team")], [on("maintainer", "server", "")], []]) {
    assert.deepEqual(decideOnServer(subject(bindings), "administer"), { isAllowed: false, reason: "no-right" });
  }
  const limited = subject([on("admin", "server", "")], parseTokenLimits(["namespace:*:*", "registry:catalog:*"]));
  assert.deepEqual(decideOnServer(limited, "administer"), { isAllowed: false, reason: "outside-token" });
  assert.equal(decideOnServer(limited, "catalog").isAllowed, true);
});

test("a bearer token for the catalog lists what its account may pull, within the access token that it came by", () => {
  const reader = [on("reader", "namespace", "team")];
  const catalog = parseTokenLimits(["registry:catalog:*"]);
  const ofPassword = { ...subject(reader), isBearer: true, limits: catalog };
  const ofToken = {
    ...ofPassword,
    credentialLimits: parseTokenLimits(["registry:catalog:*", "repository:team/a:pull"]),
  };
  const listed = (one: Subject): readonly string[] =>
    ["team/a", "team/b", "other/a"].filter((path) => decideOnListing(one, at(path)).isAllowed);
  assert.deepEqual([listed(ofPassword), listed(ofToken)], [["team/a", "team/b"], ["team/a"]]);
  assert.equal(decide(ofPassword, "pull", at("team/a")).isAllowed, false, "and pulls none of it");
});

test("a public repository is pulled by everybody, and nothing more", () => {
  const nobody = { ...subject([]), account: null };
  for (const action of repositoryActions) {
    const { isAllowed } = decide(nobody, action, { path: "base", visibility: "public" });
    assert.equal(isAllowed, action === "pull", action);
    assert.equal(decide(nobody, action, { path: "base", visibility: "private" }).isAllowed, false);
    assert.equal(decide(nobody, action, at("base")).isAllowed, false);
  }
});

const segment = fc.stringMatching(/^[a-c]{1,2}$/);
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const binding = fc.record({
  role: fc.constantFrom(...roles),
  targetKind: fc.constantFrom("namespace" as const, "repository" as const, "server" as const),
  target: path,
});

/** The rule in other words: segments compared one by one. */
function coversBySegments({ targetKind, target }: Binding, repository: string): boolean {
  const [own, asked] = [target.split("/"), repository.split("/")];
  if (targetKind === "server") return true;
  if (targetKind === "repository")
    return own.length === asked.length && own.every((part, index) => part === asked[index]);
  return own.length < asked.length && own.every((part, index) => part === asked[index]);
}

test("a namespace covers what lies below it by whole segments: neither teamx nor itself", () => {
  const ann = subject([on("reader", "namespace", "team")]);
  for (const [name, isAllowed] of [
    ["team/app", true],
    ["team/app/part", true],
    ["team", false],
    ["teamx/app", false],
    ["team-x/app", false],
    ["other/team/app", false],
  ] as const) {
    assert.equal(decide(ann, "pull", at(name)).isAllowed, isAllowed, name);
  }
  fc.assert(
    fc.property(
      fc.array(binding, { maxLength: 6 }),
      path,
      fc.constantFrom(...repositoryActions),
      (bindings, repository, action) => {
        const expected = bindings.some(
          (one) => coversBySegments(one, repository) && actionsOfRole[one.role].includes(action),
        );
        assert.equal(decide(subject(bindings), action, at(repository)).isAllowed, expected);
      },
    ),
  );
});

test("the scope of an access token has the same boundaries", () => {
  fc.assert(
    fc.property(path, path, (namespace, repository) => {
      const limits = parseTokenLimits([`namespace:${namespace}:pull`]);
      const expected = coversBySegments(on("reader", "namespace", namespace), repository);
      assert.equal(coversRepository(limits, repository, "pull"), expected);
      assert.equal(coversRepository(limits, repository, "push"), false);
    }),
  );
  assert.equal(coversRepository(parseTokenLimits(["namespace:*:pull"]), "any/thing", "pull"), true);
});

const action = fc.constantFrom("*", "audit", "delete", "pull", "push", "sign", "fly");
const scope = fc.record({ path, actions: fc.array(action, { maxLength: 4 }) });

test("a bearer token never allows what its subject may not, nor what was not asked for", () => {
  const order = ["audit", "delete", "pull", "push", "sign"] as const;
  fc.assert(
    fc.property(
      fc.array(binding, { maxLength: 5 }),
      fc.array(scope, { maxLength: 5 }),
      fc.option(
        fc.array(
          scope.filter(({ actions }) => actions.length > 0),
          { minLength: 1, maxLength: 3 },
        ),
      ),
      path,
      (bindings, scopes, limitScopes, probe) => {
        const write = ({ path: name, actions }: { path: string; actions: string[] }): string =>
          `repository:${name}:${actions.join(",")}`;
        const known = (limitScopes ?? []).map((one) => ({
          ...one,
          actions: one.actions.filter((name) => name !== "fly"),
        }));
        const limits =
          limitScopes === null ? null : parseTokenLimits(known.filter(({ actions }) => actions.length > 0).map(write));
        const asker = subject(bindings, limits);
        const requested = parseRequestedScopes(scopes.map(write));
        const granted = grantScopes(asker, requested, new Map());
        const bearer = { ...asker, isBearer: true, limits: granted };
        const wanted = new Set(scopes.filter((one) => one.path === probe).flatMap(({ actions }) => actions));
        for (const name of order) {
          const may = decide(bearer, name, at(probe)).isAllowed;
          const isAsked =
            wanted.has(name) || wanted.has("*") || (wanted.has("push") && (name === "pull" || name === "sign"));
          assert.equal(may, isAsked && decide(asker, name, at(probe)).isAllowed, `${name} ${JSON.stringify(granted)}`);
        }
        assert.equal(decide(bearer, "configure", at(probe)).isAllowed, false, "no bearer token changes settings");
        assert.deepEqual(grantScopes(bearer, requested, new Map()), granted, "cutting again changes nothing");
      },
    ),
  );
});

test("visibility counts when a token is cut", () => {
  const requested = parseRequestedScopes(["repository:base:pull,push repository:secret:pull"]);
  const granted = grantScopes(
    subject([]),
    requested,
    new Map([
      ["base", "public"],
      ["secret", "private"],
    ]),
  );
  assert.deepEqual(granted, [{ type: "repository", name: "base", actions: ["pull"] }]);
});

test("requested scopes: lists, repetitions, classes, signature types; what is unknown is not granted", () => {
  assert.deepEqual(
    writeScopes(
      parseRequestedScopes([
        "repository:team/app:pull repository:team/app:push,pull",
        "repository(plugin):team/plug:pull",
        "signature:team/app:get,put",
        "registry:catalog:*",
        "registry:other:*",
        "namespace:team:pull",
        "helm:chart:pull",
        "repository:team/none:",
        "repository:team/odd:fly",
      ]),
    ),
    ["registry:catalog:*", "repository:team/app:pull,push,sign", "repository:team/plug:pull"],
  );
  for (const bad of [
    ["repository"],
    ["repository:team/app"],
    ["repository:host:5000/app:pull"],
    ["repository:Team:pull"],
    ["repository:../etc:pull"],
    ["repository:team//app:pull"],
    ["repository:team/app:pull;push"],
    ["repository:team/app:PULL"],
    [":team/app:pull"],
    ["repository:team/app:pull\trepository:x:pull"],
    [`repository:${"a".repeat(256)}:pull`],
    Array.from({ length: 33 }, (_, index) => `repository:r${index}:pull`),
    [`${" ".repeat(3_100)}repository:a:pull`],
  ]) {
    assert.throws(
      () => parseRequestedScopes(bad),
      (error: unknown) => error instanceof FormatError && error.code === "token-scope-malformed",
      JSON.stringify(bad).slice(0, 80),
    );
  }
  for (const bad of [
    "repository:team/app:",
    "repository:team/app:fly",
    "helm:chart:pull",
    "registry:other:*",
    "signature:a:fly",
    "signature:a:*",
    "namespace:Team:pull",
  ]) {
    assert.throws(() => parseTokenLimits([bad]), FormatError, bad);
  }
  assert.deepEqual(parseRequestedScopes(["signature:a:constructor"]), []);
});

test("parsing scopes ends, and never grants what is not written, on any text", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 40 }), { maxLength: 5 }), (texts) => {
      let entries: readonly AccessEntry[] = [];
      try {
        entries = parseRequestedScopes(texts);
      } catch (error) {
        assert(error instanceof FormatError);
      }
      for (const { name } of entries) assert(texts.some((text) => text.includes(name)));
    }),
  );
});

test("roles are granted by maintainers where they are maintainers, and admin only by admin", () => {
  const ann = subject([on("maintainer", "namespace", "team"), on("maintainer", "repository", "solo")]);
  for (const [given, isAllowed] of [
    [on("pusher", "repository", "team/app"), true],
    [on("maintainer", "namespace", "team"), true],
    [on("reader", "namespace", "team/sub"), true],
    [on("reader", "namespace", "teamx"), false],
    [on("reader", "repository", "solo"), true],
    [on("reader", "namespace", "solo"), false],
    [on("reader", "server", ""), false],
    [on("admin", "repository", "team/app"), false],
  ] as const) {
    assert.equal(decideOnGrant(ann, given).isAllowed, isAllowed, JSON.stringify(given));
  }
  assert.equal(
    decideOnGrant(subject([on("pusher", "namespace", "team")]), on("reader", "repository", "team/a")).isAllowed,
    false,
  );
  assert.equal(decideOnGrant(subject([on("admin", "server", "")]), on("admin", "server", "")).isAllowed, true);
  const limited = subject([on("admin", "server", "")], parseTokenLimits(["namespace:team:*"]));
  assert.equal(decideOnGrant(limited, on("reader", "namespace", "team")).isAllowed, true);
  assert.equal(decideOnGrant(limited, on("reader", "namespace", "team/sub")).isAllowed, true);
  assert.equal(decideOnGrant(limited, on("reader", "namespace", "other")).isAllowed, false);
  const narrow = subject([on("admin", "server", "")], parseTokenLimits(["namespace:team:pull,push"]));
  assert.equal(decideOnGrant(narrow, on("reader", "namespace", "team")).isAllowed, false);
});
