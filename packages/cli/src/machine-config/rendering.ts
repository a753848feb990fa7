/** `signet machineconfig render`: from a Butane file, or from policy, registries.d, keys and a folder. */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { FormatError, MAX_POLICY_BYTES, type SignetError, keyFilesOf, parseKeyring, parsePolicy } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { fileError, readFileBounded, readKeyFile } from "@signet/images";
import {
  DEFAULT_BUTANE_VERSION,
  type FileToWrite,
  type MachineConfig,
  POLICY_PATH,
  REGISTRIES_D,
  ROLE_LABEL,
  type YamlProblem,
  butaneVersionRange,
  embedKeys,
  explainBadPath,
  findButaneVersion,
  isObjectName,
  openLocalFolder,
  parseButane,
  renderButane,
  renderFiles,
} from "@signet/openshift";
import { usage } from "../command-line/parse.ts";
import { readInput } from "../terminal/input.ts";

/** Bytes of a Butane file. */
const MAX_BUTANE_BYTES = 1024 * 1024;

/** Bytes of a registries.d file, as of its reader. */
const MAX_REGISTRIES_D_BYTES = 512 * 1024;

/** Problems of one file that are shown. */
const MAX_SHOWN_PROBLEMS = 50;

export interface Rendered {
  readonly config: MachineConfig;
  readonly warnings: readonly string[];
}

/**
 * @param note says what else is wrong with a file, where the error has room for one problem
 * @throws FormatError `butane-malformed` and all that prevents reading
 */
export async function renderFromButane(
  file: string,
  filesDir: string | undefined,
  note: (problem: string) => void,
): Promise<Rendered> {
  const source = file === "-" ? "standard input" : file;
  const show = ({ path, line, column, message }: YamlProblem): string =>
    `${source}:${line}:${column}: ${path === "$" ? "" : `${path}: `}${message}`;
  const bytes = await readInput(file, MAX_BUTANE_BYTES, "Butane file");
  try {
    const { document, config, warnings } = parseButane(bytes, source);
    const finish = (): void => document.finish();
    const local = filesDir === undefined ? undefined : openLocalFolder(filesDir);
    return { config: await renderButane(config, finish, local), warnings: warnings.map(show) };
  } catch (error) {
    const problems =
      error instanceof FormatError ? (error.details["problems"] as readonly YamlProblem[] | undefined) : undefined;
    for (const problem of problems?.slice(1, MAX_SHOWN_PROBLEMS) ?? []) note(`error: ${show(problem)}`);
    if (error instanceof FormatError && file.endsWith(".json"))
      throw new FormatError(error.code, error.message, { cause: error, hint: `for a policy write --policy ${file}` });
    throw error;
  }
}

export interface TrustToRender {
  readonly policy?: string;
  readonly registriesD?: string;
  readonly trustDir?: string;
  readonly name?: string;
  readonly role: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version?: string;
  /** `FILE` or `NODEPATH=FILE`. */
  readonly keys: readonly string[];
  readonly keyUse: "none" | "embed" | "include";
}

/** @throws UsageError for what does not fit together, and all that prevents reading */
export async function renderFromTrust(trust: TrustToRender, command: string): Promise<Rendered> {
  const { role, labels, keyUse, policy, registriesD, trustDir } = trust;
  const version = findButaneVersion(trust.version ?? DEFAULT_BUTANE_VERSION, true);
  if (version === undefined)
    throw usage(`--openshift-version ${trust.version} is not known; known are ${butaneVersionRange}`, command);
  const name = trust.name ?? `99-${role}-trust`;
  if (!/^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(role) || role.length > 63)
    throw usage(`${JSON.stringify(role)} cannot be the name of a pool`, command);
  if (!isObjectName(name)) throw usage(`${JSON.stringify(name)} cannot be the name of an object`, command);
  const files = new Map<string, FileToWrite>();
  const add = (file: FileToWrite, origin: string): void => {
    const problem = explainBadPath(file.path);
    if (problem !== undefined) throw usage(`${origin}: ${problem}`, command);
    const there = files.get(file.path);
    if (there !== undefined && Buffer.compare(there.content, file.content) !== 0)
      throw usage(`${origin}: another file was named for ${file.path} already`, command);
    files.set(file.path, file);
  };
  if (policy !== undefined) {
    const content = await readInput(policy, MAX_POLICY_BYTES, "policy");
    add({ path: POLICY_PATH, content, mode: 0o644 }, policy);
  }
  const warnings: string[] = [];
  const warn = (text: string): unknown => warnings.push(text);
  if (registriesD !== undefined) for (const file of await readRegistriesD(registriesD, warn)) add(file, registriesD);
  if (trustDir !== undefined) for (const file of await readTrustDir(trustDir)) add(file, trustDir);
  if (keyUse !== "none") placeKeys(files, trust, add, policy ?? POLICY_PATH, command);
  // A MachineConfig that brings nothing must not look like trust that was rolled out.
  if (files.size === 0) {
    const places = [registriesD, trustDir].filter((place) => place !== undefined).join(" and ");
    throw new FormatError("machineconfig-malformed", `there is no file for the nodes in ${places}`);
  }
  const sorted = [...files.values()].toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  return { config: renderFiles({ name, version, labels: { ...labels, [ROLE_LABEL]: role } }, sorted), warnings };
}

