import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseReference, withDefaultTag } from "../reference/reference.ts";
import {
  dockerArchivePolicyIdentity,
  dockerDaemonPolicyIdentity,
  dockerPolicyIdentity,
  pathPolicyIdentity,
  storagePolicyIdentity,
} from "./image-identity.ts";
import type { Policy } from "./policy.ts";
import { parsePolicy } from "./policy-document.ts";
import type { PolicyIdentity } from "./policy-identity.ts";
import { findGoverningScope } from "./scope-lookup.ts";
import { explainInvalidScope } from "./scope-rules.ts";

const accept = [{ type: "insecureAcceptAnything" }];

function policyWith(transports: Readonly<Record<string, readonly string[]>>): Policy {
  const scoped = new Map(
    Object.entries(transports).map(([transport, scopes]) => [
      transport,
      Object.fromEntries(scopes.map((scope) => [scope, accept])),
    ]),
  );
  const document = { default: [{ type: "reject" }], transports: Object.fromEntries<unknown>(scoped) };
  return parsePolicy(new TextEncoder().encode(JSON.stringify(document)));
}

const docker = (text: string): PolicyIdentity => dockerPolicyIdentity(parseReference(text));

describe("docker identities", () => {
  test("a short name is expanded, with its repository, parents, host and wildcards", () => {
    assert.deepEqual(docker("busybox"), {
      transport: "docker",
      identity: "docker.io/library/busybox:latest",
      namespaces: ["docker.io/library/busybox", "docker.io/library", "docker.io", "*.io"],
    });
  });
  test("wildcards have no port and go down to the top-level domain", () => {
    assert.deepEqual(docker("a.b.example.com:8443/ns/img:1").namespaces, [
      "a.b.example.com:8443/ns/img",
      "a.b.example.com:8443/ns",
      "a.b.example.com:8443",
      "*.b.example.com",
      "*.example.com",
      "*.com",
    ]);
  });
  test("a host without a dot has no wildcards", () => {
    assert.deepEqual(docker("localhost:5000/a:b").namespaces, ["localhost:5000/a", "localhost:5000"]);
  });
  test("an address has them too", () => {
    assert.deepEqual(docker("127.0.0.1/a:b").namespaces.slice(2), ["*.0.0.1", "*.0.1", "*.1"]);
  });
  test("a digest takes the place of the tag", () => {
    const digest = `sha256:${"a".repeat(64)}`;
    assert.equal(docker(`example.com/a@${digest}`).identity, `example.com/a@${digest}`);
  });
  test("a reference with both tag and digest has none", () => {
    assert.throws(() => docker(`example.com/a:b@sha256:${"a".repeat(64)}`), { code: "reference-malformed" });
  });
});

describe("identities of local images", () => {
  const store = { driver: "overlay", root: "/var/lib/containers/storage" };
  const prefix = `[${store.driver}@${store.root}]`;
  const [digest, id] = [`sha256:${"a".repeat(64)}`, "b".repeat(64)];

  test("an image in an engine has those of a docker image, one named by its id and one in an archive have none", () => {
    const reference = parseReference("localhost/app:1");
    assert.deepEqual(dockerDaemonPolicyIdentity(reference), {
      transport: "docker-daemon",
      identity: "localhost/app:1",
      namespaces: ["localhost/app", "localhost"],
    });
    const none = { identity: "", namespaces: [] };
    assert.deepEqual(dockerDaemonPolicyIdentity(undefined), { transport: "docker-daemon", ...none });
    assert.deepEqual(dockerArchivePolicyIdentity(), { transport: "docker-archive", ...none });
    const policy = policyWith({ "docker-daemon": ["", "localhost"], "docker-archive": [""] });
    assert.equal(findGoverningScope(policy, dockerDaemonPolicyIdentity(reference)).scope.scope, "localhost");
    assert.equal(findGoverningScope(policy, dockerDaemonPolicyIdentity(undefined)).scope.scope, "");
    assert.equal(findGoverningScope(policy, dockerArchivePolicyIdentity()).scope.scope, "");
  });

  test("an image in the local storage goes from its id over its name down to the store without its driver", () => {
    const reference = parseReference(`example.com/ns/app:1@${digest}`);
    assert.deepEqual(storagePolicyIdentity(store, { reference, id }), {
      transport: "containers-storage",
      identity: `${prefix}example.com/ns/app:1@${digest}@${id}`,
      namespaces: [
        `${prefix}example.com/ns/app:1@${digest}`,
        `${prefix}example.com/ns/app:1`,
        `${prefix}example.com/ns/app`,
        `${prefix}example.com/ns`,
        `${prefix}example.com`,
        prefix,
        `[${store.root}]`,
      ],
    });
    assert.deepEqual(storagePolicyIdentity(store, { id }), {
      transport: "containers-storage",
      identity: `${prefix}@${id}`,
      namespaces: [prefix, `[${store.root}]`],
    });
  });

  test("every scope that an image in the local storage can have is one that policy.json takes", () => {
    const reference = parseReference(`example.com/ns/app@${digest}`);
    const { identity, namespaces } = storagePolicyIdentity(store, { reference, id });
    for (const scope of [identity, ...namespaces]) {
      assert.equal(explainInvalidScope("containers-storage", scope), undefined, scope);
    }
  });
});

