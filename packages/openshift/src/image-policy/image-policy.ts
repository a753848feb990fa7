/**
 * ClusterImagePolicy and ImagePolicy (config.openshift.io): sigstore signatures that a cluster, or one namespace of it, demands. Read as strictly as the cluster's API takes
 * them: what it would refuse is refused, and nothing is passed over.
 */
import { PolicyError, decodeBase64 } from "@signet/core";
import { type UntrustedManifestObject, isRecord } from "../kubernetes/manifests.ts";

/** Whom the images of some scopes must be signed by. */
export interface ImagePolicy {
  readonly kind: "ClusterImagePolicy" | "ImagePolicy";
  readonly name: string;
  /** Empty for a ClusterImagePolicy. */
  readonly namespace: string;
  readonly scopes: readonly string[];
  /** The requirement of policy.json that it stands for, with its members in the order of the reference. */
  readonly requirement: SigstoreRequirement;
}

/** A `sigstoreSigned` as the machine-config operator writes it. Key material is base64. */
export interface SigstoreRequirement {
  readonly type: "sigstoreSigned";
  readonly keyData?: string;
  readonly fulcio?: { readonly caData: string; readonly oidcIssuer: string; readonly subjectEmail: string };
  readonly rekorPublicKeyData?: string;
  readonly pki?: {
    readonly caRootsData: string;
    readonly caIntermediatesData?: string;
    readonly subjectEmail?: string;
    readonly subjectHostname?: string;
  };
  readonly signedIdentity:
    | { readonly type: "matchRepoDigestOrExact" | "matchRepository" }
    | { readonly type: "exactRepository"; readonly dockerRepository: string }
    | { readonly type: "remapIdentity"; readonly prefix: string; readonly signedPrefix: string };
}

/** Scopes of one object, and characters of one. */
const MAX_SCOPES = 256;
const MAX_SCOPE_LENGTH = 512;

/** Bytes of decoded key material: of a public key, of certificates, of anything. */
export const MIN_KEY_BYTES = 68;
export const MIN_CHAIN_BYTES = 72;
const MAX_KEY_BYTES = 8192;

/** True for the kinds that {@link readImagePolicy} reads. */
export function isImagePolicy({ kind, apiVersion }: UntrustedManifestObject): boolean {
  return (kind === "ClusterImagePolicy" || kind === "ImagePolicy") && apiVersion.startsWith("config.openshift.io/");
}

/** @throws PolicyError `image-policy-malformed` that names object and member */
export function readImagePolicy(object: UntrustedManifestObject): ImagePolicy {
  const { kind, name, namespace } = object;
  const place = `${kind} ${namespace === "" ? "" : `${namespace}/`}${name}`;
  if (kind !== "ClusterImagePolicy" && kind !== "ImagePolicy") throw malformed(place, "of another kind");
  if (name === "") throw malformed(place, "metadata.name is missing");
  // It becomes the name of a file.
  if (kind === "ImagePolicy" && (namespace.length > 63 || !/^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/.test(namespace)))
    throw malformed(place, "metadata.namespace is missing, or no name of a namespace");
  const spec = members(object.value["spec"], `${place}: spec`, ["scopes", "policy"]);
  const policy = members(spec["policy"], `${place}: spec.policy`, ["rootOfTrust", "signedIdentity"]);
  const root = readRoot(policy["rootOfTrust"], `${place}: spec.policy.rootOfTrust`);
  const signedIdentity = readIdentity(policy["signedIdentity"], `${place}: spec.policy.signedIdentity`);
  return {
    kind,
    name,
    namespace: kind === "ImagePolicy" ? namespace : "",
    scopes: readScopes(spec["scopes"], `${place}: spec.scopes`),
    requirement: { type: "sigstoreSigned", ...root, signedIdentity },
  };
}

function readScopes(value: unknown, place: string): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) throw malformed(place, "at least one scope is expected");
  if (value.length > MAX_SCOPES) throw malformed(place, `more than ${MAX_SCOPES} scopes`);
  const scopes = new Set<string>();
  for (const scope of value as readonly unknown[]) {
    const problem = typeof scope === "string" ? explainBadPolicyScope(scope) : "a text is expected";
    if (problem !== undefined) throw malformed(place, `${JSON.stringify(scope).slice(0, 600)}: ${problem}`);
    if (scopes.has(scope as string)) throw malformed(place, `${JSON.stringify(scope)} stands twice`);
    scopes.add(scope as string);
  }
  return [...scopes];
}

const label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const wildcardForm = new RegExp(`^\\*(?:\\.${label})+$`);
const scopeForm = new RegExp(
  `^(?:${label}(?:\\.${label})+(?::[0-9]+)?|localhost(?::[0-9]+)?)(?:/${component})*(?::[\\w][\\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$`,
);

