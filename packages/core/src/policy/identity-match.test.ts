import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatReference, parseReference, type Reference } from "../reference/reference.ts";
import { isUnderPrefix, matchSignedIdentity, remapReference } from "./identity-match.ts";
import type { SignedIdentity } from "./policy.ts";
import { parsePolicy } from "./policy-document.ts";

/** Through the policy reader, so that the tables prove it too. */
function identityOf(fields: Readonly<Record<string, string>>): SignedIdentity {
  const requirement = { type: "signedBaseLayer", baseLayerIdentity: fields };
  const [read] = parsePolicy(new TextEncoder().encode(JSON.stringify({ default: [requirement] }))).default;
  assert.ok(read?.type === "signedBaseLayer");
  return read.baseLayerIdentity;
}

/** Rows of a CSV file whose first columns hold neither quotes nor commas. */
function rowsOf(name: string): readonly (readonly string[])[] {
  const text = readFileSync(new URL(`../../../../vectors/policy/${name}`, import.meta.url), "utf8");
  const [, ...lines] = text.trimEnd().split(/\r?\n/);
  return lines.map((line) => line.split(","));
}

function isConfigurable(type: string, configured: string): boolean {
  if (type !== "exactReference" && type !== "exactRepository") return true;
  const isReference = /^[^A-Z]+$/.test(configured);
  return isReference && (type === "exactRepository" || /[:@]/.test(configured));
}

describe("the reference implementation's truth tables", () => {
  const rows = rowsOf("identity-matching.csv");
  assert.ok(rows.length > 300);
  for (const [
    type = "",
    signature = "",
    image = "",
    expected,
    prefix = "",
    signedPrefix = "",
    configured = "",
  ] of rows) {
    const configuration: Readonly<Record<string, Readonly<Record<string, string>>>> = {
      exactReference: { dockerReference: configured },
      exactRepository: { dockerRepository: configured },
      remapIdentity: { prefix, signedPrefix },
    };
    test(`${type} ${prefix}${configured}: signature ${signature}, image ${image}: ${expected}`, () => {
      assert.ok(expected === "true" || expected === "false");
      const hasReference = !image.startsWith("(");
      // Upstream's table also makes identities that no document can hold; the policy reader refuses them, which is a "no" as well.
      if (!isConfigurable(type, configured)) {
        assert.equal(expected, "false");
        assert.throws(() => identityOf({ type, ...configuration[type] }), { code: "policy-malformed" });
        return;
      }
      const identity = identityOf({ type, ...configuration[type] });
      const match = matchSignedIdentity(identity, hasReference ? parseReference(image) : undefined, signature);
      assert.equal(match.matches, expected === "true");
      assert.equal(match.found, signature);
    });
  }
});

describe("prefixes of remapIdentity", () => {
  const rows = rowsOf("remap-prefix.csv");
  assert.equal(rows.filter(([check]) => check === "prefix-matches").length, 30);
  assert.equal(rows.filter(([check]) => check === "rewrite").length, 18);
  for (const [check, prefix = "", signedPrefix = "", image = "", expected = ""] of rows) {
    test(`${check} ${prefix} ${signedPrefix} ${image}: ${expected}`, () => {
      const reference = parseReference(image);
      if (check === "prefix-matches") {
        assert.equal(isUnderPrefix(reference, prefix), expected === "true");
        return;
      }
      const identity = { type: "remapIdentity", prefix, signedPrefix } as const;
      const remapped = isUnderPrefix(reference, prefix) ? remapReference(reference, identity) : reference;
      assert.equal(remapped === undefined ? "ERROR" : formatReference(remapped), expected);
    });
  }
});

describe("the forms of an image and of a signature's reference", () => {
  const digests = [`sha256:${"1".repeat(64)}`, `sha256:${"2".repeat(64)}`];
  const forms = ["", ":1", ":2", `@${digests[0]}`, `@${digests[1]}`, `:1@${digests[0]}`];
  const table: readonly (readonly [type: string, image: string, row: string])[] = [
    ["matchExact", ":1", "✗✓✗✗✗✗"],
    ["matchRepoDigestOrExact", ":1", "✗✓✗✗✗✗"],
    ["matchExact", `@${digests[0]}`, "✗✗✗✓✗✗"],
    ["matchRepoDigestOrExact", `@${digests[0]}`, "✗✓✓✓✓✓"],
    ["matchExact", `:1@${digests[0]}`, "✗✗✗✗✗✓"],
    ["matchRepoDigestOrExact", `:1@${digests[0]}`, "✗✗✗✗✗✓"],
    ["matchExact", "", "✗✗✗✗✗✗"],
    ["matchRepoDigestOrExact", "", "✗✗✗✗✗✗"],
    ...forms.map((image) => ["matchRepository", image, "✓✓✓✓✓✓"] as const),
  ];
  for (const [type, image, row] of table) {
    test(`${type} with an image named ${image || "without tag or digest"}`, () => {
      const results = forms.map((form) => {
        const match = matchSignedIdentity(
          identityOf({ type }),
          parseReference(`example.com/a${image}`),
          `example.com/a${form}`,
        );
        return match.matches ? "✓" : "✗";
      });
      assert.equal(results.join(""), row);
    });
  }
});

