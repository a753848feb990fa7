/**
 * Butane files of variant `openshift`: YAML to what a MachineConfig is made of. Read are the parts that have to do with files: `storage.files`, `storage.trees`,
 * `metadata` and `openshift`. Everything else that Butane knows is refused by its place.
 */
import { SignetError } from "@signet/core";
import { type ButaneVersion, butaneVersionRange, findButaneVersion } from "./butane-version.ts";
import { decodeContents } from "./data-url.ts";
import { type YamlField, YamlDocument, type YamlProblem } from "./yaml-fields.ts";

/** The label that says which pool of nodes a MachineConfig is for. */
export const ROLE_LABEL = "machineconfiguration.openshift.io/role";

/** A Butane file, checked as far as it can be without the files that it names. */
export interface ButaneConfig {
  readonly version: ButaneVersion;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly files: readonly ButaneFile[];
  readonly trees: readonly ButaneTree[];
  readonly openshift: ButaneOpenShift;
}

/** An item of `storage.files`. */
export interface ButaneFile {
  readonly field: YamlField;
  /** Absolute, on the node. */
  readonly path: string;
  readonly overwrite: boolean | undefined;
  /** Permission bits. */
  readonly mode: number | undefined;
  readonly user: ButaneOwner | undefined;
  readonly group: ButaneOwner | undefined;
  readonly contents: ButaneContents;
}

export interface ButaneOwner {
  readonly id?: number;
  readonly name?: string;
}

/** At most one of `inline`, `local` and `source`. */
export interface ButaneContents {
  readonly inline: string | undefined;
  readonly local: { readonly field: YamlField; readonly path: string } | undefined;
  readonly source: string | undefined;
  readonly compression: string | undefined;
  readonly hash: string | undefined;
}

/** An item of `storage.trees`: a folder whose files go to the node. */
export interface ButaneTree {
  readonly field: YamlField;
  readonly local: string;
  /** Absolute, on the node. */
  readonly path: string;
}

export interface ButaneOpenShift {
  readonly kernelArguments: readonly string[];
  readonly extensions: readonly string[];
  readonly fips: boolean | undefined;
  readonly kernelType: string | undefined;
}

export interface ReadButane {
  readonly document: YamlDocument;
  readonly config: ButaneConfig;
  readonly warnings: readonly YamlProblem[];
}

const outOfScope =
  "this part of Butane is not rendered here: a MachineConfig of trust has files; use butane for the rest";
const refusedSections: Readonly<Record<string, string>> = Object.fromEntries(
  ["boot_device", "grub", "ignition", "kernel_arguments", "passwd", "systemd"].map((name) => [name, outOfScope]),
);
const refusedStorage: Readonly<Record<string, string>> = {
  ...Object.fromEntries(["disks", "filesystems", "luks", "raid"].map((name) => [name, outOfScope])),
  directories: "directories are not supported in this spec version",
  links: "links are not supported in this spec version",
};

/**
 * Reads a Butane file.
 *
 * Not checked: what policies and other files say; `checkTrustFiles` does that when their content is known.
 * @param source the file's name, for messages
 * @throws FormatError `butane-malformed` with line and column of the first problem, and all of them in `details`; `input-too-large`
 */
export function parseButane(bytes: Uint8Array, source: string): ReadButane {
  const document = new YamlDocument(bytes, source);
  const root = document.root;
  const version = readVersion(root);
  document.finish();
  const config = readConfig(root, version!);
  document.finish();
  return { document, config, warnings: document.warnings };
}

function readVersion(root: YamlField): ButaneVersion | undefined {
  const entries = root.entries();
  const variant = entries.get("variant")?.text();
  if (variant === undefined || variant === "") root.problem("variant must be specified; write variant: openshift");
  else if (variant !== "openshift")
    entries.get("variant")!.problem(`variant ${JSON.stringify(variant)} makes no MachineConfig; only openshift does`);
  const field = entries.get("version");
  const text = field?.text();
  if (field === undefined || text === undefined) {
    root.problem("version must be specified, such as version: 4.17.0");
    return undefined;
  }
  const version = findButaneVersion(text);
  if (version === undefined)
    field.problem(`there is no version ${JSON.stringify(text)} of variant openshift; there are ${butaneVersionRange}`);
  return version;
}

