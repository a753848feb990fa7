/** Which store an image's signatures are read from, and why. */
import { type Reference, SignetError } from "@signet/core";
import { lookasideBase, useSigstoreAttachments } from "../config/registries-d-lookup.ts";
import type { RegistriesD } from "../config/registries-d.ts";
import type { RegistryClients } from "../registry/client.ts";
import { type ChosenStore, chooseSignatureStore } from "../stores/choose-store.ts";
import type { SignatureStore } from "../stores/signature-store.ts";
import { noSignaturesGiven, type OfflineImage } from "../transports/offline-source.ts";
import type { ImageName } from "../transports/transport.ts";
import type { StoreExplanation } from "./explanation.ts";

/** What the stores of registries are found with. */
export interface RegistryStores {
  readonly clients: RegistryClients;
  readonly registriesD: RegistriesD;
}

/**
 * Says where signatures are, and for a registry chooses the store.
 * @returns with `chosen` undefined for images outside of registries, and when the registry could not be asked; `why` says so then
 */
export async function explainStore(
  name: ImageName,
  offline: OfflineImage | undefined,
  stores: RegistryStores | SignetError | undefined,
): Promise<{ readonly explanation: StoreExplanation; readonly chosen?: SignatureStore }> {
  if (offline !== undefined) return { explanation: explainOffline(offline) };
  if (name.transport === "dir") {
    const why = ["a dir: image keeps its signatures beside its manifest"];
    return { explanation: { kind: "folder", label: name.path!, why, isConfigured: true } };
  }
  const { reference } = name;
  if (reference === undefined || stores === undefined) {
    const why = [`${name.transport}: images cannot hold signatures`];
    return { explanation: { kind: "none", label: "no store", why, isConfigured: true } };
  }
  if (stores instanceof SignetError) {
    const why = [`it cannot be told which one: ${stores.message}`];
    return { explanation: { kind: "none", label: "unknown", why, isConfigured: true } };
  }
  const { registriesD, clients } = stores;
  const attachments = useSigstoreAttachments(registriesD, reference);
  const attached = { enabled: attachments.enabled, why: attachments.explanation };
  try {
    const chosen = await chooseSignatureStore(clients.clientFor(reference.domain), reference, stores);
    return {
      explanation: { ...describeChosen(chosen, reference, registriesD), attachments: attached },
      chosen: chosen.store,
    };
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    return { explanation: { ...describeUnasked(error, reference, registriesD), attachments: attached } };
  }
}

function explainOffline({ signatures }: OfflineImage): StoreExplanation {
  if (signatures === undefined) {
    const why = ["a manifest was given and no signatures: the image counts as unsigned"];
    return { kind: "none", label: noSignaturesGiven, why, isConfigured: true };
  }
  return { kind: "given", label: signatures, why: ["named with --signatures"], isConfigured: true };
}

function describeChosen(chosen: ChosenStore, reference: Reference, registriesD: RegistriesD): StoreExplanation {
  const { kind, store } = chosen;
  if (kind === "extension") return { kind, label: store.label, why: chosen.explanation, isConfigured: true };
  // Only reading matters to a verdict.
  const { explanation, section } = lookasideBase(registriesD, reference, "read");
  return { kind, label: store.label, why: [explanation], isConfigured: section !== undefined };
}

/** Without the registry's word it is not known whether it has an API for signatures; what would be asked without one is known all the same. */
function describeUnasked(error: SignetError, reference: Reference, registriesD: RegistriesD): StoreExplanation {
  const unasked = `the registry could not be asked whether it has a signatures API: ${error.message}`;
  try {
    const { base, explanation, section } = lookasideBase(registriesD, reference, "read");
    const why = [unasked, `without such an API: ${explanation}`];
    return { kind: "lookaside", label: base.label, why, isConfigured: section !== undefined };
  } catch (malformed) {
    if (!(malformed instanceof SignetError)) throw malformed;
    return { kind: "none", label: "no store", why: [malformed.message], isConfigured: true };
  }
}
