/** Where a story's image is: the places that registries.conf names for it, and the store of the one that served. */
import { type Reference, SignetError, StoreError, formatReference } from "@signet/core";
import type { ImageEndpoint } from "../config/image-endpoints.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { DockerOptions } from "../transports/docker.ts";
import type { EndpointAttempt, ImageName } from "../transports/transport.ts";
import type { StoreExplanation } from "./explanation.ts";
import { type ExplainedStore, type RegistryStores, explainRegistryStore, explainUnasked } from "./store-explanation.ts";

/** What a story asks of the place that its image came from. */
export interface PlaceTeller {
  /**
   * The store that signatures are read from.
   * @param tried as {@link EndpointAttempt} says; empty when the image's name is the only place
   */
  store(tried: readonly EndpointAttempt[]): Promise<StoreExplanation>;
  /** The place itself, where the image is in a registry. Of several that failed, the last that may be asked, which the error is about. */
  place?(tried: readonly EndpointAttempt[]): ExplainedPlace | undefined;
}

export interface ExplainedPlace {
  readonly endpoint: ImageEndpoint;
  readonly client: RegistryClient;
  /** False: registries.conf led there. */
  readonly isNamed: boolean;
}

/** The places of an image in a registry. No registry is asked before its image was, and a blocked one never. */
export class RegistryPlaces implements PlaceTeller {
  readonly #logical: Reference;
  readonly #registry: RegistryStores;
  /** Undefined until they are resolved. */
  #endpoints: readonly ImageEndpoint[] | undefined;
  #failure: SignetError | undefined;
  /** By physical name. */
  readonly #stores = new Map<string, ExplainedStore>();

  constructor(name: ImageName & { readonly reference: Reference }, registry: RegistryStores) {
    this.#logical = name.reference;
    this.#registry = registry;
  }

  /** For opening the image. */
  docker(): DockerOptions {
    return {
      clients: this.#registry.clients,
      resolveEndpoints: () => this.#resolve(),
      chooseSignatureStore: async (client, reference) => {
        const found = await explainRegistryStore(client, reference, this.#registry);
        if (found.chosen === undefined) throw found.error;
        this.#stores.set(formatReference(reference), found);
        return found.chosen;
      },
    };
  }

  async store(tried: readonly EndpointAttempt[]): Promise<StoreExplanation> {
    const place = this.place(tried);
    if (place === undefined) return unknownStore(this.#failure);
    const { reference, blocked } = place.endpoint;
    const { explanation } =
      blocked === undefined
        ? (this.#stores.get(formatReference(reference)) ??
          (await explainRegistryStore(place.client, reference, this.#registry)))
        : explainUnasked(new StoreError("registry-blocked", blocked), reference, this.#registry);
    if (place.isNamed && tried.length < 2) return explanation;
    return { ...explanation, why: [...explanation.why, this.#whyThere(place, tried)] };
  }

  place(tried: readonly EndpointAttempt[]): ExplainedPlace | undefined {
    const endpoints = this.#endpoints;
    if (endpoints === undefined) return undefined;
    const served = tried.at(-1)?.outcome === "served" ? endpoints[tried.length - 1] : undefined;
    const endpoint = served ?? endpoints.findLast(({ blocked }) => blocked === undefined) ?? endpoints.at(-1)!;
    const { reference, insecure } = endpoint;
    const client = this.#registry.clients.clientFor(reference.domain, {
      insecure,
      named: reference.domain === this.#logical.domain,
    });
    return { endpoint, client, isNamed: formatReference(reference) === formatReference(this.#logical) };
  }

  async #resolve(): Promise<readonly ImageEndpoint[]> {
    const asWritten: ImageEndpoint = { role: "location", reference: this.#logical, insecure: false };
    try {
      this.#endpoints = (await this.#registry.resolveEndpoints?.(this.#logical)) ?? [asWritten];
      return this.#endpoints;
    } catch (error) {
      if (error instanceof SignetError) this.#failure = error;
      throw error;
    }
  }

  #whyThere({ endpoint }: ExplainedPlace, tried: readonly EndpointAttempt[]): string {
    const where = `${endpoint.role} ${formatReference(endpoint.reference)}`;
    const isServed = tried.at(-1)?.outcome === "served";
    return isServed
      ? `${where} served the image: stores go by that name, the policy by ${formatReference(this.#logical)}`
      : `no place served the image: this is the store of ${where}`;
  }
}

function unknownStore(failure: SignetError | undefined): StoreExplanation {
  const why = [`it cannot be told which one: ${failure?.message ?? "the image was not looked for"}`];
  return { kind: "none", label: "unknown", why, isConfigured: true };
}
