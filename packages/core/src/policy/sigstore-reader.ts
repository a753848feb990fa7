/** `sigstoreSigned` (policy-json, section 4.4). Unlike `signedBy`, its sources are counted by value: `""` and `null` are as good as absent. */
import { readIdentityMember } from "./identity-reader.ts";
import { keyBlobs, keyFiles } from "./key-source.ts";
import type { FulcioTrust, KeySource, PkiTrust, SigstoreSignedRequirement, SigstoreTrust } from "./policy.ts";
import {
  bytesListMember,
  bytesMember,
  knownMembers,
  type Members,
  type Placed,
  policyProblem,
  textMember,
  textsMember,
} from "./policy-members.ts";

/** The four members by which one set of keys can be given. */
interface KeyFields {
  readonly path: string;
  readonly paths: string;
  readonly data: string;
  readonly datas: string;
}

const keyFields: KeyFields = { path: "keyPath", paths: "keyPaths", data: "keyData", datas: "keyDatas" };
const rekorFields: KeyFields = {
  path: "rekorPublicKeyPath",
  paths: "rekorPublicKeyPaths",
  data: "rekorPublicKeyData",
  datas: "rekorPublicKeyDatas",
};

/** @throws PolicyError `policy-malformed` */
export function readSigstoreSigned(place: Placed): SigstoreSignedRequirement {
  const members = knownMembers(place, [
    "type",
    ...namesOf(keyFields),
    "fulcio",
    "pki",
    ...namesOf(rekorFields),
    "signedIdentity",
  ]);
  const keys = readKeySources(members, keyFields);
  const fulcio = members.get("fulcio");
  const pki = members.get("pki");
  const trusts: readonly SigstoreTrust[] = [
    ...keys.map((source): SigstoreTrust => Object.freeze({ kind: "keys", keys: source })),
    ...(fulcio === undefined ? [] : [readFulcio(fulcio)]),
    ...(pki === undefined ? [] : [readPki(pki)]),
  ];
  const rekor = readKeySources(members, rekorFields);
  const signedIdentity = readIdentityMember(members);

  const problem = (text: string, hint?: string): Error => policyProblem(place.node, place.path, text, hint);
  const [trust] = trusts;
  if (trust === undefined || trusts.length > 1) {
    const text = "exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio, and pki must be specified";
    throw problem(text, trust === undefined ? "none of them is here" : "keep one of them");
  }
  if (rekor.length > 1) throw problem(`at most one of ${listFields(rekorFields)} can be used simultaneously`);
  if (trust.kind === "fulcio" && rekor.length === 0) {
    const hint = "certificates live for minutes; only the log's signature says when they were used";
    throw problem(`At least one of ${listFields(rekorFields)} must be specified if fulcio is used`, hint);
  }
  if (trust.kind === "pki" && rekor.length > 0) {
    throw problem(`${listFields(rekorFields)} are not supported for pki`, "remove the rekor key");
  }
  return { type: "sigstoreSigned", trust, rekor: rekor[0], signedIdentity };
}

/** Every source that one group of members gives. A list that is there must hold something. */
function readKeySources(members: Members, fields: KeyFields): readonly KeySource[] {
  const sources: KeySource[] = [];
  const path = textMember(members.get(fields.path));
  if (path !== "") sources.push(keyFiles([path]));
  const paths = nonEmpty(members.get(fields.paths), fields.paths, textsMember);
  if (paths !== undefined) sources.push(keyFiles(paths));
  const data = bytesMember(members.get(fields.data));
  if (data !== undefined) sources.push(keyBlobs([data]));
  const datas = nonEmpty(members.get(fields.datas), fields.datas, bytesListMember);
  if (datas !== undefined) sources.push(keyBlobs(datas));
  return sources;
}

function nonEmpty<Item>(
  member: Placed | undefined,
  field: string,
  read: (member: Placed) => readonly Item[] | undefined,
): readonly Item[] | undefined {
  if (member === undefined) return undefined;
  const items = read(member);
  if (items !== undefined && items.length > 0) return items;
  throw policyProblem(member.node, member.path, `"${field}" contains no entries`, "name at least one, or leave it out");
}

function namesOf({ path, paths, data, datas }: KeyFields): readonly string[] {
  return [path, paths, data, datas];
}

function listFields(fields: KeyFields): string {
  return `${fields.path}, ${fields.paths}, ${fields.data}, and ${fields.datas}`;
}

function readFulcio(place: Placed): FulcioTrust {
  const members = knownMembers(place, ["caPath", "caData", "oidcIssuer", "subjectEmail"]);
  const authorities = readOneOf(members, "caPath", "caData", place);
  const oidcIssuer = textMember(members.get("oidcIssuer"));
  const subjectEmail = textMember(members.get("subjectEmail"));
  if (authorities === undefined) throw noneOf("caPath", "caData", place);
  if (oidcIssuer === "") throw policyProblem(place.node, place.path, "oidcIssuer not specified");
  if (subjectEmail === "") throw policyProblem(place.node, place.path, "subjectEmail not specified");
  return Object.freeze({ kind: "fulcio", authorities, oidcIssuer, subjectEmail });
}

function readPki(place: Placed): PkiTrust {
  const members = knownMembers(place, [
    "caRootsPath",
    "caRootsData",
    "caIntermediatesPath",
    "caIntermediatesData",
    "subjectEmail",
    "subjectHostname",
  ]);
  const roots = readOneOf(members, "caRootsPath", "caRootsData", place);
  const intermediates = readOneOf(members, "caIntermediatesPath", "caIntermediatesData", place);
  const subjectEmail = textMember(members.get("subjectEmail")) || undefined;
  const subjectHostname = textMember(members.get("subjectHostname")) || undefined;
  if (roots === undefined) throw noneOf("caRootsPath", "caRootsData", place);
  if (subjectEmail === undefined && subjectHostname === undefined) {
    throw policyProblem(place.node, place.path, "At least one of subjectEmail, subjectHostname must be specified");
  }
  return Object.freeze({ kind: "pki", roots, intermediates, subjectEmail, subjectHostname });
}

/** Certificates given by a path or by octets, never by both. */
function readOneOf(members: Members, pathField: string, dataField: string, place: Placed): KeySource | undefined {
  const path = textMember(members.get(pathField));
  const data = bytesMember(members.get(dataField));
  if (path !== "" && data !== undefined) {
    throw policyProblem(place.node, place.path, `${pathField} and ${dataField} cannot be used simultaneously`);
  }
  if (path !== "") return keyFiles([path]);
  return data === undefined ? undefined : keyBlobs([data]);
}

function noneOf(pathField: string, dataField: string, place: Placed): Error {
  return policyProblem(place.node, place.path, `At least one of ${pathField} and ${dataField} must be specified`);
}
