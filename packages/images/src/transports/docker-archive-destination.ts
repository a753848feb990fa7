import { rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { StoreError } from "@signet/core";
import { syncDirectory } from "../config/atomic-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { ARCHIVE_SIGNATURES_UNSUPPORTED } from "./docker-archive-source.ts";
import { ARCHIVE_DIGEST_NOT_KEPT, DockerArchiveWriter, manifestUnsupportedInArchive } from "./docker-archive-writer.ts";
import { makeStage } from "./stage.ts";
import type { BlobDescriptor, ImageDestination, ImageName, RawManifest } from "./transport.ts";

/**
 * Opens an archive for writing one image. A file that is there and not empty is refused, as by the reference: it may hold other images, which would be lost. The archive
 * has its name only after `commit`.
 * @throws StoreError `destination-unsuitable`, `file-unwritable`, `disk-full`
 */
export async function openDockerArchiveDestination(name: ImageName): Promise<ImageDestination> {
  const path = name.path!;
  await refuseUsed(path);
  const stage = await makeStage({ path, entries: undefined });
  const deliver = async (written: string): Promise<void> => {
    await refuseUsed(path);
    try {
      await rename(written, path);
    } catch (error) {
      throw fileError(error, path, "write");
    }
    await syncDirectory(dirname(path));
  };
  return new DockerArchiveDestination(name, stage, { deliver });
}

async function refuseUsed(path: string): Promise<void> {
  try {
    const stats = await stat(path);
    if (stats.isFile() && stats.size === 0) return;
    throw new StoreError(
      "destination-unsuitable",
      stats.isFile() ? `${path} exists, and an existing docker archive is not changed` : `${path} is not a file`,
      { side: "destination", hint: "name a file that does not exist yet, or remove this one first" },
    );
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw fileError(error, path, "write");
  }
}

/** What becomes of a finished archive. */
export interface ArchiveDelivery {
  /** Brings the archive, a file in the stage, to its place. */
  deliver(path: string): Promise<void>;
  /** Stops a delivery that is under way. */
  abandon?(): void;
}

/** Writes one image as an archive and hands it on. */
export class DockerArchiveDestination implements ImageDestination {
  readonly name: ImageName;
  readonly digestNotKept: string = ARCHIVE_DIGEST_NOT_KEPT;
  readonly #stage: string;
  readonly #writer: DockerArchiveWriter;
  readonly #delivery: ArchiveDelivery;
  #isClosed = false;

  /**
   * @param stage an empty folder, which is removed when the destination is closed
   */
  constructor(name: ImageName, stage: string, delivery: ArchiveDelivery) {
    this.name = name;
    this.#stage = stage;
    this.#writer = new DockerArchiveWriter(stage);
    this.#delivery = delivery;
  }

  async signaturesUnsupported(): Promise<string> {
    return ARCHIVE_SIGNATURES_UNSUPPORTED;
  }

  manifestUnsupported(mediaType: string): string | undefined {
    return manifestUnsupportedInArchive(mediaType);
  }

  async hasBlob(descriptor: BlobDescriptor): Promise<boolean> {
    return this.#writer.hasBlob(descriptor.digest);
  }

  putBlob(descriptor: BlobDescriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#writer.putBlob(descriptor, chunks);
  }

  async putManifest(manifest: RawManifest): Promise<void> {
    this.#writer.putManifest(manifest);
  }

  async putSignatures(): Promise<never> {
    throw new StoreError("destination-unsuitable", `${this.name.text}: ${ARCHIVE_SIGNATURES_UNSUPPORTED}`, {
      side: "destination",
      hint: "copy with --remove-signatures, or to dir: or docker://",
    });
  }

  async commit(): Promise<void> {
    const written = join(this.#stage, "archive.tar");
    await this.#writer.writeTo(written, this.name.reference);
    await this.#delivery.deliver(written);
    await this.close();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#delivery.abandon?.();
    await rm(this.#stage, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
