/** A simulation from the command line: concurrent, resumable, and with an end that makes sense when it is cut short. */
import type { Policy } from "@signet/core";
import type { InventoryImage, SimulatedRow, SimulationJournal, SimulationSummary, VerifyOptions } from "@signet/images";
import type { FlagOption, Invocation, OptionSpec, TextOption } from "../command-line/command.ts";
import {
  jobsOption,
  overrideArchOption,
  overrideOsOption,
  overrideVariantOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { openPgpOptions, readSwitches } from "../command-line/openpgp-options.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import type { ImageAccess } from "../images/image-access.ts";
import { inventoryOptions } from "../images/inventory-options.ts";
import type { Runtime } from "../runtime.ts";

const allOption: FlagOption = {
  kind: "flag",
  name: "all",
  short: "a",
  summary: "Of a list judge every instance and the list itself, not this platform's instance alone",
};
const resumeOption: TextOption = {
  kind: "text",
  name: "resume",
  value: "FILE",
  summary: "Keep a journal of finished images in this file, and go on from it where it exists",
  completion: "file",
};

/** What judging a list of images takes. */
export const simulationOptions: readonly OptionSpec[] = [
  ...inventoryOptions,
  allOption,
  jobsOption,
  resumeOption,
  registriesDOption,
  registriesConfOption,
  overrideOsOption,
  overrideArchOption,
  overrideVariantOption,
  ...registryOptions.all,
  retryTimesOption,
  ...openPgpOptions,
];

export interface SimulationRun {
  /** By position in the inventory; undefined where an image was not judged. */
  readonly rows: readonly (SimulatedRow | undefined)[];
  readonly summary: SimulationSummary;
  /** Milliseconds since 1970 UTC: the time that all verdicts are about. */
  readonly judgedAt: number;
  readonly isInterrupted: boolean;
}

export interface SimulationSides {
  readonly next: Policy;
  readonly present?: Policy;
}

/** What a report does with the rows. */
export interface SimulationReport {
  /** Called once, before the first row. */
  begin(judgedAt: number): void;
  /** In the order of the inventory, as soon as all before are known; after an interruption with gaps. */
  row(row: SimulatedRow, index: number): void;
  /** Called once, also after an interruption. */
  end(run: SimulationRun): void;
}

/**
 * Judges the images and reports them. On Ctrl-C no further image is begun, what is done is kept and reported, and the journal is whole.
 * @returns what was found; after an interruption the process ends when the caller returns
 */
export async function runSimulation(
  images: readonly InventoryImage[],
  sides: SimulationSides,
  invocation: Invocation,
  runtime: Runtime,
  report: SimulationReport,
): Promise<SimulationRun> {
  const journal = invocation.get(resumeOption);
  const work = new Simulation(images, sides, invocation, runtime, report);
  const reported = Promise.withResolvers<void>();
  const done = runtime.interruption.onInterrupt(() => reported.promise);
  try {
    if (journal === undefined) return await work.run(undefined);
    const { withFileLock } = await import("@signet/images");
    // Two processes must not write to one journal. Who finds it in use is told at once.
    return await withFileLock(`${journal}.lock`, () => work.run(journal), { waitMs: 0 });
  } finally {
    reported.resolve();
    done();
  }
}

class Simulation {
  readonly #images: readonly InventoryImage[];
  readonly #sides: SimulationSides;
  readonly #invocation: Invocation;
  readonly #runtime: Runtime;
  readonly #report: SimulationReport;
  readonly #rows: (SimulatedRow | undefined)[];
  #count = 0;
  #reported = 0;
  #isOver = false;

  constructor(
    images: readonly InventoryImage[],
    sides: SimulationSides,
    invocation: Invocation,
    runtime: Runtime,
    report: SimulationReport,
  ) {
    this.#images = images;
    this.#sides = sides;
    this.#invocation = invocation;
    this.#runtime = runtime;
    this.#report = report;
    this.#rows = Array.from({ length: images.length }, () => undefined);
  }

  async run(journalPath: string | undefined): Promise<SimulationRun> {
    const { simulateImages, summarizeSimulation } = await import("@signet/images");
    const { openImageAccess } = await import("../images/image-access.ts");
    const { signal } = this.#runtime.interruption;
    await using access = await openImageAccess(this.#invocation, registryOptions, this.#runtime);
    await using journal = journalPath === undefined ? undefined : await this.#openJournal(journalPath, access);
    const judgedAt = journal?.judgedAt ?? this.#runtime.now();
    this.#report.begin(judgedAt);
    for (const [index, row] of journal?.known ?? []) this.#rows[index] = row;
    this.#count = journal?.known.size ?? 0;
    if (this.#count > 0)
      this.#runtime.terminal.note(`${this.#count} of ${this.#images.length} images were judged before`);
    this.#reportInOrder();
    const common = await this.#judgeOptions(judgedAt);
    const jobs = this.#invocation.get(jobsOption);
    const judging = simulateImages(this.#images, {
      next: { ...common, policy: this.#sides.next },
      ...(this.#sides.present === undefined ? {} : { present: { ...common, policy: this.#sides.present } }),
      open: access.open,
      ...(jobs === undefined ? {} : { jobs }),
      isKnown: (index) => this.#rows[index] !== undefined,
      signal,
      onRow: (row, index) => this.#take(row, index, journal),
    });
    // An image that hangs in a slow registry must not keep Ctrl-C waiting.
    await Promise.race([judging, abortOf(signal)]);
    this.#isOver = true;
    judging.catch(() => {});
    await journal?.flush();
    const isInterrupted = this.#count < this.#images.length;
    for (let index = this.#reported; index < this.#rows.length; index++) {
      const row = this.#rows[index];
      if (row !== undefined) this.#report.row(row, index);
    }
    const run = {
      rows: this.#rows,
      summary: summarizeSimulation(this.#rows, this.#images.length),
      judgedAt,
      isInterrupted,
    };
    this.#report.end(run);
    if (isInterrupted) this.#explainGoingOn(journalPath);
    return run;
  }

  async #take(row: SimulatedRow, index: number, journal: SimulationJournal | undefined): Promise<void> {
    // What was under way when the report was written does not count any more.
    if (this.#isOver) return;
    this.#rows[index] = row;
    this.#count++;
    this.#reportInOrder();
    this.#runtime.progress.count(this.#count, this.#images.length, "images judged");
    await journal?.add(index, row);
  }

  #reportInOrder(): void {
    for (let row = this.#rows[this.#reported]; row !== undefined; row = this.#rows[this.#reported])
      this.#report.row(row, this.#reported++);
  }

  async #judgeOptions(judgedAt: number): Promise<Omit<VerifyOptions, "policy">> {
    const { readPlatform } = await import("../images/platform-options.ts");
    return {
      now: judgedAt,
      switches: readSwitches(this.#invocation),
      platform: readPlatform(this.#invocation),
      all: this.#invocation.get(allOption),
    };
  }

  async #openJournal(path: string, { registriesD, registriesConf }: ImageAccess): Promise<SimulationJournal> {
    const { digestSimulationInputs, openSimulationJournal } = await import("@signet/images");
    const { switches, platform, all } = await this.#judgeOptions(0);
    const inputs = await digestSimulationInputs({
      ...this.#sides,
      registriesD,
      loadRegistriesConf: registriesConf.load,
      options: { switches, platform, all, tlsVerify: this.#invocation.get(registryOptions.tlsVerify) ?? true },
      images: this.#images,
    });
    return await openSimulationJournal(path, { inputs, now: this.#runtime.now(), count: this.#images.length });
  }

  #explainGoingOn(journal: string | undefined): void {
    const { terminal } = this.#runtime;
    terminal.note(`interrupted: ${this.#count} of ${this.#images.length} images were judged`);
    terminal.note(
      journal === undefined
        ? "hint: with --resume FILE the work can be gone on with"
        : `hint: the same command goes on where this one stopped, by ${journal}`,
    );
  }
}

function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
