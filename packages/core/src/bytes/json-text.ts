/**
 * `text` as a JSON string in the form that containers/image writes: Go's encoder escapes `<`, `>`, `&`, U+2028 and U+2029, has short forms for the common control
 * characters only, and leaves all other text as raw UTF-8. A lone surrogate becomes the escape of U+FFFD.
 */
export function writeJsonString(text: string): string {
  return `"${text.replace(escaped, escapeCharacter)}"`;
}

// Control characters, quote, backslash, HTML's specials, the two line separators, and surrogates that are not paired (the u flag keeps pairs together).
// oxlint-disable-next-line no-control-regex
const escaped = /[\u0000-\u001f"\\<>&\u2028\u2029\ud800-\udfff]/gu;

const shortForms: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

function escapeCharacter(character: string): string {
  const short = shortForms.get(character);
  if (short !== undefined) return short;
  const code = character.charCodeAt(0);
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  return `\\u${(isSurrogate ? 0xfffd : code).toString(16).padStart(4, "0")}`;
}
