/** Rows with zb's columns, and the ratios between the two registries, turn by turn. */
import { loadavg } from "node:os";
import { median } from "../measure.ts";

/** One registry's turns of one row, put together. */
export interface Row {
  readonly registry: string;
  readonly concurrency: number;
  readonly requests: number;
  readonly failures: number;
  /** Requests a second: median over the turns. */
  readonly rate: number;
  /** Bytes a second: median over the turns. */
  readonly bytes: number;
  /** Milliseconds. */
  readonly latency: readonly number[];
}

export interface Comparison {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Signet's rate as a multiple of the peer's: median, least and greatest over the pairs of turns. */
  readonly ratio: readonly [number, number, number];
  readonly wanted: number | undefined;
  readonly load: number;
}

const columns = ["concurr.", "requests", "failed", "req/s", "MB/s", "min", "mean", "p50", "p75", "p90", "p99", "max"];

export function printHeading(): void {
  console.log(`\n${" ".repeat(17)}${columns.map((name) => name.padStart(9)).join("")}   (times in ms)`);
}

/** @param turns of each registry: rate, bytes a second and what else a row says; the peer's first */
export function compareTurns(
  name: string,
  [peer, own]: readonly [readonly Row[], readonly Row[]],
  wanted: number | undefined,
): Comparison {
  const ratios = own.map(({ rate }, turn) => rate / peer[turn]!.rate);
  return {
    name,
    rows: [joinTurns(peer), joinTurns(own)],
    ratio: [median(ratios), Math.min(...ratios), Math.max(...ratios)],
    wanted,
    load: loadavg()[0]!,
  };
}

/** The median of each column; requests and failures are summed up. */
function joinTurns(turns: readonly Row[]): Row {
  const [first] = turns;
  const middle = (of: (row: Row) => number): number => median(turns.map(of));
  return {
    registry: first!.registry,
    concurrency: first!.concurrency,
    requests: turns.reduce((sum, { requests }) => sum + requests, 0),
    failures: turns.reduce((sum, { failures }) => sum + failures, 0),
    rate: middle(({ rate }) => rate),
    bytes: middle(({ bytes }) => bytes),
    latency: first!.latency.map((_, index) =>
      index === 0
        ? Math.min(...turns.map(({ latency }) => latency[0]!))
        : index === first!.latency.length - 1
          ? Math.max(...turns.map(({ latency }) => latency.at(-1)!))
          : middle(({ latency }) => latency[index]!),
    ),
  };
}

export function printComparison({ name, rows, ratio, wanted, load }: Comparison): void {
  const [middle, least, greatest] = ratio;
  const aim = wanted === undefined ? "" : `, wanted ${wanted}: ${middle >= wanted ? "met" : "missed"}`;
  console.log(
    `${name}: × ${middle.toFixed(2)} (${least.toFixed(2)}–${greatest.toFixed(2)}${aim}; load ${load.toFixed(1)})`,
  );
  for (const row of rows) {
    const numbers = [
      ...[row.concurrency, row.requests, row.failures].map(String),
      row.rate.toFixed(row.rate < 100 ? 1 : 0),
      (row.bytes / 1e6).toFixed(row.bytes < 1e8 ? 1 : 0),
      ...row.latency.map((value) => value.toFixed(value < 100 ? 2 : 0)),
    ];
    console.log(`  ${row.registry.padEnd(15)}${numbers.map((text) => text.padStart(9)).join("")}`);
  }
}

/** Min, mean, p50, p75, p90, p99, max. @param times in ascending order */
export function summarize(times: readonly number[]): readonly number[] {
  if (times.length === 0) return [0, 0, 0, 0, 0, 0, 0];
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
  return [times[0]!, mean, at(0.5), at(0.75), at(0.9), at(0.99), times.at(-1)!];
}
