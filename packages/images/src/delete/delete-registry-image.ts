/** Deleting an image in a registry, with its signatures. */
import { type Digest, InternalError, type Reference, SignetError, StoreError, UsageError } from "@signet/core";
import { deleteCompanions } from "../copy/delete-companions.ts";
import { distinctInstances, readContent } from "../copy/manifest-content.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { SignatureStore } from "../stores/signature-store.ts";
import type { ImageName, RawManifest } from "../transports/transport.ts";
import type { DeleteOptions, DeleteResult, DeletedSignatures } from "./delete-options.ts";
import { type TagSurvey, surveyTags } from "./tag-survey.ts";

interface Place {
  readonly name: ImageName;
  readonly client: RegistryClient;
  readonly reference: Reference;
  readonly store: SignatureStore;
}

/** What is going to be done. */
interface Plan {
  readonly digest: Digest;
  /** The list or image first, then its instances. */
  readonly manifests: readonly { readonly digest: Digest; readonly outcome: "deleted" | "gone" | "shared" }[];
  readonly otherTags: readonly string[];
  readonly warnings: readonly string[];
  /** True: a deletion before this one did not come to its end. */
  readonly isCompletion: boolean;
}

/**
 * Resolves the name once and deletes that digest. Every tag that names it goes with it, as registries have it. Signatures are removed at the place where they are written,
 * when all manifests are gone.
 *
 * For a digest whose manifest is gone, what signatures it has left are removed: that completes a deletion that was cut short. Where signatures outlive their manifests, a
 * note keeps the digests until the signatures are gone, so that the tag that was deleted by completes it as well. Instances that such a deletion left are named and
 * stay: a note is not enough to delete by.
 * @throws StoreError `image-missing`, `signature-store-unwritable` before anything is deleted, and the `registry-…` codes
 */
export async function deleteRegistryImage(name: ImageName, options: DeleteOptions): Promise<DeleteResult> {
  const place = await openPlace(name, options);
  const plan = await makePlan(place, options);
  const deleted = plan.manifests.filter(({ outcome }) => outcome !== "shared");
  const held = options.keepSignatures === true ? [] : await countSignatures(place, deleted);
  const isNothing =
    !plan.isCompletion &&
    plan.manifests.every(({ outcome }) => outcome === "gone") &&
    held.every(({ count }) => count === 0);
  const dryRun = options.dryRun === true;
  if (!dryRun) {
    options.onBegin?.(plan.digest);
    if (!plan.isCompletion && held.some(({ count }) => count > 0)) await note(place, deleted);
  }
  const outcomes = dryRun ? plan.manifests : await deleteManifests(place, plan, options);
  const beside = options.keepSignatures === true ? noCompanions : await removeCompanions(place, deleted, dryRun);
  if (isNothing && beside.removed.length === 0) throw missing(place, plan.digest);
  const { signatures, warnings } = await removeSignatures(place, held, dryRun);
  return {
    image: name.text,
    digest: plan.digest,
    dryRun,
    manifests: outcomes,
    otherTags: plan.otherTags,
    signatures,
    removed: beside.removed,
    warnings: [...plan.warnings, ...beside.warnings, ...warnings],
  };
}

interface RemovedCompanions {
  /** For people. */
  readonly removed: readonly string[];
  readonly warnings: readonly string[];
}

const noCompanions: RemovedCompanions = { removed: [], warnings: [] };

/** After the manifests: an image that can still be pulled must not have lost what vouches for it. */
async function removeCompanions(
  { client, reference }: Place,
  manifests: readonly { readonly digest: Digest }[],
  dryRun: boolean,
): Promise<RemovedCompanions> {
  const removed: string[] = [];
  const warnings: string[] = [];
  for (const { digest } of manifests) {
    const gone = await deleteCompanions(client, reference.path, digest, { dryRun });
    removed.push(...gone.tags.map((tag) => `tag ${tag}`), ...gone.referrers.map((referrer) => `referrer ${referrer}`));
    warnings.push(...gone.warnings);
  }
  return { removed, warnings };
}

async function openPlace(name: ImageName, { open }: DeleteOptions): Promise<Place> {
  const { reference } = name;
  if (reference === undefined) throw new InternalError(`${name.text} has no docker reference`);
  if (open?.docker === undefined)
    throw new UsageError(
      "transport-unsupported",
      `${name.text}: docker:// needs a registry client, and none was given`,
    );
  const client = open.docker.clients.clientFor(reference.domain);
  await client.ping();
  return { name, client, reference, store: await open.docker.chooseSignatureStore(client, reference) };
}

async function makePlan(place: Place, options: DeleteOptions): Promise<Plan> {
  const { reference } = place;
  const top = await fetchTop(place);
  if (top instanceof StoreError) return planCompletion(place, top);
  const digest = top.namedDigest ?? top.digest;
  const content = readContent(top);
  const instances = content.kind === "list" ? distinctInstances(content.list).map((one) => one.digest) : [];
  const survey = await surveyTags(place.client, reference, digest);
  const warnings = [...survey.warnings];
  if (instances.length > 0 && options.all !== true)
    warnings.push(`the ${instances.length} instances of the list stay in the registry; --all deletes them as well`);
  const ofInstances = options.all === true ? planInstances(place, instances, survey, warnings) : [];
  const manifests = [{ digest, outcome: "deleted" as const }, ...ofInstances];
  return { digest, manifests, otherTags: survey.sameTags, warnings, isCompletion: false };
}

