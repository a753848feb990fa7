import assert from "node:assert/strict";
import fileSystem, { readdir, rm } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeTempDir } from "@signet/testkit";
import { type ContractImage, contractList } from "@signet/testkit/contract-image";
import { chunksOf } from "./blob-check.ts";
import { parseImageName } from "./image-name.ts";
import { openImageDestination, openImageSource } from "./open.ts";
import type { ImageDestination } from "./transport.ts";

/** Everything that changes names in the file system. */
const stepNames = ["copyFile", "link", "mkdir", "open", "rename", "rm", "rmdir", "writeFile"] as const;

/**
 * Stands between the modules and the file system. After the last step that is let through, nothing comes back any more: neither the work nor any cleaning up goes on,
 * as after a power cut.
 */
const power = {
  stepsLeft: Infinity,
  cut: undefined as (() => void) | undefined,
};

const originals = new Map<string, unknown>();
const patched = fileSystem as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;

before(() => {
  for (const name of stepNames) {
    const original = patched[name]!;
    originals.set(name, original);
    patched[name] = (...args) => {
      if (power.stepsLeft > 0) {
        power.stepsLeft--;
        return original(...args);
      }
      power.cut?.();
      return new Promise(() => {});
    };
  }
  syncBuiltinESMExports();
});
after(() => {
  for (const [name, original] of originals) patched[name] = original as (typeof patched)[string];
  syncBuiltinESMExports();
});

/** Destinations that the power was cut on; kept, so that their open files are not collected with a warning. */
const abandoned: ImageDestination[] = [];

/** Steps of one commit, at most; more means that the loop below does not end. */
const MOST_STEPS = 500;

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const signature = (number: number, seed: string): string => `signature ${number} of ${seed}`;

/** Signatures of the top manifest and of the first instance; their numbers differ, so that none hides behind another. */
const counts: Readonly<Record<string, readonly [top: number, instance: number]>> = { A: [2, 3], B: [3, 1] };

async function fill(destination: ImageDestination, image: ContractImage, seed: string): Promise<void> {
  for (const { descriptor, bytes } of image.blobs) {
    if (!(await destination.hasBlob(descriptor))) await destination.putBlob(descriptor, chunksOf(bytes));
  }
  for (const manifest of image.instances) await destination.putManifest(manifest, { instance: true });
  await destination.putManifest(image.top);
  if ((await destination.signaturesUnsupported()) !== undefined) return;
  const blobs = (count: number): Uint8Array[] =>
    Array.from({ length: count }, (_, index) => encode(signature(index + 1, seed)));
  const [top, instance] = counts[seed]!;
  await destination.putSignatures(blobs(top), image.top.digest, { top: true });
  await destination.putSignatures(blobs(instance), image.instances[0]!.digest, { top: false });
}

async function write(text: string, seed: string): Promise<void> {
  await using destination = await openImageDestination(await parseImageName(text));
  await fill(destination, contractList({ seed }), seed);
  await destination.commit();
}

/** Commits image B and cuts the power after so many steps of that. True when the commit got through. */
async function writeUntilCut(text: string, steps: number): Promise<boolean> {
  const destination = await openImageDestination(await parseImageName(text));
  await fill(destination, contractList({ seed: "B" }), "B");
  const cut = new Promise<boolean>((resolve) => {
    power.cut = () => resolve(false);
  });
  power.stepsLeft = steps;
  abandoned.push(destination);
  const through = await Promise.race([destination.commit().then(() => true), cut]);
  power.stepsLeft = Infinity;
  return through;
}

/** Which of the two images can be read whole, with at least its signatures; undefined when there is none. */
async function readImage(text: string): Promise<string> {
  await using source = await openImageSource(await parseImageName(text));
  const top = await source.manifest();
  const seed = ["A", "B"].find((candidate) => contractList({ seed: candidate }).top.digest === top.digest);
  assert.ok(seed !== undefined, "the top manifest is neither of the two");
  const image = contractList({ seed });
  for (const instance of image.instances) await source.manifest(instance.digest);
  for (const { descriptor } of image.blobs) for await (const _ of source.blob(descriptor));
  if (!text.startsWith("dir:")) return seed;
  for (const [digest, count] of [
    [image.top.digest, counts[seed]![0]],
    [image.instances[0]!.digest, counts[seed]![1]],
  ] as const) {
    const { signatures } = await source.signatures(digest);
    const found = new Set(signatures.map(({ bytes }) => new TextDecoder().decode(bytes)));
    for (let number = 1; number <= count; number++) {
      assert.ok(
        found.has(signature(number, seed)),
        `of ${seed}, signature ${number} is not among ${[...found].join(", ")}`,
      );
    }
  }
  return seed;
}

void describe("a commit that a power cut ends", () => {
  for (const form of ["dir:image", "oci:layout:name", "oci-archive:archive.tar:name"]) {
    void it(`leaves at ${form} the old or the new image whole, whichever step was the last`, async (t) => {
      const seen = new Set<string>();
      let through = false;
      for (let steps = 0; !through; steps++) {
        assert.ok(steps < MOST_STEPS);
        using folder = makeTempDir("signet-power-cut-");
        const [transport, file, ...rest] = form.split(":");
        const text = [transport, join(folder.path, file!), ...rest].join(":");
        await write(text, "A");
        through = await writeUntilCut(text, steps);
        const seed = await readImage(text);
        seen.add(seed);
        if (through) {
          assert.equal(seed, "B");
          t.diagnostic(`${steps} steps`);
        }
        // The holder of the lock lives on here, unlike after a real power cut; crash-safety.test.ts has the real case.
        await rm(join(folder.path, "layout", ".index.json.signet-lock"), { force: true });
        await write(text, "A");
        assert.equal(await readImage(text), "A");
        if (form.startsWith("dir:")) {
          const files = (await readdir(join(folder.path, "image"))).filter((name) => !name.startsWith("."));
          assert.equal(files.length, 6 + 2 + 2 + counts["A"]![0] + counts["A"]![1], files.join(", "));
        }
      }
      assert.deepEqual([...seen].sort(), ["A", "B"]);
    });

    void it(`leaves at ${form} nothing or the whole image when there was none`, async () => {
      let through = false;
      for (let steps = 0; !through; steps++) {
        assert.ok(steps < MOST_STEPS);
        using folder = makeTempDir("signet-power-cut-");
        const [transport, file, ...rest] = form.split(":");
        const path = join(folder.path, file!);
        const text = [transport, path, ...rest].join(":");
        through = await writeUntilCut(text, steps);
        const visible = (await readdir(folder.path)).filter((name) => !name.startsWith("."));
        if (visible.length > 0) assert.equal(await readImage(text), "B");
        else assert.equal(through, false);
      }
    });
  }
});
