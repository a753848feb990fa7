/** Who signed what lies in the stores of a policy's scopes: a count of the key ids that signatures claim. Nothing is verified. */
import type { Dir } from "node:fs";
import { opendir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  FormatError,
  MAX_SIGNATURE_BYTES,
  type Policy,
  type StoreFacts,
  type StoreSurvey,
  explainUnmatchableScope,
  inspectSignedMessage,
  lookasideSectionsFor,
  parseSignatureBlob,
  pathOfScope,
  policyScopes,
  readingUrlOf,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { resolveInRoot } from "../config/rooted-path.ts";

/** Signatures read in one survey, over all scopes. At some ten thousand a second that is a few seconds; a policy's keys show long before. */
const MAX_SURVEYED_SIGNATURES = 20_000;

/** Folder entries looked at in one survey: a store has a folder and about one file for each image. */
const MAX_SURVEYED_ENTRIES = 200_000;

/** Levels below a store's base: the longest repository name has 128 parts. */
const MAX_SURVEYED_DEPTH = 130;

/** `signature-1` of a store or a dir: image, `HEX.signature-1` of an instance there. */
const signatureFileForm = /^(?:[0-9a-f]{64,128}\.)?signature-[1-9][0-9]{0,8}$/;

/**
 * Looks through the stores of every scope with a `signedBy` requirement: the lookaside folders that registries.d names for docker scopes and for the default, and
 * the folder itself for `dir`. Below a folder that several registries share, signatures of them all are counted.
 *
 * Bounded to {@link MAX_SURVEYED_SIGNATURES} signatures and {@link MAX_SURVEYED_ENTRIES} folder entries together. Symbolic links are not followed. A store
 * on a web server cannot be listed, and a registry's own signatures are not asked for.
 *
 * @returns surveys by the label of the scope
 * @throws StoreError `file-unreadable` for a folder that exists and cannot be listed
 */
export async function surveyStores(
  policy: Policy,
  stores: StoreFacts,
  root: string | undefined,
): Promise<ReadonlyMap<string, StoreSurvey>> {
  const surveyor = new Surveyor(root);
  const surveys = new Map<string, StoreSurvey>();
  for (const { transport, scope, label, requirements } of policyScopes(policy)) {
    if (!requirements.some(({ type }) => type === "signedBy")) continue;
    if (transport === "dir" && scope !== undefined && scope !== "") {
      surveys.set(label, await surveyor.survey([{ folder: scope }], []));
    } else if (transport === undefined || transport === "docker") {
      const name = scope ?? "";
      if (explainUnmatchableScope("docker", name) !== undefined) continue;
      const { starts, unlistable } = storesOf(name, stores);
      surveys.set(label, await surveyor.survey(starts, unlistable));
    }
  }
  return surveys;
}

/** Where a search begins: a folder, and which of its entries belong to it. */
interface Start {
  readonly folder: string;
  /** Only entries that are this name or begin with it and `@`. Default: all. */
  readonly name?: string;
}

function storesOf(scope: string, stores: StoreFacts): { starts: readonly Start[]; unlistable: readonly string[] } {
  const { governing, below } = lookasideSectionsFor(stores, scope);
  const first = governing.map(readingUrlOf).find((url) => url !== undefined);
  const bases = [
    first === undefined
      ? { folder: stores.builtinFolder.path, shown: "", name: scope }
      : { folder: first.folder, shown: first.shown, name: scope },
    ...below.flatMap((section) => {
      const url = readingUrlOf(section);
      return url === undefined ? [] : [{ folder: url.folder, shown: url.shown, name: section.namespace ?? "" }];
    }),
  ];
  const starts = bases.flatMap(({ folder, name }) => (folder === undefined ? [] : [startOf(folder, name)]));
  return { starts, unlistable: bases.flatMap(({ folder, shown }) => (folder === undefined ? [shown] : [])) };
}

function startOf(base: string, scope: string): Start {
  const path = pathOfScope(scope);
  return path === "" ? { folder: base } : { folder: join(base, dirname(path)), name: basename(path) };
}

interface Tally {
  signatures: number;
  unreadable: number;
  isCut: boolean;
  readonly issuers: Map<string, number>;
}

class Surveyor {
  readonly #root: string | undefined;
  /** By folder and name: scopes share stores. */
  readonly #known = new Map<string, Tally>();
  #signaturesLeft = MAX_SURVEYED_SIGNATURES;
  #entriesLeft = MAX_SURVEYED_ENTRIES;

  constructor(root: string | undefined) {
    this.#root = root;
  }

  async survey(starts: readonly Start[], unlistable: readonly string[]): Promise<StoreSurvey> {
    const total: Tally = { signatures: 0, unreadable: 0, isCut: false, issuers: new Map() };
    const folders = new Set<string>();
    for (const start of starts) {
      folders.add(start.name === undefined ? start.folder : join(start.folder, start.name));
      const found = await this.#start(start);
      total.signatures += found.signatures;
      total.unreadable += found.unreadable;
      total.isCut ||= found.isCut;
      for (const [issuer, count] of found.issuers) total.issuers.set(issuer, (total.issuers.get(issuer) ?? 0) + count);
    }
    return { ...total, folders: [...folders], unlistable: [...new Set(unlistable)] };
  }

  async #start({ folder, name }: Start): Promise<Tally> {
    const key = JSON.stringify([folder, name]);
    let tally = this.#known.get(key);
    if (tally === undefined) {
      tally = { signatures: 0, unreadable: 0, isCut: false, issuers: new Map() };
      this.#known.set(key, tally);
      await this.#walk(resolveInRoot(this.#root, folder), name, 0, tally);
    }
    return tally;
  }

  async #walk(folder: string, name: string | undefined, depth: number, tally: Tally): Promise<void> {
    const entries = await openFolder(folder);
    if (entries === undefined) return;
    for await (const entry of entries) {
      if (this.#entriesLeft === 0 || this.#signaturesLeft === 0 || depth > MAX_SURVEYED_DEPTH) {
        tally.isCut = true;
        return;
      }
      this.#entriesLeft--;
      if (name !== undefined && entry.name !== name && !entry.name.startsWith(`${name}@`)) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await this.#walk(path, undefined, depth + 1, tally);
      else if (entry.isFile() && signatureFileForm.test(entry.name)) await this.#read(path, tally);
    }
  }

  async #read(path: string, tally: Tally): Promise<void> {
    this.#signaturesLeft--;
    const issuer = await readIssuer(path);
    if (issuer === "other-format") return;
    if (issuer === "unreadable") tally.unreadable++;
    else {
      tally.signatures++;
      tally.issuers.set(issuer, (tally.issuers.get(issuer) ?? 0) + 1);
    }
  }
}

async function openFolder(folder: string): Promise<Dir | undefined> {
  try {
    return await opendir(folder);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw fileError(error, folder, "read", "signature store");
  }
}

/** The key id that a signature claims. A sigstore signature is none of `signedBy`. */
async function readIssuer(path: string): Promise<string> {
  try {
    const bytes = await readFileBounded(path, MAX_SIGNATURE_BYTES, "signature", { regularOnly: true });
    const blob = parseSignatureBlob(bytes);
    return blob.format === "simple-signing" ? inspectSignedMessage(blob.message, nodeEngine).keyId : "other-format";
  } catch (error) {
    // Whatever is wrong with one file, the others still say who signed.
    if (error instanceof FormatError || errnoOf((error as Error).cause) !== undefined) return "unreadable";
    throw error;
  }
}
