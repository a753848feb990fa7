/** The field's known attacks on policies and on counting, by name. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TEST_KEY_CREATED, makeTestKey, writeTestCertificate, writeTestMessage } from "@signet/testkit";
import { parseDigest } from "../bytes/digest.ts";
import { writeSimpleSigningPayload } from "../formats/simple-signing/payload.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { signedByPolicy } from "../policy/ad-hoc-policy.ts";
import { dockerPolicyIdentity } from "../policy/image-identity.ts";
import { parsePolicy } from "../policy/policy-document.ts";
import type { Policy } from "../policy/policy.ts";
import { parseReference } from "../reference/reference.ts";
import type { Verdict } from "./evidence.ts";
import { judgeImage } from "./image-verdict.ts";

const now = (TEST_KEY_CREATED + 86_400) * 1000;
const name = "registry.example.com/team/app:1";
const digest = parseDigest(`sha256:${"a".repeat(64)}`);
const content = writeSimpleSigningPayload({ manifestDigest: digest, dockerReference: name });
const alice = makeTestKey("ed25519");
const subkey = makeTestKey("ed25519");
const aliceBytes = writeTestCertificate(alice, { subkeys: [{ key: subkey }] });
const good = writeTestMessage(alice, content);

describe("policies and counting", () => {
  const reference = parseReference(name);
  const image = { identity: dockerPolicyIdentity(reference), reference, text: name, digest };
  const judgeWith = (policy: Policy, messages: readonly Uint8Array[]): Promise<Verdict> =>
    judgeImage(image, {
      engine,
      now,
      policy,
      readKeyFile: () => assert.fail("no file"),
      readSignatures: () =>
        Promise.resolve(
          messages.map((bytes, index) => ({ location: `signature-${index + 1}`, bytes, encoding: "blob" })),
        ),
    });

  test("CVE-2025-29778: a field that nobody reads makes the policy invalid", () => {
    const requirement = { type: "signedBy", keyType: "GPGKeys", keyPath: "/k", subjectRegExp: "x" };
    assert.throws(() => parsePolicy(Buffer.from(JSON.stringify({ default: [requirement] }))), /subjectRegExp/);
  });
  test("CVE-2022-35930, CVE-2026-44310: no signature, or a key file without keys, is no pass", async () => {
    assert.equal((await judgeWith(signedByPolicy([aliceBytes]), [])).verdict, "rejected");
    await assert.rejects(judgeWith(signedByPolicy([new Uint8Array(0)]), [good]), /No public keys imported/);
    await assert.rejects(judgeWith(signedByPolicy([]), [good]), /No public keys imported/);
  });
  test("CVE-2026-49834: one key that signs twice, by itself and by its subkey, for two requirements, is one signer", async () => {
    const keyData = Buffer.from(aliceBytes).toString("base64");
    const requirement = { type: "signedBy", keyType: "GPGKeys", keyData };
    const policy = parsePolicy(Buffer.from(JSON.stringify({ default: [requirement, requirement] })));
    const verdict = await judgeWith(policy, [good, writeTestMessage(subkey, content)]);
    assert.deepEqual(verdict.verdict === "accepted" && verdict.signers.map(({ fingerprint }) => fingerprint), [
      alice.fingerprint,
    ]);
  });
});
