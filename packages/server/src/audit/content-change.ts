/** What the audit log says of a new repository version. */
import type { UnitKind } from "../db/schema.ts";
import type { AuditEvent } from "./audit-entry.ts";

/** Names of one kind in one entry: a list of platforms fits; the number of all is said besides. */
const MAX_NAMED = 50;

interface NamedUnit {
  readonly kind: UnitKind;
  readonly key: string;
}

/** What a version has that the one before lacks, and the other way round. */
export interface ContentChange {
  readonly repository: string;
  readonly version: number;
  readonly added: readonly NamedUnit[];
  readonly removed: readonly NamedUnit[];
  /** The account. */
  readonly by: string;
  /** Milliseconds since 1970, UTC. */
  readonly at: number;
}

/** Names tags, manifests and signatures; blobs are counted, since manifests name them. */
export function describeContentChange(change: ContentChange): AuditEvent {
  const { repository, version, added, removed, by, at } = change;
  return {
    at,
    actor: by,
    action: nameAction(added, removed),
    target: repository,
    detail: { version, added: summarize(added), removed: summarize(removed) },
  };
}

function nameAction(added: readonly NamedUnit[], removed: readonly NamedUnit[]): AuditEvent["action"] {
  const has = (units: readonly NamedUnit[], kind: UnitKind): boolean => units.some((unit) => unit.kind === kind);
  if (has(added, "tag") || (has(added, "manifest") && !has(added, "signature"))) return "content.push";
  if (has(added, "signature")) return "signature.add";
  if (added.length > 0) return "content.push";
  return removed.every((unit) => unit.kind === "signature") ? "signature.delete" : "content.delete";
}

function summarize(units: readonly NamedUnit[]): Record<string, unknown> {
  const summary: Record<string, unknown> = {};
  for (const kind of ["tag", "manifest", "signature"] as const) {
    const keys = units.filter((unit) => unit.kind === kind).map((unit) => unit.key);
    if (keys.length > 0) summary[`${kind}s`] = keys.slice(0, MAX_NAMED);
    if (keys.length > MAX_NAMED) summary[`${kind}_count`] = keys.length;
  }
  const blobs = units.filter((unit) => unit.kind === "blob").length;
  if (blobs > 0) summary["blob_count"] = blobs;
  return summary;
}
