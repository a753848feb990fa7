/**
 * The lookaside tree of containers/image (`PATH@sha256=HEX/signature-N`), and the one in which release signatures are published (`sha256=HEX/signature-N`), over all
 * repositories that a client may read. Writing to the first is ours: a plain web server has no such thing.
 */
import { createHash } from "node:crypto";
import { MAX_SIGNATURE_BYTES } from "@signet/core";
import { isServed } from "../content/membership.ts";
import { listReleaseSignatures } from "../content/release-signatures.ts";
import type { ServedRepository } from "../content/repositories.ts";
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
import { type CompleteAnswer, type Exchange, answer, readBody, sendAnswer } from "./answer.ts";
import type { Caller } from "./caller.ts";
import { RegistryError } from "./registry-error.ts";
import type { LookasideRoute } from "./route.ts";

/** The answer to GET and HEAD of a repository's tree. */
export async function makeLookasideAnswer(
  reader: Reader,
  served: ServedRepository,
  route: LookasideRoute,
): Promise<CompleteAnswer> {
  const signatures = await listSignatures(reader, served, route.digest);
  return fileAnswer(signatures[route.index - 1]);
}

/** Answers GET and HEAD of the tree over all repositories. */
export async function serveReleaseTree(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  route: LookasideRoute,
): Promise<void> {
  // Without their bytes: those of all repositories together could be hundreds of megabytes.
  const found = await listReleaseSignatures(database.read, route.digest, route.index, (holder) =>
    caller.may("pull", holder),
  );
  const digest = found[route.index - 1];
  const bytes = digest === undefined ? undefined : (await readSignatureBytes(database.read, [digest])).get(digest);
  sendAnswer(exchange, fileAnswer(digest === undefined || bytes === undefined ? undefined : { digest, bytes }));
}

/** Answers PUT: the next signature of an image. Writing the same bytes again to their place changes nothing and succeeds. */
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
  const present = await listSignatures(database.read, served, route.digest);
  if (present[route.index - 1]?.digest === signature.digest) return answer(exchange, 204, {});
  if (route.index !== present.length + 1) {
    throw new RegistryError("SIGNATURE_EXISTS", `the next free place is signature-${present.length + 1}`);
  }
  await putSignature(database, served, route.digest, signature, caller.name, exchange.now, verifier);
  answer(exchange, 201, { etag: etagOf(signature.bytes) });
}

/** Answers DELETE: what follows moves up, so that clients, which stop at the first gap, find all that is left. With `If-Match` only these bytes go. */
export async function removeLookaside(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  served: ServedRepository,
  route: LookasideRoute,
): Promise<void> {
  const expected = exchange.request.headers["if-match"];
  const select = (present: readonly StoredSignature[]): StoredSignature | undefined => {
    const found = present[route.index - 1];
    if (found !== undefined && expected !== undefined && expected !== etagOf(found.bytes)) {
      throw new RegistryError("SIGNATURE_EXISTS", "another signature has this place now", { status: 412 });
    }
    return found;
  };
  await deleteSignature(database, served, route.digest, select, caller.name, exchange.now);
  answer(exchange, 204, {});
}

/** The place of a signature can come to hold another one, when one before it is removed: so it is asked for again, and the tag tells at no cost. */
function fileAnswer(signature: Pick<StoredSignature, "bytes" | "digest"> | undefined): CompleteAnswer {
  if (signature === undefined) {
    return { status: 404, headers: { "content-type": "text/plain" }, body: Buffer.from("no such signature\n") };
  }
  const headers = {
    "content-type": "application/octet-stream",
    etag: `"${signature.digest}"`,
    "cache-control": "no-cache",
  };
  return { status: 200, headers, body: signature.bytes, tag: signature.digest };
}

function etagOf(bytes: Uint8Array): string {
  return `"sha256:${createHash("sha256").update(bytes).digest("hex")}"`;
}
