/** What OpenShift does with signatures, outside the cluster. For most uses call `parseVerificationConfigMap`. */

// Kubernetes objects as text
export { MAX_MANIFEST_FILE_BYTES, describeObject, parseManifestObjects } from "./kubernetes/manifests.ts";
export type { UntrustedManifestObject } from "./kubernetes/manifests.ts";

// Checksums of installers and clients
export { checkFiles } from "./checksums/checksum-files.ts";
export type { FileCheck, FileOutcome, FilesCheck, FilesCheckOptions } from "./checksums/checksum-files.ts";
export { MAX_CHECKSUM_LIST_BYTES, parseChecksumList } from "./checksums/checksum-list.ts";
export type { ChecksumEntry, ChecksumList } from "./checksums/checksum-list.ts";

// Release images
export { checkComponents } from "./release/component-check.ts";
export type { ComponentCheck, ComponentCheckOptions, ComponentOutcome } from "./release/component-check.ts";
export { normalizeReleaseName, parseReleaseDigest, tryParseReleaseDigest } from "./release/release-digest.ts";
export { readReleaseImage } from "./release/release-image.ts";
export type { ReleaseImage } from "./release/release-image.ts";
export { compareReleases, componentVersions, parseReleasePayload } from "./release/release-payload.ts";
export type {
  ComponentVersion,
  ComponentVersions,
  ReleaseComponent,
  ReleaseDifference,
  UntrustedRelease,
  UntrustedReleaseMetadata,
} from "./release/release-payload.ts";
export { judgeReleaseSignature } from "./release/release-signature.ts";
export type { ReleaseSignatureOptions, ReleaseSignatureVerdict } from "./release/release-signature.ts";
export { judgeReleaseSignatures } from "./release/release-verdict.ts";
export type {
  JudgedSignature,
  KeyringOutcome,
  ReleaseEvidence,
  ReleaseSignatureSource,
  ReleaseSignaturesVerdict,
  SourceAnswer,
} from "./release/release-verdict.ts";
export {
  SIGNATURES_LABEL,
  SIGNATURES_NAMESPACE,
  makeSignatureConfigMap,
  readSignatureConfigMaps,
  signatureConfigMapFile,
} from "./release/signature-config-map.ts";
export type { MirroredSignature, MirroredSignatures, SignatureConfigMap } from "./release/signature-config-map.ts";
export { loadSignatureConfigMaps, writeSignatureConfigMap } from "./release/signature-config-map-files.ts";
export {
  RED_HAT_BETA_KEY_2,
  RED_HAT_RELEASE_KEY_2,
  describeRedHatKey,
  redHatReleaseTrust,
} from "./release/red-hat-trust.ts";
export type { ReleaseKeyring, ReleaseStore, ReleaseTrust } from "./release/release-trust.ts";
export { digestsOfRelease, readTrustOfRelease, refuseSelfTrust } from "./release/trust-from-release.ts";
export { loadReleaseTrust, loadVerificationConfigMap } from "./release/release-trust-files.ts";
export {
  VERIFICATION_ANNOTATION,
  findVerificationConfigMap,
  parseVerificationConfigMap,
} from "./release/verification-config-map.ts";

// Operator catalogs
export { auditRules } from "./catalog/audit-rules.ts";
export type { AuditRule, AuditRuleName, FindingSeverity } from "./catalog/audit-rules.ts";
export type { Demand, ImageCoverage, ImageForm, ImageReading } from "./catalog/audited-image.ts";
export { assembleCatalog } from "./catalog/catalog.ts";
export type {
  BundleLabels,
  CatalogBundle,
  CatalogChannel,
  CatalogPackage,
  StructureFinding,
  UntrustedCatalog,
} from "./catalog/catalog.ts";
export { auditCatalog } from "./catalog/catalog-audit.ts";
export type {
  AuditFinding,
  AuditVerdict,
  AuditedChannel,
  AuditedImage,
  AuditedPackage,
  AuditedUse,
  CatalogAudit,
  CatalogAuditOptions,
  ImageCheck,
  MirrorCheck,
} from "./catalog/catalog-audit.ts";
export type { CatalogDocuments } from "./catalog/catalog-files.ts";
export { readCatalogFolder } from "./catalog/catalog-folder.ts";
export { readCatalogImage } from "./catalog/catalog-image.ts";
export type { CatalogImage } from "./catalog/catalog-image.ts";
export type { ImageRole, ImageUse } from "./catalog/cluster-service-version.ts";
export type { DocumentPlace } from "./catalog/document-tree.ts";
export type { UntrustedCatalogDocument } from "./catalog/catalog-document.ts";

