/** Trust edits of files that are not as they should be, or where nothing can be written. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { type TestContext, describe, test } from "node:test";
import { run } from "@signet/testkit";
import {
  type Tree,
  makeTree,
  moduleUrl,
  policyPath,
  policyText,
  rejectAll,
  script,
  setScope,
  signed,
  storeFolder,
} from "./trust-edit.testing.ts";
import { type TrustChange, makeTrustEdit } from "./trust-edit.ts";

/** A user and a group that own nothing. */
const NOBODY = 65534;

describe("files that are not as they should be", () => {
  test("mode and owner are kept, for the backup too", async (t) => {
    const tree = makeTree(t);
    tree.write(policyPath, policyText);
    const path = tree.dir.join(policyPath);
    chmodSync(path, 0o640);
    if (process.getuid!() === 0) chownSync(path, 12345, 23456);
    const owner = statSync(path);
    await makeTrustEdit(setScope("a.b"), tree.files);
    for (const file of [path, `${path}.bak`]) {
      const { mode, uid, gid } = statSync(file);
      assert.deepEqual([mode & 0o777, uid, gid], [0o640, owner.uid, owner.gid], file);
    }
  });

  test("a symbolic link is kept and its target replaced, with the backup beside the target", async (t) => {
    const tree = makeTree(t);
    tree.write("srv/trust/policy.json", policyText);
    symlinkSync("/srv/trust/policy.json", tree.dir.join(policyPath));
    tree.write("srv/stores/any.yaml", "docker:\n  a.b: {}\n");
    symlinkSync("../../../srv/stores/any.yaml", tree.dir.join(`${storeFolder}/any.yaml`));
    await makeTrustEdit(setScope("a.b", signed, "https://s"), tree.files);
    assert.equal(lstatSync(tree.dir.join(policyPath)).isSymbolicLink(), true);
    assert.equal(lstatSync(tree.dir.join(`${storeFolder}/any.yaml`)).isSymbolicLink(), true);
    assert.match(tree.read("srv/trust/policy.json"), /signedBy/);
    assert.match(tree.read("srv/stores/any.yaml"), /https:\/\/s/);
    assert.deepEqual(tree.list("srv/trust"), ["policy.json", "policy.json.bak"]);
  });

  test("a dangling or circular link, and a folder in a file's place, change nothing", async (t) => {
    const tree = makeTree(t);
    const path = tree.dir.join(policyPath);
    symlinkSync("/nowhere.json", path);
    await assert.rejects(makeTrustEdit(rejectAll, tree.files), { code: "file-missing", message: /symbolic link/ });
    execFileSync("rm", [path]);
    symlinkSync("policy.json", path);
    await assert.rejects(makeTrustEdit(rejectAll, tree.files), { message: /too many levels of symbolic links/ });
    execFileSync("rm", [path]);
    mkdirSync(path);
    await assert.rejects(makeTrustEdit(rejectAll, tree.files), { code: "file-unreadable", message: /directory/ });
    execFileSync("rmdir", [path]);
    tree.write(policyPath, policyText);
    mkdirSync(`${path}.bak`);
    await assert.rejects(makeTrustEdit(setScope("a.b", signed, "https://s"), tree.files), { code: "file-unwritable" });
    execFileSync("rmdir", [`${path}.bak`]);
    mkdirSync(tree.dir.join(`${storeFolder}/a.b.yaml`));
    await assert.rejects(makeTrustEdit(setScope("a.b", signed, "https://s"), tree.files), { code: "file-unwritable" });
    assert.equal(tree.read(policyPath), policyText);
    assert.deepEqual(tree.list("etc/containers"), ["policy.json", "registries.d"]);
    assert.deepEqual(tree.list(storeFolder), ["a.b.yaml"]);
  });

  test("a policy that is not JSON, or says a thing twice, is left as it is", async (t) => {
    const tree = makeTree(t);
    for (const text of ["", "not json", '{"default":[{"type":"reject"}],"default":[{"type":"reject"}]}']) {
      tree.write(policyPath, text);
      await assert.rejects(makeTrustEdit(rejectAll, tree.files), { code: "policy-malformed" });
      assert.equal(tree.read(policyPath), text);
    }
    tree.write(policyPath, policyText);
    tree.write(`${storeFolder}/broken.yaml`, "docker: [");
    await assert.rejects(makeTrustEdit(setScope("a.b", signed, "https://s"), tree.files), {
      code: "registries-d-malformed",
    });
    await makeTrustEdit(setScope("a.b"), tree.files);
  });

  test("a read-only file system is named by the file that cannot be written", async (t) => {
    const tree = makeTree(t);
    tree.write(policyPath, policyText);
    const outcome = await inMount(t, tree, "mount --bind $0 $0 && mount -o remount,bind,ro $0", [setScope("a.b")]);
    if (outcome === undefined) return;
    assert.equal(outcome.code, "file-unwritable");
    assert.match(outcome.message, /cannot write .*policy\.json: the file system is read-only/);
    assert.equal(tree.read(policyPath), policyText);
  });

  test("a folder that the user may not write to changes nothing", async (t) => {
    if (process.getuid!() !== 0) return t.skip("only the superuser can become somebody else");
    const tree = makeTree(t);
    tree.write(policyPath, policyText);
    chmodSync(tree.dir.path, 0o755);
    // Somebody else only once everything is loaded: the clone may lie where nobody else may look. The plan loads what is loaded late.
    const body = `
      const { planTrustEdit } = await import(${moduleUrl("./trust-edit.ts")});
      await planTrustEdit(changes[0], files);
      process.setgroups([]);
      process.setgid(${NOBODY});
      process.setuid(${NOBODY});
      await makeTrustEdit(changes[0], files).catch((error) => console.log(JSON.stringify([error.code, error.message])));`;
    const { stdout, stderr } = await run(process.execPath, [
      ...script(body),
      tree.dir.path,
      JSON.stringify([setScope("a.b")]),
    ]);
    assert.equal(stderr, "");
    const [code, message] = JSON.parse(stdout) as [string, string];
    assert.equal(code, "file-unwritable");
    assert.match(message, /cannot write .*policy\.json: permission denied/);
    assert.equal(tree.read(policyPath), policyText);
  });

  test("a full disk changes nothing and leaves nothing", async (t) => {
    const tree = makeTree(t);
    tree.write(policyPath, policyText);
    const large = setScope(
      "a.b",
      [{ type: "signedBy", keyType: "GPGKeys", keyData: "A".repeat(2 << 20) }],
      "https://s",
    );
    const prepare = "cp -a $0 $0.copy && mount -t tmpfs -o size=1m tmpfs $0 && cp -a $0.copy/. $0/ && rm -r $0.copy";
    const outcome = await inMount(t, tree, prepare, [large]);
    if (outcome === undefined) return;
    assert.equal(outcome.code, "disk-full");
    assert.equal(outcome.policy, policyText);
    assert.deepEqual(outcome.names, [
      "etc",
      "etc/containers",
      "etc/containers/policy.json",
      "etc/containers/registries.d",
    ]);
  });
});

