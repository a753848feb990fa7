/**
 * What a long simulation has done so far, so that it can go on where it was cut short: a file of JSON lines.
 *
 *   {"signet":"simulation-journal","version":1,"inputs":"sha256:…","judgedAt":1795996800000}
 *   {"image":17,"row":{…}}                 one a finished image, in the order in which they were done
 *
 * It is only added to, whole lines at a time. A last line that is not whole was being written when the process died, and is taken off.
 */
import { close, constants, fdatasync, fstat, ftruncate, open, write } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { type Digest, SignetError, StoreError } from "@signet/core";
import { syncDirectory } from "../config/atomic-file.ts";
import { errnoOf, fileError } from "../config/file-error.ts";
import { readChunks } from "../inventory/read-chunks.ts";
import type { SimulatedRow, SimulatedVerdict } from "./simulated-row.ts";

/** Bytes of one line: a row has at most some ten kilobytes. */
const MAX_LINE_BYTES: number = 1024 * 1024;

/** Rows held back until they are written together. */
const BATCH_ROWS = 100;

/** Milliseconds after which they are written anyway: what a crash can cost. */
const BATCH_MS = 500;

const openFile = promisify(open);
const writeInto = promisify(write);
const syncFile = promisify(fdatasync);
const truncateFile = promisify(ftruncate);
const statFile = promisify(fstat);
const closeFile = promisify(close);

export interface JournalInputs {
  /** Digest of everything that the rows depend on: policies, keys, configuration of registries and stores, options, and the list of images. */
  readonly inputs: Digest;
  /** Milliseconds since 1970 UTC: what a new journal says that its verdicts are about. */
  readonly now: number;
  /** How many images there are. */
  readonly count: number;
}

/** An open journal. Close it to write what is held back. */
export interface SimulationJournal extends AsyncDisposable {
  /** Milliseconds since 1970 UTC: the reading of the clock that all verdicts are about, also those made after going on. */
  readonly judgedAt: number;
  /** Rows that were there already, by position. */
  readonly known: ReadonlyMap<number, SimulatedRow>;
  /** Adds a finished image. Undetermined ones are left out: going on tries them again. */
  add(index: number, row: SimulatedRow): Promise<void>;
  /** Writes what is held back and flushes it to disk. */
  flush(): Promise<void>;
}

/**
 * Opens a journal, or begins one where there is no file.
 * @throws StoreError `journal-unusable` for a file that is no journal, one of other inputs, or one that another process writes to; `file-unwritable`, `disk-full`
 */
