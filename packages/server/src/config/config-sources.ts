/** Where configuration is said: a file, the environment, options of the command line. Each value keeps the place it came from. */
import { dirname, resolve } from "node:path";
import { PolicyError } from "@signet/core";
import type { YamlFailure, YamlNode } from "@signet/images";
import { type KeyRow, configKeys, environmentName } from "./config-keys.ts";
import { type ListenAddress, readValue } from "./config-values.ts";

/** A value that somebody set. */
export interface Setting {
  readonly value: boolean | number | string | ListenAddress;
  /** As it was written. */
  readonly text: string;
  /** Where: `FILE:LINE:COLUMN`, a variable's name, an option. */
  readonly origin: string;
}

/** Settings by the path of their key. */
export type Settings = Map<string, Setting>;

/** The configuration is refused: the place, what is wrong there, and what would be right. */
export function configFailure(origin: string, problem: string, hint?: string): PolicyError {
  return new PolicyError("config-malformed", `${origin}: ${problem}`, hint === undefined ? {} : { hint });
}

/**
 * Settings of a file, where paths are relative to its folder.
 * @throws PolicyError `config-malformed` with line and column; StoreError `file-missing`, `file-unreadable`
 */
export async function readConfigFile(file: string): Promise<Settings> {
  // Loaded for those who have a file.
  const { MAX_YAML_BYTES, readFileBounded, readYaml, yamlFailure } = await import("@signet/images");
  const bytes = await readFileBounded(file, MAX_YAML_BYTES, "configuration");
  const fail = yamlFailure(file, "config-malformed");
  const settings: Settings = new Map();
  const root = readYaml(bytes, fail);
  // An empty file, or one of comments alone, says nothing.
  if (root.kind === "scalar" && root.value === null) return settings;
  collect(root, "", { file, fail, settings });
  return settings;
}

interface Reading {
  readonly file: string;
  readonly fail: YamlFailure;
  readonly settings: Settings;
}

function collect(node: YamlNode, prefix: string, reading: Reading): void {
  const { fail } = reading;
  if (node.kind !== "map") throw fail(node.place, `${prefix === "" ? "the configuration" : prefix} must be a mapping`);
  for (const [name, { place, value }] of node.members) {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    const row = configKeys.find((one) => one.path === path);
    if (row !== undefined) store(row, value, reading);
    else if (configKeys.some((one) => one.path.startsWith(`${path}.`))) collect(value, path, reading);
    else throw fail(place, `there is no key ${JSON.stringify(path.slice(0, 200))}`, nearestKeys(prefix));
  }
}

function store(row: KeyRow, node: YamlNode, { file, fail, settings }: Reading): void {
  if (row.fromEnvironmentOnly === true) {
    throw fail(
      node.place,
      `${row.path} is not read from a file`,
      `set ${environmentName(row.path)}, or ${row.path}File`,
    );
  }
  if (node.kind !== "scalar" || node.value === null) throw fail(node.place, `${row.path} needs one value`);
  if (typeof node.value === "boolean" && row.kind !== "boolean") {
    throw fail(node.place, `${row.path} cannot be ${node.text}`, "put text in quotes");
  }
  const read = readValue(row, node.text);
  if ("problem" in read) throw fail(node.place, `${row.path}: ${read.problem}`);
  const value = row.kind === "path" ? resolve(dirname(file), node.text) : read.value;
  const origin = `${file}:${node.place.line}:${node.place.column}`;
  settings.set(row.path, { value, text: node.text, origin });
}

function nearestKeys(prefix: string): string {
  const names = configKeys
    .filter((row) => prefix === "" || row.path.startsWith(`${prefix}.`))
    .map((row) => row.path.slice(prefix === "" ? 0 : prefix.length + 1).split(".", 1)[0]);
  return `${prefix === "" ? "the keys are" : `${prefix} has`} ${[...new Set(names)].join(", ")}`;
}

/**
 * Settings of the environment, where paths are relative to the working folder. Other variables that begin with `SIGNET_` are not looked at: Kubernetes makes some
 * for every service of that name.
 * @throws PolicyError `config-malformed`
 */
export function readConfigEnvironment(env: Readonly<Record<string, string | undefined>>): Settings {
  const settings: Settings = new Map();
  for (const row of configKeys) {
    const name = environmentName(row.path);
    const text = env[name];
    if (text !== undefined) settings.set(row.path, readSetting(row, text, `environment variable ${name}`));
  }
  return settings;
}

/**
 * Settings of the command line.
 * @param options values by the path of their key; undefined: not given. Options are called like the last part of the path
 * @throws PolicyError `config-malformed`
 */
export function readConfigOptions(options: Readonly<Record<string, string | undefined>>): Settings {
  const settings: Settings = new Map();
  for (const [path, text] of Object.entries(options)) {
    const row = configKeys.find((one) => one.path === path);
    if (row !== undefined && text !== undefined) settings.set(path, readSetting(row, text, `--${path}`));
  }
  return settings;
}

function readSetting(row: KeyRow, text: string, origin: string): Setting {
  const read = readValue(row, text);
  if ("problem" in read) throw configFailure(origin, read.problem);
  return { value: row.kind === "path" ? resolve(text) : read.value, text, origin };
}
