/** Names of repositories and tags, as the OCI distribution specification 1.1 writes them (section "Pull"). */

/** Characters of a repository's path: what distribution and clients allow, host not counted. */
export const MAX_PATH_LENGTH: number = 255;

const pathForm = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagForm = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** True for a repository's path, such as `team/app`: never empty, never with `..`, an empty part or an upper-case letter. */
export function isRepositoryPath(text: string): boolean {
  // The length comes first: the form is only ever tried on short texts.
  return text.length <= MAX_PATH_LENGTH && pathForm.test(text) && !text.endsWith("\n");
}

/** True for a tag's name. */
export function isTagName(text: string): boolean {
  return text.length <= 128 && tagForm.test(text) && !text.endsWith("\n");
}

/** The unit key of a tag: names sort as their keys do, since a space sorts before all that a name may hold. */
export function tagKey(name: string, digest: string): string {
  return `${name} ${digest}`;
}

/** Keys of the tags with one name lie from the first up to, not including, the second. */
export function tagKeyRange(name: string): readonly [string, string] {
  return [`${name} `, `${name}!`];
}

/** The parts of a tag's unit key. */
export function splitTagKey(key: string): { readonly name: string; readonly digest: string } {
  const space = key.indexOf(" ");
  return { name: key.slice(0, space), digest: key.slice(space + 1) };
}
