/** What the machine-config operator makes of image policies: the files that end up on every node. */
import { PolicyError, parsePolicy } from "@signet/core";
import { type UntrustedManifestObject, isRecord } from "../kubernetes/manifests.ts";
import { writeGoYaml } from "../machine-config/go-yaml.ts";
import { type ImagePolicy, type SigstoreRequirement, isImagePolicy, readImagePolicy } from "./image-policy.ts";
import { type MirroredSource, isMirrorSet, isNestedInside, pulledAs, readMirrorSets } from "./mirror-sets.ts";

/** One file that the operator generates. */
export interface GeneratedFile {
  /** Absolute, on the node. */
  readonly path: string;
  readonly content: Uint8Array;
}

export interface ClusterTrust {
  /** policy.json first, then those of namespaces, then registries.d. Empty when nothing is configured: the nodes keep what they have. */
  readonly files: readonly GeneratedFile[];
  /** What the operator would report or leave out, and what is seldom meant; one line each. */
  readonly warnings: readonly string[];
}

/** The policy that nodes have when nothing is configured, which all others begin with. */
export const CLUSTER_BASE_POLICY = `{
  "default": [
    {
      "type": "insecureAcceptAnything"
    }
  ],
  "transports": {
    "docker-daemon": {
      "": [
        {
          "type": "insecureAcceptAnything"
        }
      ]
    }
  }
}`;

type Requirement = Readonly<Record<string, unknown>> | SigstoreRequirement;
type Scopes = ReadonlyMap<string, readonly Requirement[]>;

/**
 * Makes the files from ClusterImagePolicy, ImagePolicy, mirror sets and the image configuration `cluster` among the objects; others are named in a warning.
 *
 * Not made: registries.conf.
 * @param base the policy of nodes without configuration
 * @param releaseRepository where the cluster's release images come from: the one allowed registry that may stand beside blocked ones
 * @throws PolicyError `image-policy-malformed` for what the API or the operator would refuse; `policy-malformed` for the base
 */
export function renderClusterTrust(
  objects: readonly UntrustedManifestObject[],
  base: Uint8Array = new TextEncoder().encode(CLUSTER_BASE_POLICY),
  releaseRepository = "quay.io/openshift-release-dev/ocp-release",
): ClusterTrust {
  const warnings: string[] = [];
  // In the order in which the API lists them.
  const policies = objects.filter(isImagePolicy).map(readImagePolicy).toSorted(byName);
  const sources = readMirrorSets(objects);
  const { allowed, blocked } = withPayload(readRegistrySources(objects, warnings), sources, releaseRepository);
  for (const { kind, name } of objects.filter((object) => !isKnown(object)))
    warnings.push(`${kind} ${name} has no say in this and is passed over`);
  checkRegistries(allowed, blocked, releaseRepository);

  const cluster = collect(policies.filter(({ kind }) => kind === "ClusterImagePolicy"));
  const byNamespace = collectNamespaces(policies, cluster, warnings);
  for (const [scope, requirements] of cluster) {
    checkNesting("clusterimagePolicy", scope, allowed, blocked);
    if (requirements.length > 1)
      warnings.push(
        `${scope} is in ${requirements.length} ClusterImagePolicies: an image needs a signature for each of them`,
      );
  }
  for (const scopes of byNamespace.values())
    for (const scope of scopes.keys()) checkNesting("imagePolicy", scope, allowed, blocked);
  if (allowed.length + blocked.length + cluster.size + byNamespace.size === 0) return { files: [], warnings };

  const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
  const document = readBase(base);
  if (allowed.length + blocked.length + cluster.size > 0) applyCluster(document, allowed, blocked, cluster);
  const files: GeneratedFile[] = [{ path: "/etc/containers/policy.json", content: encode(writeGoJson(document)) }];
  for (const [namespace, scopes] of [...byNamespace].toSorted(([a], [b]) => compare(a, b))) {
    const own = readBase(encode(writeGoJson(document)));
    appendScopes(own, scopes);
    files.push({ path: `/etc/crio/policies/${namespace}.json`, content: encode(writeGoJson(own)) });
  }
  for (const { path, content } of files) parsePolicy(content, path);
  const policyScopes = [...cluster.keys(), ...[...byNamespace.values()].flatMap((scopes) => [...scopes.keys()])];
  if (policyScopes.length > 0) {
    const names = new Set(policyScopes.flatMap((scope) => [scope, ...pulledAs(scope, sources)]));
    files.push({
      path: "/etc/containers/registries.d/sigstore-registries.yaml",
      content: encode(writeAttachments(names)),
    });
  }
  return { files, warnings };
}

