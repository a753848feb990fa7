/** The audit of a catalog: every image it names, each looked at once; what was found; and the verdict by package and channel. */
import {
  type Policy,
  type Reference,
  SignetError,
  StoreError,
  UsageError,
  parseReference,
  referenceName,
} from "@signet/core";
import { type ImageRow, type ImageSource, type VerifyManyOptions, verifyImages } from "@signet/images";
import { type AuditRuleName, type FindingSeverity, severityOf } from "./audit-rules.ts";
import {
  type ImageCoverage,
  type ImageReading,
  coverageOf,
  imageName,
  mirrorName,
  readImage,
} from "./audited-image.ts";
import type { CatalogBundle, CatalogChannel, CatalogPackage, UntrustedCatalog } from "./catalog.ts";
import type { ImageRole } from "./cluster-service-version.ts";
import type { DocumentPlace } from "./document-tree.ts";

/** One place of the catalog where an image is named. */
export interface AuditedUse {
  readonly package: string;
  readonly bundle: string;
  readonly role: ImageRole;
  readonly name: string;
}

/** Whether the policy accepts it; `found` counts signatures and is undefined where none were looked for. */
export interface ImageCheck {
  readonly outcome: "accepted" | "rejected" | "undetermined";
  readonly found: number | undefined;
  /** Fingerprints. */
  readonly signers: readonly string[];
  readonly reasons: readonly { readonly code: string; readonly message: string }[];
}

export interface MirrorCheck {
  readonly outcome: "present" | "absent" | "undetermined";
  readonly image: string;
  /** Why it could not be told; empty otherwise. */
  readonly message: string;
}

export interface AuditedImage extends ImageReading {
  /** As written. */
  readonly image: string;
  readonly uses: readonly AuditedUse[];
  /** Undefined without a policy, and for what is no reference. */
  readonly coverage?: ImageCoverage;
  readonly check?: ImageCheck;
  /** Undefined without a mirror, and for images that are not named by digest. */
  readonly mirror?: MirrorCheck;
}

export interface AuditFinding {
  readonly rule: AuditRuleName;
  readonly severity: FindingSeverity;
  readonly message: string;
  /** What it is about, as far as it is known: an image, or a package and channel. */
  readonly image?: string;
  readonly package?: string;
  readonly channel?: string;
  readonly bundle?: string;
  readonly place?: DocumentPlace;
}

/** `findings`: at least one of severity error. `undetermined`: none, and something could not be told. */
export type AuditVerdict = "clean" | "findings" | "undetermined";

interface Judged {
  readonly verdict: AuditVerdict;
  readonly images: number;
  readonly errors: number;
  readonly warnings: number;
}

export interface AuditedChannel extends Judged, Pick<CatalogChannel, "name" | "heads"> {
  readonly entries: number;
  /** The images of the newest version alone. */
  readonly head: Judged;
}

export interface AuditedPackage extends Judged, Pick<CatalogPackage, "name" | "defaultChannel"> {
  readonly bundles: number;
  readonly channels: readonly AuditedChannel[];
}

export interface CatalogAudit extends Judged {
  readonly kind: UntrustedCatalog["kind"];
  readonly files: number;
  readonly ignored: readonly string[];
  readonly packages: readonly AuditedPackage[];
  /** Sorted by name. */
  readonly auditedImages: readonly AuditedImage[];
  readonly findings: readonly AuditFinding[];
}

export interface CatalogAuditOptions {
  /** Which scope governs each image is told when it is given. */
  readonly policy?: Policy;
  /** Judges each image by the policy, with its signatures. */
  readonly check?: VerifyManyOptions;
  readonly mirror?: {
    /** `host[/path]`. */
    readonly repository: string;
    /** Opens `docker://…` names; closed again after each image. */
    readonly open: (name: string) => Promise<ImageSource>;
  };
  /** The image that the catalog or bundle itself is, where it is one in a registry. */
  readonly source?: Reference;
  /** Images looked at at a time, 1 to 64. Default 8. */
  readonly jobs?: number;
  /** Called as each image was judged. */
  readonly onChecked?: (done: number, total: number) => void;
  /** Called as each image was asked for in the mirror. */
  readonly onMirrored?: (done: number, total: number) => void;
}

const DEFAULT_JOBS = 8;
const MAX_JOBS = 64;

