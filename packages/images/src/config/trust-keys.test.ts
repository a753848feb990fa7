import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { after, describe, test } from "node:test";
import { generateKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { makeTempDir } from "@signet/testkit";
import { joinEmbeddedKeys, readTrustKeys, type TrustKeyOptions, type TrustKeys } from "./trust-keys.ts";

const folder = makeTempDir();
after(() => folder.dispose());
const vectors = join(import.meta.dirname, "../../../../vectors");
const cosign = join(vectors, "sigstore-keys/cosign.pub");
const rekor = join(vectors, "sigstore-keys/rekor.pub");
const release = join(vectors, "redhat/keys/RPM-GPG-KEY-redhat9-release");
const known = join(vectors, "dir-images/keys/public-key.gpg");
const withRevoked = join(vectors, "dir-images/keys/public-key-with-revoked-subkey.gpg");

const now = Date.UTC(2026, 10, 26);
const year = 365 * 24 * 3600;
const current = await makeKey("current@example.com", now, year);
const expired = await makeKey("expired@example.com", now - 3 * year * 1000, year);
const file = (name: string, content: string | Uint8Array): string => {
  writeFileSync(folder.join(name), content);
  return folder.join(name);
};
const currentFile = file("current.asc", current.publicKey);
const expiredFile = file("expired.asc", expired.publicKey);

function makeKey(userId: string, made: number, expiresInSeconds: number): ReturnType<typeof generateKey> {
  return generateKey({ engine: nodeEngine, now: made, userIds: [userId], algorithm: "ed25519", expiresInSeconds });
}

function read(paths: readonly string[], more: Partial<TrustKeyOptions> = {}): Promise<TrustKeys> {
  return readTrustKeys(paths, { purpose: "openpgp", embed: false, force: false, now, ...more });
}

describe("OpenPGP keys to trust", () => {
  test("are named by their absolute paths, and told by user id and fingerprint", async () => {
    const { keys, descriptions, warnings } = await read([relative(process.cwd(), currentFile), release]);
    assert.deepEqual(keys, { kind: "files", paths: [currentFile, release] });
    assert.equal(descriptions[0], `${currentFile}: current@example.com ${current.fingerprint}`);
    assert.match(descriptions[1] ?? "", /security@redhat\.com> [0-9A-F]{40}/);
    assert.deepEqual(warnings, []);
  });

  test("a symbolic link stays one in the policy", async () => {
    symlinkSync(currentFile, folder.join("link.asc"));
    assert.deepEqual((await read([folder.join("link.asc")])).keys, { kind: "files", paths: [folder.join("link.asc")] });
  });

  test("are embedded as they are, and joined when any of several may sign", async () => {
    const { keys } = await read([currentFile, known], { embed: true });
    assert.equal(keys.kind === "data" && keys.blobs.length, 2);
    const joined = joinEmbeddedKeys(keys);
    assert.equal(joined.kind === "data" && joined.blobs.length, 1);
    const single = (await read([currentFile], { embed: true })).keys;
    assert.deepEqual(joinEmbeddedKeys(single), { kind: "data", blobs: [new Uint8Array(readFileSync(currentFile))] });
  });

  test("a key that expired is refused with the day, unless it is forced", async () => {
    await assert.rejects(read([currentFile, expiredFile]), {
      code: "no-trust-anchors",
      message: new RegExp(`${expired.fingerprint}: the key has expired on 2024-11-2\\d`),
      hint: /--force/,
    });
    const { warnings } = await read([expiredFile], { force: true });
    assert.match(warnings.join(), /expired.*its signatures will be rejected/);
    const both = file("both.asc", `${current.publicKey}\n${expired.publicKey}`);
    assert.match((await read([both])).warnings.join(), /expired@example\.com/);
  });

  test("a revoked key is refused", async () => {
    const revoked = file("revoked.asc", `${current.publicKey}\n${current.revocationCertificate}`);
    await assert.rejects(read([withRevoked]), { code: "no-trust-anchors", message: /the key was revoked/ });
    await assert.rejects(read([revoked]), { code: "no-trust-anchors", message: /the key was revoked/ });
  });

  test("a secret key, another kind of key and what is no key are refused with what to do", async () => {
    await assert.rejects(read([file("secret.asc", current.secretKey)]), {
      code: "secret-key-refused",
      hint: /signet keys export/,
    });
    await assert.rejects(read([cosign]), { code: "key-malformed", hint: /--type sigstoreSigned/ });
    await assert.rejects(read([file("empty", "")]), { code: "key-malformed" });
    await assert.rejects(read([file("page.html", "<html>")]), { code: "key-malformed", hint: /gpg --export/ });
    await assert.rejects(read([folder.join("missing")]), { code: "file-missing" });
    await assert.rejects(read([folder.path]), { code: "file-unreadable" });
    await assert.rejects(read(["https://example.com/key.asc"]), { code: "file-missing", hint: /fetch the key/ });
  });
});

describe("sigstore keys to trust", () => {
  const pem = (type: "ec" | "ed25519" | "rsa" | "x25519", form: "spki" | "pkcs8" = "spki"): string => {
    const pair =
      type === "ec"
        ? generateKeyPairSync("ec", { namedCurve: "prime256v1" })
        : type === "rsa"
          ? generateKeyPairSync("rsa", { modulusLength: 2048 })
          : type === "x25519"
            ? generateKeyPairSync("x25519")
            : generateKeyPairSync("ed25519");
    const key = form === "spki" ? pair.publicKey : pair.privateKey;
    return key.export({ type: form, format: "pem" }).toString();
  };
  const sigstore = { purpose: "sigstore" } as const;

  test("ECDSA, RSA and Ed25519 keys are taken; logs have ECDSA keys alone", async () => {
    const files = [cosign, file("rsa.pem", pem("rsa")), file("ed.pem", pem("ed25519"))];
    const { descriptions } = await read(files, sigstore);
    assert.deepEqual(
      descriptions.map((text) => text.replace(/^.*: /, "")),
      ["ec prime256v1 public key", "rsa public key", "ed25519 public key"],
    );
    assert.match((await read([rekor], { purpose: "rekor" })).descriptions.join(), /ec prime256v1/);
    await assert.rejects(read([folder.join("ed.pem")], { purpose: "rekor" }), {
      code: "key-malformed",
      message: /must be ECDSA/,
    });
  });

  test("what readers of the policy would not take is refused", async () => {
    const cases: readonly (readonly [string, string, object])[] = [
      ["private.pem", pem("ec", "pkcs8"), { code: "secret-key-refused", hint: /cosign public-key/ }],
      [
        "cosign.key",
        "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAA==\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n",
        { code: "secret-key-refused" },
      ],
      ["two.pem", pem("ec") + pem("ec"), { code: "key-malformed", message: /more than one/ }],
      ["x.pem", pem("x25519"), { code: "key-malformed", message: /type x25519/ }],
      [
        "cert.pem",
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        { code: "key-malformed", hint: /openssl x509/ },
      ],
      ["damaged.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", { code: "key-malformed" }],
      ["text.pem", "hello", { code: "key-malformed" }],
      ["pgp.pem", current.publicKey, { code: "key-malformed", hint: /--type signedBy/ }],
    ];
    for (const [name, content, error] of cases)
      await assert.rejects(read([file(name, content)], sigstore), error, name);
    await assert.rejects(read([withRevoked], sigstore), { code: "key-malformed", hint: /--type signedBy/ });
  });
});

describe("keys of a file tree", () => {
  const root = folder.join("node");
  mkdirSync(join(root, "etc/pki"), { recursive: true });
  writeFileSync(join(root, "etc/pki/key.asc"), current.publicKey);
  symlinkSync("/etc/pki/key.asc", join(root, "etc/link.asc"));

  test("are named as the system there sees them", async () => {
    const { keys } = await read(["/etc/pki/key.asc", "/etc/link.asc"], { root });
    assert.deepEqual(keys, { kind: "files", paths: ["/etc/pki/key.asc", "/etc/link.asc"] });
  });

  test("a file that only this machine has is not taken by its name, but can be embedded", async () => {
    await assert.rejects(read([currentFile], { root }), {
      code: "file-missing",
      hint: /copy it into the tree, or use --key-data/,
    });
    assert.equal((await read([currentFile], { root, embed: true })).keys.kind, "data");
    await assert.rejects(read([join(root, "etc/pki/key.asc")], { root }), { hint: /sees it: \/etc\/pki\/key\.asc/ });
    await assert.rejects(read(["/etc/pki/none.asc"], { root }), { code: "file-missing" });
    await assert.rejects(read(["/etc/pki/none.asc"], { root, embed: true }), { code: "file-missing" });
  });
});
