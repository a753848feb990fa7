/** The registry's signatures extension, `/extensions/v2/<name>/signatures/<digest>`, on the wire. */
import {
  type Digest,
  FormatError,
  type JsonNode,
  StoreError,
  decodeBase64,
  encodeBase64,
  jsonArray,
  jsonString,
  parseJson,
  strictObject,
} from "@signet/core";
import { MAX_SIGNATURE_LIST_BYTES } from "./limits.ts";
import type { RegistrySession } from "./session.ts";

/** One object of the list. */
export interface ApiSignature {
  /** `<digest>@<32 hex digits>`, or whatever the registry says; untrusted. */
  readonly name: string;
  readonly content: Uint8Array;
}

/** The list as it came, sorted into what can be used and what cannot. */
export interface ApiSignatureList {
  readonly signatures: readonly ApiSignature[];
  /** One for each object that was left out: its name or position, and why. */
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

/** The version of the objects; clients and servers know no other. */
const SCHEMA_VERSION = 2;

/** `atomic` is what clients write. `AtomicImageV1` is the same thing put in by OpenShift's own import, or by a client that left the type out. */
const readableTypes: ReadonlySet<string> = new Set(["atomic", "AtomicImageV1"]);

function apiPath(repository: string, digest: Digest): string {
  return `/extensions/v2/${repository}/signatures/${digest}`;
}

/** For messages. */
export function apiLabel(session: RegistrySession, repository: string, digest: Digest): string {
  return `${session.registry}/${repository}@${digest} (signatures API)`;
}

/**
 * Reads all signatures of a manifest. Objects of another version or type, or whose content is not base64, are left out; a list that is not one is an error.
 * 404 is an error as well: a registry with the extension answers an empty list when there is none.
 * @throws StoreError `image-missing`, `registry-…`; FormatError `input-too-large` above 4 MiB
 */
export async function listSignatures(
  session: RegistrySession,
  repository: string,
  digest: Digest,
): Promise<ApiSignatureList> {
  const what = `signatures of ${apiLabel(session, repository, digest)}`;
  const { bytes } = await session.read(
    {
      method: "GET",
      path: apiPath(repository, digest),
      access: [{ repository, actions: "pull" }],
      headers: { accept: "application/json" },
      expect: [200],
      what,
    },
    MAX_SIGNATURE_LIST_BYTES,
  );
  try {
    return readList(bytes, what);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new StoreError("registry-error", `${what}: the answer cannot be read: ${error.message}`, { cause: error });
  }
}

function readList(bytes: Uint8Array, what: string): ApiSignatureList {
  const document = parseJson(bytes, what, { maxBytes: MAX_SIGNATURE_LIST_BYTES, maxDepth: 16 });
  const list = strictObject(document, "", { required: ["signatures"], allowUnknown: true }).get("signatures")!;
  const signatures: ApiSignature[] = [];
  const skipped: { name: string; reason: string }[] = [];
  for (const [index, item] of jsonArray(list, "signatures").entries()) {
    const entry = readEntry(item, `signatures[${index}]`);
    if ("content" in entry) signatures.push(entry);
    else skipped.push(entry);
  }
  return { signatures, skipped };
}

function readEntry(item: JsonNode, path: string): ApiSignature | { readonly name: string; readonly reason: string } {
  const members = strictObject(item, path, { required: [], allowUnknown: true });
  const nameNode = members.get("name");
  const name = nameNode?.kind === "string" ? nameNode.value : path;
  const version = members.get("schemaVersion");
  if (version?.kind !== "number" || version.value !== SCHEMA_VERSION) {
    return { name, reason: `its schemaVersion is not ${SCHEMA_VERSION}` };
  }
  const type = members.get("type");
  if (type?.kind !== "string" || !readableTypes.has(type.value)) return { name, reason: "its type is not atomic" };
  const content = members.get("content");
  if (content === undefined) return { name, reason: "it has no content" };
  try {
    return { name, content: decodeBase64(jsonString(content, `${path}.content`)) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { name, reason: `its content cannot be read: ${error.message}` };
  }
}

/**
 * Adds one signature.
 * @returns `created`, or `conflict` when the registry has that name or that content already (409)
 * @throws StoreError for any other answer, also for success codes other than 201
 */
export async function putSignature(
  session: RegistrySession,
  repository: string,
  digest: Digest,
  signature: ApiSignature,
): Promise<"created" | "conflict"> {
  const { name, content } = signature;
  const object = { schemaVersion: SCHEMA_VERSION, name, type: "atomic", content: encodeBase64(content) };
  const answer = await session.open({
    method: "PUT",
    path: apiPath(repository, digest),
    access: [{ repository, actions: "pull,push" }],
    headers: { "content-type": "application/json" },
    body: new TextEncoder().encode(JSON.stringify(object)),
    expect: [201, 409],
    what: `storing a signature of ${apiLabel(session, repository, digest)}`,
  });
  await answer.discard();
  return answer.status === 201 ? "created" : "conflict";
}
