import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { type RunResult, type TempDir, makeTempDir, run } from "@signet/testkit";

const signetFile = join(import.meta.dirname, "..", "..", "bin", "signet.js");

const registriesConf = `
[[registry]]
location = "registry.example.com/team"
[[registry.mirror]]
location = "mirror.local/proxy/team"
[[registry.mirror]]
location = "far.local:5000"
[[registry]]
prefix = "a.example"
location = "b.example"
`;

interface Policy {
  readonly transports?: { readonly docker: Readonly<Record<string, readonly { readonly signedIdentity?: object }[]>> };
}

/** A folder with a policy, a registries.conf and a key. */
async function start(t: TestContext): Promise<{
  readonly dir: TempDir;
  readonly signet: (...args: readonly string[]) => Promise<RunResult>;
  readonly set: (...args: readonly string[]) => Promise<RunResult>;
  readonly identities: () => Readonly<Record<string, object | undefined>>;
}> {
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  mkdirSync(dir.join("home"));
  const signet = (...args: readonly string[]): Promise<RunResult> =>
    run(process.execPath, [signetFile, ...args], { cwd: dir.path, env: { HOME: dir.join("home") } });
  writeFileSync(dir.join("registries.conf"), registriesConf);
  writeFileSync(dir.join("policy.json"), '{"default":[{"type":"reject"}]}\n');
  writeFileSync(dir.join("key.pub"), publicKey);
  return {
    dir,
    signet,
    set: (...args) => signet("trust", "set", "--policy", "policy.json", "-f", "key.pub", ...args),
    identities: () => {
      const { transports } = JSON.parse(readFileSync(dir.join("policy.json"), "utf8")) as Policy;
      return Object.fromEntries(
        Object.entries(transports?.docker ?? {}).map(([scope, [requirement]]) => [scope, requirement?.signedIdentity]),
      );
    },
  };
}

/** Nobody signs with it here. */
const publicKey = readFileSync(join(import.meta.dirname, "../../../../vectors/dir-images/keys/public-key.gpg"));

const remap = (prefix: string, signedPrefix: string): object => ({ type: "remapIdentity", prefix, signedPrefix });

describe("trust set --remap-from", () => {
  test("sets a mirrored scope and every mirror of it in one step", async (t) => {
    const { set, identities } = await start(t);
    const done = await set("registry.example.com/team/app", "--remap-from", "registries.conf", "-o", "json");
    assert.equal(done.status, 0, done.stderr);
    assert.deepEqual(identities(), {
      "registry.example.com/team/app": undefined,
      "far.local:5000/app": remap("far.local:5000", "registry.example.com/team"),
      "mirror.local/proxy/team/app": remap("mirror.local/proxy/team", "registry.example.com/team"),
    });
    const { remaps, files } = JSON.parse(done.stdout) as {
      remaps: readonly { scope: string }[];
      files: readonly unknown[];
    };
    assert.deepEqual(
      remaps.map(({ scope }) => scope),
      ["registry.example.com/team/app", "far.local:5000/app", "mirror.local/proxy/team/app"],
    );
    assert.equal(files.length, 1);
  });

  test("sets a mirror alone, and says where its signatures are read", async (t) => {
    const { set, identities } = await start(t);
    const done = await set("mirror.local/proxy/team", "--remap-from", "registries.conf");
    assert.equal(done.status, 0, done.stderr);
    assert.deepEqual(identities(), {
      "mirror.local/proxy/team": remap("mirror.local/proxy/team", "registry.example.com/team"),
    });
    assert.match(done.stderr, /mirrors need their own section in registries\.d/);
  });

  test("takes a prefix with another location as a name for it, and that location as a copy of the prefix", async (t) => {
    const { set, identities } = await start(t);
    for (const scope of ["a.example", "b.example/x"])
      assert.equal((await set(scope, "--remap-from", "registries.conf")).status, 0);
    assert.deepEqual(identities(), {
      "a.example": remap("a.example", "b.example"),
      "b.example/x": remap("b.example", "a.example"),
    });
  });

  test("with --dry-run changes nothing", async (t) => {
    const { set, identities } = await start(t);
    const done = await set("mirror.local/proxy/team", "--remap-from", "registries.conf", "--dry-run");
    assert.equal(done.status, 0, done.stderr);
    assert.match(done.stdout, /"signedPrefix":"registry\.example\.com\/team"/);
    assert.deepEqual(identities(), {});
  });

  const refused: readonly (readonly [string, number, RegExp, readonly string[]])[] = [
    ["an identity of its own", 64, /use --remap-from or --identity/, ["mirror.local/proxy/team", "--identity", "repo"]],
    ["a scope with a tag", 64, /without tag, digest and wildcard/, ["mirror.local/proxy/team/app:1"]],
    ["a wildcard", 64, /without tag, digest and wildcard/, ["*.local"]],
    ["the default", 64, /for scopes of docker images/, ["default"]],
    ["another transport", 64, /for scopes of docker images/, ["--transport", "dir", "/srv"]],
    [
      "a scope that nothing speaks of",
      2,
      /no mirror and no other location is known for other\.example/,
      ["other.example"],
    ],
  ];
  for (const [name, status, message, args] of refused) {
    test(`refuses ${name}, and the policy stays`, async (t) => {
      const { set, identities } = await start(t);
      const done = await set(...args, "--remap-from", "registries.conf");
      assert.equal(done.status, status, done.stdout + done.stderr);
      assert.match(done.stderr, message);
      assert.deepEqual(identities(), {});
    });
  }

  test("refuses rules without keys, and files that are missing or broken", async (t) => {
    const { dir, signet, set, identities } = await start(t);
    const scope = "mirror.local/proxy/team";
    const reject = await signet(
      "trust",
      "set",
      "--policy",
      "policy.json",
      scope,
      "-t",
      "reject",
      "--remap-from",
      "registries.conf",
    );
    assert.equal(reject.status, 64, reject.stderr);
    assert.equal((await set(scope, "--remap-from", "nowhere.conf")).status, 2);
    writeFileSync(dir.join("registries.conf"), "[registries.search]\nregistries = []\n");
    const old = await set(scope, "--remap-from", "registries.conf");
    assert.equal(old.status, 2);
    assert.match(old.stderr, /version 1 of the format/);
    assert.deepEqual(identities(), {});
  });
});
