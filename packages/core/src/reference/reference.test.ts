import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FormatError } from "../errors.ts";
import {
  formatReference,
  isNameOnly,
  parseCanonicalReference,
  parseReference,
  referenceName,
  withDefaultTag,
} from "./reference.ts";

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

describe("parseReference brings names into normal form", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["busybox", "docker.io/library/busybox"],
    ["busybox:latest", "docker.io/library/busybox:latest"],
    ["library/busybox", "docker.io/library/busybox"],
    ["index.docker.io/busybox", "docker.io/library/busybox"],
    ["docker.io/ns/busybox", "docker.io/ns/busybox"],
    ["localhost/x", "localhost/x"],
    ["localhost", "docker.io/library/localhost"],
    ["localhost:5000/x:1", "localhost:5000/x:1"],
    ["example.com/ns/img", "example.com/ns/img"],
    ["EXAMPLE.com/img:Tag_1.2-3", "EXAMPLE.com/img:Tag_1.2-3"],
    [`example.com:80/a/b/c:t@${digest}`, `example.com:80/a/b/c:t@${digest}`],
    [`busybox@${digest}`, `docker.io/library/busybox@${digest}`],
    ["example.com/a__b/c---d/e.f_g", "example.com/a__b/c---d/e.f_g"],
    ["a:5000", "docker.io/library/a:5000"],
    ["192.168.64.2:5000/x", "192.168.64.2:5000/x"],
    [
      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
      "docker.io/library/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0",
    ],
  ];
  for (const [text, normal] of cases) {
    test(text, () => {
      assert.equal(formatReference(parseReference(text)), normal);
      assert.equal(formatReference(parseCanonicalReference(normal)), normal);
    });
  }
});

describe("parseReference refuses", () => {
  const cases = [
    "",
    " busybox",
    "busybox ",
    "busybox\n",
    "UPPER",
    "FOO/bar",
    "example.com/UPPER",
    "docker://busybox",
    "a//b",
    "/a",
    "a/",
    "a:",
    "a@",
    "a:b:c",
    "-a",
    "a-",
    "a___b",
    "a..b/c",
    "exa_mple.com/a.b",
    "[::1]:5000/x",
    "a\0b",
    "example.com:x/a",
    "sha256:abc@",
    `a@${digest.toUpperCase()}`,
    `a@${digest}0`,
    `a@md5:${"0".repeat(32)}`,
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    `a:${"t".repeat(129)}`,
    `example.com/${"a".repeat(244)}`,
    "é",
    "example.com/é",
    ".a/b",
    "a./b:c",
    `a@${digest}@${digest}`,
  ];
  for (const text of cases) {
    test(JSON.stringify(text.slice(0, 60)), () => {
      assert.throws(
        () => parseReference(text),
        (error: unknown) => error instanceof FormatError && error.code === "reference-malformed",
      );
    });
  }

  test("an upper-case path with the reason and the spelling that would do", () => {
    assert.throws(
      () => parseReference("example.com/UPPER"),
      (error: unknown) =>
        error instanceof FormatError &&
        /repository name must be lowercase/.test(error.message) &&
        error.hint === "write it as example.com/upper",
    );
  });

  test("a name of 255 characters is the longest", () => {
    assert.equal(referenceName(parseReference(`example.com/${"a".repeat(243)}`)).length, 255);
  });
});

test("a canonical reference is refused when it is a short form", () => {
  for (const text of ["busybox", "library/busybox", "index.docker.io/library/busybox", "docker.io/busybox:1"]) {
    assert.throws(() => parseCanonicalReference(text), /must be canonical/);
  }
});

test("a default tag is added only to a bare name", () => {
  assert.equal(formatReference(withDefaultTag(parseReference("a"))), "docker.io/library/a:latest");
  assert.equal(withDefaultTag(parseReference("a:1")).tag, "1");
  assert.equal(withDefaultTag(parseReference(`a@${digest}`)).tag, undefined);
  assert.equal(isNameOnly(parseReference("a")), true);
  assert.equal(isNameOnly(parseReference("a:1")), false);
});

test("whatever parses is stable: formatting and parsing again gives the same", () => {
  const piece = fc.stringMatching(/^[a-zA-Z0-9._:@/-]{1,40}$/);
  fc.assert(
    fc.property(piece, (text) => {
      let first: string;
      try {
        first = formatReference(parseReference(text));
      } catch (error) {
        assert.ok(error instanceof FormatError);
        return;
      }
      assert.equal(formatReference(parseCanonicalReference(first)), first);
    }),
    { numRuns: 2000, seed: 7 },
  );
});