/** Why the API does not take a scope; undefined when it does. */
export function explainBadPolicyScope(scope: string): string | undefined {
  if (scope.length > MAX_SCOPE_LENGTH) return `longer than ${MAX_SCOPE_LENGTH} characters`;
  if (scope.includes("*"))
    return wildcardForm.test(scope)
      ? undefined
      : "a wildcard stands for the first labels of a host alone, as in *.example.com";
  const host = scope.split("/")[0]!;
  if (!host.includes(".") && !/^localhost(?::[0-9]+)?$/.test(host))
    return "a scope begins with a fully qualified domain name or localhost";
  return scopeForm.test(scope) ? undefined : "no name of a host, namespace, repository or image";
}

/** What each type of trust is called, and the one member that it has. */
const rootMembers: Readonly<Record<string, string>> = {
  PublicKey: "publicKey",
  FulcioCAWithRekor: "fulcioCAWithRekor",
  PKI: "pki",
};

type Root = Pick<SigstoreRequirement, "keyData" | "fulcio" | "rekorPublicKeyData" | "pki">;

function readRoot(value: unknown, place: string): Root {
  const root = members(value, place, ["policyType", ...Object.values(rootMembers)]);
  const type = root["policyType"];
  const wanted = typeof type === "string" ? rootMembers[type] : undefined;
  if (wanted === undefined)
    throw malformed(`${place}.policyType`, `one of ${Object.keys(rootMembers).join(", ")} is expected`);
  for (const [other, member] of Object.entries(rootMembers)) {
    const isThere = root[member] !== undefined;
    if (isThere !== (member === wanted))
      throw malformed(place, `${member} is required when policyType is ${other}, and forbidden otherwise`);
  }
  const inner = `${place}.${wanted}`;
  if (wanted === "publicKey") return readPublicKey(root[wanted], inner);
  return wanted === "pki" ? readPki(root[wanted], inner) : readFulcio(root[wanted], inner);
}

function readPublicKey(value: unknown, place: string): Root {
  const key = members(value, place, ["keyData", "rekorKeyData"]);
  const rekor = key["rekorKeyData"];
  return {
    keyData: readPem(key["keyData"], `${place}.keyData`, "PUBLIC KEY", MIN_KEY_BYTES),
    ...(rekor === undefined ? {} : { rekorPublicKeyData: readPem(rekor, `${place}.rekorKeyData`, "PUBLIC KEY", 0) }),
  };
}

function readFulcio(value: unknown, place: string): Root {
  const root = members(value, place, ["fulcioCAData", "rekorKeyData", "fulcioSubject"]);
  const subject = members(root["fulcioSubject"], `${place}.fulcioSubject`, ["oidcIssuer", "signedEmail"]);
  const oidcIssuer = text(subject["oidcIssuer"], `${place}.fulcioSubject.oidcIssuer`, 2048);
  if (!URL.canParse(oidcIssuer)) throw malformed(`${place}.fulcioSubject.oidcIssuer`, "a URL is expected");
  return {
    fulcio: {
      caData: readPem(root["fulcioCAData"], `${place}.fulcioCAData`, "CERTIFICATE", 0),
      oidcIssuer,
      subjectEmail: readEmail(subject["signedEmail"], `${place}.fulcioSubject.signedEmail`),
    },
    rekorPublicKeyData: readPem(root["rekorKeyData"], `${place}.rekorKeyData`, "PUBLIC KEY", 0),
  };
}

