import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import { SignetError, createSignature, makeKeyring, parseKeyring, verifySignedMessage } from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import { makeGpgHome, makeTempDir, requireTool, run } from "@signet/testkit";
import type { GpgHome } from "@signet/testkit";
import { exportGpgKey, exportGpgKeyring, listGpgKeys, openGpgKey } from "./gpg.ts";

const manifest = readFileSync(new URL("../../../../vectors/manifest/v2s2.manifest.json", import.meta.url));
const reference = "testing/manifest:latest";

/** One keyring for the tests that change nothing; making keys is what takes time. */
async function makeKeys(): Promise<{ readonly home: GpgHome; readonly keys: Awaited<ReturnType<typeof addKeys>> }> {
  const home = await makeGpgHome();
  return { home, keys: await addKeys(home) };
}

async function addKeys(home: GpgHome) {
  return {
    plain: await home.generateKey({ userId: "Plain <plain@example.com>" }),
    locked: await home.generateKey({
      userId: "Locked <locked@example.com>",
      algorithm: "nistp256",
      passphrase: "pässword 1",
    }),
    rsa: await home.generateKey({ userId: "Rsa: one <rsa@example.com>", algorithm: "rsa2048" }),
    sub: await home.generateKey({
      userId: "Sub <sub@example.com>",
      certifyOnly: true,
      signingSubkeys: ["ed25519", "nistp256"],
    }),
    expired: await home.generateKey({ userId: "Old <old@example.com>", fakedTime: "20200101T000000", expires: "1d" }),
  };
}

let shared: Promise<Awaited<ReturnType<typeof makeKeys>>> | undefined;

async function keyring(t: TestContext): Promise<Awaited<ReturnType<typeof makeKeys>> | undefined> {
  if (requireTool(t, "gpg") === undefined) return undefined;
  shared ??= makeKeys();
  return await shared;
}

after(async () => {
  const made = await shared;
  await made?.home.dispose();
});

async function failureOf(work: Promise<unknown>): Promise<SignetError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof SignetError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "nothing was thrown" });
}

test("keys of gpg sign messages that verify, whatever their algorithm and wherever the signing key is", async (t) => {
  const made = await keyring(t);
  if (made === undefined) return;
  const { home, keys } = made;
  const homedir = home.path;
  const cases = [
    { key: keys.plain, selector: keys.plain.fingerprint },
    { key: keys.plain, selector: "plain@example.com" },
    { key: keys.plain, selector: keys.plain.fingerprint.slice(-16).toLowerCase() },
    { key: keys.rsa, selector: "Rsa: one" },
    { key: keys.locked, selector: "locked@example.com", passphrase: "pässword 1" },
  ];
  for (const { key, selector, ...passphrase } of cases) {
    const signer = await openGpgKey(selector, { homedir, ...passphrase });
    assert.equal(signer.fingerprint, key.fingerprint);
    assert.equal(signer.label, key.userId);
    const signature = await createSignature(manifest, reference, signer, { engine, now: Date.now() });
    const trusted = makeKeyring(parseKeyring(await home.exportPublic(key), engine).certificates);
    assert.equal(verifySignedMessage(signature.bytes, trusted, { engine, now: Date.now() }).verdict, "accepted");
  }

  const [older, newer] = keys.sub.subkeyFingerprints;
  const signWith = async (selector: string): Promise<string> => {
    const signer = await openGpgKey(selector, { homedir });
    assert.equal(signer.fingerprint, keys.sub.fingerprint);
    return (await createSignature(manifest, reference, signer, { engine, now: Date.now() })).signingFingerprint;
  };
  assert.ok([older, newer].includes(await signWith("sub@example.com")));
  assert.equal(await signWith(`${older}!`), older);
  assert.equal(await signWith(`${newer}!`), newer);
});

test("armor, text mode and SHA-1 in gpg.conf cannot spoil a signature in silence", async (t) => {
  if (requireTool(t, "gpg") === undefined) return;
  await using home = await makeGpgHome();
  const key = await home.generateKey({ algorithm: "rsa2048" });
  const sign = async (configuration: string): Promise<unknown> => {
    writeFileSync(`${home.path}/gpg.conf`, configuration);
    const signer = await openGpgKey(key.fingerprint, { homedir: home.path });
    return await createSignature(manifest, reference, signer, { engine, now: Date.now() });
  };
  await sign("armor\ntextmode\ncomment hello\nverbose\n");
  await sign("compress-algo none\npersonal-digest-preferences SHA512\n");
  const error = await failureOf(sign("digest-algo SHA1\nweak-digest MD5\n"));
  assert.equal(error.code, "signing-failed");
  assert.match(error.message, /SHA-1/);
});

