/**
 * The cases of the OCI distribution specification's conformance suite (opencontainers/distribution-spec, folder `conformance`), under its names and in its order, written anew:
 * where the official suite lets a registry fall back to something else, these do not. `npm run conformance` runs the official suite, and compares the names.
 */
import assert from "node:assert/strict";
import { type SeededRandom, makeSeededRandom } from "@signet/testkit";
import type { ConformanceClient } from "./conformance-client.testing.ts";
import {
  type Content,
  DataSet,
  type Descriptor,
  type DigestAlgorithm,
  EMPTY_JSON,
  type Manifest,
  contentOf,
  digestOf,
  makeDataSets,
} from "./conformance-data.testing.ts";

/** One case. Each builds on those before it. */
export interface ConformanceCase {
  /** As the official suite calls it; some names stand for several cases. */
  readonly name: string;
  readonly run: (client: ConformanceClient) => Promise<void>;
}

type Run = ConformanceCase["run"];
type NamedRun = readonly [name: string, run: Run];

const ROOT = "OCI Conformance Test";
/** Where everything is pushed to, and where blobs are mounted from. */
const PATH = "conf/repo1";
const SOURCE = "conf/repo2";
/** Bytes of a blob that goes up in one piece, and of one that takes three chunks. */
const SMALL = 512;
const LARGE = 3 * 1024 - 5;

/** All cases, in the order in which they have to run. */
export function listConformanceCases(): readonly ConformanceCase[] {
  const random = makeSeededRandom(1);
  const cases: readonly NamedRun[] = [
    ["ping", async (client) => void (await client.send("GET", "/v2/", { status: 200 }))],
    ["empty/tag list", async (client) => assert.deepEqual(await client.listTags(PATH), [])],
    ["empty/referrers", (client) => assertNoReferrers(client, digestOf(random.bytes(32)))],
    ...below("sha256 blobs", listBlobCases("sha256", random)),
    ...below("sha512 blobs", listBlobCases("sha512", random)),
    ...makeDataSets(random).flatMap((set) => below(set.name, listDataCases(set))),
    ...below("bad-digest-image", listBadDigestCases(new DataSet("bad-digest-image", random))),
    ...below("missing-manifest", listMissingCases(random)),
    ...below("invalid-digest-format", listInvalidDigestCases(new DataSet("invalid-digest-format", random))),
  ];
  return cases.map(([name, run]) => ({ name: `${ROOT}/${name}`, run }));
}

function below(name: string, cases: readonly NamedRun[]): readonly NamedRun[] {
  return cases.map(([inner, run]) => [`${name}/${inner}`, run]);
}

async function assertNoReferrers(client: ConformanceClient, subject: string): Promise<void> {
  assert.deepEqual(await client.listReferrers(PATH, subject), []);
}

function listBlobCases(algorithm: DigestAlgorithm, random: SeededRandom): readonly NamedRun[] {
  const make = (size: number): Content => contentOf(random.bytes(size), algorithm);
  const missing = make(SMALL);
  const small = (name: string, last: string, push: (client: ConformanceClient, blob: Content) => Promise<void>) =>
    below(name, listUploadCases(make(SMALL), last, push));
  const large = (name: string, options: Parameters<ConformanceClient["chunkBlob"]>[2]) => {
    const push = (client: ConformanceClient, blob: Content) => client.chunkBlob(PATH, blob, options);
    return below(name, listUploadCases(make(LARGE), "blob-patch-chunked", push));
  };
  return [
    [
      "get-missing",
      async (client) => void (await client.send("GET", `/v2/${PATH}/blobs/${missing.digest}`, { status: 404 })),
    ],
    ...small("post only", "blob-post-only", (client, blob) => client.postBlob(PATH, blob)),
    ...small("post+put", "blob-post-put", (client, blob) => client.putBlob(PATH, blob)),
    ...small("chunked single", "blob-patch-chunked", (client, blob) => client.chunkBlob(PATH, blob)),
    ...small("stream", "blob-patch-stream", (client, blob) => client.streamBlob(PATH, blob)),
    ...below("mount", listMountCases(make(SMALL), "blob-mount", SOURCE)),
    ...below("mount anonymous", listMountCases(make(SMALL), "blob-mount-anonymous", undefined)),
    ...small("mount missing", "blob-mount", (client, blob) => client.mountMissingBlob(PATH, blob, SOURCE)),
    ["post cancel/blob-post-cancel", (client) => client.cancelUpload(PATH)],
    ["post cancel/blob-delete", (client) => client.deleteBlob(PATH, missing, false)],
    ...large("chunked multi", {}),
    ...large("chunked multi and put chunk", { putsLast: true }),
    ...large("chunked out-of-order", { isOutOfOrder: true }),
    ...large("chunked out-of-order and put chunk", { isOutOfOrder: true, putsLast: true }),
    ...below("range requests", listRangeCases(make(2048))),
    ...below("empty", listWellKnownCases(contentOf(new Uint8Array(), algorithm))),
    ...below("emptyJSON", listWellKnownCases(contentOf(EMPTY_JSON, algorithm))),
    ...listWrongBlobCases(make),
  ];
}

