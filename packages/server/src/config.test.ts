import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { SignetError } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { type ServerConfig, loadConfig } from "./config.ts";
import { configKeys, environmentName } from "./config/config-keys.ts";
import { configPage, writeConfigPage } from "./config/config-page.ts";

const home = { HOME: "/home/ann" };

async function loadText(text: string, env: Readonly<Record<string, string>> = home): Promise<ServerConfig> {
  using dir = makeTempDir("signet-config-");
  const file = dir.join("signet.yaml");
  writeFileSync(file, text);
  return (await loadConfig({ file, env })).config;
}

test("without any configuration the server is on loopback, with SQLite and files in the user's data folder", async () => {
  const { config, settings } = await loadConfig({ env: home });
  assert.deepEqual(config.listen, { host: "127.0.0.1", port: 5000 });
  assert.deepEqual(config.database, { kind: "sqlite", path: "/home/ann/.local/share/signet/registry.db" });
  assert.deepEqual(config.blobs, { kind: "filesystem", path: "/home/ann/.local/share/signet/blobs" });
  assert.equal(config.tls, undefined);
  assert.equal(config.auth.tokenLifetime, 300_000);
  assert.ok(Object.isFrozen(config.limits));
  assert.deepEqual(
    settings.map(({ path, origin }) => [path, origin]),
    configKeys.map(({ path }) => [path, "default"]),
  );
});

test("options win over the environment, the environment over the file; each value says where it comes from", async () => {
  using dir = makeTempDir("signet-config-");
  const file = dir.join("signet.yaml");
  writeFileSync(file, "listen: 127.0.0.1:1\ndata: there\nlog:\n  level: warn\nlimits: {idleTimeout: 2m}\n");
  const env = { ...home, SIGNET_LISTEN: "127.0.0.1:2", SIGNET_LOG_LEVEL: "error", SIGNET_PORT: "tcp://10.0.0.1:80" };
  const { config, settings } = await loadConfig({ file, env, options: { listen: "[::1]:3", data: undefined } });
  assert.deepEqual(config.listen, { host: "::1", port: 3 });
  assert.equal(config.log.level, "error");
  assert.equal(config.limits.idleTimeout, 120_000);
  assert.equal(config.data, join(dir.path, "there"));
  const origins = new Map(settings.map(({ path, origin }) => [path, origin]));
  assert.equal(origins.get("listen"), "--listen");
  assert.equal(origins.get("log.level"), "environment variable SIGNET_LOG_LEVEL");
  assert.equal(origins.get("limits.idleTimeout"), `${file}:5:23`);
  assert.equal(origins.get("drain.timeout"), "default");
});

test("schema 1 is refused unless somebody says otherwise", async () => {
  assert.equal((await loadText("# nothing\n")).push.dockerSchema1, false);
  assert.equal((await loadText("push: {dockerSchema1: true}\n")).push.dockerSchema1, true);
  assert.equal((await loadText("", { ...home, SIGNET_PUSH_DOCKER_SCHEMA1: "true" })).push.dockerSchema1, true);
});

test("secrets come from files and the environment, and are never among the settings that are shown", async () => {
  using dir = makeTempDir("signet-config-");
  const file = dir.join("signet.yaml");
  writeFileSync(dir.join("url"), "postgresql://signet:hunter2@db:5432/signet\n");
  writeFileSync(file, "database: {urlFile: url}\nblobs: {store: s3, s3: {bucket: b, accessKeyId: AK}}\n");
  const env = { ...home, SIGNET_BLOBS_S3_SECRET_ACCESS_KEY: "hunter3" };
  const { config, settings } = await loadConfig({ file, env });
  assert.deepEqual(config.database, { kind: "postgresql", url: "postgresql://signet:hunter2@db:5432/signet" });
  assert.ok(config.blobs.kind === "s3");
  assert.deepEqual(config.blobs.credentials, { accessKeyId: "AK", secretAccessKey: "hunter3" });
  assert.doesNotMatch(JSON.stringify(settings), /hunter/);
});

