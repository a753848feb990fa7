/** MachineConfigs: made from a Butane file, and written as Butane writes them. */
import { FormatError } from "@signet/core";
import { type ButaneConfig, type ButaneFile, type ButaneOwner, ROLE_LABEL, parentsOf } from "./butane-config.ts";
import { type IgnitionContents, makeContents } from "./data-url.ts";
import { type JsonMembers, writeGoYaml } from "./go-yaml.ts";
import { type LocalFolder, noLocalFolder } from "./local-folder.ts";

/** Bytes: a cluster keeps no larger object. */
export const MAX_MACHINE_CONFIG_BYTES: number = 1536 * 1024;

/** A MachineConfig. A member that is not there is left out, as in JSON. */
export interface MachineConfig {
  readonly apiVersion: "machineconfiguration.openshift.io/v1";
  readonly kind: "MachineConfig";
  readonly metadata: { readonly labels: Readonly<Record<string, string>>; readonly name: string };
  readonly spec: {
    readonly config: {
      readonly ignition: { readonly version: string };
      readonly storage?: { readonly files: readonly IgnitionFile[] };
    };
    readonly extensions?: readonly string[];
    readonly fips?: boolean;
    readonly kernelArguments?: readonly string[];
    readonly kernelType?: string;
  };
}

/** A file of an Ignition document. */
export interface IgnitionFile {
  readonly path: string;
  readonly contents?: IgnitionContents;
  readonly mode?: number;
  readonly overwrite?: boolean;
  readonly user?: ButaneOwner;
  readonly group?: ButaneOwner;
}

/** A file that is to be on the node. */
export interface FileToWrite {
  readonly path: string;
  readonly content: Uint8Array;
  readonly mode: number;
}

/**
 * What Butane makes of the file.
 *
 * @param local where `contents.local` and `storage.trees` are
 * @throws FormatError `butane-malformed` for local files that cannot be used, with their place; `input-too-large`
 */
export async function renderButane(
  config: ButaneConfig,
  finish: () => void,
  local: LocalFolder = noLocalFolder,
): Promise<MachineConfig> {
  const files: IgnitionFile[] = [];
  for (const file of config.files) files.push(await renderFile(file, config, local));
  for (const { field, local: folder, path: target } of config.trees) {
    for await (const found of local.walk(folder, (problem) => field.problem(problem))) {
      const path = target === "/" ? `/${found.path}` : `${target}/${found.path}`;
      addTreeFile(files, path, found, config, (problem) => field.problem(problem));
    }
  }
  const paths = new Set(files.map(({ path }) => path));
  for (const { path } of files)
    if (parentsOf(path).some((parent) => paths.has(parent))) config.trees[0]?.field.problem(`${path} is below a file`);
  finish();
  return assemble(config, files);
}

async function renderFile(file: ButaneFile, config: ButaneConfig, local: LocalFolder): Promise<IgnitionFile> {
  const { inline, local: localFile, source, compression, hash } = file.contents;
  let contents: IgnitionContents = {
    ...(compression === undefined ? {} : { compression }),
    ...(source === undefined ? {} : { source }),
    ...(hash === undefined ? {} : { verification: { hash } }),
  };
  const content =
    localFile === undefined
      ? inline === undefined
        ? undefined
        : new TextEncoder().encode(inline)
      : await local.read(localFile.path, (problem) => localFile.field.problem(problem));
  if (content !== undefined) {
    const made = makeContents(content, compression, config.version.compresses);
    contents = { ...contents, ...made };
  }
  return makeFile(file, contents);
}

function makeFile(
  { path, mode, overwrite, user, group }: Pick<ButaneFile, "path" | "mode" | "overwrite" | "user" | "group">,
  contents: IgnitionContents,
): IgnitionFile {
  const isEmpty = (value: object | undefined): boolean => value === undefined || Object.keys(value).length === 0;
  return {
    path,
    ...(isEmpty(contents) ? {} : { contents }),
    ...(mode === undefined ? {} : { mode }),
    ...(overwrite === undefined ? {} : { overwrite }),
    ...(user === undefined || isEmpty(user) ? {} : { user }),
    ...(group === undefined || isEmpty(group) ? {} : { group }),
  };
}

/** A file of a tree; it may fill one that was named without content. */
function addTreeFile(
  files: IgnitionFile[],
  path: string,
  { content, isExecutable }: { readonly content: Uint8Array; readonly isExecutable: boolean },
  { version }: ButaneConfig,
  report: (problem: string) => void,
): void {
  const index = files.findIndex((file) => file.path === path);
  const there = files[index];
  if ((there?.contents?.source ?? "") !== "") {
    report(`matching filesystem node has existing contents or different type: ${path}`);
    return;
  }
  const made = makeContents(content, there?.contents?.compression, version.compresses);
  const mode = there?.mode ?? (isExecutable ? 0o755 : 0o644);
  const file: IgnitionFile = { ...there, path, contents: { ...there?.contents, ...made }, mode };
  if (there === undefined) files.push(file);
  else files[index] = file;
}

/**
 * A MachineConfig of files alone, in the form that Butane would give it. Files that are on the node already are replaced.
 * @param config name, labels and version
 */
export function renderFiles(
  config: Pick<ButaneConfig, "name" | "labels" | "version">,
  files: readonly FileToWrite[],
): MachineConfig {
  const made = files.map(({ path, content, mode }): IgnitionFile => {
    const contents = makeContents(content, undefined, config.version.compresses);
    return { path, contents, mode, overwrite: true };
  });
  const openshift = { kernelArguments: [], extensions: [], fips: undefined, kernelType: undefined };
  return assemble({ ...config, openshift }, made);
}

function assemble(
  { name, labels, version, openshift }: Pick<ButaneConfig, "name" | "labels" | "version" | "openshift">,
  files: readonly IgnitionFile[],
): MachineConfig {
  const { extensions, fips, kernelArguments, kernelType } = openshift;
  return {
    apiVersion: "machineconfiguration.openshift.io/v1",
    kind: "MachineConfig",
    metadata: { labels, name },
    spec: {
      config: {
        ignition: { version: version.ignition },
        ...(files.length === 0 ? {} : { storage: { files } }),
      },
      ...(extensions.length === 0 ? {} : { extensions }),
      ...(fips === undefined ? {} : { fips }),
      ...(kernelArguments.length === 0 ? {} : { kernelArguments }),
      ...(kernelType === undefined ? {} : { kernelType }),
    },
  };
}

/**
 * The text of the object: YAML byte for byte as Butane writes it, or the same as JSON with two blanks of indentation.
 * @throws FormatError `input-too-large` when no cluster could keep it
 */
export function writeMachineConfig(config: MachineConfig, format: "yaml" | "json"): string {
  const json = JSON.stringify(config);
  if (Buffer.byteLength(json) > MAX_MACHINE_CONFIG_BYTES)
    throw new FormatError(
      "input-too-large",
      `MachineConfig ${config.metadata.name} would have ${Buffer.byteLength(json)} bytes; a cluster keeps ${MAX_MACHINE_CONFIG_BYTES}`,
      { hint: "leave out files that the nodes do not need" },
    );
  if (format === "json") return `${JSON.stringify(config, undefined, 2)}\n`;
  return `# Generated by Butane; do not edit\n${writeGoYaml(JSON.parse(json) as JsonMembers)}`;
}

/** The pool it is for. */
export function roleOf({ metadata }: MachineConfig): string {
  return metadata.labels[ROLE_LABEL] ?? "";
}
