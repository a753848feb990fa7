import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { RejectedError, StoreError, UndeterminedError } from "../errors.ts";
import { computeManifestDigest } from "../formats/manifest/manifest-digest.ts";
import { nodeEngine } from "../node-engine.ts";
import { insecureAcceptAnythingPolicy, signedByPolicy } from "../policy/ad-hoc-policy.ts";
import { dockerPolicyIdentity, pathPolicyIdentity } from "../policy/image-identity.ts";
import type { Policy } from "../policy/policy.ts";
import { parsePolicy } from "../policy/policy-document.ts";
import { parseReference } from "../reference/reference.ts";
import { requireAccepted } from "./accepted.ts";
import type { Verdict } from "./evidence.ts";
import { type ImageToJudge, judgeImage } from "./image-verdict.ts";
import type { SignatureToJudge } from "./signed-by.ts";
import { TrustAnchors } from "./trust-anchors.ts";

const images = new URL("../../../../vectors/dir-images/", import.meta.url);
const now = Date.UTC(2026, 0, 1);
const signerOfAll = "08CD26E446E2E95249B7A405E932F44B23E8DD43";

function readKeyFile(path: string): Uint8Array {
  const file = new URL(`keys/${path}`, images);
  if (existsSync(file)) return readFileSync(file);
  throw new StoreError("file-missing", `${path} does not exist`);
}

function storedSignatures(folder: string): readonly SignatureToJudge[] {
  const signatures: SignatureToJudge[] = [];
  for (let index = 1; ; index++) {
    const file = new URL(`${folder}/signature-${index}`, images);
    if (!existsSync(file)) return signatures;
    signatures.push({ location: `signature-${index}`, bytes: readFileSync(file), encoding: "blob" });
  }
}

const blob = (name: string): SignatureToJudge => {
  return { location: name, bytes: readFileSync(new URL(`blobs/${name}`, images)), encoding: "blob" };
};

const imageNamed = (name: string, manifest: Uint8Array): ImageToJudge => {
  const reference = parseReference(name);
  const identity = dockerPolicyIdentity(reference);
  return { identity, reference, text: `docker://${name}`, digest: computeManifestDigest(manifest, nodeEngine) };
};

const policyOf = (...requirements: readonly unknown[]): Policy =>
  parsePolicy(new TextEncoder().encode(JSON.stringify({ default: requirements })), "test");

const signedBy = (keyPath: string, type: string, more: object = {}): object => {
  return { type: "signedBy", keyType: "GPGKeys", keyPath, signedIdentity: { type, ...more } };
};
const exact = signedBy("public-key.gpg", "matchExact");
const repository = signedBy("public-key.gpg", "matchRepository");
const accept = { type: "insecureAcceptAnything" };
const reject = { type: "reject" };
const sigstore = { type: "sigstoreSigned", keyPath: "cosign.pub" };

async function judgeFolder(folder: string, tag: string, policy: Policy): Promise<Verdict> {
  const manifest = readFileSync(new URL(`${folder}/manifest.json`, images));
  const readSignatures = async (): Promise<readonly SignatureToJudge[]> => storedSignatures(folder);
  return judgeImage(imageNamed(`docker.io/testing/manifest:${tag}`, manifest), {
    policy,
    engine: nodeEngine,
    now,
    readKeyFile,
    readSignatures,
  });
}

const goodManifest = readFileSync(new URL("blobs/image.manifest.json", images));

async function judgeSignatures(signatures: readonly SignatureToJudge[], policy: Policy): Promise<Verdict> {
  const image = imageNamed("testing/manifest:latest", goodManifest);
  return judgeImage(image, { policy, engine: nodeEngine, now, readKeyFile, readSignatures: async () => signatures });
}

function codesOf(verdict: Verdict): readonly string[] {
  assert.equal(verdict.verdict, "rejected");
  return verdict.reasons.map(({ code }) => code);
}