function readConfig(root: YamlField, version: ButaneVersion): ButaneConfig {
  const sections = root.members(["variant", "version", "metadata", "storage", "openshift"], refusedSections);
  const metadata = sections.get("metadata")?.members(["name", "labels"]);
  const name = metadata?.get("name")?.line() ?? "";
  if (name === "") (sections.get("metadata") ?? root).problem("metadata.name is required");
  else if (!isObjectName(name)) metadata!.get("name")!.problem(badName);
  const labels: Record<string, string> = {};
  for (const [key, field] of metadata?.get("labels")?.entries() ?? []) labels[key] = field.line() ?? "";
  if ((labels[ROLE_LABEL] ?? "") === "")
    (metadata?.get("labels") ?? sections.get("metadata") ?? root).problem(`label ${ROLE_LABEL} is required`);
  const storage = sections.get("storage")?.members(["files", "trees"], refusedStorage);
  const files = (storage?.get("files")?.items() ?? []).map((field) => readFile(field, version));
  checkPaths(files);
  return {
    version,
    name,
    labels,
    files,
    trees: (storage?.get("trees")?.items() ?? []).map(readTree),
    openshift: readOpenShift(sections.get("openshift")),
  };
}

/** What Kubernetes accepts as the name of an object. */
export function isObjectName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/.test(name);
}

const badName = "a name of lower-case letters, digits, - and . is expected here, with at most 253 characters";

function readFile(field: YamlField, version: ButaneVersion): ButaneFile {
  const members = field.members(["path", "overwrite", "mode", "user", "group", "contents"], {
    append: "appending to files is not supported in this spec version",
  });
  const path = members.get("path")?.line();
  const problem = explainBadPath(path ?? "");
  if (problem !== undefined && (path !== undefined || !members.has("path")))
    (members.get("path") ?? field).problem(problem);
  const mode = readMode(members.get("mode"), version);
  const overwrite = members.get("overwrite")?.boolean();
  const contents = readContents(members.get("contents"), version);
  const { inline, local, source } = contents;
  if (overwrite === true && inline === undefined && local === undefined && source === undefined)
    members.get("overwrite")!.problem("overwrite must be false if source is unspecified");
  const owners = { user: readOwner(members.get("user")), group: readOwner(members.get("group")) };
  return { field, path: path ?? "", overwrite, mode, contents, ...owners };
}

/** Largest numbers of bits of permission that a node takes. */
const MAX_MODE = 0o7777;

function readMode(field: YamlField | undefined, version: ButaneVersion): number | undefined {
  const mode = field?.integer(0, MAX_MODE);
  if (mode === undefined) return undefined;
  if (version.refusesSpecialModes && (mode & ~0o777) !== 0)
    field!.problem("special mode bits are not supported in this spec version");
  if (!isTypicalMode(mode) && /^[0-7]{1,4}$/.test(String(mode)) && isTypicalMode(Number.parseInt(String(mode), 8)))
    field!.warn("unreasonable mode would be reasonable if specified in octal; remember to add a leading zero");
  return mode;
}

/** As Butane judges: readable by somebody, nobody may more than those before them, and nothing that is written or run is unreadable. */
function isTypicalMode(mode: number): boolean {
  if (mode === 0) return true;
  let before = 0;
  for (const rights of [mode & 7, (mode >> 3) & 7, (mode >> 6) & 7]) {
    if ((before & ~rights) !== 0) return false;
    if ((rights & 1) !== 0 && (before & 4) !== 0 && (before & 1) === 0) return false;
    if ((rights & 3) !== 0 && (rights & 4) === 0) return false;
    before |= rights;
  }
  if ((before & 4) === 0 || (mode & 0o1000) !== 0) return false;
  return (mode & 0o6000) === 0 || ((before & 1) !== 0 && (mode & 2) === 0);
}

/** Above, Butane writes 1e+06, which the operator does not read as a whole number. */
const MAX_OWNER_ID = 999_999;

function readOwner(field: YamlField | undefined): ButaneOwner | undefined {
  if (field === undefined) return undefined;
  const members = field.members(["id", "name"]);
  const id = members.get("id")?.integer(0, MAX_OWNER_ID);
  const name = members.get("name")?.line();
  if (id !== undefined && name !== undefined && name !== "") field.problem("cannot set both id and name");
  return { ...(id === undefined ? {} : { id }), ...(name === undefined ? {} : { name }) };
}