export async function openSimulationJournal(path: string, wanted: JournalInputs): Promise<SimulationJournal> {
  let descriptor: number;
  let isNew = false;
  try {
    try {
      descriptor = await openFile(path, constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      descriptor = await openFile(
        path,
        constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL,
        0o600,
      );
      isNew = true;
    }
  } catch (error) {
    throw fileError(error, path, "write", "journal");
  }
  try {
    if (!(await statFile(descriptor)).isFile()) throw unusable(path, "it is not a regular file");
    const read = isNew ? undefined : await readJournal(path, wanted);
    // A process that died before its first line was whole has left nothing to go on from.
    if (read === undefined) {
      await truncateFile(descriptor, 0);
      const header = { signet: "simulation-journal", version: 1, inputs: wanted.inputs, judgedAt: wanted.now };
      await writeLines(descriptor, [JSON.stringify(header)]);
      await syncFile(descriptor);
      await syncDirectory(dirname(path));
      return new OpenJournal(path, descriptor, wanted.now, new Map());
    }
    await truncateFile(descriptor, read.wholeBytes);
    return new OpenJournal(path, descriptor, read.judgedAt, read.known);
  } catch (error) {
    await closeFile(descriptor);
    throw error instanceof SignetError ? error : fileError(error, path, "write", "journal");
  }
}

class OpenJournal implements SimulationJournal {
  readonly judgedAt: number;
  readonly known: ReadonlyMap<number, SimulatedRow>;
  readonly #path: string;
  readonly #descriptor: number;
  #held: string[] = [];
  #writtenAt: number = performance.now();
  /** Writes stand in line, so that lines stay whole. */
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, descriptor: number, judgedAt: number, known: ReadonlyMap<number, SimulatedRow>) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.judgedAt = judgedAt;
    this.known = known;
  }

  async add(index: number, row: SimulatedRow): Promise<void> {
    if (row.next.verdict === "undetermined" || row.present?.verdict === "undetermined") return;
    this.#held.push(JSON.stringify({ image: index, row }));
    if (this.#held.length >= BATCH_ROWS || performance.now() - this.#writtenAt >= BATCH_MS) await this.flush();
  }

  async flush(): Promise<void> {
    const lines = this.#held;
    this.#held = [];
    this.#writtenAt = performance.now();
    if (lines.length > 0) {
      this.#writing = this.#writing.then(async () => {
        try {
          await writeLines(this.#descriptor, lines);
          await syncFile(this.#descriptor);
        } catch (error) {
          throw fileError(error, this.#path, "write", "journal");
        }
      });
    }
    await this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.flush();
    } finally {
      await closeFile(this.#descriptor);
    }
  }
}

async function writeLines(descriptor: number, lines: readonly string[]): Promise<void> {
  let rest = new TextEncoder().encode(`${lines.join("\n")}\n`);
  while (rest.length > 0) rest = rest.subarray((await writeInto(descriptor, rest)).bytesWritten);
}

interface ReadJournal {
  readonly judgedAt: number;
  readonly known: Map<number, SimulatedRow>;
  /** Up to the end of the last whole line. */
  readonly wholeBytes: number;
}

/** Undefined for a file without a single whole line that begins like a journal, such as an empty one. */
async function readJournal(path: string, wanted: JournalInputs): Promise<ReadJournal | undefined> {
  let judgedAt: number | undefined;
  const known = new Map<number, SimulatedRow>();
  let wholeBytes = 0;
  let number = 0;
  let rest: Uint8Array = new Uint8Array();
  for await (const chunk of readChunks(path, `journal ${path}`)) {
    let bytes: Uint8Array = Buffer.concat([rest, chunk]);
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a)) {
      number++;
      const line = readLine(bytes.subarray(0, end), path, number);
      if (judgedAt === undefined) judgedAt = readHeader(line, path, wanted);
      else {
        const { image, row } = line as { readonly image?: unknown; readonly row?: unknown };
        if (!Number.isInteger(image) || (image as number) < 0 || (image as number) >= wanted.count || !isRow(row))
          throw unusable(path, `line ${number} is no row`);
        known.set(image as number, row);
      }
      wholeBytes += end + 1;
      bytes = bytes.subarray(end + 1);
    }
    if (bytes.length > MAX_LINE_BYTES) throw unusable(path, `line ${number + 1} is too long`);
    rest = bytes.slice();
  }
  if (judgedAt !== undefined) return { judgedAt, known, wholeBytes };
  // The beginning of a first line that was being written; anything else is somebody's file.
  const begun = new TextDecoder().decode(rest);
  const start = '{"signet":"simulation-journal"';
  if (begun === "" || begun.startsWith(start) || start.startsWith(begun)) return undefined;
  throw unusable(path, "it is no journal of a simulation");
}

function readLine(bytes: Uint8Array, path: string, number: number): object {
  try {
    const line: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof line === "object" && line !== null) return line;
  } catch {
    // Said below.
  }
  throw unusable(path, number === 1 ? "it is no journal of a simulation" : `line ${number} is damaged`);
}

function readHeader(line: object, path: string, wanted: JournalInputs): number {
  const { signet, version, inputs, judgedAt } = line as Readonly<Record<string, unknown>>;
  if (signet !== "simulation-journal") throw unusable(path, "it is no journal of a simulation");
  if (version !== 1) throw unusable(path, `its version is ${JSON.stringify(version)}, and 1 is known`);
  if (inputs !== wanted.inputs)
    throw new StoreError("journal-unusable", `the journal ${path} is of other inputs`, {
      side: "local",
      hint: "policies, their keys, registries.d, registries.conf, options or the list of images changed since; begin a new journal",
      details: { inputs: wanted.inputs, found: inputs },
    });
  if (!Number.isSafeInteger(judgedAt)) throw unusable(path, "it does not say when it was begun");
  return judgedAt as number;
}

function isRow(value: unknown): value is SimulatedRow {
  if (typeof value !== "object" || value === null) return false;
  const { digest, next, present, runsOther } = value as Readonly<Record<string, unknown>>;
  return (
    (digest === null || typeof digest === "string") &&
    isVerdict(next) &&
    (present === null || isVerdict(present)) &&
    isTexts(runsOther)
  );
}

function isVerdict(value: unknown): value is SimulatedVerdict {
  if (typeof value !== "object" || value === null) return false;
  const { verdict, scope, codes, reasons, signers } = value as Readonly<Record<string, unknown>>;
  return (
    (verdict === "accepted" || verdict === "rejected") &&
    (scope === null || typeof scope === "string") &&
    isTexts(codes) &&
    isTexts(signers) &&
    Array.isArray(reasons) &&
    reasons.every(
      (reason: unknown) =>
        typeof reason === "object" &&
        reason !== null &&
        typeof (reason as { readonly code?: unknown }).code === "string" &&
        typeof (reason as { readonly message?: unknown }).message === "string",
    )
  );
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}

function unusable(path: string, problem: string): StoreError {
  return new StoreError("journal-unusable", `cannot go on from ${path}: ${problem}`, {
    side: "local",
    hint: "name a new file for the journal, or remove this one",
  });
}
