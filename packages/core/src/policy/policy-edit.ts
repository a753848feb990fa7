/**
 * Changes to the text of a policy.json. What a change is not about stays byte for byte, members nobody knows included; and no change ever makes a policy that
 * the readers of policy.json refuse.
 */
import { type JsonEdit, type JsonValue, editJson } from "../bytes/json-edit.ts";
import { MAX_POLICY_BYTES, MAX_POLICY_VALUES } from "../bytes/limits.ts";
import { type JsonNode, type JsonObject, parseJson } from "../bytes/strict-json.ts";
import { FormatError, PolicyError } from "../errors.ts";
import { locatePolicyError, parsePolicy } from "./policy-document.ts";
import { policyProblem, quote } from "./policy-members.ts";
import type { Policy } from "./policy.ts";

/** A policy after a change. */
export interface EditedPolicy {
  /** The new text; the very same bytes when it said so already. */
  readonly bytes: Uint8Array;
  /** What it says; undefined while {@link refusal} stands. */
  readonly policy: Policy | undefined;
  /**
   * Why strict readers refuse the policy, with line and column: for something that stood there before, such as a member they do not know. The change was
   * made all the same.
   */
  readonly refusal: PolicyError | undefined;
}

/** A text that strict readers refuse may still be edited: this says what can be told of it. */
export interface PolicyOutline {
  readonly policy: Policy | undefined;
  readonly refusal: PolicyError | undefined;
  /** Transport → its scopes, each with its requirements as written. */
  readonly transports: ReadonlyMap<string, ReadonlyMap<string, JsonNode>>;
  /** The requirements of the default as written; undefined when there is none. */
  readonly default: JsonNode | undefined;
}

/**
 * Reads as much of a policy as is needed to change it.
 * @throws PolicyError `policy-malformed` for what is not JSON, has a key twice, or is built otherwise than a policy; `input-too-large`
 */
export function outlinePolicy(bytes: Uint8Array, source?: string): PolicyOutline {
  try {
    const root = readDocument(bytes);
    const members = objectMembers(root, "");
    const transports = new Map<string, ReadonlyMap<string, JsonNode>>();
    const transportsNode = members.get("transports");
    if (transportsNode !== undefined) {
      for (const [name, node] of objectMembers(transportsNode, "transports")) {
        transports.set(name, objectMembers(node, `transports.${name}`));
      }
    }
    return { ...parseOrRefuse(bytes, source), transports, default: members.get("default") };
  } catch (error) {
    if (error instanceof FormatError) throw locatePolicyError(error, bytes, source);
    throw error;
  }
}

/**
 * Replaces the requirements of one scope, or adds the scope.
 * @param requirements from `writeRequirements`
 * @param scope `""` is the transport's own default
 * @throws PolicyError `policy-malformed` when the text cannot be edited, has no default, or the new rule is one that readers refuse
 */
export function setPolicyScope(
  bytes: Uint8Array,
  transport: string,
  scope: string,
  requirements: readonly JsonValue[],
  source?: string,
): EditedPolicy {
  const before = outlinePolicy(bytes, source);
  if (before.default === undefined) {
    throw new PolicyError(
      "policy-malformed",
      `${named(source)} has no default: what no scope names would have no rule`,
      {
        hint: "set one first: `signet trust default reject` (or accept)",
      },
    );
  }
  requireValidRule({ default: [{ type: "reject" }], transports: { [transport]: { [scope]: requirements } } });
  return edit(bytes, before, [{ path: ["transports", transport, scope], value: requirements }], source);
}

/**
 * Replaces the requirements for everything that no scope names.
 * @throws as {@link setPolicyScope}
 */
export function setPolicyDefault(bytes: Uint8Array, requirements: readonly JsonValue[], source?: string): EditedPolicy {
  requireValidRule({ default: requirements });
  return edit(bytes, outlinePolicy(bytes, source), [{ path: ["default"], value: requirements }], source);
}

/**
 * Takes a scope out; with its last scope goes the transport. A scope that is not there is no error: the bytes stay.
 * @throws PolicyError `policy-malformed` when the text cannot be edited
 */
export function removePolicyScope(bytes: Uint8Array, transport: string, scope: string, source?: string): EditedPolicy {
  const before = outlinePolicy(bytes, source);
  const scopes = before.transports.get(transport);
  const isLast = scopes?.size === 1 && scopes.has(scope);
  const path = ["transports", transport, ...(isLast ? [] : [scope])];
  return edit(bytes, before, scopes === undefined ? [] : [{ path, value: undefined }], source);
}

/** A whole policy with nothing but a default, laid out as podman does it. */
export function newPolicy(requirements: readonly JsonValue[]): Uint8Array {
  requireValidRule({ default: requirements });
  return new TextEncoder().encode(`${JSON.stringify({ default: requirements }, undefined, 4)}\n`);
}

function edit(
  bytes: Uint8Array,
  before: PolicyOutline,
  edits: readonly JsonEdit[],
  source: string | undefined,
): EditedPolicy {
  const edited = editJson(bytes, edits, limits);
  const after = parseOrRefuse(edited, source);
  // The rule itself was checked before, so this is only about what the edit did to the rest: nothing.
  if (after.refusal !== undefined && before.refusal === undefined) throw after.refusal;
  return { bytes: edited, ...after };
}

const limits = { maxBytes: MAX_POLICY_BYTES, maxValues: MAX_POLICY_VALUES, what: "policy" };

function parseOrRefuse(bytes: Uint8Array, source: string | undefined): Pick<EditedPolicy, "policy" | "refusal"> {
  try {
    return { policy: parsePolicy(bytes, source), refusal: undefined };
  } catch (error) {
    if (error instanceof PolicyError && error.code === "policy-malformed") return { policy: undefined, refusal: error };
    throw error;
  }
}

/** @throws PolicyError for a rule that readers of policy.json would refuse */
function requireValidRule(document: JsonValue): void {
  parsePolicy(new TextEncoder().encode(JSON.stringify(document)), "the new rule");
}

/** JSON in which no object has a key twice: such a text says two things, and an edit would have to choose. */
function readDocument(bytes: Uint8Array): JsonNode {
  const root = parseJson(bytes, limits.what, limits);
  const open: JsonNode[] = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (node.kind === "array") open.push(...node.items);
    if (node.kind !== "object") continue;
    refuseDuplicates(node);
    for (const { value } of node.members) open.push(value);
  }
  return root;
}

function refuseDuplicates(object: JsonObject): void {
  const seen = new Set<string>();
  for (const { key, keyStart } of object.members) {
    if (seen.has(key))
      throw policyProblem({ start: keyStart }, "", `Duplicate key ${quote(key)}`, "keep one of the two");
    seen.add(key);
  }
}

function objectMembers(node: JsonNode, path: string): ReadonlyMap<string, JsonNode> {
  if (node.kind === "object") return new Map(node.members.map(({ key, value }) => [key, value]));
  throw policyProblem(node, path, "JSON object expected");
}

function named(source: string | undefined): string {
  return source === undefined ? "the policy" : source;
}
