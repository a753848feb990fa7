/** The way back: ClusterImagePolicies that say what a policy.json says, as far as they can. */
import { decodeBase64, parsePolicy } from "@signet/core";
import { isRecord } from "../kubernetes/manifests.ts";
import { type JsonMembers, writeGoYaml } from "../machine-config/go-yaml.ts";
import { MIN_CHAIN_BYTES, MIN_KEY_BYTES, explainBadPem, explainBadPolicyScope } from "./image-policy.ts";

export interface LiftedPolicy {
  /** Objects one behind the other, ready for `oc apply`; empty when nothing could be said. */
  readonly yaml: string;
  readonly names: readonly string[];
  /** What a cluster cannot be told this way, with the reason; one line each. */
  readonly unsaid: readonly string[];
}

/** Characters of a name that is made from a scope. */
const MAX_NAME_LENGTH = 63;

/**
 * @param bytes a policy whose keys stand in it as data; see `embedKeys`
 * @param prefix what the names of the objects begin with
 * @throws PolicyError `policy-malformed`
 */
export function liftPolicy(bytes: Uint8Array, source: string, prefix = ""): LiftedPolicy {
  parsePolicy(bytes, source);
  const policy = JSON.parse(new TextDecoder().decode(bytes)) as Readonly<Record<string, unknown>>;
  const unsaid: string[] = [];
  if (JSON.stringify(policy["default"]) !== acceptText)
    unsaid.push(`default: nodes accept what no policy speaks of; ${whatElse(policy["default"])}`);
  const transports = asRecord(policy["transports"]);
  const docker = asRecord(transports["docker"]);
  for (const [transport, scopes] of Object.entries(transports)) {
    if (transport === "docker") continue;
    for (const [scope, requirements] of Object.entries(asRecord(scopes))) {
      const isSame = transport === "atomic" && JSON.stringify(docker[scope]) === JSON.stringify(requirements);
      if (!isSame && JSON.stringify(requirements) !== acceptText)
        unsaid.push(`${transport}: ${scope || '""'}: image policies speak of images in registries alone`);
    }
  }
  // One object for all scopes with the same requirement. A scope with several is in several objects, and needs all of them, as here.
  const scopesOf = new Map<string, string[]>();
  for (const [scope, requirements] of Object.entries(docker)) {
    const lifted = liftScope(scope, requirements as readonly unknown[]);
    if (typeof lifted === "string") unsaid.push(`docker: ${scope || '""'}: ${lifted}`);
    else for (const spec of lifted) scopesOf.set(spec, [...(scopesOf.get(spec) ?? []), scope]);
  }
  const names = new Set<string>();
  const objects = [...scopesOf].map(([spec, scopes]): JsonMembers => {
    const name = makeName(prefix, scopes[0]!, names);
    names.add(name);
    return {
      apiVersion: "config.openshift.io/v1",
      kind: "ClusterImagePolicy",
      metadata: { name },
      spec: { scopes, policy: JSON.parse(spec) as JsonMembers },
    };
  });
  return { yaml: objects.map(writeGoYaml).join("---\n"), names: [...names], unsaid };
}

const acceptText = JSON.stringify([{ type: "insecureAcceptAnything" }]);

function whatElse(requirements: unknown): string {
  return JSON.stringify(requirements) === JSON.stringify([{ type: "reject" }])
    ? "registrySources.allowedRegistries of the image configuration `cluster` says which registries are accepted at all"
    : "no other default can be given";
}

/** The policies of a scope, each as JSON; or why it cannot be said. */
function liftScope(scope: string, requirements: readonly unknown[]): readonly string[] | string {
  const text = JSON.stringify(requirements);
  if (text === acceptText) return "what is accepted without signatures is said by registrySources.allowedRegistries";
  if (text === JSON.stringify([{ type: "reject" }]))
    return "what is rejected is said by registrySources.blockedRegistries";
  const problem = explainBadPolicyScope(scope);
  if (problem !== undefined) return problem;
  const lifted: string[] = [];
  for (const requirement of requirements) {
    const one = isRecord(requirement) ? liftRequirement(requirement) : "no requirement";
    if (typeof one === "string") return one;
    lifted.push(JSON.stringify(one));
  }
  return lifted;
}

type Members = Readonly<Record<string, unknown>>;

function liftRequirement(requirement: Members): JsonMembers | string {
  const { type } = requirement;
  if (type === "signedBy") return "signedBy (OpenPGP) cannot be said: image policies know sigstore signatures alone";
  if (type !== "sigstoreSigned") return `${String(type)} cannot stand beside signatures`;
  const rootOfTrust = liftRoot(requirement);
  if (typeof rootOfTrust === "string") return rootOfTrust;
  const signedIdentity = liftIdentity(requirement["signedIdentity"]);
  if (typeof signedIdentity === "string") return signedIdentity;
  return { rootOfTrust, ...(signedIdentity === undefined ? {} : { signedIdentity }) };
}

