import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { type TestContext, describe, it } from "node:test";
import {
  type ContainersHome,
  type GpgHome,
  type GpgKey,
  type TempDir,
  buildTestImage,
  makeContainersHome,
  makeGpgHome,
  makeTempDir,
  requireTool,
  writeDirImage,
} from "@signet/testkit";
import { type ServedRegistry, serveRegistry } from "./serve.testing.ts";

interface Bench extends AsyncDisposable {
  readonly registry: ServedRegistry;
  readonly home: ContainersHome;
  readonly gpg: GpgHome;
  readonly key: GpgKey;
  readonly dir: TempDir;
  readonly keyFile: string;
  /** The digest of the image in `dir:IMAGE`. */
  readonly digest: string;
  readonly image: string;
}

async function setUp(t: TestContext): Promise<Bench | undefined> {
  for (const tool of ["skopeo", "podman", "gpg"] as const) if (requireTool(t, tool) === undefined) return undefined;
  const registry = await serveRegistry();
  const home = makeContainersHome();
  const gpg = await makeGpgHome();
  const dir = makeTempDir("signet-clients-");
  const key = await gpg.generateKey();
  const keyFile = dir.join("key.gpg");
  writeFileSync(keyFile, await gpg.exportPublic(key));
  home.allowInsecure(registry.host);
  const image = await buildTestImage({ layers: 2 });
  writeDirImage(dir.join("image"), image);
  return {
    registry,
    home,
    gpg,
    key,
    dir,
    keyFile,
    digest: image.digest,
    image: `dir:${dir.join("image")}`,
    [Symbol.asyncDispose]: async () => {
      await registry[Symbol.asyncDispose]();
      await gpg[Symbol.asyncDispose]();
      home.dispose();
      dir.dispose();
    },
  };
}

/** Rejects all images but those that the key signed. */
function demandSignatures(bench: Bench): void {
  bench.home.writePolicy({
    default: [{ type: "reject" }],
    transports: {
      docker: { [bench.registry.host]: [{ type: "signedBy", keyType: "GPGKeys", keyPath: bench.keyFile }] },
      dir: { "": [{ type: "insecureAcceptAnything" }] },
      "containers-storage": { "": [{ type: "insecureAcceptAnything" }] },
    },
  });
}

async function succeed(run: Promise<{ status: number; stderr: string; stdout: string }>): Promise<string> {
  const { status, stderr, stdout } = await run;
  assert.equal(status, 0, stderr);
  return stdout;
}

