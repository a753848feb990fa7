/** Versions of Butane's variant `openshift`, and what each of them makes. */

/** One version. */
export interface ButaneVersion {
  /** `4.17.0`. */
  readonly version: string;
  /** The version of the Ignition specification in the MachineConfig. */
  readonly ignition: string;
  /** False: the nodes of that time did not decompress files. */
  readonly compresses: boolean;
  /** False: special mode bits are written all the same, and no node takes them. */
  readonly refusesSpecialModes: boolean;
}

/** All there are: a version comes into being with each minor release. Butane knows no others, and no "latest". */
const versions: readonly ButaneVersion[] = [
  ...range(8, 9, "3.2.0", false),
  ...range(10, 13, "3.2.0", true),
  ...range(14, 18, "3.4.0", true),
  ...range(19, 22, "3.5.0", true),
  { version: "4.23.0-experimental", ignition: "3.7.0-experimental", compresses: true, refusesSpecialModes: true },
];

/** What MachineConfigs are made for when nobody says which: read by 4.14 and all later ones. */
export const DEFAULT_BUTANE_VERSION = "4.14.0";

/** For messages. */
export const butaneVersionRange = "4.8.0 to 4.22.0, 4.23.0-experimental";

/** The version with exactly this name; `4.17` stands for `4.17.0` when `isShort`. */
export function findButaneVersion(text: string, isShort = false): ButaneVersion | undefined {
  const full = isShort && /^\d+\.\d+$/.test(text) ? `${text}.0` : text;
  return versions.find(({ version }) => version === full || (isShort && version === `${full}-experimental`));
}

/** Both came with 4.10. */
function range(from: number, to: number, ignition: string, isNew: boolean): readonly ButaneVersion[] {
  return Array.from({ length: to - from + 1 }, (_, index) => {
    return { version: `4.${from + index}.0`, ignition, compresses: isNew, refusesSpecialModes: isNew };
  });
}
