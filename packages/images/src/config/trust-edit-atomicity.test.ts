/** Trust edits that are killed, or made at the same time: each file is old or new, and nothing is lost. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parsePolicy } from "@signet/core";
import { makeSeededRandom, run } from "@signet/testkit";
import { loadRegistriesD } from "./registries-d.ts";
import {
  compileCache,
  makeTree,
  policyPath,
  policyText,
  reject,
  remove,
  script,
  setScope,
  signed,
  storeFolder,
} from "./trust-edit.testing.ts";
import { makeTrustEdit, planTrustEdit } from "./trust-edit.ts";

/** Processes killed, each at another moment of the handful of edits in its life. */
const KILLS = 50;
/** Milliseconds after its first edit until a process is killed, at most. */
const LONGEST_LIFE_MS = 120;
/** Processes that edit the same files at the same time. */
const EDITORS = 6;

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
