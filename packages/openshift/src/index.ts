/** What OpenShift does with signatures, outside the cluster. For most uses call `parseVerificationConfigMap`. */

// Kubernetes objects as text
export { MAX_MANIFEST_FILE_BYTES, parseManifestObjects } from "./kubernetes/manifests.ts";
export type { UntrustedManifestObject } from "./kubernetes/manifests.ts";

// Checksums of installers and clients
export { checkFiles } from "./checksums/checksum-files.ts";
export type { FileCheck, FileOutcome, FilesCheck, FilesCheckOptions } from "./checksums/checksum-files.ts";
export { MAX_CHECKSUM_LIST_BYTES, parseChecksumList } from "./checksums/checksum-list.ts";
export type { ChecksumEntry, ChecksumList } from "./checksums/checksum-list.ts";

// Release images
export { RED_HAT_BETA_KEY_2, RED_HAT_RELEASE_KEY_2, redHatReleaseTrust } from "./release/red-hat-trust.ts";
export type { ReleaseKeyring, ReleaseStore, ReleaseTrust } from "./release/release-trust.ts";
export { loadReleaseTrust, loadVerificationConfigMap } from "./release/release-trust-files.ts";
export {
  VERIFICATION_ANNOTATION,
  findVerificationConfigMap,
  parseVerificationConfigMap,
} from "./release/verification-config-map.ts";
