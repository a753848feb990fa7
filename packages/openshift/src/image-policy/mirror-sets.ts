/** Where images are mirrored: ImageDigestMirrorSet, ImageTagMirrorSet and the older ImageContentSourcePolicy, as far as signatures need them. */
import { PolicyError } from "@signet/core";
import { type UntrustedManifestObject, isRecord } from "../kubernetes/manifests.ts";

/** Mirrors of one source, of digests and of tags together. */
export interface MirroredSource {
  /** Host, namespace or repository; `*.example.com`. */
  readonly source: string;
  readonly mirrors: readonly string[];
}

/** Of each kind, where its list stands. */
const lists: Readonly<Record<string, string>> = {
  ImageDigestMirrorSet: "imageDigestMirrors",
  ImageTagMirrorSet: "imageTagMirrors",
  ImageContentSourcePolicy: "repositoryDigestMirrors",
};

export function isMirrorSet({ kind }: UntrustedManifestObject): boolean {
  return Object.hasOwn(lists, kind);
}

/**
 * All mirrors, one entry a source. A set whose only mirror is its own source is none.
 * @throws PolicyError `image-policy-malformed`
 */
export function readMirrorSets(objects: readonly UntrustedManifestObject[]): readonly MirroredSource[] {
  const bySource = new Map<string, Set<string>>();
  for (const object of objects.filter(isMirrorSet)) {
    const place = `${object.kind} ${object.name}`;
    const spec = isRecord(object.value["spec"]) ? object.value["spec"] : {};
    const list = spec[lists[object.kind]!] ?? [];
    if (!Array.isArray(list)) throw malformed(place, "no list of mirrors");
    for (const entry of list as readonly unknown[]) {
      const { source, mirrors } = isRecord(entry) ? entry : {};
      if (typeof source !== "string" || source === "") throw malformed(place, "an entry without source");
      const names = mirrors ?? [];
      if (!Array.isArray(names) || !names.every((name): name is string => typeof name === "string" && name !== ""))
        throw malformed(place, `${source}: mirrors are a list of texts`);
      if (names.every((name) => name === source)) continue;
      bySource.set(source, new Set([...(bySource.get(source) ?? []), ...names]));
    }
  }
  return [...bySource].map(([source, mirrors]) => ({ source, mirrors: [...mirrors] }));
}

/** True when every image of `inner` is one of `outer`: the rule of the operator for scopes and registries. */
export function isNestedInside(inner: string, outer: string): boolean {
  if (inner === outer || inner.startsWith(`${outer}/`)) return true;
  if (!outer.startsWith("*.")) return false;
  const host = inner.includes(":") ? inner.split(":")[0]! : inner.split("/")[0]!;
  return host.endsWith(outer.slice(1)) && !host.includes("/");
}

/**
 * Names under which the images of a scope are pulled where they are mirrored; the scope's own is among them unless its source is a wildcard.
 *
 * The mirrors of the most specific source count, as when images are pulled; and those of every source inside the scope.
 */
export function pulledAs(scope: string, sources: readonly MirroredSource[]): readonly string[] {
  const inside = sources.filter(({ source }) => source !== scope && isNestedInside(source, scope));
  return [scope, ...inside.map(({ source }) => source)].flatMap((name) => namesOf(name, sources));
}

function namesOf(scope: string, sources: readonly MirroredSource[]): readonly string[] {
  const repository = stripTagAndDigest(scope);
  const fitting = sources
    .map((entry) => ({ entry, rest: restBehind(repository, entry.source) }))
    .filter(({ rest }) => rest !== undefined)
    .toSorted((a, b) => b.entry.source.length - a.entry.source.length);
  const [found] = fitting;
  if (found === undefined) return [];
  const own = found.entry.source.startsWith("*.") ? [] : [repository];
  return [...found.entry.mirrors.map((mirror) => `${mirror}${found.rest}`), ...own];
}

/** What of a repository stands behind a source; undefined when it is not inside it. */
function restBehind(repository: string, source: string): string | undefined {
  if (source.startsWith("*.")) {
    const [host = ""] = repository.split("/");
    const name = host.split(":")[0]!;
    return name.endsWith(source.slice(1)) ? repository.slice(host.length) : undefined;
  }
  if (repository === source) return "";
  return repository.startsWith(`${source}/`) ? repository.slice(source.length) : undefined;
}

function stripTagAndDigest(scope: string): string {
  return scope.replace(/@.*$/, "").replace(/^([^/]*\/.*?):[^/]*$/, "$1");
}

function malformed(place: string, problem: string): PolicyError {
  return new PolicyError("image-policy-malformed", `${place}: ${problem}`);
}