// Node configuration
export { ROLE_LABEL, explainBadPath, isObjectName, parseButane } from "./machine-config/butane-config.ts";
export type {
  ButaneConfig,
  ButaneContents,
  ButaneFile,
  ButaneOpenShift,
  ButaneOwner,
  ButaneTree,
  ReadButane,
} from "./machine-config/butane-config.ts";
export { DEFAULT_BUTANE_VERSION, butaneVersionRange, findButaneVersion } from "./machine-config/butane-version.ts";
export type { ButaneVersion } from "./machine-config/butane-version.ts";
export type { IgnitionContents } from "./machine-config/data-url.ts";
export { embedKeys } from "./machine-config/key-embedding.ts";
export { openLocalFolder } from "./machine-config/local-folder.ts";
export type { LocalFolder, TreeFile } from "./machine-config/local-folder.ts";
export { renderButane, renderFiles, roleOf, writeMachineConfig } from "./machine-config/machine-config.ts";
export type { FileToWrite, IgnitionFile, MachineConfig } from "./machine-config/machine-config.ts";
export { actualFilesOf, checkNodeFiles } from "./machine-config/node-check.ts";
export type { ActualContent, ActualFile, ActualFiles, NodeCheck, NodeFileCheck } from "./machine-config/node-check.ts";
export { MAX_TRANSCRIPT_BYTES, parseNodeTranscript, writeNodeScript } from "./machine-config/node-transcript.ts";
export { readNodeTree } from "./machine-config/node-tree.ts";
export { nodeFilesOf, parseNodeFiles } from "./machine-config/node-file.ts";
export { isNodeTranscript, parseNodePrintout, printedFiles } from "./machine-config/node-printout.ts";
export type { UntrustedNodeFile, UntrustedNodeFiles, UntrustedOwner } from "./machine-config/node-file.ts";
export {
  POLICY_PATH,
  REGISTRIES_D,
  checkTrustFiles,
  explainOverridden,
  readRenderedFiles,
} from "./machine-config/trust-files.ts";
export type { RenderedFiles, TrustFilesCheck } from "./machine-config/trust-files.ts";
export type { YamlDocument, YamlField, YamlProblem } from "./machine-config/yaml-fields.ts";

export { assessPools } from "./machine-config/pool-status.ts";
export type { LaggingNode, PoolCounts, PoolStatus, RolloutState } from "./machine-config/pool-status.ts";

// Clusters, read only
export { openCluster } from "./cluster/cluster-client.ts";
export type { ClusterClient } from "./cluster/cluster-client.ts";
export { loadKubeconfig } from "./cluster/kubeconfig.ts";
export type { ClusterAccess } from "./cluster/kubeconfig.ts";

// Image policies of clusters
export { CLUSTER_BASE_POLICY, renderClusterTrust } from "./image-policy/cluster-trust.ts";
export type { ClusterTrust, GeneratedFile } from "./image-policy/cluster-trust.ts";
export { isImagePolicy, readImagePolicy } from "./image-policy/image-policy.ts";
export type { ImagePolicy, SigstoreRequirement } from "./image-policy/image-policy.ts";
export { liftPolicy } from "./image-policy/lift-policy.ts";
export type { LiftedPolicy } from "./image-policy/lift-policy.ts";
