/** What every signature store must do, as tests: run it once for each with {@link describeSignatureStore}. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type TestContext, describe, it } from "node:test";
import {
  type Digest,
  MAX_SIGNATURES_PER_MANIFEST,
  type Reference,
  SignetError,
  StoreError,
  parseDigest,
  parseReference,
} from "@signet/core";
import type { SignatureStore, StoredSignature } from "@signet/images";

/** One store with a place of its own for each test. */
export interface SignatureStoreUnderTest {
  /** Host of the images' references, where it matters to the store. */
  readonly domain?: string;
  /** `replace` and `remove` where the store has them. */
  readonly store: Pick<SignatureStore, "label" | "unwritable" | "read" | "add"> & Partial<SignatureStore>;
  /** Puts signatures where the store looks for them, behind its back. */
  put(reference: Reference, digest: Digest, blobs: readonly Uint8Array[]): Promise<void>;
  /** Makes the place fail from now on: unreachable, forbidden, broken. */
  breakDown(): Promise<void>;
}

export interface SignatureStoreTraits {
  /** What the store keeps. Default simple signing. */
  readonly kind?: "simple-signing" | "sigstore";
  readonly writable: boolean;
  /** Takes `replace` and `remove`, and really removes. */
  readonly removes: boolean;
  /** Keeps signatures of several repositories apart. */
  readonly knowsRepositories: boolean;
  /** Files manifests under sha512 digests as well. */
  readonly knowsSha512: boolean;
  /** How many signatures are allowed for one manifest; undefined where only their size is limited. */
  readonly maxSignatures: number | undefined;
}

type MakeSignature = (text: string) => Uint8Array;

const makeSignature: Readonly<Record<"simple-signing" | "sigstore", MakeSignature>> = {
  /** Something with the first octet of a compressed OpenPGP message; a store does not look further. */
  "simple-signing": (text) => new Uint8Array([0xa3, 0x00, 0xff, 0x0a, ...new TextEncoder().encode(text)]),
  /** A layer with its annotation, as `signature-N` files hold it; the payload need not be one. */
  sigstore: (text) => {
    const layer = {
      mimeType: "application/vnd.dev.cosign.simplesigning.v1+json",
      payload: Buffer.from(text).toString("base64"),
      annotations: { "dev.cosignproject.cosign/signature": Buffer.from("signed").toString("base64") },
    };
    return new TextEncoder().encode(`\0sigstore-json\n${JSON.stringify(layer)}`);
  },
};

