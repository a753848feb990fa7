import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeSeededRandom, makeTempDir } from "@signet/testkit";
import { contractList } from "@signet/testkit/contract-image";
import { parseImageName } from "./image-name.ts";
import { openImageSource } from "./open.ts";

/** Processes killed for each transport; each is killed at another moment. */
const KILLS = 5;

/** Milliseconds after its first commit until a process is killed, at most; it goes through dozens of commits in that time. */
const LONGEST_LIFE_MS = 60;

const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Writes two images by turns, as fast as it can, and says so when the first is there. */
const writer = `
  import { contractList } from ${JSON.stringify(import.meta.resolve("@signet/testkit/contract-image"))};
  import { parseImageName } from ${url("./image-name.ts")};
  import { openImageDestination } from ${url("./open.ts")};
  const [name] = process.argv.slice(1);
  for (let round = 0; ; round++) {
    const seed = round % 2 === 0 ? "A" : "B";
    const image = contractList({ seed });
    const destination = await openImageDestination(await parseImageName(name));
    for (const { descriptor, bytes } of image.blobs) {
      if (!await destination.hasBlob(descriptor)) await destination.putBlob(descriptor, (async function* () { yield bytes; })());
    }
    for (const manifest of image.instances) await destination.putManifest(manifest, { instance: true });
    await destination.putManifest(image.top);
    if (await destination.signaturesUnsupported() === undefined) {
      const signature = (number) => new TextEncoder().encode("signature " + number + " of " + seed);
      await destination.putSignatures([1, 2].map(signature), image.top.digest, { top: true });
      await destination.putSignatures([1, 2, 3].map(signature), image.instances[0].digest, { top: false });
    }
    await destination.commit();
    await destination.close();
    if (round === 0) console.log("there");
  }`;

void describe("a process killed while it writes", () => {
  for (const form of ["dir:image", "oci:layout:name", "oci-archive:archive.tar:name"]) {
    void it(`leaves the old or the new image whole at ${form}`, async (t) => {
      const folder = makeTempDir("signet-crash-");
      t.after(() => folder.dispose());
      const random = makeSeededRandom(27);
      const [transport, ...rest] = form.split(":");
      const text = [transport, join(folder.path, rest[0]!), ...rest.slice(1)].join(":");
      for (let kill = 0; kill < KILLS; kill++) {
        const child = spawn(
          process.execPath,
          ["--conditions=@signet/source", "--input-type=module", "--eval", writer, text],
          { stdio: ["ignore", "pipe", "inherit"] },
        );
        t.after(() => child.kill("SIGKILL"));
        await once(child.stdout, "data");
        await sleep(random.integer(LONGEST_LIFE_MS));
        child.kill("SIGKILL");
        await once(child, "exit");
        await assertOneOfBoth(text);
      }
    });
  }
});

async function assertOneOfBoth(text: string): Promise<void> {
  await using source = await openImageSource(await parseImageName(text));
  const top = await source.manifest();
  const seed = ["A", "B"].find((candidate) => contractList({ seed: candidate }).top.digest === top.digest);
  assert.ok(seed !== undefined, "the top manifest is neither of the two");
  const image = contractList({ seed });
  for (const instance of image.instances) await source.manifest(instance.digest);
  for (const { descriptor } of image.blobs) for await (const _ of source.blob(descriptor));
  if (!text.startsWith("dir:")) return;
  for (const [digest, count] of [
    [image.top.digest, 2],
    [image.instances[0]!.digest, 3],
  ] as const) {
    const { signatures } = await source.signatures(digest);
    const found = new Set(signatures.map(({ bytes }) => new TextDecoder().decode(bytes)));
    for (let number = 1; number <= count; number++) {
      assert.ok(
        found.has(`signature ${number} of ${seed}`),
        `signature ${number} of ${seed} is not among ${[...found].join(", ")}`,
      );
    }
  }
}
