import assert from "node:assert/strict";
import { test } from "node:test";
import { escapeOrders } from "./server-log.ts";

/** Every unit of UTF-16 that a terminal or a reader of lines may act on. */
const orders: readonly number[] = [
  ...Array.from({ length: 32 }, (_, code) => code),
  ...Array.from({ length: 33 }, (_, index) => 0x7f + index),
  ...[0xad, 0x61c, 0x200b, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069, 0xfeff, 0xd800, 0xdfff],
];

test("whatever a terminal could take for an order is escaped as JSON does it, and the line says the same", () => {
  for (const code of orders) {
    const text = `a${String.fromCharCode(code)}b`;
    const line = escapeOrders(JSON.stringify({ text }));
    assert.match(line, /^[ -~]+$/);
    assert.deepEqual(JSON.parse(line), { text });
    // Outside of JSON too, where nothing has escaped anything yet.
    assert.equal(escapeOrders(text), `a\\u${code.toString(16).padStart(4, "0")}b`);
  }
  // A tag, which takes two units.
  assert.equal(escapeOrders('"\u{e0041}"'), '"\\udb40\\udc41"');
});

test("words of people stay as they are", () => {
  for (const text of ["plain", "Grüße, 你好 \u{1f511}", 'quoted \\"', "a\u00a0b"])
    assert.equal(escapeOrders(text), text);
});
