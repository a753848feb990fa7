/**
 * A registry as a process of its own, for tests that kill it: storage as its one argument says, everybody may do everything, garbage collection runs all the time.
 * Prints its port, and at SIGUSR2 the bytes of its heap that are in use, after a collection.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { openFilesystemStore } from "../blobs/filesystem.ts";
import { openS3Store } from "../blobs/s3.ts";
import { collectGarbage } from "../content/collection.ts";
import { openPostgresql } from "../db/postgresql.ts";
import { openSqlite } from "../db/sqlite.ts";
import type { StorageUnderTest } from "../storage-pairs.testing.ts";
import { openExchange } from "./answer.ts";
import { DataPlane } from "./data-plane.ts";

/** What a test says of the registry that it wants. */
export interface RegistryProcessOptions extends Pick<StorageUnderTest, "blobs" | "database"> {
  /** Milliseconds that collection spares what was touched: longer than a push of the test takes. */
  readonly graceMs: number;
}

const { database: place, blobs: blobPlace, graceMs } = JSON.parse(process.argv[2]!) as RegistryProcessOptions;
const database = await (place.kind === "sqlite" ? openSqlite(place.place) : openPostgresql(place.place));
const blobs = await (blobPlace.kind === "s3" ? openS3Store(blobPlace.options) : openFilesystemStore(blobPlace.root));
const plane = new DataPlane({
  database,
  blobs,
  gate: {
    identify: () =>
      Promise.resolve({
        name: "tester",
        credentials: "bearer",
        may: () => true,
        mayList: () => true,
        lists: () => true,
        withoutCredentials: () => Promise.resolve({ may: () => true }),
      } as const),
    challenge: () => "Bearer",
  },
  onFailure: (error) => void process.stderr.write(`${String((error as Error).stack)}\n`),
});
const server = createServer((request, response) => {
  void plane.handle(openExchange(request, response, Date.now())).then((isHandled) => {
    if (!isHandled) response.writeHead(404).end();
  });
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.on("SIGUSR2", () => {
  (globalThis as { gc?: () => void }).gc!();
  process.stdout.write(`${process.memoryUsage().heapUsed}\n`);
});
for (;;) {
  await collectGarbage(database, blobs, { now: Date.now(), graceMs, withStrays: true });
  await delay(20);
}
