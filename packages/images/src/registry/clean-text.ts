/** Control characters, and the invisible ones that reorder or hide text on a terminal. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;

/** A server's own words made fit for a message: no control characters, one line, at most `maxLength` characters. */
export function cleanText(text: string, maxLength: number): string {
  // Cut before and after: the pattern must not run over a megabyte for a line of a few hundred characters.
  const line = text
    .slice(0, maxLength * 4)
    .replaceAll(unprintable, " ")
    .replaceAll(/ {2,}/g, " ")
    .trim();
  return line.length <= maxLength ? line : `${line.slice(0, maxLength)}…`;
}
