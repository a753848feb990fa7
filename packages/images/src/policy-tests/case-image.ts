/** The images of test cases: what a policy is asked with, found from the name alone. */
import { posix } from "node:path";
import {
  type PolicyIdentity,
  type Reference,
  UsageError,
  dockerPolicyIdentity,
  formatReference,
  parseReference,
  pathPolicyIdentity,
  withDefaultTag,
} from "@signet/core";

/** A name as `ImageName`, of any transport that a policy can speak of. */
export interface CaseImage {
  readonly transport: string;
  readonly text: string;
  readonly reference: Reference | undefined;
  readonly policyIdentity: PolicyIdentity;
}

/** Transports whose images are named by docker references. */
const namedTransports: ReadonlyMap<string, string> = new Map([
  ["docker://", "docker"],
  ["docker-daemon:", "docker-daemon"],
  ["atomic:", "atomic"],
]);

const pathTransports: readonly string[] = ["dir", "oci", "oci-archive"];

/** Transports whose images have no identity: only the scope `""` can be about them. */
const namelessTransports: readonly string[] = ["docker-archive", "tarball"];

/**
 * Parses a name. No file is looked at: of a path, symbolic links stay what they are, so that a test says the same on every machine.
 * @param text a bare name means docker://; paths must be absolute
 * @throws FormatError `reference-malformed`; UsageError `image-name-malformed`, `transport-unsupported`
 */
export function parseCaseImage(text: string): CaseImage {
  for (const [prefix, transport] of namedTransports)
    if (text.startsWith(prefix)) return namedImage(transport, prefix, text.slice(prefix.length));
  const colon = text.indexOf(":");
  const transport = text.slice(0, Math.max(colon, 0));
  if (pathTransports.includes(transport)) return pathImage(transport, text.slice(colon + 1));
  if (namelessTransports.includes(transport)) {
    const policyIdentity = { transport, identity: "", namespaces: [] };
    return { transport, text, reference: undefined, policyIdentity };
  }
  if (/^(?:containers-storage|sif|ostree)$/.test(transport) || text.includes("://")) {
    throw new UsageError(
      "transport-unsupported",
      `${JSON.stringify(text.slice(0, 300))}: tests cannot name this transport`,
      {
        hint: `they know ${[...namedTransports.keys(), ...pathTransports, ...namelessTransports].map((one) => one.replace(/[^/:]$/, "$&:")).join(", ")}`,
      },
    );
  }
  return namedImage("docker", "docker://", text);
}

function namedImage(transport: string, prefix: string, name: string): CaseImage {
  const reference = withDefaultTag(parseReference(name));
  const identity = dockerPolicyIdentity(reference);
  return {
    transport,
    text: `${prefix}${formatReference(reference)}`,
    reference,
    policyIdentity: { ...identity, transport },
  };
}

/** Of oci: and oci-archive: what follows the path names an image inside, which policies do not see. */
function pathImage(transport: string, rest: string): CaseImage {
  const path = transport === "dir" ? rest : rest.replace(/:.*$/, "");
  if (!path.startsWith("/")) {
    throw new UsageError("image-name-malformed", `${transport}:${path}: the path must be absolute`, {
      hint: "a policy is asked with absolute paths",
    });
  }
  const clean = posix.normalize(path).replace(/(?<=.)\/$/, "");
  return {
    transport,
    text: `${transport}:${clean}`,
    reference: undefined,
    policyIdentity: pathPolicyIdentity(transport, clean),
  };
}
