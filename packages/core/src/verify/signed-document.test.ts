import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type GpgHome, type GpgKey, makeGpgHome, requireTool } from "@signet/testkit";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { type SignedDocumentVerdict, verifySignedDocument } from "./signed-document.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** Lines with everything that a cleartext signature treats apart: dashes, blanks at the end, octets outside ASCII. */
const text = "0123  a.tar.gz\n-----BEGIN PGP SIGNATURE-----\n- dash\n-\ntrailing blanks  \t\n\nümlaut\n";
const asCleartext = text.replace("blanks  \t", "blanks");

interface Signed {
  readonly home: GpgHome;
  readonly key: GpgKey;
  readonly verify: (document: Uint8Array, data?: Uint8Array) => SignedDocumentVerdict;
  readonly sign: (...args: readonly string[]) => Promise<Uint8Array>;
}

async function makeSigned(): Promise<Signed> {
  const home = await makeGpgHome();
  const key = await home.generateKey({ algorithm: "rsa2048" });
  const keyring = makeKeyring(parseKeyring(await home.exportPublic(key), engine).certificates);
  const sign = async (...args: readonly string[]): Promise<Uint8Array> => {
    const options = ["--local-user", key.fingerprint, "--pinentry-mode", "loopback", "--passphrase", key.passphrase];
    const { stdoutBytes, status, stderr } = await home.gpg([...options, ...args], { input: encode(text) });
    assert.equal(status, 0, stderr);
    return stdoutBytes;
  };
  const verify = (document: Uint8Array, data?: Uint8Array): SignedDocumentVerdict =>
    verifySignedDocument(document, data, keyring, { engine, now: Date.now() });
  return { home, key, sign, verify };
}

const reasonsOf = ({ outcome }: SignedDocumentVerdict): readonly string[] =>
  outcome.verdict === "rejected" ? outcome.reasons.map(({ code }) => code) : [];

