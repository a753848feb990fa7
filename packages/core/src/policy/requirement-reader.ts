/** Requirement objects (policy-json, section 4). */
import { readIdentityMember, readSignedIdentity } from "./identity-reader.ts";
import { keyBlobs, keyFiles } from "./key-source.ts";
import type { KeySource, KeyType, Requirement, Requirements, SignedByRequirement } from "./policy.ts";
import {
  bytesMember,
  keyHint,
  knownMembers,
  listItems,
  type Members,
  type Placed,
  policyProblem,
  quote,
  readType,
  requiredMember,
  textMember,
  textsMember,
} from "./policy-members.ts";
import { readSigstoreSigned } from "./sigstore-reader.ts";

const readers: Readonly<Record<Requirement["type"], (place: Placed) => Requirement>> = {
  insecureAcceptAnything: (place) => readBare("insecureAcceptAnything", place),
  reject: (place) => readBare("reject", place),
  signedBy: readSignedBy,
  signedBaseLayer: readSignedBaseLayer,
  sigstoreSigned: readSigstoreSigned,
};

/**
 * The requirements of one scope.
 * @throws PolicyError `policy-malformed`, also for an empty list: nothing to check must never read as a pass
 */
export function readRequirements(place: Placed): Requirements {
  const items = listItems(place);
  if (items === undefined || items.length === 0) {
    const hint = 'write [{"type":"reject"}] to refuse everything, [{"type":"insecureAcceptAnything"}] to check nothing';
    throw policyProblem(place.node, place.path, "List of verification policy requirements must not be empty", hint);
  }
  return Object.freeze(items.map(readRequirement));
}

function readRequirement(place: Placed): Requirement {
  const text = readType(place);
  const known = Object.keys(readers) as Requirement["type"][];
  const type = known.find((candidate) => candidate === text);
  if (type !== undefined) return Object.freeze(readers[type](place));
  const problem = `Unknown policy requirement type ${quote(text)}`;
  throw policyProblem(place.node, place.path, problem, keyHint(text, known));
}

function readBare<Type extends "insecureAcceptAnything" | "reject">(
  type: Type,
  place: Placed,
): { readonly type: Type } {
  knownMembers(place, ["type"]);
  return { type };
}

const keyTypes: readonly KeyType[] = ["GPGKeys", "signedByGPGKeys", "X509Certificates", "signedByX509CAs"];

function readSignedBy(place: Placed): SignedByRequirement {
  const members = knownMembers(place, ["type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"]);
  // Every field is read before any is weighed, so that a wrong type is reported as what it is.
  const keyTypeText = textMember(members.get("keyType"));
  const keys = readSignedByKeys(members, place);
  const signedIdentity = readIdentityMember(members);
  const keyType = keyTypes.find((candidate) => candidate === keyTypeText);
  if (keyType === undefined) {
    const at = members.get("keyType") ?? place;
    const problem = keyTypeText === "" ? 'invalid keyType ""' : `Unrecognized keyType value ${quote(keyTypeText)}`;
    throw policyProblem(at.node, at.path, problem, keyHint(keyTypeText, keyTypes));
  }
  return { type: "signedBy", keyType, keys, signedIdentity };
}

/**
 * `signedBy` counts its three key fields twice, as the reference does: by presence, then by value. So `"keyPath": ""` is one field too few, while
 * `"keyPaths": []` and `"keyData": ""` parse and hold no key.
 */
function readSignedByKeys(members: Members, place: Placed): KeySource {
  const path = textMember(members.get("keyPath"));
  const paths = textsMember(members.get("keyPaths"));
  const data = bytesMember(members.get("keyData"));
  const present = ["keyPath", "keyPaths", "keyData"].filter((field) => members.has(field));
  const must = "xactly one of keyPath, keyPaths and keyData must be specified";
  const hint = 'keep one: "keyPath": "/path/to/key.gpg", "keyPaths": ["…", "…"] or "keyData": "base64"';
  if (present.length !== 1) {
    const how = present.length === 0 ? "none of them present" : "more than one present";
    throw policyProblem(place.node, place.path, `E${must}, ${how}`, hint);
  }
  if (path !== "") return keyFiles([path]);
  if (paths !== undefined) return keyFiles(paths);
  if (data !== undefined) return keyBlobs([data]);
  throw policyProblem(place.node, place.path, `e${must}: ${quote(present[0]!)} is empty`, hint);
}

function readSignedBaseLayer(place: Placed): Requirement {
  const members = knownMembers(place, ["type", "baseLayerIdentity"]);
  const baseLayerIdentity = readSignedIdentity(requiredMember(members, "baseLayerIdentity", place));
  return { type: "signedBaseLayer", baseLayerIdentity };
}
