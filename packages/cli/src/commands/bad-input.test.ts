import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { generateKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { buildTestImage, makeTempDir, startTestRegistry, testRegistryAccount, writeDirImage } from "@signet/testkit";
import { type SignetRun, runSignet, signetEnvironment, signetScript } from "../signet-process.ts";

const folder = makeTempDir();
const image = await buildTestImage({ layerBytes: 200_000 });
writeDirImage(folder.join("image"), image);
writeDirImage(folder.join("oci-image"), await buildTestImage({ layerBytes: 200_000, format: "oci" }));
writeDirImage(folder.join("broken"), image);
writeFileSync(folder.join("broken/manifest.json"), '{"schemaVersion":2,"manifests":[],"layers":[]}');
const key = await generateKey({ engine: nodeEngine, now: Date.now(), userIds: ["Bad Input"], algorithm: "ed25519" });
writeFileSync(folder.join("key.private"), key.secretKey);
writeFileSync(folder.join("key.pub"), key.publicKey);
writeFileSync(folder.join("garbage"), "this is neither a key nor a policy\n");
writeFileSync(folder.join("policy.json"), '{"default":[{"type":"insecureAcceptAnything"}],"defalt":[]}');
writeFileSync(
  folder.join("no-key.json"),
  '{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/nonexistent/key"}]}',
);
mkdirSync(folder.join("a-folder"));
symlinkSync("/nonexistent/target", folder.join("dangling"));
const manifest = folder.join("image/manifest.json");

const mounts: string[] = [];
after(() => {
  for (const path of mounts) spawnSync("umount", [path]);
  folder.dispose();
});

function signet(...args: readonly string[]): Promise<SignetRun> {
  return runSignet(args, { cwd: folder.path, env: { HOME: folder.path, XDG_RUNTIME_DIR: folder.path } });
}

/** A small file system that is full, or read-only. Undefined where mounting is not allowed. */
function mountSmall(name: string, options: string): string | undefined {
  const path = folder.join(name);
  mkdirSync(path);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path]).status !== 0) return undefined;
  mounts.push(path);
  return path;
}

/** Files that are missing, folders, or of another kind: [arguments, what the error says]. */
const files: readonly [string, RegExp][] = [
  ["manifest-digest missing.json", /missing\.json: no such file/],
  ["manifest-digest a-folder", /a-folder: it is a directory/],
  ["standalone-verify missing.json e.com/a:1 any garbage --public-key-file key.pub", /manifest .*missing\.json/],
  [`standalone-verify ${manifest} e.com/a:1 any missing.sig --public-key-file key.pub`, /signature .*missing\.sig/],
  [`standalone-verify ${manifest} e.com/a:1 any garbage --public-key-file a-folder`, /a-folder: it is a directory/],
  [
    `standalone-verify ${manifest} e.com/a:1 any garbage --public-key-file garbage`,
    /there is no public key to verify with/,
  ],
  [`standalone-sign ${manifest} e.com/a:1 ./missing.key -o out.sig`, /key file .*missing\.key/],
  [`standalone-sign ${manifest} e.com/a:1 ./garbage -o out.sig`, /the key file holds no OpenPGP key block/],
  [`standalone-sign ${manifest} e.com/a:1 ./key.pub -o out.sig`, /holds only a public key/],
  [`standalone-sign ${manifest} e.com/a:1 ./key.private -o missing/out.sig`, /cannot write .*out\.sig/],
  [`standalone-sign ${manifest} e.com/a:1 ./key.private -o a-folder`, /cannot write .*a-folder: it is a directory/],
  [
    `standalone-sign ${manifest} e.com/a:1 ./key.private -o out.sig --passphrase-file missing`,
    /passphrase file missing/,
  ],
  [
    `standalone-sign ${manifest} e.com/a:1 ./key.private -o out.sig --passphrase-fd 99`,
    /passphrase from descriptor 99/,
  ],
  ["signature inspect a-folder", /a-folder: it is a directory/],
  ["keys list missing.pub", /key file missing\.pub/],
  ["keys list a-folder", /a-folder: it is a directory/],
  ["keys show garbage", /does not hold a key/],
  ["keys export dangling", /key file dangling/],
  [
    "keys generate X --output-prefix missing/key --no-passphrase --algorithm ed25519 -q",
    /cannot write missing\/key\.private/,
  ],
  ["verify dir:image --key missing.pub", /public key file missing\.pub/],
  ["verify dir:image --key garbage", /No public keys imported/],
  ["verify dir:image --policy missing.json", /policy missing\.json/],
  ["verify dir:image --policy policy.json", /policy\.json.*Unknown key "defalt"/],
  ["verify dir:image --policy a-folder", /a-folder: it is a directory/],
  ["verify dir:image --policy no-key.json", /\/nonexistent\/key/],
  ["verify dir:missing --key key.pub", /missing/],
  ["verify dir:dangling --key key.pub", /dangling is a symbolic link to something that does not exist/],
  ["verify dir:broken --key key.pub", /manifest/i],
  ["verify --from missing.txt --key key.pub", /list of images missing\.txt/],
  ["inspect dir:missing", /missing/],
  ["inspect dir:broken", /manifest/i],
  ["inspect oci:image", /./],
  ["sign --key missing@example.com dir:image --identity e.com/a:1", /gpg (?:has no secret key|cannot be started)/],
  ["sign --key ./garbage dir:image --identity e.com/a:1", /the key file holds no OpenPGP key block/],
  ["sign --key key.private dir:missing --identity e.com/a:1", /missing/],
  ["copy --insecure-policy dir:missing dir:out", /missing/],
  ["copy --insecure-policy dir:image dir:garbage", /garbage/],
  ["copy --policy policy.json dir:image dir:out", /policy\.json/],
  [
    "copy --insecure-policy dir:image dir:out --sign-by ./garbage --sign-identity e.com/a:1",
    /the key file holds no OpenPGP key block/,
  ],
  ["login 127.0.0.1:1 -u a -p b --retry-times 0 --authfile a-folder", /unknown option --retry-times/],
  ["logout example.com --authfile garbage", /credentials file garbage/],
];

