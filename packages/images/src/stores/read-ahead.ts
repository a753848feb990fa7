/** Reading signature-1, -2, … from a place where each look takes time: several looks at once, used only up to the first gap. */
import { MAX_SIGNATURES_PER_MANIFEST, StoreError } from "@signet/core";
import { withAttempts } from "./failed-reading.ts";
import type { SignatureReading, StoreAttempt, StoredSignature } from "./signature-store.ts";

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
}

/**
 * Reads a row up to the first absent position. Whatever lies behind it, found or failing, is not used: several looks at once give exactly what one
 * after the other would.
 *
 * @throws what `look` throws for a position before the gap; StoreError `signature-store-error` for more than {@link MAX_SIGNATURES_PER_MANIFEST} signatures or
 *   more than 32 MiB in all
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
  const signatures: StoredSignature[] = [];
  const attempts: StoreAttempt[] = [];
  const warnings: string[] = [];
  const looks: Promise<Look>[] = [];
  let window = row.window;
  let totalBytes = 0;
  let skippedInARow = 0;
  for (let position = 1; ; position++) {
    // One more than the limit is looked at, to tell a full row from one that is too long.
    const last = Math.min(position + window - 1, MAX_SIGNATURES_PER_MANIFEST + 1);
    while (looks.length < last) looks.push(startLook(row, looks.length + 1, signal));
    const location = row.location(position);
    const look = await looks[position - 1]!.catch((error: unknown) => {
      throw withAttempts(error, attempts, location);
    });
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
    signatures.push({ bytes: look.bytes, location });
    if (window > 1) window = Math.min(window * 2, MAX_WINDOW);
  }
  return { store: row.store, signatures, attempts, warnings };
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
