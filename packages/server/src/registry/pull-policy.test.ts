import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FormatError, UsageError, encodeBase64 } from "@signet/core";
import {
  type TestImage,
  type TestIndex,
  buildTestImage,
  buildTestIndex,
  httpPushTarget,
  makeContainersHome,
  makeGpgHome,
  makeTempDir,
  pushTestAttachments,
  pushTestImage,
  requireTool,
  writeDirImage,
} from "@signet/testkit";
import { type TestSigner, makeAuthor, makeSigner } from "../trust/trust.testing.ts";
import { type PullPolicyMode, parsePullPolicy, setNamespacePullPolicy, setPullPolicy } from "../trust/pull-policy.ts";
import { addTrustedKey, withdrawKey } from "../trust/trusted-keys.ts";
import { type Answer, type ServedRegistry, serveRegistry } from "./serve.testing.ts";

const NAME = "registry.example.com";
const byKeyring = JSON.stringify([{ type: "signedBy", keyType: "GPGKeys", keyPath: "server:keyring" }]);
const author = makeAuthor(Date.now());

interface Bench extends AsyncDisposable {
  readonly registry: ServedRegistry;
  readonly signer: TestSigner;
  readonly judged: string[];
  push(name: string, image: TestImage | TestIndex): Promise<void>;
  sign(
    path: string,
    image: { readonly digest: string; readonly manifest: Uint8Array },
    tag: string,
    signer?: TestSigner,
  ): Promise<void>;
  policy(path: string, mode: PullPolicyMode, requirements?: string): Promise<void>;
  /** As somebody who may only pull. */
  pull(path: string, reference: string, method?: string, headers?: Record<string, string>): Promise<Answer>;
}

async function setUp(): Promise<Bench> {
  const judged: string[] = [];
  const registry = await serveRegistry((account, action) => account !== "reader" || action === "pull", {
    names: [NAME, "registry.internal:5000"],
    onJudged: (verdict) => judged.push(verdict),
  });
  const signer = await makeSigner(undefined, Date.now());
  await addTrustedKey(registry.database, signer.publicKey, "", author);
  return {
    registry,
    signer,
    judged,
    push: async (name, image) => void (await pushTestImage(httpPushTarget(registry.url), name, image)),
    sign: async (path, { digest, manifest }, tag, by = signer) => {
      const bytes = await by.sign(manifest, `${NAME}/${path}:${tag}`, Date.now());
      const name = `${digest}@${Buffer.from(bytes).toString("hex").slice(-32)}`;
      const body = JSON.stringify({ schemaVersion: 2, type: "atomic", name, content: encodeBase64(bytes) });
      const { status, text } = await registry.request("PUT", `/extensions/v2/${path}/signatures/${digest}`, body);
      assert.equal(status, 201, text);
    },
    policy: (path, mode, requirements = byKeyring) =>
      setPullPolicy(registry.database, path, { mode, requirements }, author),
    pull: (path, reference, method = "GET", headers = {}) =>
      registry.request(method, `/v2/${path}/manifests/${reference}`, undefined, {
        ...headers,
        "x-test-account": "reader",
      }),
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  };
}

async function refused(answer: Promise<Answer>): Promise<Answer> {
  const { status, code, text, headers } = await answer;
  assert.equal(status, 403, text);
  assert.match(headers.get("x-signet-policy") ?? "", /^refused; /);
  if (text !== "") assert.equal(code, "DENIED");
  return await answer;
}

async function passes(answer: Promise<Answer>): Promise<Answer> {
  const { status, text } = await answer;
  assert.equal(status, 200, text);
  return await answer;
}

