import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { StoreError } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { findPolicyFile } from "./policy-file.ts";
import { loadRegistriesD } from "./registries-d.ts";
import { resolveInRoot } from "./rooted-path.ts";

test("links inside a tree are followed as its own system would, and nothing leads out of it", () => {
  using dir = makeTempDir();
  mkdirSync(dir.join("root/usr/share"), { recursive: true });
  mkdirSync(dir.join("root/etc"));
  symlinkSync("/usr/share", dir.join("root/etc/absolute"));
  symlinkSync("../usr/share", dir.join("root/etc/relative"));
  symlinkSync("../../../../..", dir.join("root/etc/up"));
  symlinkSync("absolute/x", dir.join("root/etc/chain"));
  symlinkSync("absolute/../x", dir.join("root/etc/behind"));
  symlinkSync("loop", dir.join("root/etc/loop"));
  const root = dir.join("root");
  const found = (path: string): string => resolveInRoot(root, path);
  assert.equal(found("/etc/absolute/key"), dir.join("root/usr/share/key"));
  assert.equal(found("/etc/relative/key"), dir.join("root/usr/share/key"));
  assert.equal(found("/etc/chain"), dir.join("root/usr/share/x"));
  // Up from where the link led, not from where it stands.
  assert.equal(found("/etc/behind"), dir.join("root/usr/x"));
  assert.equal(found("/etc/up/key"), dir.join("root/key"));
  assert.equal(found("/../../key"), dir.join("root/key"));
  assert.equal(found("no/such/../key"), dir.join("root/no/key"));
  assert.throws(
    () => found("/etc/loop/key"),
    (error) => error instanceof StoreError && /too many levels/.test(error.message),
  );
});

test("policy and registries.d of a tree are found where its own links lead, never outside", async () => {
  using dir = makeTempDir();
  const put = (path: string, text: string): void => {
    mkdirSync(dirname(dir.join(path)), { recursive: true });
    writeFileSync(dir.join(path), text);
  };
  // What the links would lead to on this machine, and what they lead to in the tree.
  put("outside/policy.json", "x");
  put("outside/registries.d/a.yaml", "docker: { outside.example.com: {} }");
  put(`root${dir.path}/outside/policy.json`, "y");
  put(`root${dir.path}/outside/registries.d/a.yaml`, "docker: { inside.example.com: {} }");
  mkdirSync(dir.join("root/etc/containers"), { recursive: true });
  symlinkSync(dir.join("outside/policy.json"), dir.join("root/etc/containers/policy.json"));
  symlinkSync(dir.join("outside/registries.d"), dir.join("root/etc/containers/registries.d"));
  const host = { env: { XDG_CONFIG_HOME: "" }, uid: 0, home: "/root", root: dir.join("root") };
  assert.equal(await findPolicyFile({ host }), dir.join(`root${dir.path}/outside/policy.json`));
  assert.deepEqual([...(await loadRegistriesD({ host })).sections.keys()], ["inside.example.com"]);
});

test("without a root a path stays as it is", () => {
  assert.equal(resolveInRoot(undefined, "../x"), "../x");
});
