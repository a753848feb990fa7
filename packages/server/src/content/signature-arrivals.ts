/** How signatures came into a repository: what its readers are told, whatever other repositories hold the same bytes. */
import type { Writer } from "../db/database.ts";

/** One signature as it came. */
export interface SignatureArrival {
  readonly repositoryId: number;
  readonly digest: string;
  /** At the signatures extension. */
  readonly name: string;
}

/** Notes an arrival, in the transaction that makes the signature part of the repository. Of one that comes again the newest name counts. */
export async function noteArrival(writer: Writer, arrival: SignatureArrival, now: number): Promise<void> {
  const { repositoryId, digest, name } = arrival;
  await writer
    .insertInto("signature_arrival")
    .values({
      repository_id: repositoryId,
      signature_digest: digest,
      name,
      arrived_at: now,
    })
    .onConflict((conflict) => conflict.columns(["repository_id", "signature_digest"]).doUpdateSet({ name }))
    .execute();
}
