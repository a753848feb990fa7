/** Which policy.json is edited, and where its content comes from. */
import { basename, dirname, join, resolve } from "node:path";
import { MAX_POLICY_BYTES, StoreError } from "@signet/core";
import { readFileBounded } from "./bounded-file.ts";
import type { FileChange } from "./file-change.ts";
import { type HostEnvironment, systemPath } from "./host-environment.ts";
import { SYSTEM_POLICY, VENDOR_POLICY, userPolicyFile } from "./policy-file.ts";
import { type TreePlace, followTreePath, pathInTree } from "./tree-path.ts";

/** The file that an edit is about; `after` is still to come. */
export interface PolicyPlace extends Omit<FileChange, "after"> {
  /** Whose it is. A file of the user or the system has its registries.d beside it; for one that was named elsewhere, nobody can tell. */
  readonly origin: "named" | "user" | "system";
  /** What the edit starts from: the file's content, else that of the vendor's; undefined when there is no policy yet. */
  readonly start: Uint8Array | undefined;
}

/** Files of the distribution: packages replace them, so what is changed in them is lost. */
const VENDOR_FOLDER = "/usr/share/";

/**
 * Finds the policy that counts, by the search of `findPolicyFile`, for editing: a file of `/usr/share` is taken over into `/etc`. Where there is none at all, the place
 * for a new one: `/etc` for the superuser, else the user's folder.
 *
 * @param path the file that the user named; it need not exist
 * @throws StoreError `file-missing` for symbolic links that lead nowhere; `file-unreadable`; `file-unwritable` for a file of the distribution that was named
 */
export async function findPolicyPlace(host: HostEnvironment, path: string | undefined): Promise<PolicyPlace> {
  const fromEnvironment = host.env["CONTAINERS_POLICY_JSON"];
  const named = path ?? (fromEnvironment === "" ? undefined : fromEnvironment);
  const user = userPolicyFile(host);
  if (named !== undefined) {
    const place = await namedPlace(named);
    if (path === undefined) return { ...place, origin: host.uid === 0 || user === undefined ? "system" : "user" };
    if (resolve(named) === user) return { ...place, origin: "user" };
    return resolve(named) === systemPath(host, SYSTEM_POLICY) ? { ...place, origin: "system" } : place;
  }
  if (user !== undefined) {
    const place = await followTreePath(user, undefined);
    if (place.stats !== undefined) return existingPlace(host, user, place, "user", undefined);
  }
  const system = await followTreePath(SYSTEM_POLICY, host.root);
  if (system.stats !== undefined) return existingPlace(host, SYSTEM_POLICY, system, "system", host.root);
  const vendor = await followTreePath(VENDOR_POLICY, host.root);
  if (vendor.stats !== undefined) {
    const start = await readPolicy(vendor.path);
    const copiedFrom = { path: systemPath(host, VENDOR_POLICY), bytes: start };
    return { ...emptyPlace(systemPath(host, SYSTEM_POLICY), system), origin: "system", start, copiedFrom };
  }
  if (host.uid === 0 || user === undefined) {
    return { ...emptyPlace(systemPath(host, SYSTEM_POLICY), system), origin: "system", start: undefined };
  }
  return { ...emptyPlace(user, await followTreePath(user, undefined)), origin: "user", start: undefined };
}

async function namedPlace(path: string): Promise<PolicyPlace> {
  const place = await followTreePath(resolve(path), undefined);
  if (place.path.startsWith(VENDOR_FOLDER)) {
    throw new StoreError(
      "file-unwritable",
      `cannot edit ${path}: it belongs to the distribution, whose packages replace it`,
      {
        side: "local",
        hint: `name no policy, and its content is taken over into ${SYSTEM_POLICY}`,
      },
    );
  }
  if (place.stats === undefined) {
    const folder = dirname(place.path);
    if ((await followTreePath(folder, undefined)).stats?.isDirectory() !== true) {
      throw new StoreError("file-missing", `cannot edit ${path}: its folder ${folder} does not exist`, {
        side: "local",
        hint: "check the path, or make the folder first",
      });
    }
    return { ...emptyPlace(path, place), origin: "named", start: undefined };
  }
  const before = await readPolicy(place.path);
  return { path, target: place.path, stats: place.stats, before, start: before, origin: "named" };
}

async function existingPlace(
  host: HostEnvironment,
  path: string,
  place: TreePlace,
  origin: "user" | "system",
  root: string | undefined,
): Promise<PolicyPlace> {
  const shown = origin === "user" ? path : systemPath(host, path);
  const start = await readPolicy(place.path);
  const inTree = root === undefined ? place.path : (pathInTree(place.path, root) ?? place.path);
  if (!inTree.startsWith(VENDOR_FOLDER)) {
    return { path: shown, target: place.path, stats: place.stats, before: start, start, origin };
  }
  // The link itself is replaced: what it leads to is not ours to change.
  const folder = await followTreePath(dirname(path), root);
  const target = join(folder.path, basename(path));
  const copiedFrom = { path: place.path, bytes: start };
  return { path: shown, target, stats: undefined, before: undefined, start, copiedFrom, origin };
}

function emptyPlace(path: string, place: TreePlace): Pick<PolicyPlace, "path" | "target" | "stats" | "before"> {
  return { path, target: place.path, stats: undefined, before: undefined };
}

function readPolicy(path: string): Promise<Uint8Array> {
  return readFileBounded(path, MAX_POLICY_BYTES, "policy", { regularOnly: true });
}
