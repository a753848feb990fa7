/** Docker's first manifest format, whose signed form carries JSON web signatures inside the document. */
import type { Digest } from "../../bytes/digest.ts";
import type { JsonNode } from "../../bytes/strict-json.ts";
import { readDigest } from "./descriptor.ts";
import { DOCKER_SCHEMA1_SIGNED_TYPE, DOCKER_SCHEMA1_TYPE } from "./media-types.ts";
import { MAX_LAYERS, type Members, manifestProblem, readArray, readMembers, readText } from "./members.ts";
import { checkPayload } from "./signed-payload.ts";

/** A docker schema 1 manifest. */
export interface UntrustedSchema1Manifest {
  readonly kind: "schema1";
  /** By content: `…prettyjws` when it carries signatures. */
  readonly mediaType: typeof DOCKER_SCHEMA1_TYPE | typeof DOCKER_SCHEMA1_SIGNED_TYPE;
  readonly name: string;
  readonly tag: string;
  readonly architecture: string;
  /** `fsLayers`, newest layer first, as they stand; the same digest may occur more than once. */
  readonly layers: readonly Digest[];
  /** `history`, in the same order: `v1Compatibility` as it stands, which is JSON within a string; empty where an entry lacks it. Whether there is one for each layer is not checked. */
  readonly history: readonly string[];
  /** What the digest is about: the document, without its signatures where it is signed. */
  readonly payload: Uint8Array;
  readonly raw: Uint8Array;
}

/**
 * @param document `bytes`, parsed
 * @param top its members; the caller has refused those of other formats
 * @throws FormatError as `parseManifest` does
 */
export function parseSchema1(bytes: Uint8Array, document: JsonNode, top: Members): UntrustedSchema1Manifest {
  const signatures = top.get("signatures");
  const isSigned = signatures !== undefined && signatures.kind !== "null";
  // Fails unless the payload, which the digest is about, is the document without its signatures; so the members below are those of the payload.
  const payload = isSigned ? checkPayload(bytes, document) : bytes;
  const fsLayers = top.get("fsLayers");
  if (fsLayers === undefined) throw manifestProblem({ start: 0 }, "fsLayers", "a schema 1 manifest without fsLayers");
  const layers = readArray(fsLayers, "fsLayers", MAX_LAYERS).map((item, index) => {
    const path = `fsLayers[${index}]`;
    return readDigest(readMembers(item, path, ["blobSum"]).get("blobSum"), item, `${path}.blobSum`);
  });
  return {
    kind: "schema1",
    mediaType: isSigned ? DOCKER_SCHEMA1_SIGNED_TYPE : DOCKER_SCHEMA1_TYPE,
    name: readText(top.get("name"), "name") ?? "",
    tag: readText(top.get("tag"), "tag") ?? "",
    architecture: readText(top.get("architecture"), "architecture") ?? "",
    layers,
    history: readHistory(top.get("history")),
    payload,
    raw: bytes,
  };
}

function readHistory(node: JsonNode | undefined): readonly string[] {
  if (node === undefined) return [];
  return readArray(node, "history", MAX_LAYERS).map((item, index) => {
    const path = `history[${index}]`;
    return (
      readText(readMembers(item, path, ["v1Compatibility"]).get("v1Compatibility"), `${path}.v1Compatibility`) ?? ""
    );
  });
}
