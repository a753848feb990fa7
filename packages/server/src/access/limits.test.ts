import assert from "node:assert/strict";
import test from "node:test";
import { InternalError } from "@signet/core";
import { writeChallenge } from "./challenge.ts";
import { parseAuthorization } from "./credentials.ts";
import { networkOf } from "./network.ts";
import { makeRateLimiter } from "./rate-limits.ts";

test("a bucket gives its burst, then so many a second, and says how long to wait", () => {
  const limiter = makeRateLimiter({ burst: 3, perSecond: 0.5 });
  assert.deepEqual(
    [1, 2, 3].map(() => limiter.take("a", 1_000)),
    [0, 0, 0],
  );
  assert.equal(limiter.ask("a", 1_000), 2);
  assert.equal(limiter.take("a", 1_000), 2);
  assert.equal(limiter.take("b", 1_000), 0, "another key has a bucket of its own");
  assert.equal(limiter.take("a", 2_000), 1);
  assert.equal(limiter.take("a", 3_000), 0);
  assert.equal(limiter.take("a", 500), 2, "a clock that goes back gives nothing");
  assert.equal(limiter.take("a", 3_000_000), 0);
  assert.deepEqual(
    [1, 2, 3].map(() => limiter.take("a", 3_000_000)),
    [0, 0, 2],
    "never more than the burst",
  );
});

test("what is remembered is bounded, and whoever is forgotten is not refused", () => {
  const limiter = makeRateLimiter({ burst: 1, perSecond: 0.001 }, 2);
  assert.equal(limiter.take("a", 0), 0);
  assert.equal(limiter.take("b", 0), 0);
  assert(limiter.take("a", 0) > 0);
  assert.equal(limiter.take("c", 0), 0);
  assert(limiter.take("a", 0) > 0, "used last, kept");
  assert.equal(limiter.take("b", 0), 0);
});

test("limits count by IPv4 address, and by 64 bits of IPv6", () => {
  for (const [address, network] of [
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["::ffff:c000:207", "192.0.2.7"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:0DB8:0:0:ffff::2", "2001:db8:0:0::/64"],
    ["2001:db8:0:1::", "2001:db8:0:1::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4::/64"],
    ["", "unknown"],
    ["example.org", "unknown"],
    ["192.0.2.7, 10.0.0.1", "unknown"],
  ] as const) {
    assert.equal(networkOf(address), network, address);
  }
});

test("the Authorization header is read strictly, and problems repeat nothing of it", () => {
  const basic = (text: string | Uint8Array): string => `Basic ${Buffer.from(text).toString("base64")}`;
  assert.deepEqual(parseAuthorization(undefined), { kind: "none" });
  assert.deepEqual(parseAuthorization("Basic Og=="), { kind: "none" }, "Pulp's nobody");
  assert.deepEqual(parseAuthorization("Bearer anonymous"), { kind: "none" }, "OpenShift's nobody");
  assert.deepEqual(parseAuthorization(basic("ann:pass:word")), { kind: "basic", name: "ann", password: "pass:word" });
  assert.deepEqual(parseAuthorization(basic("ann:z\u00fcrich").replace("Basic", "bAsIc")), {
    kind: "basic",
    name: "ann",
    password: "z\u00fcrich",
  });
  assert.deepEqual(parseAuthorization("Bearer a.b-c_d~e+f/g=="), { kind: "bearer", token: "a.b-c_d~e+f/g==" });
  for (const header of [
    "",
    "Basic",
    "Basic ",
    "hunter2secret",
    "Digest hunter2secret",
    "Basic hunter2secret!",
    "Basic hunter2secret hunter2secret",
    "Bearer hunter2secret\u00e9",
    "Bearer hunter2secret,hunter2secret",
    basic("hunter2secret"),
    basic("ann:"),
    basic("ann:hunter2secret\n"),
    basic("ann:hunter2secret\0"),
    basic(Buffer.from("616e6e3affff", "hex")),
    basic(`ann:hunter2secret${"x".repeat(600)}`),
    basic(`${"a".repeat(1_100)}:hunter2secret`),
    `Bearer ${"hunter2secret".repeat(1_000)}`,
  ]) {
    const parsed = parseAuthorization(header);
    assert(parsed.kind === "malformed", header);
    assert(!parsed.problem.includes("hunter2"), parsed.problem);
  }
});

test("a challenge names realm, service and scopes, and nothing breaks out of its quotes", () => {
  const common = { realm: "https://registry.example.org/token", service: "registry.example.org" };
  assert.equal(
    writeChallenge({
      ...common,
      scopes: ["repository:team/app:pull,push", "repository:base:pull"],
      error: "invalid_token",
    }),
    'Bearer realm="https://registry.example.org/token",service="registry.example.org",' +
      'scope="repository:team/app:pull,push repository:base:pull",error="invalid_token"',
  );
  assert.equal(
    writeChallenge({ ...common, scopes: [] }),
    'Bearer realm="https://registry.example.org/token",service="registry.example.org"',
  );
  for (const scope of ['a",realm="https://evil.example"', "a\r\nSet-Cookie: x", "a\\", "\u00e9"]) {
    assert.throws(() => writeChallenge({ ...common, scopes: [scope] }), InternalError);
  }
});
