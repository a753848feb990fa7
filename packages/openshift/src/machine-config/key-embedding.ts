/** Key files of a policy put into the policy itself, so that a node needs no other file. */
import {
  FormatError,
  type JsonPath,
  PolicyError,
  type PolicyEdit,
  concatBytes,
  editPolicy,
  encodeBase64,
  parsePolicy,
} from "@signet/core";
import { isRecord } from "../kubernetes/manifests.ts";

/** Of one file: the member that names it, and the one that holds its content. */
const single: Readonly<Record<string, string>> = {
  keyPath: "keyData",
  rekorPublicKeyPath: "rekorPublicKeyData",
  caPath: "caData",
  caRootsPath: "caRootsData",
  caIntermediatesPath: "caIntermediatesData",
};

/** Of several files, in requirements that may hold several contents. */
const several: Readonly<Record<string, string>> = {
  keyPaths: "keyDatas",
  rekorPublicKeyPaths: "rekorPublicKeyDatas",
};

/**
 * Puts the content of every key file in the place of its name; all else stays octet for octet. Several files of a `signedBy` become one keyring, and of a
 * `sigstoreSigned` a list, so that any of the keys is still enough.
 *
 * @param bytes a policy that `parsePolicy` has read
 * @param read gives the content of a key file by its path in the policy
 * @throws whatever `read` throws; PolicyError `policy-malformed` when armored and binary keyrings would have to become one
 */
export function embedKeys(bytes: Uint8Array, source: string, read: (path: string) => Uint8Array): Uint8Array {
  const edits: PolicyEdit[] = [];
  const document: unknown = JSON.parse(new TextDecoder().decode(bytes));
  visitRequirements(document, (requirement, path) => collectEdits(requirement, path, read, edits));
  if (edits.length === 0) return bytes;
  const edited = editPolicy(bytes, edits);
  if (edited.applied.length !== edits.length)
    throw new FormatError("policy-malformed", `${source}: keys cannot be embedded`);
  parsePolicy(edited.bytes, source);
  return edited.bytes;
}

function visitRequirements(policy: unknown, visit: (requirement: Members, path: JsonPath) => void): void {
  if (!isRecord(policy)) return;
  const visitList = (list: unknown, path: JsonPath): void => {
    if (!Array.isArray(list)) return;
    list.forEach((item: unknown, index) => {
      if (isRecord(item)) visit(item, [...path, index]);
    });
  };
  visitList(policy["default"], ["default"]);
  for (const [transport, scopes] of Object.entries(isRecord(policy["transports"]) ? policy["transports"] : {}))
    for (const [scope, list] of Object.entries(isRecord(scopes) ? scopes : {}))
      visitList(list, ["transports", transport, scope]);
}

type Members = Readonly<Record<string, unknown>>;

function collectEdits(members: Members, path: JsonPath, read: (path: string) => Uint8Array, edits: PolicyEdit[]): void {
  const isSimple = members["type"] === "signedBy";
  for (const [key, value] of Object.entries(members)) {
    const place = [...path, key];
    const data = single[key];
    const datas = several[key];
    if (data !== undefined && typeof value === "string") {
      edits.push({ kind: "rename", path: place, key: data });
      edits.push({ kind: "replace", path: place, value: encodeBase64(read(value)) });
    } else if (datas !== undefined && isTexts(value)) {
      edits.push({ kind: "rename", path: place, key: isSimple ? "keyData" : datas });
      if (isSimple) edits.push({ kind: "replace", path: place, value: encodeBase64(joinKeyrings(value, read)) });
      else
        value.forEach((file, index) =>
          edits.push({ kind: "replace", path: [...place, index], value: encodeBase64(read(file)) }),
        );
    } else if (isRecord(value) && (key === "fulcio" || key === "pki")) collectEdits(value, place, read, edits);
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** Armored keyrings one below the other, or binary ones one behind the other: both are one keyring for gpg. */
function joinKeyrings(paths: readonly string[], read: (path: string) => Uint8Array): Uint8Array {
  const keyrings = paths.map(read);
  const isArmored = (keyring: Uint8Array): boolean => (keyring[0] ?? 0) < 0x80;
  if (keyrings.some((keyring) => isArmored(keyring) !== isArmored(keyrings[0]!)))
    throw new PolicyError(
      "policy-malformed",
      `keyPaths ${paths.join(", ")}: armored and binary keyrings do not become one`,
      {
        hint: "write both armored, with `signet keys export` or `gpg --armor --export`, or use --include-keys",
      },
    );
  const lineEnd = new TextEncoder().encode("\n");
  return concatBytes(keyrings.flatMap((keyring) => (isArmored(keyring) ? [keyring, lineEnd] : [keyring])));
}
