/** The field's known attacks as real messages, each by its name, through every way in: a store of blobs, the registry's signatures API, and a file for `standalone-verify`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TestOpenPgpKey, TestSignatureOptions } from "@signet/testkit";
import {
  TEST_KEY_CREATED,
  makeTestKey,
  writeTestCertificate,
  writeTestCompressed,
  writeTestLiteral,
  writeTestMessage,
  writeTestNotation,
  writeTestOnePass,
  writeTestPacket,
  writeTestSignature,
  writeTestSubpacket,
} from "@signet/testkit";
import { computeManifestDigest } from "../formats/manifest/manifest-digest.ts";
import type { Keyring } from "../keys/keyring.ts";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import type { SignedByRequirement, SignedIdentity } from "../policy/policy.ts";
import { parseReference } from "../reference/reference.ts";
import { judgeSignedBy } from "./signed-by.ts";
import { verifyStandalone } from "./standalone.ts";

const day = 86_400;
const now = (TEST_KEY_CREATED + day) * 1000;
const name = "registry.example.com/team/app:1";
const manifest = Buffer.from('{"schemaVersion":2}');
const digest = computeManifestDigest(manifest, engine);
const evilManifest = Buffer.from('{"schemaVersion":2,"evil":true}');
const evilDigest = computeManifestDigest(evilManifest, engine);

const alice = makeTestKey("rsa-2048");
const bob = makeTestKey("ed25519");
const mallory = makeTestKey("ed25519");
const aliceBytes = writeTestCertificate(alice);

function keyringOf(...certificates: readonly Uint8Array[]): Keyring {
  return makeKeyring(parseKeyring(Buffer.concat(certificates), engine).certificates);
}
const keyring = keyringOf(aliceBytes, writeTestCertificate(bob));

function payloadFor(manifestDigest: string, reference = name): Buffer {
  const image = `"image":{"docker-manifest-digest":"${manifestDigest}"}`;
  const identity = `"identity":{"docker-reference":"${reference}"}`;
  return Buffer.from(`{"critical":{${identity},${image},"type":"atomic container signature"},"optional":{}}`);
}
const content = payloadFor(digest);
const evil = payloadFor(evilDigest);

const requirementWith = (signedIdentity: SignedIdentity): SignedByRequirement => {
  return { type: "signedBy", keyType: "GPGKeys", keys: { kind: "files", paths: [] }, signedIdentity };
};

/** Reason codes of each way in, or `accepted` and the signer: from a store of blobs, from the signatures API, from a file. */
function judge(
  message: Uint8Array,
  keys: Keyring = keyring,
  about: { readonly manifest: Uint8Array; readonly identity: SignedIdentity } = {
    manifest,
    identity: { type: "matchExact" },
  },
): { readonly store: string; readonly api: string; readonly file: string } {
  const image = { digest: computeManifestDigest(about.manifest, engine), reference: parseReference(name) };
  const deps = { engine, now };
  const stored = (encoding: "blob" | "simple-signing"): string => {
    const signature = { location: "signature-1", bytes: message, encoding };
    const trusted = { keyring: keys, warnings: [] };
    const { signer, reasons } = judgeSignedBy(signature, requirementWith(about.identity), trusted, image, deps);
    return signer === undefined ? reasons.map(({ code }) => code).join(", ") : `accepted ${signer.fingerprint}`;
  };
  const file = verifyStandalone(about.manifest, name, "any", message, keys, deps);
  return {
    store: stored("blob"),
    api: stored("simple-signing"),
    file:
      file.verdict === "accepted" ? `accepted ${file.fingerprint}` : file.reasons.map(({ code }) => code).join(", "),
  };
}

/** Rejected from everywhere for this reason; `store`: the reason from a store, where its first octets give it away. */
function assertRejected(message: Uint8Array, reason: string, store: string = reason, keys: Keyring = keyring): void {
  assert.deepEqual(judge(message, keys), { store, api: store, file: reason });
  // Nobody gets the evil content for the good one's signature either.
  const evilVerdict = judge(message, keys, { manifest: evilManifest, identity: { type: "matchRepository" } });
  for (const verdict of Object.values(evilVerdict)) assert.doesNotMatch(verdict, /accepted/);
}

function join(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(parts);
}

function armor(type: string, bytes: Uint8Array): Buffer {
  const lines = Buffer.from(bytes).toString("base64");
  return Buffer.from(`-----BEGIN PGP ${type}-----\n\n${lines}\n-----END PGP ${type}-----\n`);
}

