import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FormatError, UsageError } from "@signet/core";
import { emptyRegistriesConf } from "./registries-conf.ts";
import { isShortName, resolveShortName } from "./short-names.ts";

const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
const file = "/etc/containers/registries.conf";
const withSearch = (...hosts: readonly string[]): typeof emptyRegistriesConf => ({
  ...emptyRegistriesConf,
  searchRegistries: { hosts, file },
  aliases: new Map([
    ["ubi8", { repository: "registry.example.com/ubi8", file }],
    ["team/app", { repository: "quay.io/team/app", file }],
    ["gone", { repository: undefined, file }],
  ]),
});

test("a name without a host is short, whatever follows it", () => {
  const names = ["busybox", "busybox:1", "library/busybox", `busybox@${digest}`, "localhost", "a:5000"];
  assert.deepEqual(names.map(isShortName), [true, true, true, true, true, true]);
  const full = ["quay.io/x", "localhost/x", "host:5000/x", `quay.io/x@${digest}`, "docker.io/busybox"];
  assert.deepEqual(full.map(isShortName), [false, false, false, false, false]);
});

describe("a short name", () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ["ubi8", ["a.example", "b.example"], "registry.example.com/ubi8"],
    ["ubi8:8.9", [], "registry.example.com/ubi8:8.9"],
    [`team/app@${digest}`, [], `quay.io/team/app@${digest}`],
    ["app:1", ["a.example:5000"], "a.example:5000/app:1"],
    ["app", ["docker.io"], "docker.io/library/app"],
    ["ns/app", ["docker.io"], "docker.io/ns/app"],
    ["gone", ["a.example"], "a.example/gone"],
  ];
  for (const [name, hosts, expected] of cases) {
    test(`${name} with ${hosts.length} search registries is ${expected}`, () => {
      assert.equal(resolveShortName(name, withSearch(...hosts)).name, expected);
    });
  }

  test("is one of docker.io where no file speaks of search registries", () => {
    assert.equal(resolveShortName("busybox:1", emptyRegistriesConf).name, "docker.io/library/busybox:1");
  });

  test("is what podman recorded, before any alias", () => {
    const recorded = new Map([["ubi8", { repository: "other.example/ubi8", file: "recorded" }]]);
    const { name, explanation } = resolveShortName("ubi8:1", withSearch(), recorded);
    assert.deepEqual([name, explanation], ["other.example/ubi8:1", "ubi8 is an alias in recorded"]);
  });

  for (const shortNameMode of ["enforcing", "permissive", "disabled"] as const) {
    test(`of several search registries is refused with all candidates in mode ${shortNameMode}`, () => {
      assert.throws(
        () => resolveShortName("app:1", { ...withSearch("a.example", "docker.io"), shortNameMode }),
        (error: unknown) =>
          error instanceof UsageError &&
          error.code === "short-name-ambiguous" &&
          error.message.includes("a.example/app:1, docker.io/library/app:1"),
      );
    });
  }

  test("is refused when the list of search registries is empty", () => {
    assert.throws(
      () => resolveShortName("app", withSearch()),
      (error: unknown) => error instanceof UsageError && error.message.includes(`${file} has no search registries`),
    );
  });

  test("that is no name at all is refused as such", () => {
    assert.throws(() => resolveShortName("UPPER", withSearch("a.example")), FormatError);
  });
});