void describe("skopeo and podman", () => {
  void it("sign at push and pull under a rejecting policy, with no registries.d at all", async (t) => {
    await using bench = await setUp(t);
    if (bench === undefined) return;
    const { home, gpg, key, registry, image, digest } = bench;
    const [signed, unsigned] = [`docker://${registry.host}/team/app:v1`, `docker://${registry.host}/team/other:v1`];
    await succeed(home.skopeo(["copy", image, unsigned]));
    await succeed(home.skopeo(["copy", "--sign-by", key.fingerprint, image, signed], { env: gpg.env }));
    demandSignatures(bench);
    await succeed(home.skopeo(["copy", signed, `dir:${bench.dir.join("pulled")}`]));
    await succeed(home.podman(["pull", `${registry.host}/team/app:v1`]));
    const refused = await home.podman(["pull", `${registry.host}/team/other:v1`]);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /A signature was required, but no signature exists/);

    const listed = await registry.request("GET", `/extensions/v2/team/app/signatures/${digest}`);
    const { signatures } = JSON.parse(listed.text) as {
      signatures: { schemaVersion: number; name: string; type: string }[];
    };
    assert.equal(signatures.length, 1);
    assert.match(signatures[0]!.name, new RegExp(`^${digest}@[0-9a-f]{32}$`));
    assert.deepEqual([signatures[0]!.schemaVersion, signatures[0]!.type], [2, "atomic"]);
    // The same image in another repository has no part in them.
    const other = await registry.request("GET", `/extensions/v2/team/other/signatures/${digest}`);
    assert.equal(other.text, '{"signatures":[]}');
    assert.deepEqual(registry.failures, []);
  });

  void it("podman pushes what it pulled, and signs it", async (t) => {
    await using bench = await setUp(t);
    if (bench === undefined) return;
    const { home, gpg, key, registry, image } = bench;
    await succeed(home.skopeo(["copy", image, `docker://${registry.host}/from/here:v1`]));
    await succeed(home.podman(["pull", `${registry.host}/from/here:v1`]));
    const target = `${registry.host}/to/there:v2`;
    await succeed(home.podman(["tag", `${registry.host}/from/here:v1`, target]));
    await succeed(home.podman(["push", "--sign-by", key.fingerprint, target], { env: gpg.env }));
    demandSignatures(bench);
    await succeed(home.podman(["rmi", "--all", "--force"]));
    await succeed(home.podman(["pull", target]));
    const inspected: unknown = JSON.parse(
      await succeed(home.skopeo(["list-tags", `docker://${registry.host}/to/there`])),
    );
    assert.deepEqual((inspected as { Tags: string[] }).Tags, ["v2"]);
  });

  void it("find the same signatures in the lookaside tree, by the registry's name and by the release layout", async (t) => {
    await using bench = await setUp(t);
    if (bench === undefined) return;
    const { home, gpg, key, registry, image, digest } = bench;
    const name = `docker://${registry.host}/team/app:v1`;
    await succeed(home.skopeo(["copy", "--sign-by", key.fingerprint, image, name], { env: gpg.env }));
    const file = digest.replace(":", "=");
    const first = await registry.request("GET", `/lookaside/team/app@${file}/signature-1`);
    assert.equal(first.status, 200);
    const release = await registry.request("GET", `/signatures/${file}/signature-1`);
    assert.ok(release.bytes.equals(first.bytes));
    // As clients ask whose base URL ends with a stroke.
    for (const doubled of [`/lookaside//team/app@${file}/signature-1`, `/signatures//${file}/signature-1`]) {
      assert.ok((await registry.request("GET", doubled)).bytes.equals(first.bytes), doubled);
    }
    const etag = first.headers.get("etag")!;
    const unchanged = await registry.request("GET", `/lookaside/team/app@${file}/signature-1`, undefined, {
      "if-none-match": etag,
    });
    assert.equal(unchanged.status, 304);
    assert.equal((await registry.request("GET", `/lookaside/team/app@${file}/signature-2`)).status, 404);
    // A mirror of the image elsewhere, with its signatures here.
    demandSignatures(bench);
    const check = await home.skopeo(
      [
        "standalone-verify",
        bench.dir.join("image/manifest.json"),
        `${registry.host}/team/app:v1`,
        key.fingerprint,
        (writeFileSync(bench.dir.join("sig"), first.bytes), bench.dir.join("sig")),
      ],
      { env: gpg.env },
    );
    assert.equal(check.status, 0, check.stderr);
    const removed = await registry.request("DELETE", `/lookaside/team/app@${file}/signature-1`, undefined, {
      "if-match": etag,
    });
    assert.equal(removed.status, 204);
    assert.equal((await registry.request("GET", `/lookaside/team/app@${file}/signature-1`)).status, 404);
    const refused = await home.skopeo(["copy", name, `dir:${bench.dir.join("pulled")}`]);
    assert.notEqual(refused.status, 0);
    const put = await registry.request("PUT", `/lookaside/team/app@${file}/signature-1`, first.bytes);
    assert.equal(put.status, 201);
    await succeed(home.skopeo(["copy", name, `dir:${bench.dir.join("pulled")}`]));
    assert.deepEqual(registry.failures, []);
  });

  void it("delete an image, and its signatures go with it", async (t) => {
    await using bench = await setUp(t);
    if (bench === undefined) return;
    const { home, gpg, key, registry, image, digest } = bench;
    const name = `docker://${registry.host}/team/app:v1`;
    await succeed(home.skopeo(["copy", "--sign-by", key.fingerprint, image, name], { env: gpg.env }));
    await succeed(home.skopeo(["delete", name]));
    assert.equal((await registry.request("GET", `/signatures/${digest.replace(":", "=")}/signature-1`)).status, 404);
    await succeed(home.skopeo(["copy", image, name]));
    const listed = await registry.request("GET", `/extensions/v2/team/app/signatures/${digest}`);
    assert.equal(listed.text, '{"signatures":[]}');
  });
});