void describe("verifySignedDocument", () => {
  void it("accepts every form that gpg writes, says which one it is, and hands out what was signed", async (t) => {
    if (requireTool(t, "gpg") === undefined) return;
    const { home, key, sign, verify } = await makeSigned();
    await using _ = home;
    for (const [args, form, isArmored, content] of [
      [["--sign"], "opaque", false, text],
      [["--sign", "--compress-algo", "none"], "opaque", false, text],
      [["--sign", "--armor"], "opaque", true, text],
      [["--clear-sign"], "cleartext", true, asCleartext],
      [["--clear-sign", "--digest-algo", "SHA512"], "cleartext", true, asCleartext],
      [["--detach-sign"], "detached", false, text],
      [["--detach-sign", "--armor"], "detached", true, text],
      [["--detach-sign", "--textmode"], "detached", false, text],
    ] as const) {
      const document = await sign(...args);
      const verdict = verify(document, encode(text));
      assert.deepEqual(reasonsOf(verdict), [], args.join(" "));
      assert.deepEqual([verdict.form, verdict.isArmored], [form, isArmored]);
      assert.ok(verdict.outcome.verdict === "accepted");
      assert.equal(decode(verdict.outcome.content), content, args.join(" "));
      assert.equal(verdict.outcome.certificate.fingerprint, key.fingerprint);
    }
  });

  void it("takes a cleartext document with CR LF line ends, and a signature that stands before its content", async (t) => {
    if (requireTool(t, "gpg") === undefined) return;
    const { home, sign, verify } = await makeSigned();
    await using _ = home;
    const windows = encode(decode(await sign("--clear-sign")).replaceAll("\n", "\r\n"));
    assert.deepEqual(reasonsOf(verify(windows)), []);
    const detached = await sign("--detach-sign");
    // A literal packet of old length form: format, no name, no date, content.
    const literal = Buffer.concat([Buffer.from([0x62, 0, 0, 0, 0, 0]), encode(text)]);
    const old = Buffer.concat([detached, Buffer.from([0xad, literal.length >> 8, literal.length & 255]), literal]);
    const verdict = verify(old);
    assert.deepEqual([verdict.form, reasonsOf(verdict)], ["opaque", []]);
  });

  void it("rejects a detached signature without its file, and with another one", async (t) => {
    if (requireTool(t, "gpg") === undefined) return;
    const { home, sign, verify } = await makeSigned();
    await using _ = home;
    const detached = await sign("--detach-sign");
    assert.deepEqual(reasonsOf(verify(detached)), ["document-missing"]);
    assert.deepEqual(reasonsOf(verify(detached, encode(`${text}x`))), ["signature-crypto"]);
  });

  void it("takes one good signature of several over the same content, wherever it stands among them", async (t) => {
    if (requireTool(t, "gpg") === undefined) return;
    const { home, key, sign, verify } = await makeSigned();
    await using _ = home;
    const other = await home.generateKey({ algorithm: "rsa2048" });
    const strangers = makeKeyring(parseKeyring(await home.exportPublic(other), engine).certificates);
    const byOther = (...args: readonly string[]) =>
      home.gpg(
        ["--local-user", other.fingerprint, "--pinentry-mode", "loopback", "--passphrase", other.passphrase, ...args],
        { input: encode(text) },
      );
    const mine = await sign("--detach-sign");
    const theirs = (await byOther("--detach-sign")).stdoutBytes;
    for (const both of [
      [mine, theirs],
      [theirs, mine],
    ]) {
      const verdict = verify(Buffer.concat(both), encode(text));
      assert.deepEqual([verdict.form, reasonsOf(verdict)], ["detached", []]);
      assert.ok(verdict.outcome.verdict === "accepted");
      assert.equal(verdict.outcome.certificate.fingerprint, key.fingerprint);
      const changed = verify(Buffer.concat(both), encode(`${text}x`));
      assert.deepEqual(reasonsOf(changed).toSorted(), ["signature-crypto", "signer-known"]);
    }
    assert.deepEqual(reasonsOf(verify(Buffer.concat([theirs, theirs]), encode(text))), [
      "signer-known",
      "signer-known",
    ]);

    const all = ["--local-user", key.fingerprint, "--local-user", other.fingerprint];
    const secret = ["--pinentry-mode", "loopback", "--passphrase", key.passphrase];
    assert.equal(key.passphrase, other.passphrase);
    const { stdoutBytes: clear } = await home.gpg([...all, ...secret, "--clear-sign"], { input: encode(text) });
    for (const keyring of [strangers, undefined]) {
      const verdict =
        keyring === undefined
          ? verify(clear)
          : verifySignedDocument(clear, undefined, keyring, { engine, now: Date.now() });
      assert.deepEqual([verdict.form, reasonsOf(verdict)], ["cleartext", []]);
      assert.ok(verdict.outcome.verdict === "accepted");
      assert.equal(decode(verdict.outcome.content), asCleartext);
    }
  });

  void it("looks inside an opaque message, whatever file stands beside it", async (t) => {
    if (requireTool(t, "gpg") === undefined) return;
    const { home, sign, verify } = await makeSigned();
    await using _ = home;
    const { outcome } = verify(await sign("--sign"), encode("something else"));
    assert.ok(outcome.verdict === "accepted");
    assert.equal(decode(outcome.content), text);
  });

  void it("rejects whatever a person could take for signed text and is not", async (t) => {
    if (requireTool(t, "gpg") === undefined) return;
    const { home, sign, verify } = await makeSigned();
    await using _ = home;
    const clear = decode(await sign("--clear-sign"));
    const cases: Readonly<Record<string, readonly [string, string]>> = {
      "text before it": [`evil\n${clear}`, "cleartext-malformed"],
      "text behind it": [`${clear}evil\n`, "cleartext-malformed"],
      "a line in its headers": [clear.replace("\n\n", "\nevil  b.tar.gz\n\n"), "cleartext-malformed"],
      "a header of another name": [clear.replace("\n\n", "\nNotDashEscaped: yes\n\n"), "cleartext-malformed"],
      "a second document": [clear + clear, "cleartext-malformed"],
      "a changed line": [clear.replace("0123", "0124"), "signature-crypto"],
      "an added line": [clear.replace("\n\n", "\n\nevil  b.tar.gz\n"), "signature-crypto"],
      "a dash that is not escaped": [
        clear.replace("\n- dash", "\n-x dash").replace("- - dash", "-x"),
        "cleartext-malformed",
      ],
      "no signature": [clear.slice(0, clear.indexOf("-----BEGIN PGP SIGNATURE")), "cleartext-malformed"],
      "half a signature": [clear.slice(0, -60), "armor-malformed"],
      "plain text": ["0123  a.tar.gz\n", "message-not-openpgp"],
      nothing: ["", "message-empty"],
    };
    for (const [name, [document, code]] of Object.entries(cases)) {
      assert.deepEqual(reasonsOf(verify(encode(document))), [code], name);
    }
    const [opaque, detached] = [await sign("--sign"), await sign("--detach-sign")];
    const many = Buffer.concat(Array<Uint8Array>(17).fill(detached));
    assert.deepEqual(reasonsOf(verify(many, encode(text))), ["message-several-signatures"]);
    const followed = Buffer.concat([detached, opaque]);
    assert.equal(reasonsOf(verify(followed, encode(text))).length, 1);
    assert.deepEqual(reasonsOf(verify(Buffer.concat([opaque, opaque]))).length, 1);
    const armored = decode(await sign("--sign", "--armor"));
    assert.deepEqual(reasonsOf(verify(encode(armored + armored))), ["armor-malformed"]);
    assert.deepEqual(reasonsOf(verify(await home.exportPublic(undefined, { armor: true }))), ["message-not-openpgp"]);
  });

  void it("judges opaque messages as verifySignedMessage does, and rejects every truncation and flipped bit", async (t) => {
    if (requireTool(t, "gpg") === undefined) return;
    const { home, sign, verify } = await makeSigned();
    await using _ = home;
    for (const args of [["--sign", "--compress-algo", "none"], ["--clear-sign"], ["--detach-sign"]] as const) {
      const document = await sign(...args);
      for (let end = 0; end < document.length - 1; end += 7) {
        const { outcome } = verify(document.slice(0, end), encode(text));
        assert.equal(outcome.verdict, "rejected", `${args.join(" ")} cut at ${end}`);
      }
      for (let at = 0; at < document.length; at += 5) {
        const changed = document.slice();
        changed[at]! ^= 1;
        const { outcome } = verify(changed, encode(text));
        if (outcome.verdict === "accepted")
          assert.equal(decode(outcome.content), args[0] === "--clear-sign" ? asCleartext : text);
      }
    }
  });

  void it("takes no message of the signature vectors that verifySignedMessage refuses, but for its other forms", () => {
    const vectors = join(import.meta.dirname, "../../../../vectors/openpgp");
    const keys = readdirSync(join(vectors, "oracle-keys")).flatMap(
      (name) => parseKeyring(readFileSync(join(vectors, "oracle-keys", name)), engine).certificates,
    );
    const accepted = readdirSync(join(vectors, "oracle")).filter((name) => {
      const message = readFileSync(join(vectors, "oracle", name));
      const options = { engine, now: Date.UTC(2026, 10, 20), maxContentBytes: 65_536 };
      return verifySignedDocument(message, undefined, makeKeyring(keys), options).outcome.verdict === "accepted";
    });
    for (const name of [
      "trailing-garbage-uncompressed.sig",
      "two-signers.sig",
      "signed-then-unsigned-literal.sig",
      "detached.sig",
    ])
      assert.ok(!accepted.includes(name), name);
    assert.ok(accepted.includes("cleartext.sig") && accepted.includes("ok-rsa-compressed.sig"), accepted.join());
  });
});