/**
 * Audits every image of a catalog. One that many bundles name is looked at once.
 *
 * Not checked: that the images work, and images whose names stand only in the operator's program.
 * @throws UsageError `command-line-malformed` for an impossible number of jobs or mirror; what prevents looking at one image is a finding
 */
export async function auditCatalog(catalog: UntrustedCatalog, options: CatalogAuditOptions): Promise<CatalogAudit> {
  const jobs = options.jobs ?? DEFAULT_JOBS;
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > MAX_JOBS)
    throw new UsageError("command-line-malformed", `jobs must be a whole number from 1 to ${MAX_JOBS}`);
  const gathered = gatherImages(catalog, options.source);
  const images = [...gathered]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([image, uses]): AuditedImage => {
      const reading = readImage(image);
      const { reference } = reading;
      const { policy } = options;
      const coverage = policy === undefined || reference === undefined ? undefined : coverageOf(policy, reference);
      return { image, uses, ...reading, ...(coverage === undefined ? {} : { coverage }) };
    });
  const checks = await checkImages(images, options);
  const mirrored = await askMirror(images, options, jobs);
  const audited = images.map((image): AuditedImage => {
    const name = image.reference === undefined ? "" : imageName(image.reference);
    const check = checks.get(name);
    const mirror = mirrored.get(image.image);
    return { ...image, ...(check === undefined ? {} : { check }), ...(mirror === undefined ? {} : { mirror }) };
  });
  return summarize(catalog, audited);
}

type Gathered = Map<string, AuditedUse[]>;

function gatherImages(catalog: UntrustedCatalog, source: Reference | undefined): Gathered {
  const images: Gathered = new Map();
  const add = (image: string, use: AuditedUse): void => {
    const uses = images.get(image);
    if (uses === undefined) images.set(image, [use]);
    else uses.push(use);
  };
  for (const { bundles } of catalog.packages) {
    for (const bundle of bundles)
      for (const { image, role, name } of bundle.uses)
        add(image, { package: bundle.package, bundle: bundle.name, role, name });
  }
  if (source !== undefined) {
    const { tag, digest } = source;
    const name = `${referenceName(source)}${digest === undefined ? `:${tag ?? "latest"}` : `@${digest}`}`;
    add(name, { package: "", bundle: "", role: "catalog", name: catalog.kind });
  }
  return images;
}

/** By the name under which an image is asked for: a digest that is written in several ways is judged once. */
async function checkImages(
  images: readonly AuditedImage[],
  { check, onChecked }: CatalogAuditOptions,
): Promise<ReadonlyMap<string, ImageCheck>> {
  if (check === undefined) return new Map();
  const names = new Set(images.flatMap(({ reference }) => (reference === undefined ? [] : [imageName(reference)])));
  let done = 0;
  const rows = await verifyImages([...names], { ...check, onRow: () => onChecked?.(++done, names.size) });
  return new Map(rows.map((row) => [row.name, describeRow(row)]));
}

function describeRow(row: ImageRow): ImageCheck {
  if (row.outcome === "undetermined") {
    const { code, message } = row.error;
    return { outcome: "undetermined", found: undefined, signers: [], reasons: [{ code, message }] };
  }
  const judged = row.manifests.flatMap((manifest) => (manifest.outcome === "undetermined" ? [] : [manifest]));
  const lookups = judged.flatMap(({ lookup }) => (lookup === undefined ? [] : [lookup.found]));
  const signers = judged.flatMap(({ verdict }) => (verdict.verdict === "accepted" ? verdict.signers : []));
  const reasons = judged.flatMap(({ verdict }) => (verdict.verdict === "rejected" ? verdict.reasons : []));
  return {
    outcome: row.outcome,
    found: lookups.length === 0 ? undefined : lookups.reduce((sum, found) => sum + found, 0),
    signers: [...new Set(signers.map(({ fingerprint }) => fingerprint))],
    reasons: reasons.map(({ code, message }) => ({ code, message })),
  };
}

