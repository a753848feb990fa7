import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PolicyError, parsePolicy } from "@signet/core";
import { parseRegistriesConfFile } from "./registries-conf-file.ts";
import { type RegistriesConf, emptyRegistriesConf } from "./registries-conf.ts";
import { deriveRemapRules } from "./remap-rules.ts";

interface Table {
  readonly prefix?: string;
  readonly location?: string;
  readonly mirrors?: readonly string[];
}

function confOf(...tables: readonly Table[]): RegistriesConf {
  const text = tables.map(({ prefix, location, mirrors = [] }) => {
    const lines = mirrors.map((mirror) => `[[registry.mirror]]\nlocation = "${mirror}"\n`);
    const own = [
      ...(prefix === undefined ? [] : [`prefix = "${prefix}"\n`]),
      ...(location === undefined ? [] : [`location = "${location}"\n`]),
    ];
    return `[[registry]]\n${own.join("")}${lines.join("")}`;
  });
  const { registries } = parseRegistriesConfFile(new TextEncoder().encode(text.join("")), "file.conf");
  return { ...emptyRegistriesConf, registries, files: ["file.conf"] };
}

const rulesFor = (conf: RegistriesConf, scope: string): readonly string[] =>
  deriveRemapRules(conf, scope).map(({ scope: at, remap }) =>
    remap === undefined ? at : `${at}: ${remap.prefix} = ${remap.signedPrefix}`,
  );

const mirrored = confOf(
  { location: "registry.example.com/team", mirrors: ["mirror.local/proxy/team", "far.local:5000"] },
  { location: "quay.io", mirrors: ["mirror.local/quay"] },
  { location: "plain.example" },
);
const relocated = confOf({ prefix: "a.example/x", location: "b.example/y", mirrors: ["m.example/z"] });

describe("the rules of a scope", () => {
  const cases: readonly (readonly [string, RegistriesConf, string, readonly string[]])[] = [
    [
      "that is mirrored: its own name, and each mirror",
      mirrored,
      "registry.example.com/team",
      [
        "registry.example.com/team",
        "far.local:5000: far.local:5000 = registry.example.com/team",
        "mirror.local/proxy/team: mirror.local/proxy/team = registry.example.com/team",
      ],
    ],
    [
      "that lies in what is mirrored: only that part of each mirror",
      mirrored,
      "registry.example.com/team/app",
      [
        "registry.example.com/team/app",
        "far.local:5000/app: far.local:5000 = registry.example.com/team",
        "mirror.local/proxy/team/app: mirror.local/proxy/team = registry.example.com/team",
      ],
    ],
    [
      "that has what is mirrored below it",
      mirrored,
      "registry.example.com",
      [
        "registry.example.com",
        "far.local:5000: far.local:5000 = registry.example.com/team",
        "mirror.local/proxy/team: mirror.local/proxy/team = registry.example.com/team",
      ],
    ],
    ["that is a mirror", mirrored, "mirror.local/quay", ["mirror.local/quay: mirror.local/quay = quay.io"]],
    ["that lies in a mirror", mirrored, "mirror.local/quay/x", ["mirror.local/quay/x: mirror.local/quay = quay.io"]],
    [
      "that has mirrors of several registries below it",
      mirrored,
      "mirror.local",
      [
        "mirror.local",
        "mirror.local/proxy/team: mirror.local/proxy/team = registry.example.com/team",
        "mirror.local/quay: mirror.local/quay = quay.io",
      ],
    ],
    [
      "that is a location: signed under the prefix",
      relocated,
      "b.example/y/app",
      ["b.example/y/app: b.example/y = a.example/x"],
    ],
    [
      "that is a prefix of another location: signed under the location, also on mirrors",
      relocated,
      "a.example/x",
      ["a.example/x: a.example/x = b.example/y", "m.example/z: m.example/z = b.example/y"],
    ],
    [
      "for which the longest prefix counts alone",
      confOf(
        { location: "a.example", mirrors: ["one.example"] },
        { location: "a.example/x", mirrors: ["two.example/x"] },
      ),
      "a.example/x/app",
      ["a.example/x/app", "two.example/x/app: two.example/x = a.example/x"],
    ],
    [
      "that two tables mirror to the same effect",
      confOf({ location: "a.example", mirrors: ["m.example"] }, { location: "a.example/x", mirrors: ["m.example/x"] }),
      "m.example/x/app",
      ["m.example/x/app: m.example/x = a.example/x"],
    ],
  ];
  for (const [name, conf, scope, rules] of cases) {
    test(name, () => {
      assert.deepEqual(rulesFor(conf, scope), rules);
    });
  }
});

describe("no rule is guessed for a scope", () => {
  const cases: readonly (readonly [string, RegistriesConf, string, RegExp])[] = [
    [
      "that nothing speaks of",
      mirrored,
      "other.example",
      /no mirror and no other location is known for other\.example/,
    ],
    ["that has neither mirror nor other location", mirrored, "plain.example", /no mirror/],
    ["without any registries.conf", emptyRegistriesConf, "a.example", /no registries\.conf is there/],
    ["whose name only begins like a mirror", mirrored, "mirror.local/quayside", /no mirror/],
    [
      "that mirrors two registries",
      confOf({ location: "a.example", mirrors: ["m.example"] }, { location: "b.example", mirrors: ["m.example"] }),
      "m.example",
      /two names: a\.example .*b\.example/,
    ],
    [
      "one of whose mirrors is another registry's as well",
      confOf({ location: "a.example", mirrors: ["m.example"] }, { location: "b.example", mirrors: ["m.example"] }),
      "a.example",
      /images at m\.example may have been signed under two names/,
    ],
    [
      "that mirrors what lies at another location",
      relocated,
      "m.example/z",
      /two names: a\.example\/x .*b\.example\/y/,
    ],
    ["with a prefix of another location below it", relocated, "a.example", /cannot be told under which name/],
    ["with such a location below it", relocated, "b.example", /cannot be told under which name/],
    [
      "that a wildcard stands for",
      confOf({ prefix: "*.a.example", mirrors: ["m.example"] }),
      "x.a.example",
      /\*\.a\.example stands for many hosts/,
    ],
  ];
  for (const [name, conf, scope, message] of cases) {
    test(name, () => {
      assert.throws(
        () => deriveRemapRules(conf, scope),
        (error: unknown) => {
          assert.ok(error instanceof PolicyError);
          assert.equal(error.code, "remap-underivable");
          assert.match(error.message, message);
          assert.notEqual(error.hint, undefined);
          return true;
        },
      );
    });
  }
});

test("every rule can stand in policy.json", () => {
  const docker: Record<string, unknown> = {};
  for (const conf of [mirrored, relocated]) {
    for (const scope of ["registry.example.com/team", "mirror.local", "a.example/x"]) {
      try {
        for (const { scope: at, remap } of deriveRemapRules(conf, scope))
          docker[at] = [
            {
              type: "signedBy",
              keyType: "GPGKeys",
              keyPath: "/key",
              ...(remap && { signedIdentity: { type: "remapIdentity", ...remap } }),
            },
          ];
      } catch (error) {
        assert.ok(error instanceof PolicyError);
      }
    }
  }
  assert.ok(Object.keys(docker).length > 5);
  parsePolicy(new TextEncoder().encode(JSON.stringify({ default: [{ type: "reject" }], transports: { docker } })));
});
