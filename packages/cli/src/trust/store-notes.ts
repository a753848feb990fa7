import { enclosingScopes } from "@signet/core";
import { type StoreChange, type TrustFiles, findSection, readRegistriesDFolders } from "@signet/images";

/** Says so when sigstore signatures of a scope's images would not be looked for, since registries.d does not turn them on. */
export async function readAttachments(
  scope: string,
  change: StoreChange | undefined,
  { host, registriesD }: TrustFiles,
): Promise<readonly string[]> {
  const off =
    "no sigstore signature is looked for: registries.d does not turn them on for these images; --attachments does";
  if (change?.attachments !== undefined) return change.attachments ? [] : [off];
  const folders = await readRegistriesDFolders(host, registriesD, "system");
  for (const namespace of [scope, ...enclosingScopes("docker", scope), undefined]) {
    const setting = findSection(folders, namespace)?.useSigstoreAttachments;
    if (setting !== undefined) return setting.value ? [] : [off];
  }
  return [off];
}
