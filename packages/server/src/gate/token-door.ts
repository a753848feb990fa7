/**
 * `/token`: bearer tokens, as Docker's token authentication specification has them. GET with Basic credentials, or without any; POST with a form (its OAuth2 variant) by
 * grant `password`, or `refresh_token` with an access token of this server in the place of the refresh token.
 */
import { FormatError } from "@signet/core";
import type { Access } from "../access/access.ts";
import type { ReadVisibilities, TokenAnswer } from "../access/issue-token.ts";
import { findServed } from "../content/repositories.ts";
import type { Database } from "../db/database.ts";
import { type Exchange, answerJson, readBody } from "../registry/answer.ts";
import { RegistryError } from "../registry/registry-error.ts";
import type { AccessGate } from "./access-gate.ts";

/** Bytes of a form: user, password and scopes fit many times over. */
const MAX_FORM_BYTES = 65_536;

export interface TokenDoorOptions {
  readonly access: Access;
  readonly gate: AccessGate;
  readonly database: Database;
  /** False: there are no tokens without an account. */
  readonly anonymous: boolean;
}

/**
 * Answers GET, HEAD and POST; other methods were refused before.
 * @throws RegistryError 401, 413, 429, 503; FormatError for what is malformed (400)
 */
export async function serveToken(options: TokenDoorOptions, exchange: Exchange): Promise<void> {
  const { request } = exchange;
  const asked = await readRequest(exchange);
  const subject = await options.gate.subjectOf(request, asked.authorization);
  if (subject.account === null && !options.anonymous) {
    throw new RegistryError("UNAUTHORIZED", "tokens are for accounts only", {
      headers: { "www-authenticate": 'Basic realm="signet", charset="UTF-8"' },
    });
  }
  const token: TokenAnswer = await options.access.issueToken(
    { subject, service: asked.service, scopes: asked.scopes },
    readVisibilities(options.database),
  );
  answerJson(exchange, token, { "cache-control": "no-store" });
}

interface AskedToken {
  readonly authorization: string | undefined;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
}

async function readRequest({ request, query }: Exchange): Promise<AskedToken> {
  const { authorization } = request.headers;
  if (request.method !== "POST") {
    return { authorization, service: query.get("service") ?? undefined, scopes: query.getAll("scope") };
  }
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]!.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded") {
    throw new FormatError(
      "token-request-malformed",
      "a token is asked for by a form (application/x-www-form-urlencoded)",
    );
  }
  const form = new URLSearchParams((await readBody(request, MAX_FORM_BYTES, "UNSUPPORTED")).toString("utf8"));
  return {
    authorization: readGrant(form) ?? authorization,
    service: form.get("service") ?? undefined,
    scopes: form.getAll("scope"),
  };
}

/** The form's credentials as an Authorization header, so that there is one way in. */
function readGrant(form: URLSearchParams): string | undefined {
  switch (form.get("grant_type")) {
    case "password": {
      const pair = `${form.get("username") ?? ""}:${form.get("password") ?? ""}`;
      return `Basic ${Buffer.from(pair).toString("base64")}`;
    }
    case "refresh_token":
      return `Bearer ${form.get("refresh_token") ?? ""}`;
    default:
      throw new FormatError("token-request-malformed", "grant_type is password or refresh_token");
  }
}

function readVisibilities(database: Database): ReadVisibilities {
  return async (paths) => {
    const found = await Promise.all(paths.map((path) => findServed(database.read, path)));
    return new Map(found.filter((one) => one !== undefined).map(({ path, visibility }) => [path, visibility]));
  };
}
