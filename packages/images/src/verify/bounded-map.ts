/**
 * Maps `items` with at most `limit` calls under way. Results come in the order of the items.
 * @throws what the first failing call throws, when all calls under way have ended; no new one is started after it
 */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  await forEachBounded(items.entries(), Math.min(limit, items.length), async ([index, item]) => {
    results[index] = await map(item, index);
  });
  return results;
}

/**
 * Works through `items` with at most `limit` calls under way; the next item is taken when a call has ended, so what works slowly takes slowly.
 * @param signal when it aborts, no further item is taken
 * @throws what the first failing call throws, when all calls under way have ended; no new one is started after it
 */
export async function forEachBounded<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const queue = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (failure === undefined && signal?.aborted !== true) {
      const next = queue.next();
      if (next.done === true) return;
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (failure !== undefined) throw failure.error;
}