test("another host is another repository: ports and case of hosts count", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  for (const host of ["other.example", "host.example:443", "HOST.example", "host.example.other", "docker.io"]) {
    for (const form of [":1", `@${digest}`]) {
      const claimed = `${host}/ns/app${form}`;
      const image = parseReference(`host.example/ns/app${form}`);
      const configured: readonly (readonly [fields: Readonly<Record<string, string>>, image: Reference])[] = [
        [{ type: "matchExact" }, image],
        [{ type: "matchRepoDigestOrExact" }, image],
        [{ type: "matchRepository" }, image],
        [{ type: "exactReference", dockerReference: formatReference(image) }, image],
        [{ type: "exactRepository", dockerRepository: "host.example/ns/app" }, image],
        [
          { type: "remapIdentity", prefix: "mirror.example", signedPrefix: "host.example" },
          { ...image, domain: "mirror.example" },
        ],
      ];
      for (const [fields, named] of configured) {
        assert.equal(
          matchSignedIdentity(identityOf(fields), named, claimed).matches,
          false,
          `${fields["type"]} ${claimed}`,
        );
        assert.equal(matchSignedIdentity(identityOf(fields), named, `host.example/ns/app${form}`).matches, true);
      }
    }
  }
});

describe("what does not match is explained", () => {
  const explain = (
    fields: Readonly<Record<string, string>>,
    image: string | undefined,
    claimed: string,
  ): { message: string; hint?: string } => {
    const match = matchSignedIdentity(
      identityOf(fields),
      image === undefined ? undefined : parseReference(image),
      claimed,
    );
    assert.equal(match.matches, false);
    return match;
  };
  test("a mirror is offered the remapping that would fit", () => {
    const { message, hint } = explain(
      { type: "matchRepoDigestOrExact" },
      "mirror.example:5000/vendor/ns/app:1",
      "vendor.example/ns/app:1",
    );
    assert.match(message, /identity "vendor\.example\/ns\/app:1", which is not accepted/);
    assert.match(hint!, /remapIdentity with prefix "mirror\.example:5000\/vendor" and signedPrefix "vendor\.example"/);
    const identity = identityOf({
      type: "remapIdentity",
      prefix: "mirror.example:5000/vendor",
      signedPrefix: "vendor.example",
    });
    const image = parseReference("mirror.example:5000/vendor/ns/app:1");
    assert.equal(matchSignedIdentity(identity, image, "vendor.example/ns/app:1").matches, true);
  });
  test("a signature without tag names the rules that accept it", () => {
    assert.match(explain({ type: "matchExact" }, "a.example/b:1", "a.example/b").hint!, /only matchRepository accepts/);
    assert.match(
      explain({ type: "exactReference", dockerReference: "a.example/b:1" }, undefined, "a.example/b").hint!,
      /only exactRepository accepts/,
    );
  });
  test("another tag of the same repository", () => {
    assert.match(
      explain({ type: "matchRepoDigestOrExact" }, "a.example/b:1", "a.example/b:2").hint!,
      /tag "2"; use matchRepository/,
    );
  });
  test("an image by digest under matchExact", () => {
    const image = `a.example/b@sha256:${"a".repeat(64)}`;
    assert.match(explain({ type: "matchExact" }, image, "a.example/b:2").hint!, /matchRepoDigestOrExact/);
  });
  test("an image without a docker reference", () => {
    assert.match(
      explain({ type: "matchExact" }, undefined, "a.example/b:1").hint!,
      /exactReference or exactRepository/,
    );
  });
  test("a remapping that yields no reference names the policy as the culprit", () => {
    const fields = { type: "remapIdentity", prefix: "a.example/b", signedPrefix: "c.example:5000" };
    assert.match(explain(fields, "a.example/b:1", "c.example/b:1").hint!, /signedPrefix "c\.example:5000"/);
  });
  test("a reference that is none", () => {
    const { message } = explain({ type: "matchRepository" }, "a.example/b:1", "UPPER\u001b[31m\u009b");
    assert.match(message, /not a valid image reference/);
    for (const character of ["\u001b", "\u009b"]) assert.ok(!message.includes(character));
  });
});

test("the prefix of another name never matches", () => {
  const part = fc.stringMatching(/^[a-z]{1,4}$/);
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), part, (components, more) => {
      const prefix = ["host.example", ...components].join("/");
      const reference = (name: string): Reference => parseReference(`${name}:1`);
      assert.equal(isUnderPrefix(reference(prefix), prefix), true);
      assert.equal(isUnderPrefix(reference(`${prefix}/${more}`), prefix), true);
      assert.equal(isUnderPrefix(reference(`${prefix}${more}`), prefix), false);
      assert.equal(isUnderPrefix(reference(`${prefix}-${more}/x`), prefix), false);
    }),
    { numRuns: 100 },
  );
});