function liftRoot(requirement: Members): JsonMembers | string {
  const one = (data: string, datas: string): string | undefined => {
    const list = requirement[datas];
    if (typeof requirement[data] === "string") return requirement[data];
    return Array.isArray(list) && list.length === 1 && typeof list[0] === "string" ? list[0] : undefined;
  };
  const isAnyOf = (name: string): boolean => Array.isArray(requirement[name]) && requirement[name].length > 1;
  const paths = ["keyPath", "keyPaths", "rekorPublicKeyPath", "rekorPublicKeyPaths"];
  if (paths.some((name) => requirement[name] !== undefined)) return "its keys are in files that were not given";
  if (isAnyOf("keyDatas") || isAnyOf("rekorPublicKeyDatas"))
    return "several keys of which any is enough cannot be said: an image policy has one, and two of them ask for both";
  const rekor = one("rekorPublicKeyData", "rekorPublicKeyDatas");
  const key = one("keyData", "keyDatas");
  if (key !== undefined) {
    const problem =
      pemProblem(key, "PUBLIC KEY", MIN_KEY_BYTES) ??
      (rekor === undefined ? undefined : pemProblem(rekor, "PUBLIC KEY", 0));
    if (problem !== undefined) return problem;
    return {
      policyType: "PublicKey",
      publicKey: { keyData: key, ...(rekor === undefined ? {} : { rekorKeyData: rekor }) },
    };
  }
  const fulcio = asRecord(requirement["fulcio"]);
  const pki = asRecord(requirement["pki"]);
  if (typeof fulcio["caData"] === "string" && rekor !== undefined) {
    const problem = pemProblem(fulcio["caData"], "CERTIFICATE", 0) ?? pemProblem(rekor, "PUBLIC KEY", 0);
    if (problem !== undefined) return problem;
    return {
      policyType: "FulcioCAWithRekor",
      fulcioCAWithRekor: {
        fulcioCAData: fulcio["caData"],
        rekorKeyData: rekor,
        fulcioSubject: {
          oidcIssuer: String(fulcio["oidcIssuer"]),
          signedEmail: String(fulcio["subjectEmail"]),
        },
      },
    };
  }
  if (typeof pki["caRootsData"] !== "string") return "its certificates are in files that were not given";
  const text = (name: string): string | undefined => (typeof pki[name] === "string" ? pki[name] : undefined);
  const intermediates = text("caIntermediatesData");
  const problem =
    pemProblem(pki["caRootsData"], "CERTIFICATE", MIN_CHAIN_BYTES) ??
    (intermediates === undefined ? undefined : pemProblem(intermediates, "CERTIFICATE", MIN_CHAIN_BYTES));
  if (problem !== undefined) return problem;
  return {
    policyType: "PKI",
    pki: {
      caRootsData: pki["caRootsData"],
      caIntermediatesData: intermediates,
      pkiCertificateSubject: { email: text("subjectEmail"), hostname: text("subjectHostname") },
    },
  };
}

function pemProblem(encoded: string, what: string, minimum: number): string | undefined {
  const problem = explainBadPem(new TextDecoder("latin1").decode(decodeBase64(encoded)), what, minimum);
  return problem === undefined ? undefined : `its key material is not taken: ${problem}`;
}

/** Undefined for the default, which need not be said. */
function liftIdentity(identity: unknown): JsonMembers | undefined | string {
  const members = asRecord(identity);
  switch (members["type"]) {
    case undefined:
    case "matchRepoDigestOrExact":
      return undefined;
    case "matchRepository":
      return { matchPolicy: "MatchRepository" };
    case "exactRepository":
      return {
        matchPolicy: "ExactRepository",
        exactRepository: { repository: String(members["dockerRepository"]) },
      };
    case "remapIdentity":
      return {
        matchPolicy: "RemapIdentity",
        remapIdentity: { prefix: String(members["prefix"]), signedPrefix: String(members["signedPrefix"]) },
      };
    default:
      return `signedIdentity ${String(members["type"])} cannot be said`;
  }
}

/** `registry.example.com/team` becomes `registry.example.com-team`. */
function makeName(prefix: string, scope: string, taken: ReadonlySet<string>): string {
  const plain = `${prefix}${scope.replace(/^\*\./, "any.")}`.toLowerCase().replaceAll(/[^a-z0-9.]+/g, "-");
  const base = plain.slice(0, MAX_NAME_LENGTH).replaceAll(/^[-.]+|[-.]+$/g, "");
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!taken.has(name)) return name;
  }
}

function asRecord(value: unknown): Members {
  return isRecord(value) ? value : {};
}