async function askMirror(
  images: readonly AuditedImage[],
  { mirror, onMirrored }: CatalogAuditOptions,
  jobs: number,
): Promise<ReadonlyMap<string, MirrorCheck>> {
  const answers = new Map<string, MirrorCheck>();
  if (mirror === undefined) return answers;
  const repository = checkMirror(mirror.repository);
  const wanted = images.flatMap(({ image, reference }) => {
    const name = reference === undefined ? undefined : mirrorName(repository, reference);
    return name === undefined ? [] : [{ image, name }];
  });
  const known = new Map<string, Promise<MirrorCheck>>();
  const queue = wanted.values();
  let done = 0;
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      for (const { image, name } of queue) {
        let answer = known.get(name);
        if (answer === undefined) known.set(name, (answer = isPresent(name, mirror.open)));
        answers.set(image, await answer);
        onMirrored?.(++done, wanted.length);
      }
    }),
  );
  return answers;
}

function checkMirror(repository: string): string {
  const malformed = (): UsageError =>
    new UsageError("command-line-malformed", `${JSON.stringify(repository.slice(0, 300))} is not a mirror`, {
      hint: "write its host and path, such as mirror.example.com:5000/ocp, without a tag",
    });
  const trimmed = repository.replace(/\/+$/, "");
  try {
    const probe = parseReference(`${trimmed}/image`);
    if (referenceName(probe) === `${trimmed}/image`) return trimmed;
  } catch {
    throw malformed();
  }
  throw malformed();
}

async function isPresent(image: string, open: (name: string) => Promise<ImageSource>): Promise<MirrorCheck> {
  try {
    await using source = await open(image);
    await source.manifest();
    return { outcome: "present", image, message: "" };
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    // A repository that nobody pushed to is unknown to some registries and forbidden in others; only a plain "not found" is an answer.
    const isAbsent = error instanceof StoreError && error.code === "image-missing";
    return { outcome: isAbsent ? "absent" : "undetermined", image, message: isAbsent ? "" : error.message };
  }
}

/** What can be said of one image alone. */
function judgeImage(audited: AuditedImage): readonly AuditFinding[] {
  const { image, form, isQualified, problem, coverage, check, mirror, uses } = audited;
  const findings: AuditFinding[] = [];
  const add = (rule: AuditRuleName, message: string): void => {
    findings.push({ rule, severity: severityOf(rule), message, image });
  };
  if (form === "malformed") add("image-malformed", problem);
  else {
    // The catalog itself is named by whoever audits it; what names it in a cluster is not known here.
    const isCatalogOnly = uses.every(({ role }) => role === "catalog");
    if (form === "tag" || form === "unnamed")
      add(isCatalogOnly ? "catalog-by-tag" : "image-by-tag", `it is named by ${form === "tag" ? "tag" : "name alone"}`);
    if (form === "tag-and-digest") add("image-tag-and-digest", "it is named by tag and digest");
    if (!isQualified) add("image-unqualified", "its name has no registry");
  }
  if (coverage?.demand === "rejects") add("policy-rejects", `scope ${coverage.scope}: ${coverage.requirements}`);
  if (coverage?.demand === "accepts-anything")
    add("policy-accepts-anything", `scope ${coverage.scope} demands no signature`);
  if (check !== undefined) {
    const why = check.reasons.map(({ message }) => message).join("; ");
    if (check.outcome === "undetermined") add("image-undetermined", why);
    // What its scope rejects unseen is said already.
    else if (check.outcome === "rejected" && coverage?.demand !== "rejects")
      add(check.found === 0 ? "image-unsigned" : "image-rejected", why);
  }
  if (mirror?.outcome === "absent") add("mirror-missing", `${mirror.image} is not there`);
  if (mirror?.outcome === "undetermined") add("mirror-undetermined", mirror.message);
  return findings;
}

/** What can be said of one bundle: which of its images a mirror would leave out. */
function judgeBundle(bundle: CatalogBundle): readonly AuditFinding[] {
  const { uses, place, name } = bundle;
  const about = { package: bundle.package, bundle: name, place };
  const findings: AuditFinding[] = [];
  if (!bundle.hasImage)
    findings.push({ ...finding("bundle-image-missing", "the bundle names no image of its own"), ...about });
  const related = new Set(uses.flatMap(({ image, role }) => (role === "related" ? [image] : [])));
  for (const { image, role } of uses)
    if (role === "bundle" && !related.has(image))
      findings.push({ ...finding("bundle-unlisted", "it is not among the bundle's relatedImages"), image, ...about });
  const listing: readonly ImageRole[] = bundle.isUnrendered
    ? ["related", "bundle", "container", "init-container"]
    : ["related", "bundle"];
  const listed = new Set(uses.flatMap(({ image, role }) => (listing.includes(role) ? [image] : [])));
  const told = new Set<string>();
  for (const use of uses) {
    if (listed.has(use.image) || told.has(use.image)) continue;
    told.add(use.image);
    const rule = use.role === "annotation" ? "annotation-unlisted" : "image-unlisted";
    const message = `${use.image}, named by ${use.role} ${use.name}, is not among relatedImages`;
    findings.push({ ...finding(rule, message), image: use.image, ...about });
  }
  return findings;
}

