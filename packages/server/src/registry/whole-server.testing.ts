/** A server as it is started, with its real gate, for tests of who may what. For tests only. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { type TestImage, buildTestImage, httpPushTarget, pushTestImage } from "@signet/testkit";
import { createAccount } from "../access/accounts.ts";
import { bindRole } from "../access/role-bindings.ts";
import { deleteRepository } from "../content/repository-deletion.ts";
import type { Database } from "../db/database.ts";
import { basic, serveApp } from "../serve-app.testing.ts";
import { openBlobs } from "../storage.ts";

export const PASSWORD = "hunter2 of the admin";
export const BOB = "hunter3 of bob";
export type Headers = Readonly<Record<string, string>>;

export const admin: Headers = basic("admin", PASSWORD);
export const bob: Headers = basic("bob", BOB);

export interface Answered {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
}

export interface WholeServer extends AsyncDisposable {
  readonly url: string;
  readonly database: Database;
  /** The server's data. */
  readonly folder: string;
  readonly image: TestImage;
  readonly removeRepository: (path: string) => Promise<void>;
  /** Sends a path and a Host as they are. */
  send(method: string, path: string, headers?: Headers, body?: Uint8Array | string): Promise<Answered>;
  token(scopes: readonly string[], headers?: Headers): Promise<string>;
}

/** A server with its real gate: admin's private image `team/app:1`, and bob, who may do everything in `bob`. */
export async function serveWhole(env: Headers = {}): Promise<WholeServer> {
  await using opened = new AsyncDisposableStack();
  const { url, config, database, folder } = opened.use(await serveApp(env, PASSWORD));
  const blobs = opened.adopt(await openBlobs(config), (one) => one.close());
  await createAccount(database, { name: "bob", kind: "user", password: BOB }, Date.now());
  const role = { subject: { kind: "account", name: "bob" }, targetKind: "namespace", target: "bob" } as const;
  await bindRole(database, { ...role, role: "maintainer" }, Date.now());
  const image = await buildTestImage({ seed: 14, layers: 1 });
  await pushTestImage(httpPushTarget(url, { user: "admin", password: PASSWORD }), "team/app:1", image);
  const send: WholeServer["send"] = (method, path, headers = {}, body) =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(url);
      const request = httpRequest({ host: hostname, port, method, path, headers }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        answer.once("end", () => resolve({ status: answer.statusCode!, headers: answer.headers, text }));
      });
      request.once("error", reject).end(body);
    });
  const parts = opened.move();
  return {
    url,
    database,
    folder,
    image,
    removeRepository: async (path) => void (await deleteRepository(database, blobs, path, "admin", Date.now())),
    send,
    token: async (scopes, headers = bob) => {
      const query = new URLSearchParams(scopes.map((scope): [string, string] => ["scope", scope]));
      const { status, text } = await send("GET", `/token?${query.toString()}`, headers);
      assert.equal(status, 200, text);
      return (JSON.parse(text) as { token: string }).token;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}
