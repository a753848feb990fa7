import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, readdir, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { promisify } from "node:util";
import { StoreError } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { addSignature, readSignatureFolder, removeSignatures, replaceSignatures } from "./signature-folder.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function makeFolder(t: TestContext): string {
  const dir = makeTempDir("signet-signature-folder-");
  t.after(() => dir.dispose());
  return dir.join("ns", "app@sha256=00");
}

async function readTexts(folder: string): Promise<string[]> {
  const { signatures } = await readSignatureFolder(folder, "store");
  return signatures.map(({ bytes }) => new TextDecoder().decode(bytes));
}

async function put(folder: string, texts: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [index, text] of texts.entries()) await writeFile(join(folder, `signature-${index + 1}`), text);
}

describe("a folder of signatures", () => {
  it("ends at the first gap: later files are not seen", async (t) => {
    const folder = makeFolder(t);
    await put(folder, ["a", "b", "c"]);
    await rm(join(folder, "signature-2"));
    const reading = await readSignatureFolder(folder, "store");
    assert.equal(reading.signatures.length, 1);
    assert.deepEqual(reading.attempts, [
      { location: `${folder}/signature-1`, outcome: "found" },
      { location: `${folder}/signature-2`, outcome: "absent" },
    ]);
  });

  it("hands out an empty file as an empty signature, and goes on", async (t) => {
    const folder = makeFolder(t);
    await put(folder, ["", "good"]);
    assert.deepEqual(await readTexts(folder), ["", "good"]);
  });

  it("T12: fails for what exists and cannot be read", async (t) => {
    const folder = makeFolder(t);
    const first = join(folder, "signature-1");
    const breakages: readonly (() => Promise<unknown>)[] = [
      () => mkdir(first),
      () => symlink("signature-1", first),
      () => promisify(execFile)("mkfifo", [first]),
      () => symlink(join(folder, "..", "file", "below"), first),
    ];
    await put(folder, []);
    await writeFile(join(folder, "..", "file"), "");
    for (const breakage of breakages) {
      await breakage();
      await assert.rejects(readSignatureFolder(folder, "store"), (error) => error instanceof StoreError);
      await assert.rejects(addSignature(folder, encode("x")), (error) => error instanceof StoreError);
      await rm(first, { recursive: true });
    }
    await assert.rejects(readSignatureFolder(join(folder, "..", "file"), "store"), StoreError);
  });

  it("follows a link to a signature", async (t) => {
    const folder = makeFolder(t);
    await put(folder, ["a"]);
    await symlink("signature-1", join(folder, "signature-2"));
    assert.deepEqual(await readTexts(folder), ["a", "a"]);
  });

  it("is made with files that a web server can read, and nothing else is left in it", async (t) => {
    const folder = makeFolder(t);
    const before = process.umask(0o022);
    try {
      await replaceSignatures(folder, [encode("a"), encode("b")]);
      await addSignature(folder, encode("c"));
    } finally {
      process.umask(before);
    }
    assert.equal((await stat(folder)).mode & 0o777, 0o755);
    assert.equal((await stat(join(folder, ".."))).mode & 0o777, 0o755);
    for (const name of ["signature-1", "signature-2", "signature-3"])
      assert.equal((await stat(join(folder, name))).mode & 0o777, 0o644);
    assert.deepEqual((await readdir(folder)).toSorted(), ["signature-1", "signature-2", "signature-3"]);
  });

  it("is filled at the first free number, which can be a gap", async (t) => {
    const folder = makeFolder(t);
    await put(folder, ["a", "b", "c"]);
    await rm(join(folder, "signature-2"));
    assert.equal(await addSignature(folder, encode("new")), `${folder}/signature-2`);
    assert.deepEqual(await readTexts(folder), ["a", "new", "c"]);
  });

  it("loses what is too many, behind gaps as well, and keeps what is not ours", async (t) => {
    const folder = makeFolder(t);
    await put(folder, ["a", "b", "c", "d", "e"]);
    await rm(join(folder, "signature-4"));
    await writeFile(join(folder, "README"), "kept");
    await replaceSignatures(folder, [encode("z")]);
    assert.deepEqual((await readdir(folder)).toSorted(), ["README", "signature-1"]);
    await removeSignatures(folder);
    assert.deepEqual(await readdir(folder), ["README"]);
  });

  it("is emptied from the end, so that a removal cut short leaves no gap for later signatures to reappear behind", async (t) => {
    const folder = makeFolder(t);
    await put(folder, ["a", "b", "c", "d", "e"]);
    await rm(join(folder, "signature-3"));
    await mkdir(join(folder, "signature-3"));
    await assert.rejects(replaceSignatures(folder, [encode("z")]), { code: "file-unwritable" });
    assert.deepEqual((await readdir(folder)).toSorted(), ["signature-1", "signature-2", "signature-3"]);
  });

  it("is not made by removing from it", async (t) => {
    const folder = makeFolder(t);
    await removeSignatures(folder);
    await replaceSignatures(folder, []);
    await assert.rejects(stat(folder), { code: "ENOENT" });
  });

  it("takes no more than readers take, and no empty signature; then it is as it was", async (t) => {
    const folder = makeFolder(t);
    await put(folder, ["a"]);
    for (const blobs of [
      Array.from({ length: 129 }, (_, index) => encode(`${index}`)),
      [new Uint8Array()],
      [new Uint8Array(4 * 1024 * 1024 + 1).fill(1)],
    ])
      await assert.rejects(replaceSignatures(folder, blobs), { code: "signature-store-unwritable" });
    assert.deepEqual(await readdir(folder), ["signature-1"]);
    assert.deepEqual(await readTexts(folder), ["a"]);
  });

  it("reports a place that cannot be written, and leaves nothing there", async (t) => {
    const folder = makeFolder(t);
    await put(join(folder, ".."), []);
    await writeFile(folder, "a file in its place");
    await assert.rejects(addSignature(folder, encode("a")), { code: "file-unwritable" });
    await assert.rejects(replaceSignatures("/proc/nowhere/x@sha256=0", [encode("a")]), { code: "file-unwritable" });
  });

  it("shows readers a row without a gap while it is replaced again and again", async (t) => {
    const folder = makeFolder(t);
    const states = [["1a", "2a", "3a", "4a"], ["1b"], ["1c", "2c"], ["1d", "2d", "3d", "4d", "5d"]];
    await replaceSignatures(folder, states[0]!.map(encode));
    let writing = true;
    const reader = (async (): Promise<number> => {
      let reads = 0;
      while (writing) {
        for (const [index, text] of (await readTexts(folder)).entries())
          assert.match(text, new RegExp(`^${index + 1}[abcd]$`));
        reads++;
        await new Promise((resolve) => setImmediate(resolve));
      }
      return reads;
    })();
    for (let round = 0; round < 20; round++) {
      const state = states[round % states.length]!;
      await replaceSignatures(folder, state.map(encode));
      assert.deepEqual(await readTexts(folder), state);
    }
    writing = false;
    assert.ok((await reader) > 0);
  });

  it("keeps what two processes add at the same time", async (t) => {
    const folder = makeFolder(t);
    const script = (name: string): string => `
      import { addSignature } from ${JSON.stringify(new URL("./signature-folder.ts", import.meta.url).href)};
      for (let i = 0; i < 15; i++) await addSignature(${JSON.stringify(folder)}, new TextEncoder().encode("${name}" + i));`;
    const writers = ["x", "y"].map((name) => startScript(script(name)));
    const codes = await Promise.all(writers.map(async (child) => (await once(child, "exit"))[0] as number));
    assert.deepEqual(codes, [0, 0]);
    const texts = await readTexts(folder);
    assert.equal(texts.length, 30);
    assert.equal(new Set(texts).size, 30);
    // Each writer's own order is kept.
    for (const name of ["x", "y"])
      assert.deepEqual(
        texts.filter((text) => text.startsWith(name)),
        Array.from({ length: 15 }, (_, index) => `${name}${index}`),
      );
  });

  it("T27: is whole after its writer was killed at any moment, and the next writer cleans up", async (t) => {
    const folder = makeFolder(t);
    const script = `
      import { replaceSignatures } from ${JSON.stringify(new URL("./signature-folder.ts", import.meta.url).href)};
      console.log("ready");
      for (let round = 0; ; round++) {
        const blobs = Array.from({ length: 1 + (round % 4) }, (_, i) => new Uint8Array(20_000).fill(0x41 + i));
        await replaceSignatures(${JSON.stringify(folder)}, blobs);
      }`;
    for (let kill = 0; kill < 8; kill++) {
      const child = startScript(script);
      await once(child.stdout!, "data");
      await new Promise((resolve) => setTimeout(resolve, 5 + kill * 7));
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
      for (const [index, text] of (await readTexts(folder)).entries())
        assert.equal(text, String.fromCharCode(0x41 + index).repeat(20_000));
    }
    const texts = await readTexts(folder);
    await addSignature(folder, encode("last"));
    assert.deepEqual(await readTexts(folder), [...texts, "last"]);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => !/^(?:signature-\d|\.\.signet\.lock\.signet-[0-9a-f]{16})$/.test(name)),
      [],
    );
  });

  it("sweeps away the half-written file of a writer that died, and no other hidden file", async (t) => {
    const folder = makeFolder(t);
    await put(folder, ["a"]);
    await writeFile(join(folder, ".signature-2.signet-0123456789abcdef"), "half");
    await writeFile(join(folder, ".htaccess"), "kept");
    // What processes left behind that were killed before and after they named themselves, and what one that may still wait on another machine made.
    const [empty, long, now] = ["0123456789abcdef", "123456789abcdef0", "fedcba9876543210"].map(
      (id) => `..signet.lock.signet-${id}`,
    ) as [string, string, string];
    await writeFile(join(folder, empty), "");
    for (const part of [long, now]) await writeFile(join(folder, part), `7 7 elsewhere.example ${part}\n`);
    await utimes(join(folder, long), 0, 0);
    await addSignature(folder, encode("b"));
    assert.deepEqual((await readdir(folder)).toSorted(), [now, ".htaccess", "signature-1", "signature-2"]);
    assert.equal(await readFile(join(folder, "signature-2"), "utf8"), "b");
  });
});

function startScript(script: string): ChildProcess {
  return spawn(process.execPath, ["--conditions=@signet/source", "--input-type=module", "--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}
