/** The registry client: one {@link RegistryClient} a registry, made by {@link RegistryClients}, which holds what they share. */
import { setTimeout as sleep } from "node:timers/promises";
import type { LookupFunction } from "node:net";
import { type Digest, UsageError } from "@signet/core";
import { AUTH_FILES_HELPER, findCredentials } from "../config/auth-file.ts";
import { loadCertificates } from "../config/certs-d.ts";
import type { HostEnvironment } from "../config/host-environment.ts";
import type { BlobDescriptor, RawManifest } from "../transports/transport.ts";
import { fetchBlob, hasBlob } from "./blobs.ts";
import { Connections } from "./connections.ts";
import type { Credentials } from "./credentials.ts";
import { originOf, servingHost } from "./endpoint.ts";
import type { RegistryLog, Wire } from "./exchange.ts";
import { DEFAULT_RETRY_TIMES, MAX_RETRY_TIMES, type Timeouts, defaultTimeouts } from "./limits.ts";
import {
  type ManifestName,
  type StoredManifest,
  deleteManifest,
  deleteTag,
  fetchManifest,
  fetchTagged,
  storeManifest,
} from "./manifests.ts";
import type { Ping } from "./ping.ts";
import { type ProxyChooser, bareHost, proxyFromEnvironment } from "./proxy.ts";
import {
  type ReferrerList,
  type ReferrersOptions,
  changeReferrersTag,
  listReferrers,
  storeReferrers,
} from "./referrers.ts";
import type { Clock, RetryPolicy } from "./retry.ts";
import { RegistrySession } from "./session.ts";
import { type ApiSignature, type ApiSignatureList, listSignatures, putSignature } from "./signatures-api.ts";
import { type TagChange, updateTag } from "./tag-update.ts";
import { listTags } from "./tags.ts";
import { loadTrustedRoots } from "./trusted-roots.ts";
import { mountBlob, uploadBlob } from "./uploads.ts";
import {
  type VerificationResult,
  keepsVerifications,
  recordVerification,
  removeVerifications,
} from "./verifications-api.ts";

export interface RegistryClientsOptions {
  /** Where configuration is looked for; also the proxy variables come from its environment. */
  readonly host: HostEnvironment;
  /** Replaces the search in credential files: for `--creds`, or for tests. */
  readonly credentials?: (domain: string, repository: string | undefined) => Promise<Credentials | undefined>;
  /** `--authfile`. */
  readonly authFile?: string;
  /** `credential-helpers` of the registries.conf in force; undefined when it names none. Default: those of the host's own. */
  readonly credentialHelpers?: () => Promise<readonly string[] | undefined>;
  /** `--cert-dir`. */
  readonly certDir?: string;
  /**
   * False: certificates are not checked, and plain http is used where https fails. Default: checked, except at registries that are opened as insecure; set either way,
   * it counts for all of them.
   */
  readonly tlsVerify?: boolean;
  /** True: a registry that is opened as insecure gets no credentials, since the registries.conf that calls it so is not the user's. Default false. */
  readonly anonymousWhereInsecure?: boolean;
  /**
   * `host[:port]` of token services that may have credentials although they are outside the registry's domain; addresses of their hosts are not judged.
   * Default: those in the environment variable `SIGNET_TRUSTED_REALMS`, separated by commas.
   */
  readonly trustedRealms?: readonly string[];
  /**
   * Hosts that a registry may lead to although they are in a private network; credentials are not sent there. Default: those in the environment variable
   * `SIGNET_TRUSTED_REDIRECTS`, separated by commas.
   */
  readonly trustedRedirects?: readonly string[];
  readonly timeouts?: Partial<Timeouts>;
  /** Further attempts after failures that may pass, 0 to 100. Default 3. */
  readonly retryTimes?: number;
  /** Default `signet`. */
  readonly userAgent?: string;
  readonly clock?: Clock;
  /** From 0 to 1, for the jitter of waits. */
  readonly random?: () => number;
  /** Name resolution. Default: the system's. */
  readonly lookup?: LookupFunction;
  /** Receives one line a request, and warnings; free of secrets. */
  readonly log?: RegistryLog;
}

