import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { type Digest, parseDigest } from "../../bytes/digest.ts";
import { FormatError, SignetError } from "../../errors.ts";
import { formatReference, parseReference } from "../../reference/reference.ts";
import { parseSimpleSigningPayload, writeSimpleSigningPayload } from "./payload.ts";

const folder = new URL("../../../../../vectors/payload/", import.meta.url);

interface VerdictFile {
  readonly manifestDigest: string;
  readonly cases: readonly {
    readonly name: string;
    /** Null for the two that are too long to keep: see longPayload. */
    readonly payloadBase64: string | null;
    readonly expectedReference: string;
    readonly accepted: boolean;
  }[];
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const digest: Digest = parseDigest(`sha256:${"a".repeat(64)}`);

/** The rest of a standalone verification: does a payload that reads well speak about this image? */
function isAbout(content: Uint8Array, manifestDigest: string, reference: string): boolean {
  try {
    const payload = parseSimpleSigningPayload(content);
    return (
      payload.manifestDigest === manifestDigest &&
      formatReference(parseReference(payload.dockerReference)) === formatReference(parseReference(reference))
    );
  } catch (error) {
    assert.ok(error instanceof FormatError, String(error));
    return false;
  }
}

test("every payload of the oracle is accepted or refused as skopeo did", async (t) => {
  const verdicts = JSON.parse(readFileSync(new URL("verdicts.json", folder), "utf8")) as VerdictFile;
  assert.ok(verdicts.cases.length > 100);
  for (const { name, payloadBase64, expectedReference, accepted } of verdicts.cases) {
    await t.test(name, () => {
      const content = payloadBase64 === null ? longPayload(name) : new Uint8Array(Buffer.from(payloadBase64, "base64"));
      assert.equal(isAbout(content, verdicts.manifestDigest, expectedReference), accepted);
    });
  }
});

/** The cases that are only described by their names. */
function longPayload(name: string): Uint8Array {
  const image =
    '"image":{"docker-manifest-digest":"sha256:20bf21ed457b390829cdbeec8795a7bea1626991fda603e0d01b4e7f60427e55"}';
  const identity = '"identity":{"docker-reference":"docker.io/testing/manifest:latest"}';
  const optional: Readonly<Record<string, string>> = {
    "creator-value-long": `"creator":"${"x".repeat(100_000)}"`,
    "depth-5000": `"x":${"[".repeat(5_000)}${"]".repeat(5_000)}`,
  };
  assert.ok(optional[name] !== undefined, name);
  return encode(
    `{"critical":{${identity},${image},"type":"atomic container signature"},"optional":{${optional[name]}}}`,
  );
}

interface Claims {
  critical?: unknown;
  optional?: unknown;
  [name: string]: unknown;
}

/** The document that the mutations start from, as in the reference implementation's own tests. */
function validClaims(): Claims {
  return {
    critical: {
      type: "atomic container signature",
      image: { "docker-manifest-digest": digest },
      identity: { "docker-reference": "reference#@!" },
    },
    optional: { creator: "CREATOR", timestamp: 1484683104 },
  };
}

function set(claims: Claims, path: readonly string[], value: unknown): Claims {
  let at = claims as Record<string, unknown>;
  for (const name of path.slice(0, -1)) at = at[name] as Record<string, unknown>;
  const last = path.at(-1)!;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return claims;
}

test("each single change of a valid payload that the reference refuses is refused, with the path it is about", async (t) => {
  const changes: readonly (readonly [readonly string[], unknown, string])[] = [
    [["critical"], undefined, ""],
    [["optional"], undefined, ""],
    [["unexpected"], "x", ""],
    [["critical"], 1, "critical"],
    [["optional"], 1, "optional"],
    [["optional"], null, "optional"],
    [["critical", "type"], undefined, "critical"],
    [["critical", "image"], undefined, "critical"],
    [["critical", "identity"], undefined, "critical"],
    [["critical", "unexpected"], "x", "critical"],
    [["critical", "type"], 1, "critical.type"],
    [["critical", "type"], null, "critical.type"],
    [["critical", "type"], "unexpected", "critical.type"],
    [["critical", "image"], 1, "critical.image"],
    [["critical", "image"], null, "critical.image"],
    [["critical", "image", "docker-manifest-digest"], undefined, "critical.image"],
    [["critical", "image", "unexpected"], "x", "critical.image"],
    [["critical", "image", "docker-manifest-digest"], 1, "critical.image.docker-manifest-digest"],
    [["critical", "image", "docker-manifest-digest"], null, "critical.image.docker-manifest-digest"],
    [["critical", "image", "docker-manifest-digest"], "sha256:../..", "critical.image.docker-manifest-digest"],
    [["critical", "identity"], 1, "critical.identity"],
    [["critical", "identity", "docker-reference"], undefined, "critical.identity"],
    [["critical", "identity", "unexpected"], "x", "critical.identity"],
    [["critical", "identity", "docker-reference"], 1, "critical.identity.docker-reference"],
    [["optional", "creator"], 1, "optional.creator"],
    [["optional", "timestamp"], "unexpected", "optional.timestamp"],
    [["optional", "timestamp"], 0.5, "optional.timestamp"],
  ];
  for (const [path, value, where] of changes) {
    await t.test(`${path.join(".")} = ${JSON.stringify(value)}`, () => {
      const content = encode(JSON.stringify(set(validClaims(), path, value)));
      assert.throws(
        () => parseSimpleSigningPayload(content),
        (error) => error instanceof FormatError && error.path === where && error.offset !== undefined,
      );
    });
  }
});

test("what a payload says is returned as it stands, with the bytes it was read from", () => {
  const content = encode(JSON.stringify({ ...validClaims(), optional: { creator: "c", timestamp: -5, extra: [1] } }));
  const payload = parseSimpleSigningPayload(content);
  assert.deepEqual(payload, {
    raw: content,
    manifestDigest: digest,
    dockerReference: "reference#@!",
    creator: "c",
    timestamp: -5,
  });
  assert.equal(payload.raw, content);
});

test("without optional members there is neither creator nor timestamp, and null reads as empty and zero", () => {
  const without = parseSimpleSigningPayload(encode(JSON.stringify({ ...validClaims(), optional: {} })));
  assert.ok(!("creator" in without) && !("timestamp" in without));
  const nulls = { creator: null, timestamp: null };
  const withNulls = parseSimpleSigningPayload(encode(JSON.stringify({ ...validClaims(), optional: nulls })));
  assert.equal(withNulls.creator, "");
  assert.equal(withNulls.timestamp, 0);
  const noReference = parseSimpleSigningPayload(
    encode(JSON.stringify(set(validClaims(), ["critical", "identity", "docker-reference"], null))),
  );
  assert.equal(noReference.dockerReference, "");
});

test("timestamps are doubles that fit into 64 bits", async (t) => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ["1e3", 1000],
    ["1458239713.0", 1458239713],
    ["-0", 0],
    ["-9223372036854775808", -(2 ** 63)],
    ["9007199254740993", 2 ** 53],
    ["9223372036854775807", undefined],
    ["9223372036854775808", undefined],
    ["1e300", undefined],
    ["1e999", undefined],
    ["0.5", undefined],
  ];
  for (const [text, value] of cases) {
    await t.test(text, () => {
      const content = encode(JSON.stringify(validClaims()).replace("1484683104", text));
      if (value === undefined) assert.throws(() => parseSimpleSigningPayload(content), FormatError);
      else assert.ok(Object.is(parseSimpleSigningPayload(content).timestamp, value));
    });
  }
});

