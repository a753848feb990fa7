import { type Digest, sha256Digest } from "../../bytes/digest.ts";
import type { Engine } from "../../bytes/engine.ts";
import { MAX_MANIFEST_BYTES } from "../../bytes/limits.ts";
import { type JsonNode, parseJson } from "../../bytes/strict-json.ts";
import { FormatError } from "../../errors.ts";
import { isSignedSchema1, signedPayload } from "./signed-payload.ts";

/**
 * The digest that signatures are about: sha256 over the bytes, whatever they are, except for a signed docker schema 1 manifest, where it is taken over the payload of
 * its JSON web signatures. The type is guessed from the bytes alone, as loosely as the reference implementation does, so that both agree on every document.
 *
 * Not checked: that the bytes are a manifest at all, and that a signed payload is this manifest's own. Whoever uses the manifest reads it with `parseManifest`, which
 * refuses one that carries another image's payload.
 *
 * @throws FormatError `manifest-malformed`, `json-malformed` or `base64-malformed` for a signed schema 1 manifest whose payload cannot be told; `input-too-large`
 *
 * Source: simple signing, section 7; docker image manifest v2 schema 1, "Signed manifests".
 */
export function computeManifestDigest(bytes: Uint8Array, engine: Engine): Digest {
  const document = tryParseJson(bytes);
  if (document === undefined || !isSignedSchema1(document)) return sha256Digest(bytes, engine);
  return sha256Digest(signedPayload(bytes, document), engine);
}

function tryParseJson(bytes: Uint8Array): JsonNode | undefined {
  try {
    return parseJson(bytes, "manifest", { maxBytes: MAX_MANIFEST_BYTES });
  } catch (error) {
    if (error instanceof FormatError && error.code === "json-malformed") return undefined;
    throw error;
  }
}
