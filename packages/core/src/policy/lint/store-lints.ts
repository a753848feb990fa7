/** Lints about registries.d: whether signatures of a scope can be found at all. */
import { quote } from "../policy-members.ts";
import { explainUnmatchableScope } from "../scope-suggestion.ts";
import type { StoreFacts, StoreSection, StoreUrl } from "./lint-facts.ts";
import type { LintContext, LintedRequirement, LintedScope } from "./lint-context.ts";
import type { Found, Lint } from "./lint.ts";
import { readingUrlOf, lookasideSectionsFor } from "./store-order.ts";

/** Schemes that signatures can be read over. */
const readableSchemes: ReadonlySet<string> = new Set(["file", "http", "https"]);

/** A requirement of a scope whose images come from registries. */
interface RegistryRequirement {
  readonly scope: LintedScope;
  readonly item: LintedRequirement;
  /** `""` stands for all images, also of the default. */
  readonly name: string;
}

/** Requirements of one type on images of registries, in scopes that can match. */
function* registryRequirements(
  { scopes }: LintContext,
  type: "signedBy" | "sigstoreSigned",
): Iterable<RegistryRequirement> {
  for (const scope of scopes) {
    if (scope.transport !== undefined && scope.transport !== "docker") continue;
    const name = scope.scope ?? "";
    if (explainUnmatchableScope("docker", name) !== undefined) continue;
    const item = scope.items.find(({ requirement }) => requirement.type === type);
    if (item !== undefined && !scope.requirements.some((requirement) => requirement.type === "reject")) {
      yield { scope, item, name };
    }
  }
}

export const sigstoreAttachmentsOff: Lint = {
  name: "sigstore-attachments-off",
  severity: "error",
  reason:
    "Sigstore signatures are looked for only where registries.d says so. The default is off: no signature is found, and every image is rejected.",
  fix: "Add to a file of registries.d: `docker: { HOST/PATH: { use-sigstore-attachments: true } }`.",
  *check(context) {
    const { stores } = context.facts;
    if (stores === undefined) return;
    for (const { scope, item, name } of registryRequirements(context, "sigstoreSigned")) {
      const { governing, below } = lookasideSectionsFor(stores, name);
      const setting = governing.find(({ useSigstoreAttachments }) => useSigstoreAttachments !== undefined);
      if (setting?.useSigstoreAttachments?.value === true) continue;
      if (below.some(({ useSigstoreAttachments }) => useSigstoreAttachments?.value === true)) continue;
      const why =
        setting === undefined
          ? "no section of registries.d sets use-sigstore-attachments for it"
          : `${setting.file}:${setting.useSigstoreAttachments!.line} sets use-sigstore-attachments to false`;
      const fix = `Add \`use-sigstore-attachments: true\` to the section of registries.d for ${name === "" ? "these registries" : quote(name)}.`;
      yield {
        place: { path: item.path, part: "value" },
        scope: scope.label,
        what: `no sigstore signature is ever looked for: ${why}`,
        fix,
      };
    }
  },
};

export const storeUnserved: Lint = {
  name: "store-unserved",
  severity: "warning",
  reason:
    "registries.d names no place where signatures of these images are read, and the built-in folder does not exist. Unless the registry keeps signatures itself (X-Registry-Supports-Signatures), every image is rejected.",
  fix: "Add to a file of registries.d: `docker: { HOST/PATH: { lookaside: https://… } }`.",
  *check(context) {
    const { stores } = context.facts;
    if (stores === undefined || stores.builtinFolder.exists) return;
    for (const { scope, item, name } of registryRequirements(context, "signedBy")) {
      const { governing, below } = lookasideSectionsFor(stores, name);
      if ([...governing, ...below].some((section) => readingUrlOf(section) !== undefined)) continue;
      yield {
        place: { path: item.path, part: "value" },
        scope: scope.label,
        what: `no section of registries.d gives a lookaside URL for it, and ${quote(stores.builtinFolder.path)} does not exist`,
      };
    }
  },
};

function* sectionsOf(stores: StoreFacts | undefined): Iterable<StoreSection> {
  if (stores === undefined) return;
  if (stores.defaultSection !== undefined) yield stores.defaultSection;
  yield* stores.sections.values();
}

function* urlsOf(context: LintContext): Iterable<{ section: StoreSection; url: StoreUrl }> {
  for (const section of sectionsOf(context.facts.stores)) for (const url of section.urls) yield { section, url };
}

function atSection({ namespace, file }: StoreSection, line: number, what: string): Found {
  return { place: { file, line }, scope: namespace === undefined ? "default-docker" : `docker: ${namespace}`, what };
}

export const storeInsecureHttp: Lint = {
  name: "store-insecure-http",
  severity: "warning",
  reason:
    "Signatures are checked whatever way they come. But over plain http anybody on the way can withhold or exchange them, and sees which images are used.",
  fix: "Use https.",
  *check(context) {
    for (const { section, url } of urlsOf(context)) {
      if (url.scheme !== "http" || isLoopback(url.host)) continue;
      yield atSection(section, url.line, `${url.key} is read over plain http: ${url.shown}`);
    }
  },
};

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(?:\.[0-9]{1,3}){3}$/.test(host);
}

export const storeUnwritableScheme: Lint = {
  name: "store-unwritable-scheme",
  severity: "warning",
  reason:
    "Signatures are written to folders alone; a push or sign that must write there fails after the image was uploaded.",
  fix: "Write `lookaside-staging: file:///…`, and publish that folder on the web server.",
  *check(context) {
    for (const { section, url } of urlsOf(context)) {
      if (!url.key.endsWith("-staging") || url.problem !== undefined || url.scheme === "file") continue;
      const scheme = url.scheme === "" ? "a URL without a scheme" : url.scheme;
      yield atSection(section, url.line, `${url.key} cannot be written over ${scheme}: ${url.shown}`);
    }
  },
};

export const storeUrlMalformed: Lint = {
  name: "store-url-malformed",
  severity: "error",
  reason:
    "Reading signatures fails, and with it every pull of an image that the section speaks of and that must be signed.",
  fix: "Write https://host/path or file:///path.",
  *check(context) {
    for (const { section, url } of urlsOf(context)) {
      if (url.problem !== undefined) yield atSection(section, url.line, `${url.key}: ${url.problem}`);
      else if (!url.key.endsWith("-staging") && !readableSchemes.has(url.scheme)) {
        const problem =
          url.scheme === "" ? "has no scheme" : `has the scheme ${quote(url.scheme)}, which nothing can read`;
        yield atSection(section, url.line, `${url.key} ${problem}: ${url.shown}`);
      }
    }
  },
};

export const storeSectionUnreachable: Lint = {
  name: "store-section-unreachable",
  severity: "warning",
  reason: "No image is ever looked up by this text, so that its signatures are looked for elsewhere.",
  fix: "Write the namespace as images are looked up: the full name with its host, a folder above it, `host[:port]`, or `*.domain`.",
  *check(context) {
    for (const section of sectionsOf(context.facts.stores)) {
      const { namespace, line } = section;
      if (namespace === undefined) continue;
      const found = namespace === "" ? { problem: "it is empty" } : explainUnmatchableScope("docker", namespace);
      if (found === undefined) continue;
      const { suggestion } = found as { suggestion?: string };
      const fix = suggestion === "" ? "use default-docker" : `write ${quote(suggestion ?? "")}`;
      yield {
        ...atSection(section, line, `section ${quote(namespace)} can never match: ${found.problem}`),
        ...(suggestion === undefined ? {} : { fix }),
      };
    }
  },
};
