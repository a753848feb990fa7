import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, before, describe, it } from "node:test";
import {
  type Policy,
  SignetError,
  type Signer,
  UndeterminedError,
  createSignature,
  generateKey,
  openSecretKey,
  parsePolicy,
  signedByPolicy,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import {
  type TempDir,
  type TestImage,
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  makeTempDir,
  pushTestImage,
  startTestRegistry,
} from "@signet/testkit";
import { loadRegistriesD } from "../config/registries-d.ts";
import { RegistryClients } from "../registry/client.ts";
import { chooseSignatureStore } from "../stores/choose-store.ts";
import { parseImageName } from "../transports/image-name.ts";
import { type OpenOptions, openImageSource } from "../transports/open.ts";
import { type ImageVerdict, type VerifyOptions, verifyImage } from "./verify-image.ts";
import { type ImageRow, type VerifyManyOptions, verifyImages } from "./verify-images.ts";

const now = Date.now();
const amd64 = { os: "linux", architecture: "amd64" };
let publicKey: Uint8Array;
let signer: Signer;

before(async () => {
  const key = await generateKey({ engine: nodeEngine, now, userIds: ["Release"], algorithm: "p256" });
  signer = await openSecretKey(new TextEncoder().encode(key.secretKey), { engine: nodeEngine, now });
  publicKey = new TextEncoder().encode(key.publicKey);
});

function policy(document: object): Policy {
  return parsePolicy(new TextEncoder().encode(JSON.stringify(document)), "test policy");
}

function failsWith(code: string, message = /./): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof SignetError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

function reasonCodes({ manifests }: ImageVerdict): readonly string[] {
  return manifests.flatMap((one) =>
    one.outcome !== "undetermined" && one.verdict.verdict === "rejected"
      ? one.verdict.reasons.map(({ code }) => code)
      : [],
  );
}

/** A registry with a lookaside folder. */
interface Stage {
  readonly registry: TestRegistry;
  readonly dir: TempDir;
  readonly open: OpenOptions;
  readonly images: readonly TestImage[];
  readonly remote: (name: string) => string;
  /** Puts a genuine signature into the lookaside folder. */
  readonly addSignature: (manifest: Uint8Array, digest: string, identity: string) => Promise<void>;
  readonly verify: (name: string, more?: Partial<VerifyOptions>) => Promise<ImageVerdict>;
  readonly verifyAll: (names: readonly string[], more?: Partial<VerifyManyOptions>) => Promise<readonly ImageRow[]>;
}

async function makeStage(t: TestContext, lookaside?: string): Promise<Stage> {
  const registry = await startTestRegistry();
  t.after(() => registry.dispose());
  const dir = makeTempDir("signet-verify-");
  t.after(() => dir.dispose());
  mkdirSync(dir.join("registries.d"));
  const base = lookaside ?? `file://${dir.join("sig")}`;
  writeFileSync(dir.join("registries.d/test.yaml"), `default-docker: {lookaside: "${base}"}\n`);
  const host = { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" };
  const clients = new RegistryClients({ host, tlsVerify: false, retryTimes: 0 });
  t.after(() => clients.close());
  const registriesD = await loadRegistriesD({ host, directory: dir.join("registries.d") });
  const open: OpenOptions = {
    docker: {
      clients,
      chooseSignatureStore: async (client, reference) =>
        (await chooseSignatureStore(client, reference, { registriesD, clients })).store,
    },
  };
  const images = [
    await buildTestImage({ seed: 1, architecture: "amd64" }),
    await buildTestImage({ seed: 2, architecture: "arm64" }),
  ];
  const judging: VerifyOptions = { policy: signedByPolicy([publicKey]), now, platform: amd64 };
  return {
    registry,
    dir,
    open,
    images,
    remote: (name) => `docker://${registry.host}/${name}`,
    async addSignature(manifest, digest, identity) {
      const { bytes } = await createSignature(manifest, `${registry.host}/${identity}`, signer, {
        engine: nodeEngine,
        now,
      });
      const folder = dir.join("sig", `team/app@${digest.replace(":", "=")}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "signature-1"), bytes);
    },
    async verify(name, more = {}) {
      await using source = await openImageSource(await parseImageName(`docker://${registry.host}/${name}`), open);
      return await verifyImage(source, { ...judging, ...more });
    },
    verifyAll: (names, more = {}) => verifyImages(names, { ...judging, open, ...more }),
  };
}

describe("images in a registry", () => {
  it("T1: fetches the tag once, and judges by the digest of what came", async (t) => {
    const stage = await makeStage(t);
    const [image, other] = stage.images;
    await pushTestImage(stage.registry, "team/app:1", image!);
    await stage.addSignature(image!.manifest, image!.digest, "team/app:1");
    assert.equal((await stage.verify("team/app:1")).outcome, "accepted");
    const fetches = (): number => stage.registry.log.filter(({ path }) => path.endsWith("/manifests/1")).length;
    assert.equal(fetches(), 1);
    // Somebody moves the tag: the next verdict is about the new image, whose digest nobody signed.
    await pushTestImage(stage.registry, "team/app:1", other!);
    const moved = await stage.verify("team/app:1");
    assert.equal(moved.digest, other!.digest);
    assert.deepEqual(reasonCodes(moved), ["no-signature"]);
    assert.equal(fetches(), 2);
  });

  it("T1: a registry that answers differently the second time gains nothing within a run", async (t) => {
    const stage = await makeStage(t);
    const [image, other] = stage.images;
    await pushTestImage(stage.registry, "team/app:1", image!);
    await stage.addSignature(image!.manifest, image!.digest, "team/app:1");
    stage.registry.addFaults({ path: /manifests\/1$/, from: 2, times: Infinity, alterBody: () => other!.manifest });
    const name = stage.remote("team/app:1");
    const rows = await stage.verifyAll([name, `${stage.registry.host}/team/app:1`, name], { jobs: 3 });
    assert.deepEqual(
      rows.map((row) => [row.outcome, "digest" in row ? row.digest : undefined]),
      Array.from({ length: 3 }, () => ["accepted", image!.digest]),
    );
  });

  it("T1: cannot tell when the bytes are not those that the name's digest asks for", async (t) => {
    const stage = await makeStage(t);
    const [image] = stage.images;
    await pushTestImage(stage.registry, "team/app:1", image!);
    await stage.addSignature(image!.manifest, image!.digest, "team/app:1");
    assert.equal((await stage.verify(`team/app@${image!.digest}`)).outcome, "accepted");
    stage.registry.tamper("team/app", image!.digest, (bytes) => Buffer.concat([bytes, Buffer.from(" ")]));
    await assert.rejects(stage.verify(`team/app@${image!.digest}`), failsWith("digest-mismatch"));
  });

  it("judges the platform's instance of a list under the list's name; the list's own signature does not count", async (t) => {
    const stage = await makeStage(t);
    const list = buildTestIndex(stage.images);
    await pushTestImage(stage.registry, "team/app:1", list);
    await stage.addSignature(list.manifest, list.digest, "team/app:1");
    const onlyList = await stage.verify("team/app:1");
    assert.deepEqual(reasonCodes(onlyList), ["no-signature"]);
    const [image] = stage.images;
    await stage.addSignature(image!.manifest, image!.digest, "team/app:1");
    const verdict = await stage.verify("team/app:1");
    assert.equal(verdict.outcome, "accepted");
    assert.equal(verdict.digest, list.digest);
    assert.deepEqual(
      verdict.manifests.map(({ role, digest, platform }) => [role, digest, platform]),
      [["instance", image!.digest, amd64]],
    );
    const arm = await stage.verify("team/app:1", { platform: { os: "linux", architecture: "arm64" } });
    assert.deepEqual(reasonCodes(arm), ["no-signature"]);
    const s390x = { platform: { os: "linux", architecture: "s390x" } };
    await assert.rejects(stage.verify("team/app:1", s390x), failsWith("image-missing", /no image for linux\/s390x/));
  });

  it("judges the list and every instance with `all`, and accepts only if all are", async (t) => {
    const stage = await makeStage(t);
    const list = buildTestIndex(stage.images);
    await pushTestImage(stage.registry, "team/app:1", list);
    const everything = [list, ...stage.images];
    const outcomes: string[] = [];
    for (const { manifest, digest } of everything) {
      outcomes.push((await stage.verify("team/app:1", { all: true })).outcome);
      await stage.addSignature(manifest, digest, "team/app:1");
    }
    assert.deepEqual(outcomes, ["rejected", "rejected", "rejected"]);
    const verdict = await stage.verify("team/app:1", { all: true });
    assert.equal(verdict.outcome, "accepted");
    assert.deepEqual(
      verdict.manifests.map(({ role, digest, platform }) => [role, digest, platform?.architecture]),
      [
        ["list", list.digest, undefined],
        ["instance", stage.images[0]!.digest, "amd64"],
        ["instance", stage.images[1]!.digest, "arm64"],
      ],
    );
  });

  it("with `all` cannot tell when an instance is missing, unless another one is rejected", async (t) => {
    const stage = await makeStage(t);
    const [image] = stage.images;
    const absent = await buildTestImage({ seed: 3, architecture: "s390x" });
    const list = buildTestIndex([image!, absent]);
    await pushTestImage(stage.registry, "team/app:other", image!);
    stage.registry.putManifest("team/app", "1", list.manifest, list.mediaType);
    const rejected = await stage.verify("team/app:1", { all: true });
    assert.equal(rejected.outcome, "rejected");
    assert.deepEqual(
      rejected.manifests.map(({ outcome }) => outcome),
      ["rejected", "rejected", "undetermined"],
    );
    await stage.addSignature(list.manifest, list.digest, "team/app:1");
    await stage.addSignature(image!.manifest, image!.digest, "team/app:1");
    await assert.rejects(stage.verify("team/app:1", { all: true }), failsWith("image-missing"));
    assert.equal((await stage.verify("team/app:1")).outcome, "accepted");
  });

  it("T2: cannot tell for what is a list and an image at once, and for a list that lies about an instance", async (t) => {
    const stage = await makeStage(t);
    const [image] = stage.images;
    await pushTestImage(stage.registry, "team/app:good", image!);
    const list = buildTestIndex([image!]);
    const text = new TextDecoder().decode(list.manifest);
    const both = text.replace('"manifests":', '"layers":[],"manifests":');
    const wrongSize = text.replace(`"size":${image!.manifest.length}`, `"size":${image!.manifest.length + 1}`);
    assert.notEqual(wrongSize, text);
    for (const [tag, hostile] of Object.entries({ both, wrongSize })) {
      stage.registry.putManifest("team/app", tag, new TextEncoder().encode(hostile), list.mediaType);
      await stage.addSignature(image!.manifest, image!.digest, `team/app:${tag}`);
      await assert.rejects(stage.verify(`team/app:${tag}`), SignetError);
    }
  });

  it("T12: rejects with a warning where the store answers with pages, and cannot tell where it forbids", async (t) => {
    let status = 200;
    const server = createServer((_request, response) => {
      response.writeHead(status, { "content-type": "text/html" }).end("<!DOCTYPE html><html>login</html>");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const stage = await makeStage(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}/s`);
    await pushTestImage(stage.registry, "team/app:1", stage.images[0]!);
    const verdict = await stage.verify("team/app:1");
    assert.deepEqual(reasonCodes(verdict), ["no-signature"]);
    const [manifest] = verdict.manifests;
    assert.ok(manifest?.outcome === "rejected");
    assert.match(manifest.lookup?.warnings.at(-1) ?? "", /answers with pages instead of signatures/);
    status = 403;
    await assert.rejects(stage.verify("team/app:1"), failsWith("signature-store-error", /HTTP 403/));
  });

  it("accepts a good signature behind an empty and a malformed one", async (t) => {
    const stage = await makeStage(t);
    const [image] = stage.images;
    await pushTestImage(stage.registry, "team/app:1", image!);
    await stage.addSignature(image!.manifest, image!.digest, "team/app:1");
    const folder = stage.dir.join("sig", `team/app@${image!.digest.replace(":", "=")}`);
    const good = readFileSync(join(folder, "signature-1"));
    for (const [index, bytes] of [new Uint8Array(), new Uint8Array([0xff]), good].entries())
      writeFileSync(join(folder, `signature-${index + 1}`), bytes);
    assert.equal((await stage.verify("team/app:1")).outcome, "accepted");
    rmSync(join(folder, "signature-3"));
    const rejected = await stage.verify("team/app:1");
    assert.equal(rejected.outcome, "rejected");
    assert.equal(reasonCodes(rejected).length, 2);
  });
});

describe("verifyImages", () => {
  it("gives a row for each name in its order, whatever becomes of it, and tells of each as it is done", async (t) => {
    const stage = await makeStage(t);
    const [image, other] = stage.images;
    await pushTestImage(stage.registry, "team/app:1", image!);
    await pushTestImage(stage.registry, "team/app:unsigned", other!);
    await stage.addSignature(image!.manifest, image!.digest, "team/app:1");
    const names = [
      stage.remote("team/app:unsigned"),
      "docker://127.0.0.1:1/team/app:1",
      stage.remote("team/app:1"),
      "docker://UPPER/x",
      stage.remote("team/app:missing"),
      "dir:/nonexistent/image",
      "oci-archive:",
      stage.remote("team/app:1"),
    ];
    const told: [number, string][] = [];
    const rows = await stage.verifyAll(names, { jobs: 2, onRow: (row, index) => told.push([index, row.outcome]) });
    assert.deepEqual(
      rows.map(({ name }) => name),
      names,
    );
    assert.deepEqual(
      rows.map((row) => (row.outcome === "undetermined" ? row.error.code : row.outcome)),
      [
        "rejected",
        "registry-unreachable",
        "accepted",
        "image-name-malformed",
        "image-missing",
        "file-missing",
        "image-name-malformed",
        "accepted",
      ],
    );
    assert.deepEqual(
      told.toSorted(([a], [b]) => a - b),
      rows.map(({ outcome }, index) => [index, outcome]),
    );
  });

  it("judges an image that is named several times once", async (t) => {
    const stage = await makeStage(t);
    await pushTestImage(stage.registry, "team/app:1", stage.images[0]!);
    await stage.verifyAll(
      Array.from({ length: 20 }, () => stage.remote("team/app:1")),
      { jobs: 4 },
    );
    assert.equal(stage.registry.log.filter(({ path }) => path.endsWith("/manifests/1")).length, 1);
  });

  it("reads each key file once for all images", async (t) => {
    const stage = await makeStage(t);
    for (const [index, image] of stage.images.entries())
      await pushTestImage(stage.registry, `team/app:${index}`, image);
    const reads: string[] = [];
    const rows = await stage.verifyAll(
      stage.images.map((_, index) => stage.remote(`team/app:${index}`)),
      {
        policy: policy({ default: [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/keys/release.gpg" }] }),
        readKeyFile: (path) => {
          reads.push(path);
          return publicKey;
        },
      },
    );
    assert.deepEqual(
      rows.map(({ outcome }) => outcome),
      ["rejected", "rejected"],
    );
    assert.deepEqual(reads, ["/keys/release.gpg"]);
  });

  it("T12: makes undetermined rows of unforeseen failures and of what cannot be evaluated", async (t) => {
    const stage = await makeStage(t);
    await pushTestImage(stage.registry, "team/app:1", stage.images[0]!);
    const names = [stage.remote("team/app:1")];
    const failing = policy({ default: [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/k" }] });
    const readKeyFile = (): never => {
      throw new TypeError("cannot read properties of undefined");
    };
    const [unforeseen] = await stage.verifyAll(names, { policy: failing, readKeyFile });
    assert.ok(unforeseen?.outcome === "undetermined");
    assert.equal(unforeseen.error.code, "internal-fault");
    const sigstore = policy({ default: [{ type: "sigstoreSigned", keyPath: "/k" }] });
    const [unsupported] = await stage.verifyAll(names, { policy: sigstore });
    assert.ok(unsupported?.outcome === "undetermined");
    assert.ok(unsupported.error instanceof UndeterminedError);
    assert.ok(unsupported.error.details["evidence"] !== undefined);
  });

  it("refuses impossible numbers of jobs, and takes an empty list", async (t) => {
    const stage = await makeStage(t);
    for (const jobs of [0, -1, 1.5, NaN, 65])
      await assert.rejects(stage.verifyAll([], { jobs }), failsWith("command-line-malformed"));
    assert.deepEqual(await stage.verifyAll([]), []);
  });
});
