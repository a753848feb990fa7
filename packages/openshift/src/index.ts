/** What OpenShift does with signatures, outside the cluster. For most uses call `parseVerificationConfigMap`. */

// Kubernetes objects as text
export { MAX_MANIFEST_FILE_BYTES, parseManifestObjects } from "./kubernetes/manifests.ts";
export type { UntrustedManifestObject } from "./kubernetes/manifests.ts";

// Release images
export { RED_HAT_BETA_KEY_2, RED_HAT_RELEASE_KEY_2, redHatReleaseTrust } from "./release/red-hat-trust.ts";
export type { ReleaseKeyring, ReleaseStore, ReleaseTrust } from "./release/release-trust.ts";
export { loadReleaseTrust, loadVerificationConfigMap } from "./release/release-trust-files.ts";
export {
  VERIFICATION_ANNOTATION,
  findVerificationConfigMap,
  parseVerificationConfigMap,
} from "./release/verification-config-map.ts";
