/** Images of docker schema 1, and the JSON web signatures inside their manifests. */
import { type KeyObject, createHash, generateKeyPairSync, sign } from "node:crypto";
import { type PushTarget, type TestBlob, type TestImage, buildTestImage } from "./test-image.ts";

export const TEST_SCHEMA1_TYPE = "application/vnd.docker.distribution.manifest.v1+json";
export const TEST_SCHEMA1_SIGNED_TYPE = "application/vnd.docker.distribution.manifest.v1+prettyjws";

export interface TestSchema1Image {
  /** Unsigned: what the digest and the signatures are about. */
  readonly payload: string;
  readonly digest: string;
  readonly layers: readonly TestBlob[];
  /** The manifest with a new signature by a new key; each call makes other bytes of the same digest. */
  readonly sign: () => string;
}

/** An image of schema 1 with the layers of another one. @param options as the payload's members; whoever wants it wrong says so */
export function makeTestSchema1(
  image: Pick<TestImage, "layers">,
  options: Readonly<Record<string, unknown>> = {},
): TestSchema1Image {
  const layers = image.layers.toReversed();
  const payload = JSON.stringify({
    schemaVersion: 1,
    name: "team/app",
    tag: "1",
    architecture: "amd64",
    fsLayers: layers.map(({ digest }) => ({ blobSum: digest })),
    history: layers.map((_, index) => ({
      v1Compatibility: JSON.stringify({
        id: createHash("sha256").update(`layer ${index}`).digest("hex"),
        ...(index === layers.length - 1
          ? {}
          : {
              parent: createHash("sha256")
                .update(`layer ${index + 1}`)
                .digest("hex"),
            }),
        created: "2016-01-01T00:00:00Z",
        os: "linux",
        architecture: "amd64",
      }),
    })),
    ...options,
  });
  return {
    payload,
    digest: `sha256:${createHash("sha256").update(payload).digest("hex")}`,
    layers,
    sign: () => attachTestWebSignatures(payload, [makeTestWebSignature(payload)]),
  };
}

/** {@link makeTestSchema1} of a new image. */
export async function buildTestSchema1(options: Parameters<typeof buildTestImage>[0] = {}): Promise<TestSchema1Image> {
  return makeTestSchema1(await buildTestImage(options));
}

/**
 * A JSON web signature of a payload, as libtrust makes them, with a new key of P-256.
 * @param format as its protected header claims, where it is to be another
 * @param algorithm where it is to hash as for another curve
 */
export function makeTestWebSignature(
  payload: string,
  format: Readonly<Record<string, unknown>> = {},
  algorithm: "ES256" | "ES384" = "ES256",
): object {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const end = payload.lastIndexOf("}");
  const header = {
    formatLength: Buffer.byteLength(payload.slice(0, end)),
    formatTail: Buffer.from(payload.slice(end)).toString("base64url"),
    time: "2016-01-01T00:00:00Z",
    ...format,
  };
  const protectedText = Buffer.from(JSON.stringify(header)).toString("base64url");
  const signed = `${protectedText}.${Buffer.from(payload).toString("base64url")}`;
  return {
    header: { jwk: { ...publicKey.export({ format: "jwk" }), kid: keyIdOf(publicKey) }, alg: algorithm },
    signature: sign(`sha${algorithm.slice(2)}`, Buffer.from(signed), {
      key: privateKey,
      dsaEncoding: "ieee-p1363",
    }).toString("base64url"),
    protected: protectedText,
  };
}

/** As libtrust names keys, and wants them named. */
function keyIdOf(key: KeyObject): string {
  let bits = BigInt(
    `0x${createHash("sha256")
      .update(key.export({ type: "spki", format: "der" }))
      .digest("hex")
      .slice(0, 60)}`,
  );
  let letters = "";
  for (; letters.length < 48; bits >>= 5n) letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[Number(bits & 31n)] + letters;
  return letters.match(/.{4}/g)!.join(":");
}

/** The document with these signatures at its end. */
export function attachTestWebSignatures(document: string, signatures: readonly object[]): string {
  const end = document.lastIndexOf("}");
  return `${document.slice(0, end)},"signatures":${JSON.stringify(signatures)}${document.slice(end)}`;
}

/** Pushes an image's layers, and its manifest in one of its forms, to `REPOSITORY:TAG`. */
export async function pushTestSchema1(
  target: PushTarget,
  name: string,
  image: TestSchema1Image,
  manifest: string,
): Promise<void> {
  const [repository = "", tag = "latest"] = name.split(":");
  for (const { bytes } of image.layers) await target.putBlob(repository, bytes);
  const type = manifest === image.payload ? TEST_SCHEMA1_TYPE : TEST_SCHEMA1_SIGNED_TYPE;
  await target.putManifest(repository, tag, Buffer.from(manifest), type);
}
