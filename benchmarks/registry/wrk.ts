/** Single routes under `wrk`, whose own cost is small beside a registry's: https://github.com/wg/wrk. */
import { runChecked } from "@signet/testkit";

export interface WrkResult {
  readonly rate: number;
  /** Bytes a second, headers too. */
  readonly bytes: number;
  readonly requests: number;
  readonly failures: number;
  /** Milliseconds. */
  readonly latency: Readonly<Record<"max" | "mean" | "min" | "p50" | "p75" | "p90" | "p99", number>>;
}

/** Prints the numbers in one line; wrk's own table is for people, and has no minimum. */
function scriptOf(headers: Readonly<Record<string, string>>): string {
  const set = Object.entries(headers).map(
    ([name, value]) => `wrk.headers[${JSON.stringify(name)}] = ${JSON.stringify(value)}`,
  );
  return [
    ...set,
    "done = function(summary, latency)",
    "  local e = summary.errors",
    '  io.write(string.format("RESULT %d %d %d %d %f %f %f %f %f %f %f\\n", summary.requests, summary.bytes, summary.duration,',
    "    e.connect + e.read + e.write + e.status + e.timeout, latency.min, latency.mean, latency:percentile(50),",
    "    latency:percentile(75), latency:percentile(90), latency:percentile(99), latency.max))",
    "end",
    "",
  ].join("\n");
}

export interface WrkRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
}

/** @param scriptFile a place for its script */
export async function runWrk(
  { url, headers, connections, seconds }: WrkRequest,
  writeScript: (text: string) => string,
): Promise<WrkResult> {
  const script = writeScript(scriptOf(headers));
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "30s", "-s", script, url];
  const { stdout } = await runChecked("wrk", args, { timeoutMs: (seconds + 60) * 1000 });
  const line = /^RESULT (.+)$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`wrk printed no result: ${stdout}`);
  const [requests, bytes, duration, failures, min, mean, p50, p75, p90, p99, max] = line.split(" ").map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const elapsed = duration / 1e6;
  const latency = { min, mean, p50, p75, p90, p99, max };
  return {
    rate: requests / elapsed,
    bytes: bytes / elapsed,
    requests,
    failures,
    latency: Object.fromEntries(
      Object.entries(latency).map(([name, value]) => [name, value / 1000]),
    ) as WrkResult["latency"],
  };
}
