import type { CopyProgress } from "@signet/images";
import type { Progress } from "../terminal/progress.ts";

/** Shows a copy as it goes: a line for each blob and manifest, and on a terminal how far it is. */
export function showCopyProgress(progress: Progress): (event: CopyProgress) => void {
  let total = 0;
  let known = true;
  let moved = 0;
  let blobs = 0;
  let done = 0;
  const showBlobs = (): void => {
    const bytes = known && total > 0 ? `, ${formatBytes(moved)} of ${formatBytes(total)}` : `, ${formatBytes(moved)}`;
    progress.count(done, blobs, `blobs${bytes}`);
  };
  return (event) => {
    switch (event.kind) {
      case "converted":
        progress.step(
          `Converting to ${event.format === "oci" ? "OCI" : "docker schema 2"}: the digest becomes ${event.digest}`,
        );
        break;
      case "planned":
        blobs = event.blobs.length;
        known = event.blobs.every(({ size }) => size !== undefined);
        total = event.blobs.reduce((sum, { size }) => sum + (size ?? 0), 0);
        progress.step(`Copying ${event.manifests.length} manifests and ${blobs} blobs`);
        break;
      case "blob-started":
        progress.step(`Copying blob ${event.blob.digest}`);
        break;
      case "blob-present":
        done++;
        moved += event.blob.size ?? 0;
        progress.step(`Skipping blob ${event.blob.digest}: already there`);
        break;
      case "blob-bytes":
        moved += event.bytes;
        showBlobs();
        break;
      case "blob-done":
        done++;
        showBlobs();
        break;
      case "manifest-done":
        progress.step(`Writing manifest ${event.digest}`);
        break;
      case "companion-done":
        progress.step(`Writing ${event.digest}, which belongs to the image`);
        break;
      case "signatures-done":
        progress.step(`Storing ${event.count} signatures for ${event.digest}`);
        break;
    }
  };
}

function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
