/** `signedIdentity` and `baseLayerIdentity` objects (policy-json, section 5): the six types with the checks made at parse time. */
import { FormatError } from "../errors.ts";
import { isNameOnly, parseReference, type Reference, referenceName } from "../reference/reference.ts";
import type { SignedIdentity } from "./policy.ts";
import {
  keyHint,
  knownMembers,
  type Members,
  type Placed,
  policyProblem,
  quote,
  readType,
  requiredMember,
  textMember,
} from "./policy-members.ts";

/** What counts when a requirement names no identity. */
export const defaultSignedIdentity: SignedIdentity = Object.freeze({ type: "matchRepoDigestOrExact" });

const fieldsOfType: Readonly<Record<SignedIdentity["type"], readonly string[]>> = {
  matchExact: [],
  matchRepoDigestOrExact: [],
  matchRepository: [],
  exactReference: ["dockerReference"],
  exactRepository: ["dockerRepository"],
  remapIdentity: ["prefix", "signedPrefix"],
};

/** The member `signedIdentity`, or its default. `null` is not the default: it is an identity without a type, and refused. */
export function readIdentityMember(members: Members): SignedIdentity {
  const member = members.get("signedIdentity");
  return member === undefined ? defaultSignedIdentity : readSignedIdentity(member);
}

/** @throws PolicyError `policy-malformed` */
export function readSignedIdentity(place: Placed): SignedIdentity {
  const known = Object.keys(fieldsOfType) as SignedIdentity["type"][];
  const text = readType(place);
  const type = known.find((candidate) => candidate === text);
  if (type === undefined) {
    const problem = `Unknown policy reference match type ${quote(text)}`;
    throw policyProblem(place.node, place.path, problem, keyHint(text, known));
  }
  const fields = fieldsOfType[type];
  const members = knownMembers(place, ["type", ...fields]);
  const [first, second] = fields.map((field) => requiredMember(members, field, place));
  return Object.freeze(makeIdentity(type, first, second));
}

function makeIdentity(
  type: SignedIdentity["type"],
  first: Placed | undefined,
  second: Placed | undefined,
): SignedIdentity {
  switch (type) {
    case "matchExact":
    case "matchRepoDigestOrExact":
    case "matchRepository":
      return { type };
    case "exactReference": {
      const { text, reference } = readReference(first, "dockerReference");
      if (isNameOnly(reference)) {
        const problem = `dockerReference ${quote(text)} contains neither a tag nor digest`;
        throw problemAt(first, problem, "add a tag, or use exactRepository");
      }
      return { type, dockerReference: text, reference };
    }
    case "exactRepository": {
      const { text, reference } = readReference(first, "dockerRepository");
      return { type, dockerRepository: text, repository: referenceName(reference) };
    }
    case "remapIdentity":
      return { type, prefix: readPrefix(first), signedPrefix: readPrefix(second) };
  }
}

function readReference(place: Placed | undefined, field: string): { text: string; reference: Reference } {
  const text = textMember(place);
  try {
    return { text, reference: Object.freeze(parseReference(text)) };
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw problemAt(place, `Invalid format of ${field} ${quote(text)}: ${cause.message}`, cause.hint);
  }
}

function readPrefix(place: Placed | undefined): string {
  const text = textMember(place);
  if (isIdentityPrefix(text)) return text;
  const hint =
    "write a host[:port], or host[:port]/path in lower case, without tag, digest, wildcard or slash at the end";
  throw problemAt(place, `prefix ${quote(text)} is not valid`, hint);
}

function problemAt(place: Placed | undefined, problem: string, hint?: string): Error {
  return policyProblem(place?.node ?? { start: 0 }, place?.path ?? "", problem, hint);
}

const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const prefixForm = new RegExp(`^${label}(?:\\.${label})*(?::[0-9]+)?(?:/${component})*$`);

/**
 * True for what `remapIdentity` takes as a prefix: a domain, or a domain and a path. A short name such as `busybox` passes, as in the reference, and
 * then matches no image, since images are compared in normal form.
 */
export function isIdentityPrefix(text: string): boolean {
  return prefixForm.test(text);
}
