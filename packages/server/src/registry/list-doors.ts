/** Lists: tags, repositories, referrers (OCI distribution specification 1.1, "Content Discovery"). */
import { type Digest, OCI_INDEX_TYPE } from "@signet/core";
import { listReferrers } from "../content/referrers.ts";
import { type ServedRepository, listPaths } from "../content/repositories.ts";
import { listTags } from "../content/tags.ts";
import type { Database, Reader } from "../db/database.ts";
import { type CompleteAnswer, type Exchange, type Page, answerJson, jsonAnswer, nextPage, readPage } from "./answer.ts";
import type { Caller } from "./caller.ts";

/** Rows that one request for the catalog reads to find those that the caller may see: a page of them may be hidden. */
const MAX_CATALOG_ROWS = 100_000;
/** Rows of one query: some milliseconds. */
const MAX_CATALOG_BATCH = 10_000;
/** Referrers of one page. */
const MAX_REFERRERS = 500;
/** Bytes of their manifests: the annotations in the list stay below the 4 MiB that clients read, and below what one request may take of the memory. */
const MAX_REFERRER_BYTES = 3 * 1024 * 1024;

/** The answer to GET of `/v2/PATH/tags/list`. */
export async function makeTagsAnswer(
  reader: Reader,
  served: ServedRepository,
  { last, limit }: Page,
): Promise<CompleteAnswer> {
  // One more than asked for tells whether there is another page.
  const found = limit === 0 ? [] : await listTags(reader, served, last, limit + 1);
  const tags = found.slice(0, limit);
  const next =
    found.length > limit ? nextPage(`/v2/${served.path}/tags/list`, { n: String(limit), last: tags.at(-1)! }) : {};
  return jsonAnswer({ name: served.path, tags }, next);
}

/** Answers GET of `/v2/_catalog`: the repositories that the caller may read, and no others. That they may list was decided before. */
export async function serveCatalog(database: Database, exchange: Exchange, caller: Caller): Promise<void> {
  const { last, limit } = readPage(exchange.query);
  const found: string[] = [];
  let position = last;
  // Twice as many each time: a small page asked for by whoever may read nothing must not become a query a row.
  let batch = limit + 1;
  for (let read = 0; limit > 0 && found.length <= limit && read < MAX_CATALOG_ROWS; batch *= 2) {
    const rows = await listPaths(database.read, position, Math.min(batch, MAX_CATALOG_BATCH));
    found.push(...rows.filter((row) => caller.lists(row)).map((row) => row.path));
    read += rows.length;
    if (rows.length < Math.min(batch, MAX_CATALOG_BATCH)) break;
    position = rows.at(-1)!.path;
  }
  const repositories = found.slice(0, limit);
  const next = found.length > limit ? nextPage("/v2/_catalog", { n: String(limit), last: repositories.at(-1)! }) : {};
  answerJson(exchange, { repositories }, next);
}

/** The answer to GET of `/v2/PATH/referrers/DIGEST`: an index, empty when there are none, also where there is no repository yet, as the specification asks. */
export async function makeReferrersAnswer(
  reader: Reader,
  served: ServedRepository | undefined,
  { path, digest }: { readonly path: string; readonly digest: Digest },
  artifactType: string | undefined,
  last: string,
): Promise<CompleteAnswer> {
  const page = { last, limit: MAX_REFERRERS, maxBytes: MAX_REFERRER_BYTES };
  const { referrers, next } =
    served === undefined
      ? { referrers: [], next: undefined }
      : await listReferrers(reader, served, digest, artifactType, page);
  const manifests = referrers.map((one) => ({
    mediaType: one.mediaType,
    digest: one.digest,
    size: one.size,
    ...(one.artifactType === undefined ? {} : { artifactType: one.artifactType }),
    ...(Object.keys(one.annotations).length === 0 ? {} : { annotations: one.annotations }),
  }));
  const filter = artifactType === undefined ? {} : { artifactType };
  const link = next === undefined ? {} : nextPage(`/v2/${path}/referrers/${digest}`, { ...filter, last: next });
  const index = { schemaVersion: 2, mediaType: OCI_INDEX_TYPE, manifests };
  return jsonAnswer(index, {
    "content-type": OCI_INDEX_TYPE,
    ...(artifactType === undefined ? {} : { "oci-filters-applied": "artifactType" }),
    ...link,
  });
}
