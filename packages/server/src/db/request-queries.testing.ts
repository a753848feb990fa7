/** What requests and maintenance ask of the database, each with content that a large installation has. For tests and measurements only. */
import { recheckSignatures } from "../trust/recheck.ts";
import { KeyringReader } from "../trust/server-keyring.ts";
import { makeAuthor, makeSigner, pushImage, storeSignature } from "../trust/trust.testing.ts";
import { withdrawSignature } from "../trust/withdrawal.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { addBlob, listBlobHolders, mountBlob } from "../content/blobs.ts";
import { findCarrier } from "../content/carried-index.ts";
import { checkContent } from "../content/check.ts";
import { collectGarbage } from "../content/collection.ts";
import { deleteBlob, deleteManifest, deleteTag } from "../content/deletion.ts";
import { findManifest } from "../content/manifests.ts";
import { readQuotaUse } from "../content/quotas.ts";
import { listReferrers } from "../content/referrers.ts";
import { listReleaseSignatures } from "../content/release-signatures.ts";
import { type ServedRepository, findServed, listPaths } from "../content/repositories.ts";
import { listRepositories } from "../content/repository-settings.ts";
import { deleteRepository } from "../content/repository-deletion.ts";
import { listSignatureFacts } from "../content/signature-list.ts";
import { deleteSignature, listSignatures } from "../content/signatures.ts";
import { listTags, resolveTag } from "../content/tags.ts";
import { Uploads } from "../content/uploads.ts";
import type { Database } from "./database.ts";
import { BLOB_BYTES, type LargeContent, STORED_AT } from "./large-content.testing.ts";

/** Something that the server does, as its doors do it. */
export interface RequestUnderTest {
  readonly name: string;
  /** True where it is about most of what is stored, so that reading whole tables is right. */
  readonly holdsAll?: boolean;
  run(database: Database): Promise<unknown>;
}

/** Milliseconds: an hour after all was stored, so that nothing of it is young. */
const NOW = STORED_AT + 60 * 60 * 1_000 + 1;
const AFTER = NOW + 1;

