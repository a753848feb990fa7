import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StoreError } from "@signet/core";
import { makeFakeClock } from "@signet/testkit";
import { parseRetryAfter, withRetries } from "./retry.ts";

const passing = (details: Record<string, unknown> = {}): StoreError =>
  new StoreError("registry-unreachable", "for now", { retryable: true, details });

void describe("retries", () => {
  void it("wait twice as long each time, less up to half by chance, and give up with the last error", async () => {
    const clock = makeFakeClock();
    let attempts = 0;
    const run = withRetries({ times: 3, clock, random: () => 0.5 }, async () => {
      attempts++;
      throw passing();
    });
    await assert.rejects(run, /for now/);
    assert.equal(attempts, 4);
    assert.deepEqual(clock.slept, [375, 750, 1500]);
  });

  void it("stop at the first success", async () => {
    let attempts = 0;
    const result = await withRetries({ times: 5, clock: makeFakeClock(), random: () => 0 }, async () => {
      if (++attempts < 3) throw passing();
      return "done";
    });
    assert.equal(result, "done");
  });

  void it("are not made for failures that stay", async () => {
    for (const error of [new StoreError("registry-error", "for ever"), new TypeError("a bug")]) {
      let attempts = 0;
      await assert.rejects(
        withRetries({ times: 5, clock: makeFakeClock(), random: () => 0 }, async () => {
          attempts++;
          throw error;
        }),
      );
      assert.equal(attempts, 1);
    }
  });

  void it("T13: follow the server's wish, but not beyond a minute", async () => {
    const clock = makeFakeClock();
    const waits = [2000, 86_400_000];
    await withRetries({ times: 2, clock, random: () => 0 }, async () => {
      const retryAfterMs = waits.shift();
      if (retryAfterMs !== undefined) throw passing({ retryAfterMs });
    });
    assert.deepEqual(clock.slept, [2000, 60_000]);
  });

  void it("are not made when the time is up before", async () => {
    const clock = makeFakeClock();
    const deadline = clock.now() + 1000;
    await assert.rejects(
      withRetries({ times: 9, clock, random: () => 0, deadline }, async () => {
        throw passing();
      }),
    );
    assert.deepEqual(clock.slept, [500]);
  });
});

void describe("Retry-After", () => {
  const now = Date.parse("2026-11-21T08:00:00Z");
  void it("is read as seconds and as a date", () => {
    assert.equal(parseRetryAfter("7", now), 7000);
    assert.equal(parseRetryAfter("Sat, 21 Nov 2026 08:00:30 GMT", now), 30_000);
    assert.equal(parseRetryAfter("Sat, 21 Nov 2026 07:00:00 GMT", now), 0);
  });

  void it("is passed over when it is neither", () => {
    for (const value of [
      undefined,
      "",
      "-1",
      "1.5",
      "soon",
      "99999999999",
      "2026-11-21",
      "Sat, 99 Nov 2026 08:00:30 GMT",
    ]) {
      assert.equal(parseRetryAfter(value, now), undefined, value);
    }
  });
});
