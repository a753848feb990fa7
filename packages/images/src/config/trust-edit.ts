/** Changing what is trusted: policy.json and registries.d in one step. */
import { dirname, join } from "node:path";
import {
  type EditedPolicy,
  type JsonValue,
  type PolicyOutline,
  StoreError,
  UsageError,
  newPolicy,
  outlinePolicy,
  removePolicyScope,
  setPolicyDefault,
  setPolicyScope,
} from "@signet/core";
import { changeFiles, type FileChange, makeFolder } from "./file-change.ts";
import { withFileLock } from "./file-lock.ts";
import type { HostEnvironment } from "./host-environment.ts";
import { findPolicyPlace, type PolicyPlace } from "./policy-place.ts";
import { lockFileOf } from "./policy-replacement.ts";
import type { StoreChange } from "./registries-d-edit.ts";

/** Which files are edited. */
export interface TrustFiles {
  readonly host: HostEnvironment;
  /** The policy that was named (`--policy`). */
  readonly policy?: string;
  /** The folder that was named (`--registries.d`). */
  readonly registriesD?: string;
}

/** What is to become of the trust in images. */
export type TrustChange =
  | {
      readonly kind: "set";
      readonly transport: string;
      /** `""` is the transport's own default. */
      readonly scope: string;
      readonly requirements: readonly JsonValue[];
      /** Further scopes of the same transport, set in the same step. */
      readonly others?: readonly { readonly scope: string; readonly requirements: readonly JsonValue[] }[];
      /** Where the signatures of the scope's images are; for the transport `docker` alone. */
      readonly store?: StoreChange;
    }
  | { readonly kind: "default"; readonly requirements: readonly JsonValue[]; readonly store?: StoreChange }
  | {
      readonly kind: "remove";
      readonly transport: string;
      readonly scope: string;
      /** True: also the scope's section of registries.d goes. */
      readonly withStore: boolean;
    };

/** What a change does, or did. */
export interface TrustEdit {
  readonly policyPath: string;
  /** The files that change, in the order in which they are written. Empty when all is so already. */
  readonly files: readonly FileChange[];
  /** The policy before; undefined when there was none. */
  readonly before: PolicyOutline | undefined;
  /** The policy after. */
  readonly after: EditedPolicy;
  /** The user's registries.d folder, when the change makes it: older readers look at it and no longer at `/etc`. */
  readonly newUserFolder: string | undefined;
}

/**
 * Says what a change would do, and writes nothing.
 * @throws StoreError `policy-missing` when there is no policy that a scope could be set in; PolicyError `policy-malformed`, `registries-d-malformed`; StoreError as
 * reading files does
 */
export async function planTrustEdit(change: TrustChange, files: TrustFiles): Promise<TrustEdit> {
  const place = await findPolicyPlace(files.host, files.policy);
  const before = place.start === undefined ? undefined : outlinePolicy(place.start, place.path);
  const after = editPolicy(change, place);
  const policyFiles = after.bytes === place.start ? [] : [{ ...withoutStart(place), after: after.bytes }];
  const store = await planStore(change, files, place);
  // Setting ends with the policy: until it is there, images are judged by the old one, and the new one finds its signatures at once. Removing begins with it, so
  // that signatures which are still asked for are never looked for in the wrong place. Neither order trusts anything that old and new policy both do not.
  const ordered = change.kind === "remove" ? [...policyFiles, ...store.files] : [...store.files, ...policyFiles];
  return { policyPath: place.path, files: ordered, before, after, newUserFolder: store.newUserFolder };
}

/**
 * Makes a change. Locks keep other editors of the same files out; what they did before is seen. Every file is replaced in one step, its old content kept beside it as `.bak`. A
 * process that is killed leaves each file old or new, and the same change made again completes it.
 *
 * Not checked: editors that do not use the lock.
 * @throws as {@link planTrustEdit}; StoreError `file-unwritable`, `disk-full`, `store-busy`
 */
