/**
 * Where Signet and the reference implementation disagree on purpose, and where they might be thought to: what each says of messages at the edge, made by gpg.
 * docs/interop.md gives the reasons. The reference is Debian 12's: containers/image 5.23 in skopeo 1.9.3.
 */
import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type TestImage, buildTestImage, writeDirImage } from "@signet/testkit";
import {
  type Bench,
  type BenchKey,
  allAccept,
  allReject,
  assertDone,
  hasTools,
  makeBenchIfPossible,
  plainHttp,
  rejectExcept,
  signedBy,
} from "./bench.test.ts";

const onlySignetRejects = { ...allAccept, signet: "rejected" } as const;
const onlySignetAccepts = { ...allReject, signet: "accepted" } as const;

void describe("signatures at the edge", { concurrency: false }, () => {
  const repository = "edge/app";
  let bench: Bench;
  let image: TestImage;
  let key: BenchKey;
  let reference: string;
  let name: string;
  let file: string;

  before(async () => {
    const made = await makeBenchIfPossible();
    if (made === undefined) return;
    bench = made;
    key = bench.gpgKeys.rsa2048;
    image = await buildTestImage();
    reference = `${bench.docker.host}/${repository}:1`;
    name = `docker://${reference}`;
    file = bench.lookasideFile(repository, image.digest);
    await bench.push(reference, image);
  });
  after(async () => bench?.[Symbol.asyncDispose]());

  const payloadFor = (dockerReference: string, optional = "{}"): string =>
    JSON.stringify({
      critical: {
        identity: { "docker-reference": dockerReference },
        image: { "docker-manifest-digest": image.digest },
        type: "atomic container signature",
      },
      optional: "…",
    }).replace('"…"', optional);
  /** gpg signs `content` into `output`. */
  const signWithGpg = async (
    options: readonly string[],
    content = payloadFor(reference),
    by = key.fingerprint,
    output = file,
  ): Promise<void> => {
    const input = bench.path();
    writeFileSync(input, content);
    assertDone(await bench.gpg.gpg([...options, "--local-user", by, "--output", output, "--sign", input]));
  };
  const policyFor = (trusted: { readonly publicFile: string }): object =>
    rejectExcept({ docker: { [bench.docker.host]: [signedBy(trusted)] } });
  /** The verdict of Signet alone, with a switch. */
  const statusWith = async (option: string, trusted: { readonly publicFile: string } = key): Promise<number> => {
    const policy = bench.path();
    writeFileSync(policy, JSON.stringify(policyFor(trusted)));
    return (await bench.signet(["verify", "--policy", policy, option, ...plainHttp, name])).status;
  };

  void it("by weak hashes or from the future are refused by Signet alone, which takes them with a switch each", async (t) => {
    if (!hasTools(t)) return;
    const cases = [
      [["--digest-algo", "SHA1"], "--allow-sha1"],
      [["--digest-algo", "RIPEMD160"], "--allow-ripemd160"],
      [["--faked-system-time", "20900101T000000"], "--accept-future-signature"],
    ] as const;
    for (const [options, switchOption] of cases) {
      await signWithGpg(options);
      assert.deepEqual(await bench.judge(name, policyFor(key)), onlySignetRejects, switchOption);
      assert.equal(await statusWith(switchOption), 0, switchOption);
    }
  });

  void it("with garbage after a compressed message are refused by Signet alone", async (t) => {
    if (!hasTools(t)) return;
    await signWithGpg(["--compress-algo", "zip"]);
    assert.deepEqual(await bench.judge(name, policyFor(key)), allAccept);
    writeFileSync(file, "garbage", { flag: "a" });
    assert.deepEqual(await bench.judge(name, policyFor(key)), onlySignetRejects);
  });

  void it("by a subkey count as the primary's for Signet, as they do for containers/image since 5.37", async (t) => {
    if (!hasTools(t)) return;
    const { gpg } = bench;
    const made = await gpg.generateKey({
      userId: "Subkey <subkey@example.com>",
      certifyOnly: true,
      signingSubkeys: ["ed25519"],
    });
    const publicFile = bench.path();
    writeFileSync(publicFile, await gpg.exportPublic(made));
    await signWithGpg([], undefined, made.fingerprint);
    assert.deepEqual(await bench.judge(name, policyFor({ publicFile })), onlySignetAccepts);

    const folder = bench.path();
    writeDirImage(folder, image);
    const verify = (fingerprint: string): string[] => [
      "standalone-verify",
      join(folder, "manifest.json"),
      reference,
      fingerprint,
      file,
    ];
    assertDone(await bench.signet(verify(made.fingerprint)));
    for (const tool of ["signet", "skopeo"] as const)
      assertDone(await bench[tool](verify(made.subkeyFingerprints[0]!)));
  });

  void it("beside one that is no signature at all still count for Signet, which skips the other", async (t) => {
    if (!hasTools(t)) return;
    const second = bench.lookasideFile(repository, image.digest, 2);
    await signWithGpg([], undefined, undefined, second);
    for (const junk of ["<html>not found</html>", ""]) {
      writeFileSync(file, junk);
      assert.deepEqual(await bench.judge(name, policyFor(key)), onlySignetAccepts, junk);
    }
    // A gap ends the list for all.
    rmSync(file);
    assert.deepEqual(await bench.judge(name, policyFor(key)), allReject);
    rmSync(second);
    writeFileSync(file, "<html>not found</html>");
    assert.deepEqual(await bench.judge(name, policyFor(key)), allReject);
  });

  void it("by a key that has expired or was revoked since are refused by all", async (t) => {
    if (!hasTools(t)) return;
    const { gpg } = bench;
    const publicFile = bench.path();
    const expired = await gpg.generateKey({
      userId: "Expired <expired@example.com>",
      expires: "1d",
      fakedTime: "20240101T000000",
    });
    writeFileSync(publicFile, await gpg.exportPublic(expired));
    await signWithGpg(["--faked-system-time", "20240101T010000"], undefined, expired.fingerprint);
    assert.deepEqual(await bench.judge(name, policyFor({ publicFile })), allReject);
    assert.equal(await statusWith("--accept-expired-key", { publicFile }), 0);

    const revoked = await gpg.generateKey({ userId: "Revoked <revoked@example.com>" });
    await signWithGpg([], undefined, revoked.fingerprint);
    writeFileSync(publicFile, await gpg.exportPublic(revoked));
    assert.deepEqual(await bench.judge(name, policyFor({ publicFile })), allAccept);
    await gpg.revokeKey(revoked);
    writeFileSync(publicFile, await gpg.exportPublic(revoked));
    assert.deepEqual(await bench.judge(name, policyFor({ publicFile })), allReject);
  });

  void it("that are armored, made by two keys, or over a malformed payload are refused by all", async (t) => {
    if (!hasTools(t)) return;
    const refused: Readonly<Record<string, () => Promise<void>>> = {
      "two signers": () => signWithGpg(["--local-user", bench.gpgKeys.ed25519.fingerprint]),
      armor: () => signWithGpg(["--armor"]),
      "a duplicate member": () => signWithGpg([], payloadFor(reference, '{"creator":"a","creator":"b"}')),
      "half a second": () => signWithGpg([], payloadFor(reference, '{"timestamp":1.5}')),
      "text after the payload": () => signWithGpg([], `${payloadFor(reference)}{}`),
      "a name without tag": () => signWithGpg([], payloadFor(reference.replace(/:1$/, ""))),
    };
    for (const [what, make] of Object.entries(refused)) {
      await make();
      assert.deepEqual(await bench.judge(name, policyFor(key)), allReject, what);
    }
  });

  void it("that are unusual and sound are accepted by all: text mode, unknown claims, white space, an exponent in the time", async (t) => {
    if (!hasTools(t)) return;
    const accepted: Readonly<Record<string, () => Promise<void>>> = {
      "text mode": () => signWithGpg(["--textmode"]),
      "unknown claims": () => signWithGpg([], payloadFor(reference, '{"x":{"y":[1]}}')),
      "white space": () => signWithGpg([], `\n ${payloadFor(reference)}\n`),
      exponent: () => signWithGpg([], payloadFor(reference, '{"timestamp":1.5e3}')),
    };
    for (const [what, make] of Object.entries(accepted)) {
      await make();
      assert.deepEqual(await bench.judge(name, policyFor(key)), allAccept, what);
    }
  });

  void it("that cannot be made, for want of an identity with a tag, are refused by signet before anything is written, by skopeo after", async (t) => {
    if (!hasTools(t)) return;
    const folder = bench.path();
    writeDirImage(folder, image);
    for (const identity of [[], ["--sign-identity", "registry.example.com/app"]]) {
      const copy = ["copy", "--insecure-policy", "--sign-by", key.fingerprint, ...identity, `dir:${folder}`];
      const [ours, theirs] = [bench.path(), bench.path()];
      assert.equal((await bench.signet([...copy, `dir:${ours}`])).status, 64);
      assert.equal((await bench.skopeo([...copy, `dir:${theirs}`])).status, 1);
      assert.deepEqual(
        [existsSync(join(ours, "manifest.json")), existsSync(join(theirs, "manifest.json"))],
        [false, true],
      );
    }
  });

  void it("by keys that cannot be read leave Signet undetermined, where the others say rejected", async (t) => {
    if (!hasTools(t)) return;
    await signWithGpg([]);
    const garbage = bench.path();
    writeFileSync(garbage, "no key");
    for (const publicFile of [garbage, bench.path()]) {
      const policy = bench.path();
      writeFileSync(policy, JSON.stringify(policyFor({ publicFile })));
      const ours = await bench.signet(["verify", "--policy", policy, ...plainHttp, name]);
      const theirs = await bench.skopeo(["--policy", policy, "copy", name, `dir:${bench.path()}`]);
      assert.equal(ours.status, 2, ours.stderr);
      assert.match(theirs.stderr, /Source image rejected: (?:No public keys imported|open .*: no such file)/);
    }
  });
});
