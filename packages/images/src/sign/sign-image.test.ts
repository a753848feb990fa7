import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { type TestContext, before, describe, it } from "node:test";
import {
  type Signer,
  SignetError,
  UsageError,
  createSignature,
  generateKey,
  makeKeyring,
  openSecretKey,
  parseDigest,
  parseKeyring,
  parseSignatureBlob,
  parseSimpleSigningPayload,
  signedByPolicy,
  verifySignedMessage,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type ContainersHome,
  type TempDir,
  type TestImage,
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  makeContainersHome,
  makeTempDir,
  pushTestImage,
  requireTool,
  startTestRegistry,
  writeDirImage,
} from "@signet/testkit";
import { copyImage } from "../copy/copy-image.ts";
import { loadRegistriesD } from "../config/registries-d.ts";
import { RegistryClients } from "../registry/client.ts";
import { type StoreKind, chooseSignatureStore } from "../stores/choose-store.ts";
import { parseImageName } from "../transports/image-name.ts";
import { type OpenOptions, openImageDestination, openImageSource } from "../transports/open.ts";
import { verifyImages } from "../verify/verify-images.ts";
import { type SignOptions, type SignResult, signImage } from "./sign-image.ts";

const now = Date.now();
let publicKey: Uint8Array;
let signer: Signer;
let otherSigner: Signer;

before(async () => {
  const make = async (name: string): Promise<[Signer, Uint8Array]> => {
    const key = await generateKey({ engine: nodeEngine, now, userIds: [name], algorithm: "p256" });
    const secret = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now });
    return [secret, new TextEncoder().encode(key.publicKey)];
  };
  [signer, publicKey] = await make("Release <release@example.com>");
  [otherSigner] = await make("Other <other@example.com>");
});

/** A registry with two images and a list of them, and a lookaside folder. */
interface Stage {
  readonly registry: TestRegistry;
  readonly dir: TempDir;
  readonly images: readonly TestImage[];
  readonly listDigest: string;
  readonly remote: (name: string) => string;
  readonly open: (only?: StoreKind) => Promise<OpenOptions>;
  readonly sign: (name: string, more?: Partial<SignOptions>, only?: StoreKind) => Promise<SignResult>;
  readonly writeRegistriesD: (text: string) => void;
}

