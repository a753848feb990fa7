/**
 * Signet's core: container image signatures as bytes in, verdict out. For most uses call `parsePolicy` once, then `judgeImage` for each image.
 * Nothing in here opens a file, a socket or a process; the cryptography comes from an `Engine`, such as `nodeEngine` of `@signet/core/node-engine`.
 */

// Errors
export {
  FormatError,
  InternalError,
  PolicyError,
  RejectedError,
  SignetError,
  StoreError,
  UndeterminedError,
  UsageError,
  errorTable,
} from "./errors.ts";
export type { ErrorCode, ErrorKind, ErrorRow, FormatErrorOptions, StoreErrorOptions } from "./errors.ts";

// Bytes
export { decodeBase64, encodeBase64 } from "./bytes/base64.ts";
export { concatBytes, equalBytes } from "./bytes/concat.ts";
export { digestAlgorithm, digestHex, digestLike, parseDigest, sha256Digest, tryParseDigest } from "./bytes/digest.ts";
export type { Digest, DigestAlgorithm } from "./bytes/digest.ts";
export type {
  Compression,
  EcdsaCurve,
  Engine,
  HashAlgorithm,
  PreparedKey,
  PublicKeyMaterial,
  RunningHash,
} from "./bytes/engine.ts";
export { encodeHex, encodeHexUpper } from "./bytes/hex.ts";
export { editJson } from "./bytes/json-edit.ts";
export type { JsonEdit, JsonEditOptions, JsonValue } from "./bytes/json-edit.ts";
export {
  MAX_KEYRING_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_POLICY_BYTES,
  MAX_POLICY_VALUES,
  MAX_SIGNATURES_PER_MANIFEST,
  MAX_SIGNATURE_BYTES,
} from "./bytes/limits.ts";

export { foldMemberName } from "./bytes/member-name.ts";

// References
export {
  formatReference,
  isNameOnly,
  parseCanonicalReference,
  parseReference,
  referenceName,
  withDefaultTag,
} from "./reference/reference.ts";
export type { Reference } from "./reference/reference.ts";

// Verdicts
export type {
  Check,
  CheckOutcome,
  Evidence,
  GoverningScope,
  Reason,
  RequirementEvidence,
  SignatureEvidence,
  UntrustedClaims,
  Verdict,
  VerifiedSigner,
} from "./verify/evidence.ts";
export type { PolicyIdentity } from "./policy/policy-identity.ts";
export type { Signer } from "./keys/signer.ts";
export { describeKind, jsonArray, jsonProblem, jsonString, parseJson, strictObject } from "./bytes/strict-json.ts";
export type {
  JsonArray,
  JsonLimits,
  JsonMember,
  JsonNode,
  JsonNumber,
  JsonObject,
  JsonString,
  ObjectShape,
} from "./bytes/strict-json.ts";

// OpenPGP: keys and signed messages
export { assessCertificate } from "./keys/assessment.ts";
export type { CertificateAssessment, KeyAssessment, KeyStatus } from "./keys/assessment.ts";
export type { Certificate, CertificateKey, CertificateUserId, Revocation, SelfSignature } from "./keys/certificate.ts";
export { holdsSecretKey, joinKeyFiles } from "./keys/key-file.ts";
export { makeKeyring, parseKeyring, revokeCertificates } from "./keys/keyring.ts";
export type { KeyCandidate, Keyring, ParsedKeyring } from "./keys/keyring.ts";
export { MAX_CLOCK_SKEW_MS } from "./keys/switches.ts";
export type { OpenPgpSwitches } from "./keys/switches.ts";
export { verifySignedDocument } from "./verify/signed-document.ts";
export type { DocumentForm } from "./formats/openpgp/signed-document.ts";
export type { SignedDocumentVerdict } from "./verify/signed-document.ts";
export { inspectSignedMessage, verifySignedMessage } from "./verify/signed-message.ts";
export type {
  AcceptedMessage,
  RejectedMessage,
  SignedMessageOptions,
  SignedMessageOutcome,
  UntrustedSignedMessage,
} from "./verify/signed-message.ts";

