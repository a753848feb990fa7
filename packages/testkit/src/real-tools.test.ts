import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { makeContainersHome } from "./containers-home.ts";
import { dockerRegistryAccount, startDockerRegistry } from "./docker-registry.ts";
import { makeGpgHome } from "./gpg-home.ts";
import { makeTempDir } from "./temp-dir.ts";
import { buildTestImage, buildTestIndex, httpPushTarget, pushTestImage, writeDirImage } from "./test-image.ts";
import { startTestRegistry, testRegistryAccount } from "./test-registry.ts";
import { makeTlsCertificates } from "./tls-certificates.ts";
import { requireTool } from "./tools.ts";
import type { RunResult } from "./tools.ts";

test("docker-registry starts open, answers the ping, and leaves nothing running", async (t) => {
  if (requireTool(t, "docker-registry") === undefined) return;
  const registry = await startDockerRegistry();
  const ping = await fetch(`${registry.url}/v2/`);
  await registry.dispose();
  assert.equal(ping.status, 200);
  await assert.rejects(fetch(`${registry.url}/v2/`));
});

test("docker-registry with accounts and TLS lets in only who has both certificate authority and password", async (t) => {
  for (const tool of ["docker-registry", "openssl", "skopeo"] as const) if (requireTool(t, tool) === undefined) return;
  using tls = await makeTlsCertificates();
  await using registry = await startDockerRegistry({ auth: true, tls });
  using home = makeContainersHome();
  const list = ["list-tags", `docker://${registry.host}/none`];
  const untrusted = await home.skopeo(list);
  assert.match(untrusted.stderr, /certificate/);
  const anonymous = await home.skopeo([...list, "--cert-dir", tls.certDir]);
  assert.match(anonymous.stderr, /authentication required|unauthorized/);
  home.writeLogin(registry.host, dockerRegistryAccount.user, dockerRegistryAccount.password);
  const known = await home.skopeo([...list, "--cert-dir", tls.certDir]);
  assert.match(known.stderr, /404|name unknown/i);
});

test("skopeo carries an image from a directory to docker-registry and back unchanged", async (t) => {
  for (const tool of ["docker-registry", "skopeo"] as const) if (requireTool(t, tool) === undefined) return;
  await using registry = await startDockerRegistry();
  using home = makeContainersHome();
  using dir = makeTempDir();
  home.allowInsecure(registry.host);
  const image = await buildTestImage({ layers: 2 });
  writeDirImage(dir.join("in"), image);
  const remote = `docker://${registry.host}/team/app:1`;
  assertDone(await home.skopeo(["copy", `dir:${dir.join("in")}`, remote]));
  assertDone(await home.skopeo(["copy", remote, `dir:${dir.join("out")}`]));
  assert.deepEqual(readFileSync(dir.join("out", "manifest.json")), Buffer.from(image.manifest));
  await pushTestImage(httpPushTarget(registry.url), "team/other:1", image);
  assertDone(await home.skopeo(["inspect", `docker://${registry.host}/team/other:1`]));
});

for (const auth of ["none", "basic", "bearer"] as const) {
  test(`skopeo and podman push to and pull from the test registry with authentication ${auth}`, async (t) => {
    for (const tool of ["podman", "skopeo"] as const) if (requireTool(t, tool) === undefined) return;
    await using registry = await startTestRegistry({ auth });
    using home = makeContainersHome();
    using dir = makeTempDir();
    home.allowInsecure(registry.host);
    home.writeLogin(registry.host, testRegistryAccount.user, testRegistryAccount.password);
    const image = await buildTestImage({ layers: 2, format: "oci" });
    writeDirImage(dir.join("in"), image);
    const remote = `${registry.host}/team/app`;
    assertDone(await home.skopeo(["copy", `dir:${dir.join("in")}`, `docker://${remote}:1`]));
    assertDone(await home.podman(["pull", "--quiet", `${remote}:1`]));
    assertDone(await home.podman(["push", "--quiet", `${remote}:1`, `docker://${remote}:2`]));
    assertDone(await home.skopeo(["copy", `docker://${remote}:2`, `dir:${dir.join("out")}`]));
    assert.deepEqual(registry.manifest("team/app", "1")?.digest, image.digest);
    assert.ok(registry.manifest("team/app", "2"));
    assert.ok(registry.log.every((entry) => entry.auth === "none" || auth !== "none"));
  });
}

