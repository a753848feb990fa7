/**
 * Results that auditors record: `/extensions/v2/PATH/verifications/DIGEST` of an image's signatures, and `…/DIGEST/SIGNATURE` of one of them, by the digest of its bytes. An extension of ours; the
 * signatures API beside it says nothing of these results, and no verdict of the server depends on them.
 */
import { FormatError, type JsonNode, jsonProblem, jsonString, parseJson, strictObject } from "@signet/core";
import {
  type RecordedVerification,
  type VerificationPosition,
  type VerificationResult,
  listVerifications,
  recordVerification,
  removeVerifications,
} from "../content/recorded-verifications.ts";
import { type ServedRepository, findServed } from "../content/repositories.ts";
import type { Database } from "../db/database.ts";
import { type Exchange, answer, answerJson, nextPage, readBody, readPage } from "./answer.ts";
import type { Caller } from "./caller.ts";
import { RegistryError } from "./registry-error.ts";
import type { VerificationRoute } from "./route.ts";

/** By this clients tell a server that records results from one that answers such a path in its own way. On every answer of this door, and on no other. */
export const verificationHeaders: Readonly<Record<string, string>> = { "x-signet-verifications": "1" };

/** Results of one page: with the longest texts about a megabyte. */
export const MAX_PAGE_RESULTS = 200;
/** Bytes of one POST: all texts at their longest, each character escaped, and the frame. */
const MAX_BODY_BYTES = 32 * 1024;
/** Characters of an image's name: the longest path, tag and host. */
export const MAX_IDENTITY_CHARACTERS = 512;
/** Characters of a reason, which every list repeats: some sentences. */
export const MAX_REASON_CHARACTERS = 1_024;
/** Milliseconds that an auditor's clock may be ahead of ours. */
const MAX_AHEAD_MS = 60 * 60 * 1_000;
/** A key id, or a fingerprint of version 4 or 6, as GnuPG writes them. */
export const signingKeyForm: RegExp = /^(?:[0-9A-F]{16}|[0-9A-F]{40}|[0-9A-F]{64})$/;
const timeForm = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,3})?Z$/;
/** What no text may hold: controls, marks that turn the direction of writing, halves of characters, ends of lines. Whoever lists results sees them in a terminal. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u;
/** Digits of a result's number in a position. */
const positionForm = /^(\S+) (\S+) ([0-9]{1,9})$/;

/** Answers GET: one page. */
export async function serveVerifications(
  database: Database,
  exchange: Exchange,
  served: ServedRepository,
  { image, signature }: VerificationRoute,
): Promise<void> {
  const { last, limit: asked } = readPage(exchange.query);
  const limit = Math.min(asked, MAX_PAGE_RESULTS);
  const after = readResultPosition(last);
  const found = await database.snapshot(async (reader) => {
    // A version goes when the next one is complete: so it is looked up in the state that is then read.
    const now = await findServed(reader, served.path);
    if (now?.repositoryId !== served.repositoryId) throw new RegistryError("NAME_UNKNOWN", { name: served.path });
    return await listVerifications(reader, now, image, signature, after, limit + 1);
  });
  const page = found.slice(0, limit);
  const end = page.at(-1);
  const path = `/extensions/v2/${served.path}/verifications/${image}${signature === undefined ? "" : `/${signature}`}`;
  const next =
    end === undefined || found.length <= limit
      ? {}
      : nextPage(path, { n: String(limit), last: `${end.signature} ${end.by} ${end.number}` });
  answerJson(
    exchange,
    { path: served.path, manifest: image, verifications: page.map(describe) },
    { "cache-control": "no-cache", ...next },
  );
}

/** Answers POST: a result of one signature, said by whoever asks. */
export async function receiveVerification(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  served: ServedRepository,
  { image, signature }: VerificationRoute,
): Promise<void> {
  if (signature === undefined) throw new RegistryError("UNSUPPORTED");
  const body = await readBody(exchange.request, MAX_BODY_BYTES, "VERIFICATION_INVALID");
  const result = orInvalid(() => readResult(body, exchange.now));
  await recordVerification(database, served, { image, signature }, result, caller.name, exchange.now);
  answer(exchange, 201, {});
}

/** Answers DELETE: what one account recorded goes, history included; also where there is nothing. */
export async function withdrawVerifications(
  database: Database,
  exchange: Exchange,
  caller: Caller,
  served: ServedRepository,
  route: VerificationRoute,
  of: string,
): Promise<void> {
  await removeVerifications(database, served, route, of, caller.name, exchange.now);
  answer(exchange, 204, {});
}