test("checks come in the reference's order: optional, timestamp, type, image, digest, identity", () => {
  const broken = {
    critical: { type: "x", image: { "docker-manifest-digest": "x" }, identity: 1 },
    optional: { timestamp: 0.5, creator: 1 },
  };
  const pathOf = (claims: Claims): string | undefined => {
    try {
      parseSimpleSigningPayload(encode(JSON.stringify(claims)));
      return undefined;
    } catch (error) {
      return (error as FormatError).path;
    }
  };
  const steps: readonly (readonly [string, readonly string[], unknown])[] = [
    ["optional.creator", ["optional", "creator"], "c"],
    ["optional.timestamp", ["optional", "timestamp"], 1],
    ["critical.type", ["critical", "type"], "atomic container signature"],
    ["critical.image.docker-manifest-digest", ["critical", "image", "docker-manifest-digest"], digest],
    ["critical.identity", ["critical", "identity"], { "docker-reference": "r" }],
  ];
  for (const [path, fix, value] of steps) {
    assert.equal(pathOf(broken), path);
    set(broken, fix, value);
  }
  assert.equal(pathOf(broken), undefined);
});

test("__proto__ and constructor are ordinary names: refused in critical, passed over in optional", () => {
  const text = JSON.stringify(validClaims());
  const inCritical = text.replace('"critical":{', '"critical":{"__proto__":{"type":"x"},');
  assert.throws(() => parseSimpleSigningPayload(encode(inCritical)), { code: "json-malformed" });
  const inOptional = text.replace('"optional":{', '"optional":{"__proto__":{"creator":"x"},"constructor":1,');
  assert.equal(parseSimpleSigningPayload(encode(inOptional)).creator, "CREATOR");
});