test("a wrong passphrase, and none where one is needed, are errors that do not repeat it", async (t) => {
  if (requireTool(t, "gpg") === undefined) return;
  await using home = await makeGpgHome();
  const key = await home.generateKey({ passphrase: "the right one" });
  // The agent remembers passphrases, and may have a way to ask the person before this screen.
  appendFileSync(`${home.path}/gpg-agent.conf`, "pinentry-program /bin/false\n");
  await run("gpgconf", ["--homedir", home.path, "--kill", "gpg-agent"], { env: home.env });
  const sign = async (passphrase?: string): Promise<unknown> => {
    const options = { homedir: home.path, ...(passphrase === undefined ? {} : { passphrase }) };
    const signer = await openGpgKey(key.fingerprint, options);
    return await createSignature(manifest, reference, signer, { engine, now: Date.now() });
  };
  const wrong = await failureOf(sign("not the one"));
  assert.equal(wrong.code, "passphrase-wrong");
  assert.ok(![wrong.message, wrong.hint, wrong.stack, String(wrong.cause)].join("|").includes("not the one"));
  const broken = await failureOf(sign("the right one\n"));
  assert.equal(broken.code, "passphrase-wrong");
  assert.match(broken.message, /line break/);
  const missing = await failureOf(sign());
  assert.equal(missing.code, "passphrase-required");
  await sign("the right one");
});

test("a name that fits no key, several, or a key that cannot sign is an error that says so", async (t) => {
  const made = await keyring(t);
  if (made === undefined) return;
  const { home, keys } = made;
  const open = (selector: string) => openGpgKey(selector, { homedir: home.path });
  for (const selector of [
    "nobody@example.com",
    "",
    "--version",
    "-",
    "a\u0000b",
    "a\nb",
    "x".repeat(5_000),
    "0".repeat(40),
  ]) {
    const missing = await failureOf(open(selector));
    assert.equal(missing.code, "secret-key-unusable", selector);
  }
  const ambiguous = await failureOf(open("example.com"));
  assert.equal(ambiguous.code, "key-ambiguous");
  assert.match(ambiguous.message, new RegExp(`${keys.plain.fingerprint}.*${keys.rsa.fingerprint}`));
  const expired = await open("old@example.com");
  const unusable = await failureOf(createSignature(manifest, reference, expired, { engine, now: Date.now() }));
  assert.equal(unusable.code, "secret-key-unusable");
});

test("a key without its secret part is no key for signing", async (t) => {
  const made = await keyring(t);
  if (made === undefined) return;
  await using other = await makeGpgHome();
  await other.importKeys(await made.home.exportPublic(made.keys.plain));
  const error = await failureOf(openGpgKey("plain@example.com", { homedir: other.path }));
  assert.equal(error.code, "secret-key-unusable");
  assert.deepEqual(await listGpgKeys({ homedir: other.path }), [
    { fingerprint: made.keys.plain.fingerprint, userIds: [made.keys.plain.userId], hasSecretKey: false },
  ]);
});

test("keys are listed with their user ids, and exported one by one or all", async (t) => {
  const made = await keyring(t);
  if (made === undefined) return;
  const { home, keys } = made;
  const homedir = home.path;
  const listed = await listGpgKeys({ homedir });
  const all = Object.values(keys);
  assert.deepEqual(
    new Map(listed.map(({ fingerprint, userIds, hasSecretKey }) => [fingerprint, [...userIds, hasSecretKey]])),
    new Map(all.map(({ fingerprint, userId }) => [fingerprint, [userId, true]])),
  );
  const fingerprints = (bytes: Uint8Array): readonly string[] =>
    parseKeyring(bytes, engine).certificates.map(({ fingerprint }) => fingerprint);
  assert.deepEqual(fingerprints(await exportGpgKey("rsa@example.com", { homedir })), [keys.rsa.fingerprint]);
  assert.deepEqual(
    new Set(fingerprints(await exportGpgKeyring({ homedir }))),
    new Set(all.map((key) => key.fingerprint)),
  );
  assert.equal((await failureOf(exportGpgKey("nobody@example.com", { homedir }))).code, "gpg-failed");
  assert.equal((await failureOf(exportGpgKey("", { homedir }))).code, "secret-key-unusable");

  await using empty = await makeGpgHome();
  assert.deepEqual(await listGpgKeys({ homedir: empty.path }), []);
  assert.equal((await exportGpgKeyring({ homedir: empty.path })).length, 0);
});

test("a missing gpg is an error with a hint, and so is a home that is none", async () => {
  const missing = await failureOf(openGpgKey("x", { gpgPath: "/nowhere/gpg" }));
  assert.equal(missing.code, "gpg-missing");
  assert.match(missing.hint ?? "", /gnupg/);
  const noProgram = await failureOf(listGpgKeys({ gpgPath: "/dev/null" }));
  assert.equal(noProgram.code, "gpg-missing");
});