/** A blob goes up in some way, is read, and removed. */
function listUploadCases(
  blob: Content,
  name: string,
  push: (client: ConformanceClient, blob: Content) => Promise<void>,
): readonly NamedRun[] {
  return [
    [name, (client) => push(client, blob)],
    ["blob-head", (client) => client.headBlob(PATH, blob)],
    ["blob-get", (client) => client.getBlob(PATH, blob)],
    ["blob-delete", (client) => client.deleteBlob(PATH, blob)],
  ];
}

function listWellKnownCases(blob: Content): readonly NamedRun[] {
  return listUploadCases(blob, "blob-post-put", (client) => client.putBlob(PATH, blob));
}

function listMountCases(blob: Content, name: string, from: string | undefined): readonly NamedRun[] {
  return [
    ["blob-post-put", (client) => client.putBlob(SOURCE, blob)],
    ...listUploadCases(blob, name, (client) => client.mountBlob(PATH, blob, from)),
    ["blob-delete", (client) => client.deleteBlob(SOURCE, blob)],
  ];
}

function listRangeCases(blob: Content): readonly NamedRun[] {
  const size = blob.bytes.length;
  const range = (text: string, start?: number, end?: number): NamedRun => [
    `range ${text}`,
    (client) => client.getBlobRange(PATH, blob, text, start, end),
  ];
  return [
    ["blob-post-put", (client) => client.putBlob(PATH, blob)],
    range("500-1499", 500, 1500),
    range("500-", 500, size),
    range("-500", size - 500, size),
    range("2000-5000", 2000, size),
    range("500-0"),
    range("5000-10000"),
    ["blob-delete", (client) => client.deleteBlob(PATH, blob)],
  ];
}

/** Uploads of what the digest does not name: refused, and the digest still names nothing. */
function listWrongBlobCases(make: (size: number) => Content): readonly NamedRun[] {
  const refused = (name: string, push: (client: ConformanceClient, blob: Content) => Promise<void>): NamedRun => {
    const { digest, bytes } = make(LARGE);
    const wrong = { digest, bytes: Buffer.concat([bytes, Buffer.from("more")]) };
    return [
      `bad digest ${name}`,
      async (client) => {
        await push(client, wrong);
        await client.send("HEAD", `/v2/${PATH}/blobs/${digest}`, { status: 404 });
      },
    ];
  };
  return [
    refused("post only/blob-post-only", (client, blob) => client.postBlob(PATH, blob, 400)),
    refused("post+put/blob-post-put", (client, blob) => client.putBlob(PATH, blob, 400)),
    refused("chunked/blob-patch-chunked", (client, blob) => client.chunkBlob(PATH, blob, {}, 400)),
    refused("chunked and put chunk/blob-patch-chunked", (client, blob) =>
      client.chunkBlob(PATH, blob, { putsLast: true }, 400),
    ),
    refused("stream/blob-patch-stream", (client, blob) => client.streamBlob(PATH, blob, 400)),
  ];
}

/** A set is pushed, listed, read in every way, and removed. */
function listDataCases(set: DataSet): readonly NamedRun[] {
  const { manifests } = set;
  const tags = [...set.tags];
  const hasTagParameters = set.name.startsWith("tag-param-");
  const tagsOf = (manifest: Manifest): readonly string[] =>
    hasTagParameters ? tags.filter(([, tagged]) => tagged === manifest).map(([tag]) => tag) : [];
  const referrers = manifests.filter(({ referrer }) => referrer !== undefined);
  return [
    ...pushBlobs(set, "push/"),
    ...manifests.map((manifest): NamedRun => [
      "push/manifest-by-digest",
      (client) => client.putManifest(PATH, manifest.digest, manifest, tagsOf(manifest)),
    ]),
    ...(hasTagParameters ? [] : tags).map(([tag, manifest]): NamedRun => [
      "push/manifest-by-tag",
      (client) => client.putManifest(PATH, tag, manifest),
    ]),
    ["tag-list", (client) => assertTags(client, set)],
    ...tags.map(([tag, manifest]): NamedRun => [
      "head/manifest-head-by-tag",
      (client) => client.headManifest(PATH, tag, manifest),
    ]),
    ...manifests.map((manifest): NamedRun => [
      "head/manifest-head-by-digest",
      (client) => client.headManifest(PATH, manifest.digest, manifest),
    ]),
    ...headBlobs(set),
    ...tags.map(([tag, manifest]): NamedRun => [
      "pull/manifest-by-tag",
      (client) => client.getManifest(PATH, tag, manifest),
    ]),
    ...manifests.map((manifest): NamedRun => [
      "pull/manifest-by-digest",
      (client) => client.getManifest(PATH, manifest.digest, manifest),
    ]),
    ...pullBlobs(set),
    ...(referrers.length === 0 ? [] : [["referrers", (client) => assertReferrers(client, referrers)] as NamedRun]),
    ...tags.map(([tag]): NamedRun => ["delete/tag-delete", (client) => client.deleteManifest(PATH, tag)]),
    ...[...manifests]
      .reverse()
      .map(({ digest }): NamedRun => ["delete/manifest-delete", (client) => client.deleteManifest(PATH, digest)]),
    ...deleteBlobs(set, false),
  ];
}

