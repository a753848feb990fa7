import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makeTempDir, run } from "@signet/testkit";

const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Writes a small image, then tries to replace it by one that does not fit; prints what happened and what is left. */
const script = `
  import { readdir } from "node:fs/promises";
  import { contractBlob, contractImage } from ${JSON.stringify(import.meta.resolve("@signet/testkit/contract-image"))};
  import { parseImageName } from ${url("./image-name.ts")};
  import { openImageDestination, openImageSource } from ${url("./open.ts")};
  const [folder, name] = process.argv.slice(1);
  const write = async (image) => {
    await using destination = await openImageDestination(await parseImageName(name));
    for (const { descriptor, bytes } of image.blobs) {
      await destination.putBlob(descriptor, (async function* () { yield bytes; })());
    }
    await destination.putManifest(image.top);
    await destination.commit();
  };
  const small = contractImage();
  const large = contractImage({ layers: [contractBlob(new Uint8Array(4 << 20), "application/x-layer")] });
  const codes = [];
  await write(large).catch((error) => codes.push(error.code));
  const afterFirst = await readdir(folder);
  await write(small);
  const before = (await readdir(folder, { recursive: true })).sort();
  await write(large).catch((error) => codes.push(error.code));
  const after = (await readdir(folder, { recursive: true })).sort();
  await using source = await openImageSource(await parseImageName(name));
  const old = (await source.manifest()).digest === small.top.digest;
  console.log(JSON.stringify({ codes, afterFirst, same: JSON.stringify(before) === JSON.stringify(after), old }));`;

void describe("a disk that runs full", () => {
  for (const form of ["dir:FOLDER/image", "oci:FOLDER/layout:name", "oci-archive:FOLDER/archive.tar"]) {
    void it(`fails the copy to ${form}, keeps the old image and leaves nothing else`, async (t) => {
      const folder = makeTempDir("signet-disk-full-");
      t.after(() => folder.dispose());
      const node = [process.execPath, "--conditions=@signet/source", "--input-type=module", "--eval", script];
      const args = [...node, folder.path, form.replace("FOLDER", folder.path)];
      // A file system of 1 MiB, seen by the child process alone.
      const inside = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"';
      let result = await run("unshare", ["--map-root-user", "--mount", "sh", "-c", inside, folder.path, ...args]);
      let code = "disk-full";
      if (result.status !== 0 && /unshare|mount/.test(result.stderr)) {
        t.diagnostic(
          "this machine does not allow mount name spaces; a limit on the size of files takes the disk's place",
        );
        result = await run("prlimit", ["--fsize=1048576", ...args]);
        code = "file-unwritable";
      }
      assert.equal(result.stderr, "");
      assert.deepEqual(JSON.parse(result.stdout), { codes: [code, code], afterFirst: [], same: true, old: true });
    });
  }
});
