import assert from "node:assert/strict";
import { type KeyObject, X509Certificate, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseManifest } from "./manifest.ts";
import type { UntrustedSchema1Manifest } from "./schema1.ts";
import { type UntrustedWebKey, readWebSignatures } from "./web-signatures.ts";

const folder = new URL("../../../../../vectors/manifest/", import.meta.url);

function parse(bytes: Uint8Array): UntrustedSchema1Manifest {
  const manifest = parseManifest(bytes);
  assert.ok(manifest.kind === "schema1");
  return manifest;
}

const readVector = (name: string): UntrustedSchema1Manifest => parse(readFileSync(new URL(name, folder)));

const head = '{"schemaVersion":1,"fsLayers":[]';
const protectedHeader = Buffer.from(JSON.stringify({ formatLength: head.length, formatTail: "fQ" })).toString(
  "base64url",
);

/** A manifest with signatures that have these members besides the protected header. */
function makeSigned(...signatures: readonly object[]): UntrustedSchema1Manifest {
  const items = signatures.map((one) => ({ protected: protectedHeader, ...one }));
  return parse(new TextEncoder().encode(`${head},"signatures":${JSON.stringify(items)}}`));
}

test("signatures are read so that they verify over the payload by the keys beside them", () => {
  for (const [name, algorithms] of [
    ["es256", ["ES256"]],
    ["es384", ["ES384"]],
    ["es512", ["ES512"]],
    ["rs256", ["RS256"]],
    ["rsa-8200-bits", ["RS256"]],
    ["rsa-long-exponent", ["RS256"]],
    ["two", ["ES256", "ES256"]],
    ["x5c", ["ES256"]],
  ] as const) {
    const manifest = readVector(`web-signatures/${name}.json`);
    const signatures = readWebSignatures(manifest);
    assert.deepEqual(
      signatures.map((one) => one.algorithm),
      algorithms,
    );
    for (const { algorithm, key, protectedText, signature } of signatures) {
      const message = `${protectedText}.${Buffer.from(manifest.payload).toString("base64url")}`;
      const verifier = { key: openKey(key!), dsaEncoding: "ieee-p1363" } as const;
      assert.ok(verify(`sha${algorithm!.slice(2)}`, Buffer.from(message), verifier, signature), name);
    }
  }
  for (const name of ["web-signatures/unsigned.json", "v2s1-unsigned.manifest.json"])
    assert.deepEqual(readWebSignatures(readVector(name)), []);
});

function openKey(key: UntrustedWebKey): KeyObject {
  if (key.kind === "certificate") return new X509Certificate(key.der).publicKey;
  const { kind, ...members } = key;
  return createPublicKey({ key: { kty: kind.toUpperCase(), ...members }, format: "jwk" });
}

test("keys are read from a JSON web key, or from the first certificate, which goes first", () => {
  const rsa = { kty: "RSA", n: "AQAB", e: "Aw", kid: "x" };
  const read = (header: unknown) => readWebSignatures(makeSigned({ signature: "AQ", header }))[0];
  assert.deepEqual(read({ alg: "RS256", jwk: rsa }), {
    algorithm: "RS256",
    protectedText: protectedHeader,
    signature: Uint8Array.of(1),
    key: { kind: "rsa", kid: "x", n: "AQAB", e: "Aw" },
  });
  const der = Buffer.from("certificate");
  const chain = read({ alg: "RS256", jwk: rsa, x5c: [der.toString("base64"), "second"] })!.key;
  assert.ok(chain?.kind === "certificate");
  assert.deepEqual(Buffer.from(chain.der), der);
  assert.deepEqual(read({ jwk: { kty: "EC", crv: "P-256", x: "AQ" } })!.key, {
    kind: "ec",
    kid: undefined,
    crv: "P-256",
    x: "AQ",
    y: "",
  });
  assert.deepEqual(read({ jwk: { kty: "RSA", kid: "" } })!.key, { kind: "rsa", kid: "", n: "", e: "" });
  for (const header of [undefined, null, {}, { x5c: [] }]) assert.equal(read(header)?.key, undefined);
  assert.equal(readWebSignatures(makeSigned({}, { header: { jwk: rsa } })).length, 2);
});

test("keys and signatures that cannot be read are refused with a code", () => {
  const header = (one: unknown) => () => readWebSignatures(makeSigned({ signature: "AQ", header: one }));
  assert.throws(header({ jwk: { kty: "EC", crv: 1 } }), { code: "manifest-malformed" });
  assert.throws(header({ alg: 1 }), { code: "manifest-malformed" });
  assert.throws(header({ jwk: { kty: "RSA", N: "AQAB", n: "AQAB" } }), { code: "manifest-malformed" });
  assert.throws(header({ x5c: ["-_"] }), { code: "base64-malformed" });
  assert.throws(header({ x5c: Array.from({ length: 21 }, () => "AA==") }), { code: "input-too-large" });
  assert.throws(() => readWebSignatures(makeSigned({ signature: "+/" })), { code: "base64-malformed" });
});
