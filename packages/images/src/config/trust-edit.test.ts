/** Which files a trust edit changes. That they end whole is in trust-edit-atomicity.test.ts, what is wrong with files in trust-edit-obstacles.test.ts. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { loadRegistriesD } from "./registries-d.ts";
import {
  accept,
  makeTree,
  policyPath,
  policyText,
  rejectAll,
  remove,
  setScope,
  signed,
  storeFolder,
} from "./trust-edit.testing.ts";
import { makeTrustEdit, planTrustEdit } from "./trust-edit.ts";

describe("which files are edited", () => {
  test("the default makes the policy; before that no scope can be set", async (t) => {
    const tree = makeTree(t);
    await assert.rejects(makeTrustEdit(setScope("a.b"), tree.files), {
      code: "policy-missing",
      hint: /trust default reject/,
    });
    assert.deepEqual(tree.list("etc/containers"), ["registries.d"]);
    await makeTrustEdit(rejectAll, tree.files);
    assert.equal(tree.read(policyPath), policyText);
    assert.deepEqual(tree.list("etc/containers"), ["policy.json", "registries.d"]);
    await makeTrustEdit(setScope("a.b", signed, "https://s"), tree.files);
    assert.equal(tree.read(`${policyPath}.bak`), policyText);
    assert.equal(tree.read(`${storeFolder}/a.b.yaml`), "docker:\n  a.b:\n    lookaside: https://s\n");
    assert.deepEqual(tree.list(storeFolder), ["a.b.yaml"]);
  });

  test("what is so already is not written, not even where nothing can be written", async (t) => {
    const tree = makeTree(t);
    await makeTrustEdit(rejectAll, tree.files);
    await makeTrustEdit(setScope("a.b", signed, "https://s"), tree.files);
    const before = statSync(tree.dir.join(policyPath)).mtimeMs;
    const edit = await makeTrustEdit(setScope("a.b", signed, "https://s"), tree.files);
    assert.deepEqual(edit.files, []);
    assert.equal(statSync(tree.dir.join(policyPath)).mtimeMs, before);
    assert.deepEqual((await makeTrustEdit(remove("not.there"), tree.files)).files, []);
  });

  test("the user's file comes before the system's, and its registries.d lies beside it", async (t) => {
    const tree = makeTree(t);
    const home = tree.dir.join("home");
    // Never without a root: where the user has no file, the search goes on to /etc.
    const host = { env: {}, uid: 1000, home, root: tree.dir.path };
    const files = { host };
    tree.write(policyPath, policyText);
    assert.equal((await makeTrustEdit(setScope("x.y"), files)).policyPath, tree.dir.join(policyPath));
    execFileSync("rm", [tree.dir.join(policyPath)]);
    const made = await makeTrustEdit(rejectAll, files);
    assert.equal(made.policyPath, join(home, ".config/containers/policy.json"));
    const edit = await makeTrustEdit(setScope("a.b", signed, "https://s"), files);
    assert.equal(edit.newUserFolder, join(home, ".config/containers/registries.d"));
    assert.deepEqual(
      edit.files.map(({ path }) => path),
      [join(home, ".config/containers/registries.d/a.b.yaml"), join(home, ".config/containers/policy.json")],
    );
    const variable = { host: { ...host, env: { CONTAINERS_POLICY_JSON: tree.dir.join("p.json") } } };
    writeFileSync(tree.dir.join("p.json"), policyText);
    assert.equal((await makeTrustEdit(setScope("a.b"), variable)).policyPath, tree.dir.join("p.json"));
  });

  test("a policy that was named needs a named registries.d for stores, and an existing folder", async (t) => {
    const tree = makeTree(t);
    tree.write("p.json", policyText);
    const named = { ...tree.files, policy: tree.dir.join("p.json") };
    await assert.rejects(makeTrustEdit(setScope("a.b", signed, "https://s"), named), {
      code: "command-line-malformed",
    });
    assert.equal(tree.read("p.json"), policyText);
    const both = { ...named, registriesD: tree.dir.join("r.d") };
    await makeTrustEdit(setScope("a.b", signed, "https://s"), both);
    assert.deepEqual(tree.list("r.d"), ["a.b.yaml"]);
    await makeTrustEdit(remove("a.b"), named);
    assert.deepEqual(tree.list("r.d"), ["a.b.yaml"]);
    const nowhere = { ...tree.files, policy: tree.dir.join("typo/p.json") };
    await assert.rejects(makeTrustEdit(rejectAll, nowhere), { code: "file-missing", message: /its folder/ });
    assert.equal(existsSync(tree.dir.join("typo")), false);
  });

  test("the distribution's files are taken over into /etc and left as they are", async (t) => {
    const tree = makeTree(t);
    const vendors = '{ "default": [{"type": "reject"}] }';
    tree.write("usr/share/containers/policy.json", vendors);
    tree.write(
      "usr/share/containers/registries.d/vendor.yaml",
      "docker:\n  a.b:\n    lookaside: https://old\n  c.d: {}\n",
    );
    const edit = await makeTrustEdit(setScope("a.b", signed, "https://new"), tree.files);
    assert.deepEqual(
      edit.files.map(({ path, copiedFrom }) => [path, copiedFrom?.path]),
      [
        [tree.dir.join(`${storeFolder}/vendor.yaml`), tree.dir.join("usr/share/containers/registries.d/vendor.yaml")],
        [tree.dir.join(policyPath), tree.dir.join("usr/share/containers/policy.json")],
      ],
    );
    assert.equal(tree.read("usr/share/containers/policy.json"), vendors);
    assert.match(tree.read("usr/share/containers/registries.d/vendor.yaml"), /https:\/\/old/);
    const config = await loadRegistriesD(tree.files);
    assert.equal(config.sections.get("a.b")?.urls.lookaside?.value, "https://new");
    // Were the copy removed, the vendor's section would be back.
    await makeTrustEdit(remove("a.b"), tree.files);
    await makeTrustEdit(remove("c.d"), tree.files);
    assert.equal((await loadRegistriesD(tree.files)).sections.size, 0);
    assert.equal(tree.read(`${storeFolder}/vendor.yaml`), "docker: {}\n");
  });

  test("a link from /etc into /usr/share is replaced, its target is not", async (t) => {
    const tree = makeTree(t);
    tree.write("usr/share/containers/policy.json", policyText);
    symlinkSync("/usr/share/containers/policy.json", tree.dir.join(policyPath));
    await makeTrustEdit(setScope("a.b"), tree.files);
    assert.equal(lstatSync(tree.dir.join(policyPath)).isFile(), true);
    assert.equal(tree.read("usr/share/containers/policy.json"), policyText);
    assert.match(tree.read(policyPath), /"a\.b"/);
    const named = { host: tree.files.host, policy: "/usr/share/containers/no-such-policy.json" };
    await assert.rejects(makeTrustEdit(rejectAll, named), { code: "file-unwritable", message: /distribution/ });
  });

  test("a section is changed in the file that has it; nothing is ever defined twice", async (t) => {
    const tree = makeTree(t);
    tree.write(policyPath, policyText);
    tree.write(`${storeFolder}/all.yaml`, "# all\ndocker:\n  a.b/c:\n    sigstore: https://old\n");
    tree.write(`${storeFolder}/x.y.yaml`, "default-docker:\n  lookaside: https://d\n");
    await makeTrustEdit(setScope("a.b/c", signed, "https://new"), tree.files);
    assert.equal(tree.read(`${storeFolder}/all.yaml`), "# all\ndocker:\n  a.b/c:\n    sigstore: https://new\n");
    await makeTrustEdit(setScope("x.y", signed, "https://s"), tree.files);
    await makeTrustEdit(setScope("x.y:5000/a/b", signed, "https://s"), tree.files);
    assert.equal(
      tree.read(`${storeFolder}/x.y.yaml`),
      "default-docker:\n  lookaside: https://d\ndocker:\n  x.y:\n    lookaside: https://s\n",
    );
    assert.deepEqual(tree.list(storeFolder), [
      "all.yaml",
      "all.yaml.bak",
      "x.y.yaml",
      "x.y.yaml.bak",
      "x.y:5000-a-b.yaml",
    ]);
    const config = await loadRegistriesD(tree.files);
    assert.deepEqual([...config.sections.keys()].sort(), ["a.b/c", "x.y", "x.y:5000/a/b"]);
    tree.write(`${storeFolder}/second.yaml`, "docker: {a.b/c: {}}\n");
    await assert.rejects(makeTrustEdit(setScope("a.b/c", signed, "https://x"), tree.files), {
      code: "registries-d-malformed",
    });
  });

  test("of two folders for root the more important one's file is changed where it is", async (t) => {
    const tree = makeTree(t);
    tree.write(policyPath, policyText);
    tree.write("etc/containers/registries.rootful.d/a.b.yaml", "docker:\n  a.b:\n    lookaside: https://r\n");
    await makeTrustEdit(setScope("a.b", signed, "https://new"), tree.files);
    assert.match(tree.read("etc/containers/registries.rootful.d/a.b.yaml"), /https:\/\/new/);
    assert.deepEqual(tree.list(storeFolder), []);
  });
});

test("what a dry run plans is what is made", async (t) => {
  const tree = makeTree(t);
  tree.write(policyPath, policyText);
  const change = setScope("a.b", accept, "https://s");
  const planned = await planTrustEdit(change, tree.files);
  assert.deepEqual(tree.list("etc/containers"), ["policy.json", "registries.d"]);
  const made = await makeTrustEdit(change, tree.files);
  const told = ({ files }: typeof made): unknown =>
    files.map(({ path, target, before, after }) => ({ path, target, before, after }));
  assert.deepEqual(told(made), told(planned));
});
