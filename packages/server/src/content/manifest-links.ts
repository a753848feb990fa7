/** What the tables say of a manifest beside its bytes: what it names, and what it is. Collection and the lists of referrers go by these rows alone. */
import type { Reader, Writer } from "../db/database.ts";
import type { ManifestFacts } from "./manifest-facts.ts";
import { batches } from "./units.ts";

/** Writes the rows of the blobs and manifests that a manifest names; those that are there stay. */
export async function insertLinks(writer: Writer, manifest: ManifestFacts): Promise<void> {
  for (const batch of batches(manifest.blobs)) {
    await writer
      .insertInto("manifest_blob")
      .values(batch.map((digest) => ({ manifest_digest: manifest.digest, blob_digest: digest })))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  for (const batch of batches([...manifest.children.entries()])) {
    await writer
      .insertInto("manifest_child")
      .values(batch.map(([position, digest]) => ({ manifest_digest: manifest.digest, child_digest: digest, position })))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

/** The first difference between these rows and the manifest's bytes, in words; undefined where there is none. */
export async function findLinkProblem(reader: Reader, manifest: ManifestFacts): Promise<string | undefined> {
  const blobs = await reader
    .selectFrom("manifest_blob")
    .select("blob_digest as named")
    .where("manifest_digest", "=", manifest.digest)
    .execute();
  const children = await reader
    .selectFrom("manifest_child")
    .select("child_digest as named")
    .where("manifest_digest", "=", manifest.digest)
    .execute();
  const row = await reader
    .selectFrom("manifest")
    .select([...columnNames])
    .where("digest", "=", manifest.digest)
    .executeTakeFirstOrThrow();
  const columns = factColumns(manifest);
  const wrong = columnNames.find((column) => row[column] !== columns[column]);
  return (
    compareNamed("blob", blobs, manifest.blobs) ??
    compareNamed("manifest", children, manifest.children) ??
    (wrong && `the column ${wrong} is not what its bytes say`)
  );
}

/** Writes these rows anew. */
export async function rewriteLinks(writer: Writer, manifest: ManifestFacts): Promise<void> {
  for (const table of ["manifest_blob", "manifest_child"] as const)
    await writer.deleteFrom(table).where("manifest_digest", "=", manifest.digest).execute();
  await writer.updateTable("manifest").set(factColumns(manifest)).where("digest", "=", manifest.digest).execute();
  await insertLinks(writer, manifest);
}

const columnNames = ["annotations", "artifact_type", "config_digest", "size", "subject_digest", "total_size"] as const;

/** The columns of the table `manifest` that its bytes decide, and that others than its readers go by. */
export function factColumns(manifest: ManifestFacts): {
  annotations: string;
  artifact_type: string | null;
  size: number;
  config_digest: string | null;
  subject_digest: string | null;
  total_size: number;
} {
  return {
    annotations: JSON.stringify(manifest.annotations),
    total_size: manifest.totalSize,
    artifact_type: manifest.artifactType ?? null,
    size: manifest.bytes.length,
    config_digest: manifest.configDigest ?? null,
    subject_digest: manifest.subject ?? null,
  };
}

function compareNamed(
  kind: string,
  rows: readonly { readonly named: string }[],
  named: readonly string[],
): string | undefined {
  const [written, read] = [new Set(rows.map((row) => row.named)), new Set(named)];
  const lacking = named.find((digest) => !written.has(digest));
  if (lacking !== undefined) return `it names the ${kind} ${lacking}, and no row says so`;
  const surplus = rows.find((row) => !read.has(row.named))?.named;
  return surplus && `a row says that it names the ${kind} ${surplus}`;
}
