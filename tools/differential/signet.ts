import { readFileSync } from "node:fs";
import { SignetError, parsePolicy } from "@signet/core";
import { parseImageName } from "@signet/images";
import { currentHost } from "../../packages/images/src/config/host-environment.ts";
import { loadRegistriesD } from "../../packages/images/src/config/registries-d.ts";
import { RegistryClients } from "../../packages/images/src/registry/client.ts";
import { chooseSignatureStore } from "../../packages/images/src/stores/choose-store.ts";
import { openImageSource } from "../../packages/images/src/transports/open.ts";
import { verifyImage } from "../../packages/images/src/verify/verify-image.ts";
import type { StagedCase } from "./world.ts";

/** Judges a staged case as `signet verify` does. Whatever is thrown on purpose counts as not accepted; anything else is a bug and ends the run. */
export async function askSignet(staged: StagedCase): Promise<{ readonly accepted: boolean; readonly text: string }> {
  const host = { ...currentHost(), env: {} };
  await using clients = new RegistryClients({ host, tlsVerify: false });
  try {
    const policy = parsePolicy(readFileSync(staged.policyFile), staged.policyFile);
    const registriesD = await loadRegistriesD({ host, directory: staged.registriesDir });
    const name = await parseImageName(staged.image);
    await using source = await openImageSource(name, {
      docker: {
        clients,
        chooseSignatureStore: async (client, reference) =>
          (await chooseSignatureStore(client, reference, { registriesD, clients })).store,
      },
    });
    const verdict = await verifyImage(source, { policy, now: Date.now() });
    const text = verdict.manifests.map((manifest) => {
      if (manifest.outcome === "undetermined") return `could not tell: ${manifest.error.message}`;
      if (manifest.verdict.verdict === "accepted") return "accepted";
      return `rejected: ${manifest.verdict.reasons.map(({ code, message }) => `${code}: ${message}`).join("; ")}`;
    });
    return { accepted: verdict.outcome === "accepted", text: text.join("; ") };
  } catch (error) {
    if (error instanceof SignetError && error.code !== "internal-fault")
      return { accepted: false, text: `could not tell: ${error.code}: ${error.message}` };
    throw error;
  }
}