/** How a registry is meant. */
export interface ClientOptions {
  /** registries.conf allows plain http and unknown certificates at this place. Default false. */
  readonly insecure?: boolean;
  /** False: registries.conf led here, not the image's name. Credentials that were given for the name are then not sent; files are searched instead. Default true. */
  readonly named?: boolean;
}

/** What it takes to ask a web server; see `exchange` and `withRetries`. */
export interface WebAccess {
  readonly wire: Wire;
  readonly retry: RetryPolicy;
}

/** Makes clients and keeps them: connections, tokens and pings are shared by everything that talks to the same registry. Close it to free the sockets. */
export class RegistryClients implements AsyncDisposable {
  readonly #options: RegistryClientsOptions;
  readonly #proxy: ProxyChooser;
  readonly #clients = new Map<string, RegistryClient>();
  readonly #webs = new Map<string, WebAccess & { readonly connections: Connections }>();
  readonly #trustedRealms: readonly string[];
  readonly #trustedHosts: ReadonlySet<string>;
  #roots: Promise<readonly string[]> | undefined;

  /** @throws UsageError `proxy-malformed`, `command-line-malformed`; FormatError `reference-malformed` for a trusted host that is none */
  constructor(options: RegistryClientsOptions) {
    const times = options.retryTimes ?? DEFAULT_RETRY_TIMES;
    if (!Number.isInteger(times) || times < 0 || times > MAX_RETRY_TIMES) {
      throw new UsageError("command-line-malformed", `retry times must be a whole number from 0 to ${MAX_RETRY_TIMES}`);
    }
    const { env } = options.host;
    this.#trustedRealms = options.trustedRealms ?? splitList(env["SIGNET_TRUSTED_REALMS"]);
    const redirects = options.trustedRedirects ?? splitList(env["SIGNET_TRUSTED_REDIRECTS"]);
    this.#trustedHosts = new Set(
      [...this.#trustedRealms, ...redirects].map((host) => bareHost(originOf(host, "https"))),
    );
    this.#options = options;
    this.#proxy = proxyFromEnvironment(env);
  }

  /**
   * The client of the registry that serves a domain.
   * @param domain host with optional port, as in a Reference
   * @throws FormatError `reference-malformed`
   */
  clientFor(domain: string, options: ClientOptions = {}): RegistryClient {
    const { insecure = false, named = true } = options;
    const key = `${domain} ${insecure} ${named}`;
    let client = this.#clients.get(key);
    if (client === undefined) {
      client = this.#makeClient(domain, insecure, named);
      this.#clients.set(key, client);
    }
    return client;
  }

