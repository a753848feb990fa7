/** What people type for a release image, and what would be looked for on docker.io if it were taken as a name. */
import { existsSync, statSync } from "node:fs";
import { usage } from "../command-line/parse.ts";

/** The versions that quay.io has as tags end with their architecture. */
const version = /^v?(\d{1,4}\.\d{1,4}\.\d{1,4}(?:-[0-9A-Za-z.-]+)?)$/;
const architecture = /-(?:x86_64|aarch64|ppc64le|s390x|multi)$/;
const REPOSITORY = "quay.io/openshift-release-dev/ocp-release";

/**
 * Refuses a version, a digest alone and the path of a file or folder, each with the name that was probably meant.
 * @throws UsageError `command-line-malformed`
 */
export function checkReleaseArgument(argument: string, command: string): void {
  const [, tag] = version.exec(argument) ?? [];
  if (tag !== undefined) {
    const name = `${REPOSITORY}:${tag}${architecture.test(tag) ? "" : "-x86_64"}`;
    throw usage(`${argument} is a version and names no image`, command, `for Red Hat's release: ${name}`);
  }
  if (/^sha(?:256|384|512)[:=%-]/i.test(argument)) {
    const isWhole = /[0-9a-f]{64}$/i.test(argument);
    const problem = isWhole ? "a digest alone says nothing about where the image is" : `${argument} is no whole digest`;
    throw usage(problem, command, `write ${REPOSITORY}@sha256:…, as \`oc adm release info\` prints it`);
  }
  if (!argument.includes(":") && existsSync(argument)) {
    const forms = statSync(argument).isDirectory() ? "dir: or oci:" : "oci-archive: or docker-archive:";
    throw usage(`${argument} is a path on this machine, not an image name`, command, `write ${forms} in front of it`);
  }
}
