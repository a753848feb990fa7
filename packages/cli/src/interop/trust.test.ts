/** skopeo and podman read every policy that `signet trust` writes, judge by it what was meant, and what they and atomic wrote is edited without loss. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createSignature, generateKey, openSecretKey, parsePolicy } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type ContainersHome,
  type RunResult,
  buildTestImage,
  makeContainersHome,
  makeTempDir,
  requireTool,
  writeDirImage,
} from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const vectors = join(import.meta.dirname, "../../../../vectors");
const reference = "registry.example.com/team/app:1";

void describe("policies written by signet trust", { concurrency: false }, () => {
  const folder = makeTempDir("signet-trust-interop-");
  let home: ContainersHome;
  const key = (name: string): string => folder.join(`${name}.asc`);
  /** Images in folders, by the names of those who signed them. */
  const image = (...signers: readonly string[]): string => folder.join("images", signers.join("-") || "unsigned");

  before(async () => {
    home = makeContainersHome();
    const now = Date.now();
    const made = new Map<string, Uint8Array>();
    const test = await buildTestImage();
    for (const name of ["one", "two", "three"]) {
      // rsa2048: Debian's GnuPG reads every form of it.
      const pair = await generateKey({
        engine: nodeEngine,
        now,
        userIds: [`${name}@example.com`],
        algorithm: "rsa2048",
      });
      writeFileSync(key(name), pair.publicKey);
      const signer = await openSecretKey(new TextEncoder().encode(pair.secretKey), { engine: nodeEngine, now });
      const signature = await createSignature(test.manifest, reference, signer, { engine: nodeEngine, now });
      made.set(name, signature.bytes);
    }
    for (const signers of [[], ["one"], ["two"], ["three"], ["one", "two"]]) {
      writeDirImage(
        image(...signers),
        test,
        signers.map((name) => made.get(name)!),
      );
    }
    copyFileSync(join(vectors, "sigstore-keys/cosign.pub"), folder.join("cosign.pub"));
  });
  after(() => {
    home[Symbol.dispose]();
    folder.dispose();
  });

  const trust = (...args: readonly string[]): Promise<SignetRun> =>
    runSignet(["trust", ...args, "--policy", home.policyFile, "--registries.d", home.registriesDir]);
  const set = async (...args: readonly string[]): Promise<void> => {
    const run = await trust("set", ...args);
    assert.equal(run.status, 0, run.stderr);
  };
  const copy = (path: string): Promise<RunResult> => {
    rmSync(folder.join("copy"), { recursive: true, force: true });
    return home.skopeo([
      "--policy",
      home.policyFile,
      "--registries.d",
      home.registriesDir,
      "copy",
      `dir:${path}`,
      `dir:${folder.join("copy")}`,
    ]);
  };
  /** A policy that skopeo cannot parse stops it before anything else. */
  const assertReads = async (what: string): Promise<void> => {
    const run = await copy(image());
    assert.doesNotMatch(run.stderr, /invalid policy|Error loading trust policy/, what);
    assert.match(run.stderr, /^$|Source image rejected/, what);
  };
  const isAccepted = async (path: string): Promise<boolean> => {
    const { status, stderr } = await copy(path);
    if (status !== 0) assert.match(stderr, /Source image rejected/);
    return status === 0;
  };

  void it("are read by skopeo and podman, over types, keys, identities and transports", async (t) => {
    if (requireTool(t, "skopeo") === undefined || requireTool(t, "podman") === undefined) return;
    home.writePolicy('{"default":[{"type":"reject"}]}');
    const keyed: readonly (readonly string[])[] = [
      ["-f", key("one")],
      ["-f", key("one"), "-f", key("two")],
      ["-f", key("one"), "-f", key("two"), "--require-all"],
      ["-f", key("one"), "--key-data"],
      ["-f", key("one"), "-f", key("two"), "--key-data"],
      ["-t", "sigstoreSigned", "-f", folder.join("cosign.pub")],
      ["-t", "sigstoreSigned", "-f", folder.join("cosign.pub"), "--key-data"],
    ];
    const identities = [
      "exact",
      "repo",
      "repo-digest-or-exact",
      "remap=a.example.com=b.example.com/x",
      "reference=b.example.com/x:1",
      "repository=b.example.com/x",
    ];
    const scopes: readonly (readonly [transport: string, scope: string])[] = [
      ["docker", "registry.example.com"],
      ["docker", "registry.example.com:5000/team/app:1"],
      ["docker", `docker.io/library/busybox@sha256:${"ab".repeat(32)}`],
      ["docker", "*.example.com"],
      ["docker", ""],
      ["atomic", "registry.example.com/ns/stream"],
      ["docker-daemon", ""],
      ["docker-archive", ""],
      ["dir", "/srv/images"],
      ["oci", "/srv/layout"],
      ["containers-storage", "[overlay@/var/lib/containers/storage]docker.io/library/busybox"],
    ];
    // Each way of giving keys with an identity and a scope; each of these at least once.
    const rows = scopes.map(([transport, scope], index) => {
      const keys = keyed[index % keyed.length]!;
      return ["--transport", transport, scope, ...keys, "--identity", identities[index % identities.length]!];
    });
    rows.push(
      ["--transport", "oci-archive", "/srv/a.tar", "-t", "accept"],
      ["--transport", "sif", "/srv/x.sif", "-t", "reject"],
    );
    for (const row of rows) {
      await set(...row);
      await assertReads(row.join(" "));
    }
    assert.equal((await trust("default", "accept")).status, 0);
    await assertReads("default accept");
    const shown = await home.podman(["image", "trust", "show", "--json", "--policypath", home.policyFile]);
    assert.equal(shown.status, 0, shown.stderr);
    assert.ok((JSON.parse(shown.stdout) as unknown[]).length >= rows.length);
    assert.equal((await trust("remove", "registry.example.com")).status, 0);
    await assertReads("after a removal");
  });

  void it("make skopeo accept what one of the keys signed, or all of them where that was asked for", async (t) => {
    if (requireTool(t, "skopeo") === undefined) return;
    const both = ["-f", key("one"), "-f", key("two")];
    const scope = ["--transport", "dir", folder.join("images"), "--identity", `reference=${reference}`];
    const judged = async (): Promise<boolean[]> => [
      await isAccepted(image()),
      await isAccepted(image("one")),
      await isAccepted(image("two")),
      await isAccepted(image("three")),
      await isAccepted(image("one", "two")),
    ];
    home.writePolicy('{"default":[{"type":"insecureAcceptAnything"}]}');
    await set(...scope, ...both);
    assert.deepEqual(await judged(), [false, true, true, false, true], "any of two files");
    await set(...scope, ...both, "--key-data");
    assert.deepEqual(await judged(), [false, true, true, false, true], "any of two embedded keys");
    await set(...scope, ...both, "--key-data", "--require-all");
    assert.deepEqual(await judged(), [false, false, false, false, true], "both embedded keys");
    await set(...scope.slice(0, 3), "-t", "reject");
    assert.deepEqual(await judged(), [false, false, false, false, false], "reject");
  });

  void it("say the same to podman's own command, whose policies are edited in turn without loss", async (t) => {
    if (requireTool(t, "podman") === undefined) return;
    const file = folder.join("podmans.json");
    const podman = async (...args: readonly string[]): Promise<RunResult> => {
      const run = await home.podman(["image", "trust", ...args, "--policypath", file]);
      assert.equal(run.status, 0, run.stderr);
      return run;
    };
    await podman("set", "-t", "accept", "default");
    await podman("set", "-f", key("one"), "-f", key("two"), "registry.example.com");
    const written = readFileSync(file, "utf8");
    const edit = await runSignet(["trust", "set", "registry.example.com/team", "-t", "reject", "--policy", file]);
    assert.equal(edit.status, 0, edit.stderr);
    const raw = (await podman("show", "--raw")).stdout;
    assert.match(raw, /registry\.example\.com\/team/);
    const undo = await runSignet(["trust", "remove", "registry.example.com/team", "--policy", file]);
    assert.equal(undo.status, 0, undo.stderr);
    assert.equal(readFileSync(file, "utf8"), written);
    // And podman edits what Signet wrote.
    await runSignet(["trust", "set", "b.example.com", "-f", key("one"), "--policy", file]);
    await podman("set", "-t", "reject", "c.example.com");
    const scopes = parsePolicy(readFileSync(file)).transports.get("docker")!;
    assert.deepEqual([...scopes.keys()].sort(), ["b.example.com", "c.example.com", "registry.example.com"]);
  });

  void it("take over what atomic wrote, even the scope of it that strict readers refuse", async (t) => {
    if (requireTool(t, "skopeo") === undefined) return;
    const original = readFileSync(join(vectors, "policy/refused/atomic-show.json"), "utf8");
    home.writePolicy(original);
    const run = await trust("set", "quay.io/team", "-t", "reject");
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stderr, /warning: strict readers .*line \d+, column \d+, transports\.dir\.localhost/);
    const expected = JSON.parse(original) as { transports: { docker: object } };
    const edited = JSON.parse(readFileSync(home.policyFile, "utf8")) as unknown;
    Object.assign(expected.transports.docker, { "quay.io/team": [{ type: "reject" }] });
    assert.deepEqual(edited, expected);
    assert.equal((await trust("remove", "quay.io/team")).status, 0);
    assert.equal(readFileSync(home.policyFile, "utf8"), original);
    assert.match((await copy(image())).stderr, /Unknown key \\*"localhost/);
    assert.equal((await trust("remove", "localhost", "--transport", "dir")).status, 0);
    await assertReads("without that scope");
  });

  void it("are found by skopeo beside the lookaside store that was set with them", async (t) => {
    if (requireTool(t, "skopeo") === undefined) return;
    mkdirSync(home.registriesDir, { recursive: true });
    home.writePolicy('{"default":[{"type":"reject"}]}');
    await set(
      "registry.example.com/team",
      "-f",
      key("one"),
      "--lookaside",
      "https://sigs.example.com/x",
      "--staging",
      "file:///srv/sigs",
      "--attachments=false",
    );
    assert.equal(
      readFileSync(join(home.registriesDir, "registry.example.com-team.yaml"), "utf8"),
      "docker:\n  registry.example.com/team:\n    lookaside: https://sigs.example.com/x\n    lookaside-staging: file:///srv/sigs\n    use-sigstore-attachments: false\n",
    );
    await assertReads("with registries.d");
    const shown = await home.podman([
      "image",
      "trust",
      "show",
      "--policypath",
      home.policyFile,
      "--registrypath",
      home.registriesDir,
    ]);
    assert.match(shown.stdout, /registry\.example\.com\/team .*https:\/\/sigs\.example\.com\/x/);
  });
});
