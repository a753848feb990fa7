/** One image against one pull policy, on the signatures that its repository serves. */
import {
  type Digest,
  type Policy,
  type Reason,
  type Reference,
  type SignatureToJudge,
  type TrustAnchors,
  examineImage,
  parseReference,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { LRUCache } from "lru-cache";
import type { BlobStore } from "../blobs/blob-store.ts";
import { findManifest } from "../content/manifests.ts";
import { isServed, listServedChildren } from "../content/membership.ts";
import type { ServedRepository } from "../content/repositories.ts";
import { listSignatures } from "../content/signatures.ts";
import type { Database } from "../db/database.ts";
import { type PullPolicy, parsePullPolicy } from "./pull-policy.ts";
import { isSignatureData } from "./signature-data.ts";

/** Images of a list that are judged one by one when the list has no signature of its own; lists of releases have a tenth. */
const MAX_INSTANCES = 64;
/** Signed lists that are asked whether they vouch for one image. */
const MAX_LISTS = 64;
/** Reasons of one policy that are kept: each signature may give several. */
const MAX_REASONS = 20;
/** Parsed policies that are kept. */
const MAX_POLICIES = 1_000;
/** Manifests of which it is kept whether they are data. */
const MAX_DATA_KEPT = 10_000;

/** What was found. */
export interface ImageJudgement {
  /** Why the policy is not met; empty when it is. */
  readonly reasons: readonly Pick<Reason, "code" | "message">[];
  /** Milliseconds since 1970: when time may change it. Infinity: never. */
  readonly validUntil: number;
}

interface JudgeContext {
  readonly trustAnchors: TrustAnchors;
  readonly now: number;
}

interface Case extends JudgeContext {
  readonly served: ServedRepository;
  readonly policy: Policy;
}

interface Named {
  readonly digest: string;
  readonly tag?: string | undefined;
}

const accepted: ImageJudgement = { reasons: [], validUntil: Infinity };

/**
 * Decides as containers/image does, as far as a registry can:
 *
 * - A manifest is judged under the name it is pulled by, `NAME/PATH:TAG` or `NAME/PATH@DIGEST`, under any of the server's names.
 * - A list passes by a signature of its own, or when every image in it that the repository serves passes under the list's name: containers/image looks at the image that it
 *   chose, under the name of the list. All of them must pass, since a registry does not know which one a client chooses; else an unsigned list could lead some platforms to
 *   another, older image that was signed for another tag.
 * - An image that is pulled by digest passes by a signature of its own, or when a list that the repository serves, and that has a signature of its own, names it: the signature
 *   covers its digest. A list that passes only by its images vouches for none.
 * - Signatures and statements as artifacts pass: they are what clients judge by, and cannot be run (see `isSignatureData`).
 *
 * Whatever cannot be told counts as not met. Blobs are not judged: their digests lead to nothing that runs without a manifest.
 */
export class ImageJudge {
  readonly #database: Database;
  readonly #blobs: BlobStore;
  readonly #names: readonly string[];
  readonly #policies = new LRUCache<string, Policy>({ max: MAX_POLICIES });
  readonly #data = new LRUCache<string, boolean>({ max: MAX_DATA_KEPT });

  constructor(database: Database, blobs: BlobStore, names: readonly string[]) {
    this.#database = database;
    this.#blobs = blobs;
    this.#names = names;
  }

  async judge(
    served: ServedRepository,
    policy: PullPolicy,
    pulled: Named,
    context: JudgeContext,
  ): Promise<ImageJudgement> {
    const what: Case = { served, policy: this.#parse(policy.requirements), ...context };
    const own = await this.#judgeAlone(what, pulled.digest, pulled);
    if (own.reasons.length === 0) return own;
    // One more than are judged tells that there are more.
    const instances = await listServedChildren(this.#database.read, served, pulled.digest, MAX_INSTANCES + 1);
    if (instances.length > 0) return await this.#judgeInstances(what, instances, pulled, own);
    return (await this.#findVouching(what, pulled.digest)) ?? own;
  }

  #parse(requirements: string): Policy {
    const known = this.#policies.get(requirements);
    if (known !== undefined) return known;
    const policy = parsePullPolicy(requirements);
    this.#policies.set(requirements, policy);
    return policy;
  }

  /** By its own signatures only. */
  async #judgeAlone(what: Case, digest: string, name: Named): Promise<ImageJudgement> {
    if (await this.#isData(what.served, digest)) return accepted;
    const stored = await listSignatures(this.#database.read, what.served, digest);
    const signatures = stored.map(({ name: location, bytes }): SignatureToJudge => ({
      location,
      bytes,
      encoding: "simple-signing",
    }));
    let found: ImageJudgement | undefined;
    for (const reference of this.#referencesOf(what.served.path, name)) {
      found = await examine(what, digest, reference, signatures);
      if (found.reasons.length === 0) return found;
    }
    return found!;
  }

  #referencesOf(path: string, { digest, tag }: Named): readonly (Reference | undefined)[] {
    // Without a name there is nothing that signatures could be compared with.
    if (this.#names.length === 0) return [undefined];
    return this.#names.map((name) => parseReference(`${name}/${path}${tag === undefined ? `@${digest}` : `:${tag}`}`));
  }

  async #isData(served: ServedRepository, digest: string): Promise<boolean> {
    const key = `${served.repositoryId} ${digest}`;
    const known = this.#data.get(key);
    if (known !== undefined) return known;
    const manifest = await findManifest(this.#database.read, served, digest);
    if (manifest === undefined) return false;
    const found = await isSignatureData(this.#database.read, this.#blobs, served, manifest);
    this.#data.set(key, found);
    return found;
  }

  async #judgeInstances(
    what: Case,
    instances: readonly string[],
    list: Named,
    own: ImageJudgement,
  ): Promise<ImageJudgement> {
    if (instances.length > MAX_INSTANCES) return own;
    let validUntil = Infinity;
    for (const digest of instances) {
      const found = await this.#judgeAlone(what, digest, list);
      validUntil = Math.min(validUntil, found.validUntil);
      if (found.reasons.length > 0) {
        const message = `neither the list itself is accepted, nor its image ${digest}`;
        const reasons = [...own.reasons, { code: "list-instance", message }, ...found.reasons];
        return { reasons: reasons.slice(0, MAX_REASONS), validUntil: Math.min(own.validUntil, validUntil) };
      }
    }
    return { reasons: [], validUntil };
  }

  /** The judgement of a signed list that names this manifest and is accepted. */
  async #findVouching(what: Case, digest: string): Promise<ImageJudgement | undefined> {
    const { served } = what;
    const rows = await this.#database.read
      .selectFrom("manifest_child")
      .innerJoin("signature", "signature.manifest_digest", "manifest_child.manifest_digest")
      .crossJoin("membership")
      .select("manifest_child.manifest_digest")
      .distinct()
      .whereRef("membership.unit_key", "=", "signature.digest")
      .where("manifest_child.child_digest", "=", digest)
      .where("signature.format", "=", "simple-signing")
      .where("membership.repository_id", "=", served.repositoryId)
      .where("membership.unit_kind", "=", "signature")
      .limit(MAX_LISTS)
      .execute();
    for (const { manifest_digest: list } of rows) {
      if (!(await isServed(this.#database.read, served, { kind: "manifest", key: list }))) continue;
      const found = await this.#judgeAlone(what, list, { digest: list });
      if (found.reasons.length === 0) return found;
    }
    return undefined;
  }
}

async function examine(
  { policy, trustAnchors, now }: Case,
  digest: string,
  reference: Reference | undefined,
  signatures: readonly SignatureToJudge[],
): Promise<ImageJudgement> {
  const found = await examineImage(
    // Only the policy's default is there to govern it.
    {
      identity: { transport: "docker", identity: "", namespaces: [] },
      reference,
      text: digest,
      digest: digest as Digest,
    },
    {
      policy,
      trustAnchors,
      engine: nodeEngine,
      now,
      readKeyFile: () => new Uint8Array(),
      readSignatures: () => Promise.resolve(signatures),
    },
  );
  if (found.verdict === "accepted") {
    const signers = found.evidence.requirements.flatMap((one) => one.signatures.map(({ signer }) => signer));
    const times = signers.map((signer) =>
      signer?.validUntil === undefined ? Infinity : Date.parse(signer.validUntil),
    );
    return { reasons: [], validUntil: Math.min(...times) };
  }
  if (found.verdict === "undetermined") {
    return { reasons: [{ code: found.error.code, message: found.error.message }], validUntil: Infinity };
  }
  const reasons = found.reasons.slice(0, MAX_REASONS).map(({ code, message }) => ({ code, message }));
  // A signature that was made by a clock ahead of ours is looked at again each time.
  const isEarly = reasons.some(({ code }) => code.endsWith("-creation-time"));
  return { reasons, validUntil: isEarly ? now : Infinity };
}
