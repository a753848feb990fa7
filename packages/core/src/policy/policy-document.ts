/** policy.json as a document: bytes in, a frozen {@link Policy} out, and errors that say where. */
import { MAX_POLICY_BYTES, MAX_POLICY_VALUES } from "../bytes/limits.ts";
import { parseJson } from "../bytes/strict-json.ts";
import { FormatError, PolicyError } from "../errors.ts";
import { frozenMap } from "./frozen-map.ts";
import type { Policy, PolicyScopes, Requirements } from "./policy.ts";
import { escapeSteering, knownMembers, openMembers, type Placed, policyProblem, unknownKey } from "./policy-members.ts";
import { readRequirements } from "./requirement-reader.ts";
import { explainInvalidScope } from "./scope-rules.ts";

/**
 * Reads a policy.json as strictly as the reference does: nothing unknown, nothing twice, nothing empty, and every value of its kind.
 * Paths of keys are not opened, and key octets are not looked at.
 *
 * @param bytes the whole document, UTF-8, at most 16 MiB; kept as `raw`
 * @param source file name for messages
 * @returns a policy that cannot be changed
 * @throws PolicyError `policy-malformed` (or `input-too-large`) with byte offset, path, and `line` and `column` (both from 1; columns in characters) in
 * `details`, and where one is known the fix as `hint`
 */
export function parsePolicy(bytes: Uint8Array, source?: string): Policy {
  try {
    return readPolicy(bytes, source);
  } catch (cause) {
    if (cause instanceof FormatError) throw locatePolicyError(cause, bytes, source);
    throw cause;
  }
}

function readPolicy(bytes: Uint8Array, source: string | undefined): Policy {
  const root: Placed = {
    node: parseJson(bytes, WHAT, { maxBytes: MAX_POLICY_BYTES, maxValues: MAX_POLICY_VALUES }),
    path: "",
  };
  const members = knownMembers(root, ["default", "transports"]);
  const transports = new Map<string, PolicyScopes>();
  const transportsMember = members.get("transports");
  if (transportsMember !== undefined) {
    for (const [name, place] of openMembers(transportsMember)) transports.set(name, readScopes(name, place));
  }
  const fallback = members.get("default");
  if (fallback === undefined) {
    const hint = 'add "default": [{"type":"reject"}]';
    throw policyProblem(root.node, root.path, "Default policy is missing", hint);
  }
  const requirements = readRequirements(fallback);
  return Object.freeze({ source, raw: bytes, default: requirements, transports: frozenMap(transports) });
}

function readScopes(transport: string, place: Placed): PolicyScopes {
  const scopes = new Map<string, Requirements>();
  for (const [scope, value] of openMembers(place)) {
    const invalid = explainInvalidScope(transport, scope);
    if (invalid !== undefined) {
      const problem = `${unknownKey(scope)}: not a scope of transport ${transport}, ${invalid}`;
      throw policyProblem(value.node, value.path, problem);
    }
    scopes.set(scope, readRequirements(value));
  }
  return frozenMap(scopes);
}

/** The document's name inside the JSON reader's messages, taken off again where the file's own name stands. */
const WHAT = "policy";

/** The same error, with the place in words. */
export function locatePolicyError(error: FormatError, bytes: Uint8Array, source: string | undefined): PolicyError {
  const file = source === undefined ? "invalid policy" : `invalid policy in ${JSON.stringify(source)}`;
  const { offset } = error;
  const problem = error.message.startsWith(`${WHAT}: `) ? error.message.slice(WHAT.length + 2) : error.message;
  const code = error.code === "json-malformed" ? "policy-malformed" : error.code;
  const hint = error.hint ?? (error instanceof PolicyError ? undefined : explainSyntax(bytes, offset));
  const options = { ...(hint === undefined ? {} : { hint }), cause: error.cause };
  if (offset === undefined) return new PolicyError(code, `${file}: ${problem}`, options);
  const { line, column } = locateOffset(bytes, offset);
  const path = escapeSteering(error.path ?? "").slice(0, MAX_SHOWN_PATH_LENGTH);
  const at = `line ${line}, column ${column}${path === "" ? "" : `, ${path}`}`;
  const details = { line, column };
  return new PolicyError(code, `${file}: ${at}: ${problem}`, { ...options, offset, path, details });
}

/** Characters: enough for any genuine scope. */
const MAX_SHOWN_PATH_LENGTH = 1000;

/** Line and column from 1; a column is a character, not an octet. */
function locateOffset(bytes: Uint8Array, offset: number): { line: number; column: number } {
  let line = 1;
  let column = 1;
  for (let i = 0; i < offset && i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === 0x0a) {
      line++;
      column = 1;
    } else if ((byte & 0xc0) !== 0x80) column++;
  }
  return { line, column };
}

/** What people most often write into JSON that JSON does not have. */
function explainSyntax(bytes: Uint8Array, offset: number | undefined): string | undefined {
  if (offset === undefined) return undefined;
  if (bytes.length === 0) return "the file is empty";
  const byte = bytes[offset];
  if (byte === 0xef && offset === 0) return "save the file without a byte order mark";
  if (byte === 0x23 || byte === 0x2f) return "JSON has no comments; remove it";
  if (byte === 0x27) return "strings stand in double quotes";
  if (byte === 0x7d || byte === 0x5d) return "remove the comma before it";
  return undefined;
}
