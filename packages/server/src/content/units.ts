/** What repository versions hold. */
import type { UnitKind } from "../db/schema.ts";

/** A unit of content by kind and key (a digest; for tags `NAME DIGEST`). */
export interface Unit {
  readonly kind: UnitKind;
  readonly key: string;
}

/** Rows of one statement: below the number of parameters that SQLite takes, with room for the columns. */
const BATCH = 500;

/** Parts of a list, none longer than one statement takes. */
export function* batches<T>(items: readonly T[]): Generator<T[]> {
  for (let start = 0; start < items.length; start += BATCH) yield items.slice(start, start + BATCH);
}
