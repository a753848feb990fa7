/** A release in the words and columns of `oc adm release info`, which scripts take apart. */
import { type Reference, formatReference } from "@signet/core";
import { type ReleaseComponent, type ReleaseDifference, type ReleaseImage, componentVersions } from "@signet/openshift";

/** What `release info` prints. `where`: the name that the image was asked for by, where it has one. */
export function describeRelease(
  { digest, platform, isList, created, manifestCount, otherCount, release }: ReleaseImage,
  where: Reference | undefined,
  showsPullSpecs: boolean,
): readonly string[] {
  const { metadata, components } = release;
  const architecture = `${platform.os || "unknown"}/${platform.architecture || "unknown"}`;
  const lines = [
    ...alignBlock([
      ["Name:", metadata?.version ?? release.name],
      ["Digest:", digest],
      ["Created:", created],
      ["OS/Arch:", isList ? `multi (${architecture})` : architecture],
      ["Manifests:", String(manifestCount)],
      ...(otherCount === 0 ? [] : [["Metadata files:", String(otherCount)]]),
    ]),
  ];
  if (where !== undefined) {
    const { domain, path } = where;
    lines.push("", `Pull From: ${formatReference({ domain, path, digest })}`);
  }
  if (metadata !== undefined) {
    const upgrades = metadata.previous.toSorted(compareVersions).join(", ");
    const block = alignBlock([
      ["  Version:", metadata.version],
      ["  Upgrades:", upgrades === "" ? "<none>" : upgrades],
    ]);
    lines.push("", "Release Metadata:", ...block);
    const further = Object.entries(metadata.metadata)
      .filter(([, value]) => value !== "")
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [`    ${key}:`, value]);
    lines.push("  Metadata:", ...alignBlock(further));
  }
  const { versions, contradictory } = componentVersions(release);
  const parts = versions.map(({ name, version, displayName }) => [`  ${name}`, version, displayName]);
  if (parts.length > 0) lines.push("", "Component Versions:", ...alignBlock(parts));
  const images = components.map(({ name, pullSpec, digest: of }) => [
    `  ${name}`,
    showsPullSpecs ? pullSpec : (of ?? pullSpec),
  ]);
  lines.push("", "Images:", ...alignBlock([["  NAME", showsPullSpecs ? "PULL SPEC" : "DIGEST"], ...images]));
  if (contradictory.length > 0) {
    const warning = "multiple versions or display names reported for the following component(s)";
    lines.push("", "Warnings:", `* ${warning}: ${contradictory.join(",  ")}`);
  }
  return [...lines, ""];
}

/** What became of the images from one release to another. */
export function describeDifference(
  { added, removed, changed, unchanged }: ReleaseDifference,
  showsPullSpecs: boolean,
): readonly string[] {
  const shown = ({ digest, pullSpec }: ReleaseComponent): string => (showsPullSpecs ? pullSpec : (digest ?? pullSpec));
  const lines: string[] = [];
  const section = (title: string, rows: readonly (readonly string[])[]): void => {
    if (rows.length > 0) lines.push(`${title}:`, ...alignBlock(rows), "");
  };
  section(
    "Added images",
    added.map((component) => [`  ${component.name}`, shown(component)]),
  );
  section(
    "Removed images",
    removed.map((component) => [`  ${component.name}`, shown(component)]),
  );
  section(
    "Changed images",
    changed.map(({ before, after }) => [`  ${after.name}`, `${shown(before)} -> ${shown(after)}`]),
  );
  lines.push(`${added.length} added, ${removed.length} removed, ${changed.length} changed, ${unchanged} unchanged`);
  return lines;
}

/** Columns as wide as their longest cell and one blank, as Go's tabwriter lays them out; blanks at the ends of lines are left out. */
function alignBlock(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length + 1);
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("")
      .trimEnd(),
  );
}

/** Semantic versions in ascending order (semver.org, section 11); what is none comes last. */
function compareVersions(a: string, b: string): number {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  if (left === undefined || right === undefined) return left === right ? (a < b ? -1 : 1) : left === undefined ? 1 : -1;
  for (const index of [0, 1, 2]) {
    const difference = left.numbers[index]! - right.numbers[index]!;
    if (difference !== 0) return difference;
  }
  if (left.pre.length === 0 || right.pre.length === 0) return right.pre.length - left.pre.length;
  for (let index = 0; index < Math.max(left.pre.length, right.pre.length); index++) {
    const [x, y] = [left.pre[index], right.pre[index]];
    if (x === y) continue;
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
    const [isXNumber, isYNumber] = [/^\d+$/.test(x), /^\d+$/.test(y)];
    if (isXNumber && isYNumber) return Number(x) - Number(y);
    if (isXNumber !== isYNumber) return isXNumber ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return 0;
}

function parseVersion(
  text: string,
): { readonly numbers: readonly number[]; readonly pre: readonly string[] } | undefined {
  const match = /^(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$/.exec(text);
  if (match === null) return undefined;
  return { numbers: match.slice(1, 4).map(Number), pre: match[4] === undefined ? [] : match[4].split(".") };
}