// Formats: manifests, simple-signing payloads, signature blobs
export { convertImageManifest } from "./formats/manifest/convert-image.ts";
export { convertManifestList } from "./formats/manifest/convert-list.ts";
export type { ConvertedInstance } from "./formats/manifest/convert-list.ts";
export { formatOfManifest } from "./formats/manifest/convert-media-types.ts";
export type { ManifestFormat } from "./formats/manifest/convert-media-types.ts";
export type { Platform, UntrustedDescriptor, UntrustedInstance } from "./formats/manifest/descriptor.ts";
export { parseManifest } from "./formats/manifest/manifest.ts";
export type { UntrustedImageManifest, UntrustedManifest, UntrustedManifestList } from "./formats/manifest/manifest.ts";
export { computeManifestDigest } from "./formats/manifest/manifest-digest.ts";
export {
  DOCKER_SCHEMA1_SIGNED_TYPE,
  DOCKER_SCHEMA1_TYPE,
  OCI_INDEX_TYPE,
  OCI_MANIFEST_TYPE,
  claimedMediaType,
  isManifestMediaType,
  manifestMediaTypes,
} from "./formats/manifest/media-types.ts";
export type { ManifestMediaType } from "./formats/manifest/media-types.ts";
export { chooseInstance, formatPlatform } from "./formats/manifest/platform.ts";
export { artifactTypeOf, describeReferrer, parseReferrers, writeReferrers } from "./formats/manifest/referrers.ts";
export type { UntrustedReferrer } from "./formats/manifest/referrers.ts";
export type { UntrustedSchema1Manifest } from "./formats/manifest/schema1.ts";
export { readWebSignatures } from "./formats/manifest/web-signatures.ts";
export type { UntrustedWebKey, UntrustedWebSignature } from "./formats/manifest/web-signatures.ts";
export { parseSignatureBlob, writeSignatureBlob } from "./formats/signature-blob/signature-blob.ts";
export type {
  SignatureBlobContent,
  UntrustedSignatureBlob,
  UntrustedSigstoreBlob,
  UntrustedSimpleSigningBlob,
} from "./formats/signature-blob/signature-blob.ts";
export {
  SIMPLE_SIGNING_TYPE,
  parseSimpleSigningPayload,
  writeSimpleSigningPayload,
} from "./formats/simple-signing/payload.ts";
export type { PayloadClaims, UntrustedPayload } from "./formats/simple-signing/payload.ts";

// Policy
export { insecureAcceptAnythingPolicy, signedByPolicy } from "./policy/ad-hoc-policy.ts";
export { isUnderPrefix, matchSignedIdentity } from "./policy/identity-match.ts";
export type { IdentityMatch } from "./policy/identity-match.ts";
export {
  dockerArchivePolicyIdentity,
  dockerDaemonPolicyIdentity,
  dockerPolicyIdentity,
  pathPolicyIdentity,
  storagePolicyIdentity,
} from "./policy/image-identity.ts";
export type { StoredImageName } from "./policy/image-identity.ts";
export { keyFilesOf } from "./policy/policy.ts";
export type {
  AcceptAnythingRequirement,
  ExactReferenceIdentity,
  ExactRepositoryIdentity,
  FulcioTrust,
  KeySource,
  KeyType,
  PkiTrust,
  Policy,
  PolicyScopes,
  RejectRequirement,
  RemapIdentity,
  Requirement,
  Requirements,
  SignedBaseLayerRequirement,
  SignedByRequirement,
  SignedIdentity,
  SigstoreSignedRequirement,
  SigstoreTrust,
} from "./policy/policy.ts";
export { parsePolicy } from "./policy/policy-document.ts";
export { keyHint } from "./policy/policy-members.ts";
export { dockerScopeAncestors } from "./policy/scope-ancestors.ts";
export { listScopeCandidates } from "./policy/scope-candidates.ts";
export type { ScopeCandidate, ScopeKind } from "./policy/scope-candidates.ts";
export { findGoverningScope } from "./policy/scope-lookup.ts";
export type { Governing } from "./policy/scope-lookup.ts";
export { explainInvalidScope, knownTransports } from "./policy/scope-rules.ts";
export { explainUnmatchableScope } from "./policy/scope-suggestion.ts";
export type { UnmatchableScope } from "./policy/scope-suggestion.ts";

