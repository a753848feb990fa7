/** The WWW-Authenticate header: how a client is to come back. */
import { InternalError } from "@signet/core";

export interface Challenge {
  /** URL of the token endpoint. */
  readonly realm: string;
  readonly service: string;
  /** What the request needs, such as `repository:team/app:pull`; empty for `/v2/`. */
  readonly scopes: readonly string[];
  /** RFC 6750 section 3.1: `invalid_token` for one that was refused, `insufficient_scope` for one that does not cover the request. */
  readonly error?: "insufficient_scope" | "invalid_token";
}

/**
 * A Bearer challenge as Docker's token specification has it. Clients that cannot do Bearer send Basic of their own accord, which is taken everywhere.
 * @throws InternalError when a value would need quoting: ours never do, and what a client sent must not get that far
 */
export function writeChallenge({ realm, service, scopes, error }: Challenge): string {
  const parts = [`realm="${realm}"`, `service="${service}"`];
  if (scopes.length > 0) parts.push(`scope="${scopes.join(" ")}"`);
  if (error !== undefined) parts.push(`error="${error}"`);
  for (const part of parts) {
    if (!/^[a-z]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"$/.test(part))
      throw new InternalError("a challenge with a quote in it");
  }
  return `Bearer ${parts.join(",")}`;
}