/** A program in place of gpg. */
function makeImpostor(t: TestContext, script: string): string {
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  const path = dir.join("gpg");
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

test("a gpg that hangs, floods or writes nonsense is stopped, and nothing it says is taken for a signature", async (t) => {
  const secret =
    "sec:u:255:22:0000000000000000:1::::::scSC:::+::::0:\\nfpr:::::::::0123456789ABCDEF0123456789ABCDEF01234567:\\n";
  const answer = (signing: string): string => `
case "$*" in
  *--list-secret-keys*) printf '${secret}';;
  *--export*) printf x;;
  *) ${signing};;
esac`;
  const cases: Readonly<Record<string, readonly [string, string, RegExp]>> = {
    hangs: ["exec sleep 60", "gpg-failed", /did not finish/],
    "hangs in a child that holds the streams": ["sleep 2 & wait", "gpg-failed", /did not finish/],
    "floods its output": ["yes >&1 2>/dev/null", "gpg-failed", /more than/],
    "floods its status lines": ["yes '[GNUPG:] PROGRESS' >&3 2>/dev/null", "gpg-failed", /status lines/],
    "writes something else among its status lines": ["echo hello >&3", "gpg-failed", /instead of a status line/],
    "does not end its status lines": ["printf '[GNUPG:] PROGRESS' >&3", "gpg-failed", /end too early/],
    "is killed": ["kill -9 $$", "gpg-failed", /killed/],
    "lists a key without fingerprint": ["printf 'sec:u\\nuid:u\\n'", "gpg-failed", /without its fingerprint/],
    "lists a malformed fingerprint": ["printf 'sec:u\\nfpr:::::::::xyz:\\n'", "gpg-failed", /without its fingerprint/],
    "succeeds without signing": [answer("true"), "gpg-failed", /one inline binary signature/],
    "claims a detached signature": [
      answer("echo '[GNUPG:] SIG_CREATED D 22 8 00 1 X' >&3"),
      "gpg-failed",
      /one inline/,
    ],
    "claims a text signature": [answer("echo '[GNUPG:] SIG_CREATED S 22 8 01 1 X' >&3"), "gpg-failed", /one inline/],
    "claims two signatures": [
      answer("printf '[GNUPG:] SIG_CREATED S 22 8 00 1 X\\n[GNUPG:] SIG_CREATED S 22 8 00 1 X\\n' >&3"),
      "gpg-failed",
      /one inline/,
    ],
    "claims a signature and returns nonsense": [
      answer("echo '[GNUPG:] SIG_CREATED S 22 8 00 1 X' >&3; echo nonsense"),
      "signing-failed",
      /thrown away/,
    ],
    "puts a status line among its messages": [
      answer("echo '[GNUPG:] SIG_CREATED S 22 8 00 1 X' >&2; exit 2"),
      "gpg-failed",
      /cannot sign/,
    ],
    "says no with escape codes": [
      answer("printf 'gpg: \\033[31mno\\033[0m\\007\\n' >&2; exit 2"),
      "gpg-failed",
      /: \[31mno \[0m$/,
    ],
  };
  for (const [name, [script, code, message]] of Object.entries(cases)) {
    await t.test(name, async (step) => {
      const timeoutMs = name.startsWith("hangs") ? 300 : 60_000;
      const options = { gpgPath: makeImpostor(step, script), timeoutMs };
      const attempt = async (): Promise<unknown> => {
        const signer = await openGpgKey("someone", options);
        return await createSignature(manifest, reference, signer, { engine, now: Date.now() });
      };
      const error = await failureOf(attempt());
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
    });
  }
});

test("the passphrase is on a descriptor, and neither an argument nor in the environment", async (t) => {
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  const log = dir.join("log");
  const gpgPath = makeImpostor(
    t,
    `{ printf '%s\\n' "$@"; env; } >>${log}
case "$*" in
  *--list-secret-keys*) printf 'sec:u:::::::::::::+:\\nfpr:::::::::0123456789ABCDEF0123456789ABCDEF01234567:\\n';;
  *--export*) printf x;;
  *) cat <&4 >${log}.passphrase; cat >${log}.input; exit 2;;
esac`,
  );
  const signer = await openGpgKey("someone", { gpgPath, passphrase: "s3cr3t" });
  await failureOf(signer.sign(Buffer.from("payload"), 0));
  const logged = readFileSync(log, "utf8");
  assert.ok(!logged.includes("s3cr3t"));
  assert.ok(logged.split("\n").includes("--passphrase-fd"));
  assert.equal(readFileSync(`${log}.passphrase`, "utf8"), "s3cr3t\n");
  assert.equal(readFileSync(`${log}.input`, "utf8"), "payload");
});
