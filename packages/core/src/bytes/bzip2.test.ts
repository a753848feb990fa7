import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FormatError } from "../errors.ts";
import { decompressBzip2 } from "./bzip2.ts";

/** Made by bzip2 1.0.8. */
const samples: readonly (readonly [name: string, base64: string, plain: Uint8Array])[] = [
  ["a word", "QlpoOTFBWSZTWRkxZT0AAACBAAJEoAAhmmgzTQczi7kinChIDJiynoA=", Buffer.from("hello")],
  [
    "one octet a thousand times",
    "QlpoOTFBWSZTWUncT2MAAAGBAaAAAIAACCAAIKptQZi6g8XckU4UJBJ3E9jA",
    Buffer.alloc(1000, "a"),
  ],
  [
    "every octet, three times over",
    "QlpoOTFBWSZTWe3ga8wAAAF/////////////////////////////////////////////sAFgAS//9VVQJgJgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACTAATAAEwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAASYACYAAmAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAH9QFAkDQRBX/IMg6EIShSFoY/9DUOQ9EERRJE0URVFkXRhGUaRtHEdR5H0gSFIkjSRJUmSdKEpSpK0sS1LkvTBMUyTNNE1TZN04TlOk7TxPU+T9QFBUJQ1EUVRlHUhSVKUtTFNU5T1QVFUlTVRVVWVdWFZVpW1cV1XlfWBYViWNZFlWZZ1oWlalrWxbVuW9cFxXJc10XVdl3XheV6XtfF9X5f2AYFgmDYRhWGYdiGJYpi2MY1jmPZBkWSZNlGVZZl2YZlmmbZxnWeZ9oGhaJo2kaVpmnahqWqatrGta5r2wbFsmzbRtW2bduG5bpu28b1vm/cBwXCcNxHFcZx3IclynLcxzXOc90HRdJ03UdV1nXdh2Xadt3Hdd533geF4njeR5Xmed6Hpep63se17nvfB8XyfN9H1fZ934fl+n7fx/X+F3JFOFCQ7eBrzAA==",
    Buffer.from(Array.from({ length: 768 }, (_, i) => i & 255)),
  ],
  ["nothing", "QlpoORdyRThQkAAAAAA=", Buffer.alloc(0)],
];

/** 300,000,000 zeros. */
const bomb = Buffer.from(
  "QlpoOTFBWSZTWQ4J4t8BX45AAMAAAAggADCATUZCoCWpCoCXMUFZJlNZDgni3wFfjkAAwAAACCAAMIBNRkKgJakKgJcxQVkmU1kOCeLfAV+OQADAAAAIIAAwgE1GQqAlqQqAlzFBWSZTWQ4J4t8BX45AAMAAAAggADCATUZCoCWpCoCXMUFZJlNZDgni3wFfjkAAwAAACCAAMIBNRkKgJakKgJcxQVkmU1kOCeLfAV+OQADAAAAIIAAwgE1GQqAlqQqAlzFBWSZTWXcjn6wAvHRAIMAAEAAACCAAMMwJqmmqQqC2pSFQXi7kinChIQEEDIg=",
  "base64",
);

/** A block whose run length reaches 2 to the power of 32: 32 symbols that each double it. */
const endlessRun = Buffer.from("425a68393141592653590000000000000001002000200020a02800000000c00000000000000000", "hex");

const code = (name: string) => (error: unknown) => error instanceof FormatError && error.code === name;

describe("decompressBzip2", () => {
  for (const [name, base64, plain] of samples) {
    const packed = Buffer.from(base64, "base64");
    test(`inflates ${name}, to the last octet of its cap`, () => {
      assert.deepEqual(Buffer.from(decompressBzip2(packed, plain.length).bytes), plain);
    });
    test(`counts what stands behind ${name}`, () => {
      assert.equal(decompressBzip2(packed, 2000).trailing, 0);
      assert.equal(decompressBzip2(Buffer.concat([packed, Buffer.alloc(5)]), 2000).trailing, 5);
    });
    test(`refuses ${name} cut off at any place`, () => {
      for (let length = 0; length < packed.length; length++) {
        assert.throws(() => decompressBzip2(packed.subarray(0, length), 2000), code("compression-malformed"));
      }
    });
    test(`never inflates ${name} to something else when a bit is changed`, () => {
      for (let bit = 0; bit < packed.length * 8; bit++) {
        const changed = Buffer.from(packed);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        try {
          assert.deepEqual(Buffer.from(decompressBzip2(changed, 2000).bytes), plain);
        } catch (error) {
          assert.ok(error instanceof FormatError, `bit ${bit}: ${String(error)}`);
        }
      }
    });
  }

  test("stops at the cap", () => {
    assert.throws(() => decompressBzip2(Buffer.from(samples[1]![1], "base64"), 999), code("input-too-large"));
    assert.throws(() => decompressBzip2(bomb, 1024 * 1024), code("input-too-large"));
  });

  test("refuses a run length beyond its block", () => {
    assert.throws(() => decompressBzip2(endlessRun, 1024 * 1024), code("compression-malformed"));
  });
});
