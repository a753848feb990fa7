/** Writing credential files: what `login` and `logout` do. What is not touched stays as it is, byte for byte. */
import { dirname } from "node:path";
import { type JsonNode, type JsonObject, SignetError, concatBytes, encodeBase64 } from "@signet/core";
import type { Credentials } from "../registry/credentials.ts";
import { writeFileAtomic } from "./atomic-file.ts";
import {
  type AuthDocument,
  type AuthFile,
  type CredentialSearch,
  checkCredentialKey,
  findCredentials,
  parseAuthDocument,
  readAuthFile,
  runtimeAuthFile,
} from "./auth-file.ts";
import { eraseWithCredentialHelper, storeWithCredentialHelper } from "./credential-helper.ts";
import { fileError } from "./file-error.ts";
import { makeFolders } from "./folders.ts";

/** Octal permission bits: the owner alone. */
const AUTH_FILE_MODE = 0o600;

/** Octal permission bits of the folder, if it has to be made. */
const AUTH_FOLDER_MODE = 0o700;

/** What a change did. */
export interface CredentialChange {
  /** A path, or `docker-credential-NAME`. */
  readonly location: string;
}

/** What forgetting did. */
export interface CredentialRemoval extends CredentialChange {
  /** False when there was nothing to forget at that location. */
  readonly removed: boolean;
  /** Another place that still has credentials for the registry, such as docker's own file. */
  readonly remaining: string | undefined;
}

/** The file that is written: the one that was named, else podman's run-time file. */
function targetFile(search: CredentialSearch): AuthFile {
  const named = search.authFile ?? search.host.env["REGISTRY_AUTH_FILE"] ?? "";
  return { path: named === "" ? runtimeAuthFile(search) : named, form: "auth", named: false };
}

async function readTarget(file: AuthFile): Promise<AuthDocument> {
  return (await readAuthFile(file)) ?? parseAuthDocument(new TextEncoder().encode("{}"), "auth");
}

/**
 * Keeps credentials for a registry or a part of it: with the helper that the file names for it, else in the file, mode 0600, replaced in one step.
 *
 * Not checked: whether the registry accepts them; see `RegistryClient.checkLogin`.
 * @param key `host[:port][/path]`
 * @throws FormatError `reference-malformed`, `auth-file-malformed`; StoreError `file-unwritable`, `disk-full`, `credential-helper-failed`
 */
export async function storeCredentials(
  key: string,
  credentials: Extract<Credentials, { kind: "password" }>,
  search: CredentialSearch,
): Promise<CredentialChange> {
  checkCredentialKey(key);
  const file = targetFile(search);
  const document = await readTarget(file);
  const helper = document.helpers.get(key);
  if (helper !== undefined) {
    await storeWithCredentialHelper(helper, key, credentials, search.host);
    return { location: `docker-credential-${helper}` };
  }
  const auth = encodeBase64(new TextEncoder().encode(`${credentials.username}:${credentials.password}`));
  await writeAuthFile(file.path, withEntry(document, key, auth));
  return { location: file.path };
}

/**
 * Forgets the credentials kept under exactly this key in the file that `login` writes to.
 * @throws as {@link storeCredentials}
 */
export async function removeCredentials(key: string, search: CredentialSearch): Promise<CredentialRemoval> {
  checkCredentialKey(key);
  const file = targetFile(search);
  const document = await readTarget(file);
  const helper = document.helpers.get(key);
  const removed = helper !== undefined || document.entries.has(key);
  if (helper !== undefined) await eraseWithCredentialHelper(helper, key, search.host);
  if (document.entries.has(key)) await writeAuthFile(file.path, withoutEntry(document, key));
  return {
    removed,
    location: helper === undefined ? file.path : `docker-credential-${helper}`,
    remaining: await findRemaining(key, search),
  };
}

/** A place that cannot be read does not undo that something was forgotten. */
async function findRemaining(key: string, search: CredentialSearch): Promise<string | undefined> {
  try {
    return (await findCredentials(key, search))?.location;
  } catch (error) {
    if (error instanceof SignetError) return undefined;
    throw error;
  }
}

/**
 * Forgets all credentials in the file that `login` writes to, and those its helpers keep. Which helper serves which registry stays written down.
 * @throws as {@link storeCredentials}
 */
