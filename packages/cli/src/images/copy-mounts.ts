/** From where in its registry a copy's destination may take blobs over. */
import type { ImageName, OpenOptions } from "@signet/images";
import { usage } from "../command-line/parse.ts";
import { parseReferenceArgument } from "../command-line/reference-argument.ts";

/** Repositories that each blob is asked for before it is sent; each is a request. */
const MAX_MOUNT_OPTIONS = 3;

/**
 * The source's repository, where it is in the same registry, and those that were given.
 * @param texts the values of --mount-from
 * @throws UsageError `command-line-malformed`
 */
export function readMountFrom(texts: readonly string[], source: ImageName, destination: ImageName): readonly string[] {
  const given = texts.map((text) => parseReferenceArgument(text));
  const target = destination.reference;
  if (given.length > MAX_MOUNT_OPTIONS) throw usage(`--mount-from may be given ${MAX_MOUNT_OPTIONS} times`, "copy");
  if (given.some(({ domain }) => domain !== target?.domain)) {
    throw usage(
      "--mount-from names a repository of the destination's registry",
      "copy",
      target === undefined ? "only docker:// has any" : `such as ${target.domain}/base/image`,
    );
  }
  return [source.reference, ...given].flatMap((one) =>
    one !== undefined && one.domain === target?.domain ? [one.path] : [],
  );
}

/** The same, with repositories to take blobs from. */
export function withMounts(open: OpenOptions, mountFrom: readonly string[]): OpenOptions {
  return open.docker === undefined ? open : { ...open, docker: { ...open.docker, mountFrom } };
}
