import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parsePolicy } from "./policy-document.ts";
import { explainInvalidScope } from "./scope-rules.ts";

const hex = "0123456789abcdef".repeat(4);
const digest = `sha256:${hex}`;

const paths = {
  valid: ["/etc", "/a b", "/x.sif", "/a/b:c", "/...", "/a\nb", "/*"],
  invalid: ["rel", "/", "//", "/a/", "/a//b", "/a/./b", "/a/../b", "/..", "./a", "docker.io", " /a"],
};

const scopes: Readonly<Record<string, { readonly valid: readonly string[]; readonly invalid: readonly string[] }>> = {
  docker: {
    valid: [
      "docker.io",
      "*.example.com",
      "example*.com",
      "UPPER",
      "a b",
      "docker://x",
      "docker.io/",
      "/",
      `a@${digest}`,
    ],
    invalid: [],
  },
  atomic: {
    valid: [
      "localhost:5000/ns/stream:tag",
      "host",
      "host:80",
      "host/",
      "host/ns",
      "host/ns/",
      "host/ns/s",
      "host/ns/s:",
    ],
    invalid: ["localhost/a/b/c", "host/ns:tag", "host/ns/s:t:u", "host/ns/s/", "host/ns/s:t/u", `h/n/s:t@${digest}`],
  },
  "docker-daemon": {
    valid: ["docker.io", "sha256:abc", "docker.io/library/busybox:latest", `md5:${hex}`, digest.toUpperCase()],
    invalid: [digest, `sha512:${hex}${hex}`],
  },
  "docker-archive": { valid: [], invalid: ["/x", "docker.io", "*"] },
  tarball: { valid: [], invalid: ["/x", "x"] },
  dir: paths,
  oci: paths,
  "oci-archive": paths,
  sif: paths,
  "containers-storage": {
    valid: [
      "[overlay@/var/lib/containers/storage]",
      "[/var/lib/containers/storage]",
      "[overlay@/x]docker.io",
      "[overlay@/x]docker.io/library/busybox:latest",
      `[overlay@/x]busybox@${digest}`,
      `[overlay@/x]busybox@${hex}`,
      `[overlay@/x]busybox:1@${digest}@${hex}`,
      `[/x]@${hex}`,
    ],
    invalid: [
      "docker.io",
      "overlay@/x",
      "[]",
      "[overlay@/x",
      "[@/x]",
      "[overlay@]",
      "[overlay]",
      "[overlay@var]docker.io",
      "[a@b@/x]",
      "[overlay@/x]busybox@notdigest",
      "[overlay@/x]busybox@",
      `[overlay@/x]busybox@${hex.toUpperCase()}`,
      `[overlay@/x]busybox@${hex}@${digest}`,
      `[overlay@/x]busybox@${digest}@short`,
      `[overlay@/x]busybox@${digest}@${hex}@${hex}`,
    ],
  },
  ostree: { valid: ["/repo", "anything"], invalid: [] },
  "a transport of the future": { valid: ["anything", "/", ""], invalid: [] },
  "": { valid: ["x"], invalid: [] },
  constructor: { valid: ["x"], invalid: [] },
};

for (const [transport, { valid, invalid }] of Object.entries(scopes)) {
  describe(`scopes of transport ${JSON.stringify(transport)}`, () => {
    test("the empty scope is valid", () => assert.equal(explainInvalidScope(transport, ""), undefined));
    for (const scope of valid) {
      test(`${JSON.stringify(scope)} is valid`, () => assert.equal(explainInvalidScope(transport, scope), undefined));
    }
    for (const scope of invalid) {
      test(`${JSON.stringify(scope)} is not`, () => {
        assert.equal(typeof explainInvalidScope(transport, scope), "string");
        const requirements = [{ type: "reject" }];
        const policy = JSON.stringify({
          default: requirements,
          transports: { [transport]: { [scope]: requirements } },
        });
        assert.throws(() => parsePolicy(new TextEncoder().encode(policy)), {
          code: "policy-malformed",
          message: /Unknown key ".*": not a scope of transport/s,
        });
      });
    }
  });
}
