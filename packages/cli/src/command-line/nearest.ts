/** Edits that still count as a slip of the fingers. */
const MAX_EDITS = 2;

/** Characters: nothing longer is compared. */
const MAX_LENGTH = 64;

/** The candidate that `text` was probably meant to be; undefined when none is near. */
export function findNearest(text: string, candidates: readonly string[]): string | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  let nearest: string | undefined;
  let fewest = MAX_EDITS + 1;
  for (const candidate of candidates) {
    const edits = countEdits(text, candidate);
    if (edits < fewest) {
      fewest = edits;
      nearest = candidate;
    }
  }
  return nearest;
}

/** Levenshtein distance. */
function countEdits(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}
