/** Mends what a check found, as far as that can be done without inventing content: what is broken is taken out, so that a push can bring it again. */
import type { BlobStore } from "../blobs/blob-store.ts";
import type { Database } from "../db/database.ts";
import { repairBlob } from "./blob-repair.ts";
import type { Finding } from "./check.ts";
import { isDangling } from "./dangling.ts";
import { readManifestFacts } from "./manifest-facts.ts";
import { rewriteLinks } from "./manifest-links.ts";
import { commitVersion } from "./membership.ts";
import { splitTagKey } from "./names.ts";
import { type RepairOutcome, passed } from "./repair-outcome.ts";
import { lockRepository } from "./repositories.ts";
import { listUncarried } from "./signature-carriers.ts";
import { rewriteArrival, rewriteSignatureRow } from "./signature-rows.ts";
import { forgetRecorded } from "./unheld-rows.ts";
import { indexCarrier } from "./unindexed-signatures.ts";

/**
 * Repairs one finding. Nothing is repaired that would only hide a loss: an image whose blob is gone stays incomplete, and is named by every check, until somebody
 * pushes the blob or deletes the image.
 */
export async function repairFinding(
  database: Database,
  store: BlobStore,
  finding: Finding,
  now: number,
): Promise<RepairOutcome> {
  switch (finding.fault) {
    case "blob-bytes-missing":
    case "blob-bytes-wrong": {
      const { subject, location } = finding;
      return location === undefined ? { repaired: false } : await repairBlob(database, store, subject, location);
    }
    case "stray-bytes": {
      // A row may have come meanwhile. As a transaction, so that it is seen whatever this connection has read.
      const row = await database.write((writer) =>
        writer.selectFrom("blob").select("digest").where("location", "=", finding.subject).executeTakeFirst(),
      );
      if (row !== undefined) return passed;
      await store.remove(finding.subject);
      return { repaired: true, what: "removed" };
    }
    case "signature-row-wrong": {
      const isRewritten = await database.write((writer) => rewriteSignatureRow(writer, finding.subject));
      return isRewritten ? { repaired: true, what: "its row was written anew from its bytes" } : { repaired: false };
    }
    case "signature-unlisted": {
      const { repository: id, subject } = finding;
      if (id === undefined) return { repaired: false };
      const isListed = await database.write(async (writer) => {
        await lockRepository(writer, id);
        return await rewriteArrival(writer, id, subject, now);
      });
      return isListed ? { repaired: true, what: "it is listed, by a name that the server made" } : { repaired: false };
    }
    case "tag-wrong": {
      const { subject: key } = finding;
      const { name, digest } = splitTagKey(key);
      await database.write((writer) =>
        writer
          .insertInto("tag")
          .values({ key, name, manifest_digest: digest, created_at: now, touched_at: now })
          .onConflict((conflict) => conflict.column("key").doUpdateSet({ name, manifest_digest: digest }))
          .execute(),
      );
      return { repaired: true, what: "its row was written anew from its key" };
    }
    case "manifest-links-wrong": {
      const isRewritten = await database.write(async (writer) => {
        const { subject } = finding;
        const row = await writer
          .selectFrom("manifest")
          .select(["bytes", "media_type"])
          .where("digest", "=", subject)
          .executeTakeFirst();
        if (row === undefined) return false;
        await rewriteLinks(writer, readManifestFacts(row.bytes, row.media_type, subject));
        return true;
      });
      return isRewritten ? { repaired: true, what: "its rows were written anew from its bytes" } : { repaired: false };
    }
    case "reference-dangling": {
      const { repository: id, unit } = finding;
      if (id === undefined || unit === undefined) return { repaired: false };
      const isRemoved = await database.write(async (writer) => {
        const repository = await lockRepository(writer, id);
        // Its manifest may have been pushed again meanwhile.
        if (!(await isDangling(writer, id, unit))) return false;
        const remove = [unit, ...(await listUncarried(writer, repository, [unit]))];
        await commitVersion(writer, repository, { add: [], remove }, "maintenance", now);
        return true;
      });
      return isRemoved ? { repaired: true, what: `a new version does not hold the ${unit.kind}` } : passed;
    }
    case "recorded-result-dangling": {
      const { repository: id, unit } = finding;
      if (id === undefined || unit === undefined) return { repaired: false };
      await database.write(async (writer) => {
        await lockRepository(writer, id);
        await forgetRecorded(writer, id, [unit]);
      });
      return { repaired: true, what: "the results were removed" };
    }
    case "signature-unindexed": {
      const { repository: id, unit } = finding;
      if (id === undefined || unit === undefined) return { repaired: false };
      const isIndexed = await indexCarrier(database, store, id, unit, now);
      return isIndexed ? { repaired: true, what: "a new version lists them" } : { repaired: false };
    }
    case "version-missing": {
      const id = finding.repository;
      if (id === undefined) return { repaired: false };
      await database.write(async (writer) => {
        const { latestVersion } = await lockRepository(writer, id);
        await writer
          .insertInto("repository_version")
          .values({ repository_id: id, number: latestVersion, created_by: "maintenance", complete: 1, created_at: now })
          .onConflict((conflict) => conflict.columns(["repository_id", "number"]).doUpdateSet({ complete: 1 }))
          .execute();
      });
      return { repaired: true, what: "the version's row was written" };
    }
    case "image-incomplete":
    case "manifest-wrong":
    case "signature-wrong":
    case "unit-missing":
      return { repaired: false };
  }
}
