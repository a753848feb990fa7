/** Blobs that are mounted from another repository, by callers of every kind, as the gate of a whole server lets them. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { httpPushTarget } from "@signet/testkit";
import { createAccessToken } from "../access/access-tokens.ts";
import { createAccount } from "../access/accounts.ts";
import { bindRole, unbindRole } from "../access/role-bindings.ts";
import { changeRepositorySettings } from "../content/repository-settings.ts";
import type { Role } from "../db/schema.ts";
import { type ServedApp, basic, serveApp } from "../serve-app.testing.ts";
import { serveRegistry } from "./serve.testing.ts";

interface Blob {
  readonly bytes: Buffer;
  readonly digest: string;
}

const blobOf = (text: string): Blob => ({
  bytes: Buffer.from(text),
  digest: `sha256:${createHash("sha256").update(text).digest("hex")}`,
});
const secret = blobOf("of base/private");
const open = blobOf("of base/public");
const nowhere = blobOf("of no repository");

type Headers = Record<string, string>;

const sendTo = (app: ServedApp, method: string, path: string, headers: Headers): Promise<Response> =>
  fetch(`${app.url}${path}`, { method, headers });

const mountPath = (to: string, { digest }: Blob, from?: string): string =>
  `/v2/${to}/blobs/uploads/?mount=${digest}${from === undefined ? "" : `&from=${from}`}`;

/** What a client learns from an answer, what is new each time left out. */
async function learn(answer: Response): Promise<object> {
  const headers = Object.fromEntries(
    [...answer.headers].filter(([name]) => !["date", "docker-upload-uuid", "x-request-id"].includes(name)),
  );
  const location = headers["location"]?.replace(/[0-9a-f-]{36}$/, "ID");
  return { status: answer.status, headers: { ...headers, location }, body: await answer.text() };
}

async function bearer(app: ServedApp, credentials: Headers, ...scopes: readonly string[]): Promise<Headers> {
  const query = scopes.map((scope) => `&scope=${encodeURIComponent(scope)}`).join("");
  const answer = await fetch(`${app.url}/token?service=signet${query}`, { headers: credentials });
  assert.equal(answer.status, 200);
  return { authorization: `Bearer ${((await answer.json()) as { token: string }).token}` };
}

