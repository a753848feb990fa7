import assert from "node:assert/strict";
import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { SignetError } from "@signet/core";
import { type TempDir, makeTempDir } from "@signet/testkit";
import { findCredentials } from "./auth-file.ts";
import { type HostEnvironment, fileTreeHost } from "./host-environment.ts";
import { loadCredentialHelpers, loadRecordedAliases, loadRegistriesConf } from "./registries-conf.ts";

interface Machine extends Disposable {
  readonly dir: TempDir;
  readonly host: HostEnvironment;
}

/** A file tree of its own: the user's home under `home`, the system below `root`. */
function makeMachine(files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}): Machine {
  const dir = makeTempDir();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(dir.join(path)), { recursive: true });
    writeFileSync(dir.join(path), content);
  }
  const placed = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replace("@", dir.path)]));
  return {
    dir,
    host: { env: placed, uid: 1000, home: dir.join("home"), root: dir.join("root") },
    [Symbol.dispose]: () => dir.dispose(),
  };
}

const user = "home/.config/containers";
const etc = "root/etc/containers";
const usr = "root/usr/share/containers";
const helpers = (...names: readonly string[]): string =>
  `unqualified-search-registries = []\ncredential-helpers = ${JSON.stringify(names)}\n`;

describe("credential-helpers of registries.conf", () => {
  const cases: readonly (readonly [
    string,
    Record<string, string>,
    Record<string, string>,
    readonly string[] | undefined,
  ])[] = [
    ["no file", {}, {}, undefined],
    ["a file without the key", { [`${etc}/registries.conf`]: "unqualified-search-registries = []\n" }, {}, undefined],
    ["an empty list says nothing", { [`${etc}/registries.conf`]: helpers() }, {}, undefined],
    [
      "the user's file alone counts",
      { [`${user}/registries.conf`]: helpers("u"), [`${etc}/registries.conf`]: helpers("e") },
      {},
      ["u"],
    ],
    [
      "/etc before /usr/share",
      { [`${etc}/registries.conf`]: helpers("e"), [`${usr}/registries.conf`]: helpers("s") },
      {},
      ["e"],
    ],
    ["/usr/share last", { [`${usr}/registries.conf`]: helpers("s", "t") }, {}, ["s", "t"]],
    [
      "a drop-in replaces",
      { [`${etc}/registries.conf`]: helpers("e"), [`${etc}/registries.conf.d/1.conf`]: helpers("d") },
      {},
      ["d"],
    ],
    [
      "the last drop-in by name",
      {
        [`${user}/registries.conf.d/1.conf`]: helpers("first"),
        [`${etc}/registries.conf.d/2.conf`]: helpers("second"),
      },
      {},
      ["second"],
    ],
    [
      "of one name the user's",
      { [`${user}/registries.conf.d/1.conf`]: helpers("mine"), [`${etc}/registries.conf.d/1.conf`]: helpers("theirs") },
      {},
      ["mine"],
    ],
    [
      "an empty list in a drop-in takes back",
      { [`${etc}/registries.conf`]: helpers("e"), [`${etc}/registries.conf.d/1.conf`]: helpers() },
      {},
      undefined,
    ],
    ["other endings are passed over", { [`${etc}/registries.conf.d/1.conf.bak`]: "not TOML" }, {}, undefined],
    [
      "a named file disables drop-ins",
      { named: helpers("n"), [`${etc}/registries.conf.d/1.conf`]: helpers("d") },
      { CONTAINERS_REGISTRIES_CONF: "@/named" },
      ["n"],
    ],
    [
      "the override comes last",
      { named: helpers("n"), over: helpers("o") },
      { CONTAINERS_REGISTRIES_CONF: "@/named", CONTAINERS_REGISTRIES_CONF_OVERRIDE: "@/over" },
      ["o"],
    ],
  ];
  for (const [name, files, env, expected] of cases) {
    test(name, async () => {
      using machine = makeMachine(files, env);
      assert.deepEqual(await loadCredentialHelpers(machine.host), expected);
    });
  }

  const broken: readonly (readonly [string, string, string])[] = [
    ["text that is not TOML", "}", "registries-conf-malformed"],
    ["a key twice", `${helpers("a")}${helpers("b")}`, "registries-conf-malformed"],
    ["a list of numbers", "credential-helpers = [1]", "registries-conf-malformed"],
    ["a name instead of a list", 'credential-helpers = "pass"', "registries-conf-malformed"],
    [
      "more helpers than anybody has",
      helpers(...Array.from({ length: 33 }, (_, index) => `h${index}`)),
      "registries-conf-malformed",
    ],
    ["a file of two megabytes", "#".repeat(2 * 1024 * 1024), "input-too-large"],
  ];
  for (const [name, content, code] of broken) {
    test(`${name} is an error, not "no helpers"`, async () => {
      using machine = makeMachine({ [`${etc}/registries.conf`]: content });
      await assert.rejects(
        loadCredentialHelpers(machine.host),
        (error: unknown) => error instanceof SignetError && error.code === code,
      );
    });
  }

  test("a file that a variable names must be there", async () => {
    using machine = makeMachine({}, { CONTAINERS_REGISTRIES_CONF: "@/nowhere" });
    await assert.rejects(
      loadCredentialHelpers(machine.host),
      (error: unknown) => error instanceof SignetError && error.code === "file-missing",
    );
  });
});

