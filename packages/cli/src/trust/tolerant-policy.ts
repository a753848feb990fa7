/** A policy that strict readers refuse, read as far as it can be: for showing, never for judging. */
import {
  type JsonMember,
  type JsonNode,
  MAX_POLICY_BYTES,
  MAX_POLICY_VALUES,
  type Policy,
  PolicyError,
  type PolicyScopes,
  type Requirements,
  parseJson,
  parsePolicy,
} from "@signet/core";

/** What could be read of a refused policy. */
export interface TolerantPolicy {
  readonly policy: Policy;
  /** `transport: scope`, or `default`, of the entries that could not be read and are left out. */
  readonly unreadable: readonly string[];
}

/**
 * Reads the entries of a refused policy one by one. Members that no policy has are passed over, and of a name that stands twice the last one counts: the same as
 * what `podman image trust show` makes of the file.
 * @throws FormatError `json-malformed`, `input-too-large`: nothing can be shown
 */
export function readPolicyTolerantly(bytes: Uint8Array, source: string): TolerantPolicy {
  const root = parseJson(bytes, "policy", { maxBytes: MAX_POLICY_BYTES, maxValues: MAX_POLICY_VALUES });
  const unreadable: string[] = [];
  const read = ({ start, end }: JsonNode, label: string): Requirements | undefined => {
    try {
      return parsePolicy(wrapped(bytes.subarray(start, end))).default;
    } catch (error) {
      if (!(error instanceof PolicyError)) throw error;
      unreadable.push(label);
      return undefined;
    }
  };
  let fallback: Requirements | undefined;
  const transports = new Map<string, PolicyScopes>();
  for (const { key, value } of membersOf(root)) {
    if (key === "default") fallback = read(value, key);
    if (key !== "transports") continue;
    for (const { key: transport, value: entries } of membersOf(value)) {
      const scopes = new Map<string, Requirements>();
      for (const { key: scope, value: requirements } of membersOf(entries)) {
        const known = read(requirements, `${transport}: ${scope}`);
        if (known !== undefined) scopes.set(scope, known);
      }
      transports.set(transport, scopes);
    }
  }
  if (fallback === undefined && !unreadable.includes("default")) unreadable.unshift("default");
  return { policy: { source, raw: bytes, default: fallback ?? [], transports }, unreadable };
}

function membersOf(node: JsonNode): readonly JsonMember[] {
  return node.kind === "object" ? node.members : [];
}

const before = new TextEncoder().encode('{"default":');
const after = new TextEncoder().encode("}");

/** A policy of its own around one list of requirements. */
function wrapped(requirements: Uint8Array): Uint8Array {
  return Buffer.concat([before, requirements, after]);
}
