import assert from "node:assert/strict";
import { rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import type { Digest } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { type ContractImage, contractImage, contractList, storeContractImage } from "@signet/testkit/contract-image";
import { addDirSignature } from "../transports/dir-signatures.ts";
import { parseImageName } from "../transports/image-name.ts";
import { openImageDestination, openImageSource } from "../transports/open.ts";
import { copyImage } from "./copy-image.ts";
import type { CopyOptions, CopyResult } from "./copy-options.ts";
import type { CopyProgress } from "./copy-progress.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function makeFolder(t: TestContext): string {
  const folder = makeTempDir("signet-copy-");
  t.after(() => folder.dispose());
  return folder.path;
}

async function store(text: string, image: ContractImage): Promise<void> {
  await using destination = await openImageDestination(await parseImageName(text));
  await storeContractImage(destination, image);
}

async function copy(from: string, to: string, options: CopyOptions = {}): Promise<CopyResult> {
  await using source = await openImageSource(await parseImageName(from));
  await using destination = await openImageDestination(await parseImageName(to));
  return await copyImage(source, destination, options);
}

async function signaturesOf(text: string, digest?: Digest): Promise<string[]> {
  await using source = await openImageSource(await parseImageName(text));
  const reading = await source.signatures(digest ?? (await source.manifest()).digest);
  return reading.signatures.map(({ bytes }) => decode(bytes));
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

void describe("copyImage, of signatures", () => {
  void it("carries signatures along, of the list and of its instances, unless told not to", async (t) => {
    const folder = makeFolder(t);
    const list = contractList();
    const from = join(folder, "from");
    await store(`dir:${from}`, list);
    await addDirSignature(from, encode("of the list"));
    for (const text of ["1 of arm64", "2 of arm64"])
      await addDirSignature(from, encode(text), list.instances[1]!.digest);
    const all = await copy(`dir:${from}`, `dir:${folder}/all`, { selection: "all" });
    assert.deepEqual(all.signatures, { carried: 3, kept: 0, made: 0 });
    assert.deepEqual(await signaturesOf(`dir:${folder}/all`), ["of the list"]);
    assert.deepEqual(await signaturesOf(`dir:${folder}/all`, list.instances[0]!.digest), []);
    assert.deepEqual(await signaturesOf(`dir:${folder}/all`, list.instances[1]!.digest), ["1 of arm64", "2 of arm64"]);

    const platform = { os: "linux", architecture: "arm64" };
    await copy(`dir:${from}`, `dir:${folder}/one`, { platform });
    assert.deepEqual(await signaturesOf(`dir:${folder}/one`), ["1 of arm64", "2 of arm64"]);
    const bare = await copy(`dir:${from}`, `dir:${folder}/bare`, { selection: "all", removeSignatures: true });
    assert.deepEqual(bare.signatures, { carried: 0, kept: 0, made: 0 });
    assert.deepEqual(await signaturesOf(`dir:${folder}/bare`), []);
  });

  void it("refuses to lose signatures where they cannot be kept, before a blob moves, and says how to go on", async (t) => {
    const folder = makeFolder(t);
    await store(`dir:${folder}/from`, contractImage());
    await addDirSignature(join(folder, "from"), encode("s"));
    for (const to of [`oci:${folder}/to`, `oci-archive:${folder}/to`]) {
      const events: CopyProgress[] = [];
      await assert.rejects(copy(`dir:${folder}/from`, to, { onProgress: (event) => events.push(event) }), {
        code: "destination-unsuitable",
        message: /cannot copy signatures to oci.*to: /,
        hint: /--remove-signatures/,
      });
      assert.ok(!events.some(({ kind }) => kind.startsWith("blob")));
      assert.equal(await isThere(join(folder, "to")), false);
      await copy(`dir:${folder}/from`, to, { removeSignatures: true });
      await assert.rejects(
        copy(`dir:${folder}/from`, to, {
          removeSignatures: true,
          sign: async () => encode("n"),
          signIdentity: "h/r:1",
        }),
        {
          code: "destination-unsuitable",
        },
      );
      await rm(join(folder, "to"), { recursive: true });
    }
  });

  void it("adds a signature after the ones that are there, for the list and every instance", async (t) => {
    const folder = makeFolder(t);
    const list = contractList();
    await store(`dir:${folder}/from`, list);
    await addDirSignature(join(folder, "from"), encode("old"));
    const signed: string[] = [];
    const result = await copy(`dir:${folder}/from`, `dir:${folder}/to`, {
      selection: "all",
      signIdentity: "registry.example.com/app:1",
      sign: async (bytes, digest, identity) => {
        signed.push(`${digest} ${bytes.length} ${identity}`);
        return encode(`new ${digest}`);
      },
    });
    assert.deepEqual(result.signatures, { carried: 1, kept: 0, made: 3 });
    const manifests = [...list.instances, list.top];
    assert.deepEqual(
      signed,
      manifests.map(({ digest, bytes }) => `${digest} ${bytes.length} registry.example.com/app:1`),
    );
    assert.deepEqual(await signaturesOf(`dir:${folder}/to`), ["old", `new ${list.top.digest}`]);
    assert.deepEqual(await signaturesOf(`dir:${folder}/to`, list.instances[0]!.digest), [
      `new ${list.instances[0]!.digest}`,
    ]);
  });

  void it("needs an identity to sign for where the destination has none", async (t) => {
    const folder = makeFolder(t);
    await store(`dir:${folder}/from`, contractImage());
    await assert.rejects(copy(`dir:${folder}/from`, `dir:${folder}/to`, { sign: async () => encode("s") }), {
      code: "identity-missing",
    });
  });

  void it("signs in place: source and destination may be the same", async (t) => {
    const folder = makeFolder(t);
    const image = contractImage();
    await store(`dir:${folder}/image`, image);
    const options = { signIdentity: "h/r:1", sign: async () => encode("s") };
    const result = await copy(`dir:${folder}/image`, `dir:${folder}/image`, options);
    assert.deepEqual(result.blobs, { moved: 0, present: 3, bytes: 0 });
    assert.deepEqual(await signaturesOf(`dir:${folder}/image`), ["s"]);
    await copy(`dir:${folder}/image`, `dir:${folder}/copy`);
    await store(`oci-archive:${folder}/a.tar`, image);
    await copy(`oci-archive:${folder}/a.tar`, `oci-archive:${folder}/a.tar:renamed`);
    await copy(`oci-archive:${folder}/a.tar:renamed`, `dir:${folder}/copy`);
  });

  void it("refuses more signatures than a reader would look at", async (t) => {
    const folder = makeFolder(t);
    await store(`dir:${folder}/from`, contractImage());
    for (let number = 1; number <= 128; number++)
      await writeFile(join(folder, "from", `signature-${number}`), `${number}`);
    const options = { signIdentity: "h/r:1", sign: async () => encode("one more") };
    await assert.rejects(copy(`dir:${folder}/from`, `dir:${folder}/to`, options), {
      code: "destination-unsuitable",
      message: /129 signatures/,
    });
    assert.equal((await copy(`dir:${folder}/from`, `dir:${folder}/to`)).signatures.carried, 128);
  });
});
