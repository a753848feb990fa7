/** The field's known attacks on manifests, by name. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FormatError } from "../../errors.ts";
import { parseManifest } from "./manifest.ts";
import { DOCKER_LIST_TYPE, DOCKER_SCHEMA2_TYPE, OCI_INDEX_TYPE, OCI_MANIFEST_TYPE } from "./media-types.ts";

const digest = `sha256:${"a".repeat(64)}`;
const descriptor = (text: string = digest): object => {
  return { mediaType: "application/octet-stream", digest: text, size: 1 };
};
const image = { schemaVersion: 2, mediaType: OCI_MANIFEST_TYPE, config: descriptor(), layers: [descriptor()] };
const index = { schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests: [descriptor()] };

function codeOf(document: object | string, declared?: string): string {
  const text = typeof document === "string" ? document : JSON.stringify(document);
  try {
    return parseManifest(new TextEncoder().encode(text), declared).kind;
  } catch (error) {
    assert.ok(error instanceof FormatError, String(error));
    return error.code;
  }
}

test("the documents that the attacks start from are read", () => {
  assert.equal(codeOf(image, OCI_MANIFEST_TYPE), "image");
  assert.equal(codeOf(index, OCI_INDEX_TYPE), "list");
});

describe("GHSA-qq97-vm5h-rrhg, CVE-2021-41190: one document that is an image to one reader and a list to another", () => {
  const both = { ...image, ...index };
  const text = JSON.stringify(image);
  const documents: readonly (readonly [string, object | string, string?])[] = [
    ["layers and manifests, an image by its type", { ...both, mediaType: OCI_MANIFEST_TYPE }],
    ["layers and manifests, a list by its type", { ...both, mediaType: OCI_INDEX_TYPE }],
    ["layers and manifests, no type", { ...both, mediaType: undefined }],
    ["layers and empty manifests", { ...image, manifests: [] }],
    ["layers and manifests that are null", { ...image, manifests: null }],
    ["manifests in another case", { ...image, Manifests: [descriptor()] }],
    ["manifests with a long s, which Go reads as manifests", { ...image, manifeſts: [descriptor()] }],
    ["config in a list", { ...index, config: descriptor() }],
    ["an image of a list's type", { ...image, mediaType: DOCKER_LIST_TYPE }],
    ["a list of an image's type", { ...index, mediaType: DOCKER_SCHEMA2_TYPE }],
    ["an image that its source calls a list", image, OCI_INDEX_TYPE],
    ["a list that its source calls an image", index, OCI_MANIFEST_TYPE],
    ["an image without a type that its source calls a list", { ...image, mediaType: undefined }, OCI_INDEX_TYPE],
    ["another type with the same meaning", image, DOCKER_SCHEMA2_TYPE],
    ["two types", text.replace("{", `{"mediaType":"${OCI_INDEX_TYPE}",`)],
    ["a second type in another case", text.replace("{", `{"MediaType":"${OCI_INDEX_TYPE}",`)],
    ["layers twice", text.replace("{", '{"layers":[],')],
    ["fsLayers in an image", { ...image, fsLayers: [] }],
    ["layers in schema 1", { ...image, mediaType: undefined, schemaVersion: 1, fsLayers: [] }],
  ];
  for (const [name, document, declared] of documents) {
    test(name, () => assert.equal(codeOf(document, declared), "manifest-malformed"));
  }
});

describe("CVE-2024-3727: digests that would become paths or other requests", () => {
  const hex = "a".repeat(64);
  const tricks = [
    "sha256:../..",
    `sha256:../${hex.slice(3)}`,
    `sha256:${hex}/..`,
    `sha256:${hex}?x=1`,
    `sha256:${hex}#`,
  ];
  const odd = [
    `sha256:${hex.toUpperCase()}`,
    `SHA256:${hex}`,
    `md5:${hex.slice(32)}`,
    hex,
    `sha256:${hex}\n`,
    `sha256:${hex}\0`,
  ];
  for (const trick of [...tricks, ...odd]) {
    test(JSON.stringify(trick), () => {
      const documents = [
        { ...image, config: descriptor(trick) },
        { ...image, layers: [descriptor(), descriptor(trick)] },
        { ...image, subject: descriptor(trick) },
        { ...index, manifests: [descriptor(trick)] },
        { schemaVersion: 1, fsLayers: [{ blobSum: trick }] },
      ];
      for (const document of documents) assert.equal(codeOf(document), "digest-malformed");
    });
  }
});