/** What a request waits for. Those that change something come last, and change little. */
export function listRequests(content: LargeContent, store: BlobStore): readonly RequestUnderTest[] {
  const big = content.path(0);
  const at = async (database: Database, path: string): Promise<ServedRepository> =>
    (await findServed(database.read, path))!;
  const read = (
    name: string,
    run: (reader: Database["read"], served: ServedRepository, database: Database) => Promise<unknown>,
    path = big,
  ): RequestUnderTest => ({
    name,
    run: async (database) => await run(database.read, await at(database, path), database),
  });
  const page = { last: "", limit: 100, maxBytes: 1e6 };
  return [
    read("manifest by digest", (reader, served) => findManifest(reader, served, content.manifest(400))),
    read("tag", (reader, served) => resolveTag(reader, served, "v400")),
    read("tags", (reader, served) => listTags(reader, served, "v2", 101)),
    read("catalog", (reader) => listPaths(reader, "team-2", 101)),
    read("repositories", (reader) => listRepositories(reader, "team-2", 101)),
    read("referrers", (reader, served) => listReferrers(reader, served, content.manifest(404), undefined, page)),
    read("signatures of an image", (reader, served) => listSignatures(reader, served, content.manifest(400))),
    read("signature list", (reader, served) => listSignatureFacts(reader, served, undefined, "", 201)),
    read("signature list, later page", (reader, served) =>
      listSignatureFacts(reader, served, undefined, "sha256:0001", 201),
    ),
    read("signature list of an image", (reader, served) =>
      listSignatureFacts(reader, served, content.manifest(402), "", 201),
    ),
    read(
      "signature list, small repository",
      (reader, served) => listSignatureFacts(reader, served, undefined, "", 201),
      content.path(7),
    ),
    read("carrier by name", (reader, served) =>
      findCarrier(
        reader,
        served,
        content.manifest(402),
        `${content.manifest(402)}@${content.signature(402).slice(7, 39)}`,
      ),
    ),
    read("release signatures", (reader) =>
      listReleaseSignatures(reader, content.manifest(400), { index: 10 }, () => true),
    ),
    read("release signature by its own digest", (reader) =>
      listReleaseSignatures(reader, content.manifest(400), { signature: content.signature(400) }, () => true),
    ),
    read("blob holders", (reader) => listBlobHolders(reader, content.blob(1601), 100)),
    read("blob holders, shared blob", (reader) => listBlobHolders(reader, content.blob(50), 100)),
    { ...read("quota, large repository", (reader) => readQuotaUse(reader, big)), holdsAll: true },
    read("quota, small repository", (reader) => readQuotaUse(reader, content.path(7))),
    {
      name: "upload begins",
      run: async (database) => await new Uploads(database, store).begin(content.path(7), "robot-1", NOW),
    },
    {
      name: "upload found",
      run: async (database) =>
        await new Uploads(database, store).find(content.path(7), "upload-1").catch(() => undefined),
    },
    {
      name: "blob pushed",
      run: async (database) => {
        const digest = `sha256:${"e".repeat(64)}`;
        await addBlob(database, store, { digest, size: 1, location: "blobs/e" }, content.path(7), NOW, async () => {});
      },
    },
    {
      name: "blob mounted",
      run: async (database) =>
        await mountBlob(database, { from: big, to: content.path(7), digest: content.blob(1601), now: NOW }),
    },
    {
      name: "image pushed",
      run: async (database) => await pushImage(database, content.path(7), 1),
    },
    {
      name: "signature pushed",
      run: async (database) => {
        const image = await pushImage(database, content.path(7), 2);
        const bytes = await (await makeSigner()).sign(image.bytes, "r.example.com/team:1");
        await storeSignature(database, content.path(7), image.digest, bytes);
      },
    },
    read("tag deleted", async (_, served, database) => await deleteTag(database, served, "v404", "ann", NOW)),
    read("carrying tag deleted", async (_, served, database) => {
      await deleteTag(database, served, `${content.manifest(406).replace(":", "-")}.sig`, "ann", NOW);
    }),
    read("manifest deleted", async (_, served, database) => {
      await deleteManifest(database, served, content.manifest(412), "ann", NOW);
    }),
    read("blob deleted", async (_, served, database) => {
      await deleteBlob(database, served, content.blob(1648), "ann", NOW).catch(() => undefined);
    }),
    read("signature deleted", async (_, served, database) => {
      await deleteSignature(database, served, content.manifest(416), ([first]) => first, "ann", NOW);
    }),
    {
      name: "signature withdrawn",
      run: async (database) => await withdrawSignature(database, content.signature(420), "", makeAuthor(NOW)),
    },
    {
      name: "carried signature withdrawn",
      run: async (database) => await withdrawSignature(database, content.signature(422), "", makeAuthor(NOW)),
    },
    {
      name: "repository deleted",
      holdsAll: true,
      run: async (database) => await deleteRepository(database, store, content.path(9), "ann", NOW),
    },
  ];
}

/** What nobody waits for, unless the engine does one thing at a time. */
export function listMaintenance(): readonly RequestUnderTest[] {
  return [
    {
      name: "check",
      run: async (database) => {
        let findings = 0;
        const options = { withContent: false, straysBefore: 0 };
        for await (const _ of checkContent(database, fullStore, options)) findings += 1;
        return findings;
      },
    },
    {
      name: "garbage collection",
      run: async (database) => await collectGarbage(database, fullStore, { now: AFTER, withStrays: false }),
    },
    {
      name: "recheck",
      run: async (database) => await recheckSignatures(database, { keyrings: new KeyringReader(), now: () => NOW }),
    },
  ];
}

/** Has the bytes of every row: it is the database that is asked about here. */
const fullStore = {
  size: () => Promise.resolve(BLOB_BYTES),
  remove: () => Promise.resolve(),
  abort: () => Promise.resolve(),
  list: async function* () {},
} as unknown as BlobStore;