describe("the reference implementation's images under its own policies", () => {
  const twoAllows = policyOf(repository, repository);
  const allowDeny = policyOf(repository, reject);
  const rows: readonly (readonly [
    folder: string,
    tag: string,
    policy: Policy,
    expected: "accepted" | readonly string[],
  ])[] = [
    ["valid", "latest", policyOf(exact), "accepted"],
    ["valid-2", "latest", policyOf(exact), "accepted"],
    ["mixed", "latest", policyOf(exact), "accepted"],
    ["unsigned", "latest", policyOf(exact), ["no-signature"]],
    ["modified-manifest", "latest", policyOf(exact), ["manifest-digest"]],
    ["valid", "notlatest", policyOf(exact), ["identity"]],
    ["valid-2", "notlatest", policyOf(exact), ["identity", "identity"]],
    ["valid-subkey", "latest", policyOf(signedBy("public-key-with-subkey.gpg", "matchExact")), "accepted"],
    ["valid-subkey", "latest", policyOf(exact), ["signer-known"]],
    ["mixed", "twoAllows", twoAllows, "accepted"],
    ["mixed", "allowDeny", allowDeny, ["policy-reject"]],
    ["mixed", "reject", policyOf(reject), ["policy-reject"]],
    ["mixed", "acceptAnything", policyOf(accept), "accepted"],
    ["unsigned", "acceptAnything", policyOf(accept), "accepted"],
    ["valid", "latest", policyOf(accept, exact), "accepted"],
    ["unsigned", "latest", policyOf(accept, exact), ["no-signature"]],
    ["valid", "latest", policyOf(accept, reject), ["policy-reject"]],
    ["cosign-valid", "latest", policyOf(repository), ["no-signature"]],
    ["cosign-mixed", "latest", policyOf(repository), ["no-signature"]],
    [
      "valid",
      "latest",
      policyOf(signedBy("public-key.gpg", "exactReference", { dockerReference: "this/does-not:match" })),
      ["identity"],
    ],
    [
      "valid",
      "latest",
      policyOf(signedBy("public-key.gpg", "exactRepository", { dockerRepository: "testing/manifest" })),
      "accepted",
    ],
  ];
  for (const [folder, tag, policy, expected] of rows) {
    const types = policy.default.map(({ type }) => type).join(" and ");
    test(`${folder} as :${tag} under ${types} is ${typeof expected === "string" ? expected : `rejected: ${expected.join(", ")}`}`, async () => {
      const verdict = await judgeFolder(folder, tag, policy);
      if (expected === "accepted") requireAccepted(verdict);
      else assert.deepEqual(codesOf(verdict), expected);
    });
  }

  test("an image whose digest cannot be computed is not judged", () => {
    const manifest = readFileSync(new URL("manifest-digest-error/manifest.json", images));
    assert.throws(() => computeManifestDigest(manifest, nodeEngine), { name: "FormatError" });
  });
});

describe("the keys of a requirement", () => {
  const withKeys = (keys: object): Policy => policyOf({ type: "signedBy", keyType: "GPGKeys", ...keys });
  test("any key of any file will do, and files may share keys", async () => {
    for (const keyPaths of [
      ["public-key-1.gpg", "public-key-1.gpg"],
      ["public-key-2.gpg", "public-key-1.gpg"],
      ["public-key.gpg", "public-key-1.gpg"],
      ["pubring.gpg"],
    ]) {
      const { signers } = requireAccepted(await judgeFolder("valid", "latest", withKeys({ keyPaths })));
      assert.deepEqual(
        signers.map(({ fingerprint }) => fingerprint),
        [signerOfAll],
      );
    }
  });
  test("keys may stand inside the policy", async () => {
    const keyData = readFileSync(new URL("keys/public-key.gpg", images)).toString("base64");
    requireAccepted(await judgeFolder("valid", "latest", withKeys({ keyData })));
  });
  test("another key than the signer's rejects", async () => {
    assert.deepEqual(codesOf(await judgeFolder("valid", "latest", withKeys({ keyPath: "public-key-2.gpg" }))), [
      "signer-known",
    ]);
  });
  test("one key file that cannot be read is a failure, wherever it stands", async () => {
    for (const keys of [
      { keyPath: "missing" },
      { keyPaths: ["missing"] },
      { keyPaths: ["public-key.gpg", "missing"] },
      { keyPaths: ["missing", "public-key.gpg"] },
    ]) {
      await assert.rejects(judgeFolder("valid", "latest", withKeys(keys)), {
        name: "StoreError",
        code: "file-missing",
      });
    }
  });
  test("no usable key is a failure, whether there are signatures or not", async () => {
    for (const keys of [{ keyData: "" }, { keyPaths: [] }, { keyData: btoa("nonsense") }]) {
      for (const folder of ["valid", "unsigned"]) {
        await assert.rejects(judgeFolder(folder, "latest", withKeys(keys)), {
          name: "PolicyError",
          code: "no-trust-anchors",
        });
      }
    }
  });
  for (const keyType of ["signedByGPGKeys", "X509Certificates", "signedByX509CAs"]) {
    test(`${keyType} rejects without reading any key`, async () => {
      const policy = policyOf({ type: "signedBy", keyType, keyPath: "missing" });
      assert.deepEqual(codesOf(await judgeFolder("valid", "latest", policy)), ["key-type-unsupported"]);
    });
  }
  test("a session reads each key file once", async () => {
    const read: string[] = [];
    const counting = (path: string): Uint8Array => {
      read.push(path);
      return readKeyFile(path);
    };
    const trustAnchors = new TrustAnchors({ engine: nodeEngine, readKeyFile: counting });
    const policy = policyOf(exact, repository, signedBy("public-key-1.gpg", "matchExact"));
    for (let round = 0; round < 3; round++) {
      const verdict = await judgeImage(imageNamed("testing/manifest:latest", goodManifest), {
        policy,
        engine: nodeEngine,
        now,
        readKeyFile: counting,
        readSignatures: async () => storedSignatures("valid"),
        trustAnchors,
      });
      requireAccepted(verdict);
    }
    assert.deepEqual(read, ["public-key.gpg", "public-key-1.gpg"]);
  });
});

