import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatReference, parseReference } from "../reference/reference.ts";
import { dockerPolicyIdentity } from "./image-identity.ts";
import { adviseScope } from "./scope-advice.ts";
import { explainUnmatchableScope } from "./scope-suggestion.ts";
import { enclosingScopes, isWithinScope } from "./scope-order.ts";

const hex = "0123456789abcdef".repeat(4);

describe("advice on scopes", () => {
  test("scopes that images can have are left alone", () => {
    for (const scope of [
      "",
      "docker.io",
      "docker.io/library",
      "docker.io/library/busybox",
      "docker.io/library/busybox:1.36",
      "docker.io/team",
      "registry.example.com",
      "registry.example.com:5000",
      "localhost",
      "localhost:5000/a/b",
      "myhost:5000",
      "registry.example.com/team/app:v1.2_3",
      `registry.example.com/team/app@sha256:${hex}`,
      "*.example.com",
      "*.com",
      "EXAMPLE.com/team",
    ]) {
      assert.equal(adviseScope("docker", scope), undefined, scope);
    }
    for (const [transport, scope] of [
      ["dir", "/var/lib/images"],
      ["oci", "/a"],
      ["atomic", "registry.example.com/ns/stream:tag"],
      ["containers-storage", "[overlay@/var/lib/containers]docker.io/library/busybox"],
      ["docker-daemon", "docker.io/library/busybox"],
      ["unheard-of", "anything"],
    ] as const) {
      assert.equal(adviseScope(transport, scope), undefined, scope);
    }
  });

  const instead: readonly (readonly [scope: string, instead: string | undefined, transport?: string])[] = [
    ["busybox", "docker.io/library/busybox"],
    ["busybox:1.36", "docker.io/library/busybox:1.36"],
    ["team/app", "docker.io/team/app"],
    ["index.docker.io", "docker.io"],
    ["index.docker.io/library/busybox", "docker.io/library/busybox"],
    ["docker.io/busybox:1", "docker.io/library/busybox:1"],
    ["docker://registry.example.com/x", "registry.example.com/x"],
    ["docker://busybox", "docker.io/library/busybox"],
    ["https://registry.example.com/", "registry.example.com"],
    ["http://registry.example.com/x", "registry.example.com/x"],
    ["registry.example.com/", "registry.example.com"],
    ["registry.example.com/team//", "registry.example.com/team"],
    ["registry.example.com/Team/App:V1", "registry.example.com/team/app:V1"],
    ["FOO/bar", "docker.io/foo/bar"],
    ["*.example.com:5000", "*.example.com"],
    ["*.example.com/team", "*.example.com"],
    ["*", ""],
    ["example*.com", undefined],
    ["*.*.com", undefined],
    ["*.", undefined],
    [`registry.example.com/x:1@sha256:${hex}`, `registry.example.com/x@sha256:${hex}`],
    [`registry.example.com/x@sha256:${hex.toUpperCase()}`, `registry.example.com/x@sha256:${hex}`],
    [`busybox@sha256:${hex}`, `docker.io/library/busybox@sha256:${hex}`],
    [`registry.example.com@sha256:${hex}`, undefined],
    ["registry.example.com/x@sha256:abc", undefined],
    ["registry.example.com/x@", undefined],
    [" registry.example.com", "registry.example.com"],
    ["a b", undefined],
    ["registry.example.com/a b", undefined],
    ["dir:/var/images", "/var/images", "dir"],
    ["oci://x", undefined],
    ["[::1]:5000/x", undefined],
    ["-registry.example.com", undefined],
    ["/x", undefined],
  ];
  for (const [scope, better, transport] of instead) {
    test(`${JSON.stringify(scope)} cannot match${better === undefined ? "" : `; ${JSON.stringify(better)} is offered`}`, () => {
      const advice = adviseScope("docker", scope);
      assert.notEqual(advice, undefined);
      assert.notEqual(advice?.problem, "");
      assert.equal(advice?.instead, better);
      assert.equal(advice?.transport, transport);
    });
  }

  test("paths must be absolute and clean", () => {
    assert.equal(adviseScope("dir", "/a//b/../c/")?.instead, "/a/c");
    assert.equal(adviseScope("dir", "images")?.instead, undefined);
    assert.match(adviseScope("dir", "images")?.problem ?? "", /absolute/);
    assert.equal(adviseScope("oci", "/")?.instead, undefined);
    assert.match(adviseScope("docker-archive", "x")?.problem ?? "", /only the scope ""/);
  });

  test("what is offered is itself without fault, whatever was asked", () => {
    const pieces = fc.constantFrom(
      "a",
      "B",
      "docker.io",
      "index.docker.io",
      "*",
      "*.",
      "/",
      "//",
      ":",
      "@",
      "sha256:",
      hex,
      " ",
      "docker://",
      ":5000",
      ".",
      "-",
      "http://",
      "%",
      "..",
    );
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 7 }),
        fc.constantFrom("docker", "dir", "atomic", "docker-daemon"),
        (parts, transport) => {
          const advice = adviseScope(transport, parts.join(""));
          if (advice?.instead === undefined) return;
          assert.equal(adviseScope(advice.transport ?? transport, advice.instead), undefined, advice.instead);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("every scope that an image is looked up by passes", () => {
    const label = fc.stringMatching(/^[a-z0-9]{1,4}$/);
    fc.assert(
      fc.property(
        fc.array(label, { minLength: 2, maxLength: 4 }),
        fc.array(label, { minLength: 1, maxLength: 3 }),
        fc.option(label),
        (host, path, tag) => {
          const reference = parseReference(`${host.join(".")}/${path.join("/")}${tag === null ? "" : `:${tag}`}`);
          const { identity, namespaces } = dockerPolicyIdentity(reference);
          for (const scope of [identity, ...namespaces]) assert.equal(adviseScope("docker", scope), undefined, scope);
          assert.deepEqual(enclosingScopes("docker", identity), [...namespaces, ""], formatReference(reference));
        },
      ),
    );
  });
});

describe("advice on what is written, and lints of what stands there", () => {
  /** Scope → what both offer; undefined: both have nothing against it; null: both have, and nothing to offer. */
  const names: readonly (readonly [scope: string, instead: string | null | undefined, isWider?: true])[] = [
    ["library", "docker.io/library"],
    ["Library", "docker.io/library"],
    ["library:x", "docker.io/library/library:x"],
    ["docker.io/library", undefined],
    ["busybox", "docker.io/library/busybox"],
    ["TEAM/app:RC1", "docker.io/team/app:RC1"],
    ["docker.io/x", undefined],
    ["docker.io/x:1", "docker.io/library/x:1"],
    ["index.docker.io/x", "docker.io/x"],
    ["index.docker.io:443", undefined],
    ["a.b:x", "a.b", true],
    ["a.b:", "a.b", true],
    ["a.b:5000:6", "a.b", true],
    ["index.docker.io:x", "docker.io", true],
    ["localhost:x", "localhost", true],
    ["a.b:5000", undefined],
    ["a.b/x:", "a.b/x", true],
    ["a.b//x", "a.b/x"],
    ["a.b/x/", "a.b/x"],
    ["a.b/*", "a.b"],
    ["a.b:*", "a.b"],
    ["*.a.b:5000", "*.a.b", true],
    ["*a.b", null],
    ["*", ""],
    ["a_b.c/x", null],
    [`a.b/@sha256:${hex}`, null],
    [`a.b/x:1@sha256:${hex}`, `a.b/x@sha256:${hex}`],
  ];
  for (const [scope, instead, isWider] of names) {
    test(`agree on ${JSON.stringify(scope)}`, () => {
      for (const transport of ["docker", "docker-daemon"]) {
        const [advice, found] = [adviseScope(transport, scope), explainUnmatchableScope(transport, scope)];
        const expected = instead === undefined ? undefined : [instead ?? undefined, isWider];
        assert.deepEqual(advice && [advice.instead, advice.isWider], expected);
        assert.deepEqual(found && [found.suggestion, found.isWider], expected);
      }
    });
  }

  test("nothing that may be written is found fault with afterwards", () => {
    const pieces = fc.constantFrom(
      "a",
      "B",
      ".b",
      "docker.io",
      "library",
      "[d@/r]",
      "*",
      "/",
      ":",
      "@",
      `sha256:${hex}`,
      ":5000",
    );
    const transports = fc.constantFrom("docker", "docker-daemon", "containers-storage", "atomic", "dir");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 7 }), transports, (parts, transport) => {
        const scope = parts.join("");
        if (adviseScope(transport, scope) === undefined)
          assert.equal(explainUnmatchableScope(transport, scope), undefined, scope);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("the order of scopes", () => {
  test("from a tag over repository, namespaces, host and wildcards to the transport", () => {
    assert.deepEqual(enclosingScopes("docker", "a.b.example.com:8443/ns/img:1"), [
      "a.b.example.com:8443/ns/img",
      "a.b.example.com:8443/ns",
      "a.b.example.com:8443",
      "*.b.example.com",
      "*.example.com",
      "*.com",
      "",
    ]);
    assert.deepEqual(enclosingScopes("docker", "localhost:5000"), [""]);
    assert.deepEqual(enclosingScopes("docker", "*.b.example.com"), ["*.example.com", "*.com", ""]);
    assert.deepEqual(enclosingScopes("docker", `h.io/x@sha256:${hex}`), ["h.io/x", "h.io", "*.io", ""]);
    assert.deepEqual(enclosingScopes("dir", "/a/b/c"), ["/a/b", "/a", ""]);
    assert.deepEqual(enclosingScopes("docker-archive", ""), []);
    assert.deepEqual(enclosingScopes("containers-storage", "[/x]a"), [""]);
  });

  test("a scope is within those that would be asked after it, and not within itself", () => {
    assert.equal(isWithinScope("docker", "h.io/team/app", "h.io/team"), true);
    assert.equal(isWithinScope("docker", "h.io/team/app", ""), true);
    assert.equal(isWithinScope("docker", "h.io/team", "h.io/te"), false);
    assert.equal(isWithinScope("docker", "h.io/team", "h.io/team"), false);
    assert.equal(isWithinScope("dir", "/a/b", "/a"), true);
  });
});