test("skopeo copies a list with all its images, over TLS", async (t) => {
  for (const tool of ["openssl", "skopeo"] as const) if (requireTool(t, tool) === undefined) return;
  using tls = await makeTlsCertificates();
  await using registry = await startTestRegistry({ tls: { cert: tls.cert, key: tls.key, clientCa: tls.ca } });
  using home = makeContainersHome();
  using dir = makeTempDir();
  const index = buildTestIndex([await buildTestImage(), await buildTestImage({ seed: 2, architecture: "arm64" })]);
  writeDirImage(dir.join("in"), index);
  const args = ["copy", "--all", `dir:${dir.join("in")}`, `docker://${registry.host}/team/app:1`];
  assert.notEqual((await home.skopeo(args)).status, 0);
  assertDone(await home.skopeo([...args, "--dest-cert-dir", tls.certDir]));
  assert.equal(registry.manifest("team/app", "1")?.digest, index.digest);
});

test("skopeo signs through the test registry's signatures API and its policy then accepts the image", async (t) => {
  for (const tool of ["gpg", "skopeo"] as const) if (requireTool(t, tool) === undefined) return;
  await using registry = await startTestRegistry({ signaturesExtension: true });
  await using gpg = await makeGpgHome();
  using home = makeContainersHome();
  using dir = makeTempDir();
  home.allowInsecure(registry.host);
  const key = await gpg.generateKey({ algorithm: "rsa2048" });
  writeFileSync(dir.join("key.gpg"), await gpg.exportPublic(key));
  const image = await buildTestImage();
  writeDirImage(dir.join("in"), image);
  const remote = `docker://${registry.host}/team/app:1`;
  assertDone(
    await home.skopeo(["copy", "--sign-by", key.fingerprint, `dir:${dir.join("in")}`, remote], { env: gpg.env }),
  );
  assert.equal(registry.signatures("team/app", image.digest).length, 1);

  home.writePolicy({
    default: [{ type: "reject" }],
    transports: {
      docker: { [registry.host]: [{ type: "signedBy", keyType: "GPGKeys", keyPath: dir.join("key.gpg") }] },
    },
  });
  assertDone(await home.skopeo(["copy", remote, `dir:${dir.join("out")}`]));
  assert.ok(existsSync(dir.join("out", "signature-1")));
  const other = await buildTestImage({ seed: 2 });
  await pushTestImage(registry, "team/app:unsigned", other);
  const refused = await home.skopeo(["copy", `docker://${registry.host}/team/app:unsigned`, `dir:${dir.join("no")}`]);
  assert.match(refused.stderr, /A signature was required, but no signature exists/);
});

test("podman signs what it pushes into a lookaside directory of its own registries.d", async (t) => {
  for (const tool of ["gpg", "podman"] as const) if (requireTool(t, tool) === undefined) return;
  await using registry = await startTestRegistry();
  await using gpg = await makeGpgHome();
  using home = makeContainersHome();
  using dir = makeTempDir();
  home.allowInsecure(registry.host);
  home.writeRegistriesD("test", { docker: { [registry.host]: { lookaside: `file://${dir.path}` } } });
  const key = await gpg.generateKey({ algorithm: "rsa2048" });
  const image = await buildTestImage();
  await pushTestImage(registry, "team/app:1", image);
  assertDone(await home.podman(["pull", "--quiet", `${registry.host}/team/app:1`]));
  const signed = `${registry.host}/team/signed:1`;
  const push = ["push", "--sign-by", key.fingerprint, `${registry.host}/team/app:1`, `docker://${signed}`];
  assertDone(await home.podman(push, { env: gpg.env }));
  const digest = registry.manifest("team/signed", "1")!.digest.replace(":", "=");
  assert.ok(existsSync(dir.join("team", `signed@${digest}`, "signature-1")));
});

function assertDone(result: RunResult): void {
  assert.equal(result.status, 0, result.stderr);
}
