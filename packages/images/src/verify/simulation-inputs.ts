import { type Digest, type Policy, SignetError, encodeHex, keyFilesOf, parseDigest, sha256Digest } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { readFileBounded } from "../config/bounded-file.ts";
import { MAX_REGISTRIES_D_FILE_BYTES } from "../config/registries-d-file.ts";
import type { RegistriesConf } from "../config/registries-conf.ts";
import type { RegistriesD } from "../config/registries-d.ts";
import type { InventoryImage } from "../inventory/inventory.ts";
import { readKeyFile } from "./key-file.ts";

export interface SimulationInputs {
  readonly next: Policy;
  readonly present?: Policy;
  readonly registriesD: RegistriesD;
  /** Gives the registries.conf in force. What counts of it are its registries: mirrors, places, and what is blocked. */
  readonly loadRegistriesConf: () => Promise<Pick<RegistriesConf, "registries">>;
  /** Whatever else rows depend on, as values that have a JSON form: platform, switches, how registries are reached. */
  readonly options: unknown;
  readonly images: readonly InventoryImage[];
}

/**
 * A digest of everything that the rows of a simulation depend on and that is on this machine: rows of another digest must not be mixed with these.
 *
 * Not covered: registries and signature stores, which change while one looks.
 * @throws StoreError for a file of registries.d that went away
 */
export async function digestSimulationInputs(inputs: SimulationInputs): Promise<Digest> {
  const hash = nodeEngine.createHash("sha256");
  const encoder = new TextEncoder();
  // Each part with its length in front, so that no two different lists of parts are the same octets.
  const add = (part: Uint8Array): void => {
    hash.update(encoder.encode(`${part.length}:`));
    hash.update(part);
  };
  const addText = (text: string): void => add(encoder.encode(text));
  for (const policy of [inputs.next, inputs.present]) {
    add(policy?.raw ?? new Uint8Array());
    for (const path of policy === undefined ? [] : keyFilesOf(policy)) {
      addText(path);
      addText(digestKeyFile(path));
    }
  }
  addText(JSON.stringify([inputs.registriesD.builtinFolder, inputs.registriesD.files]));
  for (const file of inputs.registriesD.files)
    add(await readFileBounded(file, MAX_REGISTRIES_D_FILE_BYTES, "registries.d file", { regularOnly: true }));
  addText(await describeRegistries(inputs.loadRegistriesConf));
  addText(JSON.stringify(inputs.options));
  for (const { name, running } of inputs.images) addText(JSON.stringify([name, running]));
  return parseDigest(`sha256:${encodeHex(hash.digest())}`);
}

/** With one that cannot be read no image of a registry can be judged; when it can be, that is another input. */
async function describeRegistries(load: SimulationInputs["loadRegistriesConf"]): Promise<string> {
  try {
    return JSON.stringify((await load()).registries);
  } catch (error) {
    if (error instanceof SignetError) return error.code;
    throw error;
  }
}

/** A key file that cannot be read may be readable when the work goes on: that is another input as well. */
function digestKeyFile(path: string): string {
  try {
    return sha256Digest(readKeyFile(path), nodeEngine);
  } catch (error) {
    if (error instanceof SignetError) return error.code;
    throw error;
  }
}
