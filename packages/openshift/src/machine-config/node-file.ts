/** What a configuration puts on a node, file by file: a MachineConfig, written by hand or rendered by the operator, or a bare Ignition document. */
import { FormatError } from "@signet/core";
import { isRecord, parseManifestObjects } from "../kubernetes/manifests.ts";
import { explainBadPath } from "./butane-config.ts";
import { decodeContents } from "./data-url.ts";

/** Files of one configuration. A rendered one of a cluster has about 100. */
const MAX_FILES = 2000;

/** Bytes of all files together, after decompression. */
const MAX_TOTAL_BYTES = 32 * 1024 * 1024;

/** Octal: what a file gets whose configuration names no mode. */
const DEFAULT_MODE = 0o644;

/** One file as it is to be on the node. Nothing in it is trusted. */
export interface UntrustedNodeFile {
  /** Absolute and simplified. */
  readonly path: string;
  readonly content: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  /** Undefined where it does not say: root. */
  readonly user: UntrustedOwner | undefined;
  readonly group: UntrustedOwner | undefined;
}

export interface UntrustedOwner {
  readonly id?: number;
  readonly name?: string;
}

/** A configuration and its files. */
export interface UntrustedNodeFiles {
  /** The name of the MachineConfig; `Ignition VERSION` for a bare document. */
  readonly name: string;
  readonly files: readonly UntrustedNodeFile[];
}

/**
 * Reads a file with one MachineConfig, or one Ignition document.
 * @param source the file's name, for messages
 * @throws FormatError `machineconfig-malformed`, `manifest-file-malformed`, `input-too-large`
 */
export function parseNodeFiles(bytes: Uint8Array, source: string): UntrustedNodeFiles {
  const objects = parseManifestObjects(bytes, source);
  const [object] = objects;
  if (object === undefined || objects.length > 1)
    throw new FormatError("machineconfig-malformed", `${source}: one MachineConfig is expected, not ${objects.length}`);
  if (object.kind === "MachineConfig") {
    const spec = isRecord(object.value["spec"]) ? object.value["spec"] : {};
    const config = isRecord(spec["config"]) ? spec["config"] : {};
    return { name: object.name, files: nodeFilesOf(config, `${source}: spec.config`) };
  }
  const ignition = object.value["ignition"];
  if (isRecord(ignition) && typeof ignition["version"] === "string")
    return { name: `Ignition ${ignition["version"]}`, files: nodeFilesOf(object.value, source) };
  throw new FormatError("machineconfig-malformed", `${source}: neither a MachineConfig nor an Ignition document`);
}

/**
 * The files of an Ignition document. Links, folders and units in it are passed over.
 * @throws FormatError as {@link parseNodeFiles}
 */
export function nodeFilesOf(ignition: Readonly<Record<string, unknown>>, source: string): readonly UntrustedNodeFile[] {
  const storage = isRecord(ignition["storage"]) ? ignition["storage"] : {};
  const list = storage["files"] ?? [];
  if (!Array.isArray(list)) throw malformed(source, "storage.files is no list");
  if (list.length > MAX_FILES) throw malformed(source, `more than ${MAX_FILES} files`);
  const seen = new Set<string>();
  let total = 0;
  return list.map((item: unknown, index) => {
    const place = `${source}: storage.files[${index}]`;
    if (!isRecord(item)) throw malformed(place, "no object");
    const file = readFile(item, place);
    if (seen.has(file.path)) throw malformed(place, `${file.path} stands twice`);
    seen.add(file.path);
    total += file.content.length;
    if (total > MAX_TOTAL_BYTES)
      throw new FormatError("input-too-large", `${source}: files of more than ${MAX_TOTAL_BYTES} bytes together`);
    return file;
  });
}

function readFile(item: Readonly<Record<string, unknown>>, place: string): UntrustedNodeFile {
  const path = item["path"];
  if (typeof path !== "string") throw malformed(place, "no path");
  const problem = explainBadPath(path);
  if (problem !== undefined) throw malformed(place, `${problem}: ${JSON.stringify(path.slice(0, 300))}`);
  const append = item["append"];
  // A list since version 3 of Ignition, a switch before.
  if (append === true || (Array.isArray(append) && append.length > 0))
    throw malformed(`${place} ${path}`, "appending is not supported");
  return {
    path,
    content: readContents(item["contents"], `${place} ${path}`),
    mode: readMode(item["mode"], `${place} ${path}`),
    user: readOwner(item["user"]),
    group: readOwner(item["group"]),
  };
}

function readContents(contents: unknown, place: string): Uint8Array {
  if (contents === undefined || contents === null) return new Uint8Array(0);
  if (!isRecord(contents)) throw malformed(place, "contents is no object");
  const { source, compression } = contents;
  const isText = (value: unknown): value is string | undefined | null =>
    value === undefined || value === null || typeof value === "string";
  if (!isText(source) || !isText(compression)) throw malformed(place, "source and compression are texts");
  return decodeContents(
    {
      ...(typeof source === "string" ? { source } : {}),
      ...(typeof compression === "string" ? { compression } : {}),
    },
    place,
  );
}

function readMode(mode: unknown, place: string): number {
  if (mode === undefined || mode === null) return DEFAULT_MODE;
  if (typeof mode === "number" && Number.isInteger(mode) && mode >= 0 && mode <= 0o777) return mode;
  throw malformed(place, `mode ${JSON.stringify(mode)} is no number from 0 to 0777`);
}

function readOwner(owner: unknown): UntrustedOwner | undefined {
  if (!isRecord(owner)) return undefined;
  const { id, name } = owner;
  if (typeof id === "number") return { id };
  return typeof name === "string" && name !== "" ? { name } : undefined;
}

function malformed(place: string, problem: string): FormatError {
  return new FormatError("machineconfig-malformed", `${place}: ${problem}`);
}
