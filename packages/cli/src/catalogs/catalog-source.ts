/** What `catalog audit` was asked to look at: files of this machine, or an image. */
import { stat } from "node:fs/promises";
import type { Platform, Reference } from "@signet/core";
import type { UntrustedCatalog } from "@signet/openshift";
import type { ImageAccess } from "../images/image-access.ts";
import type { AuditedSource } from "./audit-report.ts";

export interface ReadCatalog {
  readonly source: AuditedSource;
  readonly catalog: UntrustedCatalog;
  /** The image itself; undefined for files, and for images that are no docker references. */
  readonly reference?: Reference;
}

/**
 * Reads a catalog or bundle. A name with a transport is an image; else a file or folder of that name counts, and an image in a registry where there is none.
 * @param warn for a name that may have been meant as a file
 * @throws what reading throws
 */
export async function readCatalog(
  argument: string,
  platform: Platform,
  access: () => Promise<ImageAccess>,
  warn: (text: string) => void,
): Promise<ReadCatalog> {
  const { assembleCatalog, readCatalogFolder, readCatalogImage } = await import("@signet/openshift");
  const kind = await kindOfPath(argument);
  if (kind !== "nothing") {
    const catalog = assembleCatalog(await readCatalogFolder(argument));
    const folder = argument.replace(/(?<=.)\/+$/, "");
    const locate = (file: string): string => (kind === "folder" ? `${folder}/${file}` : argument);
    return { source: { name: argument, digest: null, locate }, catalog };
  }
  if (!/[/:]/.test(argument)) warn(`there is no file or folder ${argument}; it is taken as the name of an image`);
  const { openImageSource, parseImageName } = await import("@signet/images");
  const { names, open } = await access();
  const name = await parseImageName(argument, names);
  await using source = await openImageSource(name, open);
  const { content, bundle, digest } = await readCatalogImage(source, platform);
  const { reference } = name;
  return {
    source: { name: name.text, digest, locate: (file) => file },
    catalog: assembleCatalog(content, bundle),
    ...(reference === undefined ? {} : { reference }),
  };
}

async function kindOfPath(argument: string): Promise<"file" | "folder" | "nothing"> {
  if (argument === "-") return "file";
  if (/^(?:docker|dir|oci|oci-archive|docker-archive|containers-storage):/.test(argument)) return "nothing";
  try {
    const stats = await stat(argument);
    return stats.isDirectory() ? "folder" : "file";
  } catch {
    // What looks like a path is one, and its absence is said by whoever opens it.
    return /^(?:\.{0,2}\/|~)/.test(argument) ? "file" : "nothing";
  }
}
