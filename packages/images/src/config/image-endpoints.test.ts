import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { PolicyError, formatReference, parseReference, withDefaultTag } from "@signet/core";
import { findRegistry, pullEndpoints, pushEndpoint } from "./image-endpoints.ts";
import { parseRegistriesConfFile } from "./registries-conf-file.ts";
import { type RegistriesConf, emptyRegistriesConf } from "./registries-conf.ts";

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
const vectors = join(import.meta.dirname, "../../../../vectors/registries-conf");

function makeConf(bytes: Uint8Array): RegistriesConf {
  const { registries } = parseRegistriesConfFile(bytes, "file.conf");
  return { ...emptyRegistriesConf, registries };
}

const confOf = (text: string): RegistriesConf => makeConf(new TextEncoder().encode(text));
const pull = (conf: RegistriesConf, name: string): readonly string[] =>
  pullEndpoints(conf, withDefaultTag(parseReference(name))).map(
    ({ role, reference, insecure, blocked }) =>
      `${role} ${formatReference(reference)}${insecure ? " insecure" : ""}${blocked === undefined ? "" : ` (${blocked})`}`,
  );

describe("the table with the longest prefix is chosen alone", () => {
  const conf = makeConf(readFileSync(join(vectors, "find-registry.conf")));
  const cases: readonly (readonly [string, string | undefined])[] = [
    ["simple-prefix.com/foo/bar", "simple-prefix.com"],
    ["complex-prefix.com:4000/with/path/and/beyond", "complex-prefix.com:4000/with/path"],
    ["complex-prefix.com:4000/with/pathology", "*.com"],
    ["complex-prefix.net:4000/with/path", undefined],
    ["no-prefix.com/foo", "no-prefix.com"],
    ["empty-prefix.com/foo", "empty-prefix.com"],
    ["not.simple-prefix.com/foo", "*.simple-prefix.com"],
    ["really.so.simple-prefix.com/foo", "*.so.simple-prefix.com"],
    ["was.not.quite.simple-prefix.com/foo", "*.not.quite.simple-prefix.com"],
    ["foo.bar.example.com:5000/x", "foo.bar.example.com:5000"],
    ["foo.bar.example.com:5001/x", "*.bar.example.com"],
    ["a.docker.io/x", "*.docker.io"],
    ["docker.io/library/x", undefined],
    ["localhost/foo.com/x", undefined],
    ["no-prefix.com:5000/x", "no-prefix.com"],
    ["no-prefix.company/x", undefined],
  ];
  for (const [name, prefix] of cases) {
    test(`${name} has ${prefix ?? "none"}`, () => {
      assert.equal(findRegistry(conf, name)?.prefix, prefix);
    });
  }
});

describe("images are read from", () => {
  const conf = makeConf(readFileSync(join(vectors, "pull-sources-from-reference.conf")));
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["elsewhere.example/x", ["location elsewhere.example/x:latest"]],
    [
      "registry-a.com/foo/image:1",
      [
        "mirror mirror-1.registry-a.com/image:1",
        "mirror mirror-2.registry-a.com/image:1 insecure",
        "location registry-a.com/bar/image:1",
      ],
    ],
    ["registry-b.com/foo/image:1", ["location registry-b.com/bar/image:1"]],
    [
      `registry-b.com/foo/image@${digest}`,
      [
        `mirror mirror-1.registry-b.com/image@${digest}`,
        `mirror mirror-2.registry-b.com/image@${digest}`,
        `location registry-b.com/bar/image@${digest}`,
      ],
    ],
    ["registry-c.com/baz/x:1", ["mirror mirror-1.registry-c.com/x:1", "location registry-c.com/bar/x:1"]],
    [`registry-e.com/baz/x@${digest}`, [`location registry-e.com/bar/x@${digest}`]],
    [
      `registry-g.com/baz/x@${digest}`,
      [
        `mirror mirror-1.registry-g.com/x@${digest}`,
        `mirror mirror-3.registry-g.com/x@${digest}`,
        `mirror mirror-4.registry-g.com/x@${digest}`,
        `location registry-g.com/bar/x@${digest}`,
      ],
    ],
    [
      "registry-g.com/baz/x:1",
      [
        "mirror mirror-2.registry-g.com/x:1",
        "mirror mirror-3.registry-g.com/x:1",
        "mirror mirror-4.registry-g.com/x:1",
        "location registry-g.com/bar/x:1",
      ],
    ],
  ];
  for (const [name, endpoints] of cases) {
    test(`${endpoints.join(", ")} for ${name}`, () => {
      assert.deepEqual(pull(conf, name), endpoints);
    });
  }

  test("the place itself for a wildcard without location; on its mirror the whole host is replaced", () => {
    const wild = confOf(
      '[[registry]]\nprefix = "*.a.example"\ninsecure = true\n[[registry.mirror]]\nlocation = "m.example/a"\n',
    );
    assert.deepEqual(pull(wild, "x.y.a.example/z:1"), [
      "mirror m.example/a/z:1",
      "location x.y.a.example/z:1 insecure",
    ]);
    assert.deepEqual(pull(wild, "a.example/z:1"), ["location a.example/z:1"]);
  });

  test("nowhere, when a location makes no image name", () => {
    const impossible = [
      ["b.example/x", "a.example:5000/z:1"],
      ["docker.io", "a.example/z:1"],
    ] as const;
    for (const [location, name] of impossible) {
      const wrong = confOf(`[[registry]]\nprefix = "a.example"\nlocation = "${location}"\n`);
      assert.throws(
        () => pull(wrong, name),
        (error: unknown) => error instanceof PolicyError && /file\.conf: registry a\.example sends/.test(error.message),
      );
    }
  });
});

describe("blocked", () => {
  test("is what the table says, also of another location, while its mirrors may be asked", () => {
    const conf = confOf(
      '[[registry]]\nprefix = "a.example"\nlocation = "b.example"\nblocked = true\n[[registry.mirror]]\nlocation = "m.example"\n',
    );
    assert.deepEqual(pull(conf, "a.example/x:1"), [
      "mirror m.example/x:1",
      "location b.example/x:1 (registry a.example is blocked in file.conf)",
    ]);
  });

  test("are mirrors and locations that have a blocking table of their own", () => {
    const conf = confOf(
      '[[registry]]\nprefix = "a.example"\nlocation = "b.example"\n[[registry.mirror]]\nlocation = "m.example/y"\n' +
        '[[registry]]\nlocation = "b.example/x"\nblocked = true\n[[registry]]\nlocation = "m.example"\nblocked = true\n',
    );
    assert.deepEqual(pull(conf, "a.example/x:1"), [
      "mirror m.example/y/x:1 (registry m.example is blocked in file.conf)",
      "location b.example/x:1 (registry b.example/x is blocked in file.conf)",
    ]);
  });
});

test("images are written where their names say: neither mirrors nor locations count, insecure and blocked do", () => {
  const conf = confOf(
    '[[registry]]\nprefix = "a.example"\nlocation = "b.example"\ninsecure = true\nblocked = true\n[[registry.mirror]]\nlocation = "m.example"\n',
  );
  const reference = parseReference("a.example/x:1");
  assert.deepEqual(pushEndpoint(conf, reference), {
    role: "location",
    reference,
    insecure: true,
    blocked: "registry a.example is blocked in file.conf",
  });
  const other = parseReference("c.example/x:1");
  assert.deepEqual(pushEndpoint(conf, other), { role: "location", reference: other, insecure: false });
});
