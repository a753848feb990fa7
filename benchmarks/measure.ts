/** Something to time: `run` does one unit of work. */
export interface Contender {
  readonly name: string;
  run(index: number): unknown;
}

export interface Measurement {
  readonly name: string;
  /** Units a second: median over the rounds. */
  readonly rate: number;
  /** Rate as a fraction of the baseline's, paired round by round; median, least and greatest. */
  readonly ratio: { readonly median: number; readonly least: number; readonly greatest: number };
}

/** Milliseconds of one turn of one contender; long enough that a stray interrupt does not decide it. */
const TURN_MS = 150;

/**
 * Times the contenders in turn, A B A B …, so that a machine whose speed drifts treats all alike. The first contender is the baseline.
 * @param rounds turns of each; odd, so that the median is one of them
 */
export function compare(contenders: readonly Contender[], rounds = 9): readonly Measurement[] {
  for (const contender of contenders) time(contender);
  const rates = contenders.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) rates[index]!.push(time(contender));
  }
  return contenders.map(({ name }, index) => {
    const ratios = rates[index]!.map((rate, round) => rate / rates[0]![round]!);
    return {
      name,
      rate: median(rates[index]!),
      ratio: { median: median(ratios), least: Math.min(...ratios), greatest: Math.max(...ratios) },
    };
  });
}

function time(contender: Contender): number {
  const started = performance.now();
  let count = 0;
  let elapsed = 0;
  do {
    for (let i = 0; i < 20; i++) contender.run(count++);
    elapsed = performance.now() - started;
  } while (elapsed < TURN_MS);
  return (count * 1000) / elapsed;
}

/** The middle value; of an even number, the greater of the two in the middle. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Prints measurements as a table, the baseline first. */
export function printTable(title: string, measurements: readonly Measurement[]): void {
  console.log(`\n${title}`);
  const width = Math.max(...measurements.map(({ name }) => name.length));
  for (const { name, rate, ratio } of measurements) {
    const range = `${ratio.least.toFixed(2)}–${ratio.greatest.toFixed(2)}`;
    console.log(
      `  ${name.padEnd(width)}  ${Math.round(rate).toLocaleString("en").padStart(9)}/s  × ${ratio.median.toFixed(2)}  (${range})`,
    );
  }
}