const body = writeTestSignature(alice, [content]);
const signature = writeTestPacket(2, body);
const onePass = writeTestOnePass(alice, body);
const literal = writeTestLiteral(content);
const good = join(onePass, literal, signature);

test("the message that the attacks start from is accepted, from everywhere", () => {
  const accepted = `accepted ${alice.fingerprint}`;
  for (const message of [good, writeTestCompressed(1, good), writeTestCompressed(2, good)]) {
    assert.deepEqual(judge(message), { store: accepted, api: accepted, file: accepted });
  }
});

describe("two signers in one message", () => {
  const second = (key: TestOpenPgpKey): [onePass: Uint8Array, signature: Uint8Array] => {
    const made = writeTestSignature(key, [content]);
    const more = writeTestOnePass(key, made, (packet) => Uint8Array.from(packet).fill(0, packet.length - 1));
    return [more, writeTestPacket(2, made)];
  };
  for (const [who, key] of [
    ["both trusted", bob],
    ["the outer one unknown", mallory],
  ] as const) {
    test(who, () => {
      const [first, last] = second(key);
      assertRejected(join(first, onePass, literal, signature, last), "message-several-signatures");
    });
  }
  test("the same signer twice", () => assertRejected(join(good, signature), "message-several-signatures"));
});

describe("unsigned content around the signed one", () => {
  const evilLiteral = writeTestLiteral(evil);
  test("CVE-2007-1263: an extra literal before the message", () => {
    assertRejected(join(evilLiteral, good), "message-unsigned", "signature-format");
    assertRejected(writeTestCompressed(1, join(evilLiteral, good)), "message-unsigned");
  });
  test("CVE-2006-0049: an extra literal behind the message", () => {
    assertRejected(join(good, evilLiteral), "message-trailing-data");
    assertRejected(writeTestCompressed(1, join(good, evilLiteral)), "message-trailing-data");
  });
  test("CVE-2025-47934, GHSA-8qff-qr5q-5pr8: the signature of one content, another content returned", () => {
    const swapped = join(onePass, literal, evilLiteral, signature);
    assertRejected(swapped, "message-unexpected-packet");
    assertRejected(join(onePass, evilLiteral, literal, signature), "message-unexpected-packet");
    assertRejected(join(signature, literal, evilLiteral), "message-trailing-data");
    assertRejected(join(signature, literal, writeTestCompressed(1, evilLiteral)), "message-trailing-data");
    assertRejected(join(onePass, evilLiteral, signature), "signature-crypto");
  });
  test("a second whole message behind the first, compressed, which gpg passes over", () => {
    const other = writeTestCompressed(1, writeTestMessage(mallory, evil));
    assertRejected(join(writeTestCompressed(1, good), other), "message-trailing-data");
  });
  test("content alone", () => {
    assertRejected(literal, "message-unsigned", "signature-format");
    assertRejected(writeTestCompressed(1, literal), "message-unsigned");
  });
});

describe("other forms of signatures on the wire", () => {
  const cleartext = (head: string, text: string): Buffer =>
    join(Buffer.from(`-----BEGIN PGP SIGNED MESSAGE-----\n${head}\n${text}\n`), armor("SIGNATURE", signature));

  test("a cleartext signature, which gpgme accepts", () => {
    assertRejected(cleartext("Hash: SHA256\n", content.toString()), "message-cleartext", "signature-format");
  });
  test("CVE-2023-41037, CVE-2019-11841: a cleartext signature with text among its headers", () => {
    assertRejected(cleartext(`Hash: SHA256\n${evil.toString()}`, ""), "message-cleartext", "signature-format");
  });
  test("CVE-2025-68972: a cleartext signature with a form feed, or not dash-escaped", () => {
    assertRejected(cleartext("Hash: SHA256\n", `\f${content.toString()}`), "message-cleartext", "signature-format");
    assertRejected(cleartext("NotDashEscaped: x\n", content.toString()), "message-cleartext", "signature-format");
  });
  test("an armored message on the wire, which gpgme accepts", () => {
    assertRejected(armor("MESSAGE", good), "message-armored", "signature-format");
    // The tagged form of a blob does not let one in either.
    const tagged = join(Buffer.from("\0simple-signing\n"), armor("MESSAGE", good));
    assert.equal(judge(tagged).store, "message-armored");
  });
  test("a detached signature", () => {
    assertRejected(signature, "message-detached");
    assertRejected(armor("SIGNATURE", signature), "message-armored", "signature-format");
  });
  test("CVE-2018-12020, CVE-2022-34903: status lines in a file name and in a notation", () => {
    const status = `x\n[GNUPG:] GOODSIG ${alice.keyId} Alice\n[GNUPG:] VALIDSIG ${alice.fingerprint}\n`;
    assertRejected(writeTestLiteral(content, { fileName: status }), "message-unsigned", "signature-format");
    const made = writeTestSignature(mallory, [content], { hashed: [writeTestNotation("a@b", status, false)] });
    const message = join(
      writeTestOnePass(mallory, made),
      writeTestLiteral(content, { fileName: status }),
      writeTestPacket(2, made),
    );
    assertRejected(message, "signer-known");
  });
});

