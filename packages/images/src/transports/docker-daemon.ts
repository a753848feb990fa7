/** `docker-daemon:`: images in the docker engine of this machine, or behind podman's service. What goes over its socket is a docker archive. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { UsageError, formatReference } from "@signet/core";
import { type HostEnvironment, currentHost } from "../config/host-environment.ts";
import { fileError } from "../config/file-error.ts";
import { DockerArchiveDestination } from "./docker-archive-destination.ts";
import { openArchiveFile } from "./docker-archive-source.ts";
import { engineAddress, loadImage, saveImage } from "./docker-engine.ts";
import { makePrivateFolder } from "./private-folder.ts";
import type { ImageDestination, ImageName, ImageSource } from "./transport.ts";

/**
 * Opens an image of an engine for reading. The engine is asked for it once; it lies in a temporary file without a name until it is closed, so that a process that is
 * killed leaves nothing.
 * @throws UsageError `image-name-malformed` for an engine that is not of this machine; StoreError `engine-unreachable`, `engine-error`, `image-missing`, and what
 *   `openArchiveFile` throws
 */
export async function openDockerDaemonSource(
  name: ImageName,
  host: HostEnvironment = currentHost(),
): Promise<ImageSource> {
  const engine = engineAddress(host);
  const wanted = name.imageId === undefined ? formatReference(name.reference!) : `sha256:${name.imageId}`;
  const folder = await makePrivateFolder(host);
  const path = join(folder.path, "saved.tar");
  try {
    const handle = await open(path, "wx+", 0o600);
    try {
      await folder.remove();
      await saveImage(engine, wanted, handle, new AbortController().signal);
      return await openArchiveFile(name, { label: `${name.text} as the engine saved it`, handle });
    } catch (error) {
      await handle.close().catch(() => {});
      throw fileError(error, path, "write");
    }
  } finally {
    await folder.remove();
  }
}

/**
 * Opens a place in an engine for writing one image; `commit` loads it.
 * @throws UsageError `image-name-malformed` for a name without a tag, and as {@link openDockerDaemonSource}; StoreError `file-unwritable`, `disk-full`
 */
export async function openDockerDaemonDestination(
  name: ImageName,
  host: HostEnvironment = currentHost(),
): Promise<ImageDestination> {
  if (name.reference === undefined) {
    throw new UsageError("image-name-malformed", `${name.text}: an image is stored under a name, not under an id`, {
      hint: "write docker-daemon:REPOSITORY:TAG",
    });
  }
  const engine = engineAddress(host);
  const folder = await makePrivateFolder(host);
  const stop = new AbortController();
  return new DockerArchiveDestination(name, folder.path, {
    deliver: (path) => loadImage(engine, path, stop.signal),
    abandon: () => stop.abort(),
  });
}
