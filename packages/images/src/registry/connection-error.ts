/** What sockets, TLS and the HTTP parser report, turned into errors that name the host and the next step. */
import { type ErrorCode, SignetError, StoreError } from "@signet/core";
import { isAddressRefused } from "./address.ts";
import { cleanText } from "./clean-text.ts";
import { shownUrl } from "./endpoint.ts";
import { MAX_HEADER_BYTES } from "./limits.ts";

/** The connection or request took too long by our own clock. */
export class TooSlow extends Error {}

interface Explanation {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly hint?: string;
  readonly retryable: boolean;
}

const unreachable = (reason: string, hint?: string): Explanation => ({
  code: "registry-unreachable",
  reason,
  retryable: true,
  ...(hint === undefined ? {} : { hint }),
});

const byCode: Readonly<Record<string, Explanation>> = {
  ENOTFOUND: { ...unreachable("host name not found", "check the host name"), retryable: false },
  EAI_AGAIN: unreachable("the host name cannot be resolved at the moment", "check the name servers"),
  ECONNREFUSED: unreachable("connection refused", "check that the registry runs there, and its port"),
  ECONNRESET: unreachable("the connection was lost"),
  EPIPE: unreachable("the connection was lost"),
  UND_ERR_SOCKET: unreachable("the connection was lost"),
  EHOSTUNREACH: unreachable("no route to the host", "check network and proxy"),
  ENETUNREACH: unreachable("no route to the network", "check network and proxy"),
  ETIMEDOUT: unreachable("connecting took too long", "check network and proxy"),
  UND_ERR_CONNECT_TIMEOUT: unreachable("connecting took too long", "check network and proxy"),
  UND_ERR_HEADERS_TIMEOUT: unreachable("it does not answer"),
  UND_ERR_PRX_CONN: unreachable("the proxy closed the connection", "check the proxy"),
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: unreachable("the answer ended too early"),
  UND_ERR_HEADERS_OVERFLOW: {
    code: "registry-error",
    reason: `the head of its answer is larger than ${MAX_HEADER_BYTES} bytes`,
    retryable: false,
  },
};

const tlsCodes =
  /^(?:ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED_CERT|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|UND_ERR_PRX_TLS)/;

/**
 * @param error what `Connections.send` or a response body threw
 * @param url what was asked for
 * @param registry the registry's name, for the hint
 * @returns StoreError `registry-unreachable`, `tls-failed`, `registry-url-refused` or `registry-error`; Signet's own errors unchanged
 */
export function connectionError(error: unknown, url: URL, registry: string): SignetError {
  if (error instanceof SignetError) return error;
  if (isAddressRefused(error)) {
    return new StoreError(
      "registry-url-refused",
      `${registry} leads to ${shownUrl(url)}, which is not followed: ${refusal(error)}`,
      {
        cause: error,
        details: { host: url.host },
        hint: `a registry may not lead into networks it is not part of itself; if that is right, set SIGNET_TRUSTED_REDIRECTS=${url.hostname}`,
      },
    );
  }
  const { code, reason, hint, retryable } = explain(error, registry);
  return new StoreError(code, `${url.host}: ${reason}`, {
    cause: error,
    retryable,
    details: { host: url.host },
    ...(hint === undefined ? {} : { hint }),
  });
}

function refusal(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) if (at.message.includes(" is a ")) return at.message;
  return "its address is not public";
}

function explain(error: unknown, registry: string): Explanation {
  if (error instanceof TooSlow) return unreachable(error.message);
  const code = codeOf(error);
  if (code !== undefined && tlsCodes.test(code)) {
    return {
      code: "tls-failed",
      reason: `no trustworthy TLS connection: ${messageOf(error)}`,
      hint: `put the CA certificate into /etc/containers/certs.d/${registry}/ca.crt, or use --tls-verify=false in tests`,
      retryable: false,
    };
  }
  const known = code === undefined ? undefined : byCode[code];
  if (known !== undefined) return known;
  if (code !== undefined && code.startsWith("HPE_")) {
    return { code: "registry-error", reason: `it does not speak HTTP properly: ${messageOf(error)}`, retryable: false };
  }
  return { code: "registry-unreachable", reason: messageOf(error), retryable: false };
}

function codeOf(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string") return at.code;
    if (at instanceof AggregateError && at.errors.length > 0) return codeOf(at.errors[0]);
  }
  return undefined;
}

/** OpenSSL appends a line of its own internals; the first line says it. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const openssl = /SSL routines:[^:]*:([^:]+)/.exec(text);
  return cleanText(openssl?.[1] ?? text.split("\n")[0]!, 300);
}