/** A whole one-pass packet and a literal packet that announces its 300 MB, so that nothing but the cap stands in the way. */
function writeBombContent(): Uint8Array {
  const bytes = Buffer.alloc(300_000_000);
  const header = Buffer.from("cbff00000000", "hex");
  header.writeUInt32BE(bytes.length - onePass.length - header.length, 2);
  bytes.set(join(onePass, header, Buffer.from("b")));
  return bytes;
}

describe("compression", () => {
  test("nested compression, two deep and forty deep", () => {
    let nested: Uint8Array = good;
    for (let depth = 1; depth <= 40; depth++) {
      nested = writeTestCompressed(1, nested);
      if (depth === 2 || depth === 40) assertRejected(nested, "message-nested-compression");
    }
  });

  for (const [algorithm, form] of [
    [1, "ZIP"],
    [2, "ZLIB"],
  ] as const) {
    test(`a decompression bomb: 300 MB in 300 KB of ${form} are refused without memory for them`, () => {
      const bomb = writeTestCompressed(algorithm, writeBombContent());
      assert.ok(bomb.length < 320_000, String(bomb.length));
      const used = (): number => process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
      const inflated: number[] = [];
      const watching: typeof engine = {
        ...engine,
        inflate(compression, data, maxBytes) {
          inflated.push(maxBytes);
          return engine.inflate(compression, data, maxBytes);
        },
      };
      const before = used();
      for (let i = 0; i < 5; i++) {
        const outcome = verifyStandalone(manifest, name, "any", bomb, keyring, { engine: watching, now });
        assert.equal(outcome.verdict === "rejected" && outcome.reasons[0]!.code, "message-inflated-too-large");
      }
      assert.ok(used() - before < 30_000_000, `${used() - before} bytes more`);
      // One octet more than 1 MiB is never asked for, neither by the verdict nor by the reading of claims after it.
      assert.ok(inflated.length > 0 && inflated.every((max) => max <= 1024 * 1024));
      assertRejected(bomb, "message-inflated-too-large");
    });
  }
});

describe("JSON confusion in what a trusted key signed", () => {
  const text = content.toString();
  const cases: readonly (readonly [string, Uint8Array | string])[] = [
    ["a duplicate key", text.replace('"type"', `"image":{"docker-manifest-digest":"${digest}"},"type"`)],
    ["a duplicate key, escaped", text.replace('"optional"', '"\\u006fptional":{},"optional"')],
    [
      "a duplicate digest, the evil one first",
      text.replace('{"docker-m', `{"docker-manifest-digest":"${evilDigest}","docker-m`),
    ],
    ["a case variant of a key", text.replace('"critical"', '"Critical"')],
    ["a case variant beside a key", text.replace('"type"', '"Type":"x","type"')],
    ["an unknown critical member", text.replace('"type"', '"x":1,"type"')],
    ["__proto__ in critical", text.replace('"type"', '"__proto__":{},"type"')],
    ["a byte order mark", `\uFEFF${text}`],
    ["trailing data", `${text}{}`],
    ["trailing data, a zero octet", `${text}\0`],
    ["two documents", `${text}\n${text}`],
    ["CVE-2026-39395: content that is no payload", "This is not JSON\n"],
    ["CVE-2022-35929: a payload of another type", text.replace("atomic container", "cosign container image")],
    [
      "nesting beyond 10,000 levels",
      text.replace('"optional":{', `"optional":{"x":${"[".repeat(10_001)}${"]".repeat(10_001)}`),
    ],
    ["a number beyond the doubles", text.replace('"optional":{', '"optional":{"x":1e999')],
    ["UTF-16", Buffer.from(text, "utf16le")],
  ];
  for (const [what, payload] of cases) {
    test(what, () => {
      assert.notEqual(payload, text);
      assertRejected(writeTestMessage(alice, Buffer.from(payload)), "payload-json");
    });
  }
});

