/** What a repository or a namespace asks of images that are pulled: requirements as policy.json writes them. */
import { type Policy, PolicyError, FormatError, UsageError, keyFilesOf, parseJson, parsePolicy } from "@signet/core";
import { isRepositoryPath } from "../content/names.ts";
import { lockRepository } from "../content/repositories.ts";
import type { Database, Reader, Writer } from "../db/database.ts";
import { type TrustAuthor, changeTrust } from "./trust-change.ts";

/** What happens to an image that does not meet the requirements. */
export type PullPolicyMode = "enforce" | "off" | "warn";

/** A policy as it is set. */
export interface PullPolicySetting {
  readonly mode: PullPolicyMode;
  /** A JSON list of requirements; undefined: none. */
  readonly requirements: string | undefined;
}

/** A policy that is in force, with the place it was set at. */
export interface PullPolicy {
  /** `repository PATH`, `namespace PATH` or `server`, for people. */
  readonly scope: string;
  readonly mode: "enforce" | "warn";
  readonly requirements: string;
}

/** In place of a key file's path: every key of the server's keyring, as it is when an image is pulled. */
export const SERVER_KEYRING = "server:keyring";

/** Bytes of a list of requirements: some tens of keys. */
const MAX_BYTES = 262_144;
/** Requirements of one list; each may look at every signature. */
const MAX_REQUIREMENTS = 16;
/** Namespaces with policies of their own; all are kept in memory. */
const MAX_NAMESPACE_POLICIES = 1_000;
/** How the settings of namespaces are named; the namespace follows, empty for the whole server. */
const SETTING_PREFIX = "pull-policy ";

/**
 * Reads a list of requirements as strictly as policy.json is read.
 *
 * @throws PolicyError `policy-malformed` with the place; `input-too-large`; `pull-policy-unusable` for a key file other than {@link SERVER_KEYRING}, which a client could
 *   name but not provide, and for requirements that this server cannot evaluate and so would refuse every image
 */
export function parsePullPolicy(requirements: string): Policy {
  if (Buffer.byteLength(requirements) > MAX_BYTES) {
    throw new PolicyError("input-too-large", `a pull policy may have ${MAX_BYTES} bytes at most`);
  }
  let isList: boolean;
  try {
    // Alone it must be one list: so nothing in it can end the member that it is put into.
    isList = parseJson(Buffer.from(requirements), "pull policy").kind === "array";
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new PolicyError("policy-malformed", error.message);
  }
  if (!isList) throw new PolicyError("policy-malformed", "a pull policy is a list of requirements");
  const policy = parsePolicy(Buffer.from(`{"default":${requirements}}`), "pull policy");
  if (policy.default.length > MAX_REQUIREMENTS) {
    throw new PolicyError("input-too-large", `a pull policy may have ${MAX_REQUIREMENTS} requirements`);
  }
  const file = keyFilesOf(policy).find((path) => path !== SERVER_KEYRING);
  if (file !== undefined) {
    throw new PolicyError("pull-policy-unusable", `the pull policy names the file ${JSON.stringify(file)}`, {
      hint: `put the key itself into keyData, in base64, or name the server's keyring: "keyPath": "${SERVER_KEYRING}"`,
    });
  }
  const unusable = policy.default.find(({ type }) => type === "sigstoreSigned" || type === "signedBaseLayer");
  if (unusable !== undefined) {
    throw new PolicyError("pull-policy-unusable", `the server cannot evaluate ${unusable.type}`, {
      hint: "require signedBy; clients with policies of their own can evaluate the rest",
    });
  }
  return policy;
}

/**
 * Sets the policy of a repository; in force for every pull that begins after this resolves.
 * @throws UsageError `repository-missing`; what {@link parsePullPolicy} throws; UsageError `pull-policy-unusable` for a mode without requirements
 */
export async function setPullPolicy(
  database: Database,
  path: string,
  setting: PullPolicySetting,
  author: TrustAuthor,
): Promise<void> {
  checkSetting(setting);
  await database.write(async (writer) => {
    const row = await writer.selectFrom("repository").select("id").where("name", "=", path).executeTakeFirst();
    if (row === undefined) {
      throw new UsageError("repository-missing", `there is no repository ${JSON.stringify(path.slice(0, 300))}`);
    }
    // Counts the change, by which verdicts are kept.
    await lockRepository(writer, row.id);
    await writer
      .updateTable("repository")
      .set({ pull_policy_mode: setting.mode, pull_policy: setting.requirements ?? null })
      .where("id", "=", row.id)
      .execute();
    await tell(writer, `repository ${path}`, setting, author);
  });
}

