/**
 * How long does `release verify` take for a release of 190 images in a registry on loopback, signature and all, from a cold process; beside the loop of
 * `skopeo inspect --raw docker://…@sha256:… | sha256sum` that documents have people write. The loop compares digests alone; Signet fetches the configurations too, for
 * their platforms, and so does a second loop. Needs docker-registry, skopeo and `npm run build`.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createSignature, openSecretKey, generateKey } from "@signet/core";
import { nodeEngine as engine } from "@signet/core/node-engine";
import { buildTestRelease, findTool, makeTempDir, run, startDockerRegistry, storeRegistryImage } from "@signet/testkit";
import { median } from "./measure.ts";

/** As many as a genuine release of OpenShift 4.14 refers to, and some. */
const IMAGES = Number(process.env["SIGNET_BENCH_IMAGES"] ?? 190);

/** Turns of each; odd, so that the median is one of them. */
const ROUNDS = 5;

const bundle = fileURLToPath(new URL("../packages/cli/dist/signet.js", import.meta.url));
if (!existsSync(bundle)) throw new Error("packages/cli/dist/signet.js is missing: run npm run build");

using folder = makeTempDir("signet-benchmark-");
await using registry = await startDockerRegistry({ isQuiet: true, hasCache: true });
const repository = `${registry.host}/dev/components`;
const release = await buildTestRelease({ repository, count: IMAGES });
for (const component of release.components) storeRegistryImage(registry, "dev/components", component);
storeRegistryImage(registry, "dev/release", release.image);
const now = Date.now();
const made = await generateKey({ engine, now, userIds: ["Release <release@example.com>"], algorithm: "rsa4096" });
const signer = await openSecretKey(new TextEncoder().encode(made.secretKey), { engine, now });
const identity = `${registry.host}/dev/release:4.99.0`;
const { bytes } = await createSignature(release.image.manifest, identity, signer, { engine, now });
const store = folder.join("store", release.image.digest.replace(":", "="));
mkdirSync(store, { recursive: true });
writeFileSync(`${store}/signature-1`, bytes);
writeFileSync(folder.join("release.pub"), made.publicKey);
writeFileSync(folder.join("digests"), release.components.map(({ digest }) => `${digest}\n`).join(""));
const image = `--tls-verify=false "docker://${repository}@$digest"`;
const loopOf = (...more: readonly string[]): string =>
  [
    "while read -r digest; do",
    `  found=$(skopeo inspect --raw ${image} | sha256sum)`,
    '  [ "sha256:${found%% *}" = "$digest" ] || exit 1',
    ...more,
    "done",
  ].join("\n");
writeFileSync(folder.join("loop.sh"), loopOf());
writeFileSync(
  folder.join("platforms.sh"),
  loopOf(`  skopeo inspect --config --raw ${image} | grep -q '"architecture":"amd64"' || exit 1`),
);

/** Milliseconds of one run. */
async function time(command: string, args: readonly string[]): Promise<number> {
  const started = performance.now();
  const { status, stderr } = await run(command, args, { env: { HOME: folder.path } });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  return performance.now() - started;
}

const verify = (jobs: number): Promise<number> =>
  time(process.execPath, [
    ...[bundle, "release", "verify", `${registry.host}/dev/release@${release.image.digest}`, "--tls-verify=false"],
    ...["--key", folder.join("release.pub"), "--store", `file://${folder.join("store")}`, "--jobs", String(jobs)],
  ]);
const loop = (script: string): Promise<number> =>
  time("sh", ["-c", `sh ${folder.join(script)} < ${folder.join("digests")}`]);

const contenders = [
  { name: "skopeo inspect --raw | sha256sum, one after the other", run: () => loop("loop.sh") },
  { name: "the same, and skopeo inspect --config for the platforms", run: () => loop("platforms.sh") },
  { name: "signet release verify, 16 at a time (the default)", run: () => verify(16) },
  { name: "signet release verify, 8 at a time", run: () => verify(8) },
  { name: "signet release verify, 32 at a time", run: () => verify(32) },
];
if (findTool("skopeo") === undefined) contenders.splice(0, 2);
// In turn, so that a machine whose speed drifts treats all alike.
const times = contenders.map((): number[] => []);
for (let round = -1; round < ROUNDS; round++) {
  for (const [index, contender] of contenders.entries()) {
    const elapsed = await contender.run();
    // The first turn fills caches.
    if (round >= 0) times[index]!.push(elapsed);
  }
}
console.log(`\na release of ${IMAGES} images, verified whole from a cold process (seconds: median, least, greatest)`);
for (const [index, { name }] of contenders.entries()) {
  const own = times[index]!;
  const ratios = own.map((elapsed, round) => times[0]![round]! / elapsed);
  const seconds = [median(own), Math.min(...own), Math.max(...own)].map((value) => (value / 1000).toFixed(2));
  console.log(`  ${name.padEnd(56)} ${seconds.join("  ")}   × ${median(ratios).toFixed(1)}`);
}