test("a payload is written byte for byte as containers/image writes it", () => {
  const claims = { manifestDigest: digest, dockerReference: "reference#@!" };
  const critical = `{"critical":{"identity":{"docker-reference":"reference#@!"},"image":{"docker-manifest-digest":"${digest}"},"type":"atomic container signature"}`;
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  assert.equal(
    text(writeSimpleSigningPayload({ ...claims, creator: "CREATOR", timestamp: 1484683104 })),
    `${critical},"optional":{"creator":"CREATOR","timestamp":1484683104}}`,
  );
  assert.equal(text(writeSimpleSigningPayload(claims)), `${critical},"optional":{}}`);
  assert.equal(
    text(writeSimpleSigningPayload({ manifestDigest: digest, dockerReference: "a<b>&\u2028é" })),
    critical.replace("reference#@!", "a\\u003cb\\u003e\\u0026\\u2028é") + ',"optional":{}}',
  );
});

test("nothing is written without a digest, a reference, or with a timestamp that is no whole number", () => {
  const good = { manifestDigest: digest, dockerReference: "r" };
  assert.throws(() => writeSimpleSigningPayload({ ...good, dockerReference: "" }), { code: "payload-incomplete" });
  assert.throws(() => writeSimpleSigningPayload({ ...good, manifestDigest: "" as Digest }), {
    code: "digest-malformed",
  });
  assert.throws(() => writeSimpleSigningPayload({ ...good, timestamp: 0.5 }), { code: "payload-incomplete" });
});

test("what was written is what is read, for any reference, creator and time", () => {
  const claims = fc.record(
    {
      dockerReference: fc.string({ unit: "grapheme", minLength: 1 }),
      creator: fc.string({ unit: "grapheme" }),
      timestamp: fc.maxSafeInteger(),
    },
    { requiredKeys: ["dockerReference"] },
  );
  fc.assert(
    fc.property(claims, (made) => {
      const payload = parseSimpleSigningPayload(writeSimpleSigningPayload({ manifestDigest: digest, ...made }));
      assert.equal(payload.dockerReference, made.dockerReference);
      assert.equal(payload.creator, made.creator);
      assert.equal(payload.timestamp, made.timestamp);
    }),
  );
});

test("mutated payloads never fail in another way than with a format error", () => {
  const base = writeSimpleSigningPayload({
    manifestDigest: digest,
    dockerReference: "r:1",
    creator: "c",
    timestamp: 1,
  });
  const mutation = fc.record({
    at: fc.nat(base.length - 1),
    octet: fc.integer({ min: 0, max: 255 }),
    cut: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
      let bytes = Uint8Array.from(base);
      for (const { at, octet, cut } of mutations) {
        if (at >= bytes.length) continue;
        bytes[at] = octet;
        if (cut) bytes = bytes.slice(0, at);
      }
      try {
        parseSimpleSigningPayload(bytes);
      } catch (error) {
        assert.ok(error instanceof SignetError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