function isKnown(object: UntrustedManifestObject): boolean {
  return isImagePolicy(object) || isMirrorSet(object) || isImageConfig(object);
}

function isImageConfig({ kind, apiVersion }: UntrustedManifestObject): boolean {
  return kind === "Image" && apiVersion.startsWith("config.openshift.io/");
}

function byName(a: ImagePolicy, b: ImagePolicy): number {
  return compare(a.namespace, b.namespace) || compare(a.name, b.name);
}

/** By octets, as Go sorts. */
function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

interface RegistrySources {
  readonly allowed: readonly string[];
  readonly blocked: readonly string[];
}

function readRegistrySources(objects: readonly UntrustedManifestObject[], warnings: string[]): RegistrySources {
  const configs = objects.filter(isImageConfig);
  if (configs.length > 1) throw malformed("Image", "only one image configuration can be there");
  const spec = configs[0]?.value["spec"];
  const sources = isRecord(spec) && isRecord(spec["registrySources"]) ? spec["registrySources"] : {};
  const read = (name: string): readonly string[] => {
    const list = sources[name] ?? [];
    if (!Array.isArray(list) || !list.every((entry): entry is string => typeof entry === "string"))
      throw malformed("Image cluster", `spec.registrySources.${name} is no list of texts`);
    return list.filter((entry) => {
      if (/^(?:\*\.)?[a-zA-Z0-9][\w.:/@-]*$/.test(entry)) return true;
      warnings.push(`Image cluster: ${name} entry ${JSON.stringify(entry)} is no registry and is passed over`);
      return false;
    });
  };
  return { allowed: read("allowedRegistries"), blocked: read("blockedRegistries") };
}

/** Where the cluster's own images are blocked and mirrored, the operator allows them by their name. */
function withPayload(
  { allowed, blocked }: RegistrySources,
  sources: readonly MirroredSource[],
  releaseRepository: string,
): RegistrySources {
  const isBlocked = (name: string): boolean => blocked.some((entry) => isNestedInside(name, entry));
  const mirrors = sources
    .filter(({ source }) => isNestedInside(releaseRepository, source))
    .flatMap((entry) => entry.mirrors);
  if (allowed.length > 0 || !isBlocked(releaseRepository) || mirrors.every(isBlocked)) return { allowed, blocked };
  return { allowed: [releaseRepository], blocked };
}

function checkRegistries(allowed: readonly string[], blocked: readonly string[], releaseRepository: string): void {
  const isPayloadAlone = allowed.length === 1 && allowed[0] === releaseRepository;
  if (allowed.length > 0 && blocked.length > 0 && !isPayloadAlone)
    throw malformed("Image cluster", "only one of allowedRegistries and blockedRegistries may be specified");
  const blocking = blocked.find((entry) => isNestedInside(releaseRepository, entry));
  if (blocking !== undefined && !isPayloadAlone)
    throw malformed(
      "Image cluster",
      `blockedRegistries entry ${blocking} would block ${releaseRepository}, where the cluster's own images come from; the operator ignores the list unless it is mirrored`,
    );
}

function checkNesting(what: string, scope: string, allowed: readonly string[], blocked: readonly string[]): void {
  if (allowed.length > 0 && !allowed.some((entry) => isNestedInside(scope, entry)))
    throw malformed(`${what} scope ${scope}`, "it is not nested inside allowedRegistries");
  if (blocked.some((entry) => isNestedInside(scope, entry)))
    throw malformed(`${what} scope ${scope}`, "it is nested inside blockedRegistries");
}

function collect(policies: readonly ImagePolicy[]): Map<string, SigstoreRequirement[]> {
  const scopes = new Map<string, SigstoreRequirement[]>();
  for (const policy of policies)
    for (const scope of policy.scopes) scopes.set(scope, [...(scopes.get(scope) ?? []), policy.requirement]);
  return scopes;
}