describe("evidence", () => {
  test("an acceptance names the signer, once, and every check", async () => {
    const verdict = requireAccepted(await judgeFolder("valid-2", "latest", policyOf(exact, repository)));
    assert.equal(verdict.signers.length, 1);
    const [signer] = verdict.signers;
    assert.equal(signer!.fingerprint, signerOfAll);
    assert.equal(signer!.dockerReference, "testing/manifest:latest");
    assert.equal(signer!.manifestDigest, verdict.evidence.digest);
    const [first] = verdict.evidence.requirements[0]!.signatures;
    const names = first!.checks.map(({ name }) => name);
    assert.deepEqual(names.slice(-3), ["payload-json", "manifest-digest", "identity"]);
    assert.ok(first!.checks.every(({ outcome }) => outcome === "passed"));
    assert.equal(verdict.evidence.requirements[0]!.signatures.length, 1, "one accepted signature is enough");
  });
  test("several signatures are each named with all that is wrong", async () => {
    const verdict = await judgeSignatures(
      [blob("image.signature"), blob("unknown-key.signature"), blob("expired.signature")],
      policyOf(exact),
    );
    assert.deepEqual(codesOf(verdict), ["identity", "signer-known", "signature-expiry"]);
    assert.ok(verdict.verdict === "rejected");
    assert.match(verdict.reasons[0]!.message, /^image\.signature: the signature is for identity "testing\/manifest"/);
    assert.match(verdict.reasons[0]!.hint!, /only matchRepository accepts/);
    assert.equal(verdict.evidence.requirements[0]!.message, "none of the 3 signatures was accepted");
  });
  test("digest and identity are both said", async () => {
    const verdict = await judgeFolder("modified-manifest", "other", policyOf(exact));
    assert.deepEqual(codesOf(verdict), ["manifest-digest", "identity"]);
  });
  test("a rejected signature shows its claims as claims", async () => {
    const verdict = await judgeSignatures([blob("unknown-key.signature")], policyOf(exact));
    const [evidence] = verdict.evidence.requirements[0]!.signatures;
    assert.equal(evidence!.claims.keyId, "5F9470E3BC6C3B55");
    assert.equal(evidence!.claims.dockerReference, "testing/manifest");
    assert.equal(evidence!.signer, undefined);
  });
  test("requirements after a rejection are not reached", async () => {
    const verdict = await judgeFolder("valid", "latest", policyOf(reject, exact, sigstore));
    assert.deepEqual(
      verdict.evidence.requirements.map((requirement) => requirement.verdict),
      ["rejected", "not-reached", "not-reached"],
    );
  });
  test("requireAccepted turns a rejection into an error with every reason", async () => {
    const verdict = await judgeFolder("valid-2", "notlatest", policyOf(exact));
    assert.throws(
      () => requireAccepted(verdict),
      (error) =>
        error instanceof RejectedError &&
        error.code === "image-rejected" &&
        /signature-1: .*; signature-2: /.test(error.message),
    );
  });
});

