/** Writing answers, and reading what a request says besides its path. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { lingerBeforeClose } from "../http/lingering-close.ts";
import { RegistryError } from "./registry-error.ts";

/** One request with what every door needs of it. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The request's path as it came, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Milliseconds since 1970, UTC: one moment for the whole request. */
  readonly now: number;
  /** What every answer to this request says, with names in lower case. Whoever takes the request over may add to them. */
  readonly headers: Record<string, string>;
}

/** A request at its beginning. @param headers of every answer to it, with names in lower case */
export function openExchange(
  request: IncomingMessage,
  response: ServerResponse,
  now: number,
  headers: Record<string, string> = {},
): Exchange {
  const target = request.url ?? "/";
  const question = target.indexOf("?");
  const path = question < 0 ? target : target.slice(0, question);
  return { request, response, path, query: new URLSearchParams(target.slice(path.length)), now, headers };
}

/** `Cache-Control` of an address that names its content by digest: for a year, and only by the client itself, which had a right to it (RFC 8246). */
export const UNCHANGING: string = "private, max-age=31536000, immutable";

/** An answer to GET in whole; for HEAD only its headers are sent. */
export interface CompleteAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** What its `ETag` holds, without the quotes. */
  readonly tag?: string;
  /** Of a manifest, its digest: what pull policies judge. */
  readonly manifest?: string;
}

/** Sends an answer, or 304 when the client has it already. */
export function sendAnswer(exchange: Exchange, complete: CompleteAnswer): void {
  if (complete.tag !== undefined && answerIfUnchanged(exchange, complete.tag, complete.headers)) return;
  answer(exchange, complete.status, complete.headers, complete.body);
}

/** Entries of one page where a client names no number, and at most: a page of the longest names stays below 1 MiB. */
export const MAX_PAGE_ENTRIES: number = 1_000;

/** Characters of a position that are looked at: a repository's longest path has 255, a digest of sha512 135. */
const MAX_POSITION_CHARACTERS = 512;

/** Bytes of a body that is copied behind the head of its answer: most manifests, and copying them costs less than sending them in two parts. */
export const MAX_JOINED_BYTES: number = 16 * 1024;

/** Sends a small answer whole; for HEAD only its headers. */
export function answer(
  exchange: Exchange,
  status: number,
  headers: Readonly<Record<string, number | string>>,
  body: string | Uint8Array = "",
): void {
  const { request, response } = exchange;
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  // 204 and 304 have no body, and so no length (RFC 9110, section 8.6).
  const length = status === 204 || status === 304 ? {} : { "content-length": bytes.length };
  writeHead(exchange, status, { ...length, ...headers });
  if (request.method === "HEAD" || bytes.length === 0) response.end();
  else if (bytes.length > MAX_JOINED_BYTES) response.end(bytes);
  // Node joins text with the head of the answer, where bytes are a part of their own for the system call. In Latin-1 each byte is one character, and comes out as it was.
  else response.end(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"), "latin1");
}

/** Writes status and headers: these, and what every answer says. All at once: set one by one they cost node twice as much. */
export function writeHead(
  exchange: Exchange,
  status: number,
  headers: Readonly<Record<string, number | string>>,
): void {
  exchange.response.writeHead(status, { ...exchange.headers, ...endOfUnread(exchange), ...headers });
}

/**
 * The header that ends a connection with its answer, where a body is coming that nobody reads: it could go on for ever. The client sends its next request on another
 * connection.
 */
function endOfUnread({ request, response }: Exchange): Readonly<Record<string, string>> {
  if (request.complete) return {};
  const { "content-length": length, "transfer-encoding": encoding } = request.headers;
  if (encoding === undefined && (length === undefined || length === "0")) return {};
  // A request that was given up in the middle of its body has lost its socket; the answer still has it.
  if (response.socket !== null) lingerBeforeClose(response.socket);
  return { connection: "close" };
}

/** Sends JSON. */
export function answerJson(exchange: Exchange, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
  sendAnswer(exchange, jsonAnswer(value, headers));
}

/** A complete answer of JSON. */
export function jsonAnswer(value: unknown, headers: Readonly<Record<string, string>> = {}): CompleteAnswer {
  return {
    status: 200,
    headers: { "content-type": "application/json; charset=utf-8", ...headers },
    body: Buffer.from(JSON.stringify(value)),
  };
}

/**
 * `304 Not Modified` when the client has these bytes already. For a digest the tag is the digest itself.
 * @param headers of the answer that would have been sent: what a cache goes by is in both (RFC 9110, section 15.4.5), what describes the body is not
 */
export function answerIfUnchanged(exchange: Exchange, tag: string, headers: Readonly<Record<string, string>>): boolean {
  const known = exchange.request.headers["if-none-match"];
  if (known === undefined) return false;
  const quoted = `"${tag}"`;
  const matches = known.split(",", 100).some((one) => one.trim().replace(/^W\//, "") === quoted || one.trim() === "*");
  if (!matches) return false;
  const { "content-type": _type, ...kept } = headers;
  answer(exchange, 304, { ...kept, etag: quoted });
  return true;
}

/** A page of a list: so many entries after that one. */
export interface Page {
  readonly last: string;
  readonly limit: number;
}

/**
 * The page that a list request asks for: `n` entries after `last`.
 * @throws RegistryError `PAGINATION_NUMBER_INVALID`
 */
export function readPage(query: URLSearchParams): Page {
  const n = query.get("n");
  if (n !== null && !/^[0-9]{1,15}$/.test(n))
    throw new RegistryError("PAGINATION_NUMBER_INVALID", { n: n.slice(0, 50) });
  const limit = n === null ? MAX_PAGE_ENTRIES : Math.min(Number(n), MAX_PAGE_ENTRIES);
  return { last: readPosition(query), limit };
}

/**
 * The entry after which a page begins. No entry has a U+0000, which PostgreSQL does not take: what stands before the first one leads to the same page.
 */
export function readPosition(query: URLSearchParams): string {
  return (query.get("last") ?? "").split("\0", 1)[0]!.slice(0, MAX_POSITION_CHARACTERS);
}

/** The `Link` header to the next page. */
export function nextPage(path: string, parameters: Readonly<Record<string, string>>): Record<string, string> {
  return { link: `<${path}?${new URLSearchParams(parameters).toString()}>; rel="next"` };
}

/**
 * Reads a request's body whole.
 * @throws RegistryError with the given code and 413 when it is larger than `maxBytes`
 */
export async function readBody(
  request: IncomingMessage,
  maxBytes: number,
  code: "MANIFEST_INVALID" | "SIGNATURE_INVALID" | "UNSUPPORTED" | "VERIFICATION_INVALID",
): Promise<Buffer> {
  const tooLarge = (): RegistryError =>
    new RegistryError(code, `the body has more than ${maxBytes} bytes`, { status: 413 });
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  if (!request.complete) throw new RegistryError(code, "the body ended early");
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}
