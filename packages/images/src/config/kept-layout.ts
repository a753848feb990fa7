/** The layout of a text that people wrote, put back after a library has written the text anew and something in it was changed. */

/** A text as its characters, with the white space that stands before each. The end counts as a character, so that there is white space before it too. */
interface Characters {
  readonly text: string;
  /** Where each stands; the last entry is the end of the text. */
  readonly places: readonly number[];
}

/**
 * `edited` with the white space of `source` wherever `edited` does not differ from `rewritten`: indentation, blank lines, aligned comments, and comments that the library
 * moved to a line of their own.
 *
 * Not checked: whether the result means the same; the caller holds it against `edited`.
 * @param source what was read, with `\n` as line end
 * @param rewritten the same as the library writes it without any change
 * @param edited the same as the library writes it with the change
 * @returns the best first: with the white space of the source right beside the change as well, and with that of `edited` there; none when `source` and `rewritten` differ in
 *   more than white space
 */
export function keepLayout(source: string, rewritten: string, edited: string): readonly string[] {
  const [from, before, after] = [source, rewritten, edited].map(charactersOf) as [Characters, Characters, Characters];
  if (!isSameText(from, before)) return [];
  const head = countSameHead(before, after);
  const tail = countSameTail(before, after, head);
  const [lastBefore, lastAfter] = [before.places.length - tail, after.places.length - tail];
  const indents = indentsOf(from, before, head);
  const indented = (text: string): string =>
    text.replaceAll(/(?<=\n) +/g, (blanks) => " ".repeat(indents.get(blanks.length) ?? blanks.length));
  const middle = lastAfter > head ? after.text.slice(after.places[head], after.places[lastAfter - 1]! + 1) : "";
  const kept = from.text.slice(0, head === 0 ? 0 : from.places[head - 1]! + 1);
  const rest = from.text.slice(from.places[lastBefore]);
  const isBetween = middle === "";
  return [true, false].map((keepsBlanks) => {
    // What ends a text does not separate two parts of it.
    const choose = (index: number, candidates: readonly number[]): string => {
      const wanted = blanksBefore(after, index);
      const isEnd = index === after.places.length - 1;
      const same = candidates.find(
        (one) => blanksBefore(before, one) === wanted && isEnd === (one === before.places.length - 1),
      );
      return same === undefined || !keepsBlanks ? indented(wanted) : blanksBefore(from, same);
    };
    const last = choose(lastAfter, isBetween ? [lastBefore, head] : [lastBefore]);
    return isBetween ? `${kept}${last}${rest}` : `${kept}${choose(head, [head])}${indented(middle)}${last}${rest}`;
  });
}

function charactersOf(text: string): Characters {
  const places = Array.from(text.matchAll(/[^ \t\n]/g), ({ index }) => index);
  return { text, places: [...places, text.length] };
}

/** The width that each indentation of the rewritten text has in the source: that of the nearest line above the change. */
function indentsOf(from: Characters, before: Characters, head: number): ReadonlyMap<number, number> {
  const indents = new Map<number, number>();
  for (let index = 0; index < head; index++) {
    // Comments stand where people like; only the library lines them up.
    if (before.text[before.places[index]!] === "#") continue;
    const [written, rewritten] = [blanksBefore(from, index), blanksBefore(before, index)];
    if (written.includes("\n") && rewritten.includes("\n")) indents.set(widthOf(rewritten), widthOf(written));
  }
  return indents;
}

function widthOf(blanks: string): number {
  return blanks.length - 1 - blanks.lastIndexOf("\n");
}

function isSameText(one: Characters, other: Characters): boolean {
  return (
    one.places.length === other.places.length &&
    one.places.every((place, index) => one.text[place] === other.text[other.places[index]!])
  );
}

function blanksBefore({ text, places }: Characters, index: number): string {
  return text.slice(index === 0 ? 0 : places[index - 1]! + 1, places[index]);
}

/** A comment is the same in another place as well: a mapping that gets its first member pushes it to the next line. */
function countSameHead(before: Characters, after: Characters): number {
  // Both have their end to themselves: it belongs to the tail.
  const most = Math.min(before.places.length, after.places.length) - 1;
  for (let index = 0; index < most; index++) {
    const character = before.text[before.places[index]!];
    if (character !== after.text[after.places[index]!]) return index;
    if (character !== "#" && blanksBefore(before, index) !== blanksBefore(after, index)) return index;
  }
  return most;
}

function countSameTail(before: Characters, after: Characters, head: number): number {
  const most = Math.min(before.places.length, after.places.length) - head;
  for (let count = 1; count < most; count++) {
    const [one, other] = [before.places.length - count, after.places.length - count];
    if (before.text[before.places[one - 1]!] !== after.text[after.places[other - 1]!]) return count;
    if (blanksBefore(before, one) !== blanksBefore(after, other)) return count;
  }
  return most;
}
