import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import type { TestContext } from "node:test";
import { type Digest, digestAlgorithm, digestHex } from "@signet/core";
import { makeTempDir, requireTool, startDockerRegistry, startTestRegistry } from "@signet/testkit";
import { rewriteArchive } from "@signet/testkit/archive-rewriting";
import { archivedContractImage } from "@signet/testkit/contract-image";
import { type TransportUnderTest, describeTransport } from "@signet/testkit/transport-contract";
import { blobFile, manifestFile } from "./dir-layout.ts";
import { currentHost } from "../config/host-environment.ts";
import { RegistryClients } from "../registry/client.ts";
import { folderLookasideBase } from "../stores/lookaside-url.ts";
import { lookasideStore } from "../stores/lookaside-store.ts";
import { parseImageName } from "./image-name.ts";
import { openImageDestination, openImageSource } from "./open.ts";

const pathTraits = { checksBlobsThere: true, algorithms: ["sha384", "sha512"] } as const;

/** Every file below `folder` with its hash, and every folder. */
async function listTree(folder: string): Promise<string[]> {
  const lines: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const content = entry.isFile()
      ? createHash("sha256")
          .update(await readFile(path))
          .digest("hex")
      : "folder";
    lines.push(`${relative(folder, path)} ${content}`);
  }
  return lines.sort();
}

/** An image name inside a folder of its own, and what is needed to look at it and to damage it. */
function placeAt(
  t: TestContext,
  makeName: (folder: string) => string,
  alter: (folder: string, digest: Digest, change: (bytes: Uint8Array) => Uint8Array) => Promise<void>,
): TransportUnderTest & { readonly path: string } {
  const folder = makeTempDir("signet-transport-");
  t.after(() => folder.dispose());
  const name = makeName(folder.path);
  return {
    path: name.split(":")[1]!,
    openDestination: async () => openImageDestination(await parseImageName(name)),
    openSource: async () => openImageSource(await parseImageName(name)),
    lookAround: () => listTree(folder.path),
    alter: (digest, change) => alter(folder.path, digest, change),
  };
}

async function alterFile(path: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  await writeFile(path, change(new Uint8Array(await readFile(path))));
}

async function alterDir(folder: string, digest: Digest, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
  const blob = join(folder, "image", blobFile(digest));
  const isBlob = await stat(blob).then(
    () => true,
    () => false,
  );
  await alterFile(isBlob ? blob : join(folder, "image", manifestFile(digest)), change);
}

const blobPath = (digest: Digest): string => `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;

describeTransport("dir:", { keepsSignatures: true, keepsDockerManifests: true, ...pathTraits }, async (t) =>
  placeAt(t, (folder) => `dir:${join(folder, "image")}`, alterDir),
);

describeTransport(
  "dir: in a folder that is there already",
  { keepsSignatures: true, keepsDockerManifests: true, ...pathTraits },
  async (t) => {
    const place = placeAt(t, (folder) => `dir:${join(folder, "image")}`, alterDir);
    await mkdir(place.path);
    return place;
  },
);

const layoutTraits = { keepsSignatures: false, keepsDockerManifests: false, ...pathTraits };

describeTransport("oci:", layoutTraits, async (t) =>
  placeAt(
    t,
    (folder) => `oci:${join(folder, "layout")}:example.com/app:1`,
    (folder, digest, change) => alterFile(join(folder, "layout", blobPath(digest)), change),
  ),
);

describeTransport("oci-archive:", layoutTraits, async (t) =>
  placeAt(
    t,
    (folder) => `oci-archive:${join(folder, "archive.tar")}`,
    (folder, digest, change) =>
      rewriteArchive(join(folder, "archive.tar"), (name, bytes) => (name === blobPath(digest) ? change(bytes) : bytes)),
  ),
);

describeTransport(
  "docker-archive:",
  {
    keepsSignatures: false,
    keepsDockerManifests: false,
    checksBlobsThere: false,
    algorithms: [],
    makeImage: archivedContractImage,
  },
  async (t) => {
    const place = placeAt(
      t,
      (folder) => `docker-archive:${join(folder, "archive.tar")}`,
      (folder, digest, change) =>
        rewriteArchive(join(folder, "archive.tar"), (name, bytes) =>
          name === `${digestHex(digest)}.tar` ? change(bytes) : bytes,
        ),
    );
    return { ...place, clear: () => rm(place.path, { force: true }) };
  },
);

const registryTraits = { keepsSignatures: true, keepsDockerManifests: true, checksBlobsThere: false };

/** An image in a registry whose signatures lie in a folder. */
function placeInRegistry(
  t: TestContext,
  host: string,
  readTag: () => Promise<unknown>,
  alter: TransportUnderTest["alter"],
): TransportUnderTest {
  const folder = makeTempDir("signet-transport-");
  const base = folderLookasideBase(folder.path);
  const store = lookasideStore({
    read: base,
    write: base,
    openWeb: () => {
      throw new Error("the store is a folder");
    },
  });
  const clients = new RegistryClients({
    host: { ...currentHost(), env: {}, home: folder.path },
    tlsVerify: false,
    credentials: async () => undefined,
  });
  t.after(async () => {
    await clients.close();
    folder.dispose();
  });
  const docker = { clients, chooseSignatureStore: () => store };
  const name = `docker://${host}/team/app:1`;
  return {
    openDestination: async () => openImageDestination(await parseImageName(name), { docker }),
    openSource: async () => openImageSource(await parseImageName(name), { docker }),
    lookAround: async () => [await readTag(), await listTree(folder.path)],
    alter,
  };
}

describeTransport("docker:// in a small registry", { ...registryTraits, algorithms: ["sha512"] }, async (t) => {
  const registry = await startTestRegistry();
  t.after(() => registry.dispose());
  return placeInRegistry(
    t,
    registry.host,
    async () => registry.manifest("team/app", "1"),
    async (digest, change) => registry.tamper("team/app", digest, change),
  );
});

describeTransport("docker:// in Debian's docker-registry", { ...registryTraits, algorithms: [] }, async (t) => {
  if (requireTool(t, "docker-registry") === undefined) return undefined;
  const registry = await startDockerRegistry();
  t.after(() => registry.dispose());
  const blobs = join(registry.storageDir, "docker/registry/v2/blobs/sha256");
  return placeInRegistry(
    t,
    registry.host,
    async () => (await fetch(`${registry.url}/v2/team/app/manifests/1`)).text(),
    (digest, change) => alterFile(join(blobs, digestHex(digest).slice(0, 2), digestHex(digest), "data"), change),
  );
});
