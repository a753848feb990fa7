import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  type Keyring,
  makeKeyring,
  parseKeyring,
  parseReference,
  createSignature,
  generateKey,
  openSecretKey,
} from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import { normalizeReleaseName, parseReleaseDigest, tryParseReleaseDigest } from "./release-digest.ts";
import {
  type ReleaseSignatureOptions,
  type ReleaseSignatureVerdict,
  judgeReleaseSignature,
} from "./release-signature.ts";
import { redHatReleaseTrust } from "./red-hat-trust.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/openshift");
const now = Date.UTC(2026, 10, 26);
const expiredSince = { acceptKeyExpiredSinceSigning: true, acceptSubkeyExpiredSinceSigning: true };
const [redHat] = redHatReleaseTrust(engine).keyrings;
const keyringOf = (name: string): Keyring =>
  makeKeyring(parseKeyring(readFileSync(join(vectors, "keyrings", name)), engine).certificates);
const read = (folder: string): Uint8Array => readFileSync(join(vectors, "signatures", folder, "signature-1"));
const folders = readdirSync(join(vectors, "signatures"));
const folderOf = (start: string): string => folders.find((name) => name.startsWith(`sha256=${start}`))!;
const judge = (
  bytes: Uint8Array,
  folder: string,
  keyring: Keyring,
  options: Partial<ReleaseSignatureOptions> = {},
): ReleaseSignatureVerdict =>
  judgeReleaseSignature(bytes, parseReleaseDigest(folder), keyring, {
    engine,
    now,
    switches: expiredSince,
    ...options,
  });
const codes = (verdict: ReleaseSignatureVerdict): readonly string[] =>
  verdict.verdict === "rejected" ? verdict.reasons.map(({ code }) => code) : [];

const [version3, ci, release] = [folderOf("e3f12513"), folderOf("edd9824f"), folderOf("0da63164")];

void describe("judgeReleaseSignature", () => {
  void it("accepts the genuine signatures, versions 3 and 4, by the keys that clusters have", () => {
    for (const [folder, keyring, name] of [
      [version3, redHat!.keyring, "registry.access.redhat.com/rhel7:7.6"],
      [version3, keyringOf("redhat.txt"), "registry.access.redhat.com/rhel7:7.6"],
      [release, redHat!.keyring, "quay.io/openshift-release-dev/ocp-release:4.15.0-x86_64"],
      [release, keyringOf("combined.txt"), "quay.io/openshift-release-dev/ocp-release:4.15.0-x86_64"],
      [ci, keyringOf("simple.txt"), "registry.svc.ci.openshift.org/ocp/release:4.0.0-0.ci-2019-04-19-181452"],
      [ci, keyringOf("combined.txt"), "registry.svc.ci.openshift.org/ocp/release:4.0.0-0.ci-2019-04-19-181452"],
    ] as const) {
      const verdict = judge(read(folder), folder, keyring);
      assert.deepEqual(codes(verdict), [], folder);
      assert.ok(verdict.verdict === "accepted");
      assert.equal(verdict.signer.dockerReference, name);
    }
  });

  void it("tells that the CI key has expired since, unless that is allowed", () => {
    assert.deepEqual(codes(judge(read(ci), ci, keyringOf("simple.txt"), { switches: {} })), ["key-expiry"]);
  });

  void it("rejects every flipped bit and every truncation of them", () => {
    for (const folder of [version3, ci, release]) {
      const genuine = read(folder);
      const keyring = folder === ci ? keyringOf("simple.txt") : redHat!.keyring;
      const whole = judge(genuine, folder, keyring);
      let harmless = 0;
      for (let at = 0; at < genuine.length; at++) {
        const changed = Uint8Array.from(genuine);
        changed[at]! ^= 1 << (at % 8);
        const verdict = judge(changed, folder, keyring);
        if (verdict.verdict === "accepted") {
          // The name and date beside the content are not signed, and are not used: what is said is the same.
          assert.deepEqual(verdict, whole, `${folder} octet ${at}`);
          harmless++;
        }
        assert.equal(judge(genuine.subarray(0, at), folder, keyring).verdict, "rejected", `${folder} cut at ${at}`);
      }
      assert.ok(harmless < 40, `${harmless} octets of ${folder} make no difference`);
      assert.equal(judge(Buffer.concat([genuine, genuine]), folder, keyring).verdict, "rejected");
    }
  });

  void it("rejects another digest, another key, another name when one is asked for, and sigstore blobs", () => {
    assert.deepEqual(codes(judge(read(version3), release, redHat!.keyring)), ["manifest-digest"]);
    assert.deepEqual(codes(judge(read(version3), version3, keyringOf("simple.txt"))), ["signer-known"]);
    const identity = parseReference("quay.io/openshift-release-dev/ocp-release:4.15.1-x86_64");
    assert.deepEqual(codes(judge(read(release), release, redHat!.keyring, { identity })), ["identity"]);
    const right = parseReference("quay.io/openshift-release-dev/ocp-release:4.15.0-x86_64");
    assert.deepEqual(codes(judge(read(release), release, redHat!.keyring, { identity: right })), []);
    const sigstore = Buffer.concat([
      Buffer.from([0]),
      Buffer.from('sigstore-json\n{"mimeType":"x","payload":"","annotations":{}}'),
    ]);
    assert.deepEqual(codes(judge(sigstore, release, redHat!.keyring)), ["signature-format"]);
  });

  void it("rejects payloads that only one of containers/image and a cluster reads", async () => {
    const made = await generateKey({ engine, now, userIds: ["R <r@example.com>"], algorithm: "ed25519" });
    const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
    const signer = await openSecretKey(encode(made.secretKey), { engine, now });
    const keyring = makeKeyring(parseKeyring(encode(made.publicKey), engine).certificates);
    const critical = `"critical":{"type":"atomic container signature","image":{"docker-manifest-digest":"${parseReleaseDigest(release)}"},"identity":{"docker-reference":"example.com/release:1"}}`;
    const sign = async (payload: string): Promise<Uint8Array> => signer.sign(encode(payload), now);
    for (const [payload, expected] of [
      [`{${critical}}`, ["payload-json"]],
      [`{${critical},"optional":{}}`, []],
      [`{${critical},"optional":{"creator":"x","timestamp":1555943751}}`, []],
      [`{${critical},"optional":{"timestamp":1.5e9}}`, ["payload-json"]],
      [`{${critical},"optional":{"timestamp":1555943751.5}}`, ["payload-json"]],
      [`{${critical},"optional":{"timestamp":9223372036854775808}}`, ["payload-json"]],
      [`{${critical},"optional":{"note":"x"}}`, ["payload-json"]],
    ] as const) {
      assert.deepEqual(codes(judge(await sign(payload), release, keyring)), expected, payload);
    }
    const ordinary = await createSignature(encode("{}"), "example.com/release:1", signer, { engine, now });
    assert.deepEqual(codes(judge(ordinary.bytes, release, keyring)), ["manifest-digest"]);
  });
});

