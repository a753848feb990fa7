import { UsageError } from "@signet/core";
import { openDirDestination } from "./dir-destination.ts";
import { openDirSource } from "./dir-source.ts";
import type { HostEnvironment } from "../config/host-environment.ts";
import type { DockerOptions } from "./docker.ts";
import { openDockerArchiveDestination } from "./docker-archive-destination.ts";
import { openDockerArchiveSource } from "./docker-archive-source.ts";
import { openOciArchiveDestination } from "./oci-archive-destination.ts";
import { openOciArchiveSource } from "./oci-archive-source.ts";
import { openOciDestination, openOciSource } from "./oci-layout.ts";
import type { OfflineImage } from "./offline-source.ts";
import type { ImageDestination, ImageName, ImageSource } from "./transport.ts";

/** What opening an image may need. */
export interface OpenOptions {
  /** docker:// cannot do without. */
  readonly docker?: DockerOptions;
  /** docker-daemon: and containers-storage: find the engine, the store and the tools by it. Default: the environment of this process. */
  readonly host?: HostEnvironment;
  /** Reading: these files are the image, whatever its transport; no other place is looked at. */
  readonly offline?: OfflineImage;
}

/**
 * Opens an image for reading, whatever its transport. The caller closes it.
 * @throws StoreError and FormatError as the transport's own function: `image-missing`, `file-missing`, `image-malformed`, the `registry-…` codes and others
 */
export async function openImageSource(name: ImageName, options: OpenOptions = {}): Promise<ImageSource> {
  if (options.offline !== undefined) {
    const { openOfflineSource } = await import("./offline-source.ts");
    return openOfflineSource(name, options.offline);
  }
  switch (name.transport) {
    case "docker": {
      const { openDockerSource } = await loadDocker();
      return openDockerSource(name, options.docker);
    }
    case "dir":
      return openDirSource(name);
    case "oci":
      return openOciSource(name);
    case "oci-archive":
      return openOciArchiveSource(name);
    case "docker-archive":
      return openDockerArchiveSource(name);
    case "docker-daemon": {
      const { openDockerDaemonSource } = await import("./docker-daemon.ts");
      return openDockerDaemonSource(name, options.host);
    }
    case "containers-storage": {
      const { openStorageSource } = await import("./storage-source.ts");
      return openStorageSource(name, options.host);
    }
  }
}

/**
 * Opens a place for writing one image, whatever its transport. The caller closes it, also after a failure: that removes what was written.
 * @throws StoreError as the transport's own function: `destination-unsuitable`, `file-unwritable`, the `registry-…` codes and others; UsageError
 *   `image-name-malformed` for a position, which can only be read
 */
export async function openImageDestination(name: ImageName, options: OpenOptions = {}): Promise<ImageDestination> {
  if (name.imagePosition !== undefined) {
    throw new UsageError("image-name-malformed", `${name.text}: a position can be read, not written`, {
      hint: "give the image a name: PATH:TAG",
    });
  }
  switch (name.transport) {
    case "docker": {
      const { openDockerDestination } = await loadDocker();
      return openDockerDestination(name, options.docker);
    }
    case "dir":
      return openDirDestination(name);
    case "oci":
      return openOciDestination(name);
    case "oci-archive":
      return openOciArchiveDestination(name);
    case "docker-archive":
      return openDockerArchiveDestination(name);
    case "docker-daemon": {
      const { openDockerDaemonDestination } = await import("./docker-daemon.ts");
      return openDockerDaemonDestination(name, options.host);
    }
    case "containers-storage": {
      const { openStorageDestination } = await import("./storage-destination.ts");
      return openStorageDestination(name, options.host);
    }
  }
}

const importDocker = () => import("./docker.ts");
let docker: ReturnType<typeof importDocker> | undefined;

/**
 * The registry client and what it brings: loaded only for names that need it, and asked for once. Node looks through all its module hooks at each `import()`, which
 * takes as long as opening an image.
 */
function loadDocker(): ReturnType<typeof importDocker> {
  return (docker ??= importDocker());
}
