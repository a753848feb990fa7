/** Bearer tokens: asking for them, keeping them while they last (distribution's token authentication, with OAuth2 for identity tokens). */
import { FormatError, type JsonNode, StoreError, jsonString, parseJson, strictObject } from "@signet/core";
import type { Credentials } from "./credentials.ts";
import { type HttpAnswer, type HttpRequest, type Wire, exchange } from "./exchange.ts";
import { MAX_TOKEN_BYTES } from "./limits.ts";
import { basicAuthorization, secretsOf } from "./credentials.ts";
import { responseError } from "./response-error.ts";
import { type RetryPolicy, withRetries } from "./retry.ts";

/** Seconds a token lasts when the service does not say, or says less; what the protocol documents. */
const MIN_TOKEN_SECONDS = 60;

/** Seconds: longest time a token is kept, whatever the service says. */
const MAX_TOKEN_SECONDS = 3600;

/** Milliseconds before its end at which a token is no longer used, for the way to the registry. */
const EXPIRY_MARGIN_MS = 5000;

/** Characters: a token travels in one header line. */
const MAX_TOKEN_LENGTH: number = 32 * 1024;

/** What the token service knows the program by. */
const CLIENT_ID = "signet";

export interface Token {
  readonly text: string;
  /** Milliseconds since the epoch until which it is used. */
  readonly usableUntil: number;
}

export interface TokenRequest {
  /** Already judged by the realm rule for exactly these credentials. */
  readonly realm: URL;
  readonly service: string | undefined;
  /** Such as `repository:team/app:pull`; none for a mere login. */
  readonly scopes: readonly string[];
  readonly credentials: Credentials | undefined;
}

/**
 * Asks a token service for a token: GET with Basic credentials or none, POST with an identity token. A redirect to another origin loses them.
 * @param what for messages, such as `token for registry.example.com`
 * @throws StoreError `registry-unauthorized` for wrong credentials, `registry-error`, `registry-unreachable`, …
 */
export async function fetchToken(wire: Wire, retry: RetryPolicy, request: TokenRequest, what: string): Promise<Token> {
  const { clock } = retry;
  const deadline = retry.deadline ?? clock.now() + wire.timeouts.documentMs;
  return await withRetries({ ...retry, deadline }, async () => {
    const answer = await exchange(wire, { ...httpRequest(request), budgetMs: Math.max(1, deadline - clock.now()) });
    if (answer.status !== 200) throw await refusal(wire, answer, request, clock.now(), what);
    return readToken(await answer.readBytes(MAX_TOKEN_BYTES, what), clock.now(), what);
  });
}

function httpRequest(request: TokenRequest): HttpRequest {
  const { realm, service, scopes, credentials } = request;
  const url = new URL(realm);
  if (credentials?.kind === "identity-token") {
    const form = new URLSearchParams({ grant_type: "refresh_token", client_id: CLIENT_ID });
    if (service !== undefined) form.set("service", service);
    if (scopes.length > 0) form.set("scope", scopes.join(" "));
    form.set("refresh_token", credentials.token);
    return {
      method: "POST",
      url,
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
      body: new TextEncoder().encode(form.toString()),
    };
  }
  if (service !== undefined) url.searchParams.set("service", service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (credentials === undefined) return { method: "GET", url, headers: { accept: "application/json" } };
  url.searchParams.set("account", credentials.username);
  url.searchParams.set("client_id", CLIENT_ID);
  return {
    method: "GET",
    url,
    headers: { accept: "application/json" },
    authorization: basicAuthorization(credentials),
  };
}

async function refusal(
  wire: Wire,
  answer: HttpAnswer,
  request: TokenRequest,
  now: number,
  what: string,
): Promise<StoreError> {
  const authenticated = request.credentials !== undefined;
  const error = await responseError(answer, {
    registry: wire.registry,
    servingHost: request.realm.host,
    what,
    now,
    authenticated,
    secrets: secretsOf(request.credentials),
  });
  // OAuth2 says "invalid_grant" with 400; a token service that does not know an account says 401 or, some, 403.
  if (!authenticated || ![400, 401, 403].includes(answer.status)) return error;
  return new StoreError("registry-unauthorized", error.message, {
    status: answer.status,
    details: error.details,
    hint: `user name or password is wrong; log in again with \`signet login ${wire.registry}\``,
  });
}

function readToken(bytes: Uint8Array, now: number, what: string): Token {
  let members: ReadonlyMap<string, JsonNode>;
  let text: string;
  try {
    members = strictObject(parseJson(bytes, what, { maxBytes: MAX_TOKEN_BYTES, maxDepth: 32 }), "", {
      required: [],
      allowUnknown: true,
    });
    text = textMember(members, "token") || textMember(members, "access_token");
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    // The parser's message is about places, not contents; still the answer may hold a token, so it stays out.
    throw new StoreError("registry-error", `${what}: the token service's answer cannot be read: ${cause.message}`);
  }
  if (text === "" || text.length > MAX_TOKEN_LENGTH || !/^[\x21-\x7e]+$/.test(text)) {
    throw new StoreError("registry-error", `${what}: the token service's answer holds no usable token`);
  }
  const expires = members.get("expires_in");
  const seconds = expires?.kind === "number" ? expires.value : 0;
  const lasts = Math.min(Math.max(seconds, MIN_TOKEN_SECONDS), MAX_TOKEN_SECONDS);
  return { text, usableUntil: now + lasts * 1000 - EXPIRY_MARGIN_MS };
}

function textMember(members: ReadonlyMap<string, JsonNode>, key: string): string {
  const node = members.get(key);
  return node === undefined || node.kind === "null" ? "" : jsonString(node, key);
}
