/** What every transport must do, as tests: run it once for each with {@link describeTransport}. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type TestContext, describe, it } from "node:test";
import { type Digest, type DigestAlgorithm, StoreError, parseDigest } from "@signet/core";
import type { ImageDestination, ImageSource } from "@signet/images";
import { type ContractBlob, type ContractImage, contractBlob, contractImage, contractList } from "./contract-image.ts";

/** One transport with a place of its own for each test. */
export interface TransportUnderTest {
  /** Opens the place for writing. `image` is what will be put there. */
  openDestination(image: ContractImage): Promise<ImageDestination>;
  /** Opens the image that is at the place for reading. */
  openSource(): Promise<ImageSource>;
  /** Everything that a user could find at the place and around it, in a form that can be compared. */
  lookAround(): Promise<unknown>;
  /** For places that an image can be put to only once: empties it. */
  clear?(): Promise<void>;
  /** Changes the stored bytes of a blob, or of a manifest other than the top one, behind the transport's back. */
  alter(digest: Digest, change: (bytes: Uint8Array) => Uint8Array): Promise<void>;
}

export interface TransportTraits {
  readonly keepsSignatures: boolean;
  readonly keepsDockerManifests: boolean;
  /** Whether a damaged blob that is there is noticed, and replaced, when the same one is written again. A registry does not look. */
  readonly checksBlobsThere: boolean;
  /** Digest algorithms, besides sha256, that the place can store things under. */
  readonly algorithms: readonly DigestAlgorithm[];
  /**
   * Only for places that keep an image's config and layers, but no manifest: images that they give back octet for octet all the same. Lists and odd blobs have no
   * place there, and an image that is there is not replaced.
   */
  readonly makeImage?: (options?: {
    readonly seed?: string;
    readonly layers?: readonly ContractBlob[];
  }) => ContractImage;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Bytes of the blob that must stream, and of its chunks. */
const LARGE_BLOB_BYTES: number = 64 * 1024 * 1024;
const LARGE_CHUNK_BYTES: number = 64 * 1024;

/**
 * Registers the contract as a suite.
 * @param makePlace called for each test; puts what has to be cleaned up into `t.after`. Returns undefined when it skipped the test (a missing tool).
 */
export function describeTransport(
  name: string,
  traits: TransportTraits,
  makePlace: (t: TestContext) => Promise<TransportUnderTest | undefined>,
): void {
  const test = (title: string, body: (place: TransportUnderTest) => Promise<void>): void => {
    void it(title, async (t) => {
      const place = await makePlace(t);
      if (place !== undefined) await body(place);
    });
  };
  const { makeImage = contractImage } = traits;
  const keepsManifests = traits.makeImage === undefined;
  void describe(`transport ${name}`, () => {
    test("gives an image back byte for byte", async (place) => {
      await roundTrip(place, makeImage());
    });

    if (traits.keepsDockerManifests) {
      test("gives docker images and lists back byte for byte", async (place) => {
        await roundTrip(place, contractImage({ format: "docker" }));
        await roundTrip(place, contractList({ format: "docker" }));
      });
    }

    if (keepsManifests) {
      test("gives a list with its instances back byte for byte", async (place) => {
        await roundTrip(place, contractList());
      });
    }

    if (keepsManifests) {
      test("keeps layers of unknown media types, empty layers and a layer used twice", async (place) => {
        const twice = contractBlob(encode("twice"), "application/x-twice");
        const layers = [
          contractBlob(encode("?"), "application/vnd.example.unheard-of.v7+weird"),
          contractBlob(new Uint8Array(0), "application/vnd.oci.image.layer.v1.tar"),
          twice,
          twice,
        ];
        const config = contractBlob(encode("{}"), "application/vnd.oci.empty.v1+json");
        await roundTrip(place, contractImage({ layers, config }));
      });
    }

    for (const algorithm of traits.algorithms) {
      test(`keeps blobs and instances that are named by ${algorithm}`, async (place) => {
        const layers = [contractBlob(encode(`under ${algorithm}`), "application/x-layer", algorithm)];
        await roundTrip(place, makeImage({ layers }));
        const { instances, top, blobs } = contractList({ layers, algorithm });
        await roundTrip(place, { instances, top: withoutNamedDigest(top), blobs });
      });
    }

    if (keepsManifests) {
      test("replaces the image that was there, and only on commit", async (place) => {
        await store(place, contractList({ seed: "old" }));
        const image = makeImage({ seed: "new" });
        await using destination = await place.openDestination(image);
        await fill(destination, image);
        await assertHolds(place, contractList({ seed: "old" }));
        await destination.commit();
        await assertHolds(place, image);
      });
    }

    test("streams a large blob in and out instead of holding it", async (place) => {
      const blob = { descriptor: largeDescriptor(), bytes: new Uint8Array(0) };
      const image = makeImage({ layers: [blob] });
      await using destination = await place.openDestination(image);
      await destination.putBlob(image.blobs[0]!.descriptor, chunks(image.blobs[0]!.bytes));
      let produced = 0;
      let consumed = 0;
      await destination.putBlob(
        blob.descriptor,
        largeChunks({ onChunk: () => void produced++, onTaken: () => void consumed++ }),
      );
      assert.equal(produced, LARGE_BLOB_BYTES / LARGE_CHUNK_BYTES);
      assert.equal(consumed, produced);
      await destination.putManifest(image.top);
      await destination.commit();

      await using source = await place.openSource();
      const hash = createHash("sha256");
      let largest = 0;
      for await (const chunk of source.blob(blob.descriptor)) {
        hash.update(chunk);
        largest = Math.max(largest, chunk.length);
      }
      assert.equal(`sha256:${hash.digest("hex")}`, blob.descriptor.digest);
      assert.ok(largest <= 4 * 1024 * 1024, `a chunk of ${largest} bytes`);
    });

    test("stops taking bytes once there are more than announced", async (place) => {
      const image = makeImage();
      const before = await place.lookAround();
      await using destination = await place.openDestination(image);
      const { digest } = largeDescriptor();
      let produced = 0;
      const endless = largeChunks({ onChunk: () => void produced++ });
      await assert.rejects(destination.putBlob({ digest, size: 4 * LARGE_CHUNK_BYTES }, endless), isMismatch);
      assert.ok(produced < 100, `${produced} chunks were taken`);
      await destination.close();
      assert.deepEqual(await place.lookAround(), before);
    });

    test("refuses bytes that do not hash to their digest, and leaves nothing", async (place) => {
      const image = makeImage();
      const before = await place.lookAround();
      for (const change of [flipLastBit, dropLast, addOne, () => new Uint8Array(0)]) {
        await using destination = await place.openDestination(image);
        const [, layer] = image.blobs;
        await assert.rejects(destination.putBlob(layer!.descriptor, chunks(change(layer!.bytes))), isMismatch);
        const { digest } = layer!.descriptor;
        await assert.rejects(destination.putBlob({ digest }, chunks(change(layer!.bytes))), isMismatch);
      }
      assert.deepEqual(await place.lookAround(), before);
    });

    test("refuses a size that is wrong although the digest is right, when storing and when reading", async (place) => {
      const image = makeImage();
      const { descriptor, bytes } = image.blobs[1]!;
      for (const size of [descriptor.size - 1, descriptor.size + 1]) {
        await using destination = await place.openDestination(image);
        await assert.rejects(destination.putBlob({ ...descriptor, size }, chunks(bytes)), isMismatch);
      }
      await store(place, image);
      await using source = await place.openSource();
      for (const size of [descriptor.size - 1, descriptor.size + 1]) {
        await assert.rejects(collect(source.blob({ ...descriptor, size })), isMismatch);
      }
    });

    test("passes on the failure of a stream that breaks half way, and leaves nothing", async (place) => {
      if (keepsManifests) await store(place, makeImage({ seed: "old" }));
      const before = await place.lookAround();
      const image = makeImage({ seed: "new" });
      {
        await using destination = await place.openDestination(image);
        const [config, layer] = image.blobs;
        await destination.putBlob(config!.descriptor, chunks(config!.bytes));
        await assert.rejects(destination.putBlob(layer!.descriptor, breaking(layer!.bytes)), /the line went dead/);
      }
      assert.deepEqual(await place.lookAround(), before);
      if (keepsManifests) await assertHolds(place, makeImage({ seed: "old" }));
    });

    test("leaves everything as it was when it is closed before commit", async (place) => {
      for (const old of [undefined, ...(keepsManifests ? [makeImage({ seed: "old" })] : [])]) {
        if (old !== undefined) await store(place, old);
        const before = await place.lookAround();
        const image = keepsManifests ? contractList({ seed: "new" }) : makeImage({ seed: "new" });
        const destination = await place.openDestination(image);
        await fillBlobs(destination, image);
        await destination.close();
        await destination.close();
        assert.deepEqual(await place.lookAround(), before);
        if (old !== undefined) await assertHolds(place, old);
      }
    });

    test("takes many blobs side by side", async (place) => {
      const layers = Array.from({ length: 24 }, (_, index) =>
        contractBlob(encode(`layer ${index} `.repeat(index * 500)), "application/x-layer"),
      );
      const image = makeImage({ layers });
      const destination = await place.openDestination(image);
      await Promise.all(image.blobs.map(({ descriptor, bytes }) => destination.putBlob(descriptor, chunks(bytes))));
      await destination.putManifest(image.top);
      await destination.commit();
      await destination.close();
      await assertHolds(place, image);
    });

    test("takes a blob of unknown size", async (place) => {
      const image = makeImage();
      const destination = await place.openDestination(image);
      for (const { descriptor, bytes } of image.blobs) {
        await destination.putBlob({ digest: descriptor.digest }, chunks(bytes));
      }
      await destination.putManifest(image.top);
      await destination.commit();
      await destination.close();
      await assertHolds(place, image);
    });

    test("does not give out a stored blob as whole that was altered, shortened or lengthened", async (place) => {
      const image = makeImage();
      const [, layer] = image.blobs;
      for (const change of [flipLastBit, dropLast, addOne]) {
        await store(place, image);
        await place.alter(layer!.descriptor.digest, change);
        await using source = await place.openSource();
        await assert.rejects(collect(source.blob(layer!.descriptor)), isMismatch);
        await assert.rejects(collect(source.blob({ digest: layer!.descriptor.digest })), isMismatch);
        await collect(source.blob(image.blobs[0]!.descriptor));
      }
    });

    if (traits.checksBlobsThere) {
      test("does not take a damaged blob that is there for a good one", async (place) => {
        const image = makeImage();
        await store(place, image);
        const [, layer] = image.blobs;
        await place.alter(layer!.descriptor.digest, flipLastBit);
        {
          await using destination = await place.openDestination(image);
          assert.equal(await destination.hasBlob(layer!.descriptor), false);
        }
        await store(place, image);
        await assertHolds(place, image);
      });
    }

    if (keepsManifests) {
      test("refuses an instance whose manifest was altered", async (place) => {
        const list = contractList();
        await store(place, list);
        // White space only: it stays the same JSON, and another manifest.
        await place.alter(list.instances[1]!.digest, (bytes) => bytes.with(1, 0x20));
        await using source = await place.openSource();
        await source.manifest();
        const { bytes } = await source.manifest(list.instances[0]!.digest);
        assert.deepEqual(new Uint8Array(bytes), list.instances[0]!.bytes);
        await assert.rejects(source.manifest(list.instances[1]!.digest), isMismatch);
      });
    }

    test("says that a blob or an instance is missing, as a failure of the source", async (place) => {
      const image = makeImage();
      await store(place, image);
      await using source = await place.openSource();
      const absent = parseDigest(`sha256:${"0".repeat(64)}`);
      for (const attempt of [
        (): Promise<unknown> => source.manifest(absent),
        () => collect(source.blob({ digest: absent })),
      ]) {
        await assert.rejects(attempt(), (error) => error instanceof StoreError && error.code === "image-missing");
      }
    });

    test("fetches the top manifest once and keeps it", async (place) => {
      await store(place, makeImage({ seed: "one" }));
      await using source = await place.openSource();
      const first = await source.manifest();
      await store(place, makeImage({ seed: "two" }));
      assert.deepEqual(await source.manifest(), first);
    });

    if (traits.keepsSignatures) describeSignatures(test);
    else {
      test("says why it keeps no signatures, refuses to take them and reads none", async (place) => {
        const image = makeImage();
        const destination = await place.openDestination(image);
        assert.match((await destination.signaturesUnsupported()) ?? "", /signatures/);
        await fill(destination, image);
        await assert.rejects(destination.putSignatures([encode("s")], image.top.digest, { top: true }), {
          code: "destination-unsuitable",
        });
        await destination.commit();
        await destination.close();
        await using source = await place.openSource();
        const reading = await source.signatures(image.top.digest);
        assert.deepEqual(reading.signatures, []);
        assert.match(reading.store, /^none/);
      });
    }
  });
}

function describeSignatures(test: (title: string, body: (place: TransportUnderTest) => Promise<void>) => void): void {
  test("keeps signatures of the image and of its instances apart and in order", async (place) => {
    const list = contractList();
    const destination = await place.openDestination(list);
    assert.equal(await destination.signaturesUnsupported(), undefined);
    await fill(destination, list);
    const [first, second] = list.instances;
    const ofTop = ["top 1", "top 2", "top 3"].map(encode);
    const ofFirst = ["first 1", "first 2"].map(encode);
    await destination.putSignatures(ofFirst, first!.digest, { top: false });
    await destination.putSignatures(ofTop, list.top.digest, { top: true });
    await destination.commit();
    await destination.close();
    await using source = await place.openSource();
    assert.deepEqual(await readSignatures(source, list.top.digest), ofTop);
    assert.deepEqual(await readSignatures(source, first!.digest), ofFirst);
    assert.deepEqual(await readSignatures(source, second!.digest), []);
  });

  test("replaces the signatures of an image that is written again", async (place) => {
    const image = contractImage();
    for (const texts of [["a", "b", "c"], ["d"], ["e", "f"]]) {
      const blobs = texts.map(encode);
      const destination = await place.openDestination(image);
      await fill(destination, image);
      await destination.putSignatures(blobs, image.top.digest, { top: true });
      await destination.commit();
      await destination.close();
      await using source = await place.openSource();
      assert.deepEqual(await readSignatures(source, image.top.digest), blobs);
    }
  });
}

async function readSignatures(source: ImageSource, digest: Digest): Promise<Uint8Array[]> {
  return (await source.signatures(digest)).signatures.map(({ bytes }) => new Uint8Array(bytes));
}

/** Puts the whole image and commits. */
async function store(place: TransportUnderTest, image: ContractImage): Promise<void> {
  await place.clear?.();
  await using destination = await place.openDestination(image);
  await fill(destination, image);
  await destination.commit();
}

async function fill(destination: ImageDestination, image: ContractImage): Promise<void> {
  await fillBlobs(destination, image);
  for (const manifest of image.instances) await destination.putManifest(manifest, { instance: true });
  await destination.putManifest(image.top);
}

async function fillBlobs(destination: ImageDestination, image: ContractImage): Promise<void> {
  for (const { descriptor, bytes } of image.blobs) {
    if (!(await destination.hasBlob(descriptor))) await destination.putBlob(descriptor, chunks(bytes));
  }
}

async function roundTrip(place: TransportUnderTest, image: ContractImage): Promise<void> {
  await store(place, image);
  await assertHolds(place, image);
}

async function assertHolds(place: TransportUnderTest, image: ContractImage): Promise<void> {
  await using source = await place.openSource();
  const top = await source.manifest();
  assert.deepEqual(new Uint8Array(top.bytes), image.top.bytes);
  assert.equal(top.digest, image.top.digest);
  for (const instance of image.instances) {
    const found = await source.manifest(instance.namedDigest ?? instance.digest);
    assert.deepEqual(new Uint8Array(found.bytes), instance.bytes);
    assert.equal(found.digest, instance.digest);
    assert.equal(found.namedDigest, instance.namedDigest);
  }
  for (const { descriptor, bytes } of image.blobs) {
    assert.deepEqual(await collect(source.blob(descriptor)), bytes);
  }
}

/** A list that is found by name rather than by digest. */
function withoutNamedDigest({ bytes, digest, declaredMediaType }: ContractImage["top"]): ContractImage["top"] {
  return { bytes, digest, declaredMediaType };
}

async function* chunks(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

async function* breaking(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes.slice(0, bytes.length / 2);
  throw new Error("the line went dead");
}

async function* largeChunks(
  watch: { readonly onChunk?: () => void; readonly onTaken?: () => void } = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < LARGE_BLOB_BYTES; at += LARGE_CHUNK_BYTES) {
    watch.onChunk?.();
    yield new Uint8Array(LARGE_CHUNK_BYTES).fill(at / LARGE_CHUNK_BYTES);
    watch.onTaken?.();
  }
}

function largeDescriptor(): ContractBlob["descriptor"] {
  const hash = createHash("sha256");
  for (let at = 0; at < LARGE_BLOB_BYTES; at += LARGE_CHUNK_BYTES) {
    hash.update(new Uint8Array(LARGE_CHUNK_BYTES).fill(at / LARGE_CHUNK_BYTES));
  }
  const digest = parseDigest(`sha256:${hash.digest("hex")}`);
  return { digest, size: LARGE_BLOB_BYTES, mediaType: "application/x-large" };
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of stream) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}

const flipLastBit = (bytes: Uint8Array): Uint8Array => bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1);
const dropLast = (bytes: Uint8Array): Uint8Array => bytes.slice(0, -1);
const addOne = (bytes: Uint8Array): Uint8Array => new Uint8Array([...bytes, 0]);

function isMismatch(error: unknown): true {
  assert.ok(error instanceof StoreError, String(error));
  assert.equal(error.code, "digest-mismatch");
  return true;
}
