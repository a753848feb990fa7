/** What a policy trusts, in one stable shape: `trust show --output json`, and what its table is made from. */
import {
  type Certificate,
  type KeySource,
  type Policy,
  type Requirement,
  type Requirements,
  SignetError,
  type SignedIdentity,
  type SigstoreSignedRequirement,
  makeKeyring,
  parseKeyring,
  revokeCertificates,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type RegistriesD, lookasideBaseOfScope } from "@signet/images";
import { type CertificateReport, reportCertificate } from "../keys/key-report.ts";

/** The whole document. */
export interface TrustReport {
  /** The policy file. */
  readonly policy: string;
  /** The default first, then the scopes by transport and name. */
  readonly scopes: readonly ScopeReport[];
}

/** One entry of the policy. */
export interface ScopeReport {
  /** As policy.json writes it; null for the top-level default. */
  readonly transport: string | null;
  /** As written; `""` is the transport's own default, null the top-level one. */
  readonly scope: string | null;
  /** All of them must be met. */
  readonly requirements: readonly RequirementTrust[];
  /** Where signatures of the scope's images are read; null for transports without such a store and where no section of registries.d names one. */
  readonly store: { readonly url: string; readonly explanation: string } | null;
}

/** In podman's words; null for requirements that nothing can meet. */
export type TrustWord = "accept" | "reject" | "signed" | "sigstoreSigned" | null;

export interface RequirementTrust {
  readonly type: Requirement["type"];
  readonly trust: TrustWord;
  /** A signature by any of them is enough. Empty unless `type` is signedBy. */
  readonly keys: readonly KeyTrust[];
  /** Only of signedBy. */
  readonly keyType?: string;
  /** What the signature must be for. */
  readonly signedIdentity?: object;
  /** Only of sigstoreSigned: whom the signature must come from. */
  readonly sigstore?: object;
}

/** One place that a requirement names for keys. */
export interface KeyTrust {
  /** A path as the policy has it, or `keyData`. */
  readonly source: string;
  readonly certificates: readonly CertificateReport[];
  /** Why nothing, or not everything, could be read. */
  readonly problems: readonly string[];
}

export interface TrustReportOptions {
  readonly registriesD: RegistriesD;
  /** Reads a key file by the path that the policy has. */
  readonly readKeyFile: (path: string) => Uint8Array;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
}

/** Reports a whole policy. Keys that cannot be read are said, not thrown. */
export function reportTrust(policy: Policy, path: string, options: TrustReportOptions): TrustReport {
  const reporter = new TrustReporter(options);
  const scopes: ScopeReport[] = [reporter.report(null, null, policy.default)];
  for (const [transport, entries] of sorted(policy.transports)) {
    for (const [scope, requirements] of sorted(entries)) scopes.push(reporter.report(transport, scope, requirements));
  }
  return { policy: path, scopes };
}

/** In byte order, as podman shows them. */
function sorted<T>(entries: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

const words: Readonly<Record<Requirement["type"], TrustWord>> = {
  insecureAcceptAnything: "accept",
  reject: "reject",
  signedBy: "signed",
  signedBaseLayer: null,
  sigstoreSigned: "sigstoreSigned",
};

class TrustReporter {
  readonly #options: TrustReportOptions;
  /** By path: one file may stand in many scopes. */
  readonly #files = new Map<string, KeyTrust>();

  constructor(options: TrustReportOptions) {
    this.#options = options;
  }

  report(transport: string | null, scope: string | null, requirements: Requirements): ScopeReport {
    const store = transport === "docker" ? this.#store(scope ?? "") : null;
    return { transport, scope, requirements: requirements.map((requirement) => this.#requirement(requirement)), store };
  }

  #store(scope: string): ScopeReport["store"] {
    const { base, explanation, section } = lookasideBaseOfScope(this.#options.registriesD, scope, "read");
    return section === undefined ? null : { url: base.label, explanation };
  }

  #requirement(requirement: Requirement): RequirementTrust {
    const { type } = requirement;
    const named = { type, trust: words[type], keys: [] };
    switch (requirement.type) {
      case "signedBy": {
        const { keyType, keys, signedIdentity } = requirement;
        return { ...named, keyType, keys: this.#keys(keys), signedIdentity: reportIdentity(signedIdentity) };
      }
      case "sigstoreSigned":
        return {
          ...named,
          signedIdentity: reportIdentity(requirement.signedIdentity),
          sigstore: reportSigstore(requirement),
        };
      case "signedBaseLayer":
      case "insecureAcceptAnything":
      case "reject":
        return named;
    }
  }

  #keys(keys: KeySource): readonly KeyTrust[] {
    if (keys.kind === "data") return keys.blobs.map((blob) => this.#read(EMBEDDED, () => blob));
    return keys.paths.map((path) => {
      const known = this.#files.get(path);
      if (known !== undefined) return known;
      const read = this.#read(path, () => this.#options.readKeyFile(path));
      this.#files.set(path, read);
      return read;
    });
  }

  #read(source: string, bytes: () => Uint8Array): KeyTrust {
    try {
      const { certificates, strayRevocations, warnings } = parseKeyring(bytes(), nodeEngine);
      const revoked: readonly Certificate[] = revokeCertificates(certificates, strayRevocations, nodeEngine);
      return {
        source,
        certificates: makeKeyring(revoked).certificates.map((certificate) =>
          reportCertificate(certificate, source, this.#options.now),
        ),
        problems: warnings,
      };
    } catch (error) {
      if (!(error instanceof SignetError)) throw error;
      return { source, certificates: [], problems: [error.message] };
    }
  }
}

const EMBEDDED = "keyData";

/** As policy.json writes it. */
function reportIdentity(identity: SignedIdentity): object {
  switch (identity.type) {
    case "exactReference":
      return { type: identity.type, dockerReference: identity.dockerReference };
    case "exactRepository":
      return { type: identity.type, dockerRepository: identity.dockerRepository };
    case "remapIdentity":
      return { type: identity.type, prefix: identity.prefix, signedPrefix: identity.signedPrefix };
    case "matchExact":
    case "matchRepoDigestOrExact":
    case "matchRepository":
      return { type: identity.type };
  }
}

function reportSigstore({ trust, rekor }: SigstoreSignedRequirement): object {
  const sources = (source: KeySource | undefined): readonly string[] =>
    source === undefined ? [] : source.kind === "files" ? source.paths : source.blobs.map(() => EMBEDDED);
  const log = { rekor: sources(rekor) };
  switch (trust.kind) {
    case "keys":
      return { keys: sources(trust.keys), ...log };
    case "fulcio":
      return {
        fulcio: sources(trust.authorities),
        oidcIssuer: trust.oidcIssuer,
        subjectEmail: trust.subjectEmail,
        ...log,
      };
    case "pki":
      return {
        pki: sources(trust.roots),
        intermediates: sources(trust.intermediates),
        subjectEmail: trust.subjectEmail ?? null,
        subjectHostname: trust.subjectHostname ?? null,
        ...log,
      };
  }
}
