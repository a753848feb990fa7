import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  TEST_SCHEMA1_SIGNED_TYPE as SIGNED,
  TEST_SCHEMA1_TYPE as UNSIGNED,
  attachTestWebSignatures,
  buildTestImage,
  makeTestSchema1,
  makeTestWebSignature,
} from "@signet/testkit";
import { ContentError } from "./content-error.ts";
import { type ManifestFacts, readManifestFacts } from "./manifest-facts.ts";

const folder = new URL("../../../../vectors/manifest/", import.meta.url);
const readVector = (name: string): Buffer => readFileSync(new URL(name, folder));
const read = (document: string, type?: string, reference?: string): ManifestFacts =>
  readManifestFacts(Buffer.from(document), type, reference);
const hash = (text: string | Uint8Array, algorithm = "sha256"): string =>
  `${algorithm}:${createHash(algorithm).update(text).digest("hex")}`;

const image = await buildTestImage({ layers: 2 });
const { payload, sign } = makeTestSchema1(image);
/** Another image, as an attacker has it. */
const other = makeTestSchema1(await buildTestImage({ seed: 2, layers: 2 }));

describe("a manifest of schema 1", () => {
  for (const name of ["es256", "es384", "es512", "rs256", "two", "x5c"]) {
    test(`is read as libtrust signed it: ${name}`, () => {
      const unsigned = readVector("web-signatures/unsigned.json");
      const bytes = readVector(`web-signatures/${name}.json`);
      for (const algorithm of ["sha256", "sha512"]) {
        const digest = hash(unsigned, algorithm);
        for (const type of [SIGNED, "application/json; charset=utf-8", undefined]) {
          const facts = readManifestFacts(bytes, type, digest);
          assert.deepEqual([facts.digest, facts.mediaType, facts.kind], [digest, SIGNED, "schema1"]);
          assert.equal(facts.bytes, bytes);
          assert.deepEqual(facts.blobs, [hash("upper layer"), hash("base layer")]);
          assert.deepEqual([facts.children, facts.descriptors, facts.totalSize], [[], [], 0]);
        }
      }
      assert.equal(readManifestFacts(bytes, SIGNED, undefined).digest, hash(unsigned));
    });
  }

  test("may leave out what its key is called", () => {
    assert.equal(read(sign().replace(/,"kid":"[^"]+"/, ""), SIGNED).digest, hash(payload));
  });

  test("has the digest of its bytes where it is unsigned, and names each layer once", () => {
    const facts = read(payload, UNSIGNED, hash(payload));
    assert.deepEqual([facts.digest, facts.mediaType], [hash(payload), UNSIGNED]);
    const [layer] = image.layers;
    const twice = makeTestSchema1({ layers: [layer!, layer!] });
    assert.deepEqual(read(twice.sign(), SIGNED).blobs, [layer!.digest]);
    assert.equal(read(twice.sign()).digest, twice.digest);
  });
});

function shortenCoordinate(): string {
  for (;;) {
    const signed = sign();
    const x = /"x":"([^"]+)"/.exec(signed)![1]!;
    const bytes = Buffer.from(x, "base64url");
    if (bytes[0] === 0) return signed.replace(x, bytes.subarray(1).toString("base64url"));
  }
}