/**
 * The account whose results a DELETE is about; undefined: of whoever asks.
 * @throws RegistryError `VERIFICATION_INVALID` for what is no name
 */
export function readAuditor(query: URLSearchParams): string | undefined {
  const names = query.getAll("by");
  if (names.length === 0) return undefined;
  const [name = ""] = names;
  if (names.length === 1 && /^[\w.@+$-]{1,160}$/.test(name)) return name;
  throw new RegistryError("VERIFICATION_INVALID", "`by` is to be the name of one account");
}

function readResult(body: Buffer, now: number): VerificationResult {
  const document = parseJson(body, "result", { maxBytes: MAX_BODY_BYTES, maxDepth: 2 });
  const members = strictObject(document, "", {
    required: ["verdict", "expectedIdentity", "verifiedAt"],
    optional: ["signingKey", "signedIdentity", "reason"],
  });
  const text = (name: string, maxCharacters: number): string | undefined => {
    const node = members.get(name);
    return node && readText(node, name, maxCharacters);
  };
  const verdictNode = members.get("verdict")!;
  const verdict = jsonString(verdictNode, "verdict");
  if (verdict !== "accepted" && verdict !== "rejected") {
    throw jsonProblem(verdictNode, "verdict", "verdict: `accepted` or `rejected` expected");
  }
  const signingKey = text("signingKey", 64);
  if (signingKey !== undefined && !signingKeyForm.test(signingKey)) {
    const problem = "signingKey: a key id (16) or a fingerprint (40 or 64) of upper-case hex digits expected";
    throw jsonProblem(members.get("signingKey")!, "signingKey", problem);
  }
  const reason = text("reason", MAX_REASON_CHARACTERS);
  if (verdict === "accepted" && signingKey === undefined) {
    throw jsonProblem(document, "", "signingKey: missing, and something has signed what is accepted");
  }
  if (verdict === "rejected" && reason === undefined) {
    throw jsonProblem(document, "", "reason: missing, and there is one for what is rejected");
  }
  return {
    verdict,
    expectedIdentity: text("expectedIdentity", MAX_IDENTITY_CHARACTERS)!,
    signingKey,
    signedIdentity: text("signedIdentity", MAX_IDENTITY_CHARACTERS),
    reason,
    verifiedAt: readTime(members.get("verifiedAt")!, now),
  };
}

function readText(node: JsonNode, name: string, maxCharacters: number): string {
  const value = jsonString(node, name);
  const problem = (said: string): FormatError => jsonProblem(node, name, `${name}: ${said}`);
  if (value === "") throw problem("it is empty");
  if (value.length > maxCharacters) throw problem(`more than ${maxCharacters} characters`);
  if (unprintable.test(value)) throw problem("it holds characters that cannot be printed");
  return value;
}

function readTime(node: JsonNode, now: number): number {
  const text = jsonString(node, "verifiedAt");
  const time = timeForm.test(text) ? Date.parse(text) : Number.NaN;
  // Such as the 31st of a month of 30 days, which some readers of dates take for the first of the next.
  if (Number.isNaN(time) || new Date(time).toISOString().slice(0, 19) !== text.slice(0, 19)) {
    throw jsonProblem(node, "verifiedAt", "verifiedAt: a time in the form 2026-01-31T12:00:00Z expected");
  }
  if (time > now + MAX_AHEAD_MS) throw jsonProblem(node, "verifiedAt", "verifiedAt: it lies in the future");
  return time;
}

function orInvalid<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new RegistryError("VERIFICATION_INVALID", error.message);
  }
}

/** The entry that `last` names; the beginning for what is none. */
function readResultPosition(last: string): VerificationPosition | undefined {
  const [, signature, by, number] = positionForm.exec(last) ?? [];
  return signature === undefined || by === undefined ? undefined : { signature, by, number: Number(number) };
}

/** One result on the wire. Times are ISO 8601, UTC. */
function describe(one: RecordedVerification) {
  const { signature, by, number, verdict, expectedIdentity, signingKey, signedIdentity, reason } = one;
  return {
    signature,
    by,
    number,
    verdict,
    expectedIdentity,
    signingKey,
    signedIdentity,
    reason,
    verifiedAt: new Date(one.verifiedAt).toISOString(),
    since: new Date(one.since).toISOString(),
    recordedAt: new Date(one.recordedAt).toISOString(),
  };
}
