/** Reading signature-1, -2, … from a place where each look takes time: several looks at once, used only up to the first gap. */
import { FormatError, MAX_SIGNATURES_PER_MANIFEST, SignetError, StoreError } from "@signet/core";
import { withAttempts } from "./failed-reading.ts";
import type { IsEnough, SignatureReading, StoreAttempt, StoredSignature } from "./signature-store.ts";

/** Bytes of all signatures of one manifest together. A genuine one has a few kilobytes. */
const MAX_TOTAL_SIGNATURE_BYTES = 32 * 1024 * 1024;

/** Pages in place of signatures, one after the other, after which a server is taken to answer so for everything. */
const MAX_SKIPPED_IN_A_ROW = 3;

/** Looks under way at once, at most; as many as there may be connections to one host. */
const MAX_WINDOW = 16;

/** What stands at one position. */
export type Look =
  | { readonly outcome: "absent"; readonly status?: number }
  | { readonly outcome: "found"; readonly bytes: Uint8Array; readonly status?: number; readonly warning?: string }
  | { readonly outcome: "skipped"; readonly status?: number; readonly warning: string };

/** A row of positions, counted from 1. */
export interface SignatureRow {
  /** For people. */
  readonly store: string;
  /** Path or URL of a position, without secrets. */
  location(position: number): string;
  /** Looks at a position. A look that was made ahead of need may be aborted; it may fail then in any way. */
  look(position: number, signal: AbortSignal): Promise<Look>;
  /** Looks made ahead of need at first; it grows with each signature found. 1 reads one after the other. */
  readonly window: number;
  readonly rules?: RowRules;
}

/** How a row is read that is not read as lookaside stores are. */
export interface RowRules {
  /** Positions that are looked at, at most; what lies behind them is not used, and no error. Default: more than {@link MAX_SIGNATURES_PER_MANIFEST} are an error. */
  readonly most?: number;
  /** True: a position that could not be told is kept as the reading's `failure`, and those behind it are looked at. Default: it fails the whole reading. */
  readonly passesFailures?: boolean;
  /** Bytes of one signature. With `passesFailures` a larger one is none, and no failure. */
  readonly maxBytes?: number;
  readonly isEnough?: IsEnough;
}

/**
 * Reads a row up to the first absent position. Whatever lies behind it, found or failing, is not used: several looks at once give exactly what one
 * after the other would.
 *
 * @throws what `look` throws for a position before the gap, unless the rules pass over it; StoreError `signature-store-error` for more than
 *   {@link MAX_SIGNATURES_PER_MANIFEST} signatures or more than 32 MiB in all
 */
export async function readUpToGap(row: SignatureRow): Promise<SignatureReading> {
  const ahead = new AbortController();
  try {
    return await readRow(row, ahead.signal);
  } finally {
    ahead.abort(unwanted);
  }
}

/** Made once: without a reason each abort makes an exception with a stack of its own. */
const unwanted = new Error("this look is not wanted any more");

async function readRow(row: SignatureRow, signal: AbortSignal): Promise<SignatureReading> {
  const { most = Infinity, passesFailures = false, isEnough } = row.rules ?? {};
  const signatures: StoredSignature[] = [];
  const attempts: StoreAttempt[] = [];
  const warnings: string[] = [];
  const looks: Promise<Look>[] = [];
  let window = row.window;
  let totalBytes = 0;
  let skippedInARow = 0;
  let failure: SignetError | undefined;
  for (let position = 1; position <= most; position++) {
    // One more than the limit is looked at, to tell a full row from one that is too long.
    const last = Math.min(position + window - 1, MAX_SIGNATURES_PER_MANIFEST + 1, most);
    while (looks.length < last) looks.push(startLook(row, looks.length + 1, signal));
    const location = row.location(position);
    let look: Look;
    try {
      look = await looks[position - 1]!;
    } catch (error) {
      if (!passesFailures || !(error instanceof SignetError)) throw withAttempts(error, attempts, location);
      if (error instanceof FormatError && error.code === "input-too-large") {
        attempts.push({ location, outcome: "skipped" });
        warnings.push(error.message);
        continue;
      }
      const status = error instanceof StoreError ? error.status : undefined;
      attempts.push({ location, outcome: "failed", ...(status === undefined ? {} : { status }) });
      failure ??= error;
      // A place that answered, or a single file, says nothing of the next one; a host that cannot be reached does.
      if (status === undefined && error.code !== "file-unreadable") break;
      continue;
    }
    attempts.push({ location, outcome: look.outcome, ...(look.status === undefined ? {} : { status: look.status }) });
    if (look.outcome === "absent") break;
    if (position > MAX_SIGNATURES_PER_MANIFEST) throw tooMany(row.store);
    if (look.warning !== undefined) warnings.push(look.warning);
    if (look.outcome === "skipped") {
      skippedInARow++;
      if (skippedInARow < MAX_SKIPPED_IN_A_ROW) continue;
      warnings.push(
        `${row.store} answers with pages instead of signatures; it was asked ${position} times and is not asked further. ` +
          "A web server must answer 404 for a file that does not exist",
      );
      break;
    }
    skippedInARow = 0;
    totalBytes += look.bytes.length;
    if (totalBytes > MAX_TOTAL_SIGNATURE_BYTES) throw tooLarge(row.store);
    const signature = { bytes: look.bytes, location };
    signatures.push(signature);
    if (isEnough?.(signature) === true) break;
    if (window > 1) window = Math.min(window * 2, MAX_WINDOW);
  }
  return { store: row.store, signatures, attempts, warnings, ...(failure === undefined ? {} : { failure }) };
}

function startLook(row: SignatureRow, position: number, signal: AbortSignal): Promise<Look> {
  const look = row.look(position, signal);
  // A look that nobody will wait for must not bring the process down.
  look.catch(() => {});
  return look;
}

function tooMany(store: string): StoreError {
  return new StoreError(
    "signature-store-error",
    `${store} holds more than ${MAX_SIGNATURES_PER_MANIFEST} signatures for one manifest`,
    { side: "source", hint: "no image has that many; the server probably answers the same for every name" },
  );
}

function tooLarge(store: string): StoreError {
  return new StoreError(
    "signature-store-error",
    `${store}: the signatures of one manifest are larger than ${MAX_TOTAL_SIGNATURE_BYTES} bytes together`,
    { side: "source", hint: "no genuine signatures are that large" },
  );
}