describe("signatures as stores give them out", () => {
  test("a damaged signature is a rejected one and does not take the others with it", async () => {
    const damaged = ["", "<!doctype html>", "-----BEGIN PGP MESSAGE-----", "\x00unknown\nx", "\xa3"].map(
      (text, index): SignatureToJudge => {
        return { location: `damaged ${index}`, bytes: Buffer.from(text, "latin1"), encoding: "blob" };
      },
    );
    assert.equal(
      (await judgeSignatures([...damaged, ...storedSignatures("valid")], policyOf(exact))).verdict,
      "accepted",
    );
    const rejectedOnly = await judgeSignatures(damaged, policyOf(exact));
    assert.deepEqual(codesOf(rejectedOnly), [
      ...Array<string>(4).fill("signature-format"),
      ...codesOf(rejectedOnly).slice(4),
    ]);
  });
  test("the tagged form of a simple signature is accepted from a blob store, and only from there", async () => {
    const [plain] = storedSignatures("valid");
    const tagged = Buffer.concat([Buffer.from("\0simple-signing\n"), plain!.bytes]);
    const location = "tagged";
    requireAccepted(await judgeSignatures([{ location, bytes: tagged, encoding: "blob" }], policyOf(exact)));
    requireAccepted(await judgeSignatures([{ ...plain!, encoding: "simple-signing" }], policyOf(exact)));
    const verdict = await judgeSignatures([{ location, bytes: tagged, encoding: "simple-signing" }], policyOf(exact));
    assert.deepEqual(codesOf(verdict), ["signature-format"]);
  });
  test("they are read once, and only when a requirement needs them", async () => {
    let reads = 0;
    const judge = (policy: Policy): Promise<Verdict> =>
      judgeImage(imageNamed("testing/manifest:latest", goodManifest), {
        policy,
        engine: nodeEngine,
        now,
        readKeyFile,
        readSignatures: async () => {
          reads++;
          return storedSignatures("valid");
        },
      });
    await judge(policyOf(accept));
    await judge(policyOf(reject, exact));
    assert.equal(reads, 0);
    await judge(policyOf(exact, repository, exact));
    assert.equal(reads, 1);
  });
  test("a store that cannot tell is a failure, unless another requirement rejects anyway", async () => {
    const unreadable = (policy: Policy): Promise<Verdict> =>
      judgeImage(imageNamed("testing/manifest:latest", goodManifest), {
        policy,
        engine: nodeEngine,
        now,
        readKeyFile,
        readSignatures: () => Promise.reject(new StoreError("registry-unreachable", "no answer")),
      });
    await assert.rejects(unreadable(policyOf(exact)), { name: "StoreError", code: "registry-unreachable" });
    await assert.rejects(unreadable(policyOf(accept, exact, accept)), { name: "StoreError" });
    assert.equal((await unreadable(policyOf(exact, reject))).verdict, "rejected");
  });
});

describe("requirements that cannot be evaluated", () => {
  test("sigstoreSigned is never met, and says so with the evidence", async () => {
    await assert.rejects(judgeFolder("valid", "latest", policyOf(exact, sigstore)), (error) => {
      assert.ok(error instanceof UndeterminedError && error.code === "requirement-undetermined");
      const { requirements } = error.details["evidence"] as Verdict["evidence"];
      assert.deepEqual(
        requirements.map(({ verdict }) => verdict),
        ["accepted", "undetermined"],
      );
      return true;
    });
    await assert.rejects(judgeFolder("cosign-valid", "latest", policyOf(sigstore)), UndeterminedError);
    await assert.rejects(judgeFolder("valid", "latest", policyOf(sigstore, accept)), UndeterminedError);
  });
  test("a rejection after it is certain all the same", async () => {
    const verdict = await judgeFolder("unsigned", "latest", policyOf(sigstore, exact));
    assert.deepEqual(codesOf(verdict), ["no-signature"]);
    assert.deepEqual(
      verdict.evidence.requirements.map((requirement) => requirement.verdict),
      ["undetermined", "rejected"],
    );
  });
  test("of several failures the first one is thrown", async () => {
    const missing = signedBy("missing", "matchExact");
    await assert.rejects(judgeFolder("valid", "latest", policyOf(missing, sigstore)), { name: "StoreError" });
    await assert.rejects(judgeFolder("valid", "latest", policyOf(sigstore, missing)), { name: "UndeterminedError" });
  });
  test("signedBaseLayer rejects", async () => {
    const policy = policyOf({ type: "signedBaseLayer", baseLayerIdentity: { type: "matchExact" } });
    assert.deepEqual(codesOf(await judgeFolder("valid", "latest", policy)), ["requirement-unsupported"]);
  });
  test("an empty list of requirements is an error and no pass", async () => {
    const empty: Policy = { source: undefined, raw: undefined, default: [], transports: new Map() };
    await assert.rejects(judgeFolder("valid", "latest", empty), { name: "PolicyError", code: "policy-malformed" });
  });
});

