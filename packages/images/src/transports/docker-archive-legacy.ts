/**
 * What docker before 1.10 reads of an archive: a folder `<id>/` a layer, with `VERSION`, `json` and `layer.tar`, and the file `repositories`. Its ids are made as the
 * reference makes them, out of the content alone, so that equal images give equal archives. (Where a config holds `<`, `>` or `&` they differ from the reference's, whose
 * JSON escapes these.)
 */
import { createHash } from "node:crypto";
import { type Digest, type Reference, referenceName } from "@signet/core";

/** One layer's folder. */
export interface LegacyLayer {
  /** 64 hex digits. */
  readonly id: string;
  /** Content of the file `json`. */
  readonly json: Uint8Array;
  readonly diffId: Digest;
}

/** Members of an image's config that its topmost layer repeats. */
const repeated = ["architecture", "config", "container", "container_config", "created", "docker_version", "os"];

/**
 * The folders, base first; each names the one before as its parent.
 * @param config the image's config, already read as well-formed JSON
 */
export function legacyLayers(config: Uint8Array, diffIds: readonly Digest[]): readonly LegacyLayer[] {
  const image = JSON.parse(new TextDecoder().decode(config)) as Readonly<Record<string, unknown>>;
  const layers: LegacyLayer[] = [];
  let chainId = "";
  for (const [at, diffId] of diffIds.entries()) {
    chainId = at === 0 ? diffId : `sha256:${sha256(`${chainId} ${diffId}`)}`;
    const parent = layers.at(-1)?.id;
    const members: Record<string, unknown> = parent === undefined ? {} : { parent };
    if (at === diffIds.length - 1) for (const name of repeated) members[name] = image[name] ?? null;
    const id = sha256(sortedJson({ ...members, layer_id: chainId }));
    layers.push({ id, json: new TextEncoder().encode(sortedJson({ ...members, id })), diffId });
  }
  return layers;
}

/** Content of `repositories`: which layer each tag stands for. */
export function legacyRepositories(reference: Reference | undefined, top: LegacyLayer | undefined): Uint8Array {
  const tags =
    reference?.tag === undefined || top === undefined
      ? {}
      : { [referenceName(reference)]: { [reference.tag]: top.id } };
  return new TextEncoder().encode(JSON.stringify(tags));
}

/** With members in the order in which Go writes a map. */
function sortedJson(members: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(members).sort(([a], [b]) => (a < b ? -1 : 1))));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
