import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { makeGpgHome, makeTempDir, requireTool, run as runTool } from "@signet/testkit";
import { runSignet } from "../signet-process.ts";

const vectors = join(import.meta.dirname, "../../../../vectors");
const manifest = join(vectors, "manifest/v2s2.manifest.json");
const signature = join(vectors, "dir-images/blobs/image.signature");
const publicKey = join(vectors, "dir-images/keys/public-key.gpg");
const fingerprint = "08CD26E446E2E95249B7A405E932F44B23E8DD43";
const digest = "sha256:20bf21ed457b390829cdbeec8795a7bea1626991fda603e0d01b4e7f60427e55";

const folder = makeTempDir();
after(() => folder.dispose());
const passphrase = "correct horse";
writeFileSync(folder.join("passphrase"), `${passphrase}\nsecond line\n`);
const protectedKey = await generateKey({
  engine: nodeEngine,
  now: Date.now(),
  userIds: ["Offline Test <offline@example.com>"],
  algorithm: "ed25519",
  passphrase,
});
writeFileSync(folder.join("key.private"), protectedKey.secretKey);
writeFileSync(folder.join("key.pub"), protectedKey.publicKey);

describe("manifest-digest", () => {
  test("prints the digest, also of schema 1 and of standard input", async () => {
    const schema1 = join(vectors, "manifest/v2s1.manifest.json");
    const [plain, old, piped] = await Promise.all([
      runSignet(["manifest-digest", manifest]),
      runSignet(["manifest-digest", schema1]),
      runSignet(["manifest-digest", "-"], { input: readFileSync(manifest) }),
    ]);
    assert.deepEqual(plain, { status: 0, stdout: `${digest}\n`, stderr: "" });
    assert.equal(old.stdout, "sha256:7364fea9d84ee548ab67d4c46c6006289800c98de3fbf8c0a97138dfcc23f000\n");
    assert.deepEqual(piped, plain);
  });

  test("a schema 1 manifest with broken signatures has no digest", async () => {
    const broken = await runSignet([
      "manifest-digest",
      join(vectors, "manifest/v2s1-invalid-signatures.manifest.json"),
    ]);
    assert.deepEqual([broken.status, broken.stdout], [2, ""]);
    assert.match(broken.stderr, /^error: /);
  });
});

