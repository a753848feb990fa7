/** Reading lookaside signatures over http and https (registries.d, section 3). Credentials of a registry are never sent there. */
import { MAX_SIGNATURE_BYTES, SignetError, StoreError, parseSignatureBlob } from "@signet/core";
import type { WebAccess } from "../registry/client.ts";
import { type HttpAnswer, type Wire, exchange } from "../registry/exchange.ts";
import { parseRetryAfter, withRetries } from "../registry/retry.ts";
import type { SignaturePlace } from "./lookaside-url.ts";
import { type Look, type RowRules, readUpToGap } from "./read-ahead.ts";
import type { SignatureReading } from "./signature-store.ts";

/** Looks made at once before it is known whether there is any signature. Images seldom have more than three. */
const FIRST_WINDOW = 4;

/** Further attempts for one signature after a failure that may pass, at most. The reference makes none; many would only hide a broken store. */
const RETRY_TIMES = 2;

/** Milliseconds for all signatures of one manifest, further attempts included. */
const READ_BUDGET_MS = 120_000;

/**
 * Reads the signatures of one manifest, whatever the layout of the store. Only 404 means that there is none; every other failure is one of the store and not an answer.
 * What fails the reading, and what is passed over, is a matter of the rules.
 * @throws StoreError `signature-store-error` for any other status, `registry-unreachable`, `tls-failed`, `registry-url-refused`, `registry-error`; FormatError
 *   `input-too-large`
 * @param store for people
 * @param placeOf the URL of a position, counted from 1
 */
export function readLookasideWeb(
  web: WebAccess,
  store: string,
  placeOf: (position: number) => SignaturePlace,
  rules: RowRules = {},
): Promise<SignatureReading> {
  const deadline = web.retry.clock.now() + READ_BUDGET_MS;
  return readUpToGap({
    store,
    rules,
    window: FIRST_WINDOW,
    location: (position) => placeOf(position).shown,
    look: (position, signal) => {
      const place = placeOf(position);
      return withRetries({ ...web.retry, times: Math.min(web.retry.times, RETRY_TIMES), deadline }, () => {
        // A look that is no longer wanted must not be tried again.
        signal.throwIfAborted();
        return lookAtUrl({ ...web, wire: abortable(web.wire, signal) }, place, deadline, rules.maxBytes);
      });
    },
  });
}

/** The same wire, with every request given up when `signal` says so. */
function abortable(wire: Wire, signal: AbortSignal): Wire {
  return { ...wire, connections: { send: (request) => wire.connections.send({ ...request, signal }) } };
}

async function lookAtUrl(
  web: WebAccess,
  place: SignaturePlace,
  deadline: number,
  maxBytes: number = MAX_SIGNATURE_BYTES,
): Promise<Look> {
  const url = new URL(place.url);
  const authorization = takeUserInfo(url);
  const budgetMs = Math.max(1, deadline - web.retry.clock.now());
  const answer = await exchange(web.wire, {
    method: "GET",
    url,
    budgetMs,
    ...(authorization === undefined ? {} : { authorization }),
  });
  const { status } = answer;
  if (status === 404) {
    await answer.discard();
    return { outcome: "absent", status };
  }
  if (status !== 200) {
    await answer.discard();
    throw wrongStatus(place.shown, answer, web.retry.clock.now());
  }
  const bytes = await answer.readBytes(maxBytes, `signature ${place.shown}`);
  return judgeBody(bytes, answer.header("content-type"), place.shown);
}

/** A web page is not a signature, and a signature that the server calls a web page is one. */
function judgeBody(bytes: Uint8Array, contentType: string | undefined, shown: string): Look {
  const calledPage = /^\s*(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i.test(contentType ?? "");
  if (calledPage && isSignatureBlob(bytes)) {
    const warning = `${shown}: the server calls this signature a web page; it should send application/octet-stream`;
    return { outcome: "found", bytes, status: 200, warning };
  }
  if (calledPage || startsLikePage(bytes)) {
    return { outcome: "skipped", status: 200, warning: `${shown}: a web page instead of a signature, skipped` };
  }
  return { outcome: "found", bytes, status: 200 };
}

function isSignatureBlob(bytes: Uint8Array): boolean {
  try {
    parseSignatureBlob(bytes);
    return true;
  } catch (error) {
    if (error instanceof SignetError) return false;
    throw error;
  }
}

function startsLikePage(bytes: Uint8Array): boolean {
  return /^\ufeff?\s*<(?:!doctype\s+html|html)[\s>]/i.test(new TextDecoder().decode(bytes.subarray(0, 256)));
}

/** The user information of a base URL, which is its administrator's and goes to that host alone. */
function takeUserInfo(url: URL): string | undefined {
  if (url.username === "" && url.password === "") return undefined;
  const text = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  url.username = "";
  url.password = "";
  return `Basic ${Buffer.from(text).toString("base64")}`;
}

function wrongStatus(shown: string, answer: HttpAnswer, now: number): StoreError {
  const { status } = answer;
  const retryable = status === 429 || status === 500 || (status >= 502 && status <= 504);
  const retryAfterMs = parseRetryAfter(answer.header("retry-after"), now);
  return new StoreError(
    "signature-store-error",
    `${shown}: HTTP ${status}, which is neither a signature nor "not found"`,
    {
      side: "source",
      status,
      retryable,
      hint: statusHint(status),
      details: { status, ...(retryable && retryAfterMs !== undefined ? { retryAfterMs } : {}) },
    },
  );
}

function statusHint(status: number): string {
  if (status === 403)
    return "a bucket that may not be listed answers 403 for missing files: grant s3:ListBucket, or map 403 to 404 for them";
  if (status === 401) return "lookaside stores are read without credentials; make it readable for everyone";
  if (status === 410) return "let the server answer 404 for signatures that do not exist";
  return "ask whoever runs the store";
}
