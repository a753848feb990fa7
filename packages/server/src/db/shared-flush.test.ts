import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SharedFlush } from "./shared-flush.ts";

void describe("a flush that is shared", () => {
  void it("covers whoever asked before it began, and nobody who asked later", async () => {
    const flushes: PromiseWithResolvers<void>[] = [];
    const shared = new SharedFlush(() => {
      const flush = Promise.withResolvers<void>();
      flushes.push(flush);
      return flush.promise;
    });
    const ended: string[] = [];
    const wait = (name: string): Promise<void> => shared.wait().then(() => void ended.push(name));
    const first = wait("first");
    const [second, third] = [wait("second"), wait("third")];
    assert.equal(flushes.length, 1);
    flushes[0]!.resolve();
    await first;
    assert.deepEqual([ended, flushes.length], [["first"], 2]);
    const fourth = wait("fourth");
    flushes[1]!.resolve();
    await Promise.all([second, third]);
    assert.deepEqual([ended, flushes.length], [["first", "second", "third"], 3]);
    flushes[2]!.resolve();
    await fourth;
    assert.deepEqual([ended.at(-1), flushes.length], ["fourth", 3]);
    const fifth = wait("fifth");
    assert.equal(flushes.length, 4);
    flushes[3]!.resolve();
    await fifth;
  });

  void it("that fails fails everybody who waits, and everybody after, without another try", async () => {
    let calls = 0;
    const shared = new SharedFlush(() => {
      calls += 1;
      return Promise.reject(new Error("the disk is gone"));
    });
    const waiting = [shared.wait(), shared.wait()];
    for (const one of [...waiting, shared.wait()]) await assert.rejects(one, /^Error: the disk is gone$/);
    await assert.rejects(shared.wait(), /^Error: the disk is gone$/);
    assert.deepEqual([calls, shared.failure?.message], [1, "the disk is gone"]);
  });
});
