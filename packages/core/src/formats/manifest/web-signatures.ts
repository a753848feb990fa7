/** The JSON web signatures of a signed docker schema 1 manifest, taken apart for whoever checks them. */
import { decodeBase64 } from "../../bytes/base64.ts";
import { MAX_MANIFEST_BYTES } from "../../bytes/limits.ts";
import { type JsonNode, parseJson } from "../../bytes/strict-json.ts";
import { manifestProblem, readArray, readMembers, readText } from "./members.ts";
import { DOCKER_SCHEMA1_SIGNED_TYPE } from "./media-types.ts";
import type { UntrustedSchema1Manifest } from "./schema1.ts";
import { MAX_WEB_SIGNATURES, decodeBase64Url, findSignatures } from "./signed-payload.ts";

/**
 * One signature with the key that it brings along. Anybody can make one, with a key made for it: that it verifies says that nothing was changed since, and nothing of who
 * made it.
 */
export interface UntrustedWebSignature {
  /** `alg`, such as `ES256`. */
  readonly algorithm: string | undefined;
  /** The protected header as it stands in the document: what is signed is this text, a dot, and the payload in base64url without padding. */
  readonly protectedText: string;
  readonly signature: Uint8Array;
  /** From `jwk`, or the first certificate of `x5c`, which counts where both are there, as in libtrust. */
  readonly key: UntrustedWebKey | undefined;
}

/** Members of a JSON web key as they stand, empty where they are missing; `kid` may be left out. */
export type UntrustedWebKey =
  | {
      readonly kind: "ec";
      readonly kid: string | undefined;
      readonly crv: string;
      readonly x: string;
      readonly y: string;
    }
  | { readonly kind: "rsa"; readonly kid: string | undefined; readonly n: string; readonly e: string }
  /** DER. */
  | { readonly kind: "certificate"; readonly der: Uint8Array };

/** Certificates of one chain; the first alone is read. */
const MAX_CHAIN = 20;

/**
 * The signatures of a manifest that `parseManifest` read; none for an unsigned one. Not checked: whether they verify.
 * @throws FormatError `manifest-malformed`, `base64-malformed` for a key or signature that cannot be read
 *
 * Source: docker image manifest v2 schema 1, "Signed manifests"; libtrust, `jsonsign.go`; RFC 7515; RFC 7518, section 6.
 */
export function readWebSignatures(manifest: UntrustedSchema1Manifest): readonly UntrustedWebSignature[] {
  if (manifest.mediaType !== DOCKER_SCHEMA1_SIGNED_TYPE) return [];
  const document = parseJson(manifest.raw, "manifest", { maxBytes: MAX_MANIFEST_BYTES });
  const items = readArray(findSignatures(document).value, "signatures", MAX_WEB_SIGNATURES);
  return items.map((item, index) => {
    const path = `signatures[${index}]`;
    const members = readMembers(item, path, ["protected", "signature", "header"]);
    const node = members.get("header");
    const header = node === undefined || node.kind === "null" ? undefined : readHeader(node, `${path}.header`);
    return {
      algorithm: header?.algorithm,
      protectedText: readText(members.get("protected"), `${path}.protected`) ?? "",
      signature: decodeBase64Url(readText(members.get("signature"), `${path}.signature`) ?? ""),
      key: header?.key,
    };
  });
}

function readHeader(node: JsonNode, path: string): Pick<UntrustedWebSignature, "algorithm" | "key"> {
  const members = readMembers(node, path, ["jwk", "alg", "x5c"]);
  const algorithm = readText(members.get("alg"), `${path}.alg`);
  const chain = members.get("x5c");
  const [leaf] = chain === undefined ? [] : readArray(chain, `${path}.x5c`, MAX_CHAIN);
  if (leaf !== undefined) {
    return { algorithm, key: { kind: "certificate", der: decodeBase64(readText(leaf, `${path}.x5c[0]`) ?? "") } };
  }
  const key = members.get("jwk");
  return { algorithm, key: key === undefined ? undefined : readKey(key, `${path}.jwk`) };
}

function readKey(node: JsonNode, path: string): UntrustedWebKey {
  const members = readMembers(node, path, ["kty", "kid", "crv", "x", "y", "n", "e"]);
  const text = (name: string): string => readText(members.get(name), `${path}.${name}`) ?? "";
  const kid = members.has("kid") ? text("kid") : undefined;
  switch (text("kty")) {
    case "EC":
      return { kind: "ec", kid, crv: text("crv"), x: text("x"), y: text("y") };
    case "RSA":
      return { kind: "rsa", kid, n: text("n"), e: text("e") };
    default:
      throw manifestProblem(node, path, `${path} is of no known type`);
  }
}
