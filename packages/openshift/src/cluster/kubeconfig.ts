/** kubeconfig: where a cluster's API is, whom to trust there, and who is asking. */
import { dirname, resolve } from "node:path";
import { PolicyError, decodeBase64 } from "@signet/core";
import { readFileBounded } from "@signet/images";
import { isRecord, parseManifestObjects } from "../kubernetes/manifests.ts";

/** Bytes of a kubeconfig: those with dozens of clusters stay below a tenth of it. */
const MAX_KUBECONFIG_BYTES = 4 * 1024 * 1024;

/** Bytes of a file that it names. */
const MAX_CREDENTIAL_BYTES = 1024 * 1024;

/** Everything that a connection needs. Holds secrets: never print it. */
export interface ClusterAccess {
  /** The context's name. */
  readonly context: string;
  /** https, without final slash. */
  readonly server: string;
  /** PEM; undefined: the system's authorities. */
  readonly authorities: string | undefined;
  /** False only where the file says insecure-skip-tls-verify. */
  readonly verifiesTls: boolean;
  /** Name that the server's certificate must have, where it is not that of the URL. */
  readonly serverName: string | undefined;
  readonly token: string | undefined;
  readonly basic: { readonly user: string; readonly password: string } | undefined;
  readonly client: { readonly certificate: string; readonly key: string } | undefined;
}

/** What starts programs, asks others, or speaks for others: nothing of it is done here. */
const refusedUserMembers: Readonly<Record<string, string>> = {
  exec: "it starts a program to get credentials",
  "auth-provider": "it asks an identity provider for credentials",
  as: "it speaks for another user",
  "as-uid": "it speaks for another user",
  "as-groups": "it speaks for other groups",
  "as-user-extra": "it speaks for another user",
};

const userMembers = ["token", "tokenFile", "client-certificate", "client-certificate-data", "client-key"];
const moreUserMembers = ["client-key-data", "username", "password", "extensions"];
const clusterMembers = ["server", "certificate-authority", "certificate-authority-data", "tls-server-name"];
const moreClusterMembers = ["insecure-skip-tls-verify", "extensions", "disable-compression"];

/**
 * Reads the file and the files that it names. Paths in it are relative to its folder.
 * @param context default: its current-context
 * @throws PolicyError `kubeconfig-malformed`; StoreError for files that cannot be read
 */
export async function loadKubeconfig(path: string, context?: string): Promise<ClusterAccess> {
  const bytes = await readFileBounded(path, MAX_KUBECONFIG_BYTES, "kubeconfig");
  return await readKubeconfig(bytes, path, context, (name) =>
    readFileBounded(resolve(dirname(path), name), MAX_CREDENTIAL_BYTES, "file that the kubeconfig names,"),
  );
}

/** Reads a file that the kubeconfig names. */
type ReadNamed = (name: string) => Promise<Uint8Array>;

/**
 * As {@link loadKubeconfig}, of bytes.
 * @param path for messages
 */
export async function readKubeconfig(
  bytes: Uint8Array,
  path: string,
  context: string | undefined,
  readNamed: ReadNamed,
): Promise<ClusterAccess> {
  const [object, ...others] = parseManifestObjects(bytes, path);
  if (object === undefined || others.length > 0) throw malformed(path, "one object of kind Config is expected");
  const config = object.value;
  const name = context ?? config["current-context"];
  if (typeof name !== "string" || name === "")
    throw malformed(path, "it has no current-context", "name one of its contexts with --context");
  const chosen = findNamed(config, "contexts", "context", name, path);
  const cluster = findNamed(config, "clusters", "cluster", textIn(chosen, "cluster", path), path);
  const user = findNamed(config, "users", "user", textIn(chosen, "user", path), path);
  for (const [member, reason] of Object.entries(refusedUserMembers))
    if (user[member] !== undefined)
      throw malformed(
        path,
        `user of context ${name}: ${member} is not supported, since ${reason}`,
        "make a kubeconfig with a token, such as with `oc serviceaccounts create-kubeconfig` or `oc whoami -t`",
      );
  refuseUnknown(user, [...userMembers, ...moreUserMembers], `${path}: user of context ${name}`);
  refuseUnknown(cluster, [...clusterMembers, ...moreClusterMembers], `${path}: cluster of context ${name}`);
  const read = (members: Members, file: string, data: string): Promise<string | undefined> =>
    readFileOrData(members, file, data, path, readNamed);
  const server = textIn(cluster, "server", path).replace(/\/+$/, "");
  if (!URL.canParse(server) || new URL(server).protocol !== "https:" || new URL(server).username !== "")
    throw malformed(path, `the server of context ${name} is no https URL`, "tokens are not sent without TLS");
  return {
    context: name,
    server,
    authorities: await read(cluster, "certificate-authority", "certificate-authority-data"),
    verifiesTls: readSwitch(cluster, path),
    serverName: optionalText(cluster, "tls-server-name", path),
    ...(await readUser(user, path, read, readNamed)),
  };
}