/**
 * Sets the policy of a namespace: of every repository at or below this path, whether it exists yet or not. The empty path is the whole server.
 * @throws as {@link setPullPolicy}; UsageError `repository-missing` for what is no path
 */
export async function setNamespacePullPolicy(
  database: Database,
  namespace: string,
  setting: PullPolicySetting,
  author: TrustAuthor,
): Promise<void> {
  checkSetting(setting);
  if (namespace !== "" && !isRepositoryPath(namespace)) {
    throw new UsageError("repository-missing", `${JSON.stringify(namespace.slice(0, 300))} is no path of a namespace`);
  }
  await database.write(async (writer) => {
    await changeTrust(writer);
    const name = SETTING_PREFIX + namespace;
    if (setting.mode === "off") await writer.deleteFrom("setting").where("name", "=", name).execute();
    else {
      const value = JSON.stringify(setting);
      await writer
        .insertInto("setting")
        .values({ name, value })
        .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
        .execute();
      if ((await readNamespacePolicies(writer)).size > MAX_NAMESPACE_POLICIES) {
        throw new PolicyError("input-too-large", `${MAX_NAMESPACE_POLICIES} namespaces may have policies`);
      }
    }
    await tell(writer, namespace === "" ? "server" : `namespace ${namespace}`, setting, author);
  });
}

function checkSetting({ mode, requirements }: PullPolicySetting): void {
  if (requirements !== undefined) parsePullPolicy(requirements);
  else if (mode !== "off") {
    throw new UsageError("pull-policy-unusable", `the mode ${mode} needs requirements`, {
      hint: 'give a list such as [{"type":"signedBy","keyType":"GPGKeys","keyPath":"server:keyring"}]',
    });
  }
}

async function tell(writer: Writer, target: string, setting: PullPolicySetting, author: TrustAuthor): Promise<void> {
  await author.audit(writer, {
    at: author.now,
    actor: author.by,
    action: "policy.change",
    target,
    detail: { mode: setting.mode, requirements: setting.requirements ?? null },
  });
}

/** The policies of all namespaces, by path. */
export async function readNamespacePolicies(reader: Reader | Writer): Promise<ReadonlyMap<string, PullPolicySetting>> {
  const rows = await reader
    .selectFrom("setting")
    .select(["name", "value"])
    .where("name", ">=", SETTING_PREFIX)
    .where("name", "<", SETTING_PREFIX.replace(" ", "!"))
    .execute();
  return new Map(
    rows.map((row) => [row.name.slice(SETTING_PREFIX.length), JSON.parse(row.value) as PullPolicySetting]),
  );
}

/** A repository's own policy, with the name that it was made under. */
export async function readRepositoryPolicy(
  reader: Reader,
  id: number,
): Promise<PullPolicySetting & { readonly name: string }> {
  const row = await reader
    .selectFrom("repository")
    .select(["name", "pull_policy_mode", "pull_policy"])
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  return { name: row.name, mode: row.pull_policy_mode, requirements: row.pull_policy ?? undefined };
}

/**
 * All policies in force for a repository, the widest first. They add up: what a namespace requires, no repository below it can lift, and serving a repository under another
 * path does not lift it either.
 */
export function listGoverning(
  path: string,
  own: PullPolicySetting & { readonly name: string },
  namespaces: ReadonlyMap<string, PullPolicySetting>,
): readonly PullPolicy[] {
  const found: PullPolicy[] = [];
  const add = (scope: string, setting: PullPolicySetting | undefined): void => {
    if (setting === undefined || setting.mode === "off") return;
    // Without a list nothing could be met: that is what an empty one says to the judge.
    found.push({ scope, mode: setting.mode, requirements: setting.requirements ?? "[]" });
  };
  for (const namespace of listNamespaces(path, own.name)) {
    add(namespace === "" ? "server" : `namespace ${namespace}`, namespaces.get(namespace));
  }
  add(`repository ${own.name}`, own);
  return found;
}

/** The server, then each namespace that one of the paths lies in, itself included. */
function listNamespaces(...paths: readonly string[]): ReadonlySet<string> {
  const found = new Set([""]);
  for (const path of paths) {
    const parts = path.split("/");
    for (let length = 1; length <= parts.length; length += 1) found.add(parts.slice(0, length).join("/"));
  }
  return found;
}