function readContents(field: YamlField | undefined, version: ButaneVersion): ButaneContents {
  const members = field?.members(["inline", "local", "source", "compression", "verification"], {
    http_headers: "file HTTP headers are not supported in this spec version",
  });
  const given = (["local", "inline", "source"] as const).filter((name) => members?.has(name) === true);
  if (given.length > 1)
    members!.get(given.at(-1)!)!.problem("only one of the following can be set: inline, local, source");
  const compression = members?.get("compression")?.line();
  if (compression !== undefined && compression !== "") {
    const at = members!.get("compression")!;
    if (compression !== "gzip") at.problem('invalid compression: "gzip" or nothing');
    else if (!version.compresses) at.problem("file compression is not supported in this spec version");
  }
  const source = members?.get("source")?.line();
  if (source !== undefined && source !== "") {
    const problem = explainBadSource(source);
    if (problem !== undefined) members!.get("source")!.problem(problem);
  }
  const localField = members?.get("local");
  const local = localField?.line();
  return {
    inline: members?.get("inline")?.text(),
    local: localField === undefined || local === undefined ? undefined : { field: localField, path: local },
    source,
    compression,
    hash: readHash(members?.get("verification"), given.length > 0),
  };
}

function explainBadSource(source: string): string | undefined {
  if (!source.startsWith("data:")) return "file contents source must be data URL in this spec version";
  try {
    decodeContents({ source }, "source");
    return undefined;
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    return error.message.replace(/^source: /, "");
  }
}

function readHash(field: YamlField | undefined, hasSource: boolean): string | undefined {
  const place = field?.members(["hash"]).get("hash");
  const hash = place?.line();
  if (place === undefined || hash === undefined) return undefined;
  if (!hasSource) place.problem("verification needs a source");
  else if (!/^(?:sha256-[0-9a-fA-F]{64}|sha512-[0-9a-fA-F]{128})$/.test(hash))
    place.problem("a hash is expected here: sha256- or sha512- and its hex digits");
  return hash;
}

function readTree(field: YamlField): ButaneTree {
  const members = field.members(["local", "path"]);
  const local = members.get("local")?.line() ?? "";
  if (local === "") field.problem("local is required");
  const path = members.get("path")?.line() ?? "";
  if (path !== "" && path !== "/") {
    const problem = explainBadPath(path);
    if (problem !== undefined) members.get("path")!.problem(problem);
  }
  return { field, local, path: path === "" ? "/" : path };
}

function readOpenShift(field: YamlField | undefined): ButaneOpenShift {
  const members = field?.members(["kernel_arguments", "extensions", "fips", "kernel_type"]);
  const list = (name: string): readonly string[] => distinctLines(members?.get(name)?.items() ?? []);
  const kernelType = members?.get("kernel_type")?.line();
  if (kernelType !== undefined && !["", "default", "realtime"].includes(kernelType))
    members!.get("kernel_type")!.problem('must be empty, "default", or "realtime"');
  return {
    kernelArguments: list("kernel_arguments"),
    extensions: list("extensions"),
    fips: members?.get("fips")?.boolean(),
    kernelType,
  };
}

function distinctLines(items: readonly YamlField[]): readonly string[] {
  const seen = new Set<string>();
  return items.map((item) => {
    const text = item.line() ?? "";
    if (seen.has(text)) item.problem("duplicate entry defined");
    seen.add(text);
    return text;
  });
}

/** Bytes of a path, and of one part of it: what Linux takes. */
const MAX_PATH_BYTES = 4095;
const MAX_NAME_BYTES = 255;

/** Why no file can be there; undefined when one can. */
export function explainBadPath(path: string): string | undefined {
  if (path === "") return "path not specified";
  if (!path.startsWith("/")) return "path not absolute";
  const parts = path.slice(1).split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) return "path is not fully simplified";
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(path)) return "path has control characters";
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `path is longer than ${MAX_PATH_BYTES} bytes`;
  if (parts.some((part) => Buffer.byteLength(part) > MAX_NAME_BYTES))
    return `a part of the path is longer than ${MAX_NAME_BYTES} bytes`;
  return undefined;
}

/** No path twice, and none below a file. */
function checkPaths(files: readonly ButaneFile[]): void {
  const seen = new Set<string>();
  for (const { path, field } of files) {
    if (path === "") continue;
    if (seen.has(path)) field.problem(`duplicate entry defined: ${path}`);
    seen.add(path);
  }
  for (const { path, field } of files) {
    const above = parentsOf(path).find((parent) => seen.has(parent));
    if (above !== undefined) field.problem(`${above} is a file, so that there can be no ${path}`);
  }
}

/** `/etc/a` and `/etc` of `/etc/a/b`. */
export function parentsOf(path: string): readonly string[] {
  const parts = path.split("/").slice(1, -1);
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join("/")}`);
}
