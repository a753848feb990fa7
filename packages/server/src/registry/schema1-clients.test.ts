/** Old images with the tools that people have: pushed where the configuration lets them in, and read wherever the data is served. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import {
  type ContainersHome,
  type GpgHome,
  type GpgKey,
  type RunResult,
  type TempDir,
  buildTestImage,
  makeContainersHome,
  makeGpgHome,
  makeTempDir,
  requireTool,
  writeDirImage,
} from "@signet/testkit";
import { startServer } from "../app.ts";
import { loadConfig } from "../config.ts";
import { type ServedApp, basic, serveApp } from "../serve-app.testing.ts";

const SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws";
const on = { SIGNET_PUSH_DOCKER_SCHEMA1: "true" };
const PASSWORD = "a password for tests";

interface Bench extends AsyncDisposable {
  readonly home: ContainersHome;
  readonly gpg: GpgHome;
  readonly key: GpgKey;
  readonly dir: TempDir;
  /** Schema 2. */
  readonly image: string;
  /** A server; clients have its admin's password. */
  serve(env: Record<string, string>): Promise<ServedApp>;
  letIn(host: string): void;
  /** Runs skopeo, which must succeed. */
  skopeo(...args: readonly string[]): Promise<void>;
}

async function setUp(t: TestContext): Promise<Bench | undefined> {
  for (const tool of ["skopeo", "podman", "gpg"] as const) if (requireTool(t, tool) === undefined) return undefined;
  await using opened = new AsyncDisposableStack();
  const home = opened.use(makeContainersHome());
  const gpg = opened.use(await makeGpgHome());
  const dir = opened.use(makeTempDir("signet-schema1-"));
  writeDirImage(dir.join("image"), await buildTestImage({ layers: 2 }));
  const key = await gpg.generateKey();
  const hosts: string[] = [];
  const letIn = (host: string): void => {
    hosts.push(host);
    home.allowInsecure(...hosts);
    home.writeLogin(host, "admin", PASSWORD);
  };
  const parts = opened.move();
  return {
    home,
    gpg,
    key,
    dir,
    image: `dir:${dir.join("image")}`,
    serve: async (env) => {
      const app = parts.use(await serveApp(env, PASSWORD));
      letIn(app.host);
      return app;
    },
    letIn,
    skopeo: async (...args) => succeed(await home.skopeo(args, { env: gpg.env })),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

function succeed({ status, stderr }: RunResult): void {
  assert.equal(status, 0, stderr);
}

async function fetchManifest(url: string, path: string, reference = "1"): Promise<{ bytes: Buffer; headers: Headers }> {
  const answer = await fetch(`${url}/v2/${path}/manifests/${reference}`, { headers: basic("admin", PASSWORD) });
  assert.equal(answer.status, 200);
  return { bytes: Buffer.from(await answer.arrayBuffer()), headers: answer.headers };
}

/** Rejects all images of these hosts but those that the key signed. */
async function demandSignatures({ home, gpg, key, dir }: Bench, ...hosts: readonly string[]): Promise<void> {
  const keyPath = dir.join("key.gpg");
  writeFileSync(keyPath, await gpg.exportPublic(key));
  const anything = { "": [{ type: "insecureAcceptAnything" }] };
  home.writePolicy({
    default: [{ type: "reject" }],
    transports: {
      docker: Object.fromEntries(hosts.map((host) => [host, [{ type: "signedBy", keyType: "GPGKeys", keyPath }]])),
      dir: anything,
      "containers-storage": anything,
    },
  });
}

void describe("skopeo and podman with schema 1", () => {
  void it("push it, read the same bytes back, and still do when pushes are refused", async (t) => {
    await using bench = await setUp(t);
    if (bench === undefined) return;
    const { home, dir, image } = bench;
    const app = await bench.serve(on);
    await bench.skopeo("copy", "--format", "v2s1", image, `docker://${app.host}/team/app:1`);
    const { bytes, headers } = await fetchManifest(app.url, "team/app");
    assert.equal(headers.get("content-type"), SIGNED);
    const { name, tag } = JSON.parse(bytes.toString()) as { name: string; tag: string };
    assert.deepEqual([name, tag], ["team/app", "1"]);

    // The same data without the key, as after a restart.
    const { config } = await loadConfig({
      env: { HOME: dir.path, SIGNET_LOG_LEVEL: "error", SIGNET_LOG_ACCESS: "false" },
      options: { listen: "127.0.0.1:0", data: app.folder },
    });
    const deps = { version: "0", now: Date.now, isTerminal: false, adminPassword: undefined };
    const closed = await startServer(config, deps);
    t.after(() => closed.drain());
    const closedHost = new URL(closed.url).host;
    bench.letIn(closedHost);
    const digest = headers.get("docker-content-digest")!;
    for (const [index, host] of [app.host, closedHost].entries()) {
      for (const [way, reference] of [`:1`, `@${digest}`].entries()) {
        const pulled = dir.join(`pulled-${index}-${way}`);
        await bench.skopeo("copy", `docker://${host}/team/app${reference}`, `dir:${pulled}`);
        assert.ok(readFileSync(join(pulled, "manifest.json")).equals(bytes));
      }
      succeed(await home.podman(["pull", `${host}/team/app:1`]));
      succeed(await home.skopeo(["inspect", `docker://${host}/team/app:1`]));
    }
    const refused = await home.skopeo(["copy", "--format", "v2s1", image, `docker://${closedHost}/team/app:2`]);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /manifest invalid/);
    await bench.skopeo("copy", image, `docker://${closedHost}/team/app:2`);
  });

  void it("sign it by the digest of its payload; a copy under the same name has the same bytes, and its signatures hold", async (t) => {
    await using bench = await setUp(t);
    if (bench === undefined) return;
    const { home, key, dir, image } = bench;
    const [app, mirror] = [await bench.serve(on), await bench.serve(on)];
    const name = `docker://${app.host}/team/app:1`;
    await bench.skopeo("copy", "--format", "v2s1", "--sign-by", key.fingerprint, image, name);
    await bench.skopeo("copy", "--format", "v2s1", image, `docker://${app.host}/team/unsigned:1`);
    const { bytes, headers } = await fetchManifest(app.url, "team/app");
    const digest = headers.get("docker-content-digest")!;
    await demandSignatures(bench, app.host);
    await bench.skopeo("copy", name, `dir:${dir.join("pulled")}`);
    assert.ok(readFileSync(dir.join("pulled/manifest.json")).equals(bytes));
    succeed(await home.podman(["pull", `${app.host}/team/app:1`]));
    const refused = await home.podman(["pull", `${app.host}/team/unsigned:1`]);
    assert.match(refused.stderr, /A signature was required, but no signature exists/);

    const path = `lookaside/team/app@${digest.replace(":", "=")}/signature-1`;
    const signature = await fetch(`${app.url}/${path}`, { headers: basic("admin", PASSWORD) });
    assert.equal(signature.status, 200);
    writeFileSync(dir.join("signature"), new Uint8Array(await signature.arrayBuffer()));
    const reference = `${app.host}/team/app:1`;
    const manifest = dir.join("pulled/manifest.json");
    await bench.skopeo("standalone-verify", manifest, reference, key.fingerprint, dir.join("signature"));
    // One that skopeo makes of the file, put where no signature was.
    const { bytes: unsigned, headers: of } = await fetchManifest(app.url, "team/unsigned");
    writeFileSync(dir.join("unsigned.json"), unsigned);
    await bench.skopeo(
      "standalone-sign",
      dir.join("unsigned.json"),
      `${app.host}/team/unsigned:1`,
      key.fingerprint,
      "--output",
      dir.join("made"),
    );
    const place = `lookaside/team/unsigned@${of.get("docker-content-digest")!.replace(":", "=")}/signature-1`;
    const put = await fetch(`${app.url}/${place}`, {
      method: "PUT",
      headers: basic("admin", PASSWORD),
      body: readFileSync(dir.join("made")),
    });
    assert.equal(put.status, 201);
    succeed(await home.podman(["pull", `${app.host}/team/unsigned:1`]));

    await bench.skopeo("copy", name, `docker://${mirror.host}/team/app:1`);
    const copied = await fetchManifest(mirror.url, "team/app", digest);
    assert.ok(copied.bytes.equals(bytes));
    const mirrored = await fetch(`${mirror.url}/${path}`, { headers: basic("admin", PASSWORD) });
    assert.deepEqual(Buffer.from(await mirrored.arrayBuffer()), readFileSync(dir.join("signature")));
  });
});