  /**
   * Connections to a web server that is no registry, such as a signature store, with the same TLS settings, proxy, limits and retries, and without credentials.
   * @param host `host[:port]`
   */
  openWeb(host: string): WebAccess {
    let web = this.#webs.get(host);
    if (web === undefined) {
      const connections = this.#connect(host, host, this.#options.tlsVerify ?? true);
      web = { wire: this.#wire(host, connections), retry: this.#retry(), connections };
      this.#webs.set(host, web);
    }
    return web;
  }

  async close(): Promise<void> {
    const open = [...this.#clients.values(), ...[...this.#webs.values()].map((web) => web.connections)];
    this.#clients.clear();
    this.#webs.clear();
    await Promise.all(open.map((one) => one.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #makeClient(domain: string, insecure: boolean, named: boolean): RegistryClient {
    const options = this.#options;
    const tlsVerify = options.tlsVerify ?? !insecure;
    const serving = servingHost(domain);
    originOf(serving, "https");
    const connections = this.#connect(domain, serving, tlsVerify);
    const wire = this.#wire(domain, connections);
    const session = new RegistrySession({
      wire,
      servingHost: serving,
      insecure: !tlsVerify,
      trustedRealms: this.#trustedRealms,
      retry: this.#retry(),
      credentials: async (repository) => {
        // Who said himself that certificates do not count may have his credentials sent.
        if (insecure && options.tlsVerify === undefined && options.anonymousWhereInsecure === true) return undefined;
        if (options.credentials === undefined) return await this.#searchCredentials(domain, repository);
        const given = await options.credentials(domain, repository);
        // Explicitly none stays none.
        return given === undefined || named ? given : await this.#searchCredentials(domain, repository);
      },
    });
    return new RegistryClient(domain, session, connections);
  }

  #wire(registry: string, connections: Connections): Wire {
    const { timeouts, userAgent, log } = this.#options;
    return {
      registry,
      connections,
      timeouts: { ...defaultTimeouts, ...timeouts },
      userAgent: userAgent ?? "signet",
      log: log ?? ((): void => {}),
    };
  }

  #retry(): RetryPolicy {
    const { retryTimes, clock, random } = this.#options;
    return { times: retryTimes ?? DEFAULT_RETRY_TIMES, clock: clock ?? systemClock, random: random ?? Math.random };
  }

  /** @param name under which certificates are kept */
  #connect(name: string, serving: string, tlsVerify: boolean): Connections {
    const { host, certDir, timeouts, lookup } = this.#options;
    return new Connections({
      registryHost: serving,
      tlsVerify,
      proxy: this.#proxy,
      timeouts: { ...defaultTimeouts, ...timeouts },
      trustedHosts: this.#trustedHosts,
      loadCertificates: () => loadCertificates(name, host, certDir === undefined ? {} : { certDir }),
      loadRoots: () => (this.#roots ??= loadTrustedRoots(host)),
      ...(lookup === undefined ? {} : { lookup }),
    });
  }

  async #searchCredentials(domain: string, repository: string | undefined): Promise<Credentials | undefined> {
    const { host, authFile, credentialHelpers, log } = this.#options;
    const helpers = credentialHelpers && ((await credentialHelpers()) ?? [AUTH_FILES_HELPER]);
    const found = await findCredentials(repository === undefined ? domain : `${domain}/${repository}`, {
      host,
      ...(authFile === undefined ? {} : { authFile }),
      ...(helpers === undefined ? {} : { helpers }),
      warn: (message) => log?.("warning", message),
    });
    return found?.credentials;
  }
}

function splitList(text: string | undefined): readonly string[] {
  return (text ?? "")
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (milliseconds) => {
    await sleep(milliseconds);
  },
};

/** Repositories remembered for having no referrers API; the others are asked again. */
const MAX_REMEMBERED_REPOSITORIES = 10_000;

/**
 * Everything Signet does at one registry. Each method authenticates as the registry asks for it, retries what may pass, and holds every limit; bytes that
 * were asked for by digest are compared with it. Errors are StoreErrors with the registry's own words, made safe to print.
 */
export class RegistryClient {
  /** As references write it. */
  readonly domain: string;
  readonly #session: RegistrySession;
  readonly #connections: Connections;
  /** Repositories of which it is known that the registry answers no referrers API for them. */
  readonly #withoutReferrersApi = new Set<string>();

  constructor(domain: string, session: RegistrySession, connections: Connections) {
    this.domain = domain;
    this.#session = session;
    this.#connections = connections;
  }

  /** What the registry says at the door; asked once. Tells whether it has the signatures extension. */
  ping(): Promise<Ping> {
    return this.#session.ping();
  }