async function readRegistriesD(folder: string, warn: (text: string) => unknown): Promise<readonly FileToWrite[]> {
  let names: readonly string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    throw fileError(error, folder, "read", "folder");
  }
  const files: FileToWrite[] = [];
  for (const name of names.toSorted()) {
    if (!name.endsWith(".yaml")) {
      // Not everything beside them was meant for the nodes; what looks like YAML was.
      if (/\.ya?ml/i.test(name)) warn(`${join(folder, name)} is left out: nodes read names that end in .yaml alone`);
      continue;
    }
    const path = join(folder, name);
    const content = await readFileBounded(path, MAX_REGISTRIES_D_BYTES, "registries.d file", { regularOnly: true });
    files.push({ path: `${REGISTRIES_D}/${name}`, content, mode: 0o644 });
  }
  return files;
}

async function readTrustDir(folder: string): Promise<readonly FileToWrite[]> {
  const files: FileToWrite[] = [];
  const fail = (problem: string): never => {
    throw new FormatError("machineconfig-malformed", `${folder}: ${problem}`);
  };
  for await (const { path, content, isExecutable } of openLocalFolder(folder).walk(".", fail))
    files.push({ path: `/${path}`, content, mode: isExecutable ? 0o755 : 0o644 });
  return files;
}

/** Reads every key file that the policy names, and puts it into the policy or beside it. */
function placeKeys(
  files: Map<string, FileToWrite>,
  trust: TrustToRender,
  add: (file: FileToWrite, origin: string) => void,
  source: string,
  command: string,
): void {
  const file = files.get(POLICY_PATH);
  if (file === undefined) throw usage(`--${trust.keyUse}-keys needs a policy`, command);
  const policy = parsePolicy(file.content, source);
  const wanted = keyFilesOf(policy);
  const named = readKeyNames(trust.keys, wanted, command);
  const contentOf = new Map(
    wanted.map((path): [string, Uint8Array] => {
      const own = named.get(path);
      const known = own === undefined ? files.get(path)?.content : undefined;
      return [path, known ?? readKey(own ?? path)];
    }),
  );
  checkOpenPgpKeys(policy, contentOf);
  if (trust.keyUse === "include") {
    for (const [path, content] of contentOf) add({ path, content, mode: 0o644 }, `key ${path}`);
    return;
  }
  const content = embedKeys(file.content, source, (path) => contentOf.get(path)!);
  files.set(POLICY_PATH, { ...file, content });
}

function readKey(path: string): Uint8Array {
  try {
    return readKeyFile(path);
  } catch (error) {
    const failure = error as SignetError;
    if (failure.code !== "file-missing") throw error;
    throw fileError(failure.cause ?? error, path, "read", "key file that the policy names,");
  }
}

/** Which local file stands for which path on the node. */
function readKeyNames(
  keys: readonly string[],
  wanted: readonly string[],
  command: string,
): ReadonlyMap<string, string> {
  const named = new Map<string, string>();
  for (const key of keys) {
    const equals = key.startsWith("/") ? key.indexOf("=") : -1;
    const node = equals < 0 ? undefined : key.slice(0, equals);
    const file = equals < 0 ? key : key.slice(equals + 1);
    const fitting = wanted.filter((path) => (node === undefined ? basename(path) === basename(file) : path === node));
    if (fitting.length === 0) {
      const problem =
        node === undefined ? `no key path of the policy ends in ${basename(file)}` : `the policy does not name ${node}`;
      throw usage(
        `--key ${key}: ${problem}`,
        command,
        `it names ${wanted.join(", ") || "no key files"}; write NODEPATH=FILE`,
      );
    }
    for (const path of fitting) {
      if (named.has(path) && named.get(path) !== file) throw usage(`two --key options are for ${path}`, command);
      named.set(path, file);
    }
  }
  return named;
}

/** A key file without a key would keep the nodes from pulling what it is for. */
function checkOpenPgpKeys(policy: ReturnType<typeof parsePolicy>, contentOf: ReadonlyMap<string, Uint8Array>): void {
  const lists = [policy.default, ...[...policy.transports.values()].flatMap((scopes) => [...scopes.values()])];
  for (const requirement of lists.flat()) {
    if (requirement.type !== "signedBy" || requirement.keys.kind !== "files") continue;
    for (const path of requirement.keys.paths)
      if (parseKeyring(contentOf.get(path)!, nodeEngine).certificates.length === 0)
        throw new FormatError("no-trust-anchors", `key file ${path} holds no OpenPGP public key that can be read`);
  }
}
