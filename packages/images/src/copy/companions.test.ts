import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { type Digest, parseDigest } from "@signet/core";
import {
  type TestImage,
  type TestRegistry,
  type TestRegistryOptions,
  buildTestImage,
  buildTestIndex,
  makeTempDir,
  pushTestAttachments,
  pushTestImage,
  pushTestReferrer,
  pushTestReferrersTag,
  startTestRegistry,
  writeDirImage,
} from "@signet/testkit";
import { makeRegistryClients } from "@signet/testkit/hostile-registry";
import { loadRegistriesD } from "../config/registries-d.ts";
import { chooseSignatureStore } from "../stores/choose-store.ts";
import { parseImageName } from "../transports/image-name.ts";
import { type OpenOptions, openImageDestination, openImageSource } from "../transports/open.ts";
import { copyImage } from "./copy-image.ts";
import type { CopyOptions, CopyResult } from "./copy-options.ts";
import { deleteCompanions } from "./delete-companions.ts";

const NOTATION = "application/vnd.cncf.notary.signature";
const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SPDX = "application/spdx+json";
const vectors = join(import.meta.dirname, "../../../../vectors/dir-images");

interface Bench {
  readonly from: TestRegistry;
  readonly to: TestRegistry;
  readonly folder: string;
  readonly options: OpenOptions;
  readonly copy: (from: string, to: string, options?: CopyOptions) => Promise<CopyResult>;
}

interface BenchOptions {
  readonly from?: TestRegistryOptions;
  readonly to?: TestRegistryOptions;
  /** Switched on for both registries. Default false. */
  readonly attachments?: boolean;
}

