import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServedRepository } from "../content/repositories.ts";
import type { CompleteAnswer } from "./answer.ts";
import { AnswerCache } from "./answer-cache.ts";

const served = (version: number, changeNumber: number): ServedRepository => ({
  path: "a/b",
  repositoryId: 1,
  version,
  isPinned: false,
  visibility: "public",
  pullPolicyMode: "off",
  changeNumber,
  trustNumber: 0,
});

function answerOf(size: number, status = 200): CompleteAnswer {
  return { status, headers: {}, body: new Uint8Array(size) };
}

void describe("answers that are kept", () => {
  void it("hold for the state that they are about, and the next answer takes the place", () => {
    const cache = new AnswerCache();
    const [first, second] = [answerOf(1), answerOf(2)];
    cache.keep(served(1, 1), "tags", first);
    assert.equal(cache.find(served(1, 1), "tags"), first);
    for (const other of [
      served(2, 2),
      served(1, 2),
      { ...served(1, 1), repositoryId: 2 },
      { ...served(1, 1), path: "c" },
    ])
      assert.equal(cache.find(other, "tags"), undefined);
    assert.equal(cache.find(served(1, 1), "referrers"), undefined);
    cache.keep(served(2, 2), "tags", second);
    assert.equal(cache.find(served(2, 2), "tags"), second);
    assert.equal(cache.find(served(1, 1), "tags"), undefined);
    // Made for a request that took long.
    cache.keep(served(1, 1), "tags", first);
    assert.equal(cache.find(served(2, 2), "tags"), second);
  });

  void it("are neither errors nor large", () => {
    const cache = new AnswerCache();
    cache.keep(served(1, 1), "missing", answerOf(10, 404));
    cache.keep(served(1, 1), "large", answerOf(1024 * 1024 + 1));
    assert.deepEqual([cache.find(served(1, 1), "missing"), cache.find(served(1, 1), "large")], [undefined, undefined]);
  });

  void it("fall out when they take too much, those first that nobody asked for", () => {
    const cache = new AnswerCache();
    const state = served(1, 1);
    cache.keep(state, "asked for", answerOf(1));
    for (let index = 0; index < 300; index += 1) {
      cache.keep(state, `large ${index}`, answerOf(1024 * 1024));
      assert.ok(cache.find(state, "asked for"));
    }
    const isKept = (index: number): boolean => cache.find(state, `large ${index}`) !== undefined;
    assert.equal(Array.from({ length: 300 }, (_, index) => isKept(index)).filter(Boolean).length, 63);
    assert.ok(isKept(299));
    // An empty one costs something, too.
    for (let index = 0; index < 70_000; index += 1) cache.keep(state, `small ${index}`, answerOf(0));
    assert.deepEqual(
      [isKept(299), cache.find(state, "small 0"), cache.find(state, "small 69999")?.status],
      [false, undefined, 200],
    );
    // Nothing is counted twice when the state moves on.
    for (let change = 2; change < 200_000; change += 1) cache.keep(served(1, change), "moving", answerOf(0));
    assert.equal(cache.find(state, "small 69999")?.status, 200);
  });
});
