/**
 * Mirrored signatures: ConfigMaps in which a disconnected cluster finds the signatures of releases. One contract, several dialects:
 *
 *   oc adm release mirror      one map a release, named sha256-HEX; keys sha256-HEX-1, -2, …
 *   the cluster's own          signatures-managed; keys sha256-HEX-0, -1, …
 *   oc-mirror v2               mirrored-release-signatures; keys sha256-HEX-N, N running through the whole map
 *
 * The operator takes any key that begins with `sha256-HEX`, in any map of its namespace with the label.
 */
import {
  type Digest,
  FormatError,
  decodeBase64,
  digestAlgorithm,
  digestHex,
  encodeBase64,
  equalBytes,
  tryParseDigest,
} from "@signet/core";
import { type UntrustedManifestObject, isRecord } from "../kubernetes/manifests.ts";

/** The label that the operator looks for; its value means nothing. */
export const SIGNATURES_LABEL: string = "release.openshift.io/verification-signatures";

/** The only namespace it looks in. */
export const SIGNATURES_NAMESPACE: string = "openshift-config-managed";

/** Bytes of one signature. Genuine ones have less than one thousand; the store of the reference reads up to 50 KiB. */
const MAX_MIRRORED_SIGNATURE_BYTES = 50 * 1024;

/** Signatures of all maps together: thousands of releases. */
const MAX_MIRRORED_SIGNATURES = 10_000;

/** One mirrored signature. Nothing in it is verified. */
export interface MirroredSignature {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** `namespace/name: key`. */
  readonly location: string;
}

export interface MirroredSignatures {
  readonly signatures: readonly MirroredSignature[];
  /** What the operator would not find, one line each. */
  readonly warnings: readonly string[];
}

/** `sha256-HEX`, then whatever a dialect puts behind it: the operator looks at the beginning alone. */
const keyForm = /^(?:(sha256)-([0-9a-f]{64})|(sha384)-([0-9a-f]{96})|(sha512)-([0-9a-f]{128}))/;

function digestOfKey(key: string): Digest | undefined {
  const [algorithm, hex] = (keyForm.exec(key) ?? []).slice(1).filter((part) => part !== undefined);
  return tryParseDigest(`${algorithm}:${hex}`);
}

/**
 * The signatures in the ConfigMaps among `objects`, of every dialect, each once for its digest. Maps that the operator would pass over (another namespace, no label)
 * are read with a warning: whoever hands them over means them.
 *
 * @throws FormatError `signature-configmap-malformed` for a value that is not base64 and for more than 10,000 signatures; `input-too-large` for a signature above 50 KiB
 */
export function readSignatureConfigMaps(objects: readonly UntrustedManifestObject[]): MirroredSignatures {
  const signatures: MirroredSignature[] = [];
  const known = new Map<Digest, Uint8Array[]>();
  const warnings: string[] = [];
  for (const object of objects) {
    if (object.kind !== "ConfigMap") continue;
    const data = object.value["binaryData"];
    const name = `${object.namespace}/${object.name}`;
    const plain = isRecord(object.value["data"]) ? Object.keys(object.value["data"]) : [];
    const hidden = plain.filter((key) => digestOfKey(key) !== undefined).length;
    if (hidden > 0)
      warnings.push(`${name}: signatures stand under data (keys: ${hidden}); the cluster looks at binaryData alone`);
    if (!isRecord(data)) continue;
    const before = signatures.length;
    for (const [key, value] of Object.entries(data)) {
      const digest = digestOfKey(key);
      if (digest === undefined) {
        warnings.push(`${name}: key ${JSON.stringify(key)} does not begin with a digest and is passed over`);
        continue;
      }
      const bytes = decodeValue(value, `${name}: ${key}`);
      const others = known.get(digest) ?? [];
      if (others.some((other) => equalBytes(other, bytes))) continue;
      known.set(digest, [...others, bytes]);
      signatures.push({ digest, bytes, location: `${name}: ${key}` });
      if (signatures.length > MAX_MIRRORED_SIGNATURES)
        throw new FormatError("signature-configmap-malformed", `more than ${MAX_MIRRORED_SIGNATURES} signatures`);
    }
    if (signatures.length > before) warnings.push(...explainUnseen(object, name));
  }
  return { signatures, warnings };
}

function decodeValue(value: unknown, place: string): Uint8Array {
  if (typeof value !== "string")
    throw new FormatError("signature-configmap-malformed", `${place}: the value is not base64 text`);
  let bytes: Uint8Array;
  try {
    // YAML folds long values over several lines.
    bytes = decodeBase64(value.replaceAll(/\s/g, ""));
  } catch (cause) {
    throw new FormatError("signature-configmap-malformed", `${place}: the value is not base64`, { cause });
  }
  if (bytes.length > MAX_MIRRORED_SIGNATURE_BYTES)
    throw new FormatError(
      "input-too-large",
      `${place}: ${bytes.length} bytes, the limit is ${MAX_MIRRORED_SIGNATURE_BYTES}`,
    );
  return bytes;
}

function explainUnseen({ namespace, labels }: UntrustedManifestObject, name: string): readonly string[] {
  const problems: string[] = [];
  if (namespace !== SIGNATURES_NAMESPACE) problems.push(`it is not in namespace ${SIGNATURES_NAMESPACE}`);
  if (!Object.hasOwn(labels, SIGNATURES_LABEL)) problems.push(`it lacks the label ${SIGNATURES_LABEL}`);
  return problems.map((problem) => `${name}: the cluster does not see this ConfigMap: ${problem}`);
}

/** A ConfigMap that is ready to be written as JSON. */
export interface SignatureConfigMap {
  readonly apiVersion: "v1";
  readonly kind: "ConfigMap";
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly binaryData: Readonly<Record<string, string>>;
}

/**
 * The ConfigMap of one release, in the form of `oc adm release mirror`: what the operator accepts and what every other tool reads.
 * @param signatures in order, at least one
 */
export function makeSignatureConfigMap(digest: Digest, signatures: readonly Uint8Array[]): SignatureConfigMap {
  const name = `${digestAlgorithm(digest)}-${digestHex(digest)}`;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: SIGNATURES_NAMESPACE, labels: { [SIGNATURES_LABEL]: "" } },
    binaryData: Object.fromEntries(
      signatures.map((bytes, index): [string, string] => [`${name}-${index + 1}`, encodeBase64(bytes)]),
    ),
  };
}

/** The file that `oc adm release mirror` would write it to: `signature-sha256-0123456789abcdef.json`. */
export function signatureConfigMapFile(digest: Digest): string {
  return `signature-${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 16)}.json`;
}
