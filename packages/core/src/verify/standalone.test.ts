import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { makeKeyring, type Keyring, parseKeyring } from "../keys/keyring.ts";
import { nodeEngine } from "../node-engine.ts";
import { type StandaloneVerdict, verifyStandalone } from "./standalone.ts";

const images = new URL("../../../../vectors/dir-images/", import.meta.url);
const read = (name: string): Uint8Array => readFileSync(new URL(name, images));
const keyringOf = (name: string): Keyring => makeKeyring(parseKeyring(read(`keys/${name}`), nodeEngine).certificates);

const manifest = read("blobs/image.manifest.json");
const digest = "sha256:20bf21ed457b390829cdbeec8795a7bea1626991fda603e0d01b4e7f60427e55";
const fingerprint = "08CD26E446E2E95249B7A405E932F44B23E8DD43";
const other = "F2B501009F78B0B340221A12A3CD242DA6028093";
const subkeyPrimary = "B9F4CDB9FD8C475BFA340AC38D54A947EE396F36";
const subkey = "57D1D95BBC53BA0EAFF0718CD75B3109B3BAAEAF";
const pubring = keyringOf("pubring.gpg");
const deps = { engine: nodeEngine, now: Date.UTC(2026, 0, 1) };

function verify(
  signature: string,
  reference: string,
  accepted: readonly string[] | "any",
  on = manifest,
): StandaloneVerdict {
  return verifyStandalone(on, reference, accepted, read(`blobs/${signature}`), pubring, deps);
}

function codesOf(verdict: StandaloneVerdict): readonly string[] {
  assert.equal(verdict.verdict, "rejected");
  return verdict.reasons.map(({ code }) => code);
}

describe("a good signature", () => {
  for (const reference of ["testing/manifest", "docker.io/testing/manifest", "index.docker.io/testing/manifest"]) {
    for (const accepted of [[fingerprint], [fingerprint, other], [other, fingerprint, other], "any"] as const) {
      test(`is accepted for ${reference} with ${accepted === "any" ? "any key" : `${accepted.length} fingerprints`}`, () => {
        const verdict = verify("image.signature", reference, accepted);
        assert.ok(verdict.verdict === "accepted");
        assert.equal(verdict.fingerprint, fingerprint);
        assert.equal(verdict.digest, digest);
        assert.equal(verdict.signer.dockerReference, "testing/manifest");
      });
    }
  }
  test("without optional members is accepted", () => {
    assert.equal(verify("no-optional-fields.signature", "testing/manifest", [fingerprint]).verdict, "accepted");
  });
});

describe("fingerprints", () => {
  test("a subkey's signature is its primary key's", () => {
    for (const signature of ["subkey.signature", "subkey.signature-v3"]) {
      for (const accepted of [[subkeyPrimary], "any"] as const) {
        const verdict = verify(signature, "testing/manifest:latest", accepted);
        assert.ok(verdict.verdict === "accepted");
        assert.equal(verdict.fingerprint, subkeyPrimary);
        assert.equal(verdict.signer.signingFingerprint, subkey);
      }
    }
  });
  test("a subkey that is listed itself is honoured, and named", () => {
    for (const accepted of [[subkey], [subkeyPrimary, subkey]]) {
      const verdict = verify("subkey.signature", "testing/manifest:latest", accepted);
      assert.ok(verdict.verdict === "accepted");
      assert.equal(verdict.fingerprint, subkey);
    }
  });
  test("they compare as text: no folding of case, no spaces, no key ids", () => {
    for (const wrong of [
      other,
      fingerprint.toLowerCase(),
      ` ${fingerprint}`,
      fingerprint.slice(-16),
      `0x${fingerprint}`,
      "any",
      "",
    ]) {
      assert.deepEqual(codesOf(verify("image.signature", "testing/manifest", [wrong])), ["key-accepted"], wrong);
    }
  });
  test("no fingerprint, and no key, is an error", () => {
    assert.throws(() => verify("image.signature", "testing/manifest", []), { code: "no-trust-anchors" });
    const signature = read("blobs/image.signature");
    const none = makeKeyring([]);
    assert.throws(() => verifyStandalone(manifest, "testing/manifest", "any", signature, none, deps), {
      code: "no-trust-anchors",
    });
  });
});

describe("what does not fit", () => {
  test("another manifest", () => {
    const changed = new TextEncoder().encode("unexpected manifest");
    assert.deepEqual(codesOf(verify("image.signature", "testing/manifest", [fingerprint], changed)), [
      "manifest-digest",
    ]);
  });
  test("another reference; a name without tag is not :latest", () => {
    for (const reference of [
      "example.com/does-not/match",
      "testing/manifest:latest",
      "testing/manifest:other",
      `testing/manifest@${digest}`,
    ]) {
      assert.deepEqual(codesOf(verify("image.signature", reference, [fingerprint])), ["identity"], reference);
    }
    assert.deepEqual(codesOf(verify("subkey.signature", "testing/manifest", "any")), ["identity"]);
  });
  test("digest and reference are both said, the digest first", () => {
    const changed = new TextEncoder().encode("unexpected manifest");
    const verdict = verify("image.signature", "example.com/does-not/match", [fingerprint], changed);
    assert.deepEqual(codesOf(verdict), ["manifest-digest", "identity"]);
  });
  test("a signature for something that is no reference", () => {
    const verdict = verify("invalid-reference.signature", "testing/manifest", [fingerprint]);
    assert.deepEqual(codesOf(verdict), ["identity"]);
    assert.ok(verdict.verdict === "rejected");
    assert.equal(verdict.claims.dockerReference, "UPPERCASEISINVALID");
  });
  test("something else that was signed", () => {
    assert.deepEqual(codesOf(verify("invalid-blob.signature", "testing/manifest", "any")), ["payload-json"]);
  });
  for (const name of [
    "corrupt.signature",
    "corrupt.signature-v3",
    "expired.signature",
    "unknown-key.signature",
    "unknown-key.signature-v3",
    "subkey-revoked.signature",
    "subkey-revoked.signature-v3",
    "unsigned-encrypted.signature",
    "unsigned-literal.signature",
    "invalid-cleartext.signature",
    "image.manifest.json",
  ]) {
    test(`${name} is rejected`, () => {
      for (const reference of ["testing/manifest", "testing/manifest:latest"]) {
        const verdict = verify(name, reference, "any");
        assert.ok(codesOf(verdict).length > 0);
        assert.ok(verdict.checks.some(({ outcome }) => outcome === "failed"));
      }
    });
  }
  test("an expected reference that is none, or a manifest without a digest, is an error", () => {
    assert.throws(() => verify("image.signature", "UPPERCASEISINVALID", "any"), { code: "reference-malformed" });
    const damaged = read("blobs/v2s1-invalid-signatures.manifest.json");
    assert.throws(() => verify("image.signature", "testing/manifest", "any", damaged), { name: "FormatError" });
  });
});
