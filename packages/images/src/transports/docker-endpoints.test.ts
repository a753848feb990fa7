/** docker:// sources that registries.conf sends elsewhere: what is tried, what serves, and what comes from where. Real registries stand for every place. */
import assert from "node:assert/strict";
import { type TestContext, describe, it } from "node:test";
import { SignetError, StoreError, formatReference, parseDigest } from "@signet/core";
import {
  type TestImage,
  type TestRegistry,
  buildTestImage,
  buildTestIndex,
  makeTlsCertificates,
  pushTestImage,
  requireTool,
  startTestRegistry,
} from "@signet/testkit";
import { failsWith } from "@signet/testkit/hostile-registry";
import { pullEndpoints, pushEndpoint } from "../config/image-endpoints.ts";
import { parseRegistriesConfFile } from "../config/registries-conf-file.ts";
import { emptyRegistriesConf } from "../config/registries-conf.ts";
import { RegistryClients, type RegistryClientsOptions } from "../registry/client.ts";
import { extensionStore } from "../stores/extension-store.ts";
import { type DockerOptions, openDockerDestination, openDockerSource, openSignatureStore } from "./docker.ts";
import { parseImageName } from "./image-name.ts";
import type { ImageSource } from "./transport.ts";

const logical = "registry.example.com/team/app:1";
/** Nothing listens there. */
const dead = "127.0.0.1:1";

interface Mirror {
  readonly location: string;
  readonly insecure?: boolean;
}

/** Docker options by a registries.conf that sends registry.example.com/team to mirrors and a location. */
function dockerBy(
  t: TestContext,
  location: string,
  mirrors: readonly Mirror[],
  more: { readonly blocked?: boolean; readonly clients?: Partial<RegistryClientsOptions> } = {},
): DockerOptions {
  const clients = new RegistryClients({
    host: { env: {}, uid: 1000, home: "/nonexistent" },
    retryTimes: 0,
    ...more.clients,
  });
  t.after(() => clients.close());
  const mirrorTables = mirrors.map(
    (mirror) => `[[registry.mirror]]\nlocation = "${mirror.location}"\ninsecure = ${mirror.insecure ?? true}\n`,
  );
  const text = `[[registry]]\nprefix = "registry.example.com/team"\nlocation = "${location}"\ninsecure = true\nblocked = ${more.blocked === true}\n${mirrorTables.join("")}`;
  const { registries } = parseRegistriesConfFile(new TextEncoder().encode(text), "file.conf");
  const conf = { ...emptyRegistriesConf, registries };
  return {
    clients,
    chooseSignatureStore: (client) => extensionStore(client),
    resolveEndpoints: (reference) => pullEndpoints(conf, reference),
    resolveDestination: (reference) => pushEndpoint(conf, reference),
  };
}

async function start(t: TestContext): Promise<TestRegistry> {
  const registry = await startTestRegistry({ signaturesExtension: true });
  t.after(() => registry.dispose());
  return registry;
}

async function open(docker: DockerOptions, name = `docker://${logical}`): Promise<ImageSource> {
  return await openDockerSource(await parseImageName(name), docker);
}

const outcomes = (source: ImageSource): readonly string[] =>
  (source.endpoints?.() ?? []).map(({ role, reference, outcome, code }) =>
    [role, reference, outcome, code ?? ""].join(" ").trim(),
  );

async function read(source: ImageSource, image: TestImage): Promise<void> {
  for (const { digest, bytes } of [image.config, ...image.layers]) {
    const chunks = [];
    for await (const chunk of source.blob({ digest: parseDigest(digest), size: bytes.length })) chunks.push(chunk);
    assert.deepEqual(Buffer.concat(chunks), Buffer.from(bytes));
  }
}