test("credentials come from the configured helper, asked with the registry's host, before the files that stand behind it", async () => {
  const script = '#!/bin/sh\nread host\nprintf \'{"Username":"from-helper","Secret":"%s"}\' "$host"\n';
  const auth = JSON.stringify({
    auths: { "registry.example.com": { auth: Buffer.from("from-file:x").toString("base64") } },
  });
  using machine = makeMachine(
    { "bin/docker-credential-test": script, auth, [`${etc}/registries.conf`]: helpers("test", "containers-auth.json") },
    { PATH: `@/bin:${process.env["PATH"] ?? ""}`, REGISTRY_AUTH_FILE: "@/auth" },
  );
  chmodSync(machine.dir.join("bin/docker-credential-test"), 0o755);
  const found = await findCredentials("registry.example.com/team/app", { host: machine.host });
  assert.equal(found?.location, "docker-credential-test");
  assert.deepEqual(found.credentials, { kind: "password", username: "from-helper", password: "registry.example.com" });
  const fromFile = await findCredentials("registry.example.com/team/app", {
    host: machine.host,
    helpers: ["containers-auth.json"],
  });
  assert.equal(fromFile?.location, machine.dir.join("auth"));
});

describe("registries.conf as a whole", () => {
  const registry = (prefix: string, location: string): string =>
    `[[registry]]\nprefix = "${prefix}"\nlocation = "${location}"\n`;

  test("registries and short names are merged one by one, all else as a whole", async () => {
    const main = `unqualified-search-registries = ["main.example"]\nshort-name-mode = "enforcing"\n${registry("a.example", "main.example")}${registry("b.example", "main.example")}[aliases]\nx = "main.example/x"\ny = "main.example/y"\n`;
    const first = `unqualified-search-registries = []\n${registry("b.example", "first.example")}[aliases]\ny = ""\n`;
    const second = `${registry("b.example", "second.example")}${registry("c.example", "second.example")}`;
    using machine = makeMachine({
      [`${etc}/registries.conf`]: main,
      [`${etc}/registries.conf.d/10-first.conf`]: first,
      [`${usr}/registries.conf.d/20-second.conf`]: second,
    });
    const conf = await loadRegistriesConf(machine.host);
    assert.deepEqual(
      conf.registries.map(({ prefix, location }) => [prefix, location]),
      [
        ["a.example", "main.example"],
        ["b.example", "second.example"],
        ["c.example", "second.example"],
      ],
    );
    assert.deepEqual(conf.searchRegistries, {
      hosts: [],
      file: machine.dir.join(`${etc}/registries.conf.d/10-first.conf`),
    });
    assert.equal(conf.shortNameMode, "enforcing");
    assert.deepEqual(
      [...conf.aliases].map(([name, { repository }]) => [name, repository]),
      [
        ["x", "main.example/x"],
        ["y", undefined],
      ],
    );
    assert.equal(conf.files.length, 3);
  });

  test("drop-ins for this kind of user come before those for all, and those of the other kind do not count", async () => {
    using machine = makeMachine({
      [`${etc}/registries.conf.d/1.conf`]: registry("a.example", "all.example"),
      [`${etc}/registries.rootless.conf.d/1.conf`]: registry("a.example", "rootless.example"),
      [`${etc}/registries.rootless.conf.d/1000/2.conf`]: registry("b.example", "own.example"),
      [`${etc}/registries.rootful.conf.d/3.conf`]: registry("c.example", "rootful.example"),
    });
    const locations = async (uid: number): Promise<readonly (string | undefined)[]> =>
      (await loadRegistriesConf({ ...machine.host, uid })).registries.map(({ location }) => location);
    assert.deepEqual(await locations(1000), ["rootless.example", "own.example"]);
    assert.deepEqual(await locations(0), ["all.example", "rootful.example"]);
  });

  test("a file that is named on the command line counts alone", async () => {
    using machine = makeMachine(
      {
        [`${etc}/registries.conf.d/1.conf`]: registry("a.example", "x.example"),
        named: "",
        over: registry("b.example", "y.example"),
      },
      { CONTAINERS_REGISTRIES_CONF_OVERRIDE: "@/over" },
    );
    assert.equal((await loadRegistriesConf(machine.host)).registries.length, 2);
    assert.deepEqual((await loadRegistriesConf(machine.host, { file: machine.dir.join("named") })).registries, []);
  });

  test("one bad drop-in spoils it all: what it would have blocked must not be reached", async () => {
    using machine = makeMachine({ [`${etc}/registries.conf.d/1.conf`]: "blocked" });
    await assert.rejects(loadRegistriesConf(machine.host), /1\.conf:1: /);
  });

  test("of the short names that podman recorded only those count, not what else may stand there", async () => {
    const recorded = `${registry("a.example", "evil.example")}[aliases]\nx = "quay.io/x/x"\n`;
    using machine = makeMachine({ "home/.cache/containers/short-name-aliases.conf": recorded });
    assert.equal((await loadRecordedAliases(machine.host)).get("x")?.repository, "quay.io/x/x");
    assert.deepEqual((await loadRegistriesConf(machine.host)).registries, []);
    assert.equal((await loadRecordedAliases({ ...machine.host, uid: 0 })).size, 0);
  });

  test("the drop-ins of containers/image are merged as its own tests have it", async () => {
    const vectors = join(import.meta.dirname, "../../../../vectors/registries-conf");
    using machine = makeMachine({});
    cpSync(vectors, machine.dir.join(etc), { recursive: true });
    cpSync(join(vectors, "base-for-registries.d.conf"), machine.dir.join(`${etc}/registries.conf`));
    const conf = await loadRegistriesConf(machine.host);
    const base = conf.registries.find(({ prefix }) => prefix === "base.com");
    assert.deepEqual([base?.blocked, base?.insecure], [true, false]);
    assert.deepEqual(conf.searchRegistries?.hosts, ["example-overwrite.com"]);
    assert.deepEqual(conf.credentialHelpers, ["dropin-1", "dropin-2"]);
    assert.equal(conf.aliases.get("barz")?.repository, "barz.com/config2");
    assert.equal(conf.aliases.get("docker")?.repository, "docker.io/library/config1");
    assert.equal(conf.aliases.has("ignore"), false);
  });
});

