/**
 * Listing signatures of every format, with their judgements: `GET /extensions/v2/PATH/signatures/DIGEST?view=all`, with content, and `GET /extensions/v2/PATH/signatures` of a
 * whole repository, without. Clients of the extension send neither, so nothing changes for them.
 */
import { type Digest, encodeBase64 } from "@signet/core";
import { isServed } from "../content/membership.ts";
import type { ServedRepository } from "../content/repositories.ts";
import { type ListedSignature, listSignatureFacts, readSignatureBytes } from "../content/signature-list.ts";
import type { Database } from "../db/database.ts";
import { type Exchange, answerJson, nextPage, readPage } from "./answer.ts";
import { RegistryError } from "./registry-error.ts";

/** Signatures of one page: with their evidence some hundred kilobytes. */
const MAX_PAGE_SIGNATURES = 200;
/** Bytes of content in one page; the first signature comes whatever its size. */
const MAX_PAGE_CONTENT = 4 * 1024 * 1024;

/**
 * The form of an image's list that a GET asks for: the old one, without `view`, or this one.
 * @throws RegistryError `UNSUPPORTED` for any other view
 */
export function asksForAll(query: URLSearchParams): boolean {
  const view = query.get("view");
  if (view === null || view === "all") return view !== null;
  throw new RegistryError("UNSUPPORTED", "the only view is `all`", { status: 400 });
}

/** Answers GET of an image's signatures, with their content. */
export async function serveImageSignatures(
  database: Database,
  exchange: Exchange,
  served: ServedRepository,
  digest: Digest,
): Promise<void> {
  const isHere = await isServed(database.read, served, { kind: "manifest", key: digest });
  if (!isHere) throw new RegistryError("MANIFEST_UNKNOWN", { digest });
  const { last, limit } = readBoundedPage(exchange);
  const found = limit === 0 ? [] : await listSignatureFacts(database.read, served, digest, last, limit + 1);
  const page: ListedSignature[] = [];
  let size = 0;
  for (const one of found.slice(0, limit)) {
    size += one.size;
    if (page.length > 0 && size > MAX_PAGE_CONTENT) break;
    page.push(one);
  }
  const contents = await readSignatureBytes(
    database.read,
    page.map((one) => one.digest),
  );
  const signatures = page.map((one) => {
    const content = contents.get(one.digest);
    return { ...describe(one), ...(content === undefined ? {} : { content: encodeBase64(content) }) };
  });
  const isLast = page.length === found.length;
  const next = { n: String(limit), view: "all", last: page.at(-1)?.digest ?? "" };
  const path = `/extensions/v2/${served.path}/signatures/${digest}`;
  answerJson(
    exchange,
    { path: served.path, manifest: digest, signatures },
    {
      "cache-control": "no-cache",
      ...(isLast ? {} : nextPage(path, next)),
    },
  );
}

/** Answers GET of a repository's signatures. */
export async function serveRepositorySignatures(
  database: Database,
  exchange: Exchange,
  served: ServedRepository,
): Promise<void> {
  const { last, limit } = readBoundedPage(exchange);
  const found = limit === 0 ? [] : await listSignatureFacts(database.read, served, undefined, last, limit + 1);
  const signatures = found.slice(0, limit).map(describe);
  const next = { n: String(limit), last: signatures.at(-1)?.digest ?? "" };
  answerJson(
    exchange,
    { path: served.path, signatures },
    {
      "cache-control": "no-cache",
      ...(found.length > limit ? nextPage(`/extensions/v2/${served.path}/signatures`, next) : {}),
    },
  );
}

function readBoundedPage({ query }: Exchange): { readonly last: string; readonly limit: number } {
  const { last, limit } = readPage(query);
  return { last, limit: Math.min(limit, MAX_PAGE_SIGNATURES) };
}

/** One signature on the wire. Times are ISO 8601, UTC. What it claims stands apart from what was found. */
function describe(one: ListedSignature) {
  const { unverifiedClaims: claims, judgement } = one;
  return {
    digest: one.digest,
    manifest: one.manifest,
    format: one.format,
    name: one.name,
    size: one.size,
    ...(one.carriers[0] === undefined
      ? {}
      : {
          carrier: one.carriers[0].digest,
          carriers: one.carriers.map(({ digest, image, tag }) => ({ digest, manifest: image, tag })),
        }),
    createdAt: isoTime(one.createdAt),
    unverifiedClaims: { ...claims, signedAt: isoTime(claims.signedAt) },
    verdict: judgement?.verdict ?? "not-checked",
    ...(judgement === undefined
      ? {}
      : {
          signer: judgement.signer,
          keyringVersion: judgement.keyringVersion,
          verifiedAt: isoTime(judgement.verifiedAt),
          validUntil: isoTime(judgement.validUntil),
          evidence: JSON.parse(judgement.evidence) as unknown,
        }),
  };
}

/** Undefined also for a time that no date can say, as a payload may claim one. */
function isoTime(milliseconds: number | undefined): string | undefined {
  if (milliseconds === undefined) return undefined;
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
