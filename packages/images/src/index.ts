/** Where images and signatures live: every adapter that does I/O. For most uses call `openImageSource`, `verifyImage` and `copyImage`. */

// Contracts
export type {
  BlobDescriptor,
  EndpointAttempt,
  ImageDestination,
  ImageName,
  ImageSource,
  RawManifest,
  TransportName,
} from "./transports/transport.ts";
export type {
  IsEnough,
  SignatureReading,
  SignatureStore,
  StoreAttempt,
  StoredSignature,
} from "./stores/signature-store.ts";

export type { CompanionListing, CompanionWriter, FoundCompanion, TagOutcome } from "./transports/companion.ts";

// Files
export { fileError } from "./config/file-error.ts";
export { makeFolders } from "./config/folders.ts";
export type { FileOperation } from "./config/file-error.ts";
export { writeFileAtomic } from "./config/atomic-file.ts";
export { readFileBounded } from "./config/bounded-file.ts";

// Transports and copies
export type { AtomicWriteOptions } from "./config/atomic-file.ts";
export type { BoundedReadOptions } from "./config/bounded-file.ts";
export { MAX_YAML_BYTES, readYaml, yamlFailure } from "./config/yaml-reader.ts";
export type { YamlFailure, YamlMap, YamlNode, YamlPlace, YamlScalar } from "./config/yaml-reader.ts";
export type { CompanionSelection } from "./copy/companions.ts";
export { deleteCompanions } from "./copy/delete-companions.ts";
export type { DeletedCompanions } from "./copy/delete-companions.ts";
export { copyImage } from "./copy/copy-image.ts";
export type { CopyOptions, CopyResult, CopySelection, SignManifest } from "./copy/copy-options.ts";
export type { CopyProgress } from "./copy/copy-progress.ts";
export { readImageManifest } from "./copy/image-manifest.ts";
export type { ImageManifest } from "./copy/image-manifest.ts";
export { deleteImage } from "./delete/delete-image.ts";
export type { DeleteOptions, DeleteResult, DeletedSignatures } from "./delete/delete-options.ts";
export { hostPlatform } from "./copy/host-platform.ts";
export { addDirSignature, readDirSignatures } from "./transports/dir-signatures.ts";
export { parseImageName } from "./transports/image-name.ts";
export type { ImageNameOptions } from "./transports/image-name.ts";
export { visitTarEntries } from "./transports/tar-files.ts";
export type { TarEntry } from "./transports/tar-files.ts";
export { openImageDestination, openImageSource } from "./transports/open.ts";
export type { OpenOptions } from "./transports/open.ts";

// Signers
export { exportGpgKey, exportGpgKeyring, listGpgKeys, openGpgKey } from "./signers/gpg.ts";
export type { GpgKey, GpgSignerOptions } from "./signers/gpg.ts";
export { GPG_TIMEOUT_MS } from "./signers/run-gpg.ts";
export type { GpgOptions } from "./signers/run-gpg.ts";

// Configuration of trust, signature stores, verifying and signing images
export { currentHost, fileTreeHost, systemPath } from "./config/host-environment.ts";
export type { HostEnvironment } from "./config/host-environment.ts";
export { describeStores, gatherPolicyFacts } from "./config/policy-facts.ts";
export type { PolicyFactsOptions } from "./config/policy-facts.ts";
export { replacePolicyFile } from "./config/policy-replacement.ts";
export { findPolicyFile, loadPolicy } from "./config/policy-file.ts";
export type { LoadedPolicy, PolicyFileOptions } from "./config/policy-file.ts";
export { resolveInRoot } from "./config/rooted-path.ts";
export { loadRegistriesD } from "./config/registries-d.ts";
export type { RegistriesD, RegistriesDOptions } from "./config/registries-d.ts";
export { parseRegistriesDFile } from "./config/registries-d-file.ts";
export type { Located, LookasideKey, RegistriesDFile, RegistriesDSection } from "./config/registries-d-file.ts";
export { lookasideBase, lookasideBaseOfScope, useSigstoreAttachments } from "./config/registries-d-lookup.ts";
export type { AttachmentsChoice, LookasideAccess, LookasideChoice } from "./config/registries-d-lookup.ts";
export { isEqualSignature } from "./sign/equal-signature.ts";
export type { WantedSignature } from "./sign/equal-signature.ts";
export { backupOf } from "./config/file-change.ts";
export type { FileChange } from "./config/file-change.ts";
export { findSection, readRegistriesDFolders } from "./config/registries-d-place.ts";
export type { RegistriesDFolders } from "./config/registries-d-place.ts";
export type { StoreChange } from "./config/registries-d-edit.ts";
export { followTreePath, pathInTree } from "./config/tree-path.ts";
export type { TreePlace } from "./config/tree-path.ts";
export { makeTrustEdit, planTrustEdit } from "./config/trust-edit.ts";
export type { TrustChange, TrustEdit, TrustFiles } from "./config/trust-edit.ts";
export { joinEmbeddedKeys, readTrustKeys } from "./config/trust-keys.ts";
export type { KeyPurpose, TrustKeyOptions, TrustKeys } from "./config/trust-keys.ts";
export { findRegistry, pullEndpoints, pushEndpoint } from "./config/image-endpoints.ts";
export type { EndpointRole, ImageEndpoint } from "./config/image-endpoints.ts";
export { loadRecordedAliases, loadRegistriesConf } from "./config/registries-conf.ts";
export type { RegistriesConf, RegistriesConfOptions } from "./config/registries-conf.ts";
export type {
  MirrorUse,
  RegistryEntry,
  RegistryMirror,
  ShortNameAlias,
  ShortNameMode,
} from "./config/registry-entry.ts";
export { deriveRemapRules } from "./config/remap-rules.ts";
export type { RemapRule } from "./config/remap-rules.ts";
export { isShortName, resolveShortName } from "./config/short-names.ts";
export type { ResolvedShortName } from "./config/short-names.ts";
export { signImage } from "./sign/sign-image.ts";
export type { SignOptions, SignReceipt, SignResult } from "./sign/sign-image.ts";
export { chooseSignatureStore } from "./stores/choose-store.ts";
export type { ChosenStore, StoreChoiceOptions, StoreKind } from "./stores/choose-store.ts";
export { attachmentStore } from "./stores/attachment-store.ts";
export { dirStore } from "./stores/dir-store.ts";
export type { AddableStore } from "./stores/dir-store.ts";
export { lookasideStore } from "./stores/lookaside-store.ts";
export type { LookasideStoreOptions } from "./stores/lookaside-store.ts";
export { readReleaseStore } from "./stores/release-store.ts";
export type { ReleaseStoreOptions } from "./stores/release-store.ts";
export { folderLookasideBase, parseLookasideBase, signatureUrl } from "./stores/lookaside-url.ts";
export type { LookasideBase } from "./stores/lookaside-url.ts";
export { readKeyFile } from "./verify/key-file.ts";
export { judgeManifest, makeTrustAnchors } from "./verify/manifest-verdict.ts";
export type { JudgeOptions, ManifestVerdict, SignatureLookup } from "./verify/manifest-verdict.ts";
export { verifyImage } from "./verify/verify-image.ts";
export type { ImageVerdict, ManifestOutcome, ManifestRole, VerifyOptions } from "./verify/verify-image.ts";
export { verifyImages } from "./verify/verify-images.ts";
export type { ImageRow, VerifyManyOptions } from "./verify/verify-images.ts";

