/** What the targets start from: files of `vectors/`, and pieces of JSON. */
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../vectors/", import.meta.url));
const encoder = new TextEncoder();
export const bytesOf = (...texts: readonly string[]): readonly Uint8Array[] =>
  texts.map((text) => encoder.encode(text));

/** Octets: larger files make poor seeds, for every mutation costs as much as the file is long. */
const MAX_SEED_BYTES = 24 * 1024;

/** Files of `vectors/` as seeds. @throws Error when a pattern finds none, which would make the run worthless */
export function seedsFrom(...patterns: readonly string[]): readonly Uint8Array[] {
  return patterns.flatMap((pattern) => {
    const files = globSync(pattern, { cwd: root, withFileTypes: true }).filter((entry) => entry.isFile());
    const seeds = files.map((entry) => new Uint8Array(readFileSync(`${entry.parentPath}/${entry.name}`)));
    const usable = seeds.filter((seed) => seed.length <= MAX_SEED_BYTES);
    if (usable.length === 0) throw new Error(`no seed file matches vectors/${pattern}`);
    return usable;
  });
}

export const jsonWords: readonly Uint8Array[] = bytesOf(
  '"',
  "\\u0000",
  "\\ud800",
  "{}",
  "[]",
  ",",
  ":",
  "null",
  "1e999",
  "-0",
  '{"a":1,"a":2}',
  "\uFEFF",
  "\0",
  "//",
  "__proto__",
);
