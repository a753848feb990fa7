import {
  type ImageNameOptions,
  type OpenOptions,
  RegistryClients,
  chooseSignatureStore,
  loadRegistriesD,
  pullEndpoints,
  pushEndpoint,
} from "@signet/images";
import type { RegistriesD, StoreKind } from "@signet/images";
import type { Invocation } from "../command-line/command.ts";
import { registriesDOption } from "../command-line/common-options.ts";
import type { RegistryOptions } from "../command-line/registry-options.ts";
import { type RegistriesConfAccess, openRegistriesConf } from "../registry/registries-conf-access.ts";
import { readRegistryAccess } from "../registry/registry-access.ts";
import type { Runtime } from "../runtime.ts";

/** What opening images takes, by the options of the command line. Close it when all images are closed. */
export interface ImageAccess extends AsyncDisposable {
  readonly clients: RegistryClients;
  readonly registriesD: RegistriesD;
  readonly registriesConf: RegistriesConfAccess;
  /** How names of the command line are read: short names as registries.conf has it. */
  readonly names: ImageNameOptions;
  readonly open: OpenOptions;
}

/**
 * Reads the configuration for opening images; asks no registry yet.
 * @param options the registry options of the side in question
 * @param store the only signature store to use; default: the one that registry and registries.d name
 * @param registriesConf that of the other side, where there are two; default: by the options
 */
export async function openImageAccess(
  invocation: Invocation,
  options: RegistryOptions,
  runtime: Runtime,
  store?: StoreKind,
  registriesConf: RegistriesConfAccess = openRegistriesConf(invocation, runtime),
): Promise<ImageAccess> {
  const access = await readRegistryAccess(invocation, options, runtime);
  const directory = invocation.get(registriesDOption);
  const registriesD = await loadRegistriesD({ host: access.host, ...(directory === undefined ? {} : { directory }) });
  for (const warning of registriesD.warnings) runtime.terminal.warn(warning);
  const { load, resolveShortName } = registriesConf;
  const clients = new RegistryClients({
    ...access,
    credentialHelpers: async () => (await load()).credentialHelpers,
  });
  return {
    clients,
    registriesD,
    registriesConf,
    names: { resolveShortName },
    open: {
      docker: {
        clients,
        resolveEndpoints: async (reference) => pullEndpoints(await load(), reference),
        resolveDestination: async (reference) => pushEndpoint(await load(), reference),
        chooseSignatureStore: async (client, reference) => {
          const only = store === undefined ? {} : { only: store };
          return (await chooseSignatureStore(client, reference, { registriesD, clients, ...only })).store;
        },
      },
    },
    [Symbol.asyncDispose]: () => clients.close(),
  };
}
