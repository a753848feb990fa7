import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FormatError, concatBytes } from "@signet/core";
import { visitTarEntries } from "./tar-files.ts";
import { writeLinkHeader, writeTarHeader } from "./tar-header.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const END = new Uint8Array(1024);

/** Changes a header and makes its checksum right again. */
function altered(header: Uint8Array, offset: number, bytes: string): Uint8Array {
  const copy = Uint8Array.from(header);
  copy.set(Buffer.from(bytes, "latin1"), offset);
  copy.fill(0x20, 148, 156);
  const sum = copy.subarray(0, 512).reduce((total, octet) => total + octet, 0);
  copy.set(encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return copy;
}

const TYPE = 156;
const SIZE = 124;

function padded(content: string): Uint8Array {
  const bytes = Buffer.from(content, "latin1");
  return concatBytes([bytes, new Uint8Array((512 - (bytes.length % 512)) % 512)]);
}

function entry(name: string, content: string, type = "0"): Uint8Array {
  const size = Buffer.from(content, "latin1").length;
  return concatBytes([altered(writeTarHeader(name, size), TYPE, type), padded(content)]);
}

/** A pax record counts its own digits. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (`${length}${rest}`.length !== length) length++;
  return `${length}${rest}`;
}

/** The entries as `kind name=content`, the stream cut into pieces of `step` bytes. */
async function list(archive: Uint8Array, step: number = 1 << 20): Promise<readonly string[]> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < archive.length; at += step) yield archive.subarray(at, at + step);
  }
  const found: string[] = [];
  await visitTarEntries(chunks(), "layer", async ({ name, kind, content }) => {
    const parts: Uint8Array[] = [];
    if (kind === "file") for await (const part of content) parts.push(part);
    found.push(`${kind} ${name}=${Buffer.concat(parts).toString()}`);
  });
  return found;
}

async function refuses(archive: Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(list(archive), (error) => {
    assert.ok(error instanceof FormatError, String(error));
    assert.equal(error.code, "image-malformed");
    assert.match(error.message, message);
    assert.ok(error.hint !== undefined);
    return true;
  });
}

describe("visitTarEntries", () => {
  test("reads long names of both kinds, links, folders and capabilities that are no text, in pieces of any size", async () => {
    const capability = record("SCHILY.xattr.security.capability", "\x01\0\0\x02\x80\0\xff");
    const archive = concatBytes([
      entry("./a//b", "1"),
      entry("PaxHeader", `${record("path", `p/${"x".repeat(200)}`)}${capability}`, "x"),
      entry("p/x", "2"),
      entry("././@LongLink", `${"y".repeat(150)}\0`, "L"),
      entry("y", "3"),
      writeTarHeader("folder/", 0),
      writeLinkHeader("link", "../../../etc/shadow"),
      entry("PaxHeader", record("comment", "made by a test"), "g"),
      entry("bin/newuidmap", "4"),
      END,
    ]);
    const wanted = [
      "file a/b=1",
      `file p/${"x".repeat(200)}=2`,
      `file ${"y".repeat(150)}=3`,
      "folder folder=",
      "other link=",
      "file bin/newuidmap=4",
    ];
    for (const step of [1, 7, 511, 512, 4096]) assert.deepEqual(await list(archive, step), wanted);
  });

  test("sees sparse files as what they would become, and keeps its place behind their maps", async () => {
    // The header says that one more block of the map follows, and that one that another does.
    const header = altered(altered(writeTarHeader("old", 1), TYPE, "S"), 482, "\x01");
    const map = new Uint8Array(512);
    map[504] = 1;
    const archive = concatBytes([
      ...[header, map, new Uint8Array(512), padded("x")],
      entry("PaxHeader", record("GNU.sparse.major", "1") + record("GNU.sparse.name", "configs/new"), "x"),
      entry("GNUSparseFile.0/new", "map and data"),
      entry("after", "1"),
      END,
    ]);
    assert.deepEqual(await list(archive), ["other old=", "other configs/new=", "file after=1"]);
  });

  test("refuses what is no tar, or ends too early", async () => {
    const good = concatBytes([entry("a", "content"), entry("b", "content"), END]);
    await refuses(encode("PK\x03\x04 and no tar at all".padEnd(1024)), /not a tar header/);
    await refuses(encode("short"), /ends too early/);
    for (const length of [100, 513, 518, 1100, 2040]) await refuses(good.subarray(0, length), /ends too early/);
    await refuses(concatBytes([good.subarray(0, 3), Uint8Array.of(0x42), good.subarray(4)]), /checksum is wrong/);
  });

  test("refuses absurd sizes", async () => {
    const header = writeTarHeader("a", 1);
    await refuses(altered(header, SIZE, "-0000000001\0"), /malformed size/);
    await refuses(altered(header, SIZE, "99999999999\0"), /malformed size/);
    await refuses(altered(header, SIZE, "\xff".repeat(12)), /absurd size/);
    await refuses(altered(header, SIZE, `\x80${"\xff".repeat(11)}`), /absurd size/);
    await refuses(altered(header, SIZE, "77777777777\0"), /ends too early/);
    await refuses(concatBytes([entry("PaxHeader", record("size", "-1"), "x"), header]), /malformed size/);
    await refuses(concatBytes([entry("PaxHeader", record("size", "1e3"), "x"), header]), /malformed size/);
    const large = altered(altered(writeTarHeader("PaxHeader", 0), TYPE, "x"), SIZE, "00077777777\0");
    await refuses(large, /an extended header of \d+ bytes/);
  });

  test("refuses what readers of tar disagree about: one would see another file", async () => {
    for (const type of ["1", "2", "3", "4", "5", "6"])
      await refuses(concatBytes([entry("a", "hidden", type), END]), /has content, and is no file/);
    await refuses(concatBytes([entry("a/", "hidden", "0"), END]), /named as a folder/);
    const [first, second] = [record("path", "one"), record("path", "two")].map((text) => entry("P", text, "x"));
    await refuses(concatBytes([first!, second!, entry("a", "1"), END]), /two extended headers/);
    const long = entry("././@LongLink", "three\0", "L");
    await refuses(concatBytes([first!, long, entry("a", "1"), END]), /two extended headers/);
    await refuses(concatBytes([long, long, entry("a", "1"), END]), /two extended headers/);
    for (const key of ["path", "size", "linkpath", "GNU.sparse.name"])
      await refuses(concatBytes([entry("P", record(key, "1"), "g"), END]), /a global header that sets/);
  });

  test("refuses hostile names, and shows no more of them than a line", async () => {
    const named = (name: string): Uint8Array =>
      concatBytes([entry("P", record("path", name), "x"), entry("a", "1"), END]);
    await refuses(named("a\0b"), /"a\\u0000b" holds a NUL/);
    await refuses(named("a/".repeat(3000)), /is a name of \d+ characters/);
    await assert.rejects(list(named("x".repeat(500_000))), (error) => (error as Error).message.length < 500);
    await refuses(named("\xff\xfe"), /not UTF-8/);
    await refuses(altered(writeTarHeader("a", 0), 0, "\xc3\x28"), /not UTF-8/);
    // These are names like others; whoever prints them cleans them.
    assert.deepEqual(await list(named("\x1b]0;x\x07")), ["file \x1b]0;x\x07=1"]);
    assert.deepEqual(await list(named("/../x")), ["file ../x=1"]);
  });
});