describe("path identities", () => {
  test("every parent folder but the root", () => {
    assert.deepEqual(pathPolicyIdentity("dir", "/a/b/c"), {
      transport: "dir",
      identity: "/a/b/c",
      namespaces: ["/a/b", "/a"],
    });
    assert.deepEqual(pathPolicyIdentity("oci", "/a").namespaces, []);
    assert.deepEqual(pathPolicyIdentity("oci-archive", "/").namespaces, []);
  });
  test("a relative path has none", () => {
    assert.throws(() => pathPolicyIdentity("dir", "a"), { code: "image-name-malformed" });
  });
});

describe("the scope that governs", () => {
  const repository = "deep.com/n1/n2/n3/repo";
  const policy = policyWith({
    docker: [
      "",
      "unmatched",
      "deep.com",
      "*.very.deep.com",
      "*.deep.com",
      "deep.com/n1",
      "deep.com/n1/n2",
      "deep.com/n1/n2/n3",
      repository,
      `${repository}:tag2`,
    ],
    atomic: ["unmatched"],
  });
  const rows: readonly (readonly [image: string, scope: string])[] = [
    [`${repository}:tag2`, `${repository}:tag2`],
    [`${repository}:nottag2`, repository],
    ["deep.com/n1/n2/n3/notrepo:tag2", "deep.com/n1/n2/n3"],
    ["deep.com/n1/n2/notn3/repo:tag2", "deep.com/n1/n2"],
    ["deep.com/n1/notn2/n3/repo:tag2", "deep.com/n1"],
    ["deep.com/notn1/n2/n3/repo:tag2", "deep.com"],
    ["very.deep.com/n1/n2/n3/repo:tag2", "*.deep.com"],
    ["not.very.deep.com/n1/n2/n3/repo:tag2", "*.very.deep.com"],
    ["this.does-not/match:anything", ""],
    ["deep.com:5000/n1:tag", ""],
    ["deep.com/n1x/repo:tag", "deep.com"],
    ["notdeep.com/n1:tag", ""],
    ["DEEP.com/n1:tag", ""],
  ];
  for (const [image, scope] of rows) {
    test(`${image} is governed by ${JSON.stringify(scope)}`, () => {
      const governing = findGoverningScope(policy, docker(image));
      assert.equal(governing.scope.transport, "docker");
      assert.equal(governing.scope.scope, scope);
      assert.equal(governing.scope.tried.at(-1), scope);
      assert.equal(governing.requirements, policy.transports.get("docker")!.get(scope));
    });
  }
  test("a transport without a scope that matches falls to the default of the policy", () => {
    const governing = findGoverningScope(policy, { ...docker("this.does-not/match:anything"), transport: "atomic" });
    assert.equal(governing.requirements, policy.default);
    assert.equal(governing.scope.scope, undefined);
    assert.equal(governing.scope.label, "default");
  });
  test("a transport that the policy does not name falls to the default of the policy", () => {
    const governing = findGoverningScope(policy, pathPolicyIdentity("dir", "/a/b"));
    assert.deepEqual(governing.scope, { label: "default", tried: ["default"] });
  });
  test("scopes of a transport that nobody knows are used all the same", () => {
    const unknown = policyWith({ future: ["x"] });
    const identity = { transport: "future", identity: "y", namespaces: ["x"] };
    assert.equal(findGoverningScope(unknown, identity).scope.label, "future: x");
  });
  test("an empty identity asks for the empty scope once", () => {
    const archive = policyWith({ "docker-archive": [""] });
    const governing = findGoverningScope(archive, { transport: "docker-archive", identity: "", namespaces: [] });
    assert.deepEqual(governing.scope, {
      transport: "docker-archive",
      scope: "",
      label: 'docker-archive: ""',
      tried: [""],
    });
  });
  test("a wildcard matches any depth of subdomain, never the domain itself, and has no port", () => {
    const wild = policyWith({ docker: ["*.example.com", "example*.com", "*", "*.example.com:5000"] });
    const scopeOf = (image: string): string | undefined => findGoverningScope(wild, docker(image)).scope.scope;
    assert.equal(scopeOf("a.example.com/x:1"), "*.example.com");
    assert.equal(scopeOf("a.b.c.example.com:5000/x:1"), "*.example.com");
    assert.equal(scopeOf("example.com/x:1"), undefined);
    assert.equal(scopeOf("notexample.com/x:1"), undefined);
    assert.equal(scopeOf("example1.com/x:1"), undefined);
  });
});

test("of any two scopes that hold an image, the more specific one governs", () => {
  const component = fc.stringMatching(/^[a-z0-9]{1,6}$/);
  const host = fc.tuple(component, component, component).map((labels) => labels.join("."));
  const image = fc.tuple(host, fc.array(component, { minLength: 1, maxLength: 4 }), component);
  fc.assert(
    fc.property(image, fc.array(fc.nat(), { minLength: 1, maxLength: 5 }), ([domain, path, tag], picks) => {
      const identity = dockerPolicyIdentity(withDefaultTag({ domain, path: path.join("/"), tag }));
      const candidates = [identity.identity, ...identity.namespaces, ""];
      const chosen = new Set(picks.map((pick) => pick % candidates.length));
      const policy = policyWith({ docker: [...chosen].map((index) => candidates[index]!) });
      const governing = findGoverningScope(policy, identity);
      assert.equal(governing.scope.scope, candidates[Math.min(...chosen)]);
      // Scopes that do not hold the image change nothing.
      const crowded = policyWith({
        docker: [
          `${domain}x`,
          `x${domain}`,
          `${domain}:443`,
          `${identity.identity}x`,
          ...[...chosen].map((index) => candidates[index]!),
        ],
      });
      assert.deepEqual(findGoverningScope(crowded, identity), governing);
    }),
    { numRuns: 200 },
  );
});