describe("path tricks", () => {
  const hex = digest.slice("sha256:".length);
  const digests = [
    "sha256:../..",
    `sha256:../${hex.slice(3)}`,
    `sha256:${hex.toUpperCase()}`,
    `SHA256:${hex}`,
    `sha256:${hex.slice(1)}`,
    `sha256:${hex}\\n`,
    `sha256:${hex}\\u0000`,
    `md5:${hex.slice(32)}`,
    `../sha256:${hex}`,
    hex,
    "",
  ];
  for (const trick of digests) {
    test(`CVE-2024-3727: the digest ${JSON.stringify(trick)}`, () => {
      assertRejected(writeTestMessage(alice, payloadFor(trick)), "payload-json");
    });
  }
  test("a well-formed digest of another algorithm is no match", () => {
    for (const other of [`sha512:${hex}${hex}`, `sha384:${hex}${hex.slice(32)}`]) {
      assertRejected(writeTestMessage(alice, payloadFor(other)), "manifest-digest");
    }
  });

  const names = [
    "../../etc/passwd",
    "registry.example.com/../team/app:1",
    "registry.example.com//team/app:1",
    "registry.example.com/team/app/..",
    "registry.example.com/team%2Fapp:1",
    "registry.example.com\\\\team/app:1",
    "registry.example.com/team/app:1\\u0000",
    "registry.example.com/team/app:1\\n",
    " registry.example.com/team/app:1",
    "docker://registry.example.com/team/app:1",
    "evil@registry.example.com/team/app:1",
    "registry.example.com/TEAM/app:1",
    "",
  ];
  for (const trick of names) {
    test(`the name ${JSON.stringify(trick)} matches nothing`, () => {
      const message = writeTestMessage(alice, payloadFor(digest, trick));
      assertRejected(message, "identity");
      const identities: readonly SignedIdentity[] = [
        { type: "matchRepository" },
        { type: "matchRepoDigestOrExact" },
        { type: "exactReference", dockerReference: name, reference: parseReference(name) },
        { type: "exactRepository", dockerRepository: name, repository: "registry.example.com/team/app" },
        { type: "remapIdentity", prefix: "registry.example.com", signedPrefix: "registry.example.com" },
      ];
      for (const identity of identities)
        assert.equal(judge(message, keyring, { manifest, identity }).store, "identity");
    });
  }
  test("a name that another one only begins with is another repository", () => {
    for (const other of [
      "registry.example.com/team/app2:1",
      "registry.example.com/team:1",
      "registry.example.com.evil.example/team/app:1",
      "registry.example.com:443/team/app:1",
      "REGISTRY.example.com/team/app:1",
    ]) {
      assertRejected(writeTestMessage(alice, payloadFor(digest, other)), "identity");
    }
  });
  test("CVE-2023-33959: a signature for another manifest of the same name", () => {
    assert.equal(judge(writeTestMessage(alice, evil)).store, "manifest-digest");
  });
});

describe("expired and revoked", () => {
  const keyRevocation = (code: number): Uint8Array =>
    writeTestSignature(alice, [alice.hashedForm], {
      type: 0x20,
      created: TEST_KEY_CREATED + 7200,
      hashed: [writeTestSubpacket(29, [code])],
    });

  test("a signature that has expired", () => {
    assertRejected(writeTestMessage(alice, content, { expiresAfter: 60 }), "signature-expiry");
  });
  test("a key that has expired since it signed", () => {
    assertRejected(good, "key-expiry", "key-expiry", keyringOf(writeTestCertificate(alice, { keyExpiresAfter: 7200 })));
  });
  test("CVE-2026-54787: a signature from after its key's expiry, and from before its key", () => {
    const expired = keyringOf(writeTestCertificate(alice, { keyExpiresAfter: 1800 }));
    assertRejected(good, "key-expiry", "key-expiry", expired);
    assertRejected(writeTestMessage(alice, content, { created: TEST_KEY_CREATED - 1 }), "key-creation-time");
  });
  for (const [code, why] of [
    [0, "without a reason"],
    [1, "superseded"],
    [2, "compromised"],
    [3, "retired"],
  ] as const) {
    test(`a key that was revoked since it signed, ${why}`, () => {
      const revoked = keyringOf(writeTestCertificate(alice, { direct: [keyRevocation(code)] }));
      assertRejected(good, "key-revocation", "key-revocation", revoked);
    });
  }
  test("a key whose revocation certificate was added at the end of the file", () => {
    const revoked = keyringOf(aliceBytes, writeTestPacket(2, keyRevocation(2)));
    assertRejected(good, "key-revocation", "key-revocation", revoked);
  });
  test("a copy of the key without its revocation beside the revoked one", () => {
    const revoked = writeTestCertificate(alice, { direct: [keyRevocation(2)] });
    for (const ring of [keyringOf(revoked, aliceBytes), keyringOf(aliceBytes, revoked)]) {
      assertRejected(good, "key-revocation", "key-revocation", ring);
    }
  });
  for (const hash of ["SHA-1", "MD5", "RIPEMD-160"] as const) {
    test(`a signature with ${hash}`, () =>
      assertRejected(writeTestMessage(alice, content, { hash }), "signature-hash"));
  }
  test("a critical notation that is unknown", () => {
    const hashed = [writeTestNotation("only-for@example.com", "x", true)];
    assertRejected(writeTestMessage(alice, content, { hashed }), "signature-critical-notation");
  });
});

