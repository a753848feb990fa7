import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { makeTempDir, requireTool, run } from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const genuine = join(import.meta.dirname, "../../../../vectors/openshift/image-policies/openshift.yaml");
const folder = makeTempDir();
after(() => folder.dispose());

const imagePolicy = (command: string, ...args: readonly string[]): Promise<SignetRun> =>
  runSignet(["image-policy", command, ...args], { cwd: folder.path });

describe("image-policy", () => {
  test("render prints the policy of the nodes, and lift the policy that it came from", async () => {
    const rendered = await imagePolicy("render", genuine);
    assert.equal(rendered.status, 0);
    assert.equal(rendered.stderr, "also made: /etc/containers/registries.d/sigstore-registries.yaml (see --write)\n");
    const { transports } = JSON.parse(rendered.stdout) as { transports: { docker: object } };
    assert.equal(Object.keys(transports.docker).length, 3);
    const written = await imagePolicy("render", genuine, "--write", "node");
    assert.equal(
      written.stdout,
      "node/etc/containers/policy.json\nnode/etc/containers/registries.d/sigstore-registries.yaml\n",
    );
    assert.equal(`${readFileSync(folder.join("node/etc/containers/policy.json"), "utf8")}\n`, rendered.stdout);
    const checked = await runSignet(
      [
        "policy",
        "check",
        "--policy",
        "node/etc/containers/policy.json",
        "--registries.d",
        "node/etc/containers/registries.d",
      ],
      { cwd: folder.path },
    );
    assert.doesNotMatch(checked.stdout, / error /);
    const lifted = await imagePolicy("lift", "--policy", "node/etc/containers/policy.json");
    assert.deepEqual([lifted.status, lifted.stderr], [0, ""]);
    const again = await runSignet(["image-policy", "render", "-"], { input: lifted.stdout });
    assert.equal(again.stdout, rendered.stdout);
    const json = JSON.parse((await imagePolicy("render", genuine, "-o", "json")).stdout) as {
      files: readonly { path: string }[];
    };
    assert.equal(json.files.length, 2);
  });

  test("lift takes keys from files, and ends with 1 where something cannot be said", async (t) => {
    const openssl = requireTool(t, "openssl");
    if (openssl === undefined) return;
    await run(openssl, [
      "genpkey",
      "-algorithm",
      "EC",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-out",
      folder.join("key.pem"),
    ]);
    await run(openssl, ["pkey", "-in", folder.join("key.pem"), "-pubout", "-out", folder.join("key.pub")]);
    const accept = [{ type: "insecureAcceptAnything" }];
    const sigstore = [
      { type: "sigstoreSigned", keyPath: folder.join("key.pub"), signedIdentity: { type: "matchRepository" } },
    ];
    const gpg = [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/nowhere" }];
    writeFileSync(
      folder.join("policy.json"),
      JSON.stringify({ default: accept, transports: { docker: { "a.com": sigstore, "b.com": gpg } } }),
    );
    const { status, stdout, stderr } = await imagePolicy("lift", "--policy", "policy.json", "--name-prefix", "team-");
    assert.equal(status, 1);
    assert.match(stderr, /^cannot be said: docker: b\.com: signedBy \(OpenPGP\)/);
    assert.match(stdout, /\n {2}name: team-a\.com\n/);
    assert.match(stdout, new RegExp(readFileSync(folder.join("key.pub")).toString("base64").replaceAll("+", "\\+")));
    const json = JSON.parse((await imagePolicy("lift", "--policy", "policy.json", "-o", "json")).stdout) as Readonly<
      Record<string, readonly unknown[]>
    >;
    assert.deepEqual([json["objects"]?.length, json["unsaid"]?.length], [1, 1]);
    writeFileSync(folder.join("policy.json"), JSON.stringify({ default: [{ ...sigstore[0], keyPath: "/nowhere" }] }));
    assert.equal((await imagePolicy("lift", "--policy", "policy.json")).status, 2);
  });

  test("what cannot be read, and folders that lead elsewhere, end with 2", async () => {
    writeFileSync(
      folder.join("bad.yaml"),
      readFileSync(genuine, "utf8").replace("policyType: PublicKey", "policyType: Key"),
    );
    const bad = await imagePolicy("render", "bad.yaml");
    assert.deepEqual([bad.status, bad.stdout], [2, ""]);
    assert.match(bad.stderr, /^error: ClusterImagePolicy openshift: spec\.policy\.rootOfTrust\.policyType: one of /);
    mkdirSync(folder.join("trap"));
    symlinkSync(folder.join("node"), folder.join("trap/etc"));
    const trap = await imagePolicy("render", genuine, "--write", "trap");
    assert.deepEqual([trap.status, /it is a link/.test(trap.stderr)], [2, true]);
    writeFileSync(folder.join("none.yaml"), "");
    assert.equal((await imagePolicy("render", "none.yaml")).status, 64);
  });
});
