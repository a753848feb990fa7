/** An answer with an unwanted status, turned into an error with the registry's own words made safe to print. */
import { type ErrorCode, type JsonNode, SignetError, StoreError, parseJson } from "@signet/core";
import { cleanText } from "./clean-text.ts";
import type { HttpAnswer } from "./exchange.ts";
import { MAX_DIAGNOSTIC_LENGTH, MAX_ERROR_BYTES } from "./limits.ts";
import { parseRetryAfter } from "./retry.ts";

/** Entries of an error envelope that are shown. */
const MAX_SHOWN_ERRORS = 5;

export interface ErrorContext {
  /** The registry's name as references write it. */
  readonly registry: string;
  /** `host[:port]` that was asked first. */
  readonly servingHost: string;
  /** What was to be done, such as `reading manifest registry.example.com/app:1`. */
  readonly what: string;
  /** Milliseconds since the epoch, for a `Retry-After` that is a date. */
  readonly now: number;
  /** Whether credentials went along. */
  readonly authenticated: boolean;
  /** What went along and must not come back in a message: a server may echo what it was sent. */
  readonly secrets?: readonly string[];
}

/**
 * Reads what the server says and makes the error to throw. `retryable` and `details.retryAfterMs` say whether and when it is worth trying again;
 * `details.registryCode` and `details.registryMessage` are the first error of the registry's envelope, where it sent one.
 * @returns StoreError `registry-unauthorized` (401), `registry-forbidden` (403), `image-missing` (404), else `registry-error`
 */
export async function responseError(answer: HttpAnswer, context: ErrorContext): Promise<StoreError> {
  const diagnostic = await readDiagnostic(answer);
  const said = hideSecrets(diagnostic.text, context.secrets ?? []);
  const [first] = diagnostic.errors;
  const { status } = answer;
  const { code, problem, hint } = explainStatus(answer, context);
  const retryAfterMs = parseRetryAfter(answer.header("retry-after"), context.now);
  const retryable = status === 429 || (status >= 502 && status <= 504);
  return new StoreError(code, `${context.what}: ${problem}${said === "" ? "" : `: ${said}`}`, {
    status,
    retryable,
    details: {
      host: answer.url.host,
      status,
      ...(retryable && retryAfterMs !== undefined ? { retryAfterMs } : {}),
      ...(first === undefined
        ? {}
        : { registryCode: first.code, registryMessage: hideSecrets(first.message, context.secrets ?? []) }),
    },
    ...(hint === undefined ? {} : { hint }),
  });
}

function explainStatus(answer: HttpAnswer, context: ErrorContext): { code: ErrorCode; problem: string; hint?: string } {
  const { registry, authenticated } = context;
  // After a redirect it is another host that says no; logging in to the registry does not help there.
  const elsewhere = answer.url.host !== context.servingHost;
  if (elsewhere && (answer.status === 401 || answer.status === 403)) {
    return {
      code: "registry-forbidden",
      problem: `${answer.url.host}, where ${registry} leads, refuses access (HTTP ${answer.status})`,
    };
  }
  switch (answer.status) {
    case 401:
      return authenticated
        ? {
            code: "registry-unauthorized",
            problem: `${registry} does not accept the credentials for this (HTTP 401)`,
            hint: `log in again with \`signet login ${registry}\`, or ask for access to the repository`,
          }
        : {
            code: "registry-unauthorized",
            problem: `${registry} wants credentials (HTTP 401)`,
            hint: `log in with \`signet login ${registry}\`; for a public image check its name`,
          };
    case 403:
      return {
        code: "registry-forbidden",
        problem: `${registry} refuses access (HTTP 403)`,
        hint: authenticated
          ? "ask for access to the repository"
          : `log in with \`signet login ${registry}\`, or check the image's name`,
      };
    case 404:
      return { code: "image-missing", problem: "not found (HTTP 404)", hint: "check repository, tag and digest" };
    case 429:
      return {
        code: "registry-error",
        problem: "too many requests (HTTP 429)",
        hint: authenticated ? "wait a while" : `wait a while, or log in with \`signet login ${registry}\``,
      };
    default:
      return { code: "registry-error", problem: `unexpected answer (HTTP ${answer.status})` };
  }
}

function hideSecrets(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets) if (secret !== "") shown = shown.replaceAll(secret, "…");
  return shown;
}

/** What a server says: for people, and as the errors of its envelope. */
interface Diagnostic {
  readonly text: string;
  readonly errors: readonly RegistryFault[];
}

/** One error of the distribution protocol's envelope. Untrusted text, made safe to print. */
interface RegistryFault {
  readonly code: string;
  readonly message: string;
}

async function readDiagnostic(answer: HttpAnswer): Promise<Diagnostic> {
  const only = (text: string): Diagnostic => ({ text, errors: [] });
  let bytes: Uint8Array;
  try {
    bytes = await answer.readBytes(MAX_ERROR_BYTES, "error answer");
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    return only(error.code === "input-too-large" ? "(an error text beyond all measure)" : "");
  }
  if (bytes.length === 0) return only("");
  const envelope = readEnvelope(bytes);
  if (envelope !== undefined) return { ...envelope, text: cleanText(envelope.text, MAX_DIAGNOSTIC_LENGTH) };
  const text = new TextDecoder().decode(bytes.subarray(0, MAX_DIAGNOSTIC_LENGTH * 4));
  if (/^\s*<(?:!doctype|html|\?xml)/i.test(text)) return only("(a web page)");
  return only(cleanText(text, MAX_DIAGNOSTIC_LENGTH));
}

/** `{"errors":[{"code","message"}]}` of the distribution protocol, and the one-line forms that token services use. */
function readEnvelope(bytes: Uint8Array): Diagnostic | undefined {
  let node: JsonNode;
  try {
    node = parseJson(bytes, "error answer", { maxBytes: MAX_ERROR_BYTES, maxDepth: 32 });
  } catch {
    return undefined;
  }
  const errors = member(node, "errors");
  if (errors?.kind === "array" && errors.items.length > 0) {
    const shown = errors.items.slice(0, MAX_SHOWN_ERRORS);
    return { text: shown.map(describe).join("; "), errors: shown.map(readFault) };
  }
  for (const key of ["details", "error_description", "message", "error"]) {
    const value = member(node, key);
    if (value?.kind === "string") return { text: value.value, errors: [] };
  }
  return undefined;
}

function readFault(entry: JsonNode): RegistryFault {
  const text = (key: string): string => {
    const value = member(entry, key);
    return value?.kind === "string" ? cleanText(value.value, MAX_DIAGNOSTIC_LENGTH) : "";
  };
  return { code: text("code"), message: text("message") };
}

function describe(entry: JsonNode): string {
  const parts = ["code", "message", "detail"]
    .map((key) => member(entry, key))
    .filter((value) => value?.kind === "string");
  return parts.map((value) => value.value).join(": ");
}

function member(node: JsonNode, key: string): JsonNode | undefined {
  return node.kind === "object" ? node.members.find((entry) => entry.key === key)?.value : undefined;
}
