import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { assessCertificate } from "../keys/assessment.ts";
import { makeKeyring, parseKeyring } from "../keys/keyring.ts";
import type { OpenPgpSwitches } from "../keys/switches.ts";
import { nodeEngine as engine } from "../node-engine.ts";
import { inspectSignedMessage, verifySignedMessage } from "./signed-message.ts";

interface Vector {
  readonly name: string;
  readonly what: string;
  readonly file: string;
  readonly keys: readonly string[];
  readonly verdict: "accepted" | "rejected";
  readonly reason?: string;
  readonly signer?: string;
  readonly signingKey?: string;
  readonly signedAt?: string;
  readonly contains?: string;
  readonly version?: number;
  readonly acceptedWith?: keyof OpenPgpSwitches;
  readonly reference: "accepted" | "rejected";
  readonly why?: string;
}

interface KeyringVector {
  readonly file: string;
  readonly certificates: readonly {
    readonly fingerprint: string;
    readonly userId: string;
    readonly status: string;
    readonly algorithm: string;
    readonly weakSelfSignature: boolean;
  }[];
}

interface VectorFile {
  readonly now: string;
  readonly cases: readonly Vector[];
  readonly keyrings?: readonly KeyringVector[];
}

for (const folder of ["openpgp", "redhat"]) {
  const base = new URL(`../../../../vectors/${folder}/`, import.meta.url);
  const read = (file: string): Uint8Array => readFileSync(new URL(file, base));
  const table = JSON.parse(readFileSync(new URL("vectors.json", base), "utf8")) as VectorFile;
  const now = Date.parse(table.now);

  describe(`vectors/${folder}`, () => {
    for (const vector of table.cases) {
      for (const keys of vector.keys) {
        test(`${vector.name} with ${keys} is ${vector.verdict}: ${vector.what}`, () => {
          const keyring = makeKeyring(parseKeyring(read(keys), engine).certificates);
          const outcome = verifySignedMessage(read(vector.file), keyring, { engine, now });
          assert.equal(outcome.verdict, vector.verdict);
          if (outcome.verdict === "rejected") {
            const codes = outcome.reasons.map((reason) => reason.code);
            assert.deepEqual(codes, [vector.reason]);
            assert.deepEqual(
              outcome.checks.filter((check) => check.outcome === "failed").map((check) => check.name),
              codes,
            );
            return;
          }
          assert.equal(outcome.certificate.fingerprint, vector.signer);
          assert.equal(outcome.signingFingerprint, vector.signingKey);
          if (vector.signedAt !== undefined) assert.equal(outcome.signedAt, Date.parse(vector.signedAt));
          if (vector.contains !== undefined) assert.ok(Buffer.from(outcome.content).includes(vector.contains));
          if (vector.version !== undefined) {
            assert.equal(inspectSignedMessage(read(vector.file), engine).version, vector.version);
          }
        });
      }
      if (vector.acceptedWith !== undefined) {
        test(`${vector.name} is accepted with ${vector.acceptedWith}, and says so`, () => {
          const keyring = makeKeyring(parseKeyring(read(vector.keys[0]!), engine).certificates);
          const switches = { [vector.acceptedWith!]: true };
          const outcome = verifySignedMessage(read(vector.file), keyring, { engine, now, switches });
          assert.equal(outcome.verdict, "accepted");
          assert.ok(outcome.checks.some((check) => check.name === vector.reason && check.outcome === "warning"));
        });
      }
    }

    test("every case that differs from the reference says why, and no other", () => {
      assert.ok(table.cases.length >= 9);
      for (const vector of table.cases) {
        assert.equal(vector.why !== undefined, vector.verdict !== vector.reference, vector.name);
      }
    });

    for (const { file, certificates } of table.keyrings ?? []) {
      test(`${file} holds ${certificates.length} certificates`, () => {
        const parsed = parseKeyring(read(file), engine);
        assert.deepEqual(parsed.warnings, []);
        const found = parsed.certificates.map((certificate) => {
          const { keys, warnings } = assessCertificate(certificate, now);
          const { status, algorithm } = keys[0]!;
          const { fingerprint, userIds } = certificate;
          return { fingerprint, userId: userIds[0], status, algorithm, weakSelfSignature: warnings.length > 0 };
        });
        assert.deepEqual(found, certificates);
      });
    }
  });
}

test("both self-signatures of Red Hat's post-quantum release key verify", () => {
  const file = new URL("../../../../vectors/redhat/keys/RPM-GPG-KEY-redhat9-PQC-release", import.meta.url);
  const [certificate] = parseKeyring(readFileSync(file), engine).certificates;
  assert.equal(certificate?.version, 6);
  assert.equal(certificate.primary.algorithm, "ML-DSA-87+Ed448");
  assert.equal(certificate.primary.selfSignatures.length, 1);
  assert.equal(certificate.identities[0]?.selfSignatures.length, 1);
  assert.equal(certificate.userIds[0], "Red Hat, Inc. (release key 4) <security@redhat.com>");
});