void describe("parseReleaseDigest", () => {
  const hex = "0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363";
  void it("takes every spelling that stores, ConfigMaps and documents have", () => {
    for (const text of [
      `sha256:${hex}`,
      `sha256=${hex}`,
      `sha256-${hex}`,
      `sha256%${hex}`,
      `sha256%3D${hex}`,
      `sha256%3d${hex}`,
      `quay.io/x/y@sha256:${hex}`,
      `sha256:${hex.toUpperCase()}`,
    ])
      assert.equal(parseReleaseDigest(text), `sha256:${hex}`, text);
  });
  void it("writes what people paste as names are written, and leaves the rest as it is", () => {
    const digest = `sha256:${hex}`;
    for (const [text, name] of [
      [`quay.io/x/y@sha256=${hex}`, `quay.io/x/y@${digest}`],
      [`docker://quay.io/x/y@sha256%3D${hex}`, `docker://quay.io/x/y@${digest}`],
      [`https://mirror.example.com/ocp-release/sha256%${hex}/signature-1`, digest],
      [`https://mirror.example.com/ocp-release/sha256=${hex}/signature-12`, digest],
      [`quay.io/x/y:4.15.0`, `quay.io/x/y:4.15.0`],
      [`sha256=${hex}`, `sha256=${hex}`],
      [`https://mirror.example.com/sha256=${hex}`, `https://mirror.example.com/sha256=${hex}`],
      [`dir:a@b`, `dir:a@b`],
    ] as const)
      assert.equal(normalizeReleaseName(text), name);
  });
  void it("takes nothing else", () => {
    for (const text of [
      "",
      "!",
      hex,
      "sha256:123",
      "sha256:",
      `md5:${hex}`,
      "quay.io/x/y:4.15.0",
      `sha256:${hex}0`,
      `sha256::${hex}`,
    ])
      assert.equal(tryParseReleaseDigest(text), undefined, text);
  });
});