function pushBlobs(set: DataSet, prefix: string): readonly NamedRun[] {
  return [...set.blobs.values()].map((blob) => [`${prefix}blob-post-put`, (client) => client.putBlob(PATH, blob)]);
}

function headBlobs(set: DataSet): readonly NamedRun[] {
  return [...set.blobs.values()].map((blob) => ["head/blob-head", (client) => client.headBlob(PATH, blob)]);
}

function pullBlobs(set: DataSet): readonly NamedRun[] {
  return [...set.blobs.values()].map((blob) => ["pull/blob-get", (client) => client.getBlob(PATH, blob)]);
}

/** @param areThere false when a manifest that was the only one to use them was removed, and they with it: the specification leaves that to the registry */
function deleteBlobs(set: DataSet, areThere: boolean): readonly NamedRun[] {
  return [...set.blobs.values()].map((blob) => [
    "delete/blob-delete",
    (client) => client.deleteBlob(PATH, blob, areThere),
  ]);
}

/** The list is the set's tags and no others, sorted, and begins behind any of them. */
async function assertTags(client: ConformanceClient, set: DataSet): Promise<void> {
  const expected = [...set.tags.keys()].sort();
  assert.deepEqual(await client.listTags(PATH), expected);
  for (const [index, last] of expected.entries())
    assert.deepEqual(await client.listTags(PATH, last), expected.slice(index + 1));
}

/** All, and those of each type, with every member of their descriptors. */
async function assertReferrers(client: ConformanceClient, referrers: readonly Manifest[]): Promise<void> {
  const subject = referrers[0]!.referrer!.subject;
  const expected = referrers.map(({ referrer }) => referrer!.descriptor);
  assert.deepEqual(byDigest(await client.listReferrers(PATH, subject)), byDigest(expected));
  for (const type of new Set(expected.map(({ artifactType }) => artifactType!))) {
    const ofType = expected.filter(({ artifactType }) => artifactType === type);
    assert.deepEqual(byDigest(await client.listReferrers(PATH, subject, type)), byDigest(ofType));
  }
}

function byDigest(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  return [...descriptors].sort((one, other) => (one.digest < other.digest ? -1 : 1));
}

/** The blobs are there, and the manifest has two spaces more than its digest speaks of. */
function listBadDigestCases(set: DataSet): readonly NamedRun[] {
  const manifest = set.addImage();
  const wrong = { ...manifest, bytes: Buffer.concat([manifest.bytes, Buffer.from("  ")]) };
  return [
    ...pushBlobs(set, "push/"),
    ["push/manifest-by-digest", (client) => client.putWrongManifest(PATH, manifest.digest, wrong)],
    ["tag-list", (client) => assertTags(client, set)],
    ...headBlobs(set),
    ...pullBlobs(set),
    ["delete/manifest-delete", (client) => client.deleteManifest(PATH, manifest.digest, false)],
    ...deleteBlobs(set, true),
  ];
}

function listMissingCases(random: SeededRandom): readonly NamedRun[] {
  const get = (reference: string): Run => {
    return async (client) => void (await client.send("GET", `/v2/${PATH}/manifests/${reference}`, { status: 404 }));
  };
  return [
    ["by-digest", get(digestOf(random.bytes(1024)))],
    ["by-tag", get(`missing-${random.integer(2 ** 31)}`)],
  ];
}

function listInvalidDigestCases(set: DataSet): readonly NamedRun[] {
  const manifest = set.addImage({ layers: 1 });
  const invalid = "sha256:baddigeststring";
  return [
    ...pushBlobs(set, ""),
    ["manifest-put", (client) => client.putWrongManifest(PATH, invalid, manifest)],
    [
      "manifest-get",
      async (client) => void (await client.send("GET", `/v2/${PATH}/manifests/${invalid}`, { status: [400, 404] })),
    ],
    ["delete/manifest-delete", (client) => client.deleteManifest(PATH, manifest.digest, false)],
    ...deleteBlobs(set, true),
  ];
}
