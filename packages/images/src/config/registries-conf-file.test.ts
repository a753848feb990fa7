import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { PolicyError } from "@signet/core";
import { type RegistriesConfFile, parseRegistriesConfFile } from "./registries-conf-file.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/registries-conf");
const parse = (text: string): RegistriesConfFile =>
  parseRegistriesConfFile(new TextEncoder().encode(text), "file.conf");
const parseVector = (name: string): RegistriesConfFile =>
  parseRegistriesConfFile(readFileSync(join(vectors, name)), name);

describe("files of containers/image", () => {
  const good: Readonly<Record<string, readonly string[]>> = {
    "aliases.conf": [],
    "base-for-registries.d.conf": ["base.com"],
    "cred-helper.conf": ["registry-a.com", "registry-b.com", "registry-c.com"],
    "empty.conf": [],
    "example.conf": [],
    "find-registry.conf": [
      "*.bar.docker.io",
      "*.bar.example.com",
      "*.com",
      "*.docker.io",
      "*.foobar.io",
      "*.internal.registry.com",
      "*.not.quite.simple-prefix.com",
      "*.simple-prefix.com",
      "*.so.simple-prefix.com",
      "another-registry.com",
      "complex-prefix.com:4000/with/path",
      "empty-prefix.com",
      "foo.bar.example.com:5000",
      "no-prefix.com",
      "simple-prefix.com",
    ],
    "invalidate-cache.conf": [
      "blocked.registry.com",
      "insecure.registry.com",
      "registry.com",
      "untrusted.registry.com",
    ],
    "mirrors.conf": ["blocked.registry.com", "registry.com"],
    "pull-sources-from-reference.conf": [
      "registry-a.com/baz",
      "registry-a.com/foo",
      "registry-b.com/baz",
      "registry-b.com/foo",
      "registry-c.com/baz",
      "registry-d.com/baz",
      "registry-e.com/baz",
      "registry-f.com/baz",
      "registry-g.com/baz",
    ],
    "try-update-cache-valid.conf": ["registry.com"],
    "unmarshal.conf": ["blocked.registry.com", "insecure.registry.com", "registry.com", "untrusted.registry.com"],
    "unqualified-search.conf": ["registry-a.com", "registry-b.com", "registry-c.com", "registry-d.com"],
  };
  for (const [name, prefixes] of Object.entries(good)) {
    test(`${name} is read without a warning`, () => {
      const file = parseVector(name);
      assert.deepEqual(
        file.registries.map(({ prefix }) => prefix),
        prefixes,
      );
      assert.deepEqual(file.warnings, []);
    });
  }

  const bad: Readonly<Record<string, RegExp>> = {
    "blocked-conflicts.conf": /"registry.com" is defined several times with different values of blocked/,
    "insecure-conflicts.conf": /"registry.com" is defined several times with different values of insecure/,
    "invalid-aliases.conf": /"image1" leads to "quay.io\/repo\/image:1": it has a tag/,
    "invalid-config-level-mirror.conf": /registry\[0\]: pull-from-mirror belongs into a \[\[registry.mirror\]\] table/,
    "invalid-conflict-mirror.conf": /registry\[0\]\.mirror\[0\]: pull-from-mirror and .*mirror-by-digest-only cannot/,
    "invalid-prefix.conf":
      /registry\[0\]\.prefix "http:\/\/schema-is-invalid.com" is not the beginning of an image name/,
    "invalid-search.conf": /unqualified-search-registries: "registry-a.com\/namespace-is-forbidden" is not a registry/,
    "invalid-short-name-mode.conf": /short-name-mode is "invalid"/,
    "invalid-value-mirror.conf": /registry\[0\]\.mirror\[0\]\.pull-from-mirror is "notvalid"/,
    "missing-mirror-location.conf": /registry\[1\]\.mirror\[1\]: the mirror's location is not set/,
    "mixing-v1-v2-empty.conf": /mixes version 1/,
    "mixing-v1-v2.conf": /mixes version 1/,
    "try-update-cache-invalid.conf": /^try-update-cache-invalid.conf:1: /,
    "v1-compatibility.conf": /in version 1 of the format/,
    "v1-invalid-block.conf": /in version 1 of the format/,
    "v1-invalid-insecure.conf": /in version 1 of the format/,
    "v1-invalid-search.conf": /in version 1 of the format/,
  };
  for (const [name, message] of Object.entries(bad)) {
    test(`${name} is refused with its place, and a way out`, () => {
      assert.throws(
        () => parseVector(name),
        (error: unknown) => {
          assert.ok(error instanceof PolicyError);
          assert.equal(error.code, "registries-conf-malformed");
          assert.match(error.message, message);
          assert.ok(error.message.startsWith(name), error.message);
          assert.notEqual(error.hint, undefined);
          return true;
        },
      );
    });
  }

  test("every file here is named above", async () => {
    const { readdirSync } = await import("node:fs");
    const names = readdirSync(vectors).filter((name) => name.endsWith(".conf"));
    assert.deepEqual(names.toSorted(), [...Object.keys(good), ...Object.keys(bad)].toSorted());
  });

  test("aliases lead to repositories in full form, and an empty one takes away", () => {
    const { aliases, shortNameMode } = parseVector("aliases.conf");
    assert.deepEqual(
      [...aliases].map(([name, { repository }]) => [name, repository]),
      [
        ["docker", "docker.io/library/foo"],
        ["quay/foo", "quay.io/library/foo"],
        ["example", "example.com/library/foo"],
        ["empty", undefined],
      ],
    );
    assert.equal(shortNameMode, "enforcing");
  });
});