interface Outcome {
  readonly code: string;
  readonly message: string;
  readonly policy: string;
  readonly names: readonly string[];
}

/** Makes the changes in a process that sees the tree with another file system on it; undefined, and a diagnostic, where this machine does not allow that. */
async function inMount(
  t: TestContext,
  tree: Tree,
  mount: string,
  changes: readonly TrustChange[],
): Promise<Outcome | undefined> {
  const body = `
    const { readFileSync, readdirSync } = await import("node:fs");
    let failure = {};
    try { for (const change of changes) await makeTrustEdit(change, files); } catch (error) { failure = { code: error.code, message: error.message }; }
    const names = readdirSync(root, { recursive: true }).sort();
    console.log(JSON.stringify({ ...failure, names, policy: readFileSync(root + "/${policyPath}", "utf8") }));`;
  // The changes are too long for an argument.
  const input = tree.dir.join("../", `signet-changes-${process.pid}.json`);
  writeFileSync(input, JSON.stringify(changes));
  t.after(() => execFileSync("rm", ["-f", input]));
  const args = script(body).map((part) =>
    part.replace("JSON.parse(json)", `JSON.parse((await import("node:fs")).readFileSync(json, "utf8"))`),
  );
  const inside = `${mount} && shift 0 && exec "$@"`;
  const result = await run("unshare", [
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    inside,
    tree.dir.path,
    process.execPath,
    ...args,
    tree.dir.path,
    input,
  ]);
  if (result.status !== 0 && /unshare|mount/.test(result.stderr)) {
    t.skip(`this machine does not allow mount name spaces: ${result.stderr}`);
    return undefined;
  }
  assert.equal(result.stderr, "");
  return JSON.parse(result.stdout) as Outcome;
}
