import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, open, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { FormatError, concatBytes } from "@signet/core";
import { makeSeededRandom } from "@signet/testkit";
import { type Header, pack } from "tar-stream";
import { writeLinkHeader, writeSizedHeader, writeTarHeader } from "./tar-header.ts";
import { type TarEntry, indexTar } from "./tar-index.ts";

const run = promisify(execFile);
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "signet-tar-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function indexBytes(bytes: Uint8Array): Promise<ReadonlyMap<string, TarEntry>> {
  const path = join(folder, "archive.tar");
  await writeFile(path, bytes);
  return indexFile(path);
}

async function indexFile(path: string): Promise<ReadonlyMap<string, TarEntry>> {
  const handle = await open(path);
  try {
    return await indexTar(handle, (await handle.stat()).size, "archive.tar");
  } finally {
    await handle.close();
  }
}

async function packed(
  entries: readonly (readonly [Partial<Header> & Pick<Header, "name">, string])[],
): Promise<Buffer> {
  const packer = pack();
  for (const [header, content] of entries) packer.entry({ ...header }, content);
  packer.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of packer as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function refused(bytes: Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(indexBytes(bytes), (error) => {
    assert.ok(error instanceof FormatError, String(error));
    assert.equal(error.code, "image-malformed");
    assert.match(error.message, message);
    return true;
  });
}

/** Replaces a part of the first header and makes its checksum right again. */
function altered(archive: Uint8Array, offset: number, text: string): Uint8Array {
  const copy = Uint8Array.from(archive);
  copy.set(Buffer.from(text, "latin1"), offset);
  copy.fill(0x20, 148, 156);
  const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  copy.set(ascii(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return copy;
}

describe("indexTar", () => {
  it("finds each file where tar-stream put it, long names included", async () => {
    const long = `blobs/sha512/${"ab".repeat(64)}`;
    const archive = await packed([
      [{ name: "blobs", type: "directory" }, ""],
      [{ name: "index.json" }, "{}"],
      [{ name: long }, "x".repeat(1000)],
      [{ name: "empty" }, ""],
      [{ name: `blobs/sha384/${"cd".repeat(48)}` }, "y"],
    ]);
    const entries = await indexBytes(archive);
    assert.deepEqual(
      [...entries].map(([name, { size }]) => [name, size]),
      [
        ["index.json", 2],
        [long, 1000],
        ["empty", 0],
        [`blobs/sha384/${"cd".repeat(48)}`, 1],
      ],
    );
    const entry = entries.get(long)!;
    assert.equal(archive.subarray(entry.offset, entry.offset + entry.size).toString(), "x".repeat(1000));
  });

  it("reads what GNU tar writes in its formats, with and without ./ in front", async () => {
    const long = "n".repeat(120);
    await mkdir(join(folder, "in", "blobs"), { recursive: true });
    await writeFile(join(folder, "in", "blobs", "a"), "A");
    await writeFile(join(folder, "in", long), "B");
    for (const format of ["gnu", "pax", "ustar"]) {
      const path = join(folder, `${format}.tar`);
      const names = format === "ustar" ? ["./blobs"] : ["./blobs", `./${long}`];
      await run("tar", ["--format", format, "-C", join(folder, "in"), "-cf", path, ...names]);
      const entries = await indexFile(path);
      assert.equal(entries.get("blobs/a")?.size, 1, format);
      if (format !== "ustar") assert.equal(entries.get(long)?.size, 1, format);
    }
  });

  it("writes headers that GNU tar reads back, for names and sizes of every length", async () => {
    const names = ["a", "blobs/", "n".repeat(100), "n".repeat(101), `blobs/sha512/${"0".repeat(128)}`];
    const path = join(folder, "own.tar");
    const parts = names.flatMap((name) => [
      writeTarHeader(name, name.endsWith("/") ? 0 : 3),
      ascii(name.endsWith("/") ? "" : "abc".padEnd(512, "\0")),
    ]);
    await writeFile(path, concatBytes([...parts, new Uint8Array(1024)]));
    const { stdout } = await run("tar", ["-tf", path]);
    assert.deepEqual(stdout.trim().split("\n"), names);
    const entries = await indexFile(path);
    assert.deepEqual(
      [...entries.keys()],
      names.filter((name) => !name.endsWith("/")),
    );
  });

  it("announces sizes beyond eleven octal digits so that GNU tar understands them", async () => {
    const size = 9 * 1024 ** 3;
    const path = join(folder, "large.tar");
    const handle = await open(path, "w");
    const header = writeTarHeader("large", size);
    await handle.write(header);
    await handle.truncate(header.length + size + 1024);
    await handle.close();
    const { stdout } = await run("tar", ["-tvf", path]);
    assert.match(stdout, new RegExp(` ${size} `));
    assert.deepEqual((await indexFile(path)).get("large"), { offset: header.length, size });
  });

  it("writes headers of one block for any size, and links, as GNU tar understands them", async () => {
    const path = join(folder, "own.tar");
    const [small, large] = [3, 9 * 1024 ** 3];
    const handle = await open(path, "w");
    await handle.write(writeSizedHeader("small", small), 0, 512, 0);
    await handle.write(writeLinkHeader("a/link", "../small"), 0, 512, 1024);
    await handle.write(writeSizedHeader("large", large), 0, 512, 1536);
    await handle.truncate(2048 + large + 1024);
    await handle.close();
    const { stdout } = await run("tar", ["-tvf", path]);
    assert.match(stdout, / 3 .* small\n.* a\/link -> \.\.\/small\n.* 9663676416 .* large\n$/);
    const links = new Map<string, string>();
    const reader = await open(path);
    try {
      const entries = await indexTar(reader, (await reader.stat()).size, "own.tar", links);
      assert.deepEqual(
        [...entries],
        [
          ["small", { offset: 512, size: 3 }],
          ["large", { offset: 2048, size: large }],
        ],
      );
      assert.deepEqual([...links], [["a/link", "small"]]);
    } finally {
      await reader.close();
    }
  });

  it("reads the long links of GNU tar's formats, where links are taken", async () => {
    const [long, target] = ["n".repeat(120), `b/${"t".repeat(120)}`];
    await mkdir(join(folder, "in", "d"), { recursive: true });
    await symlink(`../${target}`, join(folder, "in", "d", long));
    for (const format of ["gnu", "pax"]) {
      const path = join(folder, `${format}.tar`);
      await run("tar", ["--format", format, "-C", join(folder, "in"), "-cf", path, "d"]);
      const links = new Map<string, string>();
      await using handle = await open(path);
      await indexTar(handle, (await handle.stat()).size, "archive.tar", links);
      assert.deepEqual([...links], [[`d/${long}`, target]], format);
    }
  });

  it("refuses names that climb, start at the root, repeat or are empty", async () => {
    for (const [name, message] of [
      ["../evil", /climbs out/],
      ["a/../../evil", /climbs out/],
      ["blobs/..", /climbs out/],
      ["/etc/passwd", /absolute/],
    ] as const) {
      await refused(await packed([[{ name }, "x"]]), message);
      await refused(await packed([[{ name: "fine", pax: { path: name } }, "x"]]), message);
    }
    await refused(await packed([[{ name: "./" }, "x"]]), /without a name/);
    await refused(
      await packed([
        [{ name: "a" }, "x"],
        [{ name: "b" }, ""],
        [{ name: "./a" }, "y"],
      ]),
      /"a" appears twice/,
    );
    await refused(await packed([[{ name: "a", pax: { path: "b\0c" } }, "x"]]), /NUL/);
  });

  it("refuses links, devices, pipes and unknown types, wherever they point", async () => {
    for (const [header, message] of [
      [{ name: "a", type: "symlink", linkname: "/etc/passwd" }, /symbolic link/],
      [{ name: "a", type: "symlink", linkname: "index.json" }, /symbolic link/],
      [{ name: "a", type: "link", linkname: "index.json" }, /hard link/],
      [{ name: "a", type: "character-device" }, /character device/],
      [{ name: "a", type: "block-device" }, /block device/],
      [{ name: "a", type: "fifo" }, /a pipe/],
    ] as const) {
      await refused(await packed([[header, ""]]), message);
    }
    const plain = await packed([[{ name: "a" }, "x"]]);
    for (const type of ["S", "7", "K", "V", "\u00ff"]) await refused(altered(plain, 156, type), /sparse|unknown type/);
    await refused(await packed([[{ name: "a", pax: { "GNU.sparse.major": "1" } }, "x"]]), /sparse/);
  });

  it("refuses sizes that reach beyond the archive, negative and absurd ones", async () => {
    const plain = await packed([[{ name: "a" }, "x"]]);
    await refused(altered(plain, 124, "00077777777\0"), /beyond the archive's end/);
    await refused(altered(plain, 124, "77777777777\0"), /beyond the archive's end/);
    await refused(altered(plain, 124, `\x80${"\0".repeat(3)}\x7f${"\xff".repeat(7)}`), /absurd size/);
    await refused(altered(plain, 124, `\xff${"\xff".repeat(11)}`), /absurd size/);
    await refused(altered(plain, 124, "-0000000001\0"), /malformed size/);
    await refused(altered(plain, 124, "00000000009\0"), /malformed size/);
    for (const size of ["-1", "1e3", "0x1", "99999999999999999", " 1", ""]) {
      await refused(await packed([[{ name: "a", pax: { size } }, "x"]]), /malformed size/);
    }
    await refused(await packed([[{ name: "a", pax: { size: "4096" } }, "x"]]), /beyond the archive's end/);
  });

  it("refuses truncated archives at every length", async () => {
    const archive = await packed([
      [{ name: "a" }, "x".repeat(700)],
      [{ name: "b".repeat(150) }, "y"],
    ]);
    for (let length = 0; length < archive.length; length += 128) {
      await assert.rejects(indexBytes(archive.subarray(0, length)), { code: "image-malformed" }, `${length}`);
    }
    assert.equal((await indexBytes(archive)).size, 2);
  });

  it("refuses a wrong checksum, another format and data between the two halves of the end mark", async () => {
    const plain = await packed([[{ name: "a" }, "x"]]);
    const flipped = Uint8Array.from(plain);
    flipped[0]! ^= 1;
    await refused(flipped, /checksum/);
    await refused(new Uint8Array(4096).fill(65), /not a tar header/);
    const middle = Uint8Array.from(plain);
    middle[plain.length - 1] = 1;
    await refused(middle, /end mark/);
  });

  it("says how to unpack compressed archives", async () => {
    const plain = await packed([[{ name: "a" }, "x".repeat(5000)]]);
    await refused(gzipSync(plain, { level: 0 }), /compressed with gzip/);
    await refused(concatBytes([zstdCompressSync(plain), new Uint8Array(512)]), /compressed with zstd/);
    await refused(concatBytes([brotliCompressSync(plain), new Uint8Array(512)]), /not a tar header/);
  });

  it("refuses malformed, doubled and orphaned extended headers and global ones that rename", async () => {
    const withPax = await packed([[{ name: "a", pax: { comment: "hello" } }, "x"]]);
    assert.equal((await indexBytes(withPax)).size, 1);
    for (const record of ["99 path=b\n", "0 x=y\n", "x path=b\n", "9 path=bb\n", "11 path=b\n", "6 =bc\n\n"]) {
      const bad = Uint8Array.from(withPax);
      bad.fill(0x0a, 512, 1024);
      bad.set(ascii(record), 512);
      await assert.rejects(indexBytes(bad), { code: "image-malformed" }, record);
    }
    const extension = withPax.subarray(0, 1024);
    await refused(concatBytes([extension, withPax]), /two extended headers/);
    await refused(concatBytes([extension, new Uint8Array(1024)]), /without its entry/);
    const globalComment = altered(altered(withPax, 156, "g"), 124, "00000000021\0");
    globalComment.set(ascii("17 comment=hello\n"), 512);
    assert.equal((await indexBytes(globalComment)).size, 1);
    const globalPath = altered(await packed([[{ name: "a", pax: { path: "b" } }, "x"]]), 156, "g");
    await refused(globalPath, /global header/);
  });

  it("never fails but with a word on the archive, and never indexes what is not there, whatever is changed in it", async () => {
    const archive = await packed([
      [{ name: "blobs", type: "directory" }, ""],
      [{ name: `blobs/sha512/${"ab".repeat(64)}` }, "x".repeat(700)],
      [{ name: "index.json", pax: { comment: "c" } }, "{}"],
      [{ name: "oci-layout" }, "y"],
      [{ name: "a/link", type: "symlink", linkname: "../oci-layout" }, ""],
    ]);
    const random = makeSeededRandom(17);
    let accepted = 0;
    for (let round = 0; round < 5000; round++) {
      const bytes = Uint8Array.from(archive);
      const start = random.integer(bytes.length / 512) * 512;
      for (let change = random.integer(4); change >= 0; change--) {
        // Mostly in headers, where it matters; their checksum is made right again.
        bytes[start + random.integer(350)] = random.pick([
          0,
          0x20,
          0x2e,
          0x2f,
          0x30,
          0x37,
          0x80,
          0xff,
          random.integer(256),
        ]);
      }
      if (random.next() < 0.9) bytes.set(altered(bytes.subarray(start, start + 512), 0, ""), start);
      const cut = random.next() < 0.1 ? random.integer(bytes.length) : bytes.length;
      const reader = {
        read: async (buffer: Uint8Array, offset: number, length: number, position: number) => {
          const part = bytes.subarray(Math.min(position, cut), Math.min(position + length, cut));
          buffer.set(part, offset);
          return { bytesRead: part.length };
        },
      };
      try {
        const links = new Map<string, string>();
        const entries = await indexTar(reader, cut, "mutated", links);
        for (const target of links.values()) {
          assert.ok(!target.startsWith("/") && !target.split("/").includes(".."), target);
        }
        accepted++;
        for (const [name, { offset, size }] of entries) {
          assert.ok(name !== "" && !name.startsWith("/") && !name.split("/").includes(".."), name);
          assert.ok(Number.isSafeInteger(size) && size >= 0 && offset + size <= cut);
        }
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }
    // Both arms were tried.
    assert.ok(accepted > 100 && accepted < 4900, `${accepted}`);
  });
});