export async function makeTrustEdit(change: TrustChange, files: TrustFiles): Promise<TrustEdit> {
  const planned = await planTrustEdit(change, files);
  if (planned.files.length === 0) return planned;
  const locks = locksFor(planned);
  for (const { folder } of locks) await makeFolder(folder);
  return withLocks(locks, async () => {
    const edit = await planTrustEdit(change, files);
    if (locksFor(edit).some((lock) => !locks.some(({ path }) => path === lock.path)))
      throw movedAway(planned.policyPath);
    await changeFiles(edit.files);
    // The folder was made for the locks, before this second look.
    return { ...edit, newUserFolder: planned.newUserFolder };
  });
}

function editPolicy(change: TrustChange, { start, path }: PolicyPlace): EditedPolicy {
  if (change.kind === "default") {
    const bytes = start ?? newPolicy(change.requirements);
    return setPolicyDefault(bytes, change.requirements, path);
  }
  if (start === undefined) {
    throw new StoreError("policy-missing", `there is no policy yet: ${path} does not exist`, {
      side: "local",
      hint: "say first what holds for all other images: `signet trust default reject` (or accept)",
    });
  }
  if (change.kind === "remove") return removePolicyScope(start, change.transport, change.scope, path);
  let edited = setPolicyScope(start, change.transport, change.scope, change.requirements, path);
  for (const { scope, requirements } of change.others ?? [])
    edited = setPolicyScope(edited.bytes, change.transport, scope, requirements, path);
  return edited;
}

async function planStore(
  change: TrustChange,
  { host, registriesD }: TrustFiles,
  place: PolicyPlace,
): Promise<Pick<TrustEdit, "files" | "newUserFolder">> {
  const asksForStore = change.kind === "remove" ? change.withStore : change.store !== undefined;
  if (!asksForStore) return noFiles;
  if (place.origin === "named" && registriesD === undefined) {
    if (change.kind === "remove") return noFiles;
    throw new UsageError(
      "command-line-malformed",
      "a store for images of a policy that was named needs a named folder too",
      {
        hint: "add --registries.d DIR: this machine's own is not changed along with another policy",
      },
    );
  }
  const { planSectionChange, planSectionRemoval, readRegistriesDFolders } = await import("./registries-d-place.ts");
  const folders = await readRegistriesDFolders(host, registriesD, place.origin === "user" ? "user" : "system");
  const namespace = change.kind === "default" ? undefined : change.scope;
  const file =
    change.kind === "remove"
      ? planSectionRemoval(folders, namespace)
      : planSectionChange(folders, namespace, change.store!);
  const home = folders.folders[folders.home]!;
  const isNew = file !== undefined && place.origin === "user" && !home.exists && dirname(file.target) === home.target;
  return { files: file === undefined ? [] : [file], newUserFolder: isNew ? home.path : undefined };
}

const noFiles = { files: [], newUserFolder: undefined };

interface Lock {
  readonly folder: string;
  readonly path: string;
  /** What cannot be written when the lock cannot be made. */
  readonly guards: string;
}

/** One lock a file for policies, one a folder for registries.d: there, what another file defines matters. In byte order, so that no two editors wait for each other. */
function locksFor(edit: TrustEdit): readonly Lock[] {
  const locks = edit.files.map(({ path, target }): Lock => {
    const folder = dirname(target);
    const lock = path === edit.policyPath ? lockFileOf(target) : join(folder, ".registries.d.lock");
    return { folder, path: lock, guards: path };
  });
  return locks.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

async function withLocks<T>(locks: readonly Lock[], action: () => Promise<T>): Promise<T> {
  const [first, ...others] = locks;
  if (first === undefined) return action();
  return withFileLock(first.path, () => withLocks(others, action), { guards: first.guards });
}

function withoutStart({ path, target, stats, before, copiedFrom }: PolicyPlace): Omit<FileChange, "after"> {
  return { path, target, stats, before, ...(copiedFrom === undefined ? {} : { copiedFrom }) };
}

function movedAway(path: string): StoreError {
  return new StoreError("store-busy", `${path}: somebody else changed which files are in force`, {
    side: "local",
    retryable: true,
    hint: "run the same again",
  });
}
