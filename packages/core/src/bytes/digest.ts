import { FormatError } from "../errors.ts";
import type { Engine } from "./engine.ts";
import { encodeHex } from "./hex.ts";

declare const digestBrand: unique symbol;

/** A checked digest, always `algorithm:hex`. Only {@link parseDigest} and {@link sha256Digest} make one, so it is safe in paths and URLs. */
export type Digest = string & { readonly [digestBrand]: true };

export type DigestAlgorithm = "sha256" | "sha384" | "sha512";

const hexLengths: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha384: 96, sha512: 128 };
const digestForm = /^(sha256|sha384|sha512):([0-9a-f]+)$/;

/** Like {@link parseDigest}, with undefined for what is not a digest. */
export function tryParseDigest(text: string): Digest | undefined {
  const match = digestForm.exec(text);
  if (match === null || match[2]!.length !== hexLengths[match[1] as DigestAlgorithm] || text.endsWith("\n"))
    return undefined;
  return text as Digest;
}

/**
 * Checks a digest against the go-digest grammar (simple signing, section 2.3; OCI image-spec, descriptor, "Digests").
 * @throws FormatError `digest-malformed`
 */
export function parseDigest(text: string): Digest {
  const digest = tryParseDigest(text);
  if (digest !== undefined) return digest;
  throw new FormatError(
    "digest-malformed",
    `invalid digest ${JSON.stringify(text.slice(0, 200))}: ${explainDigest(text)}`,
    {
      hint: "a digest is sha256: and 64 lower-case hex digits",
    },
  );
}

function explainDigest(text: string): string {
  const colon = text.indexOf(":");
  if (colon < 0) return "no algorithm before a colon";
  const algorithm = text.slice(0, colon);
  if (!Object.hasOwn(hexLengths, algorithm)) return "unsupported digest algorithm";
  const hex = text.slice(colon + 1);
  if (!/^[0-9a-f]*$/.test(hex)) return "the encoded part is not lower-case hex";
  return `expected ${hexLengths[algorithm as DigestAlgorithm]} hex digits, got ${hex.length}`;
}

/** The sha256 digest of `bytes`. */
export function sha256Digest(bytes: Uint8Array, engine: Engine): Digest {
  return `sha256:${encodeHex(engine.hash("sha256", [bytes]))}` as Digest;
}

/** The digest of `bytes` with the algorithm that `like` names. */
export function digestLike(like: Digest, bytes: Uint8Array, engine: Engine): Digest {
  const algorithm = digestAlgorithm(like);
  return `${algorithm}:${encodeHex(engine.hash(algorithm, [bytes]))}` as Digest;
}

/** `sha256`, `sha384` or `sha512`. */
export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(":")) as DigestAlgorithm;
}

/** The hex part. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}
