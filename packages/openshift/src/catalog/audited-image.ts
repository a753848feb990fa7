/** One image that a catalog names: how it is named, which part of a policy governs it, and under which name it is asked for. */
import {
  FormatError,
  type Policy,
  type Reference,
  type Requirements,
  dockerPolicyIdentity,
  findGoverningScope,
  formatReference,
  parseReference,
  summarizeRequirements,
} from "@signet/core";

/** `unnamed`: neither tag nor digest, which stands for the tag `latest`. */
export type ImageForm = "digest" | "tag" | "tag-and-digest" | "unnamed" | "malformed";

/** What the governing scope does with the image before any signature is looked at. */
export type Demand = "signatures" | "rejects" | "accepts-anything";

export interface ImageCoverage {
  /** For people: `docker: registry.redhat.io` or `default`. */
  readonly scope: string;
  readonly demand: Demand;
  /** For people: what the scope asks for. */
  readonly requirements: string;
}

/** What a reference says by itself. */
export interface ImageReading {
  readonly form: ImageForm;
  /** True when the name has its registry. */
  readonly isQualified: boolean;
  /** As it is asked for, without a tag beside a digest; undefined for what is no reference. */
  readonly reference: Reference | undefined;
  /** Why it is no reference. */
  readonly problem: string;
}

/** Reads an image's name; nothing is thrown for any text. */
export function readImage(image: string): ImageReading {
  let written: Reference;
  try {
    written = parseReference(image);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { form: "malformed", isQualified: false, reference: undefined, problem: error.message };
  }
  const { tag, digest, domain, path } = written;
  const form =
    digest === undefined ? (tag === undefined ? "unnamed" : "tag") : tag === undefined ? "digest" : "tag-and-digest";
  const reference = digest === undefined ? written : { domain, path, digest };
  const first = image.slice(0, Math.max(0, image.indexOf("/")));
  const isQualified = /[.:]/.test(first) || first === "localhost";
  return { form, isQualified, reference, problem: "" };
}

/** Which scope of the policy governs an image, and what it demands. */
export function coverageOf(policy: Policy, reference: Reference): ImageCoverage {
  const { requirements, scope } = findGoverningScope(policy, dockerPolicyIdentity(reference));
  return { scope: scope.label, demand: demandOf(requirements), requirements: summarizeRequirements(requirements) };
}

function demandOf(requirements: Requirements): Demand {
  if (requirements.some(({ type }) => type === "reject" || type === "signedBaseLayer")) return "rejects";
  return requirements.every(({ type }) => type === "insecureAcceptAnything") ? "accepts-anything" : "signatures";
}

/** Where a mirror has the image: the mirror's own path before the repository, without the registry that it came from. */
export function mirrorName(mirror: string, reference: Reference): string | undefined {
  const { path, digest } = reference;
  return digest === undefined ? undefined : `docker://${mirror}/${path}@${digest}`;
}

/** `docker://…`, for opening. */
export function imageName(reference: Reference): string {
  return `docker://${formatReference(reference)}`;
}
