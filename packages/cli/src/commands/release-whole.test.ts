/** A release of the size of a genuine one, in the registry that the field uses, with what can be wrong with single images of it. */
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import {
  type TestImageOptions,
  buildTestRelease,
  makeTempDir,
  registryBlobFile,
  requireTool,
  startDockerRegistry,
  storeRegistryImage,
} from "@signet/testkit";
import { runSignet } from "../signet-process.ts";

/** Images of one release; genuine ones of OpenShift 4.14 have 183. */
const IMAGES = 190;

const tampered = 17;
const absent = 90;
const foreign = 150;
const tamperedConfig = 188;

interface Report {
  readonly verdict: string;
  readonly summary: Readonly<Record<string, number>>;
  readonly components: readonly { readonly name: string; readonly outcome: string; readonly message: string }[];
}

test("a release of 190 images is verified whole, and those that are tampered with, absent or for another platform are found and named", async (t) => {
  if (!requireTool(t, "docker-registry")) return;
  await using registry = await startDockerRegistry({ isQuiet: true });
  using dir = makeTempDir();
  const now = Date.now();
  const made = await generateKey({ engine, now, userIds: ["Release <release@example.com>"], algorithm: "ed25519" });
  const signer = await openSecretKey(new TextEncoder().encode(made.secretKey), { engine, now });
  writeFileSync(dir.join("release.pub"), made.publicKey);

  /** Puts a release into the registry, and its signature into a store. */
  const publish = async (special: Readonly<Record<number, TestImageOptions>>) => {
    const repository = `${registry.host}/dev/components`;
    const release = await buildTestRelease({ repository, count: IMAGES, special });
    for (const component of release.components) storeRegistryImage(registry, "dev/components", component);
    storeRegistryImage(registry, "dev/release", release.image);
    const identity = `${registry.host}/dev/release:4.99.0`;
    const { bytes } = await createSignature(release.image.manifest, identity, signer, { engine, now });
    const store = dir.join("store", release.image.digest.replace(":", "="));
    mkdirSync(store, { recursive: true });
    writeFileSync(join(store, "signature-1"), bytes);
    return release;
  };
  const verify = (digest: string, ...args: readonly string[]): ReturnType<typeof runSignet> =>
    runSignet(
      [
        ...["release", "verify", `${registry.host}/dev/release@${digest}`, "--tls-verify=false"],
        ...["--key", dir.join("release.pub"), "--store", `file://${dir.join("store")}`, ...args],
      ],
      { env: { HOME: dir.path } },
    );

  const whole = await publish({});
  const good = await verify(whole.image.digest);
  assert.equal(good.status, 0, good.stderr);
  assert.match(good.stdout, /images {5}190 equal\n$/);

  const { image, components } = await publish({ [foreign]: { architecture: "arm64" } });
  // The registry does not look at what its disk gives it.
  appendFileSync(registryBlobFile(registry, components[tampered]!.digest), " ");
  appendFileSync(registryBlobFile(registry, components[tamperedConfig]!.config.digest), " ");
  rmSync(registryBlobFile(registry, components[absent]!.digest));
  const { status, stdout, stderr } = await verify(image.digest, "-o", "json");
  assert.equal(status, 1, stderr);
  const { verdict, summary, components: checks } = JSON.parse(stdout) as Report;
  assert.equal(verdict, "rejected");
  const bad = checks.filter(({ outcome }) => outcome !== "equal").map(({ name, outcome }) => [name, outcome]);
  assert.deepEqual(bad, [
    [`component-${tampered}`, "different"],
    [`component-${absent}`, "absent"],
    [`component-${foreign}`, "wrong-platform"],
    [`component-${tamperedConfig}`, "different"],
  ]);
  assert.equal(summary["equal"], IMAGES - bad.length);
});
