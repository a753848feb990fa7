/** Runs a suite on every pair of database and blob store that a server may have. For tests only. */
import { type TestContext, after, describe } from "node:test";
import { type S3Server, makeTempDir, requireTool, startS3Server } from "@signet/testkit";
import type { BlobStore } from "./blobs/blob-store.ts";
import { openFilesystemStore } from "./blobs/filesystem.ts";
import { type S3Options, openS3Store } from "./blobs/s3.ts";
import type { Database, DatabaseKind } from "./db/database.ts";
import { type DatabaseUnderTest, databaseMaker } from "./db/databases.testing.ts";

/** Where the blobs of one test are. */
export type BlobPlace =
  | { readonly kind: "filesystem"; readonly root: string }
  | { readonly kind: "s3"; readonly options: S3Options };

/** An empty database and an empty blob store for one test. */
export interface StorageUnderTest {
  readonly database: Pick<DatabaseUnderTest, "kind" | "place">;
  readonly blobs: BlobPlace;
  /** Opens both, as another process would; closed when the test ends. */
  open(): Promise<{ readonly database: Database; readonly blobs: BlobStore }>;
}

/** Makes the storage of one test, or skips the test where a tool is missing (with CI=true it fails) and returns undefined. Removed when the test ends. */
export type MakeStorage = (t: TestContext) => Promise<StorageUnderTest | undefined>;

/**
 * Declares `suite` four times: SQLite and PostgreSQL, each with files and with S3. The servers are real, and started once a pair at the first test that asks.
 *
 *     forEachStorage((make) => {
 *       test("a pushed blob is there", async (t) => {
 *         const storage = await make(t);
 *         if (storage === undefined) return;
 *         const { database, blobs } = await storage.open();
 *         const replica = await storage.open(); // a second process on the same data
 *
 * A process of its own is told `storage.database.place` (a path or URL) and `storage.blobs` (a folder or the options of `openS3Store`).
 * @param suite declares tests; what it declares is in a `describe` named after the pair
 * @param pairs Default: all four. Suites of many slow tests take two, so that each engine has its turn
 */
export function forEachStorage(
  suite: (make: MakeStorage, pair: string) => void,
  pairs: readonly StoragePair[] = allPairs,
): void {
  for (const [database, blobs] of pairs) {
    const pair = `${names[database]} and ${names[blobs]}`;
    describe(`on ${pair}`, () => suite(storageMaker(database, blobs), pair));
  }
}

type StoragePair = readonly [database: DatabaseKind, blobs: BlobPlace["kind"]];

const allPairs: readonly StoragePair[] = [
  ["sqlite", "filesystem"],
  ["sqlite", "s3"],
  ["postgresql", "filesystem"],
  ["postgresql", "s3"],
];

const names = { sqlite: "SQLite", postgresql: "PostgreSQL", filesystem: "files", s3: "S3" } as const;

function storageMaker(database: DatabaseKind, blobs: BlobPlace["kind"]): MakeStorage {
  const makeDatabase = databaseMaker(database);
  const makeBlobs = blobs === "s3" ? s3Maker() : filesystemMaker;
  return async (t) => {
    const blobPlace = await makeBlobs(t);
    const databasePlace = blobPlace === undefined ? undefined : await makeDatabase(t);
    if (blobPlace === undefined || databasePlace === undefined) return undefined;
    return {
      database: databasePlace,
      blobs: blobPlace,
      open: async () => {
        const store = await openBlobs(blobPlace);
        t.after(() => store.close());
        return { database: await databasePlace.open(), blobs: store };
      },
    };
  };
}

function openBlobs(place: BlobPlace): Promise<BlobStore> {
  return place.kind === "s3" ? openS3Store(place.options) : openFilesystemStore(place.root);
}

function filesystemMaker(t: TestContext): Promise<BlobPlace> {
  const dir = makeTempDir("signet-blobs-");
  t.after(() => dir.dispose());
  return Promise.resolve({ kind: "filesystem", root: dir.join("blobs") });
}

function s3Maker(): (t: TestContext) => Promise<BlobPlace | undefined> {
  let server: Promise<S3Server> | undefined;
  after(async () => (await server)?.dispose());
  return async (t) => {
    if (requireTool(t, "versitygw") === undefined) return undefined;
    const running = await (server ??= startS3Server());
    const { endpoint, region, accessKeyId, secretAccessKey } = running;
    const credentials = { accessKeyId, secretAccessKey };
    return { kind: "s3", options: { bucket: running.makeBucket(), region, endpoint, credentials, pathStyle: true } };
  };
}
