/** A simulation for people: what would change, grouped by reason, each image with those who use it. */
import {
  type InventoryImage,
  type SimulatedRow,
  type SimulationChange,
  type SimulationGroup,
  decidingVerdict,
} from "@signet/images";
import type { Painted, Terminal } from "../terminal/terminal.ts";
import type { SimulationReport, SimulationRun } from "./simulation-run.ts";

/** Images listed of one group; JSON lists all. */
const MAX_LISTED_IMAGES = 50;

/** Users named beside one image. */
const MAX_LISTED_USERS = 3;

/** Columns of the image names, so that users stand below each other. */
const MAX_NAME_WIDTH = 72;

interface Heading {
  readonly compared: string;
  readonly alone: string;
  readonly colour: Painted["colour"];
}

const headings: Readonly<Record<Exclude<SimulationChange, "accepted">, Heading>> = {
  stops: { compared: "would stop being pulled", alone: "", colour: "red" },
  undetermined: { compared: "could not be told", alone: "could not be told", colour: "yellow" },
  rejected: { compared: "are rejected by both policies", alone: "would be rejected", colour: "red" },
  allowed: { compared: "would newly be allowed", alone: "", colour: "green" },
};

export function textReport(
  images: readonly InventoryImage[],
  isCompared: boolean,
  terminal: Terminal,
): SimulationReport {
  return {
    begin: () => {},
    row: () => {},
    end: (run) => printRun(images, run, isCompared, terminal),
  };
}

/** The groups and the last line. */
export function printRun(
  images: readonly InventoryImage[],
  run: SimulationRun,
  isCompared: boolean,
  terminal: Terminal,
): void {
  const { summary, rows } = run;
  let change: SimulationChange | undefined;
  for (const group of summary.groups) {
    if (group.change === "accepted") continue;
    if (group.change !== change) {
      if (change !== undefined) terminal.line("");
      change = group.change;
      const { compared, alone, colour } = headings[group.change];
      terminal.line({ colour, text: `${imagesOf(summary.counts[change])} ${isCompared ? compared : alone}` });
    }
    printGroup(images, rows, group, terminal);
  }
  if (change !== undefined) terminal.line("");
  const moved = rows.filter((row) => (row?.runsOther.length ?? 0) > 0).length;
  if (moved > 0)
    terminal.line(`${imagesOf(moved)} run with another digest than the tag names now; --running judges what runs`);
  const { stops, allowed, rejected, accepted, undetermined } = summary.counts;
  const parts = isCompared
    ? [
        `${stops} would stop`,
        `${allowed} newly allowed`,
        `${rejected} rejected by both`,
        `${accepted} accepted by both`,
      ]
    : [`${accepted} accepted`, `${rejected} rejected`];
  const total = run.isInterrupted ? `${summary.judged} of ${imagesOf(summary.total)}` : imagesOf(summary.total);
  terminal.line(`${total}: ${[...parts, `${undetermined} undetermined`].join(", ")}`);
}

function printGroup(
  images: readonly InventoryImage[],
  rows: readonly (SimulatedRow | undefined)[],
  group: SimulationGroup,
  terminal: Terminal,
): void {
  const { scope, codes, images: members, change } = group;
  terminal.line(
    `  ${String(members.length).padStart(6)}  `,
    { colour: "bold", text: codes.join(", ") },
    `  scope ${scope ?? "none"}`,
  );
  const example = decidingVerdict(rows[members[0]!]!, change).reasons[0];
  if (example !== undefined) {
    const prefix = members.length === 1 ? "" : "e.g. ";
    terminal.line(`          ${prefix}${example.message}`);
    if (example.hint !== undefined) terminal.line(`          hint: ${example.hint}`);
  }
  const listed = members.slice(0, MAX_LISTED_IMAGES).map((index) => images[index]!);
  const width = Math.min(MAX_NAME_WIDTH, Math.max(...listed.map(({ name }) => shortName(name).length)));
  for (const image of listed)
    terminal.line(`          ${shortName(image.name).padEnd(width)}  ${describeUsers(image)}`);
  if (members.length > listed.length)
    terminal.line(`          … and ${members.length - listed.length} more; --output json lists all`);
}

function describeUsers({ users, hasMoreUsers }: InventoryImage): string {
  const shown = users.slice(0, MAX_LISTED_USERS).join(", ");
  const more = users.length - MAX_LISTED_USERS;
  if (more <= 0) return shown;
  return `${shown} and ${more}${hasMoreUsers ? " or more" : ""} others`;
}

function shortName(name: string): string {
  return name.startsWith("docker://") ? name.slice("docker://".length) : name;
}

function imagesOf(count: number): string {
  return `${count} ${count === 1 ? "image" : "images"}`;
}