function finding(rule: AuditRuleName, message: string): AuditFinding {
  return { rule, severity: severityOf(rule), message };
}

/** Repositories that are named in more than one registry, each once. */
function judgeRegistries(images: readonly AuditedImage[]): readonly AuditFinding[] {
  const registriesOf = new Map<string, Set<string>>();
  for (const { reference } of images) {
    if (reference === undefined) continue;
    const known = registriesOf.get(reference.path);
    if (known === undefined) registriesOf.set(reference.path, new Set([reference.domain]));
    else known.add(reference.domain);
  }
  return [...registriesOf].flatMap(([path, registries]) =>
    registries.size < 2 ? [] : [finding("several-registries", `${path} is named in ${[...registries].join(", ")}`)],
  );
}

function summarize(catalog: UntrustedCatalog, images: readonly AuditedImage[]): CatalogAudit {
  const ofImage = new Map(images.map((image) => [image.image, judgeImage(image)]));
  const ofBundle = new Map<CatalogBundle, readonly AuditFinding[]>();
  const places = new Map<string, Pick<AuditFinding, "package" | "bundle" | "place">>();
  for (const { bundles } of catalog.packages) {
    for (const bundle of bundles) {
      ofBundle.set(bundle, judgeBundle(bundle));
      const about = { package: bundle.package, bundle: bundle.name, place: bundle.place };
      for (const { image } of bundle.uses) if (!places.has(image)) places.set(image, about);
    }
  }
  const structure = catalog.findings.map((found): AuditFinding => {
    return { ...found, severity: severityOf(found.rule) };
  });
  const judge = (bundles: readonly CatalogBundle[], more: readonly AuditFinding[]): Judged => {
    const names = new Set(bundles.flatMap(({ uses }) => uses.map(({ image }) => image)));
    const own = [...names].flatMap((image) => ofImage.get(image) ?? []);
    return tally(names.size, [...own, ...bundles.flatMap((bundle) => ofBundle.get(bundle) ?? []), ...more]);
  };
  const packages = catalog.packages.map((pack): AuditedPackage => {
    const own = structure.filter((found) => found.package === pack.name);
    return {
      name: pack.name,
      defaultChannel: pack.defaultChannel,
      bundles: pack.bundles.length,
      ...judge(pack.bundles, own),
      channels: pack.channels.map((channel): AuditedChannel => {
        const { name, heads, entries, bundles } = channel;
        const newest = bundles.filter((bundle) => heads.includes(bundle.name));
        const findings = own.filter((found) => found.channel === name);
        return { name, heads, entries: entries.length, head: judge(newest, []), ...judge(bundles, findings) };
      }),
    };
  });
  const findings = [
    ...structure,
    ...[...ofBundle.values()].flat(),
    ...judgeRegistries(images),
    ...images.flatMap(({ image }) => (ofImage.get(image) ?? []).map((found) => ({ ...places.get(image), ...found }))),
  ].sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity));
  const { kind, files, ignored } = catalog;
  return { kind, files, ignored, ...tally(images.length, findings), packages, auditedImages: images, findings };
}

const severities: readonly FindingSeverity[] = ["error", "warning", "info"];

const undetermined: ReadonlySet<AuditRuleName> = new Set(["image-undetermined", "mirror-undetermined"]);

function tally(images: number, findings: readonly AuditFinding[]): Judged {
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const warnings = findings.filter(({ severity }) => severity === "warning").length;
  const isUnknown = findings.some(({ rule }) => undetermined.has(rule));
  return { verdict: errors > 0 ? "findings" : isUnknown ? "undetermined" : "clean", images, errors, warnings };
}
