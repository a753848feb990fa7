/** A node's files held against a configuration, with the rules by which the machine-config daemon finds drift: same octets, same permission bits. */
import { type SignetError, equalBytes } from "@signet/core";
import { REGISTRIES_D } from "./trust-files.ts";
import type { UntrustedNodeFile, UntrustedOwner } from "./node-file.ts";

/** What is at one path of a node. */
export type ActualFile =
  | ActualContent
  | { readonly kind: "other"; readonly what: string }
  | { /** It could not be told. */ readonly kind: "unknown"; readonly error: SignetError };

export interface ActualContent {
  readonly kind: "file";
  readonly content: Uint8Array;
  /** Permission bits, and those above them. Undefined where they are not known. */
  readonly mode: number | undefined;
  /** Undefined where it is not known. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** What a node has, or a configuration would give it. */
export interface ActualFiles {
  /** Undefined when there is nothing at the path. */
  find(path: string): ActualFile | undefined;
  /** Names in a folder, without those of folders in it. */
  list(folder: string): readonly string[];
}

export interface NodeFileCheck {
  readonly path: string;
  /** `same`, or the first thing that is wrong; `unknown` when it could not be told. */
  readonly outcome: "same" | "missing" | "no-file" | "different" | "mode" | "owner" | "unknown";
  /** One clause for each thing that is wrong. */
  readonly problems: readonly string[];
  readonly wanted: Uint8Array;
  /** Undefined where there is no file. */
  readonly actual: Uint8Array | undefined;
}

export interface NodeCheck {
  readonly files: readonly NodeFileCheck[];
  /** Files that nobody asked for, in folders where every file counts. */
  readonly extra: readonly string[];
}

/** Folders whose files are all read, whatever they are called. */
const readWhole: readonly string[] = [REGISTRIES_D, "/etc/crio/policies"];

/** The folders in which files that nobody asked for matter: those of {@link readWhole} in which a file is wanted. */
export function foldersConcerned(wanted: readonly Pick<UntrustedNodeFile, "path">[]): readonly string[] {
  return readWhole.filter((folder) => wanted.some(({ path }) => path.startsWith(`${folder}/`)));
}

/** Compares file by file. Owners are compared where the configuration names one, by number; of names only root is known. What is not known of a file is not compared. */
export function checkNodeFiles(wanted: readonly UntrustedNodeFile[], actual: ActualFiles): NodeCheck {
  const paths = new Set(wanted.map(({ path }) => path));
  const extra = foldersConcerned(wanted).flatMap((folder) => {
    return actual
      .list(folder)
      .map((name) => `${folder}/${name}`)
      .filter((path) => !paths.has(path));
  });
  return { files: wanted.map((file) => checkFile(file, actual.find(file.path))), extra: extra.toSorted() };
}

function checkFile(wanted: UntrustedNodeFile, actual: ActualFile | undefined): NodeFileCheck {
  const { path, content } = wanted;
  const common = { path, wanted: content };
  if (actual === undefined) return { ...common, outcome: "missing", problems: ["it is not there"], actual: undefined };
  if (actual.kind === "unknown")
    return { ...common, outcome: "unknown", problems: [actual.error.message], actual: undefined };
  if (actual.kind === "other")
    return {
      ...common,
      outcome: "no-file",
      problems: [`there is ${actual.what} instead of a file`],
      actual: undefined,
    };
  const problems: (readonly ["different" | "mode" | "owner", string])[] = [];
  if (!equalBytes(content, actual.content)) problems.push(["different", "its content differs"]);
  if (actual.mode !== undefined && actual.mode !== wanted.mode)
    problems.push(["mode", `its mode is ${octal(actual.mode)} instead of ${octal(wanted.mode)}`]);
  for (const [what, owner, id] of [
    ["user", wanted.user, actual.uid],
    ["group", wanted.group, actual.gid],
  ] as const) {
    const expected = idOf(owner);
    if (expected !== undefined && id !== undefined && id !== expected)
      problems.push(["owner", `its ${what} is ${id} instead of ${expected}`]);
  }
  const outcome = problems[0]?.[0] ?? "same";
  return { ...common, outcome, problems: problems.map(([, text]) => text), actual: actual.content };
}

function idOf(owner: UntrustedOwner | undefined): number | undefined {
  return owner?.id ?? (owner?.name === "root" ? 0 : undefined);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

/** The files of another configuration, such as the rendered one of a pool. */
export function actualFilesOf(files: readonly UntrustedNodeFile[]): ActualFiles {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return {
    find(path) {
      const file = byPath.get(path);
      if (file === undefined) return undefined;
      // A file without owner is root's.
      const { content, mode, user, group } = file;
      return {
        kind: "file",
        content,
        mode,
        uid: user === undefined ? 0 : idOf(user),
        gid: group === undefined ? 0 : idOf(group),
      };
    },
    list: (folder) => {
      const inside = files.filter(({ path }) => path.slice(0, path.lastIndexOf("/")) === folder);
      return inside.map(({ path }) => path.slice(folder.length + 1));
    },
  };
}