describe("bad files", () => {
  test("are a clear error with exit status 2, and nothing is written", async () => {
    const content = (): readonly string[] =>
      readdirSync(folder.path)
        .filter((name) => name !== ".gnupg")
        .toSorted();
    const before = content();
    // A few at a time: every row is a process.
    const queue = files.entries();
    const worker = async (): Promise<void> => {
      for (const [, [line, message]] of queue) {
        const run = await signet(...line.split(" "));
        const expected = line.includes("--retry-times") ? 64 : 2;
        assert.equal(run.status, expected, `${line}\n${run.stdout}${run.stderr}`);
        assert.match(run.stderr, new RegExp(`^error: .*(?:${message.source})`, "m"), line);
        assert.doesNotMatch(run.stderr, /internal fault|^\s+at /m, line);
      }
    };
    await Promise.all([worker(), worker(), worker()]);
    assert.deepEqual(content(), before);
  });

  test("a missing policy is named with the places that were searched", async () => {
    const run = await runSignet(["verify", "dir:image"], {
      cwd: folder.path,
      env: { HOME: folder.path, CONTAINERS_POLICY_JSON: folder.join("nowhere.json") },
    });
    assert.equal(run.status, 2);
    assert.match(run.stderr, /nowhere\.json/);
  });

  test("--debug adds the stack; without it there is none", async () => {
    const [plain, debug] = await Promise.all([
      signet("manifest-digest", "missing"),
      signet("manifest-digest", "missing", "--debug"),
    ]);
    assert.equal(plain.stderr.split("\n").length, 3);
    assert.match(debug.stderr, /\[file-missing\]\n +at /);
    assert.match(debug.stderr, /^caused by Error: ENOENT/m);
  });
});

