import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseReference } from "../reference/reference.ts";
import { dockerPolicyIdentity, pathPolicyIdentity } from "./image-identity.ts";
import { parsePolicy } from "./policy-document.ts";
import { listScopeCandidates } from "./scope-candidates.ts";
import { findGoverningScope } from "./scope-lookup.ts";

const accept = [{ type: "insecureAcceptAnything" }];
const reject = [{ type: "reject" }];

const policyOf = (transports: object): ReturnType<typeof parsePolicy> =>
  parsePolicy(new TextEncoder().encode(JSON.stringify({ default: reject, transports })));

const docker = (name: string): ReturnType<typeof dockerPolicyIdentity> => dockerPolicyIdentity(parseReference(name));

describe("the scopes of an image", () => {
  test("stand in the order of look-up, with their kind, and the transport's own and the policy's default last", () => {
    const candidates = listScopeCandidates(policyOf({}), docker("a.b.example.com:8443/team/app:1"));
    assert.deepEqual(
      candidates.map(({ scope, kind }) => [scope, kind]),
      [
        ["a.b.example.com:8443/team/app:1", "identity"],
        ["a.b.example.com:8443/team/app", "namespace"],
        ["a.b.example.com:8443/team", "namespace"],
        ["a.b.example.com:8443", "namespace"],
        ["*.b.example.com", "wildcard"],
        ["*.example.com", "wildcard"],
        ["*.com", "wildcard"],
        ["", "transport-default"],
        [undefined, "default"],
      ],
    );
    assert.deepEqual(
      candidates.filter(({ governs }) => governs).map(({ label }) => label),
      ["default"],
    );
  });

  test("one governs, and it is the one that judging finds, whatever the policy has", () => {
    const scopes = ["host.example.com/team/app:1", "host.example.com/team", "*.example.com", ""];
    for (const present of [scopes, scopes.slice(1), scopes.slice(2), scopes.slice(3), []]) {
      const policy = policyOf({ docker: Object.fromEntries(present.map((scope) => [scope, accept])) });
      const identity = docker("host.example.com/team/app:1");
      const governing = listScopeCandidates(policy, identity).filter(({ governs }) => governs);
      const found = findGoverningScope(policy, identity);
      assert.deepEqual(
        governing.map(({ label, requirements }) => [label, requirements]),
        [[found.scope.label, found.requirements]],
      );
    }
  });

  test("those that the policy has say what they ask for; scopes of other transports are none of them", () => {
    const policy = policyOf({ docker: { "/srv": accept }, dir: { "/srv": accept } });
    const candidates = listScopeCandidates(policy, pathPolicyIdentity("dir", "/srv/images/app"));
    assert.deepEqual(
      candidates.map(({ label, requirements, governs }) => [label, requirements?.[0]?.type, governs]),
      [
        ["dir: /srv/images/app", undefined, false],
        ["dir: /srv/images", undefined, false],
        ["dir: /srv", "insecureAcceptAnything", true],
        ['dir: ""', undefined, false],
        ["default", "reject", false],
      ],
    );
  });

  test("an image without an identity has two, not the same one twice", () => {
    const policy = policyOf({ "docker-archive": { "": accept } });
    const candidates = listScopeCandidates(policy, { transport: "docker-archive", identity: "", namespaces: [] });
    assert.deepEqual(
      candidates.map(({ label, governs }) => [label, governs]),
      [
        ['docker-archive: ""', true],
        ["default", false],
      ],
    );
  });
});
