import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mapBounded } from "./bounded-map.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("mapBounded", () => {
  it("keeps the order of the items and never has more calls under way than allowed", async () => {
    let underWay = 0;
    let most = 0;
    const results = await mapBounded([5, 1, 4, 0, 3, 2, 6], 3, async (item, index) => {
      most = Math.max(most, ++underWay);
      for (let turns = 0; turns < item; turns++) await turn();
      underWay--;
      return `${index}:${item}`;
    });
    assert.deepEqual(results, ["0:5", "1:1", "2:4", "3:0", "4:3", "5:2", "6:6"]);
    assert.equal(most, 3);
  });

  it("throws the first failure once all calls have ended, and starts none after it", async () => {
    const started: number[] = [];
    let underWay = 0;
    const mapping = mapBounded([0, 1, 2, 3, 4], 2, async (item) => {
      started.push(item);
      underWay++;
      await turn();
      if (item === 1) await turn();
      underWay--;
      if (item === 0) throw new Error("the first");
      if (item === 1) throw new Error("the second");
    });
    await assert.rejects(mapping, /the first/);
    assert.equal(underWay, 0);
    assert.deepEqual(started, [0, 1]);
  });

  it("takes an empty list", async () => {
    assert.deepEqual(await mapBounded([], 4, () => assert.fail("nothing to map")), []);
  });
});