describe("policies without a document", () => {
  const key = readFileSync(new URL("keys/public-key.gpg", images));
  test("signedByPolicy takes the image's own reference, a reference or a repository", async () => {
    requireAccepted(await judgeFolder("valid", "latest", signedByPolicy([key])));
    assert.deepEqual(codesOf(await judgeFolder("valid", "other", signedByPolicy([key]))), ["identity"]);
    requireAccepted(await judgeFolder("valid", "other", signedByPolicy([key], "testing/manifest:latest")));
    requireAccepted(await judgeFolder("valid", "other", signedByPolicy([key], "testing/manifest")));
    assert.deepEqual(codesOf(await judgeFolder("valid", "latest", signedByPolicy([key], "testing/other"))), [
      "identity",
    ]);
    assert.throws(() => signedByPolicy([key], "UPPER"), { code: "reference-malformed" });
  });
  test("signedByPolicy accepts any of several key files and none of none", async () => {
    const other = readFileSync(new URL("keys/public-key-2.gpg", images));
    requireAccepted(await judgeFolder("valid", "latest", signedByPolicy([other, key])));
    await assert.rejects(judgeFolder("valid", "latest", signedByPolicy([])), { code: "no-trust-anchors" });
  });
  test("insecureAcceptAnythingPolicy accepts the unsigned", async () => {
    assert.deepEqual(
      requireAccepted(await judgeFolder("unsigned", "latest", insecureAcceptAnythingPolicy())).signers,
      [],
    );
  });
});

test("an image without a docker reference needs an exact identity", async () => {
  const digest = computeManifestDigest(goodManifest, nodeEngine);
  const image: ImageToJudge = {
    identity: pathPolicyIdentity("dir", "/images/a"),
    reference: undefined,
    text: "dir:/images/a",
    digest,
  };
  const judge = (policy: Policy): Promise<Verdict> =>
    judgeImage(image, {
      policy,
      engine: nodeEngine,
      now,
      readKeyFile,
      readSignatures: async () => storedSignatures("valid"),
    });
  for (const type of ["matchExact", "matchRepoDigestOrExact", "matchRepository"]) {
    assert.deepEqual(codesOf(await judge(policyOf(signedBy("public-key.gpg", type)))), ["identity"]);
  }
  const remap = signedBy("public-key.gpg", "remapIdentity", { prefix: "docker.io", signedPrefix: "docker.io" });
  assert.deepEqual(codesOf(await judge(policyOf(remap))), ["identity"]);
  requireAccepted(
    await judge(policyOf(signedBy("public-key.gpg", "exactReference", { dockerReference: "testing/manifest:latest" }))),
  );
});

describe("laws", () => {
  const requirements = fc.constantFrom(
    accept,
    reject,
    exact,
    repository,
    sigstore,
    signedBy("public-key-2.gpg", "matchRepository"),
    signedBy("public-key-with-subkey.gpg", "matchExact"),
    signedBy("missing", "matchExact"),
    { type: "signedBaseLayer", baseLayerIdentity: { type: "matchExact" } },
  );
  const signatures = fc.subarray([
    ...storedSignatures("valid-2"),
    ...storedSignatures("cosign-valid"),
    blob("image.signature"),
    blob("corrupt.signature"),
    blob("subkey.signature"),
    blob("unsigned-literal.signature"),
  ]);
  const outcome = async (found: readonly SignatureToJudge[], list: readonly object[]): Promise<string> => {
    try {
      const verdict = await judgeSignatures(found, policyOf(...list));
      return verdict.verdict;
    } catch (error) {
      assert.ok(error instanceof StoreError || error instanceof UndeterminedError, String(error));
      return "undetermined";
    }
  };
  test("more requirements never accept more", async () => {
    const lists = fc.array(requirements, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(signatures, lists, requirements, fc.nat(4), async (found, list, more, at) => {
        const before = await outcome(found, list);
        const after = await outcome(found, list.toSpliced(at, 0, more));
        if (after === "accepted") assert.equal(before, "accepted");
        if (before === "rejected") assert.equal(after, "rejected");
      }),
      { numRuns: 60 },
    );
  });
  test("requirements in another order, and signatures in another order, give the same verdict", async () => {
    const lists = fc.array(requirements, { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(signatures, lists, async (found, list) => {
        const before = await outcome(found, list);
        assert.equal(await outcome(found, list.toReversed()), before);
        assert.equal(await outcome(found.toReversed(), list), before);
      }),
      { numRuns: 60 },
    );
  });
  test("more signatures never reject what was accepted", async () => {
    await fc.assert(
      fc.asyncProperty(signatures, signatures, requirements, async (found, more, requirement) => {
        const before = await outcome(found, [requirement]);
        if (before === "accepted") assert.equal(await outcome([...more, ...found], [requirement]), "accepted");
      }),
      { numRuns: 60 },
    );
  });
});