export async function removeAllCredentials(search: CredentialSearch): Promise<CredentialRemoval> {
  const file = targetFile(search);
  const document = await readTarget(file);
  for (const [registry, helper] of document.helpers) await eraseWithCredentialHelper(helper, registry, search.host);
  const auths = memberOf(document.root, "auths");
  if (auths !== undefined && document.entries.size > 0) {
    await writeAuthFile(file.path, splice(document.bytes, auths.start, auths.end, "{}"));
  }
  return { removed: document.entries.size + document.helpers.size > 0, location: file.path, remaining: undefined };
}

async function writeAuthFile(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await makeFolders(dirname(path), AUTH_FOLDER_MODE);
  } catch (error) {
    throw fileError(error, dirname(path), "write", "the folder");
  }
  await writeFileAtomic(path, bytes, { mode: AUTH_FILE_MODE });
}

function withEntry(document: AuthDocument, key: string, auth: string): Uint8Array {
  const { bytes, root } = document;
  const auths = memberOf(root, "auths");
  if (auths?.kind !== "object") {
    const style = styleOf(bytes, root as JsonObject) ?? { gap: "\n\t", unit: "\t" };
    const inner = { gap: `${style.gap}${style.unit}`, unit: style.unit };
    const value = `{${inner.gap}${JSON.stringify(key)}: ${entryText(auth, inner)}${style.gap}}`;
    return auths === undefined
      ? addMember(bytes, root as JsonObject, "auths", value, style)
      : splice(bytes, auths.start, auths.end, value);
  }
  const outer = styleOf(bytes, root as JsonObject) ?? { gap: "\n\t", unit: "\t" };
  const style = styleOf(bytes, auths) ?? { gap: `${outer.gap}${outer.unit}`, unit: outer.unit };
  const value = entryText(auth, style);
  const present = memberOf(auths, key);
  return present === undefined
    ? addMember(bytes, auths, key, value, style)
    : splice(bytes, present.start, present.end, value);
}

function withoutEntry(document: AuthDocument, key: string): Uint8Array {
  const auths = memberOf(document.root, "auths") as JsonObject;
  const { members } = auths;
  const at = members.findIndex((member) => member.key === key);
  const gone = members[at]!;
  if (at > 0) return splice(document.bytes, members[at - 1]!.value.end, gone.value.end, "");
  const next = members[at + 1];
  return next === undefined
    ? splice(document.bytes, auths.start, auths.end, "{}")
    : splice(document.bytes, gone.keyStart, next.keyStart, "");
}

/** How a document is laid out: the white space before a member, and what one more level adds. */
interface Style {
  readonly gap: string;
  readonly unit: string;
}

function styleOf(bytes: Uint8Array, object: JsonObject): Style | undefined {
  const last = object.members.at(-1);
  if (last === undefined) return undefined;
  let start = last.keyStart;
  while (start > 0 && [0x20, 0x09, 0x0a, 0x0d].includes(bytes[start - 1]!)) start--;
  const gap = new TextDecoder().decode(bytes.subarray(start, last.keyStart));
  if (!gap.includes("\n")) return { gap: "", unit: "" };
  return { gap, unit: gap.endsWith("\t") ? "\t" : gap.endsWith("    ") ? "    " : "  " };
}

function entryText(auth: string, style: Style): string {
  const inner = `${style.gap}${style.unit}`;
  return `{${inner}"auth": ${JSON.stringify(auth)}${style.gap}}`;
}

function addMember(bytes: Uint8Array, object: JsonObject, key: string, value: string, style: Style): Uint8Array {
  const text = `${style.gap}${JSON.stringify(key)}: ${value}`;
  const last = object.members.at(-1);
  if (last !== undefined) return splice(bytes, last.value.end, last.value.end, `,${text}`);
  // The gap before the closing brace is one level less deep.
  const closing = style.gap.slice(0, style.gap.length - style.unit.length);
  return splice(bytes, object.start, object.end, `{${text}${closing}}`);
}

function memberOf(node: JsonNode, key: string): JsonNode | undefined {
  return node.kind === "object" ? node.members.find((member) => member.key === key)?.value : undefined;
}

function splice(bytes: Uint8Array, start: number, end: number, text: string): Uint8Array {
  return concatBytes([bytes.subarray(0, start), new TextEncoder().encode(text), bytes.subarray(end)]);
}