test("of a file tree its own links count, and none of them leads to a file of this machine", async () => {
  const search = (host: string): string => `unqualified-search-registries = ["${host}"]\n`;
  const alias = (name: string): string => `[aliases]\n"${name}" = "registry.example.com/${name}"\n`;
  using machine = makeMachine({
    "outside/main.conf": search("outside.example.com"),
    "outside/d/10.conf": alias("outside"),
    "outside/recorded.conf": alias("outside"),
    "root/srv/main.conf": search("inside.example.com"),
    "root/srv/d/20.conf": alias("inside"),
  });
  const { dir } = machine;
  const inTree = `root${dir.path}/outside`;
  for (const [path, content] of [
    ["d/10.conf", alias("ten")],
    ["recorded.conf", alias("recorded")],
  ] as const) {
    mkdirSync(dirname(dir.join(inTree, path)), { recursive: true });
    writeFileSync(dir.join(inTree, path), content);
  }
  for (const folder of [etc, "root/var/cache/containers"]) mkdirSync(dir.join(folder), { recursive: true });
  const host: HostEnvironment = fileTreeHost(dir.join("root"));
  symlinkSync("../../../../../../../../srv/main.conf", dir.join(etc, "registries.conf"));
  symlinkSync(dir.join("outside/d"), dir.join(etc, "registries.conf.d"));
  symlinkSync("/srv/d/20.conf", dir.join(inTree, "d/20.conf"));
  symlinkSync(dir.join("outside/recorded.conf"), dir.join("root/var/cache/containers/short-name-aliases.conf"));
  const conf = await loadRegistriesConf(host);
  assert.deepEqual(conf.searchRegistries?.hosts, ["inside.example.com"]);
  assert.deepEqual([...conf.aliases.keys()], ["ten", "inside"]);
  assert.deepEqual([...(await loadRecordedAliases(host)).keys()], ["recorded"]);
  for (const file of conf.files) assert.ok(file.startsWith(`${dir.join("root")}/`), file);
});
