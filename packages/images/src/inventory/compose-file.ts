/** Images that a compose file names. */
import { FormatError } from "@signet/core";
import { type DocumentMap, type DocumentValue, isDocumentMap } from "./document-value.ts";
import type { InventoryCollector } from "./inventory.ts";

/** True for what has services and does not say that it is a Kubernetes object. */
export function isComposeFile(value: DocumentValue): value is DocumentMap {
  return isDocumentMap(value) && !value.has("kind") && isDocumentMap(value.get("services"));
}

/**
 * Adds the images of all services, whatever their profile. Variables are not filled in: a name with one in it is not an image name.
 * @param where the file, for messages and as part of the user: `FILE: service NAME`
 * @throws FormatError `image-list-malformed`
 */
export function collectComposeFile(file: DocumentMap, collector: InventoryCollector, where: string): void {
  const services = file.get("services") as DocumentMap;
  for (const [name, service] of services) {
    const user = `${where}: service ${name}`.slice(0, 400);
    if (!isDocumentMap(service)) throw malformed(user, "it is no mapping");
    const image = service.get("image");
    if (typeof image === "string" && image.trim() !== "") collector.addReference({ name: image.trim(), user });
    else if (image !== undefined && image !== null) throw malformed(user, "its image is no text");
    else collector.warn(`compose service without an image (it is built, or extends another), passed over`);
  }
}

function malformed(where: string, problem: string): FormatError {
  return new FormatError("image-list-malformed", `${where}: ${problem}`, {
    hint: "`docker compose config` writes the file as compose reads it",
  });
}
