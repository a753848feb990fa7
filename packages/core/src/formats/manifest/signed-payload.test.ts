import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { sha256Digest } from "../../bytes/digest.ts";
import { nodeEngine } from "../../node-engine.ts";
import { computeManifestDigest } from "./manifest-digest.ts";
import { parseManifest } from "./manifest.ts";

const folder = new URL("../../../../../vectors/manifest/", import.meta.url);
const signed = readFileSync(new URL("v2s1.manifest.json", folder), "utf8");
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const digestOf = (text: string): string => computeManifestDigest(encode(text), nodeEngine);
const plainDigestOf = (text: string): string => sha256Digest(encode(text), nodeEngine);

const base64Url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A document in the signed form whose signatures claim these formats. */
function makeSigned(
  formats: readonly { readonly formatLength: unknown; readonly formatTail: unknown }[],
  head = '{"schemaVersion":1,"name":"n","fsLayers":[]',
): string {
  const signatures = formats.map((format) => ({ protected: base64Url(format), signature: "x", header: {} }));
  return `${head},"signatures":${JSON.stringify(signatures)}}`;
}

const head = '{"schemaVersion":1,"name":"n","fsLayers":[]';
const tail = Buffer.from("}").toString("base64url");
const honest = { formatLength: head.length, formatTail: tail };

test("the digest of a signed manifest is that of the same manifest without signatures", () => {
  assert.equal(digestOf(signed), plainDigestOf(readFileSync(new URL("v2s1-unsigned.manifest.json", folder), "utf8")));
  assert.equal(digestOf(makeSigned([honest])), plainDigestOf(`${head}}`));
  assert.equal(digestOf(makeSigned([honest, honest])), plainDigestOf(`${head}}`));
  assert.equal(
    parseManifest(encode(makeSigned([honest]))).mediaType,
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
  );
});

test("signatures that contradict each other or cannot be read leave no digest", async (t) => {
  const cases: Readonly<Record<string, string>> = {
    "other length": makeSigned([honest, { ...honest, formatLength: head.length - 1 }]),
    "other tail": makeSigned([honest, { ...honest, formatTail: Buffer.from("} ").toString("base64url") }]),
    "length beyond the document": makeSigned([{ ...honest, formatLength: 100_000 }]),
    "negative length": makeSigned([{ ...honest, formatLength: -1 }]),
    "length with a fraction": makeSigned([{ ...honest, formatLength: 1.5 }]),
    "length a string": makeSigned([{ ...honest, formatLength: "1" }]),
    "length missing": makeSigned([{ formatLength: undefined, formatTail: tail }]),
    "tail missing": makeSigned([{ formatLength: head.length, formatTail: undefined }]),
    "signature a number": makeSigned([honest]).replace('"signature":"x"', '"signature":1'),
    "header a number": makeSigned([honest]).replace('"header":{}', '"header":1'),
    "key of no type": makeSigned([honest]).replace('"header":{}', '"header":{"jwk":{}}'),
    "tail not base64url": makeSigned([{ ...honest, formatTail: "+/" }]),
    "no signature in the list": makeSigned([]),
    "signatures not a list": `${head},"signatures":1}`,
    "signatures an object": `${head},"signatures":{}}`,
    "a signature that is null": `${head},"signatures":[null]}`,
    "protected missing": `${head},"signatures":[{}]}`,
    "protected not base64url": `${head},"signatures":[{"protected":"&"}]}`,
    "protected not JSON": `${head},"signatures":[{"protected":"eA"}]}`,
    "protected twice": makeSigned([honest]).replace('"protected"', '"protected":"eA","protected"'),
    "formatLength twice": `${head},"signatures":[{"protected":"${Buffer.from(`{"formatLength":1,"formatLength":${head.length},"formatTail":"${tail}"}`).toString("base64url")}"}]}`,
  };
  for (const [name, document] of Object.entries(cases)) {
    await t.test(name, () => {
      assert.throws(() => digestOf(document), /manifest|signatures/);
      assert.throws(() => parseManifest(encode(document)));
    });
  }
});