void describe("docker:// sources with mirrors", () => {
  void it("take the first mirror that has the image, and everything else of it from there", async (t) => {
    const [mirror, location, image] = [await start(t), await start(t), await buildTestImage()];
    const index = buildTestIndex([image]);
    await pushTestImage(mirror, "copy/app:1", index);
    const docker = dockerBy(t, `${location.host}/orig`, [
      { location: `${dead}/copy` },
      { location: `${mirror.host}/copy` },
    ]);
    await using source = await open(docker);
    assert.deepEqual(outcomes(source), []);
    const top = await source.manifest();
    assert.equal(top.digest, index.digest);
    assert.equal((await source.manifest(parseDigest(image.digest))).digest, image.digest);
    await read(source, image);
    assert.deepEqual((await source.signatures(top.digest)).signatures, []);
    assert.deepEqual(outcomes(source), [
      `mirror ${dead}/copy/app:1 failed registry-unreachable`,
      `mirror ${mirror.host}/copy/app:1 served`,
    ]);
    assert.deepEqual(location.log, []);
    // What is judged goes by the name that was asked for.
    assert.equal(formatReference(source.name.reference!), logical);
    assert.equal(source.name.policyIdentity.identity, logical);
  });

  void it("fall through to the location where mirrors lack the image, answer with errors, or send other bytes than the digest says", async (t) => {
    const [empty, broken, liar, location] = [await start(t), await start(t), await start(t), await start(t)];
    const [image, other] = [await buildTestImage({ seed: 1 }), await buildTestImage({ seed: 2 })];
    await pushTestImage(location, "orig/app:1", image);
    await pushTestImage(liar, "copy/app:1", image);
    liar.tamper("copy/app", image.digest, () => other.manifest);
    broken.addFaults({ path: /manifests/, status: 500, times: 9 });
    const mirrors = [empty, broken, liar].map(({ host }) => ({ location: `${host}/copy` }));
    const docker = dockerBy(t, `${location.host}/orig`, mirrors);
    await using source = await open(docker, `docker://registry.example.com/team/app@${image.digest}`);
    assert.equal((await source.manifest()).digest, image.digest);
    assert.deepEqual(
      (source.endpoints?.() ?? []).map(({ role, outcome, code }) => [role, outcome, code]),
      [
        ["mirror", "failed", "image-missing"],
        ["mirror", "failed", "registry-error"],
        ["mirror", "failed", "digest-mismatch"],
        ["location", "served", undefined],
      ],
    );
  });

  void it("do not mix places: what the serving mirror lacks is missing, though the location has it", async (t) => {
    const [mirror, location] = [await start(t), await start(t)];
    const image = await buildTestImage();
    const index = buildTestIndex([image]);
    await pushTestImage(location, "orig/app:1", index);
    mirror.putManifest("copy/app", "1", index.manifest, index.mediaType);
    await using source = await open(dockerBy(t, `${location.host}/orig`, [{ location: `${mirror.host}/copy` }]));
    assert.equal((await source.manifest()).digest, index.digest);
    await assert.rejects(source.manifest(parseDigest(image.digest)), failsWith("image-missing"));
    await assert.rejects(read(source, image), failsWith("image-missing"));
    assert.deepEqual(location.log, []);
  });

  void it("name every place and its reason when none has the image, with the code of the location", async (t) => {
    const [mirror, location] = [await start(t), await start(t)];
    const docker = dockerBy(t, `${location.host}/orig`, [
      { location: `${dead}/copy` },
      { location: `${mirror.host}/copy` },
    ]);
    await using source = await open(docker);
    await assert.rejects(source.manifest(), (error: unknown) => {
      assert.ok(error instanceof StoreError);
      assert.equal(error.code, "image-missing");
      for (const place of [
        `mirror ${dead}/copy/app:1`,
        `mirror ${mirror.host}/copy/app:1`,
        `location ${location.host}/orig/app:1`,
      ])
        assert.ok(error.message.includes(place), error.message);
      assert.equal((error.details["endpoints"] as readonly unknown[]).length, 3);
      return true;
    });
    // A failure is not kept: the image may be there the next time.
    await pushTestImage(location, "orig/app:1", await buildTestImage());
    await source.manifest();
    assert.equal(source.endpoints?.().at(-1)?.role, "location");
  });

  void it("of a blocked registry are used, while the registry itself is not asked", async (t) => {
    const [mirror, location, image] = [await start(t), await start(t), await buildTestImage()];
    await pushTestImage(location, "orig/app:1", image);
    const docker = dockerBy(t, `${location.host}/orig`, [{ location: `${mirror.host}/copy` }], { blocked: true });
    const words = /registry registry\.example\.com\/team is blocked in file\.conf/;
    await assert.rejects((await open(docker)).manifest(), (error: unknown) => {
      assert.ok(error instanceof SignetError);
      // The mirror is what could be mended.
      assert.equal(error.code, "image-missing");
      assert.match(error.message, words);
      return true;
    });
    const alone = dockerBy(t, `${location.host}/orig`, [], { blocked: true });
    await assert.rejects((await open(alone)).manifest(), failsWith("registry-blocked"));
    await assert.rejects((await open(alone)).signatures(parseDigest(image.digest)), failsWith("registry-blocked"));
    assert.deepEqual(location.log, []);
    await pushTestImage(mirror, "copy/app:1", image);
    assert.equal((await (await open(docker)).manifest()).digest, image.digest);
  });

  void it("may be insecure one by one; a word on the command line counts for all", async (t) => {
    if (requireTool(t, "openssl") === undefined) return;
    const tls = await makeTlsCertificates();
    t.after(() => tls.dispose());
    const secure = await startTestRegistry({ tls });
    t.after(() => secure.dispose());
    const [plain, image] = [await start(t), await buildTestImage()];
    for (const registry of [secure, plain]) await pushTestImage(registry, "copy/app:1", image);
    const mirrors = (insecure: boolean): readonly Mirror[] => [
      { location: `${plain.host}/copy`, insecure: false },
      { location: `${secure.host}/copy`, insecure },
    ];
    const codes = async (docker: DockerOptions): Promise<readonly (string | undefined)[]> => {
      const source = await open(docker);
      await source.manifest().catch(() => undefined);
      return (source.endpoints?.() ?? []).map(({ code, outcome }) => code ?? outcome);
    };
    assert.deepEqual(await codes(dockerBy(t, dead, mirrors(true))), ["tls-failed", "served"]);
    assert.deepEqual(await codes(dockerBy(t, `${plain.host}/copy`, mirrors(false))), [
      "tls-failed",
      "tls-failed",
      "served",
    ]);
    assert.deepEqual(await codes(dockerBy(t, dead, mirrors(true), { clients: { tlsVerify: true } })), []);
    assert.deepEqual(await codes(dockerBy(t, dead, mirrors(false), { clients: { tlsVerify: false } })), ["served"]);
  });

  void it("never get the credentials that were given for the name", async (t) => {
    const guarded = await startTestRegistry({ auth: "basic", anonymousPull: false });
    t.after(() => guarded.dispose());
    const docker = dockerBy(t, dead, [{ location: `${guarded.host}/copy` }], {
      clients: {
        credentials: async () => ({ kind: "password", username: "tester", password: "registry-test-password" }),
      },
    });
    const source = await open(docker);
    await assert.rejects(source.manifest(), failsWith("registry-unreachable"));
    assert.ok(guarded.log.length > 0);
    assert.ok(guarded.log.every(({ user }) => user === undefined));
  });
});