export { lintPolicy } from "./policy/lint/lint-policy.ts";
export type { LintFinding, LintOptions } from "./policy/lint/lint-policy.ts";
export { lints } from "./policy/lint/lint-table.ts";
export type { Lint, LintSeverity, PolicyEdit } from "./policy/lint/lint.ts";
export type {
  KeyFileFact,
  LintFacts,
  StoreFacts,
  StoreSection,
  StoreSurvey,
  StoreUrl,
} from "./policy/lint/lint-facts.ts";
export type { JsonPath } from "./policy/lint/document-places.ts";
export { editPolicy } from "./policy/lint/policy-edit.ts";
export type { CorrectedPolicy } from "./policy/lint/policy-edit.ts";
export { policyScopes } from "./policy/lint/policy-scopes.ts";
export { pathOfScope } from "./policy/lint/scope-order.ts";
export { lookasideSectionsFor, readingUrlOf } from "./policy/lint/store-order.ts";
export { newPolicy, outlinePolicy, removePolicyScope, setPolicyDefault, setPolicyScope } from "./policy/policy-edit.ts";
export type { EditedPolicy, PolicyOutline } from "./policy/policy-edit.ts";
export { writeRequirements } from "./policy/requirement-writer.ts";
export type { NewIdentity, NewKeys, NewRule, NewSignedRule } from "./policy/requirement-writer.ts";
export { adviseScope } from "./policy/scope-advice.ts";
export type { ScopeAdvice } from "./policy/scope-advice.ts";
export { enclosingScopes, isWithinScope } from "./policy/scope-order.ts";
export type { ComparedKey, KeyReading, ReadComparedKeys } from "./policy/diff/compared-keys.ts";
export { diffPolicies } from "./policy/diff/policy-diff.ts";
export type { PolicyChange, PolicyDiff, ScopeDiff, ScopeSide } from "./policy/diff/policy-diff.ts";

// Verdicts on images and signatures
export { requireAccepted } from "./verify/accepted.ts";
export type { AcceptedVerdict } from "./verify/accepted.ts";
export { examineImage, judgeImage } from "./verify/image-verdict.ts";
export type { Examination, ImageToJudge, JudgeDeps, UndeterminedReason } from "./verify/image-verdict.ts";
export { closestSignature, firstFailedCheck } from "./verify/closest-signature.ts";
export { fixFor } from "./verify/fixes/fix-table.ts";
export type { Fix, FixSituation, StoreSituation } from "./verify/fixes/fix.ts";
export { summarizeIdentity, summarizeRequirement, summarizeRequirements } from "./verify/requirement-summary.ts";
export { readUntrustedClaims } from "./verify/untrusted-claims.ts";
export { judgeSignedBy } from "./verify/signed-by.ts";
export type { SignatureDeps, SignatureToJudge, SignedImage } from "./verify/signed-by.ts";
export { verifyStandalone } from "./verify/standalone.ts";
export type { StandaloneVerdict } from "./verify/standalone.ts";
export { TrustAnchors } from "./verify/trust-anchors.ts";
export type { TrustAnchorDeps, TrustedKeys } from "./verify/trust-anchors.ts";

// Signing
export { writeArmoredPublicKey } from "./sign/armored-key.ts";
export { DEFAULT_CREATOR, createSignature, signingReference } from "./sign/create-signature.ts";
export type { CreatedSignature, SigningOptions } from "./sign/create-signature.ts";
export { DEFAULT_KEY_ALGORITHM, generateKey, keyAlgorithms } from "./sign/generate-key.ts";
export type { GeneratedKey, KeyAlgorithm, KeyRequest } from "./sign/generate-key.ts";
export { describeCertificate, matchesSelector, selectCertificate } from "./sign/key-selector.ts";
export { MAX_SECRET_KEY_BYTES, openSecretKey } from "./sign/secret-key.ts";
export type { SecretKeyOptions } from "./sign/secret-key.ts";
