/** The files that a configuration names and that a start reads, beside those that hold one of its values. */
import type { ServerConfig } from "../config.ts";

/**
 * Reads them as a start would, so that what would end it is found before. The database and the blob store are not looked at.
 * @throws FormatError `certificate-unusable`, `htpasswd-malformed`, `input-too-large`; StoreError `file-missing`, `file-unreadable`
 */
export async function checkNamedFiles({ tls, auth }: ServerConfig): Promise<void> {
  if (tls !== undefined) {
    const { readTlsPair } = await import("../http/tls-files.ts");
    await readTlsPair(tls);
  }
  if (auth.htpasswd !== undefined) {
    const { checkHtpasswd, readHtpasswd } = await import("../access/htpasswd.ts");
    checkHtpasswd(await readHtpasswd(auth.htpasswd));
  }
}
