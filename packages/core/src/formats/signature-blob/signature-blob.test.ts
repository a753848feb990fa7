import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_SIGNATURE_BYTES } from "../../bytes/limits.ts";
import { SignetError } from "../../errors.ts";
import { parseSignatureBlob, writeSignatureBlob } from "./signature-blob.ts";

interface BlobCase {
  readonly name: string;
  readonly blob: string;
  readonly error?: string;
  readonly format?: string;
  readonly message?: string;
  readonly mimeType?: string;
  readonly payload?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));

test("every stored signature of the vectors is recognised, or refused with its code", async (t) => {
  const file = new URL("../../../../../vectors/signature-blob/vectors.json", import.meta.url);
  const { cases } = JSON.parse(readFileSync(file, "utf8")) as { readonly cases: readonly BlobCase[] };
  assert.ok(cases.length > 50);
  for (const one of cases) {
    await t.test(one.name, () => {
      const raw = bytesOf(one.blob);
      if (one.error !== undefined) {
        assert.throws(() => parseSignatureBlob(raw), { code: one.error });
        return;
      }
      const blob = parseSignatureBlob(raw);
      assert.equal(blob.format, one.format);
      assert.equal(blob.raw, raw);
      if (blob.format === "simple-signing") {
        assert.deepEqual(Buffer.from(blob.message), Buffer.from(bytesOf(one.message!)));
      } else {
        assert.equal(blob.mimeType, one.mimeType);
        assert.deepEqual(Buffer.from(blob.payload), Buffer.from(bytesOf(one.payload!)));
        assert.deepEqual(Object.fromEntries(blob.annotations), one.annotations);
      }
    });
  }
});

test("a blob of 4 MiB is looked at, one octet more is not", () => {
  const largest = new Uint8Array(MAX_SIGNATURE_BYTES).fill(0xa3);
  assert.equal(parseSignatureBlob(largest).format, "simple-signing");
  const larger = new Uint8Array(MAX_SIGNATURE_BYTES + 1).fill(0xa3);
  assert.throws(() => parseSignatureBlob(larger), { code: "input-too-large" });
});

test("an octet that has no place in a format's name is named", () => {
  for (const [octet, hex] of [
    [0x1f, "1f"],
    [0x7f, "7f"],
    [0xc3, "c3"],
  ] as const) {
    const blob = Uint8Array.of(0, 0x61, octet, 0x0a);
    assert.throws(() => parseSignatureBlob(blob), { message: new RegExp(`octet 0x${hex} in its name`) });
  }
});

test("common mistakes come with a hint", () => {
  const hintFor = (text: string): string | undefined => {
    try {
      parseSignatureBlob(new TextEncoder().encode(text));
    } catch (error) {
      return (error as SignetError).hint;
    }
    return undefined;
  };
  assert.match(hintFor("-----BEGIN PGP MESSAGE-----\n") ?? "", /armored/);
  assert.match(hintFor("<!DOCTYPE html><html>") ?? "", /404/);
  assert.equal(hintFor("something else"), undefined);
});

test("simple signing is written bare, and never something that would be read as another format", () => {
  const message = Uint8Array.of(0xa3, 1, 2);
  assert.equal(writeSignatureBlob({ format: "simple-signing", message }), message);
  for (const start of ["\0sigstore-json\n{}", "\0simple-signing\nx", "text", ""]) {
    const wrong = new TextEncoder().encode(start);
    if (start.includes("simple")) continue;
    assert.throws(() => writeSignatureBlob({ format: "simple-signing", message: wrong }), {
      code: "signature-blob-malformed",
    });
  }
});

test("a sigstore signature is written as Go writes it: annotations sorted by octets, HTML's specials escaped", () => {
  const annotations = new Map([
    ["b", "<2>"],
    ["a", "1"],
    ["\ue000", "3"],
    ["\u{10000}", "4"],
  ]);
  const blob = writeSignatureBlob({
    format: "sigstore-json",
    mimeType: "m",
    payload: Uint8Array.of(1, 2),
    annotations,
  });
  assert.equal(
    new TextDecoder().decode(blob),
    '\0sigstore-json\n{"mimeType":"m","payload":"AQI=","annotations":{"a":"1","b":"\\u003c2\\u003e","\ue000":"3","\u{10000}":"4"}}',
  );
});

test("sigstore signatures survive writing and reading", () => {
  const text = fc.string({ unit: "grapheme" });
  fc.assert(
    fc.property(text, fc.uint8Array(), fc.dictionary(text, text), (mimeType, payload, dictionary) => {
      const annotations = new Map(Object.entries(dictionary));
      const blob = parseSignatureBlob(writeSignatureBlob({ format: "sigstore-json", mimeType, payload, annotations }));
      assert.ok(blob.format === "sigstore-json");
      assert.equal(blob.mimeType, mimeType);
      assert.deepEqual(Buffer.from(blob.payload), Buffer.from(payload));
      assert.deepEqual(new Map(blob.annotations), annotations);
    }),
  );
});

test("any octets are recognised or refused with a coded error", () => {
  const start = fc.constantFrom("", "\0", "\0simple-signing\n", "\0sigstore-json\n", '\0sigstore-json\n{"payload":');
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 64 }), (head, tail) => {
      try {
        parseSignatureBlob(Uint8Array.from([...new TextEncoder().encode(head), ...tail]));
      } catch (error) {
        assert.ok(error instanceof SignetError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