void describe("a repository that enforces a policy", () => {
  void it("refuses unsigned images by tag and digest, with the reasons, to all but those who may sign", async () => {
    await using bench = await setUp();
    const image = await buildTestImage();
    await bench.push("team/app:1", image);
    const before = await passes(bench.pull("team/app", image.digest));
    assert.equal(before.headers.get("x-signet-policy"), null);
    assert.match(before.headers.get("cache-control")!, /immutable/);
    await bench.policy("team/app", "enforce");
    for (const reference of ["1", image.digest]) {
      await refused(bench.pull("team/app", reference, "HEAD"));
      await refused(bench.pull("team/app", reference, "GET", { "if-none-match": `"${image.digest}"` }));
      const { text } = await refused(bench.pull("team/app", reference));
      const { errors } = JSON.parse(text) as { errors: { detail: { policies: object[] } }[] };
      const reason = { code: "no-signature", message: "a signature was required, but no signature exists" };
      assert.deepEqual(errors[0]!.detail.policies, [
        { scope: "repository team/app", mode: "enforce", reasons: [reason] },
      ]);
    }
    const seen = await bench.registry.request("GET", "/v2/team/app/manifests/1");
    assert.deepEqual([seen.status, seen.headers.get("x-signet-policy")?.slice(0, 8)], [200, "refused;"]);
    // A layer's digest leads to nothing that runs: blobs are given to whoever may pull.
    const blob = await bench.registry.request("GET", `/v2/team/app/blobs/${image.layers[0]!.digest}`, undefined, {
      "x-test-account": "reader",
    });
    assert.equal(blob.status, 200);
    assert.ok(bench.judged.length > 0 && bench.judged.every((verdict) => verdict === "refused"));
  });

  void it("lets an image pass as soon as it is signed, and no longer once the key is withdrawn", async () => {
    await using bench = await setUp();
    const image = await buildTestImage();
    await bench.push("team/app:1", image);
    await bench.push("team/app:2", image);
    await bench.policy("team/app", "enforce");
    await refused(bench.pull("team/app", "1"));
    await bench.sign("team/app", image, "1");
    const { headers } = await passes(bench.pull("team/app", "1"));
    assert.deepEqual([headers.get("x-signet-policy"), headers.get("cache-control")], ["accepted", "no-cache"]);
    await passes(bench.pull("team/app", image.digest));
    // The signature is for another tag.
    const { text } = await refused(bench.pull("team/app", "2"));
    assert.match(text, /"code":"identity"/);
    await withdrawKey(bench.registry.database, bench.signer.fingerprint, "leaked", author);
    await refused(bench.pull("team/app", "1"));
    await refused(bench.pull("team/app", image.digest));
    // A policy that holds the key itself does not bring it back.
    const requirements = JSON.stringify([
      { type: "signedBy", keyType: "GPGKeys", keyData: Buffer.from(bench.signer.publicKey).toString("base64") },
    ]);
    await bench.policy("team/app", "enforce", requirements);
    await refused(bench.pull("team/app", "1"));
  });

  void it("takes inline keys, and an image under any name of the server, but none by the Host of a request", async () => {
    await using bench = await setUp();
    const image = await buildTestImage();
    await bench.push("team/app:1", image);
    const other = await makeSigner(undefined, Date.now());
    const keyData = Buffer.from(other.publicKey).toString("base64");
    await bench.policy("team/app", "enforce", JSON.stringify([{ type: "signedBy", keyType: "GPGKeys", keyData }]));
    await bench.sign("team/app", image, "1");
    await refused(bench.pull("team/app", "1"));
    const bytes = await other.sign(image.manifest, "elsewhere.example.com/team/app:1", Date.now());
    const put = (content: Uint8Array, index: number) =>
      bench.registry.request(
        "PUT",
        `/lookaside/team/app@${image.digest.replace(":", "=")}/signature-${index}`,
        content,
      );
    assert.equal((await put(bytes, 2)).status, 201);
    await refused(bench.pull("team/app", "1", "GET", { host: "elsewhere.example.com" }));
    assert.equal(
      (await put(await other.sign(image.manifest, "registry.internal:5000/team/app:1", Date.now()), 3)).status,
      201,
    );
    await passes(bench.pull("team/app", "1"));
  });

  void it("stops accepting when a key expires, without any change", async () => {
    await using bench = await setUp();
    const image = await buildTestImage();
    await bench.push("team/app:1", image);
    const short = await makeSigner(1_000 + 30, Date.now());
    await addTrustedKey(bench.registry.database, short.publicKey, "", author);
    await bench.policy("team/app", "enforce");
    await bench.sign("team/app", image, "1", short);
    await passes(bench.pull("team/app", "1"));
    bench.registry.advance(31_000);
    const { text } = await refused(bench.pull("team/app", "1"));
    assert.match(text, /expired/);
  });

  void it("refuses everything when there is no key to judge by", async () => {
    await using registry = await serveRegistry((account, action) => account !== "reader" || action === "pull");
    const image = await buildTestImage();
    await pushTestImage(httpPushTarget(registry.url), "team/app:1", image);
    await setPullPolicy(registry.database, "team/app", { mode: "enforce", requirements: byKeyring }, author);
    const answer = await registry.request("GET", "/v2/team/app/manifests/1", undefined, { "x-test-account": "reader" });
    assert.equal(answer.status, 403);
    assert.match(answer.text, /no-trust-anchors/);
  });
});

