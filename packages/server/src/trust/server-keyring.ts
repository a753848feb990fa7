/** The keys that the server trusts, as they are used. */
import { type Certificate, type Keyring, concatBytes, makeKeyring, parseKeyring } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { Reader, Writer } from "../db/database.ts";

/** The setting that holds the keyring's version. */
const VERSION_SETTING = "keyring-version";

/** The trusted keys in one version. */
export interface ServerKeyring {
  /** Grows with every key that is added, renewed or withdrawn; 0: there never was one. */
  readonly version: number;
  readonly keyring: Keyring;
  /** Every trusted certificate, binary, one after the other. */
  readonly bytes: Uint8Array;
}

/** Reads the keyring, parsing keys again only when it has another version. */
export class KeyringReader {
  #known: ServerKeyring | undefined;

  /** The keyring of one version: never some keys of one and some of another. */
  async read(reader: Reader | Writer): Promise<ServerKeyring> {
    for (;;) {
      const version = await readKeyringVersion(reader);
      if (this.#known?.version === version) return this.#known;
      const rows = await reader
        .selectFrom("trusted_key")
        .select("certificate")
        .where("state", "=", "trusted")
        .orderBy("fingerprint")
        .execute();
      // Two statements see two states when a change is committed in between: then both are read again.
      if ((await readKeyringVersion(reader)) !== version) continue;
      const certificates = rows.flatMap((row): readonly Certificate[] => {
        return parseKeyring(row.certificate, nodeEngine).certificates;
      });
      const bytes = concatBytes(rows.map((row) => row.certificate));
      this.#known = { version, keyring: makeKeyring(certificates), bytes };
      return this.#known;
    }
  }
}

/** The keyring's version as it is now. */
export async function readKeyringVersion(reader: Reader | Writer): Promise<number> {
  const row = await reader.selectFrom("setting").select("value").where("name", "=", VERSION_SETTING).executeTakeFirst();
  return Number(row?.value ?? 0);
}

/** Counts a change of the keyring; after `changeTrust` in the same transaction, so that two changes never get the same number. */
export async function countKeyringChange(writer: Writer): Promise<number> {
  const version = (await readKeyringVersion(writer)) + 1;
  await writer
    .insertInto("setting")
    .values({ name: VERSION_SETTING, value: String(version) })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ value: String(version) }))
    .execute();
  return version;
}
