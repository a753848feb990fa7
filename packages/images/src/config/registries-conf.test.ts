import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, test } from "node:test";
import { SignetError } from "@signet/core";
import { type TempDir, makeTempDir } from "@signet/testkit";
import { findCredentials } from "./auth-file.ts";
import type { HostEnvironment } from "./host-environment.ts";
import { loadCredentialHelpers } from "./registries-conf.ts";

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
