/** From where in its registry a copy's destination may take blobs over. */
import type { ImageName, OpenOptions } from "@signet/images";
import type { Invocation, ListOption } from "../command-line/command.ts";
import { usage } from "../command-line/parse.ts";
import { parseReferenceArgument } from "../command-line/reference-argument.ts";

export const mountFromOption: ListOption = {
  kind: "list",
  name: "mount-from",
  value: "REPO",
  summary: "A repository of the destination's registry that may have the blobs; the source's is tried by itself",
  completion: "nothing",
};

/** Repositories that each blob is asked for before it is sent; each is a request. */
const MAX_MOUNT_OPTIONS = 3;

/**
 * The source's repository, where it is in the same registry, and those that were given.
 * @throws UsageError `command-line-malformed`
 */
export function readMountFrom(invocation: Invocation, source: ImageName, destination: ImageName): readonly string[] {
  const given = invocation.get(mountFromOption).map((text) => parseReferenceArgument(text));
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
