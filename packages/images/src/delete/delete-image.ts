import { UsageError } from "@signet/core";
import type { ImageName } from "../transports/transport.ts";
import { deleteDirImage } from "./delete-dir.ts";
import { deleteArchive } from "./delete-oci-archive.ts";
import { deleteOciImage } from "./delete-oci.ts";
import type { DeleteOptions, DeleteResult } from "./delete-options.ts";

/**
 * Deletes an image where it lies, and with it its signatures. The manifest goes first, its signatures after it: a deletion that fails leaves a signed image signed, and
 * what is left after one that was cut short is signatures of nothing, which a repetition removes.
 *
 * Not checked: any policy; who may delete an image needs no signature on it. Not given back: a registry's storage, before it collects its garbage.
 * @throws StoreError `image-missing`, `destination-unsuitable`, `signature-store-unwritable`, `file-unwritable`, the `registry-…` codes and others; UsageError
 *   `transport-unsupported`
 */
export async function deleteImage(name: ImageName, options: DeleteOptions = {}): Promise<DeleteResult> {
  switch (name.transport) {
    case "docker": {
      // The registry client and what it brings are loaded only for names that need it.
      const { deleteRegistryImage } = await import("./delete-registry-image.ts");
      return deleteRegistryImage(name, options);
    }
    case "dir":
      return deleteDirImage(name, options);
    case "oci":
      return deleteOciImage(name, options);
    case "oci-archive":
      return deleteArchive(name, options);
    default:
      throw new UsageError("transport-unsupported", `${name.text}: images of this transport are not deleted`, {
        hint: "docker://, dir:, oci: and oci-archive: images can be deleted",
      });
  }
}
