/** Credentials for registries, from the files that podman, skopeo, buildah and docker share (containers-auth.json(5)). */
import { isAbsolute, join } from "node:path";
import {
  FormatError,
  type JsonNode,
  SignetError,
  decodeBase64,
  jsonString,
  parseJson,
  strictObject,
} from "@signet/core";
import type { Credentials } from "../registry/credentials.ts";
import { readFileBounded } from "./bounded-file.ts";
import { askCredentialHelper } from "./credential-helper.ts";
import { errnoOf } from "./file-error.ts";
import { type HostEnvironment, userConfigFolder } from "./host-environment.ts";
import { loadCredentialHelpers } from "./registries-conf.ts";

/** Bytes: thousands of registries stay below it. */
export const MAX_AUTH_FILE_BYTES: number = 4 * 1024 * 1024;

/** The entry of `credential-helpers` that means the files. */
export const AUTH_FILES_HELPER = "containers-auth.json";

/** A place where credentials can stand. */
export interface AuthFile {
  readonly path: string;
  /** `auth`: `{"auths":{…},"credHelpers":{…}}`. `dockercfg`: docker's first form, the entries at the top level. */
  readonly form: "auth" | "dockercfg";
  /** True when somebody named it: then it must exist. */
  readonly named: boolean;
}

export interface CredentialSearch {
  readonly host: HostEnvironment;
  /** `--authfile`; then `REGISTRY_AUTH_FILE` is not looked at. */
  readonly authFile?: string;
  /** Places to look in, in order. Default: `credential-helpers` of registries.conf, and without those the files alone. */
  readonly helpers?: readonly string[];
  /** Default that of the process. */
  readonly platform?: NodeJS.Platform;
  readonly warn?: (message: string) => void;
}

/** Credentials with the place they came from. */
export interface FoundCredentials {
  readonly credentials: Credentials;
  /** A path, or `docker-credential-NAME`; for messages. */
  readonly location: string;
}

/**
 * Finds the credentials for a registry or a repository. In each place the most specific key counts: `host/ns/repo`, `host/ns`, `host`, then keys of docker's
 * older forms. The first place that has any wins: the helpers in their order, of which one stands for the files; and of the files one that was named alone, or
 * podman's run-time file, podman's configuration, docker's configuration, docker's first form.
 *
 * A file that is there and cannot be read or understood is an error, never "no credentials"; so is a helper that fails, unless another place has an answer.
 * @param key `host[:port][/path]`, without scheme, tag and digest
 * @returns undefined when there are none: the registry is then asked anonymously
 * @throws FormatError `reference-malformed`, `auth-file-malformed`; PolicyError `registries-conf-malformed`; StoreError `file-missing`, `file-unreadable`, `credential-helper-failed`
 */
export async function findCredentials(key: string, search: CredentialSearch): Promise<FoundCredentials | undefined> {
  checkCredentialKey(key);
  const registry = key.split("/", 1)[0]!;
  let failure: SignetError | undefined;
  for (const helper of search.helpers ?? (await loadCredentialHelpers(search.host)) ?? [AUTH_FILES_HELPER]) {
    try {
      const found =
        helper === AUTH_FILES_HELPER
          ? await findInFiles(key, registry, search)
          : located(await askCredentialHelper(helper, registry, search.host), `docker-credential-${helper}`);
      if (found !== undefined) return found;
    } catch (error) {
      if (!(error instanceof SignetError)) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}

async function findInFiles(
  key: string,
  registry: string,
  search: CredentialSearch,
): Promise<FoundCredentials | undefined> {
  for (const file of authFiles(search)) {
    const document = await readAuthFile(file);
    if (document === undefined) continue;
    const helper = document.helpers.get(registry);
    if (helper !== undefined) {
      const found = located(await askCredentialHelper(helper, registry, search.host), `docker-credential-${helper}`);
      // A helper that is named for a registry answers for this file, also with nothing.
      if (found !== undefined) return found;
      continue;
    }
    const entry = matchingEntry(document.entries, key, registry, file.form);
    const credentials = entry === undefined ? undefined : decodeEntry(entry, file.path);
    if (credentials !== undefined) return { credentials, location: file.path };
  }
  return undefined;
}

function located(credentials: Credentials | undefined, location: string): FoundCredentials | undefined {
  return credentials === undefined ? undefined : { credentials, location };
}

/**
 * The files in the order in which they are searched.
 * @throws nothing: whether they exist is not checked
 */
export function authFiles(search: CredentialSearch): readonly AuthFile[] {
  const { host } = search;
  const named = search.authFile ?? host.env["REGISTRY_AUTH_FILE"] ?? "";
  if (named !== "") return [{ path: named, form: "auth", named: true }];
  const paths = [runtimeAuthFile(search)];
  const configFolder = userConfigFolder(host);
  if (configFolder !== undefined) paths.push(join(configFolder, "auth.json"));
  const dockerConfig = host.env["DOCKER_CONFIG"] ?? "";
  paths.push(dockerConfig === "" ? join(host.home, ".docker/config.json") : join(dockerConfig, "config.json"));
  return [
    ...[...new Set(paths)].map((path): AuthFile => ({ path, form: "auth", named: false })),
    { path: join(host.home, ".dockercfg"), form: "dockercfg", named: false },
  ];
}

/** Where `login` writes when nobody names a file: gone after the next start of the machine, as podman has it. */
export function runtimeAuthFile(search: CredentialSearch): string {
  const { host } = search;
  if ((search.platform ?? process.platform) !== "linux") return join(host.home, ".config/containers/auth.json");
  const runtime = host.env["XDG_RUNTIME_DIR"] ?? "";
  if (isAbsolute(runtime)) return join(runtime, "containers/auth.json");
  if (runtime !== "") search.warn?.(`XDG_RUNTIME_DIR is not an absolute path and is passed over: ${runtime}`);
  return `/run/containers/${host.uid}/auth.json`;
}

/** A credential file as far as it concerns us, with its text for editing. */
export interface AuthDocument {
  readonly bytes: Uint8Array;
  readonly root: JsonNode;
  /** Keys as written, to entries not looked into yet. */
  readonly entries: ReadonlyMap<string, JsonNode>;
  /** `credHelpers`: registry to helper name. */
  readonly helpers: ReadonlyMap<string, string>;
}

/**
 * Reads a credential file. Members that are not known are passed over: docker keeps other settings in the same file.
 * @returns undefined for a file that does not exist and that nobody named
 * @throws FormatError `auth-file-malformed`; StoreError `file-missing`, `file-unreadable`
 */
export async function readAuthFile(file: AuthFile): Promise<AuthDocument | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFileBounded(file.path, MAX_AUTH_FILE_BYTES, "credentials file");
  } catch (error) {
    const errno = error instanceof SignetError ? errnoOf(error.cause) : undefined;
    if (!file.named && (errno === "ENOENT" || errno === "ENOTDIR")) return undefined;
    throw error;
  }
  // podman leaves an empty file behind when it was stopped early; docker reads one as empty too.
  if (bytes.length === 0) bytes = new TextEncoder().encode("{}");
  try {
    return parseAuthDocument(bytes, file.form);
  } catch (error) {
    if (error instanceof FormatError) throw malformed(file.path, error.message);
    throw error;
  }
}

