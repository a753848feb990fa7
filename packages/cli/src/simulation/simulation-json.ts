/** What `policy simulate` prints as JSON: a row an image as it is done, and the summary behind them. */
import {
  type InventoryImage,
  type SimulatedRow,
  type SimulatedVerdict,
  type SimulationGroup,
  changeOf,
} from "@signet/images";
import type { Terminal } from "../terminal/terminal.ts";
import type { SimulationReport, SimulationRun } from "./simulation-run.ts";

/** Users named of one group. */
const MAX_GROUP_USERS = 100;

/** Characters and milliseconds after which rows are written: one by one, thousands of small writes would take a good part of the time. */
const WRITE_CHARACTERS: number = 32 * 1024;
const WRITE_MS = 200;

/** Gathers pieces of a document that are written as they come. */
class Writer {
  readonly #terminal: Terminal;
  #held = "";
  #writtenAt: number = performance.now();

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  add(text: string): void {
    this.#held += text;
    if (this.#held.length >= WRITE_CHARACTERS || performance.now() - this.#writtenAt >= WRITE_MS) this.flush();
  }

  flush(): void {
    this.#terminal.jsonText(this.#held);
    this.#held = "";
    this.#writtenAt = performance.now();
  }
}

/** Where the policies came from. */
export interface SimulationNames {
  readonly policy: string;
  readonly against: string | undefined;
}

/** One document; its results are written as they come. */
export function jsonReport(
  images: readonly InventoryImage[],
  names: SimulationNames,
  terminal: Terminal,
): SimulationReport {
  const writer = new Writer(terminal);
  let isFirst = true;
  return {
    begin: (judgedAt) => {
      const head = JSON.stringify(headOf(names, judgedAt), undefined, 2);
      writer.add(`${head.slice(0, head.lastIndexOf("\n}"))},\n  "results": [`);
    },
    row: (row, index) => {
      writer.add(`${isFirst ? "" : ","}\n    ${JSON.stringify(resultOf(images[index]!, row))}`);
      isFirst = false;
    },
    end: (run) => {
      const summary = JSON.stringify(summaryOf(images, run), undefined, 2).replaceAll("\n", "\n  ");
      writer.add(`${isFirst ? "" : "\n  "}],\n  "summary": ${summary}\n}\n`);
      writer.flush();
    },
  };
}

/** JSON lines: `{"result":…}` for each image, then `{"summary":…}`. */
export function jsonLinesReport(
  images: readonly InventoryImage[],
  names: SimulationNames,
  terminal: Terminal,
): SimulationReport {
  const writer = new Writer(terminal);
  const line = (value: unknown): void => writer.add(`${JSON.stringify(value)}\n`);
  let head: object = {};
  return {
    begin: (judgedAt) => (head = headOf(names, judgedAt)),
    row: (row, index) => line({ result: resultOf(images[index]!, row) }),
    end: (run) => {
      line({ ...head, summary: summaryOf(images, run) });
      writer.flush();
    },
  };
}

function headOf({ policy, against }: SimulationNames, judgedAt: number): object {
  return { policy, against: against ?? null, judgedAt: new Date(judgedAt).toISOString() };
}

function resultOf(image: InventoryImage, row: SimulatedRow): object {
  return {
    image: image.name,
    digest: row.digest,
    change: changeOf(row),
    ...verdictOf(row.next),
    against: row.present === null ? null : verdictOf(row.present),
    usedBy: image.users,
    moreUsers: image.hasMoreUsers,
    occurrences: image.occurrences,
    running: image.running,
    runsOther: row.runsOther,
  };
}

function verdictOf({ verdict, scope, codes, reasons, signers }: SimulatedVerdict): object {
  return { verdict, scope, codes, reasons, signers };
}

/** The summary, as it also stands in the report of `policy diff --from`. */
export function summaryOf(images: readonly InventoryImage[], { summary, isInterrupted }: SimulationRun): object {
  return {
    total: summary.total,
    judged: summary.judged,
    interrupted: isInterrupted,
    ...summary.counts,
    groups: summary.groups.map((group) => groupOf(images, group)),
  };
}

function groupOf(
  images: readonly InventoryImage[],
  { change, scope, codes, images: members }: SimulationGroup,
): object {
  return {
    change,
    scope,
    codes,
    count: members.length,
    images: members.map((index) => images[index]!.name),
    usedBy: usersOf(images, members, MAX_GROUP_USERS),
  };
}

/** Users of several images, each once, at most `limit`. */
export function usersOf(
  images: readonly InventoryImage[],
  members: readonly number[],
  limit: number,
): readonly string[] {
  const users = new Set<string>();
  for (const index of members) {
    for (const user of images[index]!.users) {
      if (users.size >= limit) return [...users];
      users.add(user);
    }
  }
  return [...users];
}