async function setUp(t: TestContext, options: BenchOptions = {}): Promise<Bench> {
  const from = await startTestRegistry(options.from);
  const to = await startTestRegistry(options.to);
  const folder = makeTempDir("signet-companions-");
  t.after(async () => {
    await Promise.all([from.dispose(), to.dispose()]);
    folder.dispose();
  });
  mkdirSync(folder.join("registries.d"));
  const section = `{lookaside: "file://${folder.join("store")}", use-sigstore-attachments: ${options.attachments === true}}`;
  writeFileSync(folder.join("registries.d", "all.yaml"), `default-docker: ${section}\n`);
  const host = { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" };
  const registriesD = await loadRegistriesD({ host, directory: folder.join("registries.d") });
  const clients = makeRegistryClients(t);
  const open: OpenOptions = {
    docker: {
      clients,
      chooseSignatureStore: async (client, reference) =>
        (await chooseSignatureStore(client, reference, { registriesD, clients })).store,
    },
  };
  return {
    from,
    to,
    folder: folder.path,
    options: open,
    async copy(source, destination, copyOptions) {
      await using one = await openImageSource(await parseImageName(source), open);
      await using other = await openImageDestination(await parseImageName(destination), open);
      return await copyImage(one, other, copyOptions);
    },
  };
}

/** An image with everything: what cosign keeps by tag, and referrers, of which one is signed itself. */
async function pushAll(
  registry: TestRegistry,
  image: TestImage,
  hasReferrersApi = true,
): Promise<Record<string, string>> {
  await pushTestImage(registry, "app:1", image);
  const sig = await pushTestAttachments(registry, "app", image.digest, "sig", [{ payload: "one" }, { payload: "two" }]);
  const att = await pushTestAttachments(registry, "app", image.digest, "att", [{ payload: "statement" }]);
  const attSig = await pushTestAttachments(registry, "app", att.digest, "sig", [{ payload: "of the statement" }]);
  const sbom = await pushTestAttachments(registry, "app", image.digest, "sbom", [{ payload: "list" }]);
  const notation = await pushTestReferrer(registry, "app", image, NOTATION, "notation");
  const bundle = await pushTestReferrer(registry, "app", image, BUNDLE, "bundle");
  const spdx = await pushTestReferrer(registry, "app", image, SPDX, "spdx");
  const ofSpdx = await pushTestReferrer(registry, "app", spdx, NOTATION, "of the SBOM");
  if (!hasReferrersApi) {
    await pushTestReferrersTag(registry, "app", image.digest, [notation, bundle, spdx], "untrue");
    await pushTestReferrersTag(registry, "app", spdx.digest, [ofSpdx], NOTATION);
  }
  const all = { sig, att, attSig, sbom, notation, bundle, spdx, ofSpdx };
  return Object.fromEntries(Object.entries(all).map(([name, { digest }]) => [name, digest]));
}

const tagOf = (digest: string, suffix: string): string => `${digest.replace(":", "-")}.${suffix}`;

const referrersIn = (registry: TestRegistry, repository: string, digest: string): string[] => {
  const index = registry.manifest(repository, digest.replace(":", "-"));
  if (index === undefined) return [];
  const { manifests } = JSON.parse(Buffer.from(index.bytes).toString()) as { manifests: { digest: string }[] };
  return manifests.map((one) => one.digest);
};

async function listedBy(bench: Bench, registry: TestRegistry, repository: string, digest: string): Promise<string[]> {
  const list = await bench.options
    .docker!.clients.clientFor(registry.host)
    .listReferrers(repository, parseDigest(digest));
  return list.referrers.map((one) => one.digest).sort();
}

void describe("copyImage, of what belongs to an image", () => {
  for (const [fromApi, toApi] of [
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ] as const) {
    const title = (has: boolean): string => `a registry ${has ? "with" : "without"} the referrers API`;
    void it(`carries all of it, byte for byte, from ${title(fromApi)} to ${title(toApi)}`, async (t) => {
      const bench = await setUp(t, { from: { referrers: fromApi, referrersPageSize: 2 }, to: { referrers: toApi } });
      const { from, to, copy } = bench;
      const image = await buildTestImage({ format: "oci" });
      const all = await pushAll(from, image, fromApi);
      const result = await copy(`docker://${from.host}/app:1`, `docker://${to.host}/copy/app:2`);
      assert.deepEqual(result.companions, { tags: 4, referrers: 4, present: 0, leftBehind: 0, warnings: [] });
      for (const digest of Object.values(all)) {
        assert.deepEqual(to.manifest("copy/app", digest)?.bytes, from.manifest("app", digest)?.bytes, digest);
      }
      for (const suffix of ["sig", "att", "sbom"]) {
        assert.equal(to.manifest("copy/app", tagOf(image.digest, suffix))?.digest, all[suffix]);
      }
      assert.equal(to.manifest("copy/app", tagOf(all["att"]!, "sig"))?.digest, all["attSig"]);
      const expected = [all["notation"]!, all["bundle"]!, all["spdx"]!].sort();
      assert.deepEqual(await listedBy(bench, to, "copy/app", image.digest), expected);
      assert.deepEqual(await listedBy(bench, to, "copy/app", all["spdx"]!), [all["ofSpdx"]]);
      assert.equal(to.manifest("copy/app", image.digest.replace(":", "-")) !== undefined, !toApi);

      // All of it is there before the image has its name.
      const named = to.log.findIndex(({ method, path }) => method === "PUT" && path.endsWith("/manifests/2"));
      assert.ok(!to.log.slice(named + 1).some(({ method }) => method === "PUT"));

      const before = to.log.length;
      const again = await copy(`docker://${from.host}/app:1`, `docker://${to.host}/copy/app:2`);
      assert.deepEqual(again.companions, { tags: 4, referrers: 4, present: 8, leftBehind: 0, warnings: [] });
      const puts = to.log.slice(before).filter(({ method }) => method === "PUT");
      assert.deepEqual(
        puts.map(({ path }) => path.split("/").at(-1)),
        ["2"],
      );
    });
  }

  void it("costs five requests where there is nothing: four for each further manifest, and none within a repository", async (t) => {
    const { from, to, copy } = await setUp(t, { from: { referrers: false } });
    const index = buildTestIndex([
      await buildTestImage({ seed: 1 }),
      await buildTestImage({ seed: 2, architecture: "arm64" }),
    ]);
    await pushTestImage(from, "app:1", index);
    await copy(`docker://${from.host}/app:1`, `docker://${to.host}/app:1`, { selection: "all" });
    const extra = from.log.filter(({ path }) => /referrers|manifests\/sha256-/.test(path));
    assert.equal(extra.length, 5 + 4 + 4);
    assert.ok(!to.log.some(({ path }) => /referrers|manifests\/sha256-/.test(path)));
    await copy(`docker://${from.host}/app:1`, `docker://${from.host}/app:2`, { selection: "all" });
    await copy(`docker://${from.host}/app:1`, `docker://${to.host}/app:3`, { selection: "all", companions: "none" });
    assert.equal(from.log.filter(({ path }) => /referrers|manifests\/sha256-/.test(path)).length, extra.length);
  });

  void it("carries what belongs to each instance of a list", async (t) => {
    const { from, to, copy } = await setUp(t);
    const images = [await buildTestImage({ seed: 1 }), await buildTestImage({ seed: 2, architecture: "arm64" })];
    const index = buildTestIndex(images);
    await pushTestImage(from, "app:1", index);
    for (const one of [...images, index])
      await pushTestAttachments(from, "app", one.digest, "sig", [{ payload: one.digest }]);
    await copy(`docker://${from.host}/app:1`, `docker://${to.host}/app:1`, { selection: "all" });
    for (const one of [...images, index])
      assert.ok(to.manifest("app", tagOf(one.digest, "sig")) !== undefined, one.digest);
  });

  void it("adds signatures and referrers to those that the destination has", async (t) => {
    const bench = await setUp(t, { to: { referrers: false } });
    const { from, to, copy } = bench;
    const image = await buildTestImage();
    await pushTestImage(from, "app:1", image);
    await pushTestAttachments(from, "app", image.digest, "sig", [{ payload: "both" }, { payload: "theirs" }]);
    await pushTestAttachments(from, "app", image.digest, "sbom", [{ payload: "newer" }]);
    const theirs = await pushTestReferrer(from, "app", image, SPDX, "theirs");
    await pushTestAttachments(to, "app", image.digest, "sig", [{ payload: "ours" }, { payload: "both" }]);
    await pushTestAttachments(to, "app", image.digest, "sbom", [{ payload: "older" }]);
    const ours = await pushTestReferrer(to, "app", image, SPDX, "ours");
    await pushTestReferrersTag(to, "app", image.digest, [ours], SPDX);
    const { companions } = await copy(`docker://${from.host}/app:1`, `docker://${to.host}/app:1`);
    const sig = to.manifest("app", tagOf(image.digest, "sig"))!;
    const { layers } = JSON.parse(Buffer.from(sig.bytes).toString()) as { layers: { digest: string }[] };
    const payloads = layers.map(({ digest }) => Buffer.from(to.blob("app", digest)!).toString());
    assert.deepEqual(payloads, ["ours", "both", "theirs"]);
    assert.deepEqual(referrersIn(to, "app", image.digest), [ours.digest, theirs.digest]);
    assert.match(companions.warnings.join("\n"), /another \.sbom .* the source's replaced/);
  });

  void it("leaves signatures behind with removeSignatures, and all else with `signatures`", async (t) => {
    const { from, to, copy } = await setUp(t);
    const image = await buildTestImage();
    const all = await pushAll(from, image);
    const have = (repository: string): string[] =>
      Object.keys(all).filter((name) => to.manifest(repository, all[name]!) !== undefined);
    await copy(`docker://${from.host}/app:1`, `docker://${to.host}/unsigned:1`, { removeSignatures: true });
    assert.deepEqual(have("unsigned"), ["att", "sbom", "spdx"]);
    await copy(`docker://${from.host}/app:1`, `docker://${to.host}/signed:1`, { companions: "signatures" });
    assert.deepEqual(have("signed"), ["sig", "notation", "bundle"]);
    await copy(`docker://${from.host}/app:1`, `docker://${to.host}/bare:1`, { companions: "none" });
    assert.deepEqual(have("bare"), []);
  });

  void it("takes no manifest for a referrer that is listed as one and is not, and says what is gone", async (t) => {
    const { from, to, copy } = await setUp(t, { from: { referrers: false } });
    const image = await buildTestImage({ seed: 1 });
    const other = await buildTestImage({ seed: 2 });
    await pushTestImage(from, "app:1", image);
    await pushTestImage(from, "app:other", other);
    const gone = { ...other, digest: `sha256:${"0".repeat(64)}` };
    await pushTestReferrersTag(from, "app", image.digest, [other, gone], SPDX);
    const { companions } = await copy(`docker://${from.host}/app:1`, `docker://${to.host}/app:1`);
    assert.equal(companions.referrers, 0);
    assert.match(companions.warnings.join("\n"), /listed as referring to .*, and does not/);
    assert.match(companions.warnings.join("\n"), /0{64} is listed as referring to .* not there any more/);
    assert.equal(to.manifest("app", other.digest), undefined);
  });

  for (const [what, path, status] of [
    ["signatures", /\.sig$/, 403],
    ["attestations", /\.att$/, 500],
    ["referrers", /\/referrers\//, 403],
    ["referrers", /\/referrers\//, 503],
  ] as const) {
    void it(`fails, before anything is written, when the source does not tell its ${what} (${status}), and says how to go on`, async (t) => {
      const { from, to, copy } = await setUp(t);
      await pushTestImage(from, "app:1", await buildTestImage());
      from.addFaults({ path, status, times: Infinity });
      await assert.rejects(copy(`docker://${from.host}/app:1`, `docker://${to.host}/app:1`), {
        message: /^what belongs to sha256:[0-9a-f]{64} cannot be carried along: /,
        hint: /--companions none/,
        status,
      });
      assert.ok(!to.log.some(({ method }) => method !== "GET"));
      await copy(`docker://${from.host}/app:1`, `docker://${to.host}/app:1`, { companions: "none" });
    });
  }

  void it("fails for a companion whose bytes are not what its digest names", async (t) => {
    const { from, to, copy } = await setUp(t);
    const image = await buildTestImage();
    const { notation } = await pushAll(from, image);
    from.tamper("app", notation!, (bytes) => Buffer.concat([bytes, Buffer.from(" ")]));
    await assert.rejects(copy(`docker://${from.host}/app:1`, `docker://${to.host}/app:1`), {
      code: "digest-mismatch",
      hint: /--companions none/,
    });
    assert.equal(to.manifest("app", "1"), undefined);
  });

  void it("leaves behind what belongs to a converted manifest, counts it and says the way out", async (t) => {
    const { from, to, folder, copy } = await setUp(t);
    const image = await buildTestImage({ format: "docker" });
    const all = await pushAll(from, image);
    const source = `docker://${from.host}/app:1`;
    for (const [destination, options, way] of [
      [`oci:${folder}/layout:1`, {}, "to docker:// or dir:"],
      [`docker://${to.host}/app:1`, { format: "oci" }, "without --format"],
      // The old digest keeps them here, the new one has none.
      [`docker://${from.host}/app:oci`, { format: "oci" }, "without --format"],
    ] as const) {
      const { companions, warnings, digest } = await copy(source, destination, options);
      // Signatures, attestation and its signature, SBOM, and four referrers.
      assert.deepEqual(companions, { tags: 0, referrers: 0, present: 0, leftBehind: 8, warnings: [] });
      assert.deepEqual(warnings, [
        `8 artifacts (signatures, attestations, SBOMs and other referrers) are about digests that the conversion to OCI changed: left behind; copy without conversion (${way}; --preserve-digests refuses any), or make them anew and attach to ${digest}`,
      ]);
    }
    assert.equal(to.manifest("app", all["spdx"]!), undefined);
    const one = await copy(source, `docker://${to.host}/app:2`, { format: "oci", companions: "signatures" });
    // Cosign's, notation's, the bundle.
    assert.match(one.warnings.join("\n"), /^3 artifacts /);
    for (const options of [{ companions: "none" }, { companions: "signatures", removeSignatures: true }] as const) {
      const none = await copy(source, `docker://${to.host}/app:3`, { format: "oci", ...options });
      assert.deepEqual([none.warnings, none.companions.leftBehind], [[], 0]);
    }
    await assert.rejects(copy(source, `oci:${folder}/kept:1`, { preserveDigests: true }), {
      code: "conversion-refused",
    });
    const whole = await copy(source, `docker://${to.host}/app:4`);
    assert.deepEqual([whole.warnings, whole.companions.tags + whole.companions.referrers], [[], 8]);
  });

  void it("has no warning for a conversion of what nothing belongs to, and fails when that cannot be told", async (t) => {
    const { from, folder, copy } = await setUp(t);
    await pushTestImage(from, "app:1", await buildTestImage({ format: "docker" }));
    const source = `docker://${from.host}/app:1`;
    assert.deepEqual((await copy(source, `oci:${folder}/layout:1`)).warnings, []);
    from.addFaults({ path: /\/referrers\//, status: 503, times: Infinity });
    await assert.rejects(copy(source, `oci:${folder}/other:1`), { status: 503, hint: /--companions none/ });
    assert.ok(!existsSync(`${folder}/other`));
    await copy(source, `oci:${folder}/other:1`, { companions: "none" });
  });

  void it("refuses a chain of referrers without end", async (t) => {
    const { from, to, copy } = await setUp(t);
    const image = await buildTestImage();
    await pushTestImage(from, "app:1", image);
    let subject: Parameters<typeof pushTestReferrer>[2] = image;
    for (let step = 1; step <= 4; step++) subject = await pushTestReferrer(from, "app", subject, SPDX, `step ${step}`);
    await assert.rejects(copy(`docker://${from.host}/app:1`, `docker://${to.host}/app:1`), {
      code: "input-too-large",
      message: /more than 3 steps/,
    });
  });

  for (const layout of ["oci:", "oci-archive:"]) {
    void it(`keeps all of it in ${layout}, from where it goes back to a registry unchanged`, async (t) => {
      const bench = await setUp(t, { to: { referrers: false } });
      const { from, to, folder, copy } = bench;
      const image = await buildTestImage({ format: "oci" });
      const all = await pushAll(from, image);
      const place = `${layout}${folder}/layout`;
      const there = await copy(`docker://${from.host}/app:1`, place);
      assert.deepEqual(there.companions, { tags: 4, referrers: 4, present: 0, leftBehind: 0, warnings: [] });
      // Without a name: the image is the only one in there that is none of its companions.
      const back = await copy(place, `docker://${to.host}/app:1`);
      assert.deepEqual(back.companions, { tags: 4, referrers: 4, present: 0, leftBehind: 0, warnings: [] });
      for (const digest of Object.values(all))
        assert.deepEqual(to.manifest("app", digest)?.bytes, from.manifest("app", digest)?.bytes, digest);
      assert.equal(to.manifest("app", tagOf(image.digest, "sig"))?.digest, all["sig"]);
      assert.equal(referrersIn(to, "app", image.digest).length, 3);
    });
  }

  void it("adds to the signatures that a layout has, under one name", async (t) => {
    const { from, folder, copy } = await setUp(t);
    const image = await buildTestImage({ format: "oci" });
    await pushTestImage(from, "app:1", image);
    for (const payloads of [["a", "b"], ["b", "c"], ["c"]]) {
      const attachments = payloads.map((payload) => ({ payload }));
      await pushTestAttachments(from, "app", image.digest, "sig", attachments);
      await copy(`docker://${from.host}/app:1`, `oci:${folder}/layout:1`);
    }
    await using source = await openImageSource(await parseImageName(`oci:${folder}/layout:1`));
    const { companions } = await source.companions!(image.digest as Digest);
    assert.equal(companions.length, 1);
    const [found] = companions;
    assert.ok(found?.kind === "tag");
    const { layers } = JSON.parse(Buffer.from(found.manifest.bytes).toString()) as { layers: object[] };
    assert.equal(layers.length, 3);
    const index = JSON.parse(readFileSync(`${folder}/layout/index.json`, "utf8")) as { manifests: object[] };
    assert.equal(index.manifests.length, 2);
  });

  void it("finds referrers that other tools list in a layout under the referrers tag", async (t) => {
    const { from, to, folder, copy } = await setUp(t);
    const image = await buildTestImage({ format: "oci" });
    await pushTestImage(from, "app:1", image);
    const spdx = await pushTestReferrer(from, "app", image, SPDX, "spdx");
    await copy(`docker://${from.host}/app:1`, `oci:${folder}/layout:1`);
    const file = `${folder}/layout/index.json`;
    const index = JSON.parse(readFileSync(file, "utf8")) as { manifests: { digest: string }[] };
    const list = Buffer.from(
      JSON.stringify({ schemaVersion: 2, manifests: index.manifests.filter(({ digest }) => digest === spdx.digest) }),
    );
    const { digest } = from.putManifest("x", "x", list, "application/vnd.oci.image.index.v1+json");
    writeFileSync(`${folder}/layout/blobs/sha256/${digest.slice(7)}`, list);
    const name = { "org.opencontainers.image.ref.name": image.digest.replace(":", "-") };
    const entry = {
      mediaType: "application/vnd.oci.image.index.v1+json",
      digest,
      size: list.length,
      annotations: name,
    };
    const others = index.manifests.filter((one) => one.digest !== spdx.digest);
    writeFileSync(file, JSON.stringify({ ...index, manifests: [...others, entry] }));
    const { companions } = await copy(`oci:${folder}/layout:1`, `docker://${to.host}/app:1`);
    assert.equal(companions.referrers, 1);
    assert.deepEqual(to.manifest("app", spdx.digest)?.bytes, Buffer.from(spdx.manifest));
  });

  void it("keeps cosign's signatures beside a dir: image, says what else there is no place for, and refuses when all was asked for", async (t) => {
    const { from, folder, copy } = await setUp(t);
    const image = await buildTestImage();
    await pushAll(from, image);
    const result = await copy(`docker://${from.host}/app:1`, `dir:${folder}/image`);
    assert.equal(result.signatures.carried, 2);
    // The attestation, its signature, the SBOM by tag, and four referrers.
    assert.equal(result.companions.leftBehind, 7);
    assert.match(result.companions.warnings.join("\n"), /no place for 7 artifacts .*: left behind/);
    const files = readdirSync(`${folder}/image`).filter((name) => name.startsWith("signature-"));
    assert.deepEqual(files, ["signature-1", "signature-2"]);
    assert.match(readFileSync(`${folder}/image/signature-1`, "latin1"), /^\0sigstore-json\n\{"mimeType"/);
    await assert.rejects(copy(`docker://${from.host}/app:1`, `dir:${folder}/all`, { companions: "all" }), {
      code: "destination-unsuitable",
      hint: /oci:.*--companions signatures/,
    });
    assert.ok(!existsSync(`${folder}/all`));
    const bare = await copy(`docker://${from.host}/app:1`, `dir:${folder}/bare`, { removeSignatures: true });
    assert.equal(bare.signatures.carried, 0);
  });

  void it("puts signatures of a dir: image under cosign's tag again, once, where attachments are on", async (t) => {
    const bench = await setUp(t, { attachments: true });
    const { from, to, folder, copy } = bench;
    const image = await buildTestImage();
    await pushTestImage(from, "app:1", image);
    const sig = await pushTestAttachments(from, "app", image.digest, "sig", [{ payload: "one" }, { payload: "two" }]);
    await copy(`docker://${from.host}/app:1`, `docker://${to.host}/direct:1`);
    assert.equal(to.manifest("direct", tagOf(image.digest, "sig"))?.digest, sig.digest);
    await copy(`docker://${from.host}/app:1`, `dir:${folder}/image`);
    const result = await copy(`dir:${folder}/image`, `docker://${to.host}/by/dir:1`);
    assert.equal(result.signatures.carried, 2);
    await copy(`docker://${to.host}/by/dir:1`, `dir:${folder}/again`);
    for (const name of ["signature-1", "signature-2"])
      assert.deepEqual(readFileSync(`${folder}/again/${name}`), readFileSync(`${folder}/image/${name}`));
    assert.ok(!existsSync(`${folder}/again/signature-3`));
  });

  void it("refuses cosign's signatures of a dir: image where attachments are off, before a blob moves, and says how to go on", async (t) => {
    const { to, folder, copy } = await setUp(t);
    const blob = readFileSync(join(vectors, "cosign-valid", "signature-1"));
    writeDirImage(`${folder}/image`, await buildTestImage(), [blob]);
    await assert.rejects(copy(`dir:${folder}/image`, `docker://${to.host}/app:1`), {
      code: "destination-unsuitable",
      message: /writing sigstore attachments is disabled by configuration/,
      hint: /signet trust set SCOPE --attachments.*--remove-signatures/,
    });
    assert.ok(!to.log.some(({ method }) => method !== "GET"));
    await copy(`dir:${folder}/image`, `docker://${to.host}/app:1`, { removeSignatures: true });
  });
});

void describe("deleteCompanions", () => {
  for (const referrers of [true, false]) {
    void it(`deletes tags and referrers in a registry ${referrers ? "with" : "without"} the referrers API, and nothing else`, async (t) => {
      const bench = await setUp(t, { from: { referrers } });
      const { from } = bench;
      const image = await buildTestImage({ seed: 1 });
      const other = await buildTestImage({ seed: 2 });
      const all = await pushAll(from, image, referrers);
      await pushTestImage(from, "app:other", other);
      const kept = await pushTestAttachments(from, "app", other.digest, "sig", [{ payload: "kept" }]);
      const client = bench.options.docker!.clients.clientFor(from.host);
      const deleted = await deleteCompanions(client, "app", parseDigest(image.digest));
      assert.deepEqual(deleted.referrers.toSorted(), [all["notation"]!, all["bundle"]!, all["spdx"]!].sort());
      const tags = ["sig", "att", "sbom"].map((suffix) => tagOf(image.digest, suffix));
      assert.deepEqual(deleted.tags, referrers ? tags : [...tags, image.digest.replace(":", "-")]);
      for (const tag of deleted.tags) assert.equal(from.manifest("app", tag), undefined, tag);
      assert.ok(from.manifest("app", "1") !== undefined);
      assert.equal(from.manifest("app", tagOf(other.digest, "sig"))?.digest, kept.digest);
    });
  }

  void it("leaves an image alone that somebody gave the name of a companion", async (t) => {
    const bench = await setUp(t, { from: { referrers: false } });
    const { from } = bench;
    const image = await buildTestImage({ seed: 1 });
    const victim = await buildTestImage({ seed: 2, format: "oci" });
    await pushTestImage(from, "app:victim", victim);
    from.putManifest("app", tagOf(image.digest, "sig"), victim.manifest, victim.mediaType);
    await pushTestReferrersTag(from, "app", image.digest, [victim], SPDX);
    const client = bench.options.docker!.clients.clientFor(from.host);
    const { tags, referrers, warnings } = await deleteCompanions(client, "app", parseDigest(image.digest));
    assert.deepEqual([tags, referrers, warnings.length], [[], [], 2]);
    assert.ok(from.manifest("app", "victim") !== undefined);
  });
});