  /**
   * Makes sure that the registry accepts the credentials it is given.
   * @throws StoreError `registry-unauthorized` when it does not, or there are none and it wants some
   */
  async checkLogin(): Promise<void> {
    const answer = await this.#session.open({
      method: "GET",
      path: "/v2/",
      access: [],
      expect: [200],
      what: `logging in to ${this.domain}`,
    });
    await answer.discard();
  }

  /** See {@link fetchManifest}. */
  fetchManifest(repository: string, name: ManifestName): Promise<RawManifest> {
    return fetchManifest(this.#session, repository, name);
  }

  /** See {@link storeManifest}. */
  storeManifest(repository: string, name: ManifestName, bytes: Uint8Array, mediaType: string): Promise<StoredManifest> {
    return storeManifest(this.#session, repository, name, bytes, mediaType);
  }

  /** See {@link deleteManifest}. */
  deleteManifest(repository: string, digest: Digest): Promise<void> {
    return deleteManifest(this.#session, repository, digest);
  }

  /** See {@link fetchTagged}. */
  async fetchTagged(repository: string, tag: string): Promise<RawManifest | undefined> {
    return (await fetchTagged(this.#session, repository, tag))?.manifest;
  }

  /** See {@link updateTag}. */
  updateTag(repository: string, tag: string, change: TagChange): Promise<boolean> {
    return updateTag(this.#session, repository, tag, change);
  }

  /** See {@link deleteTag}. */
  deleteTag(repository: string, tag: string): Promise<boolean> {
    return deleteTag(this.#session, repository, tag);
  }

  /** See {@link listReferrers}. */
  async listReferrers(repository: string, digest: Digest, options: ReferrersOptions = {}): Promise<ReferrerList> {
    const tagOnly = options.tagOnly ?? this.#withoutReferrersApi.has(repository);
    const list = await listReferrers(this.#session, repository, digest, { ...options, tagOnly });
    // A repository that is there and does not know the API now will not learn it while this client lives.
    if (list.from === "tag" && this.#withoutReferrersApi.size < MAX_REMEMBERED_REPOSITORIES)
      this.#withoutReferrersApi.add(repository);
    return list;
  }

  /** See {@link storeReferrers}. */
  storeReferrers(repository: string, subject: Digest, manifests: readonly RawManifest[]): Promise<void> {
    return storeReferrers(this.#session, repository, subject, manifests);
  }

  /** See {@link changeReferrersTag}. */
  removeFromReferrersTag(repository: string, subject: Digest, digests: ReadonlySet<Digest>): Promise<boolean> {
    return changeReferrersTag(this.#session, repository, subject, { remove: digests });
  }

  /** See {@link fetchBlob}. */
  fetchBlob(repository: string, descriptor: BlobDescriptor): AsyncGenerator<Uint8Array, void, undefined> {
    return fetchBlob(this.#session, repository, descriptor);
  }

  /** See {@link hasBlob}. */
  hasBlob(repository: string, descriptor: BlobDescriptor): Promise<boolean> {
    return hasBlob(this.#session, repository, descriptor);
  }

  /** See {@link mountBlob}. */
  mountBlob(repository: string, digest: Digest, from: string): Promise<boolean> {
    return mountBlob(this.#session, repository, digest, from);
  }

  /** See {@link uploadBlob}. */
  uploadBlob(repository: string, descriptor: BlobDescriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    return uploadBlob(this.#session, repository, descriptor, chunks);
  }

  /** See {@link listTags}. */
  listTags(repository: string): Promise<readonly string[]> {
    return listTags(this.#session, repository);
  }

  /** See {@link listSignatures}. */
  listSignatures(repository: string, digest: Digest): Promise<ApiSignatureList> {
    return listSignatures(this.#session, repository, digest);
  }

  /** See {@link putSignature}. */
  putSignature(repository: string, digest: Digest, signature: ApiSignature): Promise<"created" | "conflict"> {
    return putSignature(this.#session, repository, digest, signature);
  }

  /** See {@link keepsVerifications}. */
  keepsVerifications(repository: string, digest: Digest): Promise<boolean> {
    return keepsVerifications(this.#session, repository, digest);
  }

  /** See {@link recordVerification}. */
  recordVerification(
    repository: string,
    digest: Digest,
    signature: Digest,
    result: VerificationResult,
  ): Promise<boolean> {
    return recordVerification(this.#session, repository, digest, signature, result);
  }

  /** See {@link removeVerifications}. */
  removeVerifications(repository: string, digest: Digest): Promise<void> {
    return removeVerifications(this.#session, repository, digest);
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }
}