const makeManifest = (text: string, algorithm: "sha256" | "sha512" = "sha256"): ContractManifest => {
  const bytes = new TextEncoder().encode(text);
  return { bytes, digest: parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`) };
};

interface ContractManifest {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
}

const topManifest = makeManifest("the image's own manifest");
const otherManifest = makeManifest("an instance's manifest");
const { digest } = topManifest;
const { digest: otherDigest } = otherManifest;
const { digest: longDigest } = makeManifest("a manifest under a longer digest", "sha512");

/** The repositories that the contract asks about, and the manifests in each: for stores that only keep signatures of manifests that are there. */
export const contractRepositories: readonly string[] = ["team/app", "team/other"];
export const contractManifests: readonly ContractManifest[] = [topManifest, otherManifest];

type ReadyPlace = SignatureStoreUnderTest & { readonly reference: Reference };
type ContractTest = (title: string, body: (place: ReadyPlace) => Promise<void>) => void;

/**
 * Registers the contract as a suite.
 * @param makePlace called for each test; puts what has to be cleaned up into `t.after`. The image's own manifest has the digest that is handed in.
 */
export function describeSignatureStore(
  name: string,
  traits: SignatureStoreTraits,
  makePlace: (t: TestContext, topDigest: Digest) => Promise<SignatureStoreUnderTest>,
): void {
  const signature = makeSignature[traits.kind ?? "simple-signing"];
  const test: ContractTest = (title, body) => {
    void it(title, async (t) => {
      const place = await makePlace(t, digest);
      const domain = place.domain ?? "registry.example.com";
      await body({ ...place, reference: parseReference(`${domain}/team/app:1`) });
    });
  };
  void describe(`signature store ${name}`, () => {
    test("says that there are no signatures where there are none", async ({ store, reference }) => {
      const reading = await store.read(reference, digest);
      assert.deepEqual(reading.signatures, []);
      assert.deepEqual(reading.warnings, []);
      assert.ok(reading.store.length > 0);
      assert.ok(store.label.length > 0);
    });

    test("gives signatures back byte for byte, in order, each with its place", async (place) => {
      const { reference } = place;
      const blobs = ["one", "two", "three"].map(signature);
      await place.put(reference, digest, blobs);
      const reading = await place.store.read(reference, digest);
      assert.deepEqual(contents(reading.signatures), blobs.map(hex));
      assert.equal(new Set(reading.signatures.map(({ location }) => location)).size, 3);
      assert.equal(reading.attempts.filter(({ outcome }) => outcome === "found").length, 3);
    });

    test("keeps the signatures of manifests apart", async (place) => {
      const { reference } = place;
      await place.put(reference, digest, [signature("first")]);
      await place.put(reference, otherDigest, [signature("second")]);
      assert.deepEqual(await read(place, digest), [signature("first")].map(hex));
      assert.deepEqual(await read(place, otherDigest), [signature("second")].map(hex));
    });

    if (traits.knowsSha512) {
      test("keeps the signatures of a manifest under a longer digest", async (place) => {
        const { reference } = place;
        await place.put(reference, longDigest, [signature("long")]);
        assert.deepEqual(await read(place, longDigest), [signature("long")].map(hex));
        assert.deepEqual(await read(place, digest), []);
      });
    }

    if (traits.knowsRepositories) {
      test("keeps the signatures of repositories apart, and not those of tags", async (place) => {
        const { reference } = place;
        await place.put(reference, digest, [signature("here")]);
        const elsewhere = parseReference(`${reference.domain}/team/other:1`);
        assert.deepEqual((await place.store.read(elsewhere, digest)).signatures, []);
        const otherTag = parseReference(`${reference.domain}/team/app:2`);
        assert.equal((await place.store.read(otherTag, digest)).signatures.length, 1);
      });
    }

    if (traits.kind !== "sigstore") {
      test("hands out what is no signature as it is: judging it is not a store's work", async (place) => {
        const { reference } = place;
        const odd = [new Uint8Array([0xff, 0x00]), signature("good")];
        await place.put(reference, digest, odd);
        assert.deepEqual(await read(place, digest), odd.map(hex));
      });
    }

    test("T13: refuses a signature beyond 4 MiB", async (place) => {
      const { reference } = place;
      await place.put(reference, digest, [signature("x".repeat(4 * 1024 * 1024))]);
      await assert.rejects(
        place.store.read(reference, digest),
        (error) => error instanceof SignetError && error.code === "input-too-large",
      );
    });

    const { maxSignatures } = traits;
    if (maxSignatures !== undefined) {
      test(`T13: reads ${maxSignatures} signatures and refuses one more`, async (place) => {
        const { reference } = place;
        const blobs = Array.from({ length: maxSignatures }, (_, index) => signature(`number ${index}`));
        await place.put(reference, digest, blobs);
        assert.deepEqual(await read(place, digest), blobs.map(hex));
        await place.put(reference, digest, [...blobs, signature("one more")]);
        await assert.rejects(place.store.read(reference, digest), isStoreFailure);
      });
    }

    test("T12: does not take a store that fails for one without signatures", async (place) => {
      const { reference } = place;
      await place.put(reference, digest, [signature("there")]);
      await place.breakDown();
      await assert.rejects(place.store.read(reference, digest), isStoreFailure);
    });

    if (traits.writable) describeWriting(traits, test, signature);
    else {
      test("says why it cannot be written, and refuses", async ({ store, reference }) => {
        assert.ok((store.unwritable ?? "").length > 0);
        const attempts = [
          store.add(reference, digest, signature("x")),
          store.replace?.(reference, digest, [signature("x")]),
          store.remove?.(reference, digest),
        ];
        for (const attempt of attempts) {
          await assert.rejects(attempt ?? Promise.reject(new TypeError("no such method")), (error) => {
            assert.ok(error instanceof StoreError, String(error));
            assert.equal(error.code, "signature-store-unwritable");
            assert.ok(error.hint !== undefined);
            return true;
          });
        }
        assert.deepEqual((await store.read(reference, digest)).signatures, []);
      });
    }
  });
}

function describeWriting(traits: SignatureStoreTraits, test: ContractTest, signature: MakeSignature): void {
  test("adds after what is there, and says where", async (place) => {
    const { reference } = place;
    assert.equal(place.store.unwritable, undefined);
    await place.put(reference, digest, [signature("old")]);
    const location = await place.store.add(reference, digest, signature("new"));
    const reading = await place.store.read(reference, digest);
    assert.deepEqual(contents(reading.signatures), ["old", "new"].map(signature).map(hex));
    assert.equal(location, reading.signatures[1]?.location);
  });

  test("does not add what is there already, and says where that is", async (place) => {
    const { reference } = place;
    const first = await place.store.add(reference, digest, signature("same"));
    await place.store.add(reference, digest, signature("other"));
    assert.equal(await place.store.add(reference, digest, signature("same")), first);
    assert.equal((await place.store.read(reference, digest)).signatures.length, 2);
  });

  test("adds to one manifest only", async (place) => {
    const { reference } = place;
    await place.store.add(reference, otherDigest, signature("instance"));
    assert.deepEqual((await place.store.read(reference, digest)).signatures, []);
    assert.deepEqual(await read(place, otherDigest), [hex(signature("instance"))]);
  });

  test("keeps every signature when many are added at once", async (place) => {
    const { reference } = place;
    const blobs = Array.from({ length: 12 }, (_, index) => signature(`writer ${index}`));
    await Promise.all(blobs.map((blob) => place.store.add(reference, digest, blob)));
    assert.deepEqual((await read(place, digest)).toSorted(), blobs.map(hex).toSorted());
  });

  if (traits.maxSignatures !== undefined) {
    test("refuses to add more than can be read", async (place) => {
      const { reference } = place;
      const blobs = Array.from({ length: MAX_SIGNATURES_PER_MANIFEST }, (_, index) => signature(`${index}`));
      await place.put(reference, digest, blobs);
      await assert.rejects(place.store.add(reference, digest, signature("one more")), isStoreFailure);
      assert.deepEqual(await read(place, digest), blobs.map(hex));
    });
  }

  if (!traits.removes) return;
  test("replaces what is there by fewer, more and none", async (place) => {
    const { store, reference } = place;
    for (const texts of [["a", "b", "c"], ["d"], ["e", "d", "f", "g"], [], ["h"]]) {
      const blobs = texts.map(signature);
      await store.replace!(reference, digest, blobs);
      assert.deepEqual(await read(place, digest), blobs.map(hex));
    }
  });

  test("removes the signatures of one manifest, also where there are none", async (place) => {
    const { store, reference } = place;
    await store.replace!(reference, digest, ["a", "b"].map(signature));
    await store.replace!(reference, otherDigest, [signature("kept")]);
    await store.remove!(reference, digest);
    await store.remove!(reference, digest);
    assert.deepEqual(await read(place, digest), []);
    assert.deepEqual(await read(place, otherDigest), [hex(signature("kept"))]);
  });

  test("refuses an empty signature and changes nothing", async (place) => {
    const { store, reference } = place;
    await store.replace!(reference, digest, [signature("kept")]);
    await assert.rejects(store.replace!(reference, digest, [signature("new"), new Uint8Array()]), isStoreFailure);
    await assert.rejects(store.add(reference, digest, new Uint8Array()), isStoreFailure);
    assert.deepEqual(await read(place, digest), [hex(signature("kept"))]);
  });
}

async function read({ store, reference }: ReadyPlace, of: Digest): Promise<string[]> {
  return contents((await store.read(reference, of)).signatures);
}

function contents(signatures: readonly StoredSignature[]): string[] {
  return signatures.map(({ bytes }) => hex(bytes));
}

/** Short where it can be: a failed comparison of megabytes helps nobody. */
function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function isStoreFailure(error: unknown): true {
  assert.ok(error instanceof StoreError, String(error));
  return true;
}
