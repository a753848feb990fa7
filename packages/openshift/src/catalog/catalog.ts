/** A catalog as a whole: packages with their channels and bundles, and what is wrong with how they hang together. Nothing in it is trusted. */
import type { AuditRuleName } from "./audit-rules.ts";
import type { ChannelEntry, Deprecation, UntrustedCatalogDocument } from "./catalog-document.ts";
import type { CatalogDocuments } from "./catalog-files.ts";
import type { ImageUse } from "./cluster-service-version.ts";
import { catalogMalformed } from "./document-stream.ts";
import type { DocumentPlace } from "./document-tree.ts";

export interface CatalogBundle {
  readonly package: string;
  readonly name: string;
  readonly uses: readonly ImageUse[];
  /** False for a bundle of a catalog that names no image of its own. */
  readonly hasImage: boolean;
  /** True for manifests: opm adds the images of their containers to relatedImages when it makes a catalog of them. */
  readonly isUnrendered: boolean;
  readonly place: DocumentPlace;
}

export interface CatalogChannel {
  readonly name: string;
  /** Names of its versions, in the order of the document. */
  readonly entries: readonly string[];
  /** Those that no other one replaces or skips: exactly one in a good channel. */
  readonly heads: readonly string[];
  /** The bundles of its entries, as far as they are there. */
  readonly bundles: readonly CatalogBundle[];
}

export interface CatalogPackage {
  readonly name: string;
  readonly defaultChannel: string;
  readonly channels: readonly CatalogChannel[];
  /** All of the package's, in channels or not. */
  readonly bundles: readonly CatalogBundle[];
}

/** Something that is wrong with the catalog as such, not with one of its images. */
export interface StructureFinding {
  readonly rule: AuditRuleName;
  readonly message: string;
  readonly package: string;
  readonly channel?: string;
  readonly place: DocumentPlace;
}

export interface UntrustedCatalog {
  /** A catalog has packages; a bundle, or a ClusterServiceVersion alone, is one version of one. */
  readonly kind: "catalog" | "bundle";
  readonly packages: readonly CatalogPackage[];
  readonly findings: readonly StructureFinding[];
  readonly files: number;
  readonly ignored: readonly string[];
}

/** What a bundle's labels say, which its manifests do not. */
export interface BundleLabels {
  readonly package: string;
  readonly channels: readonly string[];
}

/**
 * Puts the documents together. What is contradictory or missing becomes a finding: every image of the catalog is seen all the same.
 * @throws FormatError `catalog-malformed` when there is neither a bundle nor a ClusterServiceVersion: nothing to audit must not look like a clean catalog
 */
export function assembleCatalog(content: CatalogDocuments, labels?: BundleLabels): UntrustedCatalog {
  const { documents, files, ignored } = content;
  const isCatalog = documents.some(({ kind }) => kind === "package" || kind === "channel" || kind === "bundle");
  const versions = documents.filter((document) => document.kind === "service-version");
  if (versions.length === 0 && !documents.some(({ kind }) => kind === "bundle"))
    throw catalogMalformed("the catalog", 1, "it has neither a bundle nor a ClusterServiceVersion");
  if (isCatalog) return { kind: "catalog", ...assemblePackages(documents), files, ignored };
  const named = documents.find((document) => document.kind === "bundle-annotations") ?? labels;
  const bundles = versions.map(({ name, uses, place }): CatalogBundle => {
    return { package: named?.package ?? "", name, uses, hasImage: true, isUnrendered: true, place };
  });
  const channels = (named?.channels ?? []).map((name): CatalogChannel => {
    const entries = bundles.map((bundle) => bundle.name);
    return { name, entries, heads: entries, bundles };
  });
  const one: CatalogPackage = { name: named?.package ?? "", defaultChannel: "", channels, bundles };
  return { kind: "bundle", packages: [one], findings: [], files, ignored };
}

type PackageDocument = Extract<UntrustedCatalogDocument, { kind: "package" }>;
type ChannelDocument = Extract<UntrustedCatalogDocument, { kind: "channel" }>;

interface Gathered {
  document: PackageDocument | undefined;
  readonly channels: ChannelDocument[];
  readonly channelNames: Set<string>;
  readonly bundles: CatalogBundle[];
}