describe("standalone-verify", () => {
  const verify = (...args: readonly string[]): ReturnType<typeof runSignet> =>
    runSignet(["standalone-verify", ...args]);
  const accepted = {
    status: 0,
    stdout: `Signature verified using fingerprint ${fingerprint}, digest ${digest}\n`,
    stderr: "",
  };

  test("prints the fingerprint that matched and the digest", async () => {
    const keyFile = `--public-key-file=${publicKey}`;
    const [any, list] = await Promise.all([
      verify(manifest, "testing/manifest", "any", signature, keyFile),
      verify(manifest, "docker.io/testing/manifest", `AAAA,${fingerprint}`, signature, keyFile),
    ]);
    assert.deepEqual(any, accepted);
    assert.deepEqual(list, accepted);
  });

  test("a bad signature is rejected with exit status 1 and every reason", async () => {
    const keyFile = ["--public-key-file", publicKey];
    const other = join(vectors, "dir-images/modified-manifest/manifest.json");
    const [wrongBoth, lowerCase, notASignature] = await Promise.all([
      verify(other, "testing/other", "any", signature, ...keyFile),
      verify(manifest, "testing/manifest", fingerprint.toLowerCase(), signature, ...keyFile),
      verify(manifest, "testing/manifest", "any", manifest, ...keyFile),
    ]);
    assert.deepEqual([wrongBoth.status, wrongBoth.stdout], [1, ""]);
    assert.match(wrongBoth.stderr, /^error: signature rejected: .*which does not match the image's/m);
    assert.match(wrongBoth.stderr, /^error: signature rejected: .*"docker\.io\/testing\/other"/m);
    assert.match(wrongBoth.stderr, /^hint: /m);
    assert.equal(lowerCase.status, 1);
    assert.match(lowerCase.stderr, /is not accepted\nhint: fingerprints are compared whole/);
    assert.equal(notASignature.status, 1);
  });

  test("any needs a key file and stands alone; the reference must be one", async () => {
    const [noFile, inList, badReference] = await Promise.all([
      verify(manifest, "testing/manifest", "any", signature),
      verify(manifest, "testing/manifest", `any,${fingerprint}`, signature, "--public-key-file", publicKey),
      verify(manifest, "Testing/Manifest", "any", signature, "--public-key-file", publicKey),
    ]);
    for (const run of [noFile, inList, badReference]) assert.deepEqual([run.status, run.stdout], [64, ""]);
  });

  test("a relaxation is asked for by its own flag, and leaves a warning", async () => {
    const args = [
      manifest,
      "docker.io/testing/manifest:latest",
      "any",
      join(vectors, "openpgp/oracle/rsa-sha1.sig"),
      "--public-key-file",
      join(vectors, "openpgp/oracle-keys/rsa.pub"),
    ];
    const [strict, relaxed] = await Promise.all([verify(...args), verify(...args, "--allow-sha1")]);
    assert.equal(strict.status, 1);
    assert.match(strict.stderr, /SHA-1/);
    assert.equal(relaxed.status, 0);
    assert.match(relaxed.stderr, /^warning: .*SHA-1/);
  });

  test("without a key file the gpg keyring is used", async (t) => {
    if (requireTool(t, "gpg") === undefined) return;
    await using home = await makeGpgHome();
    const args = ["standalone-verify", manifest, "testing/manifest", fingerprint, signature];
    const before = await runSignet(args, { env: home.env });
    await home.importKeys(readFileSync(publicKey));
    const afterwards = await runSignet(args, { env: home.env });
    assert.equal(before.status, 2);
    assert.match(before.stderr, /^error: gpg has no public key for/);
    assert.deepEqual(afterwards, accepted);
    const image = `dir:${join(vectors, "dir-images/valid")}`;
    const judged = await runSignet(["verify", "--key", fingerprint, "--identity", "testing/manifest", image], {
      env: home.env,
    });
    assert.equal(judged.status, 0, "verify --key takes a key of the gpg keyring as well");
  });
});

describe("standalone-sign", () => {
  const sign = (...args: readonly string[]): readonly string[] => [
    "standalone-sign",
    manifest,
    "example.com/app:1",
    ...args,
  ];

  test("takes the passphrase from a file, a descriptor or the environment", async () => {
    const key = folder.join("key.private");
    const runs = await Promise.all([
      runSignet(sign(key, "-o", folder.join("a.sig"), "--passphrase-file", folder.join("passphrase"))),
      runSignet(sign(key, "-o", folder.join("b.sig"), "--passphrase-fd", "0"), { input: `${passphrase}\n` }),
      runSignet(sign(key, "-o", folder.join("c.sig")), { env: { SIGNET_PASSPHRASE: passphrase } }),
    ]);
    for (const run of runs) assert.deepEqual(run, { status: 0, stdout: "", stderr: "" });
    const keyFile = ["--public-key-file", folder.join("key.pub")];
    for (const name of ["a.sig", "b.sig", "c.sig"]) {
      const { stdout } = await runSignet([
        "standalone-verify",
        manifest,
        "example.com/app:1",
        "any",
        folder.join(name),
        ...keyFile,
      ]);
      assert.equal(stdout, `Signature verified using fingerprint ${protectedKey.fingerprint}, digest ${digest}\n`);
    }
    assert.equal(statSync(folder.join("a.sig")).mode & 0o777, 0o644);
  });

  test("a missing or wrong passphrase writes nothing and never shows what was given", async () => {
    const key = folder.join("key.private");
    const output = folder.join("none.sig");
    const [missing, wrong, both] = await Promise.all([
      runSignet(sign(key, "-o", output)),
      runSignet(sign(key, "-o", output, "--debug"), { env: { SIGNET_PASSPHRASE: "wrong-secret-text" } }),
      runSignet(sign(key, "-o", output, "--passphrase-fd", "0", "--passphrase-file", "x")),
    ]);
    assert.equal(missing.status, 2);
    assert.match(missing.stderr, /is protected by a passphrase\nhint: give it with --passphrase-file FILE\n$/);
    assert.equal(wrong.status, 2);
    assert.doesNotMatch(wrong.stderr, /wrong-secret-text/);
    assert.equal(both.status, 64);
    assert.ok(!readdirSync(folder.path).includes("none.sig"));
  });

  test("takes the arguments of skopeo, and needs -o", async () => {
    const [noOutput, tooFew] = await Promise.all([
      runSignet(sign("key")),
      runSignet(["standalone-sign", manifest, "x", "-o", "y"]),
    ]);
    assert.equal(
      noOutput.stderr,
      "error: --output is missing: the file to write the signature to\nhint: see `signet standalone-sign --help`\n",
    );
    assert.equal(tooFew.stderr, "error: KEY is missing\nhint: see `signet standalone-sign --help`\n");
    assert.deepEqual([noOutput.status, tooFew.status], [64, 64]);
  });

  test("signs with a key of the gpg keyring, for skopeo to verify", async (t) => {
    const skopeo = requireTool(t, "skopeo");
    if (requireTool(t, "gpg") === undefined || skopeo === undefined) return;
    await using home = await makeGpgHome();
    const key = await home.generateKey({ userId: "Gpg <gpg@example.com>", passphrase });
    const output = folder.join("gpg.sig");
    const args = [...sign("gpg@example.com", "-o", output), "--passphrase-file", folder.join("passphrase")];
    assert.deepEqual(await runSignet(args, { env: home.env }), { status: 0, stdout: "", stderr: "" });
    const verified = await runTool(
      skopeo,
      ["standalone-verify", manifest, "example.com/app:1", key.fingerprint, output],
      {
        env: home.env,
      },
    );
    assert.deepEqual([verified.status, verified.stderr], [0, ""]);
  });
});

describe("signature inspect", () => {
  test("shows the claims as unverified, and skopeo's members in JSON", async () => {
    const [text, json, sigstore] = await Promise.all([
      runSignet(["signature", "inspect", signature]),
      runSignet(["signature", "inspect", signature, "-o", "json"]),
      runSignet(["signature", "inspect", join(vectors, "dir-images/cosign-valid/signature-1"), "--output=json"]),
    ]);
    assert.match(text.stdout, /^UNVERIFIED: /);
    assert.match(text.stdout, /^docker reference {2}testing\/manifest$/m);
    const report = JSON.parse(json.stdout) as Record<string, unknown>;
    assert.equal(report["verified"], false);
    assert.equal(report["UntrustedDockerManifestDigest"], digest);
    assert.equal(report["UntrustedDockerReference"], "testing/manifest");
    assert.equal(report["UntrustedCreatorID"], "atomic ");
    assert.equal(report["UntrustedTimestamp"], "2016-03-17T18:35:13Z");
    assert.equal(report["UntrustedShortKeyIdentifier"], "E932F44B23E8DD43");
    const other = JSON.parse(sigstore.stdout) as {
      format: string;
      verified: boolean;
      untrustedPayload: { critical: object };
    };
    assert.deepEqual([other.format, other.verified], ["sigstore-json", false]);
    assert.ok(other.untrustedPayload.critical);
  });

  test("a file that is no signature is a bad signature: exit status 1", async () => {
    const page = await runSignet(["signature", "inspect", "-"], { input: "<!DOCTYPE html><html></html>" });
    assert.deepEqual([page.status, page.stdout], [1, ""]);
    assert.match(page.stderr, /^error: not a well-formed signature: .*0x3c\nhint: a web server answered with a page/);
  });
});

describe("keys", () => {
  test("generate writes the secret key for the owner alone, and never replaces a file", async () => {
    const prefix = folder.join("new");
    const args = [
      "keys",
      "generate",
      "New <new@example.com>",
      "--output-prefix",
      prefix,
      "--algorithm",
      "ed25519",
      "--no-passphrase",
    ];
    const made = await runSignet([...args, "--quiet"]);
    assert.equal(made.status, 0);
    assert.match(made.stdout, /^Key [0-9A-F]{40} written to .*new\.private and .*new\.pub\n$/);
    assert.match(made.stderr, /^warning: .*new\.private is not protected by a passphrase\n/);
    assert.equal(statSync(`${prefix}.private`).mode & 0o777, 0o600);
    assert.equal(statSync(`${prefix}.pub`).mode & 0o777, 0o644);
    const before = readFileSync(`${prefix}.private`);
    const again = await runSignet(args);
    assert.deepEqual([again.status, again.stdout], [2, ""]);
    assert.match(again.stderr, /^error: Refusing to overwrite existing ".*new\.private"/);
    assert.deepEqual(readFileSync(`${prefix}.private`), before);
    const listed = await runSignet(["keys", "list", `${prefix}.pub`]);
    assert.match(
      listed.stdout,
      /^[0-9A-F]{40} {2}Ed25519 .* can sign until \d{4}-\d\d-\d\d {2}New <new@example\.com>\n$/,
    );
  });

  test("generate needs a folder that exists", async () => {
    const prefix = folder.join("missing/key");
    const failed = await runSignet([
      "keys",
      "generate",
      "X",
      "--output-prefix",
      prefix,
      "--algorithm",
      "ed25519",
      "--no-passphrase",
      "-q",
    ]);
    assert.equal(failed.status, 2);
    assert.match(failed.stderr, /^error: cannot write .*no such file or directory\nhint: create the folder/);
  });

  test("generate asks for what it needs", async () => {
    const [noPrefix, noPassphrase, badExpiry, badAlgorithm] = await Promise.all([
      runSignet(["keys", "generate", "X"]),
      runSignet(["keys", "generate", "X", "--output-prefix", folder.join("x")]),
      runSignet(["keys", "generate", "X", "--output-prefix", folder.join("x"), "--expires", "soon"]),
      runSignet(["keys", "generate", "X", "--output-prefix", folder.join("x"), "--algorithm", "dsa"]),
    ]);
    for (const run of [noPrefix, noPassphrase, badExpiry, badAlgorithm])
      assert.deepEqual([run.status, run.stdout], [64, ""]);
    assert.match(noPassphrase.stderr, /hint: use --passphrase-file FILE, or --no-passphrase/);
  });

  test("list and show tell primary and subkeys, expiry and revocation, as text and as JSON", async () => {
    const revoked = join(vectors, "dir-images/keys/public-key-with-revoked-subkey.gpg");
    const [list, show, json] = await Promise.all([
      runSignet(["keys", "list", publicKey, revoked]),
      runSignet(["keys", "show", revoked]),
      runSignet(["keys", "show", revoked, "-o", "json"]),
    ]);
    assert.match(
      list.stdout,
      /^08CD26E446E2E95249B7A405E932F44B23E8DD43 .* can sign .*\n6D88C5A1993648A17B2BB0DC6B8499AF63388D63 .* cannot sign/,
    );
    assert.match(
      show.stdout,
      /subkey {3}4D33404E00B470050709F3233EF0F93A1F602997 .*\n.*the key was revoked\n +revoked on 2025-07-23/,
    );
    const { certificates } = JSON.parse(json.stdout) as {
      certificates: {
        fingerprint: string;
        signingKeys: string[];
        keys: { primary: boolean; status: string; revocation: object | null }[];
      }[];
    };
    assert.equal(certificates.length, 1);
    assert.deepEqual(certificates[0]!.signingKeys, []);
    assert.deepEqual(
      certificates[0]!.keys.map(({ primary, status, revocation }) => [primary, status, revocation !== null]),
      [
        [true, "not-for-signing", false],
        [false, "revoked", true],
      ],
    );
  });

  test("a key that cannot be read is skipped with a warning; a file without any is an error", async () => {
    const mixed = folder.join("mixed.asc");
    const broken = protectedKey.publicKey.replace(/^=.*$/m, "=AAAA");
    writeFileSync(mixed, `${broken}\n${protectedKey.publicKey}`);
    const [some, none] = await Promise.all([runSignet(["keys", "list", mixed]), runSignet(["keys", "list", manifest])]);
    assert.equal(some.status, 0);
    assert.equal(some.stdout.split("\n").length, 2);
    assert.match(some.stderr, /^warning: .*checksum is wrong/);
    assert.equal(none.status, 2);
    assert.match(none.stderr, /error: there is no OpenPGP key that can be read in/);
  });

  test("export gives the public half alone, for gpg to import", async (t) => {
    const exported = await runSignet(["keys", "export", folder.join("key.private")]);
    assert.equal(exported.status, 0);
    assert.match(exported.stdout, /^-----BEGIN PGP PUBLIC KEY BLOCK-----\n/);
    assert.doesNotMatch(exported.stdout, /PRIVATE/);
    const binary = await runSignet([
      "keys",
      "export",
      folder.join("key.private"),
      "offline@example.com",
      "--binary",
      "--output-file",
      folder.join("key.gpg"),
    ]);
    assert.deepEqual([binary.status, binary.stdout], [0, ""]);
    const unknown = await runSignet(["keys", "export", folder.join("key.private"), "nobody@example.com"]);
    assert.deepEqual([unknown.status, unknown.stdout], [2, ""]);
    if (requireTool(t, "gpg") === undefined) return;
    await using home = await makeGpgHome();
    await home.importKeys(readFileSync(folder.join("key.gpg")));
    const fromGpg = await runSignet(["keys", "export", "--gpg", protectedKey.fingerprint], { env: home.env });
    assert.equal(fromGpg.status, 0);
    const [listed, shown] = await Promise.all([
      runSignet(["keys", "list", "--gpg"], { env: home.env }),
      runSignet(["keys", "show", "-"], { input: fromGpg.stdout }),
    ]);
    assert.match(listed.stdout, new RegExp(`^${protectedKey.fingerprint} `));
    assert.match(shown.stdout, new RegExp(`^${protectedKey.fingerprint} `));
  });
});

test("hostile text in signatures and keys never reaches the output as it is", async () => {
  const now = Date.now();
  const hostile = "\u001b]0;owned\u0007\u001b[2J\u202eevil\u009b31m\naccepted      forged";
  const key = await generateKey({
    engine: nodeEngine,
    now,
    userIds: ["Mallory \u202egro.elpmaxe@m\u2066"],
    algorithm: "ed25519",
  });
  const secret = new TextEncoder().encode(key.secretKey);
  const signer = await openSecretKey(secret, { engine: nodeEngine, now });
  const made = await createSignature(readFileSync(manifest), hostile, signer, {
    engine: nodeEngine,
    now,
    creator: hostile,
  });
  const image = folder.join("hostile");
  mkdirSync(image);
  writeFileSync(join(image, "version"), "Directory Transport Version: 1.1\n");
  writeFileSync(join(image, "manifest.json"), readFileSync(manifest));
  writeFileSync(join(image, "signature-1"), made.bytes);
  writeFileSync(folder.join("mallory.pub"), key.publicKey);
  const runs = await Promise.all([
    runSignet(["signature", "inspect", join(image, "signature-1")]),
    runSignet(["signature", "inspect", join(image, "signature-1"), "-o", "json"]),
    runSignet(["inspect", `dir:${image}`]),
    runSignet(["inspect", `dir:${image}`, "-o", "json"]),
    runSignet(["verify", "--key", folder.join("mallory.pub"), `dir:${image}`]),
    runSignet([
      "verify",
      "--key",
      folder.join("mallory.pub"),
      "--identity",
      "example.com/app",
      `dir:${image}`,
      "-o",
      "json",
    ]),
    runSignet(["keys", "list", folder.join("mallory.pub")]),
    runSignet(["keys", "show", folder.join("mallory.pub"), "-o", "json"]),
    runSignet(["verify", "--key", folder.join("mallory.pub"), `dir:${hostile}`]),
    runSignet([hostile]),
  ]);
  for (const { stdout, stderr } of runs) {
    assert.doesNotMatch(
      stdout + stderr,
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/,
    );
    assert.doesNotMatch(stdout + stderr, /^accepted/m);
  }
  assert.match(runs[0].stdout, /\\x1b\]0;owned\\x07/);
  const report = JSON.parse(runs[1].stdout) as { UntrustedDockerReference: string };
  assert.equal(report.UntrustedDockerReference, hostile, "JSON still carries the claim as it is");
});
