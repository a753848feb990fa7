/** A body whose beginning is kept in memory until it is known what to do with it. */

export interface HeldBody {
  /** The whole body, where it is no longer than was allowed. */
  readonly whole: Uint8Array | undefined;
  /** The body from its first byte, once. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Reads a body until it ends, or until it turns out to be longer than `maxBytes`.
 * @throws what `chunks` throws
 */
export async function holdBody(chunks: AsyncIterable<Uint8Array>, maxBytes: number): Promise<HeldBody> {
  const iterator = chunks[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  let size = 0;
  while (size <= maxBytes) {
    const next = await iterator.next();
    if (next.done === true) return { whole: Buffer.concat(held), chunks: resume(held) };
    held.push(next.value);
    size += next.value.length;
  }
  return { whole: undefined, chunks: resume(held, iterator) };
}

async function* resume(held: readonly Uint8Array[], rest?: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* held;
  if (rest === undefined) return;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
