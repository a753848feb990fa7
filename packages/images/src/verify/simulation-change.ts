/** What a policy that is not in force yet would change for an image. */
import type { SimulatedRow } from "./simulated-row.ts";

/**
 * `stops`: could be pulled, and would be rejected. `allowed`: was rejected, and could be pulled. `undetermined`: one of the two policies could not be evaluated, so that
 * neither can be said. Without a policy to compare with: how the new one judges.
 */
export type SimulationChange = "stops" | "allowed" | "rejected" | "accepted" | "undetermined";

/** How the row is counted. `rejected` and `accepted` mean: by both policies, where there are two. */
export function changeOf({ next, present }: Pick<SimulatedRow, "next" | "present">): SimulationChange {
  if (next.verdict === "undetermined" || present?.verdict === "undetermined") return "undetermined";
  if (present === null || present.verdict === next.verdict) return next.verdict;
  return next.verdict === "rejected" ? "stops" : "allowed";
}

/** Images that changed alike, for the same reasons in the same scope. */
export interface SimulationGroup {
  readonly change: SimulationChange;
  /** Of the policy whose verdict makes the change: the old one for `allowed`, else the new one. */
  readonly scope: string | null;
  readonly codes: readonly string[];
  /** Positions in the inventory, ascending. */
  readonly images: readonly number[];
}

/** Summary of a run; the same for the same rows, in whatever order they were judged. */
export interface SimulationSummary {
  readonly total: number;
  /** Less than `total` when the run was interrupted. */
  readonly judged: number;
  readonly counts: Readonly<Record<SimulationChange, number>>;
  /** All but those of `accepted`: largest first, within each change. */
  readonly groups: readonly SimulationGroup[];
}

const order: readonly SimulationChange[] = ["stops", "undetermined", "rejected", "allowed", "accepted"];

/** @param rows by position in the inventory; undefined where an image was not judged */
export function summarizeSimulation(rows: readonly (SimulatedRow | undefined)[], total: number): SimulationSummary {
  const counts: Record<SimulationChange, number> = { stops: 0, allowed: 0, rejected: 0, accepted: 0, undetermined: 0 };
  const groups = new Map<string, SimulationGroup & { readonly images: number[] }>();
  let judged = 0;
  for (const [index, row] of rows.entries()) {
    if (row === undefined) continue;
    judged++;
    const change = changeOf(row);
    counts[change]++;
    if (change === "accepted") continue;
    const { scope, codes } = decidingVerdict(row, change);
    const key = JSON.stringify([change, scope, codes]);
    let group = groups.get(key);
    if (group === undefined) {
      group = { change, scope, codes, images: [] };
      groups.set(key, group);
    }
    group.images.push(index);
  }
  const sorted = [...groups.values()].toSorted(
    (a, b) =>
      order.indexOf(a.change) - order.indexOf(b.change) ||
      b.images.length - a.images.length ||
      a.images[0]! - b.images[0]!,
  );
  return { total, judged, counts, groups: sorted };
}

/** The verdict that explains the change. */
export function decidingVerdict(row: SimulatedRow, change: SimulationChange): SimulatedRow["next"] {
  const { next, present } = row;
  if (present === null) return next;
  if (change === "allowed") return present;
  return change === "undetermined" && next.verdict !== "undetermined" ? present : next;
}