/** A file, and what the message must say. Every message must name the place. */
const refused: readonly (readonly [text: string, message: RegExp, hint?: RegExp])[] = [
  ["listn: 127.0.0.1:1\n", /:1:1: there is no key "listn"$/, /the keys are listen, publicUrl, insecureHttp, /],
  ["log:\n  levle: warn\n", /:2:3: there is no key "log.levle"$/, /log has level, format, access$/],
  ["log: warn\n", /:1:6: log must be a mapping/],
  ["- a\n", /:1:1: the configuration must be a mapping/],
  ["listen: 1\nlisten: 2\n", /:2:1: "listen" stands here twice/],
  ["listen: [a]\n", /:1:9: listen needs one value/],
  ["listen:\n", /listen needs one value/],
  ['data: ""\n', /:1:7: data: it is empty/],
  ["data: true\n", /:1:7: data cannot be true/, /quotes/],
  ['data: "a\\nb"\n', /data: it holds a control character/],
  ["listen: registry:5000\n", /listen: it must be HOST:PORT with an IP address or localhost.*not "registry:5000"/],
  ["listen: 127.0.0.1:70000\n", /listen: it must be HOST:PORT/],
  ["listen: 0.0.0.0:5000\n", /:1:9: plain HTTP on 0\.0\.0\.0:5000/, /tls\.cert.*insecureHttp/],
  ["insecureHttp: yes\n", /insecureHttp: it must be true or false, not "yes"/],
  ["publicUrl: registry.example.com\n", /publicUrl: it must be a URL/],
  ["publicUrl: https://registry.example.com/path\n", /publicUrl: it must be a URL .* without a path/],
  ["publicUrl: https://u:p@registry.example.com\n", /publicUrl: it holds an account/],
  [
    "auth: {tokenLifetime: 5}\n",
    /auth\.tokenLifetime: it must be a time such as 30s, 5m or 1h, from 1m to 1h, not "5"/,
  ],
  ["auth: {tokenLifetime: 2h}\n", /from 1m to 1h/],
  ["limits: {headerBytes: 16KB}\n", /it must be a size such as 16KiB, from 4096 bytes to 131072 bytes/],
  ["limits: {connections: 0}\n", /it must be a whole number, from 1 to 1000000, not "0"/],
  ["log: {level: loud}\n", /log\.level: it must be one of debug, info, warn, error, not "loud"/],
  ["tls: {cert: c.pem}\n", /:1:13: tls\.cert is set and tls\.key is not/],
  ["tls: {key: c.pem}\n", /tls\.key is set and tls\.cert is not/],
  ["database: {path: a, url: 'postgresql://h/d'}\n", /database\.url and database\.path say the same/],
  ["database: {url: 'mysql://h/d'}\n", /the database URL must be postgresql:/],
  ["database: {url: 'postgresql://u:hunter2@h/d'}\n", /holds a password/, /urlFile.*SIGNET_DATABASE_URL/],
  ["database: {url: 'postgresql://u@h/d?password=hunter2'}\n", /holds a password/],
  ["blobs: {s3: {bucket: b}}\n", /blobs\.s3\.bucket is set, and blobs\.store is filesystem/],
  ["blobs: {store: s3, path: b}\n", /blobs\.path is set, and blobs\.store is s3/],
  ["blobs: {store: s3}\n", /blobs\.s3\.bucket is missing/],
  ["blobs: {store: s3, s3: {bucket: b, accessKeyId: a}}\n", /blobs\.s3\.secretAccessKeyFile is missing/],
  ["blobs: {s3: {secretAccessKey: hunter2}}\n", /is not read from a file/, /SIGNET_BLOBS_S3_SECRET_ACCESS_KEY/],
  ["listen: &a 127.0.0.1:1\n<<: *a\n", /merge keys/],
];

describe("a configuration that is wrong is refused with its place", () => {
  for (const [text, message, hint] of refused) {
    test(JSON.stringify(text), async () => {
      await assert.rejects(loadText(text), (error) => {
        assert.ok(error instanceof SignetError, String(error));
        assert.equal(error.code, "config-malformed");
        assert.match(error.message, message);
        assert.match(error.message, /signet\.yaml/);
        assert.doesNotMatch(`${error.message} ${error.hint}`, /hunter/);
        if (hint !== undefined) assert.match(error.hint ?? "", hint);
        return true;
      });
    });
  }

  test("a variable that is wrong is named, a secret in it is not repeated", async () => {
    const load = (env: Record<string, string>) => loadConfig({ env: { ...home, ...env } });
    await assert.rejects(load({ SIGNET_LISTEN: "" }), /^PolicyError: environment variable SIGNET_LISTEN: it is empty$/);
    await assert.rejects(load({ SIGNET_DATABASE_URL: "hunter2" }), (error: Error) => {
      assert.match(error.message, /SIGNET_DATABASE_URL: the database URL must be/);
      return !/hunter/.test(error.message);
    });
    await assert.rejects(loadConfig({ env: {} }), /no home folder/);
  });

  test("files that it names are looked at", async () => {
    await assert.rejects(loadText("database: {urlFile: nowhere}\n"), { code: "file-missing" });
    await assert.rejects(loadConfig({ file: "/nonexistent/signet.yaml", env: home }), { code: "file-missing" });
  });
});

test("an empty file, and JSON, are configurations", async () => {
  assert.equal((await loadText("# nothing\n")).listen.port, 5000);
  assert.equal((await loadText('{"listen": "localhost:7"}')).listen.port, 7);
});

test("each key has a variable of its own, and docs/registry-config.md is what the table says", () => {
  assert.equal(environmentName("blobs.s3.accessKeyId"), "SIGNET_BLOBS_S3_ACCESS_KEY_ID");
  assert.equal(new Set(configKeys.map((row) => environmentName(row.path))).size, configKeys.length);
  assert.equal(readFileSync(join(import.meta.dirname, "../../..", configPage), "utf8"), writeConfigPage());
});