void describe("a blob is mounted", () => {
  let app: ServedApp;
  const admin = (): Headers => basic("admin", app.adminPassword);
  const password = "another password for tests";
  /** Pusher of `team`; what she may read besides is each test's matter. */
  const ann = basic("ann", password);
  const grant = (role: Role, path: string) =>
    bindRole(
      app.database,
      { subject: { kind: "account", name: "ann" }, role, targetKind: "repository", target: path },
      Date.now(),
    );

  /** Mounts into a repository of its own. @returns the status; 201 means that the blob is there, 202 that it is not */
  let count = 0;
  const mount = async (headers: Headers, blob: Blob, from?: string, to?: string): Promise<number> => {
    const path = to ?? `team/app${(count += 1)}`;
    const answer = await sendTo(app, "POST", mountPath(path, blob, from), headers);
    await answer.arrayBuffer();
    const read = await sendTo(app, "HEAD", `/v2/${path}/blobs/${blob.digest}`, admin());
    assert.equal(read.status, answer.status === 201 ? 200 : 404);
    if (answer.status === 201) {
      assert.equal(answer.headers.get("location"), `/v2/${path}/blobs/${blob.digest}`);
      assert.equal(answer.headers.get("docker-content-digest"), blob.digest);
    }
    return answer.status;
  };

  before(async () => {
    app = await serveApp();
    const target = httpPushTarget(app.url, { user: "admin", password: app.adminPassword });
    await target.putBlob("base/private", secret.bytes);
    await target.putBlob("base/public", open.bytes);
    await changeRepositorySettings(app.database, "base/public", { visibility: "public" }, "admin", Date.now());
    await createAccount(app.database, { name: "ann", kind: "user", password }, Date.now());
    await bindRole(
      app.database,
      { subject: { kind: "account", name: "ann" }, role: "pusher", targetKind: "namespace", target: "team" },
      Date.now(),
    );
  });
  after(() => app[Symbol.asyncDispose]());

  void it("by a password and by a bearer token of both scopes, where the account may read", async () => {
    const scopes = ["repository:team/both:pull,push", "repository:base/private:pull"];
    const early = await bearer(app, ann, ...scopes);
    assert.equal(await mount(early, secret, "base/private", "team/both"), 202);
    assert.equal(await mount(ann, secret, "base/private"), 202);
    await grant("reader", "base/private");
    assert.equal(await mount(ann, secret, "base/private"), 201);
    // Both forms that clients ask in: a parameter each, or a list.
    for (const asked of [scopes, [scopes.join(" ")]]) {
      const both = await bearer(app, ann, ...asked);
      assert.equal(await mount(both, secret, "base/private", "team/both"), 201);
      await sendTo(app, "DELETE", `/v2/team/both/blobs/${secret.digest}`, admin());
    }
    // The scope was cut when the token was made, and the right did not make it wider.
    assert.equal(await mount(early, secret, "base/private", "team/both"), 202);
  });

  void it("not by a token of the target alone, and not once the right is gone", async () => {
    await grant("reader", "base/private");
    const narrow = await bearer(app, ann, "repository:team/narrow:pull,push");
    assert.equal(await mount(narrow, secret, "base/private", "team/narrow"), 202);
    assert.equal(await mount(narrow, secret, undefined, "team/narrow"), 202);
    const both = await bearer(app, ann, "repository:team/narrow:pull,push", "repository:base/private:pull");
    const binding = { role: "reader", targetKind: "repository", target: "base/private" } as const;
    await unbindRole(app.database, { ...binding, subject: { kind: "account", name: "ann" } });
    assert.equal(await mount(both, secret, "base/private", "team/narrow"), 202);
  });

  void it("from anywhere that the caller may read, where the client names no source", async () => {
    assert.equal(await mount(ann, open), 201);
    // In no repository of hers, whatever other tests have mounted.
    const hidden = blobOf("of base/hidden");
    await httpPushTarget(app.url, { user: "admin", password: app.adminPassword }).putBlob("base/hidden", hidden.bytes);
    assert.equal(await mount(ann, hidden), 202);
    assert.equal(await mount(ann, nowhere), 202);
    await grant("reader", "base/hidden");
    assert.equal(await mount(ann, hidden), 201);
  });

  void it("from a repository that everybody may read, whatever the token covers", async () => {
    const narrow = await bearer(app, ann, "repository:team/public:pull,push");
    for (const from of ["base/public", undefined]) {
      assert.equal(await mount(narrow, open, from, "team/public"), 201);
      await sendTo(app, "DELETE", `/v2/team/public/blobs/${open.digest}`, admin());
    }
    const now = Date.now();
    const subject = { kind: "anonymous" } as const;
    const binding = { subject, role: "reader", targetKind: "repository", target: "base/private" } as const;
    assert.equal(await mount(narrow, secret, "base/private", "team/public"), 202);
    await bindRole(app.database, binding, now);
    assert.equal(await mount(narrow, secret, "base/private", "team/public"), 201);
    await unbindRole(app.database, binding);
  });

  void it("by an access token as far as its own scopes reach", async () => {
    await grant("reader", "base/private");
    const make = async (name: string, scopes: readonly string[]): Promise<Headers> => {
      const token = { account: "ann", name, scopes, expiresAt: null };
      return basic("ann", (await createAccessToken(app.database, token, Date.now())).secret);
    };
    const narrow = await make("narrow", ["namespace:team:pull,push"]);
    const wide = await make("wide", ["namespace:team:pull,push", "repository:base/private:pull"]);
    assert.equal(await mount(narrow, secret, "base/private"), 202);
    assert.equal(await mount(wide, secret, "base/private"), 201);
    // A bearer token had for it reaches no further.
    const scopes = ["repository:team/robot:pull,push", "repository:base/private:pull"];
    assert.equal(await mount(await bearer(app, narrow, ...scopes), secret, "base/private", "team/robot"), 202);
    assert.equal(await mount(await bearer(app, wide, ...scopes), secret, "base/private", "team/robot"), 201);
  });

  void it("never into a repository that the caller may not push to", async () => {
    await grant("reader", "base/private");
    const both = await bearer(app, ann, "repository:base/other:pull,push", "repository:base/private:pull");
    const denied = await sendTo(app, "POST", mountPath("base/other", secret, "base/private"), ann);
    assert.equal(denied.status, 403);
    const refused = await sendTo(app, "POST", mountPath("base/other", secret, "base/private"), both);
    assert.equal(refused.status, 401);
    const read = await sendTo(app, "HEAD", `/v2/base/other/blobs/${secret.digest}`, admin());
    assert.equal(read.status, 404);
  });
});

