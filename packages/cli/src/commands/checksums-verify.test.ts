import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import {
  type GpgHome,
  type GpgKey,
  type TempDir,
  makeGpgHome,
  makeTempDir,
  requireTool,
  run,
  runChecked,
} from "@signet/testkit";
import { runSignet } from "../signet-process.ts";

describe("checksums verify", () => {
  let home: GpgHome | undefined;
  let key: GpgKey;
  let folder: TempDir;
  let publicKey: string;

  before(async () => {
    folder = makeTempDir();
    publicKey = folder.join("release.pub");
    mkdirSync(folder.join("dl/amd64"), { recursive: true });
    writeFileSync(folder.join("dl/client.tar.gz"), "client");
    writeFileSync(folder.join("dl/installer.tar.gz"), "installer");
    writeFileSync(folder.join("dl/amd64/tool"), "tool");
    const amd64 = await runChecked("sha256sum", ["tool"], { cwd: folder.join("dl/amd64") });
    writeFileSync(folder.join("dl/amd64/sha256sum.txt"), amd64.stdout);
    const names = ["client.tar.gz", "installer.tar.gz", "amd64/sha256sum.txt"];
    const list = await runChecked("sha256sum", names, { cwd: folder.join("dl") });
    writeFileSync(folder.join("dl/sha256sum.txt"), list.stdout);
  });
  after(async () => {
    await home?.dispose();
    folder.dispose();
  });

  /** Signs the list; false without gpg. */
  async function sign(
    t: Parameters<typeof requireTool>[0],
    file: string,
    ...args: readonly string[]
  ): Promise<boolean> {
    if (requireTool(t, "gpg") === undefined) return false;
    if (home === undefined) {
      home = await makeGpgHome();
      key = await home.generateKey({ algorithm: "rsa2048", userId: "Release <release@example.com>" });
      writeFileSync(publicKey, await home.exportPublic(key));
    }
    const options = ["--yes", "--pinentry-mode", "loopback", "--passphrase", key.passphrase, "--output", file];
    const { status, stderr } = await home.gpg([...options, ...args, folder.join("dl/sha256sum.txt")]);
    assert.equal(status, 0, stderr);
    return true;
  }
  const verify = (...args: readonly string[]): ReturnType<typeof runSignet> =>
    runSignet(["checksums", "verify", ...args], { cwd: folder.join("dl") });

  test("verifies each form, says which one it is, then checks the files, those of a list below too", async (t) => {
    for (const [file, args, form] of [
      ["dl/sha256sum.txt.gpg", ["--sign"], /an opaque message/],
      ["dl/sha256sum.txt.sig", ["--sign", "--armor"], /an opaque message .*armored/],
      ["dl/sha256sum.txt.asc", ["--detach-sign", "--armor"], /a detached signature/],
      ["dl/signed.txt", ["--clear-sign"], /a clear-signed list/],
    ] as const) {
      if (!(await sign(t, folder.join(file), ...args))) return;
      const { status, stdout, stderr } = await verify(file.slice(3), "--key", publicKey, "--check", ".");
      assert.equal(status, 0, stderr);
      assert.match(stdout, /^signature good\n/);
      assert.match(stdout, form);
      assert.match(stdout, new RegExp(`key {6}${key.fingerprint}`));
      assert.match(stdout, /user id {2}Release <release@example\.com>/);
      assert.match(
        stdout,
        /client\.tar\.gz: OK\ninstaller\.tar\.gz: OK\namd64\/sha256sum\.txt: OK\namd64\/tool: OK\n4 files: 4 ok\n$/,
      );
      rmSync(folder.join(file));
    }
  });

  test("refuses a plain list that differs from the signed one, where gpg says that all is well", async (t) => {
    if (!(await sign(t, folder.join("dl/sha256sum.txt.sig"), "--sign"))) return;
    const plain = readFileSync(folder.join("dl/sha256sum.txt"), "utf8");
    writeFileSync(folder.join("dl/sha256sum.txt"), plain.replace("client.tar.gz", "evil.tar.gz"));
    const byGpg = await home!.gpg(["--verify", folder.join("dl/sha256sum.txt.sig")]);
    assert.equal(byGpg.status, 0);
    const { status, stdout } = await verify("sha256sum.txt.sig", "--key", publicKey, "--check", ".");
    assert.equal(status, 1);
    assert.match(stdout, /^rejected\n/);
    assert.match(stdout, /the signed text and sha256sum\.txt differ/);
    assert.doesNotMatch(stdout, /OK/);
    writeFileSync(folder.join("dl/sha256sum.txt"), plain);
    rmSync(folder.join("dl/sha256sum.txt.sig"));
  });

  test("refuses a plain list, another key's signature, and a fingerprint that is not the signer's", async (t) => {
    const signed = folder.join("dl/sha256sum.txt.gpg");
    if (!(await sign(t, signed, "--sign"))) return;
    const plain = await verify("sha256sum.txt", "--key", publicKey);
    assert.equal(plain.status, 1);
    assert.match(plain.stdout, /not an OpenPGP message\n {4}hint: name what is signed: sha256sum\.txt\.gpg/);
    const redHat = await verify(signed);
    assert.equal(redHat.status, 1);
    assert.match(redHat.stdout, /not among the trusted keys/);
    const other = await verify(signed, "--key", publicKey, "--fingerprint", "0".repeat(40));
    assert.deepEqual([other.status, /not the key that was asked for/.test(other.stdout)], [1, true]);
    const spaced = key.fingerprint.replaceAll(/(.{4})/g, "$1 ").trim();
    assert.equal((await verify(signed, "--key", publicKey, "--fingerprint", spaced)).status, 0);
    rmSync(signed);
  });

  test("tells changed, missing, unreadable and unlisted files apart, by exit status too", async (t) => {
    const signed = folder.join("dl/sha256sum.txt.gpg");
    if (!(await sign(t, signed, "--sign"))) return;
    const client = folder.join("dl/client.tar.gz");
    const check = (...more: readonly string[]): ReturnType<typeof runSignet> =>
      verify("sha256sum.txt.gpg", "--key", publicKey, "--check", ".", ...more);
    writeFileSync(client, "changed");
    const changed = await check();
    assert.deepEqual([changed.status, /client\.tar\.gz: FAILED\n/.test(changed.stdout)], [1, true]);
    assert.match(changed.stderr, /^sha256sum: WARNING: 1 computed checksum did NOT match$/m);
    assert.equal((await check("installer.tar.gz")).status, 0);
    assert.equal((await check("nothing.tar.gz")).status, 64);
    // A file of a list below, which the signed one vouches for.
    const below = await check("./amd64/tool");
    assert.deepEqual(
      [below.status, below.stdout.split("\n").slice(-4)],
      [0, ["amd64/sha256sum.txt: OK", "amd64/tool: OK", "2 files: 2 ok", ""]],
    );
    assert.equal((await check("amd64/nothing")).status, 64);
    const nowhere = await verify("sha256sum.txt.gpg", "--key", publicKey, "--check", "nowhere");
    assert.deepEqual([nowhere.status, /there is no such folder/.test(nowhere.stderr)], [2, true]);
    const json = JSON.parse((await check("-o", "json")).stdout) as { verdict: string; signature: string };
    assert.deepEqual([json.verdict, json.signature], ["rejected", "accepted"]);
    rmSync(client);
    const missing = await check();
    assert.deepEqual([missing.status, /client\.tar\.gz: FAILED open or read/.test(missing.stdout)], [1, true]);
    assert.match(missing.stderr, /^sha256sum: WARNING: 1 listed file could not be read$/m);
    const ignoring = await check("--ignore-missing");
    assert.deepEqual([ignoring.status, /client/.test(ignoring.stdout)], [0, false]);
    assert.doesNotMatch(ignoring.stderr, /WARNING/);
    const pipe = await run("mkfifo", [client]);
    assert.equal(pipe.status, 0);
    const unreadable = await check();
    assert.deepEqual([unreadable.status, /not a regular file/.test(unreadable.stderr)], [2, true]);
    // A checksum that is wrong outranks a file that could not be read.
    writeFileSync(folder.join("dl/installer.tar.gz"), "changed");
    const both = await check();
    assert.deepEqual([both.status, /not a regular file/.test(both.stderr)], [1, true]);
    writeFileSync(folder.join("dl/installer.tar.gz"), "installer");
    rmSync(client);
    symlinkSync("installer.tar.gz", client);
    assert.equal((await check()).status, 1);
    rmSync(client);
    writeFileSync(client, "client");
    writeFileSync(folder.join("dl/extra"), "extra");
    const extra = await check();
    assert.deepEqual([extra.status, /extra is not in the signed list/.test(extra.stderr)], [0, true]);
    assert.equal((await check("--strict")).status, 1);
    rmSync(folder.join("dl/extra"));
    rmSync(signed);
  });

  test("writes the signed text only when it is good, and reports as JSON", async (t) => {
    const signed = folder.join("dl/sha256sum.txt.gpg");
    if (!(await sign(t, signed, "--sign"))) return;
    const out = folder.join("out");
    assert.equal((await verify(signed, "--write-sums", out)).status, 1);
    assert.throws(() => readFileSync(out));
    const { status, stdout } = await verify(
      signed,
      "--key",
      publicKey,
      "--write-sums",
      out,
      "--check",
      ".",
      "-o",
      "json",
    );
    assert.equal(status, 0);
    assert.equal(readFileSync(out, "utf8"), readFileSync(folder.join("dl/sha256sum.txt"), "utf8"));
    const report = JSON.parse(stdout) as {
      verdict: string;
      form: string;
      signer: { fingerprint: string };
      files: readonly { outcome: string }[];
    };
    assert.deepEqual([report.verdict, report.form, report.signer.fingerprint], ["accepted", "opaque", key.fingerprint]);
    assert.deepEqual(
      report.files.map(({ outcome }) => outcome),
      ["ok", "ok", "ok", "ok"],
    );
    // The same text may be written again; another one stays unless that is asked for.
    const write = (...more: readonly string[]) => verify(signed, "--key", publicKey, "--write-sums", out, ...more);
    assert.equal((await write()).status, 0);
    writeFileSync(out, "mine");
    const refused = await write();
    assert.deepEqual([refused.status, /out is there, and holds another text/.test(refused.stderr)], [2, true]);
    assert.equal(readFileSync(out, "utf8"), "mine");
    assert.equal((await write("--force")).status, 0);
    assert.equal(readFileSync(out, "utf8"), readFileSync(folder.join("dl/sha256sum.txt"), "utf8"));
    assert.equal((await verify(signed, "--key", publicKey, "--force")).status, 64);
    const truncated = folder.join("dl/half.gpg");
    writeFileSync(truncated, readFileSync(signed).subarray(0, 100));
    assert.equal((await verify(truncated, "--key", publicKey)).status, 1);
    assert.equal((await verify("nonexistent.gpg")).status, 2);
  });
});
