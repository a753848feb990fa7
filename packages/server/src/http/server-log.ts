/** The server's log: one line an event, by pino. What clients send appears in it as quoted data only, and never their credentials. */
import { pino, stdSerializers } from "pino";
import type { Logger } from "pino";
import type { ServerConfig } from "../config.ts";

export type ServerLog = Logger;

/** Characters of a text in the log that a client had a say in. */
const MAX_LOGGED_CHARACTERS = 300;

/** What credentials look like in texts: in URLs and their queries, in headers, our access tokens, JSON Web Tokens. */
const secretForms: readonly (readonly [RegExp, string])[] = [
  [/:\/\/[^/\s]*@/g, "://[redacted]@"],
  [/([?&](?:password|access_token|token|x-amz-(?:credential|security-token|signature))=)[^&\s:]*/gi, "$1[redacted]"],
  [/\b(authorization|proxy-authorization|cookie|set-cookie)(["']?\s*[:=]\s*)[^\r\n]*/gi, "$1$2[redacted]"],
  [/\b(basic|bearer)\s+[A-Za-z0-9._~+/=-]{6,}/gi, "$1 [redacted]"],
  [/\bsgn_[0-9a-z]{8,}/g, "[redacted]"],
  [/\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}/g, "[redacted]"],
];

/** A text without what looks like credentials. */
export function redactSecrets(text: string): string {
  return secretForms.reduce((result, [form, replacement]) => result.replace(form, replacement), text);
}

/** A client's text as it may be logged: no credentials, not long. JSON makes one line of it. */
export function loggable(text: string): string {
  return redactSecrets(text.slice(0, MAX_LOGGED_CHARACTERS));
}

/**
 * Makes the log, on standard error. Lines are written as fast as they are taken there, without holding requests up.
 *
 * @param isTerminal lines for people, where `log.format` is `auto`
 * @returns the log, and what writes out the lines that wait
 */
export function makeServerLog(
  config: ServerConfig["log"],
  isTerminal: boolean,
): { readonly log: ServerLog; readonly flush: () => Promise<void> } {
  const isText = config.format === "text" || (config.format === "auto" && isTerminal);
  const stream = pino.destination({ dest: 2, sync: false });
  const flush = (): Promise<void> => new Promise((resolve) => stream.flush(() => resolve()));
  // A process that ends by an error says its last lines too.
  process.once("exit", () => stream.flushSync());
  const log = pino(
    {
      level: config.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError },
    },
    { write: (line: string) => stream.write(`${escapeOrders(isText ? asText(line) : line.trimEnd())}\n`) },
  );
  return { log, flush };
}

/** Errors with their causes; their texts may quote what they were about, such as a URL. */
function describeError(error: Error): unknown {
  const { type, message, stack, code } = stdSerializers.err(error) as unknown as Record<string, unknown>;
  const clean = (value: unknown): string | undefined => (typeof value === "string" ? redactSecrets(value) : undefined);
  return { type: clean(type), code: clean(code), message: clean(message), stack: clean(stack) };
}

/** One JSON line as `TIME LEVEL message key=value …`. */
function asText(line: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const problem = (err as { message?: unknown } | undefined)?.message;
  const pairs = Object.entries({ ...rest, ...(problem === undefined ? {} : { err: problem }) });
  const facts = pairs.map(([key, value]) => ` ${key}=${quote(value)}`).join("");
  return `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${String(msg)}${facts}`;
}

function quote(value: unknown): string {
  return typeof value === "string" && /^[A-Za-z0-9_.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}

/**
 * A line in which everything is escaped that a terminal, or a reader of lines, could take for an order: controls of both ranges, direction marks, line separators. JSON itself escapes only the first
 * 32. The escapes are JSON's, so what a JSON line says stays the same.
 */
export function escapeOrders(line: string): string {
  return line.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
}
