/** Judging an image and telling the whole story, also where judging fails half-way. */
import {
  type Digest,
  type Examination,
  type Policy,
  type ScopeCandidate,
  SignetError,
  UndeterminedError,
  digestAlgorithm,
  digestHex,
  findGoverningScope,
  listScopeCandidates,
  parseManifest,
  readUntrustedClaims,
  summarizeRequirements,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { hostPlatform } from "../copy/host-platform.ts";
import { attemptsOf } from "../stores/failed-reading.ts";
import type { SignatureReading } from "../stores/signature-store.ts";
import { openImageSource } from "../transports/open.ts";
import type { OfflineImage } from "../transports/offline-source.ts";
import type { EndpointAttempt, ImageName, ImageSource, RawManifest } from "../transports/transport.ts";
import { mapBounded } from "../verify/bounded-map.ts";
import { readKeyFile } from "../verify/key-file.ts";
import { type JudgedSource, examineManifest, makeTrustAnchors } from "../verify/manifest-verdict.ts";
import {
  type SelectedManifest,
  type VerifyOptions,
  checkAskedDigest,
  selectManifests,
} from "../verify/verify-image.ts";
import { explainDemands } from "./demands.ts";
import type {
  ExplainedVerdict,
  ImageExplanation,
  LookupExplanation,
  ManifestExplanation,
  ScopeExplanation,
} from "./explanation.ts";
import { chooseFix, type FixOptions } from "./choose-fix.ts";
import { type PlaceTeller, RegistryPlaces } from "./image-places.ts";
import { explainStore, type RegistryStores } from "./store-explanation.ts";

export interface ExplainOptions extends VerifyOptions {
  /** docker:// needs it. An error: its configuration cannot be read, which is part of the story. */
  readonly registry?: RegistryStores | SignetError;
  /** These files are the image; nothing else is asked. */
  readonly offline?: OfflineImage;
  /** What the command of a fix shall name besides. Default nothing. */
  readonly fix?: FixOptions;
}

/** Manifests of one list examined at a time. */
const PARALLEL_MANIFESTS = 4;

/**
 * Judges an image as `verifyImage` does and says why: scopes, demands, store, signatures, checks, and what would help. Whatever prevents judging becomes part of the
 * explanation, which holds all that was found up to there.
 *
 * More is asked than for a verdict: for a rejected image, whether its list is signed or sigstore signatures are attached; and signatures that no requirement
 * could judge are read for what they claim.
 *
 * @throws PolicyError `policy-malformed` for a scope with no requirement
 */
export async function explainImage(name: ImageName, options: ExplainOptions): Promise<ImageExplanation> {
  const { registry, offline } = options;
  const { reference } = name;
  if (offline === undefined && reference !== undefined && registry !== undefined && name.transport === "docker") {
    if (registry instanceof SignetError) {
      const open = (): Promise<never> => Promise.reject(registry);
      return explainSource(name, open, { store: async () => explainStore(name, undefined, registry) }, options);
    }
    const places = new RegistryPlaces({ ...name, reference }, registry);
    return explainSource(name, () => openImageSource(name, { docker: places.docker() }), places, options);
  }
  const open = (): Promise<ImageSource> => openImageSource(name, offline === undefined ? {} : { offline });
  return explainSource(name, open, { store: async () => explainStore(name, offline, undefined) }, options);
}

/** What is explained: any name that a policy can be asked with. */
export type ExplainedName = JudgedSource["name"] & { readonly transport: string };

/**
 * The same for a source that somebody else made.
 * @param isAssumed the top manifest has a digest and no bytes: it is taken for an image, not a list
 * @throws as {@link explainImage}
 */
export async function explainSource(
  name: ExplainedName,
  open: () => Promise<ExplainedSource>,
  places: PlaceTeller,
  options: ExplainOptions & { readonly isAssumed?: boolean },
): Promise<ImageExplanation> {
  const judging = { ...options, trustAnchors: options.trustAnchors ?? makeTrustAnchors(options) };
  const candidates = listScopeCandidates(options.policy, name.policyIdentity);
  const { requirements } = findGoverningScope(options.policy, name.policyIdentity);
  const demands = explainDemands(requirements, name.reference, {
    readKeyFile: options.readKeyFile ?? readKeyFile,
    now: options.now,
    ...(options.switches === undefined ? {} : { switches: options.switches }),
  });
  const story = new Story(name, judging, candidates, places);
  const fetched = await story.tell(open);
  const verdict = verdictOf(fetched);
  const explanation: ImageExplanation = {
    image: name.text,
    transport: name.transport,
    verdict,
    policy: options.policy.source,
    scopes: story.scopes(verdict, fetched),
    demands,
    endpoints: fetched.endpoints,
    store: await places.store(fetched.endpoints),
    digest: fetched.digest,
    ...(fetched.list === undefined ? {} : { list: fetched.list }),
    manifests: fetched.manifests,
    ...(fetched.error === undefined ? {} : { error: fetched.error }),
  };
  const place = places.place?.(fetched.endpoints);
  const fix = verdict === "accepted" ? undefined : chooseFix(explanation, name, requirements, options.fix ?? {}, place);
  return fix === undefined ? explanation : { ...explanation, fix };
}

/** What was found about the image itself. */
interface Told extends Pick<ImageExplanation, "digest" | "list" | "manifests" | "endpoints" | "error"> {
  /** For each manifest, by what its other scopes were judged. */
  readonly alternatives: readonly ReadonlyMap<string, ExplainedVerdict | "unknown">[];
}

function verdictOf({ manifests, error }: Told): ExplainedVerdict {
  if (manifests.some(({ verdict }) => verdict === "rejected")) return "rejected";
  if (error !== undefined || manifests.length === 0) return "undetermined";
  return manifests.every(({ verdict }) => verdict === "accepted") ? "accepted" : "undetermined";
}

/** What explaining needs of a source. */
export type ExplainedSource = Pick<ImageSource, "manifest" | "signatures" | "endpoints" | "close">;

/** Also when all of them failed, or what came after the manifest did. */
function triedPlaces(source: ExplainedSource | undefined, error: SignetError): readonly EndpointAttempt[] {
  const served = source?.endpoints?.() ?? [];
  if (served.length > 0) return served;
  return (error.details["endpoints"] as readonly EndpointAttempt[] | undefined) ?? [];
}

class Story {
  readonly #name: ExplainedName;
  readonly #options: ExplainOptions & { readonly isAssumed?: boolean };
  readonly #candidates: readonly ScopeCandidate[];
  readonly #places: PlaceTeller;

  constructor(
    name: ExplainedName,
    options: ExplainOptions & { readonly isAssumed?: boolean },
    candidates: readonly ScopeCandidate[],
    places: PlaceTeller,
  ) {
    this.#name = name;
    this.#options = options;
    this.#candidates = candidates;
    this.#places = places;
  }

  async tell(open: () => Promise<ExplainedSource>): Promise<Told> {
    let source: ExplainedSource | undefined;
    const told: { digest: Digest | undefined; list?: NonNullable<ImageExplanation["list"]> } = { digest: undefined };
    try {
      source = await open();
      const top = await source.manifest();
      told.digest = top.digest;
      checkAskedDigest({ name: this.#name }, top);
      const { selected, list } = await this.#select(source, top);
      if (list !== undefined) told.list = list;
      const opened = source;
      const examined = await mapBounded(selected, PARALLEL_MANIFESTS, (manifest) =>
        this.#examine(opened, top, manifest),
      );
      return {
        ...told,
        endpoints: source.endpoints?.() ?? [],
        manifests: examined.map(({ manifest }) => manifest),
        alternatives: examined.map(({ alternatives }) => alternatives),
      };
    } catch (error) {
      if (!(error instanceof SignetError)) throw error;
      return { ...told, endpoints: triedPlaces(source, error), manifests: [], alternatives: [], error };
    } finally {
      await source?.close();
    }
  }

  async #select(
    source: ExplainedSource,
    top: RawManifest,
  ): Promise<{
    readonly selected: readonly SelectedManifest[];
    readonly list?: NonNullable<ImageExplanation["list"]>;
  }> {
    if (this.#options.isAssumed === true)
      return { selected: [{ role: "image", digest: top.digest, fetch: async () => top }] };
    const parsed = parseManifest(top.bytes, top.declaredMediaType);
    const selected = await selectManifests(source, top, this.#options);
    if (parsed.kind !== "list") return { selected };
    const platforms = parsed.instances.map(({ digest, platform }) => ({
      digest,
      ...(platform === undefined ? {} : { platform }),
    }));
    const wanted = this.#options.platform ?? hostPlatform();
    return { selected, list: { platforms, wanted, all: this.#options.all === true } };
  }

  async #examine(
    source: ExplainedSource,
    top: RawManifest,
    { role, digest, platform, fetch }: SelectedManifest,
  ): Promise<{ manifest: ManifestExplanation; alternatives: ReadonlyMap<string, ExplainedVerdict | "unknown"> }> {
    const named = { role, digest, ...(platform === undefined ? {} : { platform }) };
    let raw: RawManifest;
    try {
      raw = await fetch();
    } catch (error) {
      if (!(error instanceof SignetError)) throw error;
      return {
        manifest: { ...named, verdict: "undetermined", unjudged: [], error },
        alternatives: new Map(),
      };
    }
    const reader = new SignatureReader(this.#name, source);
    const { examination } = await examineManifest(reader, raw, this.#options);
    const mayBeSigned = this.#asksForSignatures();
    if (mayBeSigned) await reader.tryRead(raw.namedDigest ?? raw.digest);
    const manifest: ManifestExplanation = {
      ...named,
      digest: raw.digest,
      verdict: examination.verdict,
      examination,
      ...(reader.lookup === undefined ? {} : { lookup: reader.lookup }),
      unjudged: this.#unjudged(examination, reader),
      ...(await this.#elsewhere(source, top, raw, role, examination)),
      ...(examination.verdict === "undetermined" ? { error: examination.error } : {}),
    };
    return { manifest, alternatives: await this.#judgeAlternatives(reader, raw) };
  }

  #asksForSignatures(): boolean {
    const { requirements } = findGoverningScope(this.#options.policy, this.#name.policyIdentity);
    return requirements.some(({ type }) => type === "signedBy" || type === "sigstoreSigned");
  }

  /** Signatures that no requirement looked at, because its keys were missing or it is of a kind that does not take them. */
  #unjudged(examination: Examination, reader: SignatureReader): ManifestExplanation["unjudged"] {
    const judged = examination.evidence.requirements.flatMap(({ signatures }) => signatures);
    if (judged.length > 0 || reader.reading === undefined) return [];
    return reader.reading.signatures.map(({ bytes, location }) => ({
      location,
      claims: readUntrustedClaims(bytes, nodeEngine),
    }));
  }

  /** For an image that lacks a signature: whether one lies where people often put it. */
  async #elsewhere(
    source: ExplainedSource,
    top: RawManifest,
    raw: RawManifest,
    role: ManifestExplanation["role"],
    examination: Examination,
  ): Promise<Pick<ManifestExplanation, "listSignatures" | "attachments">> {
    if (examination.verdict !== "rejected") return {};
    const codes = new Set(examination.reasons.map(({ code }) => code));
    const found: { listSignatures?: number; attachments?: { tag: string; count: number } } = {};
    if (role === "instance" && (codes.has("no-signature") || codes.has("manifest-digest"))) {
      const reading = await new SignatureReader(this.#name, source).tryRead(top.digest);
      if (reading !== undefined) found.listSignatures = reading.signatures.length;
    }
    if (codes.has("no-signature")) {
      const attachments = await this.#findAttachments(source, raw.namedDigest ?? raw.digest);
      if (attachments !== undefined) found.attachments = attachments;
    }
    return found;
  }

  /** Sigstore signatures that are attached to a manifest under the tag that its digest makes; undefined when it cannot be told. */
  async #findAttachments(source: ExplainedSource, digest: Digest): Promise<{ tag: string; count: number } | undefined> {
    const place = this.#places.place?.(source.endpoints?.() ?? []);
    if (place === undefined) return undefined;
    const tag = `${digestAlgorithm(digest)}-${digestHex(digest)}.sig`;
    try {
      const manifest = await place.client.fetchManifest(place.endpoint.reference.path, { tag });
      const parsed = parseManifest(manifest.bytes, manifest.declaredMediaType);
      return { tag, count: parsed.kind === "image" ? parsed.layers.length : 0 };
    } catch (error) {
      if (!(error instanceof SignetError)) throw error;
      return error.code === "image-missing" ? { tag, count: 0 } : undefined;
    }
  }

  /** What the less specific scopes would say of a manifest, by label. */
  async #judgeAlternatives(
    reader: SignatureReader,
    raw: RawManifest,
  ): Promise<ReadonlyMap<string, ExplainedVerdict | "unknown">> {
    const verdicts = new Map<string, ExplainedVerdict | "unknown">();
    for (const candidate of behindGoverning(this.#candidates)) {
      const policy: Policy = {
        source: undefined,
        raw: undefined,
        default: candidate.requirements!,
        transports: new Map(),
      };
      const { examination } = await examineManifest(reader.onlyWhatWasRead(), raw, { ...this.#options, policy });
      const isUnread = examination.verdict === "undetermined" && examination.error.details["unread"] === true;
      verdicts.set(candidate.label, isUnread ? "unknown" : examination.verdict);
    }
    return verdicts;
  }

  scopes(verdict: ExplainedVerdict, told: Told): readonly ScopeExplanation[] {
    return this.#candidates.map((candidate) => {
      const { requirements, label, governs } = candidate;
      if (requirements === undefined) return candidate;
      const alternatives = told.alternatives.map((one) => one.get(label));
      const other = combine(alternatives);
      return {
        ...candidate,
        summary: summarizeRequirements(requirements),
        ...(governs ? { verdict } : other === undefined ? {} : { verdict: other }),
      };
    });
  }
}

/** Existing scopes that would govern if the governing one were not there. */
function behindGoverning(candidates: readonly ScopeCandidate[]): readonly ScopeCandidate[] {
  const governing = candidates.findIndex(({ governs }) => governs);
  return candidates.filter(({ requirements }, index) => index > governing && requirements !== undefined);
}

/** One word for several manifests: the worst. */
function combine(
  verdicts: readonly (ExplainedVerdict | "unknown" | undefined)[],
): ExplainedVerdict | "unknown" | undefined {
  for (const worst of ["rejected", "undetermined", "unknown", "accepted"] as const)
    if (verdicts.includes(worst)) return worst;
  return undefined;
}

/** Reads the signatures of one manifest once, and remembers how that went. */
class SignatureReader implements JudgedSource {
  readonly name: ExplainedName;
  readonly #source: Pick<ImageSource, "signatures">;
  #read: Promise<SignatureReading> | undefined;
  reading: SignatureReading | undefined;
  lookup: LookupExplanation | undefined;

  constructor(name: ExplainedName, source: Pick<ImageSource, "signatures">) {
    this.name = name;
    this.#source = source;
  }

  signatures(digest: Digest): Promise<SignatureReading> {
    this.#read ??= this.#readOnce(digest);
    return this.#read;
  }

  async #readOnce(digest: Digest): Promise<SignatureReading> {
    try {
      const reading = await this.#source.signatures(digest);
      const { store, attempts, warnings } = reading;
      this.reading = reading;
      this.lookup = { store, attempts, warnings, found: reading.signatures.length };
      return reading;
    } catch (error) {
      if (error instanceof SignetError) this.lookup = failedLookup(error);
      throw error;
    }
  }

  /** Undefined when they cannot be read. */
  async tryRead(digest: Digest): Promise<SignatureReading | undefined> {
    try {
      return await this.signatures(digest);
    } catch (error) {
      if (error instanceof SignetError) return undefined;
      throw error;
    }
  }

  /** The same signatures, and an error where nobody has asked for them yet. */
  onlyWhatWasRead(): JudgedSource {
    const read = this.#read;
    return {
      name: this.name,
      signatures: () => {
        if (read !== undefined) return read;
        throw new UndeterminedError("requirement-undetermined", "signatures were not read", {
          details: { unread: true },
        });
      },
    };
  }
}

function failedLookup(error: SignetError): LookupExplanation {
  const attempts = attemptsOf(error);
  return {
    store: "",
    attempts,
    warnings: [],
    found: attempts.filter(({ outcome }) => outcome === "found").length,
    error,
  };
}
