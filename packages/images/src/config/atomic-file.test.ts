import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, lstat, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { type FormatError, StoreError } from "@signet/core";
import { writeFileAtomic } from "./atomic-file.ts";
import { readFileBounded } from "./bounded-file.ts";

const run = promisify(execFile);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "signet-atomic-file-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function failsWith(kind: typeof StoreError | typeof FormatError, code: string, message: RegExp) {
  return (error: unknown): true => {
    assert.ok(error instanceof kind, `${String(error)} is not a ${kind.name}`);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

describe("writeFileAtomic", () => {
  it("creates a file readable by all and leaves nothing beside it", async () => {
    const path = join(folder, "policy.json");
    await writeFileAtomic(path, bytes("new"));
    assert.equal(await readFile(path, "utf8"), "new");
    assert.equal((await stat(path)).mode & 0o777, 0o644);
    assert.deepEqual(await readdir(folder), ["policy.json"]);
  });

  it("gives the file exactly the mode asked for, whatever the umask", async () => {
    const path = join(folder, "auth.json");
    await writeFile(path, "old", { mode: 0o666 });
    const before = process.umask(0o077);
    try {
      await writeFileAtomic(path, bytes("secret"), { mode: 0o604 });
    } finally {
      process.umask(before);
    }
    assert.equal((await stat(path)).mode & 0o777, 0o604);
  });

  it("keeps the mode of the file it replaces when none is asked for", async () => {
    const path = join(folder, "f");
    await writeFile(path, "old");
    await chmod(path, 0o640);
    await writeFileAtomic(path, bytes("new"));
    assert.equal((await stat(path)).mode & 0o777, 0o640);
    assert.equal(await readFile(path, "utf8"), "new");
  });

  it("keeps a symbolic link and replaces what it points to, also when that does not exist yet", async () => {
    await mkdir(join(folder, "real"));
    await writeFile(join(folder, "real", "target"), "old");
    await symlink("real/target", join(folder, "link"));
    await symlink("link", join(folder, "link2"));
    await writeFileAtomic(join(folder, "link2"), bytes("new"));
    assert.ok((await lstat(join(folder, "link"))).isSymbolicLink());
    assert.equal(await readFile(join(folder, "real", "target"), "utf8"), "new");

    await symlink("real/later", join(folder, "dangling"));
    await writeFileAtomic(join(folder, "dangling"), bytes("late"));
    assert.equal(await readFile(join(folder, "real", "later"), "utf8"), "late");
    assert.ok((await lstat(join(folder, "dangling"))).isSymbolicLink());
  });

  it("refuses a loop of links, a directory and a missing folder, naming the path and the next step", async () => {
    await symlink("b", join(folder, "a"));
    await symlink("a", join(folder, "b"));
    await assert.rejects(
      writeFileAtomic(join(folder, "a"), bytes("x")),
      failsWith(StoreError, "file-unwritable", /too many/),
    );
    await assert.rejects(writeFileAtomic(folder, bytes("x")), failsWith(StoreError, "file-unwritable", /directory/));
    const missing = join(folder, "missing", "file");
    await assert.rejects(writeFileAtomic(missing, bytes("x")), (error) => {
      assert.ok(failsWith(StoreError, "file-unwritable", /no such file/)(error));
      assert.match((error as StoreError).message, new RegExp(missing));
      assert.match((error as StoreError).hint ?? "", /folder/);
      return true;
    });
    await writeFile(join(folder, "file"), "");
    await assert.rejects(
      writeFileAtomic(join(folder, "file", "below"), bytes("x")),
      failsWith(StoreError, "file-unwritable", /not a directory/),
    );
  });

  it("reports a full disk as such", async () => {
    await assert.rejects(writeFileAtomic("/dev/full", bytes("x")), failsWith(StoreError, "disk-full", /no space left/));
  });

  it("leaves the old file whole and no temporary one when writing stops half way", async () => {
    const path = join(folder, "kept");
    await writeFile(path, "old");
    const script = `
      import { writeFileAtomic } from ${JSON.stringify(new URL("./atomic-file.ts", import.meta.url).href)};
      try { await writeFileAtomic(${JSON.stringify(path)}, new Uint8Array(100_000)); console.log("written"); }
      catch (error) { console.log(error.code, error.cause?.code); }`;
    // A file size limit of 4 KiB makes the write fail after it began.
    const { stdout } = await run("prlimit", [
      "--fsize=4096",
      process.execPath,
      "--conditions=@signet/source",
      "--input-type=module",
      "--eval",
      script,
    ]);
    assert.equal(stdout.trim(), "file-unwritable EFBIG");
    assert.equal(await readFile(path, "utf8"), "old");
    assert.deepEqual(await readdir(folder), ["kept"]);
  });

  it("never shows a reader anything but the old or the new content", async () => {
    const path = join(folder, "switching");
    const contents = [bytes("a".repeat(100_000)), bytes("b".repeat(200_000))];
    await writeFileAtomic(path, contents[0]!);
    const writer = { active: true };
    const reader = (async (): Promise<number> => {
      let reads = 0;
      while (writer.active) {
        const seen = await readFileBounded(path, 1_000_000, "file");
        assert.ok(seen.length === 100_000 || seen.length === 200_000, `${seen.length}`);
        assert.ok(seen.every((byte) => byte === seen[0]));
        reads++;
      }
      return reads;
    })();
    for (let i = 0; i < 30; i++) await writeFileAtomic(path, contents[i % 2]!);
    writer.active = false;
    assert.ok((await reader) > 0);
  });

  it("writes to a standard output that is a pipe", async () => {
    const script = `
      import { writeFileAtomic } from ${JSON.stringify(new URL("./atomic-file.ts", import.meta.url).href)};
      await writeFileAtomic("/dev/stdout", new TextEncoder().encode("to the pipe"));`;
    const { stdout } = await run("sh", [
      "-c",
      '"$0" --conditions=@signet/source --input-type=module --eval "$1" | cat',
      process.execPath,
      script,
    ]);
    assert.equal(stdout, "to the pipe");
  });
});
