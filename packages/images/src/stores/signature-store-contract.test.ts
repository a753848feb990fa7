import { createReadStream } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import {
  type Digest,
  MAX_SIGNATURES_PER_MANIFEST,
  OCI_MANIFEST_TYPE,
  type Reference,
  encodeBase64,
} from "@signet/core";
import { type TestRegistry, makeFakeClock, makeTempDir, startTestRegistry } from "@signet/testkit";
import {
  type SignatureStoreUnderTest,
  contractManifests,
  contractRepositories,
  describeSignatureStore,
} from "@signet/testkit/signature-store-contract";
import { RegistryClients } from "../registry/client.ts";
import { companionTag } from "../registry/companion-tags.ts";
import { signatureFile } from "../transports/dir-layout.ts";
import { attachmentStore } from "./attachment-store.ts";
import { dirStore } from "./dir-store.ts";
import { extensionStore } from "./extension-store.ts";
import { lookasideStore } from "./lookaside-store.ts";
import { folderLookasideBase, parseLookasideBase, signatureFolder } from "./lookaside-url.ts";

function makeClients(t: TestContext): RegistryClients {
  const clients = new RegistryClients({
    host: { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" },
    tlsVerify: false,
    clock: makeFakeClock(),
  });
  t.after(() => clients.close());
  return clients;
}

/** Files where a lookaside store below `folder` looks for them. */
async function putFiles(
  folder: string,
  reference: Reference,
  digest: Digest,
  blobs: readonly Uint8Array[],
): Promise<void> {
  const place = signatureFolder(folderLookasideBase(folder), reference, digest);
  await mkdir(place, { recursive: true });
  for (const [index, blob] of blobs.entries()) await writeFile(join(place, `signature-${index + 1}`), blob);
}

describeSignatureStore(
  "lookaside in a folder",
  {
    writable: true,
    removes: true,
    knowsRepositories: true,
    knowsSha512: true,
    maxSignatures: MAX_SIGNATURES_PER_MANIFEST,
  },
  async (t): Promise<SignatureStoreUnderTest> => {
    const dir = makeTempDir("signet-store-");
    t.after(() => dir.dispose());
    const base = parseLookasideBase(`file://${dir.join("base")}`, "here");
    return {
      store: lookasideStore({ read: base, write: base, openWeb: (host) => makeClients(t).openWeb(host) }),
      put: (reference, digest, blobs) => putFiles(dir.join("base"), reference, digest, blobs),
      async breakDown() {
        await rm(dir.join("base"), { recursive: true });
        await writeFile(dir.join("base"), "not a folder any more");
      },
    };
  },
);

describeSignatureStore(
  "lookaside on the web",
  {
    writable: false,
    removes: false,
    knowsRepositories: true,
    knowsSha512: true,
    maxSignatures: MAX_SIGNATURES_PER_MANIFEST,
  },
  async (t): Promise<SignatureStoreUnderTest> => {
    const dir = makeTempDir("signet-store-");
    let isBroken = false;
    const server = createServer((request, response) => {
      if (isBroken) {
        response.writeHead(503).end();
        return;
      }
      const file = createReadStream(join(dir.path, decodeURIComponent(request.url ?? "")));
      file.on("error", () => response.writeHead(404).end());
      file.on("open", () => file.pipe(response.writeHead(200, { "content-type": "application/octet-stream" })));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      server.closeAllConnections();
      server.close();
      dir.dispose();
    });
    const base = parseLookasideBase(`http://127.0.0.1:${(server.address() as AddressInfo).port}/base`, "here");
    const clients = makeClients(t);
    return {
      store: lookasideStore({ read: base, write: base, openWeb: (host) => clients.openWeb(host) }),
      put: (reference, digest, blobs) => putFiles(dir.join("base"), reference, digest, blobs),
      async breakDown() {
        isBroken = true;
      },
    };
  },
);

describeSignatureStore(
  "beside a dir: image",
  {
    writable: true,
    removes: false,
    knowsRepositories: false,
    knowsSha512: true,
    maxSignatures: MAX_SIGNATURES_PER_MANIFEST,
  },
  async (t, topDigest): Promise<SignatureStoreUnderTest> => {
    const dir = makeTempDir("signet-store-");
    t.after(() => dir.dispose());
    return {
      store: dirStore(dir.path, topDigest),
      async put(_reference, digest, blobs) {
        const instance = digest === topDigest ? undefined : digest;
        for (const [index, blob] of blobs.entries())
          await writeFile(dir.join(signatureFile(index + 1, instance)), blob);
      },
      async breakDown() {
        await rm(dir.join("signature-1"));
        await mkdir(dir.join("signature-1"));
      },
    };
  },
);

describeSignatureStore(
  "behind a registry's signatures API",
  {
    writable: true,
    removes: false,
    knowsRepositories: true,
    knowsSha512: false,
    maxSignatures: MAX_SIGNATURES_PER_MANIFEST,
  },
  async (t): Promise<SignatureStoreUnderTest> => {
    const registry = await startTestRegistry({ signaturesExtension: true });
    t.after(() => registry.dispose());
    for (const repository of contractRepositories)
      for (const { bytes, digest } of contractManifests) registry.putManifest(repository, digest, bytes, "text/plain");
    let count = 0;
    return {
      domain: registry.host,
      store: extensionStore(makeClients(t).clientFor(registry.host)),
      async put(reference, digest, blobs) {
        const known = new Set(registry.signatures(reference.path, digest).map(({ content }) => content));
        for (const blob of blobs) {
          const content = encodeBase64(blob);
          if (known.has(content)) continue;
          const body = { schemaVersion: 2, name: `${digest}@${++count}`, type: "atomic", content };
          const url = `${registry.url}/extensions/v2/${reference.path}/signatures/${digest}`;
          const { status } = await fetch(url, { method: "PUT", body: JSON.stringify(body) });
          if (status !== 201) throw new Error(`the test registry answered ${status}`);
        }
      },
      breakDown: () => registry.dispose(),
    };
  },
);

/** Layers under cosign's tag, as another client would have put them there. */
function putAttachments(
  registry: TestRegistry,
  reference: Reference,
  digest: Digest,
  blobs: readonly Uint8Array[],
): void {
  const layers = blobs.map((blob) => {
    const text = new TextDecoder().decode(blob.subarray(blob.indexOf(0x0a) + 1));
    const { mimeType, payload, annotations } = JSON.parse(text) as Record<string, string>;
    const bytes = Buffer.from(payload!, "base64");
    return { mediaType: mimeType, size: bytes.length, digest: registry.putBlob(reference.path, bytes), annotations };
  });
  const config = Buffer.from(
    JSON.stringify({ rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.digest) } }),
  );
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST_TYPE,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      size: config.length,
      digest: registry.putBlob(reference.path, config),
    },
    layers,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  registry.putManifest(reference.path, companionTag(digest, "sig")!, bytes, OCI_MANIFEST_TYPE);
}

describeSignatureStore(
  "of sigstore attachments",
  {
    kind: "sigstore",
    writable: true,
    removes: true,
    knowsRepositories: true,
    knowsSha512: false,
    maxSignatures: MAX_SIGNATURES_PER_MANIFEST,
  },
  async (t): Promise<SignatureStoreUnderTest> => {
    const registry = await startTestRegistry();
    t.after(() => registry.dispose());
    return {
      domain: registry.host,
      store: attachmentStore(makeClients(t).clientFor(registry.host), { enabled: true, explanation: "test" }),
      put: async (reference, digest, blobs) => putAttachments(registry, reference, digest, blobs),
      breakDown: () => registry.dispose(),
    };
  },
);
