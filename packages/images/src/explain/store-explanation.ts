/** Which store an image's signatures are read from, and why. */
import { type Reference, SignetError } from "@signet/core";
import { lookasideBase, useSigstoreAttachments } from "../config/registries-d-lookup.ts";
import type { RegistriesD } from "../config/registries-d.ts";
import type { RegistryClient, RegistryClients } from "../registry/client.ts";
import { type ChosenStore, chooseSignatureStore } from "../stores/choose-store.ts";
import type { SignatureStore } from "../stores/signature-store.ts";
import type { DockerOptions } from "../transports/docker.ts";
import { noSignaturesGiven, type OfflineImage } from "../transports/offline-source.ts";
import type { ImageName } from "../transports/transport.ts";
import type { StoreExplanation } from "./explanation.ts";

/** What the stores of registries are found with. */
export interface RegistryStores {
  readonly clients: RegistryClients;
  readonly registriesD: RegistriesD;
  /** Where to read an image; see `pullEndpoints`. Default: at the place its name says. */
  readonly resolveEndpoints?: NonNullable<DockerOptions["resolveEndpoints"]>;
}

/** Says where the signatures of an image are that is in no registry that can be asked. */
export function explainStore(
  name: ImageName,
  offline: OfflineImage | undefined,
  stores: SignetError | undefined,
): StoreExplanation {
  if (offline !== undefined) return explainOffline(offline);
  if (name.transport === "dir") {
    const why = ["a dir: image keeps its signatures beside its manifest"];
    return { kind: "folder", label: name.path!, why, isConfigured: true };
  }
  if (name.reference === undefined || stores === undefined) {
    const why = [`${name.transport}: images cannot hold signatures`];
    return { kind: "none", label: "no store", why, isConfigured: true };
  }
  const why = [`it cannot be told which one: ${stores.message}`];
  return { kind: "none", label: "unknown", why, isConfigured: true };
}

/** A registry's store, or why none could be chosen; it is described as far as it is known then. */
export type ExplainedStore = { readonly explanation: StoreExplanation } & (
  | { readonly chosen: SignatureStore }
  | { readonly chosen?: undefined; readonly error: SignetError }
);

/**
 * Chooses the store of an image in a registry, and says why that one.
 * @param reference the physical one, as `client` is asked
 */
export async function explainRegistryStore(
  client: RegistryClient,
  reference: Reference,
  stores: RegistryStores,
): Promise<ExplainedStore> {
  try {
    const chosen = await chooseSignatureStore(client, reference, stores);
    const explanation = describeChosen(chosen, reference, stores.registriesD);
    return { explanation: { ...explanation, attachments: attached(reference, stores) }, chosen: chosen.store };
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    return explainUnasked(error, reference, stores);
  }
}

/** The store of a registry that cannot or must not be asked. */
export function explainUnasked(error: SignetError, reference: Reference, stores: RegistryStores): ExplainedStore {
  const explanation = describeUnasked(error, reference, stores.registriesD);
  return { explanation: { ...explanation, attachments: attached(reference, stores) }, error };
}

function attached(reference: Reference, { registriesD }: RegistryStores): StoreExplanation["attachments"] & object {
  const { enabled, explanation } = useSigstoreAttachments(registriesD, reference);
  return { enabled, why: explanation };
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
