/**
 * Go programs, and so most readers of images, match JSON member names without regard to case: a document with `Layers` beside `layers` means one thing to
 * them and another to everybody else. Names that fold to the same text are the same member to such a reader.
 *
 * @returns ASCII letters in lower case; the long s and the Kelvin sign, which Go folds as well, as s and k
 */
export function foldMemberName(name: string): string {
  return name.replace(folded, (letter) => (letter === "\u017f" ? "s" : "k")).replace(upper, (run) => run.toLowerCase());
}

const folded = /[\u017f\u212a]/g;
const upper = /[A-Z]+/g;
