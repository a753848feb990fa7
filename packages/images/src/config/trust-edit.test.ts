import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type JsonValue, parsePolicy } from "@signet/core";
import { makeSeededRandom, makeTempDir, run, type TempDir } from "@signet/testkit";
import { fileTreeHost } from "./host-environment.ts";
import { loadRegistriesD } from "./registries-d.ts";
import { makeTrustEdit, planTrustEdit, type TrustChange, type TrustFiles } from "./trust-edit.ts";

const reject: readonly JsonValue[] = [{ type: "reject" }];
const accept: readonly JsonValue[] = [{ type: "insecureAcceptAnything" }];
const signed: readonly JsonValue[] = [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/etc/pki/k.gpg" }];
const setScope = (scope: string, requirements = signed, lookaside?: string): TrustChange => ({
  kind: "set",
  transport: "docker",
  scope,
  requirements,
  ...(lookaside === undefined ? {} : { store: { lookaside } }),
});
const remove = (scope: string, withStore = true): TrustChange => ({
  kind: "remove",
  transport: "docker",
  scope,
  withStore,
});
const rejectAll: TrustChange = { kind: "default", requirements: reject };

/** A file tree of its own, edited as a node's would be. */
interface Tree {
  readonly dir: TempDir;
  readonly files: TrustFiles;
  write(path: string, text: string): void;
  read(path: string): string;
  /** Names in a folder, sorted. */
  list(path: string): string[];
}

function makeTree(t: TestContext): Tree {
  const dir = makeTempDir("signet-trust-");
  t.after(() => dir.dispose());
  mkdirSync(dir.join("etc/containers/registries.d"), { recursive: true });
  return {
    dir,
    files: { host: fileTreeHost(dir.path) },
    write(path, text) {
      mkdirSync(dirname(dir.join(path)), { recursive: true });
      writeFileSync(dir.join(path), text);
    },
    read: (path) => readFileSync(dir.join(path), "utf8"),
    list: (path) => readdirSync(dir.join(path)).sort(),
  };
}

const policyPath = "etc/containers/policy.json";
const storeFolder = "etc/containers/registries.d";
const policyText = '{\n    "default": [\n        {\n            "type": "reject"\n        }\n    ]\n}\n';

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

describe("the order of the writes", () => {
  test("setting ends with the policy, removing begins with it, and both can be completed", async (t) => {
    const tree = makeTree(t);
    tree.write(policyPath, policyText);
    const set = await makeTrustEdit(setScope("a.b", signed, "https://s"), tree.files);
    assert.match(set.files.at(-1)!.path, /policy\.json$/);
    const planned = await planTrustEdit(remove("a.b"), tree.files);
    assert.match(planned.files[0]!.path, /policy\.json$/);
    assert.equal(planned.files.length, 2);
    // As a crash between the two leaves it.
    tree.write(policyPath, policyText);
    const rest = await makeTrustEdit(remove("a.b"), tree.files);
    assert.deepEqual(
      rest.files.map(({ after }) => after),
      [undefined],
    );
    assert.equal(existsSync(tree.dir.join(`${storeFolder}/a.b.yaml`)), false);
  });

  test("a process killed at any moment leaves each file old or new, and the next one completes", async (t) => {
    const tree = makeTree(t);
    tree.write(policyPath, policyText);
    const [first, second] = [setScope("a.b", signed, "https://first"), setScope("a.b", reject, "https://second")];
    const states = [];
    for (const change of [first, second]) {
      await makeTrustEdit(change, tree.files);
      states.push({ policy: tree.read(policyPath), store: tree.read(`${storeFolder}/a.b.yaml`) });
    }
    const random = makeSeededRandom(11);
    const writer = script(`
      for (let round = 0; ; round++) {
        await makeTrustEdit(changes[round % 2], files);
        if (round > 0) continue;
        // A process that is killed would not leave its compiled code.
        (await import("node:module")).flushCompileCache();
        console.log("there");
      }`);
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(process.execPath, [...writer, tree.dir.path, JSON.stringify([first, second])], {
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
      });
      t.after(() => child.kill("SIGKILL"));
      await once(child.stdout, "data");
      await sleep(random.integer(LONGEST_LIFE_MS));
      child.kill("SIGKILL");
      await once(child, "exit");
      const policy = tree.read(policyPath);
      assert.ok(
        states.some((state) => state.policy === policy),
        policy,
      );
      assert.ok(states.some(({ store }) => store === tree.read(`${storeFolder}/a.b.yaml`)));
      assert.ok(states.some((state) => state.policy === tree.read(`${policyPath}.bak`)));
      // Whatever was cut off: neither state accepts an unsigned image, and so does no mixture.
      assert.notEqual(
        parsePolicy(readFileSync(tree.dir.join(policyPath)))
          .transports.get("docker")
          ?.get("a.b")?.[0]?.type,
        "insecureAcceptAnything",
      );
    }
    await makeTrustEdit(second, tree.files);
    await makeTrustEdit(first, tree.files);
    assert.deepEqual({ policy: tree.read(policyPath), store: tree.read(`${storeFolder}/a.b.yaml`) }, states[0]);
    // Only a lock that was being made may be left; no half-written configuration.
    const left = [...tree.list("etc/containers"), ...tree.list(storeFolder)].filter(
      (name) => !/^\.\..*\.lock\./.test(name),
    );
    assert.deepEqual(left, ["policy.json", "policy.json.bak", "registries.d", "a.b.yaml", "a.b.yaml.bak"]);
  });

  test("many editors at once lose nothing", async (t) => {
    const tree = makeTree(t);
    tree.write(policyPath, policyText);
    const scopes = Array.from({ length: EDITORS * 5 }, (_, index) => `r${index}.example.com/team`);
    const editor = script(`for (const change of changes) await makeTrustEdit(change, files);`);
    const jobs = Array.from({ length: EDITORS }, (_, index) => {
      const own = scopes.slice(index * 5, index * 5 + 5).map((scope) => setScope(scope, signed, `https://${scope}`));
      const env = { NODE_COMPILE_CACHE: compileCache };
      return run(process.execPath, [...editor, tree.dir.path, JSON.stringify(own)], { env });
    });
    for (const { stderr, status } of await Promise.all(jobs)) assert.deepEqual([status, stderr], [0, ""]);
    const policy = parsePolicy(readFileSync(tree.dir.join(policyPath)));
    assert.deepEqual([...policy.transports.get("docker")!.keys()].sort(), scopes.toSorted());
    assert.deepEqual([...(await loadRegistriesD(tree.files)).sections.keys()].sort(), scopes.toSorted());
  });
});

/** Compiled code is kept from one process to the next, or each would compile everything anew. */
const compileCache = join(import.meta.dirname, "../../../../.cache/trust-edit-test");
/** Processes killed, each at another moment of the handful of edits in its life. */
const KILLS = 50;
/** Milliseconds after its first edit until a process is killed, at most. */
const LONGEST_LIFE_MS = 120;
/** Processes that edit the same files at the same time. */
const EDITORS = 6;

/** A user and a group that own nothing. */
const NOBODY = 65534;

/** A module of this folder, as a literal in a script. */
const moduleUrl = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Arguments for Node to run `body` with `files` (a tree) and `changes`. */
function script(body: string): string[] {
  const head = `
    import { makeTrustEdit } from ${moduleUrl("./trust-edit.ts")};
    import { fileTreeHost } from ${moduleUrl("./host-environment.ts")};
    const [root, json] = process.argv.slice(1);
    const files = { host: fileTreeHost(root) };
    const changes = JSON.parse(json);`;
  return ["--conditions=@signet/source", "--input-type=module", "--eval", `${head}${body}`];
}

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
