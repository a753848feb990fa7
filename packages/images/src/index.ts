/** Where images and signatures live: every adapter that does I/O. For most uses call `openImageSource`, `verifyImage` and `copyImage`. */

// Contracts
export type { BlobDescriptor, ImageDestination, ImageName, ImageSource, RawManifest, TransportName } from "./transports/transport.ts";
export type { SignatureReading, SignatureStore, StoreAttempt, StoredSignature } from "./stores/signature-store.ts";

// Files
export { readFileBounded, writeFileAtomic } from "./config/atomic-file.ts";

// Transports and copies
export type { AtomicWriteOptions, BoundedReadOptions } from "./config/atomic-file.ts";
export { copyImage } from "./copy/copy-image.ts";
export type { CopyOptions, CopyResult, CopySelection } from "./copy/copy-image.ts";
export type { CopyProgress } from "./copy/copy-progress.ts";
export { hostPlatform } from "./copy/host-platform.ts";
export { addDirSignature, readDirSignatures } from "./transports/dir-signatures.ts";
export { parseImageName } from "./transports/image-name.ts";
export type { ImageNameOptions } from "./transports/image-name.ts";
export { openImageDestination, openImageSource } from "./transports/open.ts";
export type { OpenOptions } from "./transports/open.ts";

// Signers
export { exportGpgKey, exportGpgKeyring, listGpgKeys, openGpgKey } from "./signers/gpg.ts";
export type { GpgKey, GpgSignerOptions } from "./signers/gpg.ts";
export { GPG_TIMEOUT_MS } from "./signers/run-gpg.ts";
export type { GpgOptions } from "./signers/run-gpg.ts";
