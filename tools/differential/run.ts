import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ContainersHome, makeContainersHome, makeSeededRandom } from "@signet/testkit";
import { type DifferentialCase, makeCase } from "./case.ts";
import { type Answers, explain } from "./explanation.ts";
import { askSignet } from "./signet.ts";
import { type World, makeWorld } from "./world.ts";

export interface DifferentialReport {
  readonly cases: number;
  readonly accepted: number;
  readonly refused: number;
  /** Explained differences by name. */
  readonly explained: ReadonlyMap<string, number>;
  readonly unexplained: readonly string[];
}

export interface DifferentialOptions {
  readonly cases: number;
  readonly seed: number;
  /** Cases under way at once; skopeo takes one core for about 50 ms. */
  readonly jobs?: number;
  readonly onProgress?: (done: number) => void;
}

/** Judges seeded random cases by Signet and by `skopeo copy --policy … dir:`, and compares acceptance. */
export async function runDifferential(options: DifferentialOptions): Promise<DifferentialReport> {
  await using world = await makeWorld();
  using home = makeContainersHome();
  home.allowInsecure(...world.hosts.genuine, ...world.hosts.tampered);
  const explained = new Map<string, number>();
  const unexplained: string[] = [];
  let next = 0;
  let accepted = 0;
  let done = 0;

  const judgeOne = async (number: number): Promise<void> => {
    // A generator of its own for each case: any one can be made again from the seed and its number.
    const differentialCase = makeCase(number, makeSeededRandom(options.seed * 1_000_003 + number), world.hosts);
    const answers = await ask(world, home, differentialCase, `${number}`);
    if (answers.signetAccepts) accepted++;
    if (answers.signetAccepts !== answers.skopeoAccepts) {
      const explanation = explain(differentialCase, answers);
      const again =
        explanation === undefined ? undefined : await ask(world, home, explanation.without, `${number}-without`);
      if (explanation !== undefined && again !== undefined && again.signetAccepts === again.skopeoAccepts) {
        explained.set(explanation.name, (explained.get(explanation.name) ?? 0) + 1);
      } else unexplained.push(describe(options.seed, differentialCase, answers));
    }
    options.onProgress?.(++done);
  };
  const worker = async (): Promise<void> => {
    while (next < options.cases) await judgeOne(next++);
  };
  await Promise.all(Array.from({ length: options.jobs ?? 3 }, worker));
  return { cases: options.cases, accepted, refused: options.cases - accepted, explained, unexplained };
}

async function ask(
  world: World,
  home: ContainersHome,
  differentialCase: DifferentialCase,
  label: string,
): Promise<Answers> {
  const staged = await world.stage(differentialCase, label);
  try {
    const skopeo = home.skopeo([
      ...["--policy", staged.policyFile, "--registries.d", staged.registriesDir],
      ...["copy", "--quiet", "--src-tls-verify=false", staged.image, `dir:${staged.output}`],
    ]);
    const [theirs, ours] = await Promise.all([skopeo, askSignet(staged)]);
    return {
      skopeoAccepts: theirs.status === 0,
      skopeoText: theirs.stderr.trim(),
      signetAccepts: ours.accepted,
      signetText: ours.text,
    };
  } finally {
    rmSync(staged.root, { recursive: true, force: true });
  }
}

function describe(seed: number, differentialCase: DifferentialCase, answers: Answers): string {
  return [
    `seed ${seed} case ${differentialCase.number}: skopeo ${answers.skopeoAccepts ? "accepts" : "refuses"}, Signet ${answers.signetAccepts ? "accepts" : "refuses"}`,
    `  skopeo: ${answers.skopeoText}`,
    `  Signet: ${answers.signetText}`,
    `  ${JSON.stringify(differentialCase)}`,
  ].join("\n");
}

/** Writes the unexplained cases into a folder, for a closer look. */
export function saveUnexplained(report: DifferentialReport, folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "unexplained.txt"), report.unexplained.join("\n\n"));
}
