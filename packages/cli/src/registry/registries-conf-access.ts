import {
  type RegistriesConf,
  currentHost,
  fileTreeHost,
  loadRecordedAliases,
  loadRegistriesConf,
  resolveShortName,
} from "@signet/images";
import type { Invocation } from "../command-line/command.ts";
import { registriesConfOption } from "../command-line/common-options.ts";
import type { Runtime } from "../runtime.ts";

/** registries.conf, read when it is first needed: images in folders do not ask for it. */
export interface RegistriesConfAccess {
  readonly load: () => Promise<RegistriesConf>;
  /** Completes a short name, and says to what. */
  readonly resolveShortName: (name: string) => Promise<string>;
}

/**
 * The registries.conf that counts for a command: the file of `--registries-conf` alone, or those of this machine, or of the file tree below `root`.
 *
 * A tree's word on `credential-helpers` does not count: they would be programs of this machine, started because somebody else's file says so.
 */
export function openRegistriesConf(
  invocation: Invocation,
  { terminal, progress }: Pick<Runtime, "terminal" | "progress">,
  root?: string,
): RegistriesConfAccess {
  const host = root === undefined ? currentHost() : fileTreeHost(root);
  const file = invocation.get(registriesConfOption);
  let loading: Promise<RegistriesConf> | undefined;
  const load = (): Promise<RegistriesConf> => {
    loading ??= loadRegistriesConf(host, file === undefined ? {} : { file }).then((conf) => {
      for (const warning of conf.warnings) terminal.warn(warning);
      return root === undefined || file !== undefined ? conf : { ...conf, credentialHelpers: undefined };
    });
    return loading;
  };
  return {
    load,
    resolveShortName: async (written) => {
      const recorded = file === undefined ? await loadRecordedAliases(host) : undefined;
      const { name, explanation } = resolveShortName(written, await load(), recorded);
      if (explanation !== undefined) progress.step(`${written} means ${name}: ${explanation}`);
      return name;
    },
  };
}
