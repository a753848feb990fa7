import assert from "node:assert/strict";
import { test } from "node:test";
import { parseReference } from "../reference/reference.ts";
import { dockerPolicyIdentity } from "./image-identity.ts";
import { explainUnmatchableScope } from "./scope-suggestion.ts";

const hex = "0123456789abcdef".repeat(4);

/** Scope → the one that would match; undefined where none can be told. */
const unmatchable: readonly (readonly [string, string | undefined])[] = [
  ["busybox", "docker.io/library/busybox"],
  ["busybox:latest", "docker.io/library/busybox:latest"],
  ["library", "docker.io/library"],
  ["team/app", "docker.io/team/app"],
  ["docker.io/busybox:1", "docker.io/library/busybox:1"],
  ["index.docker.io", "docker.io"],
  ["index.docker.io/library/busybox", "docker.io/library/busybox"],
  ["docker://registry.example.com/app", "registry.example.com/app"],
  ["docker://busybox", "docker.io/library/busybox"],
  ["https://registry.example.com/", "registry.example.com"],
  [" registry.example.com", "registry.example.com"],
  ["registry.example.com/a b", undefined],
  ["registry.example.com/", "registry.example.com"],
  ["registry.example.com//team", "registry.example.com/team"],
  ["/srv/images", undefined],
  ["registry.example.com/Team/App", "registry.example.com/team/app"],
  ["registry.example.com/Team/App:RC1", "registry.example.com/team/app:RC1"],
  ["TEAM/app", "docker.io/team/app"],
  ["TEAM/app:RC1", "docker.io/team/app:RC1"],
  ["*", ""],
  ["*.example.com:5000", "*.example.com"],
  ["*.example.com/team", "*.example.com"],
  ["example*.com", undefined],
  ["*example.com", undefined],
  ["*.*.example.com", undefined],
  ["registry.example.com/team/*", "registry.example.com/team"],
  ["registry.example.com/app:*", "registry.example.com/app"],
  ["registry.example.com/app:", "registry.example.com/app"],
  ["registry.example.com:latest", "registry.example.com"],
  [`registry.example.com/app:1@sha256:${hex}`, `registry.example.com/app@sha256:${hex}`],
  [`registry.example.com/app@sha256:${hex.toUpperCase()}`, `registry.example.com/app@sha256:${hex}`],
  ["registry.example.com/app@sha256:123", undefined],
  [`registry.example.com@sha256:${hex}`, undefined],
  [`busybox@sha256:${hex}`, `docker.io/library/busybox@sha256:${hex}`],
  ["registry_example.com/app", undefined],
  ["[::1]:5000/app", undefined],
  ["registry.example.com/app_", undefined],
  [`registry.example.com/${"a".repeat(600)}`, undefined],
];

for (const [scope, suggestion] of unmatchable) {
  test(`docker: no image is governed by ${JSON.stringify(scope.slice(0, 80))}`, () => {
    const found = explainUnmatchableScope("docker", scope);
    assert.ok(found !== undefined, "nothing was said");
    assert.equal(found.suggestion, suggestion);
    if (suggestion !== undefined) assert.equal(explainUnmatchableScope("docker", suggestion), undefined);
  });
}

test("docker: whatever an image is looked up by is matchable", () => {
  const names = [
    "busybox",
    "busybox:1.36",
    "registry:5000/app",
    "localhost/a/b/c:x",
    "a.b.example.com:8443/ns/img:1",
    "UPPER.example.com/app:RC1",
    "127.0.0.1:5000/app",
    `quay.io/team/app@sha256:${hex}`,
    "quay.io/a__b/c-d.e_f:v1",
  ];
  for (const name of names) {
    const { identity, namespaces } = dockerPolicyIdentity(parseReference(name));
    for (const scope of [identity, ...namespaces, ""]) {
      assert.equal(explainUnmatchableScope("docker", scope), undefined, scope);
      assert.equal(explainUnmatchableScope("docker-daemon", scope), undefined, scope);
    }
  }
});

test("a suggestion that governs more than was asked for says so", () => {
  for (const scope of ["*.example.com:5000", "*.example.com/team", "registry.example.com/app:", "example.com:latest"]) {
    assert.equal(explainUnmatchableScope("docker", scope)?.isWider, true, scope);
  }
  assert.equal(explainUnmatchableScope("docker", "busybox")?.isWider, undefined);
});

test("names in local storage are expanded, and know no wildcards", () => {
  const store = "[overlay@/var/lib/containers/storage]";
  assert.equal(explainUnmatchableScope("containers-storage", store), undefined);
  assert.equal(explainUnmatchableScope("containers-storage", `${store}quay.io/team`), undefined);
  const short = explainUnmatchableScope("containers-storage", `${store}busybox`);
  assert.equal(short?.suggestion, `${store}docker.io/library/busybox`);
  assert.match(explainUnmatchableScope("containers-storage", `${store}*.example.com`)!.problem, /no wildcards/);
});

test("paths, removed and unknown transports", () => {
  assert.equal(explainUnmatchableScope("dir", "/srv/images"), undefined);
  assert.equal(explainUnmatchableScope("future", "busybox"), undefined);
  assert.match(explainUnmatchableScope("ostree", "x")!.problem, /removed/);
});
