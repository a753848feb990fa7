/** For tests with cosign, notation, oras and regctl: a registry with an image, and a home that the clients share. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import type { TestContext } from "node:test";
import {
  type RunResult,
  type TempDir,
  type TestImage,
  type ToolName,
  buildTestImage,
  httpPushTarget,
  makeTempDir,
  pushTestImage,
  requireTool,
  run,
} from "@signet/testkit";
import { createAccount } from "../access/accounts.ts";
import { bindRole } from "../access/role-bindings.ts";
import { basic, serveApp } from "../serve-app.testing.ts";
import { serveRegistry } from "./serve.testing.ts";

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** How the clients are let in. */
export const settings = ["open to everybody", "with accounts and tokens"] as const;
export type Setting = (typeof settings)[number];

/** What an image's list of signatures says of each. */
export interface ListedSignature {
  readonly digest: string;
  readonly format: string;
  readonly carrier: string;
  readonly manifest: string;
}

export interface ClientBench extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Pushed as `team/app:1`. */
  readonly image: TestImage;
  readonly dir: TempDir;
  /** Undefined where nobody has an account; else pusher on `team`, with what the clients need. */
  readonly account: { readonly user: string; readonly password: string } | undefined;
  /** Runs a client in the home. */
  client(tool: ToolName, args: readonly string[], options?: ClientOptions): Promise<RunResult>;
  /** The same, and it must succeed. @returns its standard output */
  succeed(tool: ToolName, args: readonly string[], options?: ClientOptions): Promise<string>;
  /** Pushes the image again. */
  pushImage(name: string): Promise<void>;
  /** As whoever may everything. @param manifest the body, an image manifest of OCI */
  request(method: string, path: string, manifest?: string): Promise<{ readonly status: number; readonly text: string }>;
  /** The signatures of `team/app` as the server lists them, by format; of the image, or of the whole repository. */
  list(of?: "image" | "repository"): Promise<readonly ListedSignature[]>;
}

export interface ClientOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** Makes one; undefined where a client is missing, and the test is skipped. */
export async function makeClientBench(
  t: TestContext,
  setting: Setting,
  tools: readonly ToolName[],
): Promise<ClientBench | undefined> {
  for (const tool of tools) if (requireTool(t, tool) === undefined) return undefined;
  await using opened = new AsyncDisposableStack();
  const dir = opened.use(makeTempDir("signet-clients-"));
  mkdirSync(dir.join("config"));
  const served = opened.use(await serve(setting));
  const { host, owner, account } = served;
  const url = `http://${host}`;
  const image = await buildTestImage({ format: "oci", layers: 2 });
  const pushImage = async (name: string): Promise<void> => {
    await pushTestImage(httpPushTarget(url, owner), name, image);
  };
  await pushImage("team/app:1");
  const client: ClientBench["client"] = (tool, args, { env = {}, input } = {}) =>
    run(requireTool(t, tool)!, args, {
      cwd: dir.path,
      env: { HOME: dir.path, XDG_CONFIG_HOME: dir.join("config"), DOCKER_CONFIG: dir.join("docker"), ...env },
      ...(input === undefined ? {} : { input }),
    });
  const request: ClientBench["request"] = async (method, path, manifest) => {
    const rights = owner === undefined ? {} : basic(owner.user, owner.password);
    const init: RequestInit =
      manifest === undefined
        ? { method, headers: rights }
        : { method, headers: { ...rights, "content-type": OCI_MANIFEST }, body: manifest };
    const answer = await fetch(`${url}${path}`, init);
    return { status: answer.status, text: await answer.text() };
  };
  const parts = opened.move();
  return {
    host,
    image,
    dir,
    account,
    client,
    succeed: async (tool, args, options) => {
      const { status, stdout, stderr } = await client(tool, args, options);
      assert.equal(status, 0, `${tool} ${args.join(" ")}\n${stdout}${stderr}`);
      return stdout;
    },
    pushImage,
    request,
    list: async (of = "image") => {
      const end = of === "image" ? `/${image.digest}?view=all` : "";
      const { status, text } = await request("GET", `/extensions/v2/team/app/signatures${end}`);
      assert.equal(status, 200, text);
      const { signatures } = JSON.parse(text) as { readonly signatures: readonly ListedSignature[] };
      return signatures.toSorted((a, b) => (a.format < b.format ? -1 : 1));
    },
    [Symbol.asyncDispose]: async () => {
      await parts.disposeAsync();
      if (served.failures !== undefined) assert.deepEqual(served.failures, []);
    },
  };
}

/** Gives a client the account of the bench, where there is one. */
export async function logIn(bench: ClientBench, tool: "cosign" | "oras" | "regctl"): Promise<void> {
  const { account, host } = bench;
  if (tool === "regctl") await bench.succeed("regctl", ["registry", "set", "--tls", "disabled", host]);
  if (account === undefined) return;
  const words = {
    cosign: ["login", host, "--username", account.user, "--password-stdin"],
    oras: ["login", host, "--plain-http", "--username", account.user, "--password-stdin"],
    regctl: ["registry", "login", host, "--user", account.user, "--pass-stdin"],
  }[tool];
  await bench.succeed(tool, words, { input: account.password });
}

interface Served extends AsyncDisposable {
  readonly host: string;
  readonly owner?: { readonly user: string; readonly password: string };
  readonly account: ClientBench["account"];
  readonly failures?: readonly unknown[];
}

async function serve(setting: Setting): Promise<Served> {
  if (setting === "open to everybody") {
    const registry = await serveRegistry();
    const { host, failures } = registry;
    return { host, failures, account: undefined, [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose]() };
  }
  const app = await serveApp();
  const account = { user: "ann", password: "a password of ann" };
  await createAccount(app.database, { name: account.user, kind: "user", password: account.password }, Date.now());
  const subject = { kind: "account", name: account.user } as const;
  const binding = { subject, role: "pusher", targetKind: "namespace", target: "team" } as const;
  await bindRole(app.database, binding, Date.now());
  return {
    host: app.host,
    owner: { user: "admin", password: app.adminPassword },
    account,
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}