void describe("a mount that fails", () => {
  void it("says the same whether the blob, the source or the right is missing", async () => {
    await using app = await serveApp();
    const target = httpPushTarget(app.url, { user: "admin", password: app.adminPassword });
    await target.putBlob("base/private", secret.bytes);
    const headers = await bearer(app, basic("admin", app.adminPassword), "repository:team/app:pull,push");
    const learned = [];
    for (const [blob, from] of [
      [secret, "base/private"],
      [nowhere, "base/private"],
      [secret, "base/none"],
      [secret, "NO/NAME"],
      [secret, undefined],
      [nowhere, undefined],
    ] as const)
      learned.push(await learn(await sendTo(app, "POST", mountPath("team/app", blob, from), headers)));
    assert.equal((learned[0] as { status: number }).status, 202);
    for (const one of learned) assert.deepEqual(one, learned[0]);
  });

  void it("leaves an upload that takes the bytes instead", async () => {
    await using app = await serveApp();
    const headers = basic("admin", app.adminPassword);
    const begun = await sendTo(app, "POST", mountPath("team/app", nowhere, "base/none"), headers);
    const put = await fetch(`${app.url}${begun.headers.get("location")}?digest=${nowhere.digest}`, {
      method: "PUT",
      headers,
      body: new Uint8Array(nowhere.bytes),
    });
    assert.deepEqual([begun.status, put.status], [202, 201]);
  });
});

void describe("the challenge to a mount", () => {
  const scopeOf = (answer: Response): string | undefined =>
    /scope="([^"]*)"/.exec(answer.headers.get("www-authenticate") ?? "")?.[1];

  void it("asks for both scopes, without a token and with one that does not hold, and then the mount succeeds", async () => {
    await using app = await serveApp();
    const target = httpPushTarget(app.url, { user: "admin", password: app.adminPassword });
    await target.putBlob("base/private", secret.bytes);
    const path = mountPath("team/app", secret, "base/private");
    const narrow = await bearer(app, basic("admin", app.adminPassword), "repository:team/app:pull");
    for (const headers of [{}, narrow, { authorization: "Bearer e30.e30.e30" }]) {
      const refused = await sendTo(app, "POST", path, headers);
      assert.equal(refused.status, 401);
      assert.equal(scopeOf(refused), "repository:team/app:pull,push repository:base/private:pull");
    }
    const scope = scopeOf(await sendTo(app, "POST", path, {}))!;
    const both = await bearer(app, basic("admin", app.adminPassword), scope);
    assert.equal((await sendTo(app, "POST", path, both)).status, 201);
  });

  void it("repeats no source that is no repository's name, and none twice", async () => {
    await using app = await serveApp();
    for (const from of ["team/app", undefined, "", "NO/NAME", 'a"b', "a%20repository:b:push"]) {
      for (const headers of [{}, { authorization: "Bearer e30.e30.e30" }] as Headers[]) {
        const refused = await sendTo(app, "POST", mountPath("team/app", secret, from), headers);
        assert.deepEqual([refused.status, scopeOf(refused)], [401, "repository:team/app:pull,push"], String(from));
      }
    }
    // `from` says nothing of an upload that is no mount.
    const plain = await sendTo(app, "POST", "/v2/team/app/blobs/uploads/?from=base/private", {});
    assert.equal(scopeOf(plain), "repository:team/app:pull,push");
  });
});

void describe("without accounts", () => {
  void it("nobody mounts from a public repository where auth.anonymous is off and the token does not cover it", async () => {
    await using app = await serveApp({ SIGNET_AUTH_ANONYMOUS: "false" });
    const admin = basic("admin", app.adminPassword);
    await httpPushTarget(app.url, { user: "admin", password: app.adminPassword }).putBlob("base/public", open.bytes);
    await changeRepositorySettings(app.database, "base/public", { visibility: "public" }, "admin", Date.now());
    const path = mountPath("team/app", open, "base/public");
    const narrow = await bearer(app, admin, "repository:team/app:pull,push");
    assert.equal((await sendTo(app, "POST", path, narrow)).status, 202);
    assert.equal((await sendTo(app, "POST", path, {})).status, 401);
    assert.equal((await sendTo(app, "POST", path, admin)).status, 201);
  });

  void it("whoever may push mounts from where everybody may read, and from nowhere else", async () => {
    // A gate of the test's own: roles let nobody push without an account.
    await using registry = await serveRegistry(
      (name, _action, path) => name === "owner" || (name === "anonymous" && path.startsWith("drop/")),
    );
    const as = (account: string): Headers => ({ "x-test-account": account });
    for (const [path, { bytes, digest }] of [
      ["base/private", secret],
      ["base/public", open],
    ] as const) {
      const put = `/v2/${path}/blobs/uploads/?digest=${digest}`;
      assert.equal((await registry.request("POST", put, new Uint8Array(bytes), as("owner"))).status, 201);
    }
    await changeRepositorySettings(registry.database, "base/public", { visibility: "public" }, "admin", Date.now());
    const mount = async (blob: Blob, from?: string): Promise<number> =>
      (await registry.request("POST", mountPath("drop/app", blob, from), undefined, as("anonymous"))).status;
    assert.equal(await mount(secret, "base/private"), 202);
    assert.equal(await mount(secret), 202);
    assert.equal(await mount(open, "base/public"), 201);
    assert.equal(await mount(open), 201);
  });
});
