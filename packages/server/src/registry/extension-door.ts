/**
 * The signatures extension that OpenShift's registry brought: `/extensions/v2/PATH/signatures/DIGEST`, with GET and PUT as its clients know them. DELETE with the
 * signature's name behind the digest is ours; old clients never ask for it.
 */
import {
  type Digest,
  FormatError,
  type JsonNode,
  MAX_SIGNATURE_BYTES,
  decodeBase64,
  encodeBase64,
  foldMemberName,
  parseJson,
} from "@signet/core";
import { findCarrier } from "../content/carried-index.ts";
import { ContentError } from "../content/content-error.ts";
import { isServed } from "../content/membership.ts";
import type { ServedRepository } from "../content/repositories.ts";
import { deleteSignature, listSignatures, putSignature, readSignature } from "../content/signatures.ts";
import type { Database, Reader } from "../db/database.ts";
import type { SignatureVerifier } from "../trust/verification.ts";
import { type CompleteAnswer, type Exchange, answer, jsonAnswer, readBody } from "./answer.ts";
import type { Caller } from "./caller.ts";
import { RegistryError } from "./registry-error.ts";

/** The version of the objects on the wire; clients and servers know no other. */
const SCHEMA_VERSION = 2;
/** Bytes of one PUT: the largest signature in base64, with its name and frame. */
const MAX_BODY_BYTES = Math.ceil(MAX_SIGNATURE_BYTES / 3) * 4 + 4_096;
/** What may follow the `@` of a signature's name: one segment of a path. Clients write 32 hex digits. */
const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/;

/** The answer to GET: every signature of simple signing, oldest first. Those of other formats clients of this door could not read. */
export async function makeSignaturesAnswer(
  reader: Reader,
  served: ServedRepository,
  digest: Digest,
): Promise<CompleteAnswer> {
  const isHere = await isServed(reader, served, { kind: "manifest", key: digest });
  if (!isHere) return { status: 404, headers: {}, body: new Uint8Array() };
  const signatures = (await listSignatures(reader, served, digest)).map((one) => ({
    schemaVersion: SCHEMA_VERSION,
    name: one.name,
    type: "atomic",
    content: encodeBase64(one.bytes),
  }));
  return jsonAnswer({ signatures }, { "cache-control": "no-cache" });
}

/** Answers PUT: one signature, made part of the repository. */
export async function receiveSignature(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  served: ServedRepository,
  digest: Digest,
  verifier: SignatureVerifier,
): Promise<void> {
  const { name, content } = readObject(await readBody(exchange.request, MAX_BODY_BYTES, "SIGNATURE_INVALID"), digest);
  const signature = readSignature(content, digest, name);
  if (!(await isServed(database.read, served, { kind: "manifest", key: digest }))) return answer(exchange, 404, {});
  await putSignature(database, served, digest, signature, caller.name, exchange.now, verifier);
  answer(exchange, 201, {});
}

/** Answers DELETE of one signature by its name. One that manifests carry stays in them, so it goes with them and not alone. */
export async function removeSignature(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  served: ServedRepository,
  digest: Digest,
  name: string,
): Promise<void> {
  const select = (present: Awaited<ReturnType<typeof listSignatures>>) => present.find((one) => one.name === name);
  try {
    await deleteSignature(database, served, digest, select, caller.name, exchange.now);
  } catch (error) {
    if (!(error instanceof ContentError && error.problem === "signature-unknown")) throw error;
    const carrier = await findCarrier(database.read, served, digest, name);
    if (carrier === undefined) throw error;
    throw new RegistryError("DENIED", `the manifest ${carrier} carries it: delete that one`, { status: 409 });
  }
  answer(exchange, 204, {});
}

/** The object of a PUT. As in Go, names of members are matched without case and unknown ones are ignored; a member that occurs twice is an error. */
function readObject(body: Buffer, digest: Digest): { readonly name: string; readonly content: Uint8Array } {
  const members = readMembers(body);
  // Documentation says `version` and code `schemaVersion`: the latter counts where both are there.
  const version = members.get("schemaversion") ?? members.get("version");
  if (version?.kind !== "number" || version.value !== SCHEMA_VERSION) {
    throw invalid(`only schemaVersion=${SCHEMA_VERSION} is supported`);
  }
  const type = members.get("type");
  const isKnown =
    type === undefined ||
    type.kind === "null" ||
    (type.kind === "string" && ["", "atomic", "AtomicImageV1"].includes(type.value));
  if (!isKnown) throw invalid("the type is not atomic");
  const name = members.get("name");
  const [image = "", suffix = "", ...rest] = name?.kind === "string" ? name.value.split("@") : [];
  if (name?.kind !== "string" || rest.length > 0 || !nameForm.test(suffix)) {
    throw invalid("name must be of format <imageName>@<signatureName>");
  }
  if (image !== digest) throw invalid("the name is that of a signature of another image");
  const content = members.get("content");
  if (content?.kind !== "string") throw invalid("content is missing");
  try {
    // Go's decoder passes over line ends in base64.
    return { name: name.value, content: decodeBase64(content.value.replace(/[\r\n]/g, "")) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw invalid(error.message);
  }
}

function readMembers(body: Buffer): ReadonlyMap<string, JsonNode> {
  let document: JsonNode;
  try {
    document = parseJson(body, "signature", { maxBytes: MAX_BODY_BYTES, maxDepth: 16 });
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw invalid(error.message);
  }
  if (document.kind !== "object") throw invalid("the body is not an object");
  const members = new Map<string, JsonNode>();
  for (const { key, value } of document.members) {
    const folded = foldMemberName(key);
    if (members.has(folded)) throw invalid(`the member ${JSON.stringify(key.slice(0, 100))} occurs twice`);
    members.set(folded, value);
  }
  return members;
}

function invalid(detail: string): RegistryError {
  return new RegistryError("SIGNATURE_INVALID", detail);
}
