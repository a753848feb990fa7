import assert from "node:assert/strict";
import { spawn, execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { withFileLock } from "./file-lock.ts";

const run = promisify(execFile);

let folder: string;
let lock: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "signet-file-lock-"));
  lock = join(folder, "lock");
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const moduleUrl = JSON.stringify(new URL("./file-lock.ts", import.meta.url).href);
const nodeArguments = ["--conditions=@signet/source", "--input-type=module", "--eval"];

describe("withFileLock", () => {
  it("lets one at a time in, within a process and between processes, and leaves nothing", async () => {
    const counter = join(folder, "counter");
    await writeFile(counter, "0");
    // Reading, then writing one more: without the lock, counts get lost.
    const script = `
      import { readFile, writeFile } from "node:fs/promises";
      import { withFileLock } from ${moduleUrl};
      await Promise.all(Array.from({ length: 10 }, () => withFileLock(${JSON.stringify(lock)}, async () => {
        const count = Number(await readFile(${JSON.stringify(counter)}, "utf8"));
        await new Promise((resolve) => setTimeout(resolve, 1));
        await writeFile(${JSON.stringify(counter)}, String(count + 1));
      })));`;
    await Promise.all([1, 2, 3].map(() => run(process.execPath, [...nodeArguments, script])));
    assert.equal(await readFile(counter, "utf8"), "30");
    assert.deepEqual(await readdir(folder), ["counter"]);
  });

  it("breaks the lock of a process that was killed", async () => {
    const script = `
      import { withFileLock } from ${moduleUrl};
      await withFileLock(${JSON.stringify(lock)}, () => { console.log("held"); return new Promise(() => setInterval(() => {}, 1000)); });`;
    const child = spawn(process.execPath, [...nodeArguments, script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    await assert.rejects(
      withFileLock(lock, async () => "in", { waitMs: 20 }),
      {
        code: "store-busy",
        message: new RegExp(`held by process ${child.pid} on ${hostname()}`),
      },
    );
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.equal(await withFileLock(lock, async () => "in"), "in");
    assert.deepEqual(await readdir(folder), []);
  });

  it("breaks a lock whose process number was given to somebody else", async () => {
    await writeFile(lock, `${process.pid} 1 ${hostname()} x\n`);
    assert.equal(await withFileLock(lock, async () => "in", { waitMs: 20 }), "in");
  });

  it("never breaks the lock of another machine, or one it cannot read", async () => {
    for (const holder of [`1 1 another-host x\n`, "", "garbage"]) {
      await writeFile(lock, holder);
      await assert.rejects(
        withFileLock(lock, async () => "in", { waitMs: 5 }),
        { code: "store-busy" },
      );
      assert.equal(await readFile(lock, "utf8"), holder);
    }
  });

  it("makes its part again when the holder took it for that of a killed process", async () => {
    let waiter: Promise<string> | undefined;
    await withFileLock(lock, async () => {
      const held = await readdir(folder);
      waiter = withFileLock(lock, async () => "entered");
      let part: string | undefined;
      for (const deadline = performance.now() + 10_000; part === undefined && performance.now() < deadline;)
        part = (await readdir(folder)).find((name) => !held.includes(name));
      assert.ok(part !== undefined);
      await rm(join(folder, part));
    });
    assert.equal(await waiter, "entered");
    assert.deepEqual(await readdir(folder), []);
  });

  it("frees the lock when the action fails", async () => {
    await assert.rejects(
      withFileLock(lock, async () => {
        throw new Error("inside");
      }),
      /inside/,
    );
    assert.deepEqual(await readdir(folder), []);
  });

  it("says that the folder cannot be written", async () => {
    await assert.rejects(
      withFileLock(join(folder, "missing", "lock"), async () => "in"),
      { code: "file-unwritable" },
    );
  });
});