void describe("policies of namespaces and modes", () => {
  void it("add up, and warn where nothing is enforced", async () => {
    await using bench = await setUp();
    const { database } = bench.registry;
    const image = await buildTestImage();
    await bench.push("team/deep/app:1", image);
    await bench.push("teamwork/app:1", image);
    const set = (namespace: string, mode: PullPolicyMode, requirements: string | undefined = byKeyring) =>
      setNamespacePullPolicy(database, namespace, { mode, requirements }, author);
    await set("team", "warn");
    const warned = await passes(bench.pull("team/deep/app", "1"));
    const reason = "a signature was required, but no signature exists";
    assert.equal(warned.headers.get("x-signet-policy"), `warned; namespace team: ${reason}`);
    assert.equal((await passes(bench.pull("teamwork/app", "1"))).headers.get("x-signet-policy"), null);
    await set("team", "enforce");
    await refused(bench.pull("team/deep/app", "1"));
    // A repository cannot lift what its namespace requires.
    await bench.policy("team/deep/app", "enforce", '[{"type":"insecureAcceptAnything"}]');
    await refused(bench.pull("team/deep/app", "1"));
    await bench.policy("team/deep/app", "off");
    await refused(bench.pull("team/deep/app", "1"));
    // Nor does another path to the same repository.
    await database.write(async (writer) => {
      const { id } = await writer
        .selectFrom("repository")
        .select("id")
        .where("name", "=", "team/deep/app")
        .executeTakeFirstOrThrow();
      await writer
        .insertInto("distribution")
        .values({ path: "other", repository_id: id, version: null, created_at: 1 })
        .execute();
    });
    await refused(bench.pull("other", "1"));
    await set("team", "off", undefined);
    await passes(bench.pull("team/deep/app", "1"));
    await set("", "enforce", '[{"type":"reject"}]');
    await refused(bench.pull("teamwork/app", "1"));
    assert.deepEqual([...new Set(bench.judged)].toSorted(), ["refused", "warned"]);
  });

  void it("are refused when they name files, cannot be evaluated, or are not what policy.json allows", async () => {
    await using bench = await setUp();
    const key = { type: "signedBy", keyType: "GPGKeys" };
    const cases: readonly (readonly [string, string])[] = [
      [JSON.stringify([{ ...key, keyPath: "/etc/passwd" }]), "pull-policy-unusable"],
      [JSON.stringify([{ ...key, keyPaths: ["server:keyring", "x"] }]), "pull-policy-unusable"],
      [JSON.stringify([{ type: "sigstoreSigned", keyData: "QQ==" }]), "pull-policy-unusable"],
      ["[]", "policy-malformed"],
      ["{}", "policy-malformed"],
      ['[{"type":"reject"}],"transports":{}', "policy-malformed"],
      ['[{"type":"reject","type":"reject"}]', "policy-malformed"],
      ['[{"type":"accept"}]', "policy-malformed"],
      [JSON.stringify(Array.from({ length: 17 }, () => ({ type: "reject" }))), "input-too-large"],
      [`[{"type":"reject"}${" ".repeat(300_000)}]`, "input-too-large"],
    ];
    for (const [text, code] of cases) {
      assert.throws(
        () => parsePullPolicy(text),
        (error) => error instanceof FormatError && error.code === code,
        text.slice(0, 100),
      );
    }
    for (const attempt of [
      bench.policy("no/such", "enforce"),
      setPullPolicy(bench.registry.database, "no/such", { mode: "warn", requirements: undefined }, author),
      setNamespacePullPolicy(bench.registry.database, "../x", { mode: "enforce", requirements: byKeyring }, author),
    ]) {
      await assert.rejects(attempt, UsageError);
    }
  });
});