test("a document that carries the payload of another one has that one's digest, and is never read as a manifest", async (t) => {
  const other = '{"schemaVersion":1,"name":"n","fsLayers":[{"blobSum":"x"}]}';
  const cases: Readonly<Record<string, readonly [document: string, payload: string]>> = {
    "everything in the tail": [
      makeSigned([{ formatLength: 0, formatTail: Buffer.from(other).toString("base64url") }]),
      other,
    ],
    "more than a brace in the tail": [
      makeSigned([{ ...honest, formatTail: Buffer.from(',"tag":"t"}').toString("base64url") }]),
      `${head},"tag":"t"}`,
    ],
    "nothing in the tail": [makeSigned([{ ...honest, formatTail: "" }]), head],
    "payload ends early": [makeSigned([{ ...honest, formatLength: 19 }]), `${head.slice(0, 19)}}`],
    "payload holds the comma": [makeSigned([{ ...honest, formatLength: head.length + 1 }]), `${head},}`],
    "a member behind the signatures": [makeSigned([honest]).replace(/\}$/, ',"tag":"t"}'), `${head}}`],
  };
  for (const [name, [document, payload]] of Object.entries(cases)) {
    await t.test(name, () => {
      assert.equal(digestOf(document), plainDigestOf(payload));
      assert.throws(() => parseManifest(encode(document)), { code: "manifest-malformed" });
    });
  }
  assert.equal(parseManifest(encode(makeSigned([honest]))).kind, "schema1");
});

test("signatures that occur twice or in another case leave no digest", () => {
  const documents = [
    makeSigned([honest]).replace(/\}$/, `,"signatures":[{"protected":"${base64Url(honest)}"}]}`),
    makeSigned([honest]).replace('"signatures"', '"Signatures"'),
    makeSigned([honest], '{"schemaVersion":1,"Signatures":[],"fsLayers":[]'),
  ];
  for (const document of documents) assert.throws(() => digestOf(document), { code: "manifest-malformed" });
});

test("whether a document is signed is guessed as loosely as the reference does it", async (t) => {
  const withSignatures = '"signatures":[{"protected":"x"}]';
  const plain: Readonly<Record<string, string>> = {
    empty: "",
    "not JSON": "hello",
    "an array": "[]",
    "signatures null": '{"schemaVersion":1,"signatures":null}',
    "no version": `{${withSignatures}}`,
    "version 2": `{"schemaVersion":2,${withSignatures}}`,
    "version a string": `{"schemaVersion":"1",${withSignatures}}`,
    "version with a fraction": `{"schemaVersion":1.0,${withSignatures}}`,
    "a modern media type": `{"schemaVersion":1,"mediaType":"application/vnd.oci.image.manifest.v1+json",${withSignatures}}`,
    "a media type that is a number": `{"schemaVersion":1,"mediaType":1,${withSignatures}}`,
    "the last signatures are null": `{"schemaVersion":1,${withSignatures},"SIGNATURES":null}`,
    "the last version is 2": `{"schemaVersion":1,${withSignatures},"SchemaVersion":2}`,
    "trailing data": `{"schemaVersion":1,${withSignatures}}x`,
  };
  for (const [name, document] of Object.entries(plain)) {
    await t.test(name, () => assert.equal(digestOf(document), plainDigestOf(document)));
  }
  const taken: Readonly<Record<string, string>> = {
    "an unknown media type": `{"schemaVersion":1,"mediaType":"x",${withSignatures}}`,
    "version in another case": `{"SCHEMAVERSION":1,${withSignatures}}`,
    "long s": `{"\u017fchemaVersion":1,${withSignatures}}`,
    "null leaves the version as it was": `{"schemaVersion":1,"schemaversion":null,${withSignatures}}`,
    "minus zero and then 1": `{"schemaVersion":-0,"schemaversion":1,${withSignatures}}`,
  };
  for (const [name, document] of Object.entries(taken)) {
    await t.test(name, () => assert.throws(() => digestOf(document)));
  }
});
