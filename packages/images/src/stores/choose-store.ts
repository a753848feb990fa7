/** Which signature store serves an image in a registry (registries.d, sections 1.2 and 5). */
import { type Reference, StoreError } from "@signet/core";
import { lookasideBase, useSigstoreAttachments } from "../config/registries-d-lookup.ts";
import type { RegistriesD } from "../config/registries-d.ts";
import type { RegistryClient, RegistryClients } from "../registry/client.ts";
import { attachmentStore } from "./attachment-store.ts";
import { extensionStore } from "./extension-store.ts";
import { lookasideStore } from "./lookaside-store.ts";
import { routedStore } from "./routed-store.ts";
import type { SignatureStore } from "./signature-store.ts";

export type StoreKind = "lookaside" | "extension";

/** A store with what chose it. */
export interface ChosenStore {
  readonly kind: StoreKind;
  readonly store: SignatureStore;
  /** For people: one line, or one for reading and one for writing. */
  readonly explanation: readonly string[];
}

export interface StoreChoiceOptions {
  readonly registriesD: RegistriesD;
  /** Gives the connections to stores on the web: with the same TLS settings and proxy, without credentials. */
  readonly clients: Pick<RegistryClients, "openWeb">;
  /** Take this one, whatever the registry announces. */
  readonly only?: StoreKind;
}

/**
 * Chooses the store of an image in a registry. A registry that announces the signatures API is read and written there alone: its lookaside configuration is
 * not looked at. All others have a lookaside store, configured or built-in. Sigstore attachments come in addition, where `use-sigstore-attachments` is on; where it is off,
 * the store refuses to write sigstore signatures. With `only` there are none.
 *
 * @param client of the registry that serves the image; asked for its ping, unless `only` is `lookaside`
 * @param reference where the image is fetched from or pushed to: of a mirror its own name, not the logical one
 * @throws PolicyError `registries-d-malformed` for a URL that cannot be understood; StoreError `signature-store-error` when `only` asks for an API that the
 *   registry does not have, and what the ping throws
 */
export async function chooseSignatureStore(
  client: RegistryClient,
  reference: Reference,
  options: StoreChoiceOptions,
): Promise<ChosenStore> {
  const chosen = await chooseSimpleStore(client, reference, options);
  if (options.only !== undefined) return chosen;
  const attachments = useSigstoreAttachments(options.registriesD, reference);
  return {
    ...chosen,
    store: routedStore(chosen.store, attachmentStore(client, attachments)),
    explanation: attachments.enabled
      ? [...chosen.explanation, `sigstore attachments as well: ${attachments.explanation}`]
      : chosen.explanation,
  };
}

async function chooseSimpleStore(
  client: RegistryClient,
  reference: Reference,
  { registriesD, clients, only }: StoreChoiceOptions,
): Promise<ChosenStore> {
  if (only !== "lookaside") {
    if ((await client.ping()).supportsSignatures) {
      const explanation = [`${client.domain} announces the signatures API, which replaces the lookaside store`];
      return { kind: "extension", store: extensionStore(client), explanation };
    }
    if (only === "extension") {
      throw new StoreError("signature-store-error", `${client.domain} does not announce the signatures API`, {
        hint: "use the lookaside store that registries.d names",
      });
    }
  }
  const read = lookasideBase(registriesD, reference, "read");
  const write = lookasideBase(registriesD, reference, "write");
  const explanation =
    read.explanation === write.explanation
      ? [read.explanation]
      : [`reading: ${read.explanation}`, `writing: ${write.explanation}`];
  const store = lookasideStore({ read: read.base, write: write.base, openWeb: (host) => clients.openWeb(host) });
  return { kind: "lookaside", store, explanation };
}