/** What must not get in, and why. */
const refused: Readonly<Record<string, readonly [document: string, reason: RegExp, type?: string]>> = {
  // The payload of a known image, whose digest and signatures it would have, in a document that says something else.
  "the payload of another image in the tail": [
    attachTestWebSignatures(payload, [
      makeTestWebSignature(other.payload, {
        formatLength: 0,
        formatTail: Buffer.from(other.payload).toString("base64url"),
      }),
    ]),
    /payload is not this document/,
  ],
  "visible layers of another image behind a payload that ends before them": [
    (() => {
      const known = '{"architecture":"amd64"}';
      const shown = `${known.slice(0, -1)},${payload.replace('"architecture":"amd64",', "").slice(1)}`;
      return attachTestWebSignatures(shown, [makeTestWebSignature(known)]);
    })(),
    /payload is not this document/,
  ],
  "a name that is not the payload's": [sign().replace('"name":"team/app"', '"name":"team/oth"'), /does not verify/],
  "a tag that is not the payload's": [sign().replace('"tag":"1"', '"tag":"2"'), /does not verify/],
  "a history that is not the payload's": [sign().replace("2016-01-01", "2017-01-01"), /does not verify/],
  "layers that are not the payload's": [
    sign().replace(image.layers[0]!.digest, other.layers[0]!.digest),
    /does not verify/,
  ],
  "a member behind the signatures": [sign().replace(/\}$/, ',"tag":"2"}'), /payload is not|occurs twice/],
  "signatures of two payloads": [
    attachTestWebSignatures(payload, [
      makeTestWebSignature(payload),
      makeTestWebSignature(payload, { formatLength: payload.length - 2 }),
    ]),
    /another payload than/,
  ],
  "one signature that verifies and one that does not": [
    attachTestWebSignatures(payload, [makeTestWebSignature(payload), makeTestWebSignature(other.payload)]),
    /signatures\[1\]/,
  ],
  "a payload with signatures in it": [
    attachTestWebSignatures(sign(), [makeTestWebSignature(sign())]),
    /must occur exactly once|occurs twice/,
  ],
  "signatures in another case": [sign().replace('"signatures"', '"Signatures"'), /is "signatures" to some readers/],
  "fsLayers twice": [
    (() => {
      const twice = payload.replace('"fsLayers"', '"fsLayers":[],"fsLayers"');
      return attachTestWebSignatures(twice, [makeTestWebSignature(twice)]);
    })(),
    /"fsLayers" occurs twice/,
  ],
  "blobSum twice": [
    payload.replace('"blobSum"', `"blobSum":"${other.layers[0]!.digest}","blobSum"`),
    /"blobSum" occurs twice/,
  ],
  "a piece of history twice": [
    payload.replace('"v1Compatibility"', '"v1Compatibility":"{}","v1Compatibility"'),
    /"v1Compatibility" occurs twice/,
  ],
  "a payload longer than the document": [
    attachTestWebSignatures(payload, [makeTestWebSignature(payload, { formatLength: 2 ** 40 })]),
    /longer than the document/,
  ],
  "a payload of negative length": [
    attachTestWebSignatures(payload, [makeTestWebSignature(payload, { formatLength: -1 })]),
    /not a whole number/,
  ],
  "no signature in the list": [attachTestWebSignatures(payload, []), /without signatures/],
  "more signatures than are checked": [
    attachTestWebSignatures(
      payload,
      Array.from({ length: 17 }, () => makeTestWebSignature(payload)),
    ),
    /has 17 signatures, and may have 16/,
  ],
  "an empty signature": [sign().replace(/"signature":"[^"]+"/, '"signature":""'), /does not verify/],
  "a signature of odd length": [sign().replace(/"signature":"[^"]+"/, '"signature":"AQID"'), /does not verify/],
  "a signature of zeros": [
    sign().replace(/"signature":"[^"]+"/, `"signature":"${Buffer.alloc(64).toString("base64url")}"`),
    /does not verify/,
  ],
  "a signature by another key than the one beside it": [
    (() => {
      const [mine, theirs] = [sign(), sign()];
      const jwk = /"jwk":\{[^}]+\}/;
      return mine.replace(jwk, jwk.exec(theirs)![0]);
    })(),
    /does not verify/,
  ],
  "a key with an empty id": [sign().replace(/"kid":"[^"]+"/, '"kid":""'), /does not verify/],
  "a key with the id of another one": [sign().replace(/"kid":"[A-Z2-7]{4}/, '"kid":"AAAA'), /does not verify/],
  "more bytes beside the payload than signatures need": [
    sign().replace('"signatures":', `"signatures":${" ".repeat(65_536)}`),
    /signatures have \d+ bytes, and may have 65536/,
  ],
  "a key whose curve is a number": [sign().replace('"crv":"P-256"', '"crv":256'), /crv is a number/],
  "a key that is no object": [sign().replace(/"jwk":\{[^}]+\}/, '"jwk":{"kty":"EC","x":[]}'), /not a string/],
  "a certificate that is no base64": [
    readVector("web-signatures/x5c.json")
      .toString()
      .replace(/"MII[^"]+"/, '"-_"'),
    /illegal base64/,
  ],
  "a signature that is no base64": [sign().replace(/"signature":"/, '"signature":"+/'), /illegal base64/],
  "a signature without a key": [sign().replace(/"jwk":\{[^}]+\},/, ""), /does not verify/],
  "a key that is no point of its curve": [sign().replace(/"x":"[^"]+"/, '"x":"AQ"'), /does not verify/],
  "an algorithm that is none": [sign().replace("ES256", "none"), /does not verify/],
  "an algorithm of another curve": [
    attachTestWebSignatures(payload, [makeTestWebSignature(payload, {}, "ES384")]),
    /does not verify/,
  ],
  "an algorithm of another kind of key": [sign().replace("ES256", "RS256"), /does not verify/],
  // These two verify, in their time.
  "an RSA key with a long exponent": [
    readVector("web-signatures/rsa-long-exponent.json").toString(),
    /does not verify/,
  ],
  "an RSA key of 8,200 bits": [readVector("web-signatures/rsa-8200-bits.json").toString(), /does not verify/],
  "a coordinate without its leading zero, which libtrust refuses": [shortenCoordinate(), /does not verify/],
  "a certificate that is none": [
    readVector("web-signatures/x5c.json")
      .toString()
      .replace(/"MII[^"]+"/, '"MIIB"'),
    /does not verify|base64/,
  ],
  "no layers": [makeTestSchema1({ layers: [] }).sign(), /has no fsLayers/],
  "fewer pieces of history than layers": [
    makeTestSchema1(image, { history: [{ v1Compatibility: "{}" }] }).sign(),
    /has 2 fsLayers, and a history of 1/,
  ],
  "no history": [makeTestSchema1(image, { history: undefined }).sign(), /a history of 0/],
  "a history without content": [makeTestSchema1(image, { history: [{}, {}] }).sign(), /lacks v1Compatibility/],
  "layers of schema 2 beside its own": [makeTestSchema1(image, { layers: [] }).sign(), /"layers" has no place/],
  "a signed one that is declared unsigned": [sign(), /is said to be .*\+json, and is .*prettyjws/, UNSIGNED],
  "an unsigned one that is declared signed": [payload, /is said to be .*prettyjws, and is .*\+json/, SIGNED],
  "one that is declared schema 2": [
    sign(),
    /contradicts the content/,
    "application/vnd.docker.distribution.manifest.v2+json",
  ],
  "one that was edited after it was signed, as containers/image has it": [
    readVector("v2s1.manifest.json").toString(),
    /does not verify/,
  ],
  "one by docker, edited after it was signed": [
    readVector("schema2-to-schema1-by-docker.json").toString(),
    /payload is not this document/,
  ],
  "one with signatures that are none": [readVector("v2s1-invalid-signatures.manifest.json").toString(), /signatures/],
};

describe("a manifest of schema 1 that could mean two things, or does not verify, is refused", () => {
  for (const [name, [document, reason, type]] of Object.entries(refused)) {
    test(name, () => {
      assert.throws(
        () => read(document, type),
        (error) => {
          assert.ok(error instanceof ContentError, String(error));
          assert.equal(error.problem, "manifest-invalid");
          assert.match(error.message, reason);
          return true;
        },
      );
    });
  }

  test("and of what is changed anywhere in one, nothing gets another image the known digest", () => {
    const bases = ["es256", "two", "x5c"].map((name) => readVector(`web-signatures/${name}.json`));
    const known = read(bases[0]!.toString());
    const mutation = fc.record({
      base: fc.nat(bases.length - 1),
      at: fc.nat(4_000),
      octets: fc.oneof(
        fc.uint8Array({ maxLength: 3 }),
        fc.constantFrom('"', "}", "null", ",", "[]", '"x":1,', '"fsLayers":[],').map((text) => Buffer.from(text)),
      ),
      remove: fc.nat(20),
    });
    fc.assert(
      fc.property(mutation, ({ base, at, octets, remove }) => {
        const bytes = bases[base]!;
        const from = at % bytes.length;
        const mutated = Buffer.concat([bytes.subarray(0, from), octets, bytes.subarray(from + remove)]);
        try {
          const facts = readManifestFacts(mutated, SIGNED, undefined);
          if (facts.digest === known.digest) assert.deepEqual(facts.blobs, known.blobs);
        } catch (error) {
          assert.ok(error instanceof ContentError, String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("by the digest of its bytes, or of another payload", () => {
    const signed = sign();
    for (const reference of [hash(signed), other.digest, hash(signed, "sha512")])
      assert.throws(() => read(signed, SIGNED, reference), { problem: "digest-mismatch" });
  });
});
