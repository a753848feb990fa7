import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, closeSync, constants, openSync, symlinkSync, writeFileSync } from "node:fs";
import { type TestContext, describe, it } from "node:test";
import { FormatError, StoreError } from "@signet/core";
import { type TempDir, makeTempDir, run, runChecked } from "@signet/testkit";
import { readFileBounded } from "./bounded-file.ts";

const text = (content: Uint8Array): string => new TextDecoder().decode(content);
const modulePath = new URL("bounded-file.ts", import.meta.url).href;

function makeFolder(t: TestContext): TempDir {
  const folder = makeTempDir("signet-bounded-");
  t.after(() => folder.dispose());
  return folder;
}

async function makePipe(folder: TempDir): Promise<string> {
  await runChecked("mkfifo", [folder.join("pipe")]);
  return folder.join("pipe");
}

function failsWith(kind: typeof StoreError | typeof FormatError, code: string, message: RegExp) {
  return (error: unknown): true => {
    assert.ok(error instanceof kind, `${String(error)} is not a ${kind.name}`);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

describe("readFileBounded", () => {
  it("reads a file up to the limit and refuses one byte more", async (t) => {
    const path = makeFolder(t).join("f");
    writeFileSync(path, "12345");
    assert.equal(text(await readFileBounded(path, 5, "test file")), "12345");
    await assert.rejects(
      readFileBounded(path, 4, "test file"),
      failsWith(FormatError, "input-too-large", /test file .*5 bytes, the limit is 4/),
    );
  });

  it("reads files around the size up to which they are read on the spot", async (t) => {
    const folder = makeFolder(t);
    for (const size of [1, 65_535, 65_536, 65_537, 300_000]) {
      const content = Buffer.alloc(size, `${size} `);
      writeFileSync(folder.join("f"), content);
      assert.deepEqual(Buffer.from(await readFileBounded(folder.join("f"), size, "file")), content);
    }
  });

  it("reads files that promise a size of 0, and empty files", async (t) => {
    assert.match(text(await readFileBounded("/proc/self/status", 1_000_000, "status")), /^Name:/);
    const empty = makeFolder(t).join("empty");
    writeFileSync(empty, "");
    assert.equal((await readFileBounded(empty, 10, "file")).length, 0);
  });

  it("takes all of a file that grows while it is read, or refuses it at the limit", async (t) => {
    const path = makeFolder(t).join("growing");
    const limit = 2_000_000;
    appendFileSync(path, "0123456\n");
    const writer = spawn("sh", ["-c", 'exec yes 0123456 >> "$0"', path], { stdio: "ignore" });
    t.after(() => writer.kill("SIGKILL"));
    const whole = Buffer.alloc(limit, "0123456\n");
    let length = 0;
    for (;;) {
      const content = await readFileBounded(path, limit, "file").catch((error: unknown) => {
        failsWith(FormatError, "input-too-large", /the limit is 2000000/)(error);
      });
      if (content === undefined) break;
      assert.ok(content.length >= length && content.length <= limit);
      assert.ok(whole.subarray(0, content.length).equals(content));
      ({ length } = content);
    }
    writer.kill("SIGKILL");
    await once(writer, "close");
  });

  it("stops reading an endless device at the limit, and refuses it where only regular files will do", async () => {
    await assert.rejects(
      readFileBounded("/dev/zero", 100_000, "key file"),
      failsWith(FormatError, "input-too-large", /the limit is 100000/),
    );
    await assert.rejects(
      readFileBounded("/dev/zero", 100_000, "key file", { regularOnly: true }),
      failsWith(StoreError, "file-unreadable", /not a regular file/),
    );
    assert.equal((await readFileBounded("/dev/null", 1, "key file")).length, 0);
  });

  it("reads a pipe up to the limit, unless only regular files will do", async (t) => {
    const pipe = await makePipe(makeFolder(t));
    await assert.rejects(
      readFileBounded(pipe, 100, "signature", { regularOnly: true }),
      failsWith(StoreError, "file-unreadable", /not a regular file/),
    );
    const write = (command: string): Promise<unknown> => run("sh", ["-c", `${command} > "$0"`, pipe]);
    const [content] = await Promise.all([readFileBounded(pipe, 100, "passphrase"), write("printf hunter2")]);
    assert.equal(text(content), "hunter2");
    const long = write("head -c 300000 /dev/zero");
    assert.equal((await readFileBounded(pipe, 300_000, "key")).length, 300_000);
    await long;
    const endless = write("cat /dev/zero");
    await assert.rejects(
      readFileBounded(pipe, 100_000, "key"),
      failsWith(FormatError, "input-too-large", /the limit is 100000/),
    );
    // Refused means closed: the writer is told.
    await endless;
  });

  it("waits for a pipe that nobody writes to without keeping other reads, or the process, from their end", async (t) => {
    const folder = makeFolder(t);
    const pipe = await makePipe(folder);
    writeFileSync(folder.join("file"), "read");
    // More waiting reads than the thread pool has threads.
    const script = `
      const { readFileBounded } = await import(${JSON.stringify(modulePath)});
      for (let number = 0; number < 8; number++) void readFileBounded(${JSON.stringify(pipe)}, 100, "key");
      const content = await readFileBounded(${JSON.stringify(folder.join("file"))}, 100, "file");
      console.log(new TextDecoder().decode(content));
      process.exit(7);`;
    const args = ["--conditions=@signet/source", "--input-type=module", "--eval", script];
    const { status, stdout, stderr } = await run(process.execPath, args);
    assert.deepEqual([status, stdout], [7, "read\n"], stderr);
  });

  it("reads what a shell's <(…) hands over", async () => {
    const script = `
      const { readFileBounded } = await import(${JSON.stringify(modulePath)});
      console.log(new TextDecoder().decode(await readFileBounded(process.argv[1], 100, "key")));`;
    const line = '"$0" --conditions=@signet/source --input-type=module --eval "$1" <(printf one; printf two)';
    const { stdout, stderr } = await run("bash", ["-c", line, process.execPath, script]);
    assert.equal(stdout, "onetwo\n", stderr);
  });

  it("closes what it opened, whatever came of it", async (t) => {
    const folder = makeFolder(t);
    const pipe = await makePipe(folder);
    const next = (): number => {
      const descriptor = openSync("/dev/null", constants.O_RDONLY);
      closeSync(descriptor);
      return descriptor;
    };
    writeFileSync(folder.join("f"), "12345");
    const before = next();
    await readFileBounded(folder.join("f"), 5, "file");
    await assert.rejects(readFileBounded(folder.join("f"), 4, "file"));
    await assert.rejects(readFileBounded(folder.path, 4, "file"));
    await assert.rejects(readFileBounded("/dev/zero", 4, "file"));
    await assert.rejects(readFileBounded(pipe, 4, "file", { regularOnly: true }));
    assert.equal(next(), before);
  });

  it("says which file is missing, a directory or below something that is no directory", async (t) => {
    const folder = makeFolder(t);
    await assert.rejects(
      readFileBounded(folder.join("no"), 1, "policy"),
      failsWith(StoreError, "file-missing", /policy .*no: no such file/),
    );
    await assert.rejects(
      readFileBounded(folder.path, 1, "policy"),
      failsWith(StoreError, "file-unreadable", /it is a directory/),
    );
    symlinkSync("loop", folder.join("loop"));
    await assert.rejects(
      readFileBounded(folder.join("loop"), 1, "policy"),
      failsWith(StoreError, "file-unreadable", /symbolic links/),
    );
  });
});