type Members = Readonly<Record<string, unknown>>;

async function readUser(
  user: Members,
  path: string,
  read: (members: Members, file: string, data: string) => Promise<string | undefined>,
  readNamed: ReadNamed,
): Promise<Pick<ClusterAccess, "token" | "basic" | "client">> {
  const tokenFile = optionalText(user, "tokenFile", path);
  const token =
    tokenFile === undefined
      ? optionalText(user, "token", path)
      : new TextDecoder().decode(await readNamed(tokenFile)).trim();
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw malformed(path, "the token is none");
  const certificate = await read(user, "client-certificate", "client-certificate-data");
  const key = await read(user, "client-key", "client-key-data");
  if ((certificate === undefined) !== (key === undefined))
    throw malformed(path, "a client certificate and its key belong together");
  const name = optionalText(user, "username", path);
  const password = optionalText(user, "password", path);
  return {
    token,
    basic: name === undefined || password === undefined ? undefined : { user: name, password },
    client: certificate === undefined || key === undefined ? undefined : { certificate, key },
  };
}

function findNamed(config: Members, list: string, member: string, name: string, path: string): Members {
  const entries = config[list];
  const found: readonly unknown[] = Array.isArray(entries) ? entries : [];
  const entry = found.find((candidate) => isRecord(candidate) && candidate["name"] === name);
  const value = isRecord(entry) ? entry[member] : undefined;
  if (isRecord(value)) return value;
  const names = found.flatMap((candidate) => (isRecord(candidate) ? [String(candidate["name"])] : []));
  throw malformed(path, `it has no ${member} ${JSON.stringify(name)}`, `it has ${names.join(", ") || "none"}`);
}

function readSwitch(cluster: Members, path: string): boolean {
  const value = cluster["insecure-skip-tls-verify"] ?? false;
  if (typeof value !== "boolean") throw malformed(path, "insecure-skip-tls-verify is true or false");
  return !value;
}

async function readFileOrData(
  members: Members,
  file: string,
  data: string,
  path: string,
  readNamed: ReadNamed,
): Promise<string | undefined> {
  const encoded = optionalText(members, data, path);
  if (encoded !== undefined) {
    try {
      return new TextDecoder().decode(decodeBase64(encoded.replaceAll(/\s/g, "")));
    } catch {
      // The cause stays out: it could speak of a secret.
      throw malformed(path, `${data} is not base64`);
    }
  }
  const name = optionalText(members, file, path);
  return name === undefined ? undefined : new TextDecoder().decode(await readNamed(name));
}

function textIn(members: Members, name: string, path: string): string {
  const text = optionalText(members, name, path);
  if (text === undefined) throw malformed(path, `${name} is missing`);
  return text;
}

function optionalText(members: Members, name: string, path: string): string | undefined {
  const value = members[name];
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string") throw malformed(path, `${name} is no text`);
  return value;
}

function refuseUnknown(members: Members, known: readonly string[], place: string): void {
  const unknown = Object.keys(members).find((name) => !known.includes(name));
  if (unknown !== undefined) throw malformed(place, `${unknown} is not supported`);
}

function malformed(place: string, problem: string, hint?: string): PolicyError {
  return new PolicyError("kubeconfig-malformed", `${place}: ${problem}`, hint === undefined ? {} : { hint });
}