function readPki(value: unknown, place: string): Root {
  const root = members(value, place, ["caRootsData", "caIntermediatesData", "pkiCertificateSubject"]);
  const subject = members(root["pkiCertificateSubject"], `${place}.pkiCertificateSubject`, ["email", "hostname"]);
  const { email, hostname } = subject;
  if (email === undefined && hostname === undefined)
    throw malformed(`${place}.pkiCertificateSubject`, "at least one of email or hostname must be set");
  const intermediates = root["caIntermediatesData"];
  const hostnameForm = /^(?:\*\.)?[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
  if (hostname !== undefined && !hostnameForm.test(text(hostname, `${place}.pkiCertificateSubject.hostname`, 253)))
    throw malformed(`${place}.pkiCertificateSubject.hostname`, "a host name is expected");
  return {
    pki: {
      caRootsData: readPem(root["caRootsData"], `${place}.caRootsData`, "CERTIFICATE", MIN_CHAIN_BYTES),
      ...(intermediates === undefined
        ? {}
        : {
            caIntermediatesData: readPem(intermediates, `${place}.caIntermediatesData`, "CERTIFICATE", MIN_CHAIN_BYTES),
          }),
      ...(email === undefined ? {} : { subjectEmail: readEmail(email, `${place}.pkiCertificateSubject.email`) }),
      ...(hostname === undefined ? {} : { subjectHostname: hostname as string }),
    },
  };
}

/** @returns the base64 text in one line */
function readPem(value: unknown, place: string, what: string, minimum: number): string {
  const encoded = typeof value === "string" ? value.replaceAll(/\s/g, "") : "";
  if (encoded === "") throw malformed(place, "base64 text is expected");
  let pem: string;
  try {
    pem = new TextDecoder("latin1").decode(decodeBase64(encoded));
  } catch (cause) {
    throw malformed(place, "it is not base64", cause);
  }
  const problem = explainBadPem(pem, what, minimum);
  if (problem !== undefined) throw malformed(place, problem);
  return encoded;
}

/** What the API says of key material: its size, the lines at its ends, and of the certificates of a PKI that as many begin as end. */
export function explainBadPem(pem: string, what: string, minimum: number): string | undefined {
  if (pem.length < minimum || pem.length > MAX_KEY_BYTES)
    return `${pem.length} bytes; from ${minimum} to ${MAX_KEY_BYTES} are expected`;
  if (!pem.startsWith(`-----BEGIN ${what}-----`)) return `it must begin with -----BEGIN ${what}-----`;
  if (!pem.replace(/\n$/, "").endsWith(`-----END ${what}-----`)) return `it must end with -----END ${what}-----`;
  const count = (line: string): number => pem.split(line).length;
  return minimum === MIN_CHAIN_BYTES && count(`-----BEGIN ${what}-----`) !== count(`-----END ${what}-----`)
    ? `as many certificates must begin in it as end`
    : undefined;
}

function readEmail(value: unknown, place: string): string {
  const email = text(value, place, 320);
  if (!/^\S+@\S+$/.test(email)) throw malformed(place, "an e-mail address is expected");
  return email;
}

function readIdentity(value: unknown, place: string): SigstoreRequirement["signedIdentity"] {
  if (value === undefined) return { type: "matchRepoDigestOrExact" };
  const identity = members(value, place, ["matchPolicy", "exactRepository", "remapIdentity"]);
  const policy = identity["matchPolicy"];
  for (const [type, member] of [
    ["ExactRepository", "exactRepository"],
    ["RemapIdentity", "remapIdentity"],
  ] as const)
    if ((identity[member] !== undefined) !== (policy === type))
      throw malformed(place, `${member} is required when matchPolicy is ${type}, and forbidden otherwise`);
  if (policy === "MatchRepoDigestOrExact") return { type: "matchRepoDigestOrExact" };
  if (policy === "MatchRepository") return { type: "matchRepository" };
  if (policy === "ExactRepository") {
    const exact = members(identity["exactRepository"], `${place}.exactRepository`, ["repository"]);
    const dockerRepository = readPrefix(exact["repository"], `${place}.exactRepository.repository`);
    return { type: "exactRepository", dockerRepository };
  }
  if (policy !== "RemapIdentity") throw malformed(`${place}.matchPolicy`, "no policy of this name is known");
  const remap = members(identity["remapIdentity"], `${place}.remapIdentity`, ["prefix", "signedPrefix"]);
  return {
    type: "remapIdentity",
    prefix: readPrefix(remap["prefix"], `${place}.remapIdentity.prefix`),
    signedPrefix: readPrefix(remap["signedPrefix"], `${place}.remapIdentity.signedPrefix`),
  };
}

/** Host, or host and path: the API's own check. */
const prefixForm = new RegExp(`^(?:${label}(?:\\.${label})*(?::[0-9]+)?)(?:/${component})*$`);

function readPrefix(value: unknown, place: string): string {
  const prefix = text(value, place, MAX_SCOPE_LENGTH);
  if (!prefixForm.test(prefix)) throw malformed(place, "a repository or prefix is expected, without tag or digest");
  return prefix;
}

function text(value: unknown, place: string, most: number): string {
  if (typeof value !== "string" || value === "") throw malformed(place, "a text is expected");
  if (value.length > most) throw malformed(place, `longer than ${most} characters`);
  return value;
}

function members(value: unknown, place: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw malformed(place, "an object is expected");
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw malformed(place, `unknown member ${JSON.stringify(unknown)}; known are ${known.join(", ")}`);
  return value;
}

function malformed(place: string, problem: string, cause?: unknown): PolicyError {
  return new PolicyError("image-policy-malformed", `${place}: ${problem}`, { cause });
}