async function note({ store, reference }: Place, manifests: readonly { readonly digest: Digest }[]): Promise<void> {
  const tag = reference.digest === undefined ? (reference.tag ?? "latest") : undefined;
  await store.noteDeletion?.(reference, { tag, manifests: manifests.map(({ digest }) => digest) });
}

/** What a deletion left that was cut short: manifests that are gone, by the name's digest and by notes of the store. */
async function planCompletion(place: Place, missingTop: StoreError): Promise<Plan> {
  const { client, reference, store } = place;
  const named = reference.digest;
  const notes = ((await store.readDeletions?.(reference)) ?? []).filter(({ tag, manifests }) =>
    named === undefined ? tag === (reference.tag ?? "latest") : manifests[0] === named,
  );
  const gone = new Set(named === undefined ? [] : [named]);
  const left = new Set<Digest>();
  let isCompletion = false;
  for (const { manifests } of notes) {
    const [first, ...others] = manifests as [Digest, ...Digest[]];
    // An image that is there was not deleted, or has been pushed again.
    if (first !== named && (await isThere(client, reference, first))) continue;
    isCompletion = true;
    gone.add(first);
    for (const digest of others) ((await isThere(client, reference, digest)) ? left : gone).add(digest);
  }
  const [digest] = gone;
  if (digest === undefined) throw missingTop;
  const commands = [...left].map((one) => `signet delete ${reference.domain}/${reference.path}@${one}`);
  return {
    digest,
    manifests: [...gone].map((one) => ({ digest: one, outcome: "gone" as const })),
    otherTags: [],
    warnings:
      commands.length === 0 ? [] : [`instances of the list are still in the registry: ${commands.join(" && ")}`],
    isCompletion,
  };
}