// Why an image is accepted or not
export { placeInTree } from "./config/file-tree.ts";
export { resolveInTree } from "./config/rooted-path.ts";
export { explainImage } from "./explain/explain-image.ts";
export type { ExplainOptions } from "./explain/explain-image.ts";
export type {
  DemandExplanation,
  ExplainedVerdict,
  ImageExplanation,
  KeyExplanation,
  LookupExplanation,
  ManifestExplanation,
  ScopeExplanation,
  StoreExplanation,
} from "./explain/explanation.ts";
export type { OfflineImage } from "./transports/offline-source.ts";
export { runPolicyTests } from "./policy-tests/run-tests.ts";
export type {
  CaseResult,
  PolicyTestOptions,
  PolicyTestResult,
  ScopeCoverage,
  TestFileResult,
} from "./policy-tests/run-tests.ts";

// Registries and credentials
export { checkCredentialKey, findCredentials } from "./config/auth-file.ts";
export type { CredentialSearch, FoundCredentials } from "./config/auth-file.ts";
export { removeAllCredentials, removeCredentials, storeCredentials } from "./config/auth-file-edit.ts";
export type { CredentialChange, CredentialRemoval } from "./config/auth-file-edit.ts";
export { RegistryClient, RegistryClients } from "./registry/client.ts";
export type { ClientOptions, RegistryClientsOptions, WebAccess } from "./registry/client.ts";
export type { RegistryLog } from "./registry/exchange.ts";
export type { Timeouts } from "./registry/limits.ts";
export type { ManifestName } from "./registry/manifests.ts";
export type { Ping } from "./registry/ping.ts";
export type { Clock } from "./registry/retry.ts";
export type { ApiSignature, ApiSignatureList } from "./registry/signatures-api.ts";
export type { VerificationResult } from "./registry/verifications-api.ts";
export { extensionStore } from "./stores/extension-store.ts";
export type { Credentials } from "./registry/credentials.ts";
export type { DockerOptions } from "./transports/docker.ts";

// Lists of images in use, and policies that are not in force yet
export { inventoryFormats, loadInventory } from "./inventory/load-inventory.ts";
export type { InventoryFormat, InventoryOptions } from "./inventory/load-inventory.ts";
export type { Inventory, InventoryImage } from "./inventory/inventory.ts";
export { withFileLock } from "./config/file-lock.ts";
export { readComparedKeys } from "./verify/compared-keys.ts";
export { simulateImages } from "./verify/simulate-images.ts";
export type { SimulationOptions } from "./verify/simulate-images.ts";
export type { SimulatedRow, SimulatedVerdict } from "./verify/simulated-row.ts";
export { changeOf, decidingVerdict, summarizeSimulation } from "./verify/simulation-change.ts";
export type { SimulationChange, SimulationGroup, SimulationSummary } from "./verify/simulation-change.ts";
export { digestSimulationInputs } from "./verify/simulation-inputs.ts";
export type { SimulationInputs } from "./verify/simulation-inputs.ts";
export { openSimulationJournal } from "./verify/simulation-journal.ts";
export type { JournalInputs, SimulationJournal } from "./verify/simulation-journal.ts";
