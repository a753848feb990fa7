import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseReference } from "../reference/reference.ts";
import { dockerPolicyIdentity } from "./image-identity.ts";
import { dockerScopeAncestors } from "./scope-ancestors.ts";

void describe("dockerScopeAncestors", () => {
  void it("goes on from any scope as the look-up of an image does", () => {
    for (const name of [
      "registry.example.com:5000/team/sub/app:1",
      `a.b.example.com/app@sha256:${"a".repeat(64)}`,
      "localhost/app:1",
      "localhost:5000/app:1",
      "docker.io/library/busybox:latest",
    ]) {
      const { identity, namespaces } = dockerPolicyIdentity(parseReference(name));
      const chain = [identity, ...namespaces];
      for (const [index, scope] of chain.entries())
        assert.deepEqual(dockerScopeAncestors(scope), chain.slice(index + 1), scope);
    }
  });

  void it("gives a wildcard the wildcards of its parent domains", () => {
    assert.deepEqual(dockerScopeAncestors("*.b.example.com"), ["*.example.com", "*.com"]);
    assert.deepEqual(dockerScopeAncestors("*.com"), []);
  });

  void it("gives nothing to what has no parent", () => {
    assert.deepEqual(dockerScopeAncestors("localhost"), []);
    assert.deepEqual(dockerScopeAncestors(""), []);
  });
});