async function isThere(client: RegistryClient, reference: Reference, digest: Digest): Promise<boolean> {
  try {
    await client.fetchManifest(reference.path, { digest });
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** The error, when the name names nothing any more. */
async function fetchTop({ client, reference }: Place): Promise<RawManifest | StoreError> {
  const { digest, tag } = reference;
  try {
    return await client.fetchManifest(reference.path, digest === undefined ? { tag: tag ?? "latest" } : { digest });
  } catch (error) {
    if (error instanceof StoreError && isMissing(error)) return error;
    throw error;
  }
}

/** An instance that another image of the repository uses must stay, or that image breaks. */
function planInstances(
  place: Place,
  instances: readonly Digest[],
  survey: TagSurvey,
  warnings: string[],
): Plan["manifests"] {
  if (!survey.isComplete) {
    throw new StoreError(
      "destination-unsuitable",
      `${place.name.text}: it cannot be told whether other images use the instances of the list: ${survey.warnings.join("; ")}`,
      { side: "destination", hint: "delete the list without --all, and instances that nobody needs by their digests" },
    );
  }
  return instances.map((digest) => {
    const users = survey.users.get(digest) ?? [];
    if (users.length === 0) return { digest, outcome: "deleted" as const };
    warnings.push(`instance ${digest} stays: ${users.join(", ")} ${users.length === 1 ? "uses" : "use"} it`);
    return { digest, outcome: "shared" as const };
  });
}

/** How many signatures there are to be removed; fails before anything is deleted if they could not be. */
async function countSignatures(
  { store, reference, name }: Place,
  manifests: readonly { readonly digest: Digest }[],
): Promise<readonly { readonly digest: Digest; readonly count: number }[]> {
  const counts: { digest: Digest; count: number }[] = [];
  for (const { digest } of manifests) {
    const canBeChanged = store.unwritable === undefined && store.readWritten !== undefined;
    const count = await countStored(() =>
      canBeChanged ? store.readWritten!(reference, digest) : store.read(reference, digest),
    );
    if (count > 0 && store.unwritable !== undefined) {
      throw new StoreError(
        "signature-store-unwritable",
        `${name.text} has ${count} signatures that cannot be removed: ${store.unwritable}; nothing was deleted`,
        {
          side: "destination",
          hint: "delete the image without them: --keep-signatures; or add `lookaside-staging: file:///…` to registries.d",
        },
      );
    }
    counts.push({ digest, count });
  }
  return counts;
}

/** A signatures API knows nothing of a manifest that is gone. */
async function countStored(read: () => Promise<{ readonly signatures: readonly unknown[] }>): Promise<number> {
  try {
    return (await read()).signatures.length;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

async function deleteManifests(place: Place, plan: Plan, options: DeleteOptions): Promise<Plan["manifests"]> {
  const { client, reference } = place;
  const done: { digest: Digest; outcome: "deleted" | "gone" | "shared" }[] = [];
  for (const [index, { digest, outcome }] of plan.manifests.entries()) {
    if (outcome !== "deleted") {
      done.push({ digest, outcome });
      continue;
    }
    options.signal?.throwIfAborted();
    try {
      await client.deleteManifest(reference.path, digest);
      done.push({ digest, outcome });
    } catch (error) {
      if (isMissing(error) && index > 0) done.push({ digest, outcome: "gone" });
      else {
        // An answer that refuses leaves nothing in doubt; a connection that broke does.
        const isRefused =
          index === 0 && error instanceof StoreError && (error.status ?? 0) >= 400 && error.status! < 500;
        if (isRefused) await place.store.forgetDeletion?.(reference, digest);
        throw explainFailure(error, place, plan.manifests.slice(0, index), plan.manifests.slice(index));
      }
    }
  }
  return done;
}

function explainFailure(
  error: unknown,
  { name, client, reference }: Place,
  before: Plan["manifests"],
  after: Plan["manifests"],
): unknown {
  if (!(error instanceof StoreError)) return error;
  const { code, status, retryable } = error;
  const isForbidden = status === 405 || status === 501;
  const left = after.filter(({ outcome }) => outcome === "deleted").map(({ digest }) => digest);
  const state =
    before.length === 0
      ? "nothing was deleted"
      : `deleted are ${before.map(({ digest }) => digest).join(", ")}; left are ${left.join(", ")} and all signatures`;
  const repository = `${reference.domain}/${reference.path}`;
  const again = [...before, ...after]
    .filter(({ outcome }) => outcome !== "shared")
    .map(({ digest }) => `signet delete ${repository}@${digest}`);
  return new StoreError(
    code,
    isForbidden
      ? `${name.text}: ${client.domain} does not allow deleting (HTTP ${status}); ${state}`
      : `${error.message}; ${state}`,
    {
      cause: error,
      side: "destination",
      retryable,
      ...(status === undefined ? {} : { status }),
      hint: isForbidden
        ? "ask whoever runs the registry; docker's own allows it with REGISTRY_STORAGE_DELETE_ENABLED=true"
        : before.length === 0
          ? (error.hint ?? "try again")
          : `complete it with ${again.join(" && ")}`,
      details: { deleted: before.map(({ digest }) => digest), left },
    },
  );
}

async function removeSignatures(
  place: Place,
  held: readonly { readonly digest: Digest; readonly count: number }[],
  dryRun: boolean,
): Promise<{ readonly signatures: readonly DeletedSignatures[]; readonly warnings: readonly string[] }> {
  const { store, reference } = place;
  const signatures: DeletedSignatures[] = [];
  const warnings: string[] = [];
  // Backwards: the note goes with the signatures of the first, when those of all others are gone.
  const order = held.toReversed();
  for (const [index, { digest, count }] of order.entries()) {
    const label = store.label;
    if (store.appendOnly === true) {
      // Whether they go with their manifest is the registry's matter; afterwards it can be asked.
      const left = dryRun ? count : await countStored(() => store.read(reference, digest));
      if (left > 0) {
        const verb = dryRun
          ? "cannot be removed through the API; they go with the manifest, or stay"
          : "are still there";
        warnings.push(`${label}: ${left} signatures of ${digest} ${verb}`);
      }
      signatures.push({ digest, store: label, removed: dryRun ? 0 : count - left, left });
      continue;
    }
    if (!dryRun) await removeStored(place, digest, order.slice(index));
    const served = dryRun ? 0 : await countServed(place, digest);
    if (served > 0)
      warnings.push(`${label} still serves ${served} signatures of ${digest}; publish there what was removed`);
    signatures.push({ digest, store: label, removed: dryRun ? 0 : count, left: dryRun ? count : served });
  }
  return { signatures: signatures.toReversed().filter(({ removed, left }) => removed + left > 0), warnings };
}

async function removeStored(
  { store, reference }: Place,
  digest: Digest,
  left: readonly { readonly digest: Digest; readonly count: number }[],
): Promise<void> {
  // A store that was never written to need not be writable.
  if (left[0]!.count === 0 && store.unwritable !== undefined) return;
  try {
    await store.remove(reference, digest);
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    const names = left.filter(({ count }) => count > 0).map((one) => one.digest);
    const repository = `${reference.domain}/${reference.path}`;
    throw new StoreError(
      error.code,
      `the manifest is deleted, its signatures are not: ${error.message}; left are those of ${names.join(", ")} in ${store.label}`,
      {
        cause: error,
        side: "destination",
        hint: `complete it with ${names.map((name) => `signet delete ${repository}@${name}`).join(" && ")}`,
        details: { left: names },
      },
    );
  }
}

/** What the place that is read still has, where it is another one than the place that is written. */
async function countServed({ store, reference }: Place, digest: Digest): Promise<number> {
  try {
    return await countStored(() => store.read(reference, digest));
  } catch (error) {
    // The deletion is done; a store that cannot be read now has nothing more to say about it.
    if (error instanceof SignetError) return 0;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof SignetError && error.code === "image-missing";
}

function missing({ name }: Place, digest: Digest): StoreError {
  return new StoreError("image-missing", `${name.text}: there is no manifest ${digest}, and no signature of it`, {
    side: "destination",
    hint: "check repository and digest",
  });
}
