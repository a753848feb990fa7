/**
 * Characters that change what a terminal shows instead of being shown: C0 and C1 controls with DEL, line and paragraph separators, the marks that
 * reorder text (Unicode UAX #9: embeddings, overrides, isolates), invisible joiners and tags, and halves of surrogate pairs.
 */
const controls =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|[\ud800-\udfff]/gu;

/**
 * The one function through which text reaches the terminal. Every control character becomes a visible escape (`\x1b`, `\u202e`), line breaks too, so that
 * what comes from an image, a key or a server can neither move the cursor nor forge a line of its own.
 */
export function cleanText(text: string): string {
  return text.replace(controls, escapeCharacter);
}

/** Like {@link cleanText} for a JSON document: line breaks stay, and the escapes are JSON's, so its meaning is unchanged. */
export function cleanJson(text: string): string {
  return text.replace(controls, (character) => (character === "\n" ? character : jsonEscape(character)));
}

/** Like {@link cleanText} for a document of many lines that is shown as it stands: line breaks and tabs stay. */
export function cleanDocument(text: string): string {
  return text.replace(controls, (character) =>
    character === "\n" || character === "\t" ? character : escapeCharacter(character),
  );
}

function escapeCharacter(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  const code = character.codePointAt(0)!;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, "0")}` : `\\u{${code.toString(16)}}`;
}

function jsonEscape(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    return `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }).join("");
}