describe("registries that cannot be asked", () => {
  test("no answer is exit status 2 for every command, and never a verdict", async () => {
    const flags = ["--tls-verify=false"];
    const runs = await Promise.all([
      signet("inspect", "127.0.0.1:1/a/b:1", ...flags, "--retry-times", "0"),
      signet("verify", "127.0.0.1:1/a/b:1", "--key", "key.pub", ...flags, "--retry-times", "0"),
      signet("sign", "--key", "key.private", "127.0.0.1:1/a/b:1", ...flags, "--retry-times", "0"),
      signet("copy", "--insecure-policy", "127.0.0.1:1/a/b:1", "dir:out", ...flags, "--retry-times", "0"),
      signet("copy", "--insecure-policy", "dir:image", "docker://127.0.0.1:1/a/b:1", ...flags, "--retry-times", "0"),
    ]);
    for (const { status, stderr } of runs) {
      assert.equal(status, 2, stderr);
      assert.match(stderr, /^error: .*127\.0\.0\.1:1.*/m);
      assert.match(stderr, /^hint: /m);
    }
    assert.match(runs[1].stdout, /^undetermined/);
    assert.ok(!existsSync(folder.join("out")));
  });

  test("wrong credentials are an error that says so, and are never shown", async () => {
    await using registry = await startTestRegistry({ auth: "bearer" });
    const name = `${registry.host}/a/b:1`;
    const flags = ["--tls-verify=false", "--retry-times", "0"];
    writeFileSync(folder.join("password"), "wrong-secret\n");
    const runs = await Promise.all([
      signet("inspect", name, ...flags, "--creds", "tester:wrong-secret", "--debug"),
      signet(
        "verify",
        name,
        "--key",
        "key.pub",
        ...flags,
        "--username",
        testRegistryAccount.user,
        "--password-file",
        "password",
      ),
      signet("sign", "--key", "key.private", name, ...flags, "--no-creds"),
      signet(
        "copy",
        "--insecure-policy",
        `docker://${name}`,
        "dir:out",
        "--src-tls-verify=false",
        "--src-creds",
        "tester:wrong-secret",
      ),
    ]);
    for (const { status, stdout, stderr } of runs) {
      assert.equal(status, 2, stderr);
      assert.match(stderr, /^error: /m);
      assert.match(stderr, /^hint: .*signet login|^hint: .*credentials/m);
      assert.doesNotMatch(stdout + stderr, /wrong-secret|d3Jvbmctc2VjcmV0/);
    }
  });
});

describe("places that cannot be written", () => {
  test("a full disk is an error, and what was begun is taken back", async (t) => {
    const full = mountSmall("full", "size=64k");
    if (full === undefined) t.diagnostic("mounting is not allowed here; only /dev/full was tried");
    else {
      writeFileSync(join(full, "filler"), new Uint8Array(60 * 1024));
      const runs = await Promise.all([
        signet("copy", "--insecure-policy", "dir:image", `dir:${full}/copy`),
        signet("copy", "--insecure-policy", "dir:oci-image", `oci-archive:${full}/copy.tar`, "--remove-signatures"),
        signet(
          "keys",
          "generate",
          "X".repeat(1900),
          "--output-prefix",
          `${full}/key`,
          "--no-passphrase",
          "--algorithm",
          "rsa4096",
          "-q",
        ),
      ]);
      for (const { status, stderr } of runs) {
        assert.equal(status, 2, stderr);
        assert.match(stderr, /^error: .*no space left on the device\nhint: free some space/m);
      }
      assert.deepEqual(readdirSync(full), ["filler"]);
    }
    const device = await signet("standalone-sign", manifest, "e.com/a:1", "./key.private", "-o", "/dev/full");
    assert.equal(device.status, 2);
    assert.match(device.stderr, /^error: cannot write \/dev\/full: no space left/);
  });

  test("a read-only place is an error, and nothing is there afterwards", async (t) => {
    const readOnly = mountSmall("read-only", "size=64k,ro");
    if (readOnly === undefined) return t.diagnostic("mounting is not allowed here");
    const runs = await Promise.all([
      signet("copy", "--insecure-policy", "dir:image", `dir:${readOnly}/copy`),
      signet("keys", "export", "key.pub", "--output-file", `${readOnly}/key`),
      signet("standalone-sign", manifest, "e.com/a:1", "./key.private", "-o", `${readOnly}/sig`),
      signet("copy", "--insecure-policy", "dir:image", "dir:copied-once", "--digestfile", `${readOnly}/digest`),
    ]);
    for (const { status, stderr } of runs) {
      assert.equal(status, 2, stderr);
      assert.match(stderr, /^error: .*read-only/m);
    }
    assert.deepEqual(readdirSync(readOnly), []);
  });

  test("output that nobody can keep is an error; a reader that has gone is the end", () => {
    const runInto = (descriptor: number): ReturnType<typeof spawnSync> =>
      spawnSync(process.execPath, [signetScript, "keys", "list", folder.join("key.pub")], {
        env: signetEnvironment(),
        stdio: ["ignore", descriptor, "pipe"],
        encoding: "utf8",
      });
    const device = openSync("/dev/full", "w");
    const full = runInto(device);
    closeSync(device);
    assert.deepEqual(
      [full.status, full.stderr],
      [2, "error: cannot write standard output: no space left on the device\n"],
    );
    const gone = spawnSync(
      "bash",
      ["-c", `"$1" "$2" --help | true; echo "\${PIPESTATUS[0]}"`, "bash", process.execPath, signetScript],
      {
        env: signetEnvironment(),
        encoding: "utf8",
      },
    );
    assert.ok(gone.stdout === "2\n" || gone.stdout === "0\n", gone.stdout);
    assert.equal(gone.stderr, "");
  });
});
