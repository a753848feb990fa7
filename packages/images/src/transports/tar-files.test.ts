import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FormatError, concatBytes } from "@signet/core";
import {
  testTarFields as fields,
  writeTestPaxHeader as pax,
  writeTestTar as tar,
  writeTestTarEntry as entry,
} from "@signet/testkit";
import { visitTarEntries } from "./tar-files.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

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
    const archive = tar(
      entry("./a//b", "1"),
      pax({ path: `p/${"x".repeat(200)}`, "SCHILY.xattr.security.capability": "\x01\0\0\x02\x80\0\xff" }),
      entry("p/x", "2"),
      entry("././@LongLink", `${"y".repeat(150)}\0`, { type: "L" }),
      entry("y", "3"),
      entry("folder/", "", { type: "5" }),
      entry("link", "", { type: "2", linkName: "../../../etc/shadow" }),
      pax({ comment: "made by a test" }, "g"),
      entry("bin/newuidmap", "4"),
    );
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
    const sparse = entry("old", "x", { type: "S", fields: { [fields.sparseMore]: "\x01" } });
    const map = new Uint8Array(512);
    map[504] = 1;
    const archive = tar(
      ...[sparse.subarray(0, 512), map, new Uint8Array(512), sparse.subarray(512)],
      pax({ "GNU.sparse.major": "1", "GNU.sparse.name": "configs/new" }),
      entry("GNUSparseFile.0/new", "map and data"),
      entry("after", "1"),
    );
    assert.deepEqual(await list(archive), ["other old=", "other configs/new=", "file after=1"]);
  });

  test("refuses what is no tar, or ends too early", async () => {
    const good = tar(entry("a", "content"), entry("b", "content"));
    await refuses(encode("PK\x03\x04 and no tar at all".padEnd(1024)), /not a tar header/);
    await refuses(encode("short"), /ends too early/);
    for (const length of [100, 513, 518, 1100, 2040]) await refuses(good.subarray(0, length), /ends too early/);
    await refuses(concatBytes([good.subarray(0, 3), Uint8Array.of(0x42), good.subarray(4)]), /checksum is wrong/);
  });

  test("refuses absurd sizes", async () => {
    const sized = (size: string): Uint8Array => tar(entry("a", "1", { fields: { [fields.size]: size } }));
    await refuses(sized("-0000000001\0"), /malformed size/);
    await refuses(sized("99999999999\0"), /malformed size/);
    await refuses(sized("\xff".repeat(12)), /absurd size/);
    await refuses(sized(`\x80${"\xff".repeat(11)}`), /absurd size/);
    await refuses(sized("77777777777\0"), /ends too early/);
    await refuses(tar(pax({ size: "-1" }), entry("a")), /malformed size/);
    await refuses(tar(pax({ size: "1e3" }), entry("a")), /malformed size/);
    const extended = entry("PaxHeader", "", { type: "x", fields: { [fields.size]: "00077777777\0" } });
    await refuses(tar(extended), /an extended header of \d+ bytes/);
  });

  test("refuses what readers of tar disagree about: one would see another file", async () => {
    for (const type of ["1", "2", "3", "4", "5", "6"])
      await refuses(tar(entry("a", "hidden", { type })), /has content, and is no file/);
    await refuses(tar(entry("a/", "hidden")), /named as a folder/);
    const long = entry("././@LongLink", "three\0", { type: "L" });
    for (const [first, second] of [
      [pax({ path: "one" }), pax({ path: "two" })],
      [pax({ path: "one" }), long],
      [long, pax({ path: "one" })],
      [long, long],
    ] as const)
      await refuses(tar(first, second, entry("a", "1")), /two extended headers/);
    for (const key of ["path", "size", "linkpath", "GNU.sparse.name"])
      await refuses(tar(pax({ [key]: "1" }, "g")), /a global header that sets/);
  });

  test("refuses hostile names, and shows no more of them than a line", async () => {
    const named = (name: string): Uint8Array => tar(pax({ path: name }), entry("a", "1"));
    await refuses(named("a\0b"), /"a\\u0000b" holds a NUL/);
    await refuses(named("a/".repeat(3000)), /is a name of \d+ characters/);
    await assert.rejects(list(named("x".repeat(500_000))), (error) => (error as Error).message.length < 500);
    await refuses(named("\xff\xfe"), /not UTF-8/);
    await refuses(tar(entry("\xc3\x28")), /not UTF-8/);
    // These are names like others; whoever prints them cleans them.
    assert.deepEqual(await list(named("\x1b]0;x\x07")), ["file \x1b]0;x\x07=1"]);
    assert.deepEqual(await list(named("/../x")), ["file ../x=1"]);
  });

  test("lets go of the stream when it is refused: it may be a file or a connection", async () => {
    let isClosed = false;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield encode("no tar".padEnd(512));
      } finally {
        isClosed = true;
      }
    }
    await assert.rejects(
      visitTarEntries(chunks(), "layer", async () => {}),
      /not a tar header/,
    );
    assert.ok(isClosed);
  });
});
