import type { SeededRandom } from "@signet/testkit";

/** Octets: mutated inputs do not grow beyond this, so that a run stays fast; size limits have tests of their own. */
const MAX_INPUT_BYTES = 64 * 1024;

/** Mutations stacked on one input: mostly one, sometimes a few. */
const MAX_STACKED = 6;

const boundaries = [0, 1, 0x7f, 0x80, 0xbf, 0xc0, 0xdf, 0xe0, 0xfe, 0xff];

/**
 * A changed copy of `input`: flipped bits, boundary octets, cut, repeated or inserted runs, spliced with another seed, or with a word of the format's dictionary.
 */
export function mutate(
  input: Uint8Array,
  others: readonly Uint8Array[],
  words: readonly Uint8Array[],
  random: SeededRandom,
): Uint8Array {
  let bytes = input;
  const rounds = random.integer(3) > 0 ? 1 : 1 + random.integer(MAX_STACKED);
  for (let round = 0; round < rounds; round++) bytes = mutateOnce(bytes, others, words, random);
  return bytes.length > MAX_INPUT_BYTES ? bytes.slice(0, MAX_INPUT_BYTES) : bytes;
}

function mutateOnce(
  bytes: Uint8Array,
  others: readonly Uint8Array[],
  words: readonly Uint8Array[],
  random: SeededRandom,
): Uint8Array {
  const at = random.integer(bytes.length + 1);
  const length = Math.min(bytes.length - at, 1 + random.integer(random.integer(4) === 0 ? 256 : 8));
  switch (random.integer(9)) {
    case 0:
      return replaced(bytes, at, 1, Uint8Array.of((bytes[at] ?? 0) ^ (1 << random.integer(8))));
    case 1:
      return replaced(bytes, at, 1, Uint8Array.of(random.pick(boundaries)));
    case 2:
      return replaced(bytes, at, length, new Uint8Array(0));
    case 3:
      return replaced(bytes, at, 0, bytes.subarray(at, at + length));
    case 4:
      return replaced(
        bytes,
        at,
        0,
        Uint8Array.from({ length }, () => random.integer(256)),
      );
    case 5:
      return bytes.slice(0, at);
    case 6: {
      const other = random.pick(others);
      const from = random.integer(other.length + 1);
      return replaced(
        bytes,
        at,
        random.integer(2) === 0 ? 0 : length,
        other.subarray(from, from + 1 + random.integer(512)),
      );
    }
    case 7:
      return words.length === 0
        ? bytes.slice(0, at)
        : replaced(bytes, at, random.integer(2) === 0 ? 0 : length, random.pick(words));
    default: {
      // A counter or length field, one octet up or down.
      const step = random.integer(2) === 0 ? 1 : 255;
      return replaced(bytes, at, 1, Uint8Array.of(((bytes[at] ?? 0) + step) & 255));
    }
  }
}

function replaced(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const rest = bytes.subarray(Math.min(bytes.length, at + remove));
  const result = new Uint8Array(at + insert.length + rest.length);
  result.set(bytes.subarray(0, at));
  result.set(insert, at);
  result.set(rest, at + insert.length);
  return result;
}
