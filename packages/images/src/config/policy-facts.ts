/** What the lints of a policy may know of the machine: its key files, registries.d and, when asked for, the signatures in its stores. */
import { access, stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import {
  type KeyFileFact,
  type LintFacts,
  type Policy,
  SignetError,
  StoreError,
  type StoreFacts,
  type StoreSection,
  type StoreUrl,
  keyFilesOf,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { parseLookasideBase } from "../stores/lookaside-url.ts";
import { surveyStores } from "../stores/store-survey.ts";
import { readKeyFile } from "../verify/key-file.ts";
import type { RegistriesD } from "./registries-d.ts";
import type { LookasideKey, RegistriesDSection } from "./registries-d-file.ts";
import { resolveInRoot } from "./rooted-path.ts";

export interface PolicyFactsOptions {
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  readonly registriesD: RegistriesD;
  /** The tree that absolute paths of policy and registries.d belong to. Default: this machine. */
  readonly root?: string;
  /** True: look through the stores of every scope that requires signatures. */
  readonly surveysStores?: boolean;
}

/** Octal: the right of the group, and of everybody, to write. */
const GROUP_WRITE = 0o020;
const OTHERS_WRITE = 0o002;
/** Octal: in such a folder only the owner of a file may replace it. */
const STICKY = 0o1000;

/**
 * Reads all that `lintPolicy` wants to know. What cannot be read is a fact as well, not an error.
 * @throws StoreError when a folder of a store cannot be looked into
 */
export async function gatherPolicyFacts(policy: Policy, options: PolicyFactsOptions): Promise<LintFacts> {
  const { now, registriesD, root, surveysStores } = options;
  const keyFiles = new Map<string, KeyFileFact>();
  for (const path of keyFilesOf(policy)) keyFiles.set(path, await lookAtKeyFile(path, root));
  const stores = await describeStores(registriesD, root);
  const surveys = surveysStores === true ? await surveyStores(policy, stores, root) : undefined;
  return { now, engine: nodeEngine, keyFiles, stores, surveys };
}

async function lookAtKeyFile(path: string, root: string | undefined): Promise<KeyFileFact> {
  try {
    const place = resolveInRoot(root, path);
    const bytes = readKeyFile(place);
    const isRelative = !path.startsWith("/");
    return {
      outcome: "read",
      bytes,
      writableBy: await whoCanWrite(place),
      // In a tree nobody knows the working directory that a relative path starts at.
      absolutePath: isRelative && root === undefined ? resolve(path) : undefined,
    };
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    const isMissing = error instanceof StoreError && error.code === "file-missing";
    return { outcome: isMissing ? "missing" : "unreadable", problem: error.message };
  }
}

async function whoCanWrite(path: string): Promise<string | undefined> {
  const file = await stat(path);
  if ((file.mode & OTHERS_WRITE) !== 0) return `can be changed by everybody (mode ${octal(file.mode)})`;
  // A group of root's own is root, as everywhere in a fresh system.
  if ((file.mode & GROUP_WRITE) !== 0 && file.gid !== 0)
    return `can be changed by its group (mode ${octal(file.mode)})`;
  const folder = await stat(dirname(path));
  if ((folder.mode & OTHERS_WRITE) === 0 || (folder.mode & STICKY) !== 0) return undefined;
  return `can be replaced by everybody: mode ${octal(folder.mode)} of folder ${basename(dirname(path))}`;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}

/**
 * registries.d in the form that lints read.
 * @param root the tree that its folders belong to; this machine when undefined
 */
export async function describeStores(
  registriesD: Pick<RegistriesD, "sections" | "defaultSection" | "builtinFolder">,
  root?: string,
): Promise<StoreFacts> {
  const { sections, defaultSection, builtinFolder } = registriesD;
  return {
    sections: new Map([...sections].map(([namespace, section]) => [namespace, describeSection(section)])),
    defaultSection: defaultSection === undefined ? undefined : describeSection(defaultSection),
    builtinFolder: { path: builtinFolder, exists: await exists(resolveInRoot(root, builtinFolder)) },
  };
}

function describeSection(section: RegistriesDSection): StoreSection {
  const { namespace, file, line, urls, useSigstoreAttachments } = section;
  return {
    namespace,
    file,
    line,
    urls: (Object.keys(urls) as LookasideKey[]).map((key) => describeUrl(section, key)),
    useSigstoreAttachments,
  };
}

function describeUrl(section: RegistriesDSection, key: LookasideKey): StoreUrl {
  const { value, line } = section.urls[key]!;
  try {
    const { label, scheme, origin, folder } = parseLookasideBase(value, `${section.file}:${line}`);
    const isWeb = scheme === "http" || scheme === "https";
    const host = isWeb ? new URL(origin).hostname : "";
    return { key, line, shown: label, scheme, host, folder, problem: undefined };
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    // Its message hides what may be a password.
    return {
      key,
      line,
      shown: "",
      scheme: "",
      host: "",
      folder: undefined,
      problem: error.message.replace(`${section.file}:${line}: `, ""),
    };
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