void describe("lists under a policy", () => {
  const platforms = ["amd64", "arm64"];
  const buildIndex = async (seed: number): Promise<TestIndex> =>
    buildTestIndex(await Promise.all(platforms.map((architecture) => buildTestImage({ architecture, seed }))));

  void it("vouch for their images by a signature of their own", async () => {
    await using bench = await setUp();
    const index = await buildIndex(1);
    await bench.push("team/app:1", index);
    await bench.policy("team/app", "enforce");
    await refused(bench.pull("team/app", "1"));
    await refused(bench.pull("team/app", index.images[0]!.digest));
    await bench.sign("team/app", index, "1");
    await passes(bench.pull("team/app", "1"));
    for (const { digest } of index.images) await passes(bench.pull("team/app", digest));
    // What the list does not name it does not vouch for.
    const stray = await buildTestImage({ seed: 9 });
    await bench.push("team/app:stray", stray);
    await refused(bench.pull("team/app", stray.digest));
    // Gone with the list.
    assert.equal((await bench.registry.request("DELETE", `/v2/team/app/manifests/${index.digest}`)).status, 202);
    await refused(bench.pull("team/app", index.images[0]!.digest));
  });

  void it("pass without one when each of their images is signed for the list's name", async () => {
    await using bench = await setUp();
    const [old, index] = [await buildIndex(1), await buildIndex(2)];
    await bench.push("team/app:1", index);
    await bench.push("team/app:0", old);
    await bench.policy("team/app", "enforce");
    await bench.sign("team/app", index.images[0]!, "1");
    await refused(bench.pull("team/app", "1"));
    await passes(bench.pull("team/app", index.images[0]!.digest));
    await bench.sign("team/app", index.images[1]!, "1");
    await passes(bench.pull("team/app", "1"));
    // An unsigned list of signed images vouches for none, and leads nobody to an image that was signed for another tag.
    await bench.sign("team/app", old.images[1]!, "0");
    const mixed = buildTestIndex([index.images[0]!, old.images[1]!]);
    await bench.push("team/app:1", mixed);
    await refused(bench.pull("team/app", "1"));
    // Nor does one where hundreds of images stand between them that the repository has not.
    const descriptor = ({ mediaType, digest, manifest }: TestImage, architecture: string): object => ({
      mediaType,
      digest,
      size: manifest.length,
      platform: { os: "linux", architecture },
    });
    const absent = Array.from({ length: 500 }, (_, position) => ({
      mediaType: old.images[0]!.mediaType,
      digest: `sha256:${String(position).padStart(64, "0")}`,
      size: 1,
    }));
    const images = [descriptor(index.images[0]!, "amd64"), ...absent, descriptor(old.images[1]!, "arm64")];
    const list = { schemaVersion: 2, mediaType: mixed.mediaType, manifests: images };
    const headers = { "content-type": mixed.mediaType };
    const put = await bench.registry.request("PUT", "/v2/team/app/manifests/1", JSON.stringify(list), headers);
    assert.equal(put.status, 201, put.text);
    await refused(bench.pull("team/app", "1"));
    // They are none of the images that a client can get: alone they change nothing.
    await bench.sign("team/app", old.images[1]!, "1");
    await passes(bench.pull("team/app", "1"));
  });
});

void describe("signatures under a policy", () => {
  void it("stay readable as artifacts, and a disguised image does not", async () => {
    await using bench = await setUp();
    const image = await buildTestImage();
    await bench.push("team/app:1", image);
    await bench.policy("team/app", "enforce");
    const target = httpPushTarget(bench.registry.url);
    const payload = '{"_type":"https://in-toto.io/Statement/v1"}';
    const statement = { mediaType: "application/vnd.dsse.envelope.v1+json", payload };
    await pushTestAttachments(target, "team/app", image.digest, "att", [statement]);
    const tag = `${image.digest.replace(":", "-")}.att`;
    await passes(bench.pull("team/app", tag));
    // The media type alone makes no artifact of what is no JSON.
    const hidden = { ...statement, payload: "#!/bin/sh" };
    await pushTestAttachments(target, "team/app", image.digest, "att", [statement, hidden]);
    await refused(bench.pull("team/app", tag));
    await pushTestAttachments(target, "team/app", image.digest, "att", [
      { mediaType: "application/vnd.oci.image.layer.v1.tar", payload },
    ]);
    await refused(bench.pull("team/app", tag));
  });
});

void it("skopeo and podman are refused by a policy, and pull what skopeo signed", async (t) => {
  for (const tool of ["skopeo", "podman", "gpg"] as const) if (requireTool(t, tool) === undefined) return;
  let maySign = true;
  await using registry = await serveRegistry((_account, action) => action !== "sign" || maySign);
  using home = makeContainersHome();
  await using gpg = await makeGpgHome();
  using dir = makeTempDir("signet-pull-");
  home.allowInsecure(registry.host);
  const key = await gpg.generateKey();
  await addTrustedKey(registry.database, await gpg.exportPublic(key), "", author);
  writeDirImage(dir.join("image"), await buildTestImage());
  const name = `${registry.host}/team/app:1`;
  const copy = async (...more: string[]) =>
    home.skopeo(["copy", ...more, `dir:${dir.join("image")}`, `docker://${name}`], { env: gpg.env });
  assert.equal((await copy()).status, 0);
  const requirement = { type: "signedBy", keyType: "GPGKeys", keyPath: "server:keyring" };
  const signedIdentity = { type: "exactReference", dockerReference: name };
  await setPullPolicy(
    registry.database,
    "team/app",
    { mode: "enforce", requirements: JSON.stringify([{ ...requirement, signedIdentity }]) },
    author,
  );
  maySign = false;
  const podman = await home.podman(["pull", name]);
  assert.notEqual(podman.status, 0);
  assert.match(podman.stderr, /denied/);
  maySign = true;
  const signed = await copy("--sign-by", key.fingerprint);
  assert.equal(signed.status, 0, signed.stderr);
  maySign = false;
  const pulled = await home.podman(["pull", name]);
  assert.equal(pulled.status, 0, pulled.stderr);
});