function assemblePackages(
  documents: readonly UntrustedCatalogDocument[],
): Pick<UntrustedCatalog, "packages" | "findings"> {
  const findings: StructureFinding[] = [];
  const gathered = new Map<string, Gathered>();
  const of = (name: string): Gathered => {
    const known = gathered.get(name) ?? { document: undefined, channels: [], channelNames: new Set(), bundles: [] };
    gathered.set(name, known);
    return known;
  };
  for (const document of documents) {
    const { place } = document;
    if (document.kind === "package") {
      const known = of(document.name);
      if (known.document !== undefined) findings.push(duplicate("package", document.name, document.name, place));
      known.document ??= document;
    } else if (document.kind === "channel") {
      const { channels, channelNames } = of(document.package);
      if (channelNames.has(document.name)) findings.push(duplicate("channel", document.name, document.package, place));
      channelNames.add(document.name);
      channels.push(document);
    } else if (document.kind === "deprecations") {
      for (const entry of document.entries) findings.push(deprecation(entry, document.package, place));
    } else if (document.kind === "bundle" || document.kind === "service-version") {
      const owner = document.kind === "bundle" ? document.package : "";
      const isUnrendered = document.kind === "service-version";
      const hasImage = isUnrendered || document.image !== "";
      of(owner).bundles.push({
        package: owner,
        name: document.name,
        uses: document.uses,
        hasImage,
        isUnrendered,
        place,
      });
    }
  }
  const packages = [...gathered]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, parts]) => assemblePackage(name, parts, findings));
  return { packages, findings };
}

function deprecation({ what, name, message }: Deprecation, owner: string, place: DocumentPlace): StructureFinding {
  return {
    rule: "deprecated",
    message: `${what} ${what === "package" ? owner : name} is deprecated${message === "" ? "" : `: ${message}`}`,
    package: owner,
    ...(what === "channel" ? { channel: name } : {}),
    place,
  };
}

function duplicate(what: string, name: string, owner: string, place: DocumentPlace): StructureFinding {
  return { rule: "package-duplicate", message: `${what} ${name} stands twice`, package: owner, place };
}

function assemblePackage(name: string, parts: Gathered, findings: StructureFinding[]): CatalogPackage {
  const { document, channels, bundles } = parts;
  const [first] = [...channels, ...bundles];
  if (document === undefined && first !== undefined) {
    const message = `package ${name === "" ? "(without a name)" : name} has no olm.package`;
    findings.push({ rule: "package-missing", message, package: name, place: first.place });
  }
  if (document !== undefined && !channels.some((channel) => channel.name === document.defaultChannel)) {
    const wanted =
      document.defaultChannel === "" ? "it names no default channel" : `no channel ${document.defaultChannel}`;
    const message = `package ${name}: ${channels.length === 0 ? "it has no channel" : wanted}`;
    findings.push({ rule: "default-channel", message, package: name, place: document.place });
  }
  // A name that stands twice may stand for two bundles; both are of the channel then.
  const byName = new Map<string, CatalogBundle[]>();
  for (const bundle of bundles) {
    const same = byName.get(bundle.name);
    if (same === undefined) byName.set(bundle.name, [bundle]);
    else {
      same.push(bundle);
      findings.push(duplicate("bundle", bundle.name, name, bundle.place));
    }
  }
  return {
    name,
    defaultChannel: document?.defaultChannel ?? "",
    channels: channels.map((channel) => assembleChannel(channel, byName, findings)),
    bundles,
  };
}

function assembleChannel(
  channel: ChannelDocument,
  byName: ReadonlyMap<string, readonly CatalogBundle[]>,
  findings: StructureFinding[],
): CatalogChannel {
  const { name, entries, place } = channel;
  const found = (rule: AuditRuleName, message: string): void => {
    findings.push({ rule, message: `channel ${name}: ${message}`, package: channel.package, channel: name, place });
  };
  const names = [...new Set(entries.map((entry) => entry.name))];
  if (names.length < entries.length) found("package-duplicate", "an entry stands twice");
  const missing = names.filter((entry) => !byName.has(entry));
  if (missing.length > 0) found("channel-entry-missing", `no bundle for ${enumerate(missing)}`);
  const passed = new Set(entries.flatMap((entry) => [entry.replaces, ...entry.skips]));
  const heads = names.filter((entry) => !passed.has(entry));
  const loop = findLoop(entries);
  if (loop !== undefined) found("channel-loop", `${loop} replaces itself in the end`);
  if (heads.length !== 1)
    found("channel-head", heads.length === 0 ? "no entry is the newest" : `${enumerate(heads)} are all newest`);
  return { name, entries: names, heads, bundles: names.flatMap((entry) => byName.get(entry) ?? []) };
}

/** Names that a message lists; the rest is counted. */
const MAX_LISTED = 5;

function enumerate(names: readonly string[]): string {
  const rest = names.length - MAX_LISTED;
  return `${names.slice(0, MAX_LISTED).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

/** An entry from which `replaces` leads back to it. Every entry is walked through once, however long the circle. */
function findLoop(entries: readonly ChannelEntry[]): string | undefined {
  const replaces = new Map(entries.map((entry) => [entry.name, entry.replaces]));
  const done = new Set<string>();
  for (const start of replaces.keys()) {
    const path = new Set<string>();
    for (let at: string | undefined = start; at !== undefined && !done.has(at); at = replaces.get(at)) {
      if (path.has(at)) return at;
      path.add(at);
    }
    for (const name of path) done.add(name);
  }
  return undefined;
}
