/** The folder `release-manifests` of a release image. */
import { FormatError, type UntrustedImageManifest } from "@signet/core";
import type { ImageSource, TarEntry } from "@signet/images";
import { visitLayerFolder } from "../layers/layer-folder.ts";

/** Bytes of one file: image-references has some 200 KB, the largest manifest some 3 MB. */
const MAX_RELEASE_FILE_BYTES = 16 * 1024 * 1024;

/** Files: genuine releases have some thousand. */
const MAX_RELEASE_FILES = 20_000;

/** Bytes of all manifests that are picked: there is one, of some ten thousand. */
const MAX_PICKED_BYTES = 32 * 1024 * 1024;

const FOLDER = "release-manifests";

/** What the operator and oc take for a manifest. */
const manifestForm = /\.(?:ya?ml|json)$/;

/** A file of the release. Its bytes were hashed with its layer. */
export interface ReleaseManifestFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface ReleaseManifests {
  readonly imageReferences: Uint8Array;
  /** Undefined when there is none. */
  readonly metadata: Uint8Array | undefined;
  /** JSON and YAML files beside the two. */
  readonly manifestCount: number;
  /** Files that are neither. */
  readonly otherCount: number;
  /** JSON and YAML files that hold the text that was asked for, in payload order: that of their names' bytes. */
  readonly picked: readonly ReleaseManifestFile[];
}

/**
 * Reads the folder from the upper layers down to the one that has the description: `oc adm release new` writes all of it into one, the uppermost. No more than one other
 * manifest is in memory at a time.
 *
 * Not seen: manifests that only layers below that one have, and those that the operator brings in `manifests`.
 * @param pick manifests that hold this text are wanted; default none
 * @throws FormatError `release-malformed` for an image without the description, `image-malformed`, `input-too-large`; what reading throws
 */
export async function readReleaseManifests(
  source: ImageSource,
  manifest: UntrustedImageManifest,
  pick?: string,
): Promise<ReleaseManifests> {
  const described = new Map<string, Uint8Array>();
  const picked: ReleaseManifestFile[] = [];
  let count = 0;
  let manifestCount = 0;
  let pickedBytes = 0;
  await visitLayerFolder(source, manifest, {
    folder: FOLDER,
    isEnough: () => described.has("image-references"),
    visit: async (path, entry) => {
      if (++count > MAX_RELEASE_FILES) throw tooLarge(source, `${FOLDER} has more than ${MAX_RELEASE_FILES} files`);
      if (path === "image-references" || path === "release-metadata") {
        described.set(path, await readWhole(entry, source));
        return;
      }
      if (manifestForm.test(path)) manifestCount++;
      // The operator lists the folder itself, not those below.
      if (pick === undefined || path.includes("/") || !manifestForm.test(path)) return;
      const bytes = await readWhole(entry, source);
      if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(pick)) return;
      pickedBytes += bytes.length;
      if (pickedBytes > MAX_PICKED_BYTES) throw tooLarge(source, `too many manifests speak of ${pick}`);
      picked.push({ name: path, bytes });
    },
  });
  const imageReferences = described.get("image-references");
  if (imageReferences === undefined) {
    throw new FormatError(
      "release-malformed",
      `${source.name.text} is no release image: it has no ${FOLDER}/image-references`,
      { hint: "name the release image, such as quay.io/openshift-release-dev/ocp-release@sha256:…" },
    );
  }
  return {
    imageReferences,
    metadata: described.get("release-metadata"),
    manifestCount,
    otherCount: count - described.size - manifestCount,
    picked: picked.toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))),
  };
}

async function readWhole({ name, size, content }: TarEntry, source: ImageSource): Promise<Uint8Array> {
  if (size > MAX_RELEASE_FILE_BYTES)
    throw tooLarge(source, `${name} has ${size} bytes, the limit is ${MAX_RELEASE_FILE_BYTES}`);
  const parts: Uint8Array[] = [];
  for await (const part of content) parts.push(part);
  return Buffer.concat(parts);
}

function tooLarge(source: ImageSource, problem: string): FormatError {
  return new FormatError("input-too-large", `${source.name.text}: ${problem}`, {
    hint: "no genuine release is that large; check that the right image was named",
  });
}