describe("subkey tricks", () => {
  const message = writeTestMessage(bob, content);
  const flagged = (flags: number): Keyring =>
    keyringOf(writeTestCertificate(alice, { subkeys: [{ key: bob, flags }] }));

  test("a signing subkey without a back-signature", () => {
    const ring = keyringOf(writeTestCertificate(alice, { subkeys: [{ key: bob, isSignedBack: false }] }));
    assertRejected(message, "subkey-binding", "subkey-binding", ring);
  });
  test("a subkey bound by, and signed back for, a foreign primary key", () => {
    const data = [mallory.hashedForm, bob.hashedForm];
    const back = writeTestSignature(bob, data, { type: 0x19 });
    const options: TestSignatureOptions = {
      type: 0x18,
      hashed: [writeTestSubpacket(27, [2])],
      unhashed: [writeTestSubpacket(32, back)],
    };
    const moved = join(
      aliceBytes,
      writeTestPacket(14, bob.body),
      writeTestPacket(2, writeTestSignature(mallory, data, options)),
    );
    assertRejected(message, "subkey-binding", "subkey-binding", keyringOf(moved));
    // The same under the name of Alice's key, with the signatures that belong to Mallory's.
    const claimed = { ...mallory, keyId: alice.keyId, fingerprint: alice.fingerprint };
    const forged = join(
      aliceBytes,
      writeTestPacket(14, bob.body),
      writeTestPacket(2, writeTestSignature(claimed, data, options)),
    );
    assertRejected(message, "subkey-binding", "subkey-binding", keyringOf(forged));
  });
  test("a subkey for encryption, certification or authentication that signs", () => {
    for (const flags of [0x04 | 0x08, 0x01, 0x20, 0]) assertRejected(message, "key-usage", "key-usage", flagged(flags));
    assert.equal(judge(message, flagged(2)).store, `accepted ${alice.fingerprint}`);
  });
  test("a primary key that may only certify signs", () => {
    assertRejected(good, "key-usage", "key-usage", keyringOf(writeTestCertificate(alice, { flags: 1 })));
  });
  test("colliding 64-bit key ids: the signer is the key that made the signature, by its full fingerprint", () => {
    // A real collision costs 2^32 keys; here Mallory's key is given Alice's key id.
    const double = { ...mallory, keyId: alice.keyId };
    const [aliceOnly] = parseKeyring(aliceBytes, engine).certificates;
    const [parsed] = parseKeyring(writeTestCertificate(mallory), engine).certificates;
    const collided = { ...parsed!, primary: { ...parsed!.primary, keyId: alice.keyId } };
    for (const version of [3, 4] as const) {
      const forged = writeTestMessage(double, content, { version, issuer: "key-id" });
      // Trusting Alice alone, the name of her key helps nobody.
      const [reason] = judge(forged, makeKeyring([aliceOnly!])).store.split(", ");
      assert.equal(reason, "signature-crypto");
      for (const certificates of [
        [aliceOnly!, collided],
        [collided, aliceOnly!],
      ]) {
        const both = makeKeyring(certificates);
        assert.equal(judge(forged, both).store, `accepted ${mallory.fingerprint}`);
        assert.equal(
          judge(writeTestMessage(alice, content, { version, issuer: "key-id" }), both).store,
          `accepted ${alice.fingerprint}`,
        );
        const listed = verifyStandalone(manifest, name, [alice.fingerprint], forged, both, { engine, now });
        assert.equal(listed.verdict === "rejected" && listed.reasons[0]!.code, "key-accepted");
      }
    }
  });
});
