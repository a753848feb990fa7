import assert from "node:assert/strict";
import { test } from "node:test";
import { parseReference } from "../../reference/reference.ts";
import { dockerPolicyIdentity, pathPolicyIdentity } from "../image-identity.ts";
import { isBelow, lessSpecificScopes, pathOfScope } from "./scope-order.ts";

test("the scopes above a scope are those that an image's look-up would go on with", () => {
  const names = ["busybox:1", "a.b.example.com:8443/ns/img:1", "localhost/x/y", `quay.io/a/b@sha256:${"0".repeat(64)}`];
  for (const name of names) {
    const { identity, namespaces } = dockerPolicyIdentity(parseReference(name));
    const chain = [identity, ...namespaces, ""];
    chain.forEach((scope, index) => {
      assert.deepEqual(lessSpecificScopes("docker", scope), chain.slice(index + 1), scope);
      for (const parent of chain.slice(index)) assert.ok(isBelow(scope, parent), `${scope} below ${parent}`);
      for (const child of chain.slice(0, index)) assert.ok(!isBelow(scope, child), `${scope} not below ${child}`);
    });
  }
  const { identity, namespaces } = pathPolicyIdentity("dir", "/srv/images/app");
  assert.deepEqual(lessSpecificScopes("dir", identity), [...namespaces, ""]);
  assert.deepEqual(lessSpecificScopes("docker-archive", ""), []);
  assert.deepEqual(lessSpecificScopes("containers-storage", "[/x]docker.io/a"), [""]);
});

test("the path of a scope is what a store's folders are named by", () => {
  assert.equal(pathOfScope("registry.example.com:5000/team/app:1"), "team/app");
  assert.equal(pathOfScope("registry.example.com:5000"), "");
  assert.equal(pathOfScope("*.example.com"), "");
  assert.equal(pathOfScope(""), "");
});
