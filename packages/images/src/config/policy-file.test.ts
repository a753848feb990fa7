import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { PolicyError, SignetError, StoreError } from "@signet/core";
import { type TempDir, makeTempDir } from "@signet/testkit";
import type { HostEnvironment } from "./host-environment.ts";
import { findPolicyFile, loadPolicy } from "./policy-file.ts";

const accept = `{"default":[{"type":"insecureAcceptAnything"}]}`;
const reject = `{"default":[{"type":"reject"}]}`;

function makeRoot(t: TestContext): TempDir {
  const root = makeTempDir("signet-policy-file-");
  t.after(() => root.dispose());
  return root;
}

async function put(root: TempDir, ...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(dirname(root.join(path)), { recursive: true });
    await writeFile(root.join(path), accept);
  }
}

function hostAt(root: TempDir, env: Record<string, string> = {}): HostEnvironment {
  return { env, uid: 1000, home: root.join("home"), root: root.path };
}

const user = "home/.config/containers/policy.json";
const etc = "etc/containers/policy.json";
const usr = "usr/share/containers/policy.json";

describe("findPolicyFile", () => {
  it("takes the first of the user's, /etc and /usr/share", async (t) => {
    const root = makeRoot(t);
    for (const path of [usr, etc, user]) {
      await put(root, path);
      assert.equal(await findPolicyFile({ host: hostAt(root) }), root.join(path));
    }
  });

  it("lets CONTAINERS_POLICY_JSON decide alone, and the named file over everything, neither below the root folder", async (t) => {
    const root = makeRoot(t);
    await put(root, user, etc, usr);
    const host = hostAt(root, { CONTAINERS_POLICY_JSON: "/named/by/env.json" });
    assert.equal(await findPolicyFile({ host }), "/named/by/env.json");
    assert.equal(await findPolicyFile({ host, path: "by-option.json" }), "by-option.json");
    assert.equal(
      await findPolicyFile({ host: hostAt(root, { CONTAINERS_POLICY_JSON: "" }) }),
      root.join(user),
      "an empty variable names nothing",
    );
  });

  it("finds the user's file by XDG_CONFIG_HOME, and never below the working directory", async (t) => {
    const root = makeRoot(t);
    await put(root, "xdg/containers/policy.json", user, etc);
    const find = (xdg: string): Promise<string> => findPolicyFile({ host: hostAt(root, { XDG_CONFIG_HOME: xdg }) });
    assert.equal(await find(root.join("xdg")), root.join("xdg/containers/policy.json"));
    assert.equal(await find(""), root.join(etc));
    assert.equal(await find("."), root.join(etc));
  });

  it("names every path it searched when there is none", async (t) => {
    const root = makeRoot(t);
    await assert.rejects(findPolicyFile({ host: hostAt(root) }), (error) => {
      assert.ok(error instanceof StoreError);
      assert.equal(error.code, "policy-missing");
      for (const path of [user, etc, usr]) assert.ok(error.message.includes(root.join(path)), error.message);
      assert.match(error.hint ?? "", /--policy/);
      return true;
    });
  });

  it("does not pass over a file that it cannot look at for a less important one", async (t) => {
    const root = makeRoot(t);
    await put(root, etc);
    await mkdir(root.join("home"));
    await symlink("loop", root.join("home/loop"));
    const host = { ...hostAt(root), home: root.join("home/loop") };
    await assert.rejects(
      findPolicyFile({ host }),
      (error) => error instanceof StoreError && error.code === "file-unreadable",
    );
  });
});

describe("loadPolicy", () => {
  it("returns the policy with its path", async (t) => {
    const root = makeRoot(t);
    await put(root, etc);
    const { policy, path } = await loadPolicy({ host: hostAt(root) });
    assert.equal(path, root.join(etc));
    assert.equal(policy.default[0]?.type, "insecureAcceptAnything");
    assert.equal(policy.source, path);
  });

  it("does not fall back to another file when the first one is broken", async (t) => {
    const root = makeRoot(t);
    await put(root, user, etc);
    await writeFile(root.join(user), `${reject},`);
    await assert.rejects(loadPolicy({ host: hostAt(root) }), (error) => {
      assert.ok(error instanceof PolicyError, String(error));
      assert.equal(error.code, "policy-malformed");
      assert.ok(error.message.includes(root.join(user)), error.message);
      return true;
    });
  });

  it("fails for a named file that is missing, a folder, empty or a device", async (t) => {
    const root = makeRoot(t);
    await put(root, user, etc);
    await writeFile(root.join("empty"), "");
    for (const path of [root.join("missing"), root.path, root.join("empty"), "/dev/null"]) {
      await assert.rejects(loadPolicy({ host: hostAt(root), path }), SignetError);
      await assert.rejects(loadPolicy({ host: hostAt(root, { CONTAINERS_POLICY_JSON: path }) }), SignetError);
    }
  });
});
