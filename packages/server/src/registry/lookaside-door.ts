/**
 * The lookaside tree of containers/image (`PATH@sha256=HEX/signature-N`), and the one in which release signatures are published (`sha256=HEX/signature-N`), over all
 * repositories that a client may read. Ours is that the first can be written, and that each file has a second name, `signature-sha256=HEX` by the digest of its own bytes, under which
 * nothing else is ever found: for caches, and for whoever means one signature and not a place.
 */
import { createHash } from "node:crypto";
import { MAX_SIGNATURE_BYTES } from "@signet/core";
import { isServed } from "../content/membership.ts";
import { listReleaseSignatures } from "../content/release-signatures.ts";
import { ContentError } from "../content/content-error.ts";
import { type ServedRepository, findServed } from "../content/repositories.ts";
import { readSignatureBytes } from "../content/signature-list.ts";
import {
  type StoredSignature,
  deleteSignature,
  listSignatures,
  putSignature,
  readSignature,
} from "../content/signatures.ts";
import type { Database, Reader } from "../db/database.ts";
import type { SignatureVerifier } from "../trust/verification.ts";
import { type CompleteAnswer, type Exchange, UNCHANGING, answer, readBody, sendAnswer } from "./answer.ts";
import type { Caller } from "./caller.ts";
import { RegistryError } from "./registry-error.ts";
import type { LookasideFile, LookasideRoute } from "./route.ts";

/** The answer to GET and HEAD of a repository's tree. */
export async function makeLookasideAnswer(
  reader: Reader,
  served: ServedRepository,
  route: LookasideRoute,
): Promise<CompleteAnswer> {
  return fileAnswer(route.file, selectFile(await listSignatures(reader, served, route.digest), route.file));
}

/** Answers GET and HEAD of the tree over all repositories. */
export async function serveReleaseTree(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  route: LookasideRoute,
): Promise<void> {
  // Without their bytes: those of all repositories together could be hundreds of megabytes.
  const { file } = route;
  const found = await listReleaseSignatures(database.read, route.digest, file, (holder) => caller.may("pull", holder));
  const digest = "index" in file ? found[file.index - 1] : found[0];
  const bytes = digest === undefined ? undefined : (await readSignatureBytes(database.read, [digest])).get(digest);
  sendAnswer(exchange, fileAnswer(file, digest === undefined || bytes === undefined ? undefined : { digest, bytes }));
}

/** Answers PUT: the next signature of an image, by the next place or by its own digest. Writing the same bytes again to their name changes nothing and succeeds. */
export async function receiveLookaside(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  served: ServedRepository,
  route: LookasideRoute,
  verifier: SignatureVerifier,
): Promise<void> {
  const signature = readSignature(
    await readBody(exchange.request, MAX_SIGNATURE_BYTES, "SIGNATURE_INVALID"),
    route.digest,
  );
  if (!(await isServed(database.read, served, { kind: "manifest", key: route.digest }))) {
    throw new RegistryError("MANIFEST_UNKNOWN", { digest: route.digest });
  }
  const { file } = route;
  if ("signature" in file && file.signature !== signature.digest) {
    throw new RegistryError("SIGNATURE_INVALID", `the digest of these bytes is ${signature.digest}`);
  }
  const present = await listSignatures(database.read, served, route.digest);
  if (selectFile(present, file)?.digest === signature.digest) return answer(exchange, 204, {});
  if ("index" in file && file.index !== present.length + 1) {
    throw new RegistryError("SIGNATURE_EXISTS", `the next free place is signature-${present.length + 1}`);
  }
  try {
    await putSignature(database, served, route.digest, signature, caller.name, exchange.now, verifier);
  } catch (error) {
    if (!(error instanceof ContentError) || error.problem !== "signature-exists" || "index" in file) throw error;
    // Another client wrote these bytes under the same name meanwhile.
    const now = await findServed(database.read, served.path);
    const isThere = now && selectFile(await listSignatures(database.read, now, route.digest), file) !== undefined;
    if (isThere !== true) throw error;
    return answer(exchange, 204, {});
  }
  answer(exchange, 201, { etag: etagOf(signature.bytes) });
}

/** Answers DELETE: what follows moves up, so that clients, which stop at the first gap, find all that is left. By its own digest, or with `If-Match`, only these bytes go. */
export async function removeLookaside(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  served: ServedRepository,
  route: LookasideRoute,
): Promise<void> {
  const expected = exchange.request.headers["if-match"];
  const select = (present: readonly StoredSignature[]): StoredSignature | undefined => {
    const found = selectFile(present, route.file);
    if (found !== undefined && expected !== undefined && expected !== etagOf(found.bytes)) {
      throw new RegistryError("SIGNATURE_EXISTS", "another signature has this place now", { status: 412 });
    }
    return found;
  };
  await deleteSignature(database, served, route.digest, select, caller.name, exchange.now);
  answer(exchange, 204, {});
}

function selectFile(present: readonly StoredSignature[], file: LookasideFile): StoredSignature | undefined {
  return "index" in file ? present[file.index - 1] : present.find(({ digest }) => digest === file.signature);
}

/**
 * The place of a signature can come to hold another one, when one before it is removed: so it is asked for again, and the tag tells at no cost. It names the place that cannot
 * (RFC 9110, section 8.7).
 */
function fileAnswer(
  file: LookasideFile,
  signature: Pick<StoredSignature, "bytes" | "digest"> | undefined,
): CompleteAnswer {
  if (signature === undefined) {
    return { status: 404, headers: { "content-type": "text/plain" }, body: Buffer.from("no such signature\n") };
  }
  const headers = {
    "content-type": "application/octet-stream",
    etag: `"${signature.digest}"`,
    ...("index" in file
      ? { "cache-control": "no-cache", "content-location": `signature-${signature.digest.replace(":", "=")}` }
      : { "cache-control": UNCHANGING }),
  };
  return { status: 200, headers, body: signature.bytes, tag: signature.digest };
}

function etagOf(bytes: Uint8Array): string {
  return `"sha256:${createHash("sha256").update(bytes).digest("hex")}"`;
}
