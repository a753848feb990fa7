/** Finding and loading policy.json (policy-json, section 1). */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { MAX_POLICY_BYTES, type Policy, StoreError, parsePolicy } from "@signet/core";
import { readFileBounded } from "./bounded-file.ts";
import { errnoOf, fileError } from "./file-error.ts";
import { type HostEnvironment, systemPath, userConfigFolder } from "./host-environment.ts";
import { resolveSystemPath } from "./rooted-path.ts";

export interface PolicyFileOptions {
  readonly host: HostEnvironment;
  /** The file that the user named (`--policy`): it must exist and parse. Never put below the root folder. */
  readonly path?: string;
}

/** A policy and where it came from. */
export interface LoadedPolicy {
  readonly policy: Policy;
  readonly path: string;
}

/**
 * The policy file that counts: the one named, else that of `CONTAINERS_POLICY_JSON`, else the first that exists of the user's, `/etc` and `/usr/share`.
 * Files are never merged.
 * @throws StoreError `policy-missing` naming the paths that were searched; `file-unreadable` when it cannot be told whether one exists
 */
export async function findPolicyFile(options: PolicyFileOptions): Promise<string> {
  const { host, path } = options;
  if (path !== undefined) return path;
  const fromEnvironment = host.env["CONTAINERS_POLICY_JSON"];
  if (fromEnvironment !== undefined && fromEnvironment !== "") return fromEnvironment;
  const searched = implicitPaths(host);
  for (const candidate of searched) {
    const place = resolveSystemPath(host, candidate);
    if (await exists(place)) return place;
  }
  throw new StoreError("policy-missing", `no policy.json file found; searched: ${searched.join(", ")}`, {
    side: "local",
    hint: "name one with --policy FILE; without a policy nothing is accepted",
    details: { searched },
  });
}

/**
 * Finds and parses the policy.
 *
 * Not checked: whether its key files exist; they are read when an image is judged.
 * @throws as {@link findPolicyFile}; StoreError `file-missing`, `file-unreadable`; PolicyError `policy-malformed`; FormatError `input-too-large`
 */
export async function loadPolicy(options: PolicyFileOptions): Promise<LoadedPolicy> {
  const path = await findPolicyFile(options);
  const bytes = await readFileBounded(path, MAX_POLICY_BYTES, "policy");
  return { policy: parsePolicy(bytes, path), path };
}

function implicitPaths(host: HostEnvironment): string[] {
  const user = userPolicyFile(host);
  return [
    ...(user === undefined ? [] : [user]),
    ...[SYSTEM_POLICY, VENDOR_POLICY].map((path) => systemPath(host, path)),
  ];
}

/** The administrator's file. */
export const SYSTEM_POLICY: string = "/etc/containers/policy.json";

/** What the distribution ships; packages replace it. */
export const VENDOR_POLICY: string = "/usr/share/containers/policy.json";

/** The file of the host's user, whether it exists or not. */
export function userPolicyFile(host: HostEnvironment): string | undefined {
  const folder = userConfigFolder(host);
  return folder === undefined ? undefined : join(folder, "policy.json");
}

/** A file that is there and cannot be looked at must not be passed over for a less strict one. */
async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw fileError(error, path, "read", "policy");
  }
}
