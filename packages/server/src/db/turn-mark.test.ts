import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import test from "node:test";
import { TurnMark } from "./turn-mark.ts";

/** A mark that is another one at each look. */
function counting(): { readonly mark: TurnMark; readonly looks: () => number } {
  let looks = 0;
  return { mark: new TurnMark(() => (looks += 1)), looks: () => looks };
}

test("a turn has one mark, however often and from wherever in it one asks, and the next turn has its own", async () => {
  const { mark, looks } = counting();
  for (let turn = 1; turn < 5; turn += 1) {
    assert.equal(mark.get(), turn);
    await Promise.resolve();
    assert.equal(mark.get(), turn);
    await new Promise<void>((resolve) => process.nextTick(resolve));
    assert.equal(mark.get(), turn);
    await nextTurn();
  }
  assert.equal(looks(), 4);
});

test("one that is renewed or forgotten is looked up again at once, and holds no longer than its turn", async () => {
  const { mark } = counting();
  assert.deepEqual([mark.get(), mark.renew(), mark.get()], [1, 2, 2]);
  mark.forget();
  assert.deepEqual([mark.get(), mark.get()], [3, 3]);
  await nextTurn();
  assert.deepEqual([mark.renew(), mark.get()], [4, 4]);
  await nextTurn();
  assert.equal(mark.get(), 5);
});
