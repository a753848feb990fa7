/** Judges images that are about to be pulled, and keeps what it found as long as it holds. */
import { FormatError, TrustAnchors, parseReference } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { LRUCache } from "lru-cache";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { ServedRepository } from "../content/repositories.ts";
import type { Database } from "../db/database.ts";
import { ImageJudge, type ImageJudgement } from "./image-judge.ts";
import {
  type PullPolicy,
  type PullPolicySetting,
  SERVER_KEYRING,
  listGoverning,
  readNamespacePolicies,
  readRepositoryPolicy,
} from "./pull-policy.ts";
import type { KeyringReader, ServerKeyring } from "./server-keyring.ts";

/** Verdicts that are kept; each has some hundred bytes. */
const MAX_VERDICTS = 20_000;
/**
 * Milliseconds that a verdict is kept at most. The expiry of keys and signatures ends it to the millisecond; this is for what else time may change, such as a user id's
 * certification that ends.
 */
const MAX_VERDICT_MS = 60_000;

/** What policies say of one pull. */
export interface PullJudgement {
  /** `refused`: an enforcing policy is not met. `warned`: only policies that warn are not. */
  readonly verdict: "accepted" | "refused" | "warned";
  /** What was not met, by the place the policy was set at. */
  readonly failures: readonly PullFailure[];
}

export interface PullFailure {
  readonly scope: string;
  readonly mode: "enforce" | "warn";
  readonly reasons: readonly { readonly code: string; readonly message: string }[];
}

/** What is pulled: a manifest, by tag or by its digest. */
export interface Pulled {
  readonly digest: string;
  readonly tag: string | undefined;
}

export interface PullGuardOptions {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly keyrings: KeyringReader;
  /**
   * Host names, with ports, under which clients know this server: an image is `NAME/PATH:TAG` to a policy. Without one only identities that policies spell out can match. The
   * `Host` of a request does not count: whoever asks could choose the image's name by it.
   */
  readonly names: readonly string[];
  /** Called for each pull that a policy governs. */
  readonly onJudged: (verdict: PullJudgement["verdict"]) => void;
}

interface KeptVerdict {
  readonly judgement: PullJudgement;
  readonly until: number;
}

/** True for a host, with or without a port, that an image's name can begin with: one word without a dot or a port is read as a part of the path. */
export function isRegistryName(name: string): boolean {
  try {
    const { domain } = parseReference(`${name}/x/y`);
    return domain === name;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

/**
 * Judges pulls by all policies in force. A verdict is kept under the numbers of the last changes to the repository and to trust, so that it can never outlive a change: whoever
 * asks after a change was acknowledged reads other numbers.
 */
export class PullGuard {
  readonly #options: PullGuardOptions;
  readonly #verdicts = new LRUCache<string, KeptVerdict>({ max: MAX_VERDICTS });
  readonly #judge: ImageJudge;
  #namespaces: { readonly trustNumber: number; readonly policies: ReadonlyMap<string, PullPolicySetting> } | undefined;
  #anchors: { readonly version: number; readonly anchors: TrustAnchors } | undefined;

  /** @throws FormatError `reference-malformed` for a name that could not stand before an image's path */
  constructor(options: PullGuardOptions) {
    for (const name of options.names) {
      if (isRegistryName(name)) continue;
      throw new FormatError("reference-malformed", `${JSON.stringify(name)} is no host name of a registry`);
    }
    this.#options = options;
    this.#judge = new ImageJudge(options.database, options.blobs, options.names);
  }

  /** Judges one pull; undefined when no policy governs the path. */
  async judge(served: ServedRepository, pulled: Pulled, now: number): Promise<PullJudgement | undefined> {
    const policies = await this.#policiesOf(served);
    if (policies.length === 0) return undefined;
    const { repositoryId, version, changeNumber, trustNumber, path } = served;
    const key = `${repositoryId}.${version}.${changeNumber}.${trustNumber} ${path} ${pulled.digest} ${pulled.tag ?? ""}`;
    let kept = this.#verdicts.get(key);
    if (kept === undefined || kept.until <= now || now < kept.until - MAX_VERDICT_MS) {
      kept = await this.#judgeAnew(served, policies, pulled, now);
      this.#verdicts.set(key, kept);
    }
    this.#options.onJudged(kept.judgement.verdict);
    return kept.judgement;
  }

  async #judgeAnew(
    served: ServedRepository,
    policies: readonly PullPolicy[],
    pulled: Pulled,
    now: number,
  ): Promise<KeptVerdict> {
    const keyring = await this.#options.keyrings.read(this.#options.database.read);
    const trustAnchors = this.#anchorsOf(keyring);
    const failures: PullFailure[] = [];
    let until = now + MAX_VERDICT_MS;
    for (const policy of policies) {
      const found: ImageJudgement = await this.#judge.judge(served, policy, pulled, { trustAnchors, now });
      until = Math.min(until, found.validUntil);
      if (found.reasons.length > 0) failures.push({ scope: policy.scope, mode: policy.mode, reasons: found.reasons });
    }
    const isRefused = failures.some(({ mode }) => mode === "enforce");
    const verdict = failures.length === 0 ? "accepted" : isRefused ? "refused" : "warned";
    return { judgement: { verdict, failures }, until };
  }

  async #policiesOf(served: ServedRepository): Promise<readonly PullPolicy[]> {
    const { read } = this.#options.database;
    if (this.#namespaces?.trustNumber !== served.trustNumber) {
      // Read after the number was: a change in between is in it already, and has a number of its own for the next request.
      this.#namespaces = { trustNumber: served.trustNumber, policies: await readNamespacePolicies(read) };
    }
    const { policies } = this.#namespaces;
    if (policies.size === 0 && served.pullPolicyMode === "off") return [];
    return listGoverning(served.path, await readRepositoryPolicy(read, served.repositoryId), policies);
  }

  /** Keys of policies, parsed once for each version of the keyring. */
  #anchorsOf(keyring: ServerKeyring): TrustAnchors {
    if (this.#anchors?.version !== keyring.version) {
      const readKeyFile = (path: string): Uint8Array => {
        if (path === SERVER_KEYRING) return keyring.bytes;
        throw new FormatError("key-malformed", `${JSON.stringify(path)} is no keyring of this server`);
      };
      this.#anchors = { version: keyring.version, anchors: new TrustAnchors({ engine: nodeEngine, readKeyFile }) };
    }
    return this.#anchors.anchors;
  }
}