async function makeStage(t: TestContext, options: { readonly signaturesExtension?: boolean } = {}): Promise<Stage> {
  const registry = await startTestRegistry(options);
  t.after(() => registry.dispose());
  const dir = makeTempDir("signet-sign-");
  t.after(() => dir.dispose());
  const images = [
    await buildTestImage({ seed: 1, architecture: "amd64" }),
    await buildTestImage({ seed: 2, architecture: "arm64" }),
  ];
  const list = buildTestIndex(images);
  await pushTestImage(registry, "team/app:1", images[0]!);
  await pushTestImage(registry, "team/app:list", list);
  const writeRegistriesD = (text: string): void => writeFileSync(dir.join("registries.d", "test.yaml"), text);
  mkdirSync(dir.join("registries.d"));
  writeRegistriesD(`default-docker: {lookaside: "file://${dir.join("sig")}"}\n`);
  const host = { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" };
  const clients = new RegistryClients({ host, tlsVerify: false, retryTimes: 0 });
  t.after(() => clients.close());
  const open = async (only?: StoreKind): Promise<OpenOptions> => {
    const registriesD = await loadRegistriesD({ host, directory: dir.join("registries.d") });
    const choice = { registriesD, clients, ...(only === undefined ? {} : { only }) };
    return {
      docker: {
        clients,
        chooseSignatureStore: async (client, reference) =>
          (await chooseSignatureStore(client, reference, choice)).store,
      },
    };
  };
  const remote = (name: string): string => `docker://${registry.host}/${name}`;
  return {
    registry,
    dir,
    images,
    listDigest: list.digest,
    remote,
    open,
    writeRegistriesD,
    sign: async (name, more = {}, only) =>
      signImage(await parseImageName(name), { signer, now, open: await open(only), ...more }),
  };
}

/** Identity and digest of a stored signature, verified with the test key. */
function readSignature(path: string): { readonly reference: string; readonly digest: string } {
  const blob = parseSignatureBlob(readFileSync(path));
  assert.equal(blob.format, "simple-signing");
  const outcome = verifySignedMessage(blob.message, makeKeyring(parseKeyring(publicKey, nodeEngine).certificates), {
    engine: nodeEngine,
    now,
  });
  assert.equal(outcome.verdict, "accepted");
  const payload = parseSimpleSigningPayload(outcome.content);
  return { reference: payload.dockerReference, digest: payload.manifestDigest };
}

function failsWith(code: string, message = /./): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof SignetError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

const folderOf = (stage: Stage, digest: string): string =>
  stage.dir.join("sig", `team/app@${digest.replace(":", "=")}`);

describe("signImage", () => {
  it("signs what the tag stands for, stores it in the lookaside folder and says what it did", async (t) => {
    const stage = await makeStage(t);
    const { digest } = stage.images[0]!;
    const result = await stage.sign(stage.remote("team/app:1"));
    const identity = `${stage.registry.host}/team/app:1`;
    const location = `${folderOf(stage, digest)}/signature-1`;
    assert.deepEqual(result, {
      image: `docker://${identity}`,
      digest,
      store: `file://${stage.dir.join("sig")}`,
      receipts: [{ role: "image", digest, identity, outcome: "signed", location, fingerprint: signer.fingerprint }],
      warnings: [],
    });
    assert.deepEqual(readSignature(location), { reference: identity, digest });
    // The tag was resolved once.
    assert.equal(stage.registry.log.filter(({ path }) => path.endsWith("/manifests/1")).length, 1);
    const policy = signedByPolicy([publicKey]);
    const open = await stage.open();
    const [row] = await verifyImages([stage.remote("team/app:1")], { policy, now, open });
    assert.equal(row?.outcome, "accepted");
  });

  it("signs by digest for the digest, and without a tag for latest", async (t) => {
    const stage = await makeStage(t);
    const { digest } = stage.images[0]!;
    await pushTestImage(stage.registry, "team/app:latest", stage.images[0]!);
    const byDigest = await stage.sign(stage.remote(`team/app@${digest}`));
    assert.equal(byDigest.receipts[0]?.identity, `${stage.registry.host}/team/app@${digest}`);
    const untagged = await stage.sign(stage.remote("team/app"));
    assert.equal(untagged.receipts[0]?.identity, `${stage.registry.host}/team/app:latest`);
    assert.equal(untagged.receipts[0].location, `${folderOf(stage, digest)}/signature-2`);
  });

  it("does nothing the second time, signs again when forced, and again for another identity or key", async (t) => {
    const stage = await makeStage(t);
    const name = stage.remote("team/app:1");
    const [first] = (await stage.sign(name)).receipts;
    const [second] = (await stage.sign(name)).receipts;
    assert.deepEqual(second, { ...first, outcome: "already-signed" });
    const outcomes = [
      await stage.sign(name, { force: true }),
      await stage.sign(name, { identity: "registry.example.com/other:1" }),
      await stage.sign(name, { signer: otherSigner }),
    ].map(({ receipts }) => [receipts[0]?.outcome, receipts[0]?.location.slice(-1)]);
    assert.deepEqual(outcomes, [
      ["signed", "2"],
      ["signed", "3"],
      ["signed", "4"],
    ]);
  });

  it("is not kept from signing by a signature that only claims to be the same", async (t) => {
    const stage = await makeStage(t);
    const { digest, manifest } = stage.images[0]!;
    const identity = `${stage.registry.host}/team/app:1`;
    const genuine = await createSignature(manifest, identity, signer, { engine: nodeEngine, now });
    const damaged = genuine.bytes.with(genuine.bytes.length - 1, genuine.bytes.at(-1)! ^ 1);
    mkdirSync(folderOf(stage, digest), { recursive: true });
    writeFileSync(`${folderOf(stage, digest)}/signature-1`, damaged);
    writeFileSync(`${folderOf(stage, digest)}/signature-2`, "");
    const [receipt] = (await stage.sign(stage.remote("team/app:1"))).receipts;
    assert.equal(receipt?.outcome, "signed");
    assert.equal(receipt.location, `${folderOf(stage, digest)}/signature-3`);
  });

  it("signs a list alone, and with `all` every instance as well, all for one identity", async (t) => {
    const stage = await makeStage(t);
    const name = stage.remote("team/app:list");
    const alone = await stage.sign(name);
    assert.deepEqual(
      alone.receipts.map(({ role, digest }) => [role, digest]),
      [["list", stage.listDigest]],
    );
    assert.match(alone.warnings[0]!, /only the list was signed/);
    const all = await stage.sign(name, { all: true });
    assert.deepEqual(
      all.receipts.map(({ role, digest, outcome, platform }) => [role, digest, outcome, platform?.architecture]),
      [
        ["instance", stage.images[0]!.digest, "signed", "amd64"],
        ["instance", stage.images[1]!.digest, "signed", "arm64"],
        ["list", stage.listDigest, "already-signed", undefined],
      ],
    );
    for (const receipt of all.receipts)
      assert.deepEqual(readSignature(receipt.location), {
        reference: `${stage.registry.host}/team/app:list`,
        digest: receipt.digest,
      });
  });

  it("stores nothing when not all signatures could be made", async (t) => {
    const stage = await makeStage(t);
    let count = 0;
    const failing: Signer = {
      ...signer,
      sign: async (content, time) => {
        if (++count > 2) throw new UsageError("passphrase-required", "the card was pulled out");
        return signer.sign(content, time);
      },
    };
    const attempt = stage.sign(stage.remote("team/app:list"), { all: true, signer: failing });
    await assert.rejects(attempt, failsWith("passphrase-required"));
    assert.equal(count, 3);
    assert.deepEqual(readdirSync(stage.dir.path), ["registries.d"]);
  });

  it("T19: stores nothing that the signer did not really sign", async (t) => {
    const stage = await makeStage(t);
    const lying: readonly Signer[] = [
      { ...signer, sign: async (content) => content },
      { ...signer, sign: async (_content, time) => signer.sign(new TextEncoder().encode("{}"), time) },
      { ...signer, sign: async (content, time) => otherSigner.sign(content, time) },
    ];
    for (const one of lying)
      await assert.rejects(stage.sign(stage.remote("team/app:1"), { signer: one }), failsWith("signing-failed"));
    assert.deepEqual(readdirSync(stage.dir.path), ["registries.d"]);
  });

  it("uses the registry's signatures API when it is announced, unless the lookaside store is asked for", async (t) => {
    const stage = await makeStage(t, { signaturesExtension: true });
    const { digest } = stage.images[0]!;
    const name = stage.remote("team/app:1");
    const result = await stage.sign(name);
    assert.match(result.store, /signatures API/);
    assert.equal(stage.registry.signatures("team/app", digest).length, 1);
    assert.equal((await stage.sign(name)).receipts[0]?.outcome, "already-signed");
    assert.equal(stage.registry.signatures("team/app", digest).length, 1);
    const lookaside = await stage.sign(name, {}, "lookaside");
    assert.equal(lookaside.receipts[0]?.location, `${folderOf(stage, digest)}/signature-1`);
  });

  it("refuses the signatures API where the registry has none", async (t) => {
    const stage = await makeStage(t);
    await assert.rejects(
      stage.sign(stage.remote("team/app:1"), {}, "extension"),
      failsWith("signature-store-error", /does not announce/),
    );
  });

  it("writes to the staging folder, and knows what is there and what was published", async (t) => {
    const stage = await makeStage(t);
    const { digest } = stage.images[0]!;
    stage.writeRegistriesD(
      `docker: {"${stage.registry.host}": {lookaside: "file://${stage.dir.join("sig")}", lookaside-staging: "file://${stage.dir.join("staging")}"}}`,
    );
    const name = stage.remote("team/app:1");
    const [first] = (await stage.sign(name)).receipts;
    const staged = stage.dir.join("staging", `team/app@${digest.replace(":", "=")}`, "signature-1");
    assert.equal(first?.location, staged);
    assert.equal((await stage.sign(name)).receipts[0]?.outcome, "already-signed");
    const published = folderOf(stage, digest);
    mkdirSync(published, { recursive: true });
    writeFileSync(`${published}/signature-1`, readFileSync(staged));
    writeFileSync(staged, "something else");
    assert.equal((await stage.sign(name)).receipts[0]?.location, `${published}/signature-1`);
  });

  it("signs although the public store cannot be read, and says so", async (t) => {
    const stage = await makeStage(t);
    stage.writeRegistriesD(
      `docker: {"${stage.registry.host}": {lookaside: "http://127.0.0.1:1", lookaside-staging: "file://${stage.dir.join("staging")}"}}`,
    );
    const result = await stage.sign(stage.remote("team/app:1"));
    assert.equal(result.receipts[0]?.outcome, "signed");
    assert.match(result.warnings[0]!, /cannot tell whether the image is signed already: 127\.0\.0\.1:1/);
  });

  it("refuses a store that can only be read, before anything is signed", async (t) => {
    const stage = await makeStage(t);
    stage.writeRegistriesD(`default-docker: {lookaside: "https://sig.example.com"}\n`);
    const unused: Signer = { ...signer, sign: () => assert.fail("nothing to sign") };
    await assert.rejects(stage.sign(stage.remote("team/app:1"), { signer: unused }), (error) => {
      assert.ok(failsWith("signature-store-unwritable", /sig\.example\.com can only be read/)(error));
      assert.match((error as SignetError).hint ?? "", /lookaside-staging/);
      return true;
    });
  });

  it("signs a dir: image beside it, for the identity that is named", async (t) => {
    const stage = await makeStage(t);
    const path = stage.dir.join("image");
    writeDirImage(path, buildTestIndex(stage.images));
    const name = `dir:${path}`;
    await assert.rejects(stage.sign(name), failsWith("identity-missing"));
    const identity = "registry.example.com/team/app:1";
    const result = await stage.sign(name, { identity, all: true });
    assert.deepEqual(
      result.receipts.map(({ location }) => location),
      [
        ...stage.images.map(({ digest }) => `${path}/${digest.slice("sha256:".length)}.signature-1`),
        `${path}/signature-1`,
      ],
    );
    for (const { location, digest } of result.receipts)
      assert.deepEqual(readSignature(location), { reference: identity, digest });
    assert.ok(
      (await stage.sign(name, { identity, all: true })).receipts.every(({ outcome }) => outcome === "already-signed"),
    );
  });

  it("refuses identities that are short, incomplete or malformed", async (t) => {
    const stage = await makeStage(t);
    for (const [identity, code] of [
      ["busybox:1", "reference-malformed"],
      ["registry.example.com/team/app", "reference-incomplete"],
      ["registry.example.com/Team/app:1", "reference-malformed"],
      ["", "reference-malformed"],
    ] as const)
      await assert.rejects(stage.sign(stage.remote("team/app:1"), { identity }), failsWith(code));
  });

  it("has no place for signatures in an oci: layout", async (t) => {
    const stage = await makeStage(t);
    const [from, to] = [stage.dir.join("image"), `oci:${stage.dir.join("layout")}:1`];
    writeDirImage(from, await buildTestImage({ format: "oci" }));
    {
      await using source = await openImageSource(await parseImageName(`dir:${from}`));
      await using destination = await openImageDestination(await parseImageName(to));
      await copyImage(source, destination);
    }
    await assert.rejects(
      stage.sign(to, { identity: "h.example/a:1" }),
      failsWith("destination-unsuitable", /oci: has no place for signatures/),
    );
  });

  it("fails for a missing image, and for a list whose instance is missing, without signing", async (t) => {
    const stage = await makeStage(t);
    await assert.rejects(stage.sign(stage.remote("team/app:none")), failsWith("image-missing"));
    const absent = await buildTestImage({ seed: 3 });
    const list = buildTestIndex([stage.images[0]!, absent]);
    stage.registry.putManifest("team/app", "sparse", list.manifest, list.mediaType);
    await assert.rejects(stage.sign(stage.remote("team/app:sparse"), { all: true }), failsWith("image-missing"));
    assert.deepEqual(readdirSync(stage.dir.path), ["registries.d"]);
    assert.equal((await stage.sign(stage.remote("team/app:sparse"))).receipts[0]?.digest, parseDigest(list.digest));
  });

  it("makes signatures that skopeo's policy accepts, through lookaside and dir:, and only for their identity", async (t) => {
    if (requireTool(t, "skopeo") === undefined) return;
    const stage = await makeStage(t);
    const home: ContainersHome = makeContainersHome();
    t.after(() => home.dispose());
    home.allowInsecure(stage.registry.host);
    home.writeRegistriesD("test", { "default-docker": { lookaside: `file://${stage.dir.join("sig")}` } });
    writeFileSync(stage.dir.join("key.asc"), publicKey);
    const signedBy = { type: "signedBy", keyType: "GPGKeys", keyPath: stage.dir.join("key.asc") };
    const signedIdentity = { type: "exactReference", dockerReference: "registry.example.com/team/app:1" };
    home.writePolicy({
      default: [{ type: "reject" }],
      transports: { docker: { "": [signedBy] }, dir: { "": [{ ...signedBy, signedIdentity }] } },
    });
    await pushTestImage(stage.registry, "team/app:unsigned", stage.images[1]!);
    await stage.sign(stage.remote("team/app:1"));
    const copy = async (from: string): Promise<string> => {
      const { status, stderr } = await home.skopeo(["copy", from, `dir:${stage.dir.join(`out${Math.random()}`)}`]);
      return status === 0 ? "accepted" : stderr;
    };
    assert.equal(await copy(stage.remote("team/app:1")), "accepted");
    assert.match(await copy(stage.remote("team/app:unsigned")), /no signature exists/);
    stage.registry.putManifest("team/app", "renamed", stage.images[0]!.manifest, stage.images[0]!.mediaType);
    assert.match(
      await copy(stage.remote("team/app:renamed")),
      /Signature for identity .*team\/app:1\W* is not accepted/,
    );

    const path = stage.dir.join("image");
    writeDirImage(path, stage.images[0]!);
    assert.match(await copy(`dir:${path}`), /no signature exists/);
    await stage.sign(`dir:${path}`, { identity: "registry.example.com/team/app:1" });
    assert.equal(await copy(`dir:${path}`), "accepted");
  });
});