function collectNamespaces(
  policies: readonly ImagePolicy[],
  cluster: ReadonlyMap<string, unknown>,
  warnings: string[],
): ReadonlyMap<string, Scopes> {
  const byNamespace = new Map<string, Map<string, SigstoreRequirement[]>>();
  for (const { kind, name, namespace, scopes, requirement } of policies) {
    if (kind !== "ImagePolicy") continue;
    for (const scope of scopes) {
      const above = [...cluster.keys()].find((clusterScope) => isNestedInside(scope, clusterScope));
      if (above !== undefined) {
        warnings.push(
          `ImagePolicy ${namespace}/${name}: scope ${scope} is left out, since a ClusterImagePolicy speaks of ${above} (condition Pending, reason ConflictScopes)`,
        );
        continue;
      }
      const own = byNamespace.get(namespace) ?? new Map<string, SigstoreRequirement[]>();
      own.set(scope, [...(own.get(scope) ?? []), requirement]);
      byNamespace.set(namespace, own);
    }
  }
  return byNamespace;
}

/** A policy whose maps can be written to. */
interface PolicyDocument {
  default: readonly Requirement[];
  readonly transports: Map<string, Map<string, readonly Requirement[]>>;
}

function readBase(bytes: Uint8Array): PolicyDocument {
  parsePolicy(bytes, "base policy");
  const value = JSON.parse(new TextDecoder().decode(bytes)) as {
    readonly default: readonly Requirement[];
    readonly transports?: Readonly<Record<string, Readonly<Record<string, readonly Requirement[]>>>>;
  };
  const transports = Object.entries(value.transports ?? {}).map(([name, scopes]) => {
    return [name, new Map(Object.entries(scopes))] as const;
  });
  return { default: value.default, transports: new Map(transports) };
}

const accept: readonly Requirement[] = [{ type: "insecureAcceptAnything" }];
const reject: readonly Requirement[] = [{ type: "reject" }];

function applyCluster(
  document: PolicyDocument,
  allowed: readonly string[],
  blocked: readonly string[],
  cluster: Scopes,
): void {
  const scopes = new Map<string, readonly Requirement[]>();
  if (allowed.length > 0) document.default = reject;
  for (const entry of allowed) if (!cluster.has(entry)) scopes.set(entry, accept);
  if (blocked.length > 0) document.default = accept;
  for (const entry of blocked) scopes.set(entry, reject);
  for (const [scope, requirements] of cluster) scopes.set(scope, [...(scopes.get(scope) ?? []), ...requirements]);
  document.transports.set("docker", scopes);
  document.transports.set("atomic", new Map([...scopes].filter(([scope]) => isAtomic(scope))));
}

/** Scopes of the transport `atomic` have at most three parts. */
function isAtomic(scope: string): boolean {
  return scope.split("/").length <= 3;
}

function appendScopes(document: PolicyDocument, added: Scopes): void {
  for (const transport of ["docker", "atomic"]) {
    const scopes = document.transports.get(transport) ?? new Map<string, readonly Requirement[]>();
    for (const [scope, requirements] of added)
      if (transport === "docker" || isAtomic(scope)) scopes.set(scope, [...(scopes.get(scope) ?? []), ...requirements]);
    document.transports.set(transport, scopes);
  }
}

/** As Go's encoding/json writes it with two blanks of indentation: maps sorted, `<`, `>` and `&` escaped, no line end behind. */
function writeGoJson(document: PolicyDocument): string {
  const sort = <T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] =>
    [...map].toSorted(([a], [b]) => compare(a, b));
  const transports = sort(document.transports).map(([name, scopes]) => [name, Object.fromEntries(sort(scopes))]);
  const value = { default: document.default, transports: Object.fromEntries(transports) as object };
  const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value, undefined, 2).replaceAll(/[<>&\u2028\u2029]/g, escape);
}

function writeAttachments(names: ReadonlySet<string>): string {
  const sections = [...names].map((name) => [name, { "use-sigstore-attachments": true }] as const);
  return writeGoYaml({ docker: Object.fromEntries(sections) });
}

function malformed(place: string, problem: string): PolicyError {
  return new PolicyError("image-policy-malformed", `${place}: ${problem}`);
}