/** @throws FormatError `json-malformed` */
export function parseAuthDocument(bytes: Uint8Array, form: AuthFile["form"]): AuthDocument {
  const root = parseJson(bytes, "JSON", { maxBytes: MAX_AUTH_FILE_BYTES, maxDepth: 64 });
  const top = strictObject(root, "", { required: [], allowUnknown: true });
  if (form === "dockercfg") return { bytes, root, entries: top, helpers: new Map() };
  const helpers = new Map<string, string>();
  for (const [registry, helper] of members(top.get("credHelpers"), "credHelpers")) {
    helpers.set(registry, jsonString(helper, `credHelpers[${JSON.stringify(registry)}]`));
  }
  return { bytes, root, entries: members(top.get("auths"), "auths"), helpers };
}

function members(node: JsonNode | undefined, path: string): ReadonlyMap<string, JsonNode> {
  if (node === undefined || node.kind === "null") return new Map();
  return strictObject(node, path, { required: [], allowUnknown: true });
}

function matchingEntry(
  entries: ReadonlyMap<string, JsonNode>,
  key: string,
  registry: string,
  form: AuthFile["form"],
): JsonNode | undefined {
  if (form === "auth") {
    for (let at = key; ; at = at.slice(0, at.lastIndexOf("/"))) {
      const entry = entries.get(at);
      if (entry !== undefined) return entry;
      if (!at.includes("/")) break;
    }
  }
  // docker wrote URLs as keys for years, those of the Hub to this day.
  const wanted = normalizeRegistry(registry);
  for (const [written, entry] of entries) if (normalizeKey(written, form) === wanted) return entry;
  return undefined;
}

function normalizeKey(written: string, form: AuthFile["form"]): string {
  const bare = written.replace(/^https?:\/\//, "");
  return normalizeRegistry(form === "dockercfg" || bare !== written ? bare.split("/", 1)[0]! : bare);
}

function normalizeRegistry(registry: string): string {
  return registry === "docker.io" || registry === "registry-1.docker.io" ? "index.docker.io" : registry;
}

/** Undefined for an entry without a usable `auth`, such as those docker leaves behind when the secret lies elsewhere. */
function decodeEntry(entry: JsonNode, path: string): Credentials | undefined {
  let auth: string;
  let token: string;
  try {
    const fields = members(entry, "entry");
    const read = (name: string): string => {
      const node = fields.get(name);
      return node === undefined || node.kind === "null" ? "" : jsonString(node, name);
    };
    auth = read("auth");
    token = read("identitytoken");
  } catch (error) {
    if (error instanceof FormatError) throw malformed(path, error.message);
    throw error;
  }
  let decoded: string;
  try {
    decoded = new TextDecoder("utf-8", { ignoreBOM: true }).decode(decodeBase64(auth));
  } catch {
    // The cause stays out: it speaks about the secret.
    throw malformed(path, "an `auth` member is not base64");
  }
  const colon = decoded.indexOf(":");
  if (colon < 0) return undefined;
  if (token !== "") return { kind: "identity-token", token };
  return {
    kind: "password",
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1).replace(/\0+$/, ""),
  };
}

/**
 * Checks what credentials are kept under: `host[:port][/path]`.
 * @throws FormatError `reference-malformed`
 */
export function checkCredentialKey(key: string): void {
  const slash = key.indexOf("/");
  const problem = /^https?:\/\//i.test(key)
    ? "it starts with a scheme"
    : key.includes("@")
      ? "it holds a digest"
      : slash >= 0 && key.indexOf(":", slash) >= 0
        ? "it holds a tag"
        : !/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/.test(key)
          ? "it is not a host with an optional port and path"
          : undefined;
  if (problem === undefined) return;
  throw new FormatError("reference-malformed", `invalid registry ${JSON.stringify(key.slice(0, 300))}: ${problem}`, {
    hint: "write host, host:port or host/path",
  });
}

function malformed(path: string, problem: string): FormatError {
  return new FormatError("auth-file-malformed", `credentials file ${path}: ${problem}`, {
    hint: "correct the file, or write it again with `signet login`",
  });
}