describe("a file", () => {
  test("gives each mirror the use that the registry or the mirror itself says", () => {
    const { registries } = parse(`
      [[registry]]
      prefix = "a.example/x/"
      location = "b.example"
      mirror-by-digest-only = true
      [[registry.mirror]]
      location = "m1.example"
      insecure = true
      [[registry]]
      location = "c.example"
      blocked = true
      [[registry.mirror]]
      location = "m2.example/y//"
      pull-from-mirror = "tag-only"
      [[registry.mirror]]
      location = "m3.example:5000"
    `);
    assert.deepEqual(registries, [
      {
        prefix: "a.example/x",
        location: "b.example",
        insecure: false,
        blocked: false,
        mirrors: [{ location: "m1.example", insecure: true, use: "digest-only" }],
        file: "file.conf",
      },
      {
        prefix: "c.example",
        location: "c.example",
        insecure: false,
        blocked: true,
        mirrors: [
          { location: "m2.example/y", insecure: false, use: "tag-only" },
          { location: "m3.example:5000", insecure: false, use: "all" },
        ],
        file: "file.conf",
      },
    ]);
  });

  test("with the same prefix twice keeps the first, and says so", () => {
    const { registries, warnings } = parse(
      '[[registry]]\nprefix = "a.example"\nlocation = "one.example"\n[[registry]]\nprefix = "a.example"\nlocation = "two.example"',
    );
    assert.deepEqual(
      registries.map(({ location }) => location),
      ["one.example"],
    );
    assert.match(warnings.join(), /a\.example.* more than once; the first one counts/);
  });

  test("names keys that are not known, at every depth, and keeps the rest", () => {
    const { registries, warnings } = parse(
      'x = 1\n[[registry]]\nlocation = "a.example"\ny = 2\n[[registry.mirror]]\nlocation = "b.example"\nz = 3',
    );
    assert.equal(registries.length, 1);
    assert.deepEqual(warnings, [
      'file.conf: "x" is not known and passed over',
      'file.conf: registry[0]."y" is not known and passed over',
      'file.conf: registry[0].mirror[0]."z" is not known and passed over',
    ]);
  });

  test("warns of a prefix with a tag or digest, which fits no image", () => {
    for (const prefix of ["a.example/x:1", `a.example/x@sha256:${"0".repeat(64)}`]) {
      const { warnings } = parse(`[[registry]]\nprefix = "${prefix}"\nlocation = "a.example/y"`);
      assert.match(warnings.join(), /fits no image/);
    }
  });

  const registry = (line: string): string => `[[registry]]\nlocation = "a.example"\n${line}`;
  const refused: readonly (readonly [string, string, RegExp])[] = [
    [
      "a known key in another case, which the reference takes",
      registry("Blocked = true"),
      /Blocked: keys are lower-case/,
    ],
    ["a truth value in quotes", registry('blocked = "true"'), /blocked is not a truth value/],
    ["a number as location", "[[registry]]\nlocation = 1", /location is not a text/],
    ["a registry that is no list", '[registry]\nlocation = "a.example"', /registry is not a list of tables/],
    ["a registry without prefix and location", "[[registry]]\ninsecure = true", /neither location nor prefix/],
    ["a prefix alone", '[[registry]]\nprefix = "a.example"', /location is not set/],
    ["a wildcard in the middle", registry('prefix = "a.*.example"'), /a wildcard stands for the first labels/],
    ["a wildcard with a path", registry('prefix = "*.example/x"'), /a wildcard stands for the first labels/],
    ["a wildcard with a port", registry('prefix = "*.example:1"'), /a wildcard stands for the first labels/],
    ["a lone wildcard", registry('prefix = "*"'), /a wildcard stands for the first labels/],
    ["a wildcard as location", '[[registry]]\nlocation = "*.example"', /not the beginning of an image name/],
    ["an upper-case path", '[[registry]]\nlocation = "a.example/X"', /not the beginning of an image name/],
    ["a location with a space", '[[registry]]\nlocation = "a.example /x"', /not the beginning of an image name/],
    ["a location with a tag", '[[registry]]\nlocation = "a.example/x:1"', /not the beginning of an image name/],
    [
      "a very long location",
      `[[registry]]\nlocation = "${"a-".repeat(100_000)}"`,
      /not the beginning of an image name/,
    ],
    [
      "a search registry of one label, which the reference reads as a path on docker.io",
      'unqualified-search-registries = ["hub"]',
      /"hub" is not a registry/,
    ],
    ["an alias with a host on its left", '[aliases]\n"a.example/x" = "b.example/x"', /is not a short name/],
    ["an alias without quotes around its dots", '[aliases]\na.b = "b.example/x"', /"a" is not a text/],
    ["an alias without a host on its right", '[aliases]\nx = "library/x"', /it has no host/],
    ["sixty-five mirrors", registry('[[registry.mirror]]\nlocation = "b.example"\n'.repeat(65)), /more than 64 tables/],
    ["text that is not UTF-8", "", /not TOML|encoded/],
    ["arrays nested ten thousand deep", `x = ${"[".repeat(10_000)}`, /file\.conf/],
  ];
  for (const [name, text, message] of refused) {
    test(`with ${name} is refused`, () => {
      const bytes = text === "" ? Uint8Array.of(0xff) : new TextEncoder().encode(text);
      assert.throws(
        () => parseRegistriesConfFile(bytes, "file.conf"),
        (error: unknown) => {
          assert.ok(error instanceof PolicyError, String(error));
          assert.match(error.message, message);
          assert.ok(error.message.length < 1000);
          return true;
        },
      );
    });
  }
});
