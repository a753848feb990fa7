import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cleanText } from "./clean-text.ts";

void describe("a server's own words (T22)", () => {
  void it("lose everything that a terminal could obey", () => {
    assert.equal(cleanText("\u001B[31mred\u001B[0m\r\nerror: \u0007fake\u009B2J", 100), "[31mred [0m error: fake 2J");
    assert.equal(cleanText("a\u202Eb\u2066c\u200Bd\u2028e\uFEFFf", 100), "a b c d e f");
  });

  void it("are cut", () => {
    assert.equal(cleanText("x".repeat(10_000_000), 10), `${"x".repeat(10)}…`);
  });
});