void describe("writing with registries.conf", () => {
  void it("goes where the name says, as insecure as its table, for images and for signatures", async (t) => {
    const [mirror, named, image] = [await start(t), await start(t), await buildTestImage()];
    const clients = new RegistryClients({ host: { env: {}, uid: 1000, home: "/nonexistent" }, retryTimes: 0 });
    t.after(() => clients.close());
    const text = `[[registry]]\nprefix = "${named.host}"\nlocation = "${mirror.host}/elsewhere"\ninsecure = true\n[[registry.mirror]]\nlocation = "${mirror.host}/copy"\n`;
    const { registries } = parseRegistriesConfFile(new TextEncoder().encode(text), "file.conf");
    const docker: DockerOptions = {
      clients,
      chooseSignatureStore: (client) => extensionStore(client),
      resolveDestination: (reference) => pushEndpoint({ ...emptyRegistriesConf, registries }, reference),
    };
    const name = await parseImageName(`docker://${named.host}/team/app:1`);
    await using destination = await openDockerDestination(name, docker);
    const [blob] = image.layers;
    async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
      yield bytes;
    }
    await destination.putBlob({ digest: parseDigest(blob!.digest), size: blob!.bytes.length }, once(blob!.bytes));
    assert.ok(named.blob("team/app", blob!.digest));
    await openSignatureStore(name.reference!, docker);
    assert.deepEqual(mirror.log, []);
  });

  void it("is refused where the name is blocked, before anything is asked", async (t) => {
    const location = await start(t);
    const docker = dockerBy(t, location.host, [], { blocked: true });
    const name = await parseImageName(`docker://${logical}`);
    await assert.rejects(openDockerDestination(name, docker), failsWith("registry-blocked"));
    await assert.rejects(openSignatureStore(name.reference!, docker), failsWith("registry-blocked"));
    assert.deepEqual(location.log, []);
  });
});
