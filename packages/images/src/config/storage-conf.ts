/** storage.conf, as far as finding the local image storage needs it (containers-storage.conf(5)). */
import { readdir, realpath } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PolicyError, StoreError } from "@signet/core";
import { readFileBounded } from "./bounded-file.ts";
import { errnoOf } from "./file-error.ts";
import { type HostEnvironment, systemPath } from "./host-environment.ts";

/** Bytes: a storage.conf with all its comments has ten thousand. */
const MAX_FILE_BYTES = 1024 * 1024;

/** Where the local image storage is, and how it is kept. */
export interface FoundStore {
  /** Storage driver, such as `overlay`. */
  readonly driver: string;
  /** Absolute, symbolic links resolved where it exists. */
  readonly root: string;
}

/** The members that matter here; all as written. */
interface StorageSettings {
  readonly driver: string | undefined;
  readonly graphRoot: string | undefined;
  readonly rootlessPath: string | undefined;
  readonly imageStore: string | undefined;
}

/**
 * Finds the store that podman and skopeo use without being told another one: `CONTAINERS_STORAGE_CONF`, else for root `/etc/containers/storage.conf` or
 * `/usr/share/containers/storage.conf`, for others `~/.config/containers/storage.conf`; `STORAGE_DRIVER` before the file's driver; without a driver the one whose
 * images are there.
 *
 * Not known here: what podman remembers in its own database, and what it is told by options.
 * @throws PolicyError `storage-conf-malformed`; StoreError `image-missing` when no driver is configured and none can be told from the folder, `file-unreadable`;
 *   FormatError `input-too-large`
 */
export async function locateStore(host: HostEnvironment): Promise<FoundStore> {
  const settings = host.uid === 0 ? await rootSettings(host) : await userSettings(host);
  if (settings.imageStore !== undefined) {
    throw new StoreError("image-missing", "storage.conf keeps images apart (`imagestore`), which is not supported", {
      side: "local",
      hint: "name the store itself: containers-storage:[driver@/graph/root]NAME",
    });
  }
  const root = await clean(expand(settings.graphRoot!, host));
  const driver = nonEmpty(host.env["STORAGE_DRIVER"]) ?? settings.driver ?? (await guessDriver(root));
  return { driver: driver === "overlay2" ? "overlay" : driver, root };
}

async function rootSettings(host: HostEnvironment): Promise<StorageSettings> {
  const named = host.env["CONTAINERS_STORAGE_CONF"];
  const user = nonEmpty(host.env["XDG_CONFIG_HOME"]);
  const files =
    named !== undefined
      ? [named]
      : [
          ...(user === undefined ? [] : [join(user, "containers/storage.conf")]),
          systemPath(host, "/etc/containers/storage.conf"),
          systemPath(host, "/usr/share/containers/storage.conf"),
        ];
  const settings = await readFirst(files);
  return { ...settings, graphRoot: settings.graphRoot ?? systemPath(host, "/var/lib/containers/storage") };
}

async function userSettings(host: HostEnvironment): Promise<StorageSettings> {
  const named = host.env["CONTAINERS_STORAGE_CONF"];
  const home = nonEmpty(host.env["XDG_CONFIG_HOME"]) ?? join(host.home, ".config");
  const system = await readFirst([
    ...(named === undefined ? [] : [named]),
    systemPath(host, "/etc/containers/storage.conf"),
    systemPath(host, "/usr/share/containers/storage.conf"),
  ]);
  const data = nonEmpty(host.env["XDG_DATA_HOME"]) ?? join(host.home, ".local/share");
  const fallback = system.rootlessPath ?? join(data, "containers/storage");
  const own = await readIfThere(named ?? join(home, "containers/storage.conf"));
  if (own !== undefined) return { ...own, graphRoot: own.graphRoot ?? own.rootlessPath ?? fallback };
  const driver = ["btrfs", "overlay", "overlay2", "vfs"].find((one) => one === system.driver);
  return { driver, graphRoot: fallback, rootlessPath: undefined, imageStore: undefined };
}

const nothing: StorageSettings = {
  driver: undefined,
  graphRoot: undefined,
  rootlessPath: undefined,
  imageStore: undefined,
};

async function readFirst(paths: readonly string[]): Promise<StorageSettings> {
  for (const path of paths) {
    const settings = await readIfThere(path);
    if (settings !== undefined) return settings;
  }
  return nothing;
}

async function readIfThere(path: string): Promise<StorageSettings | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFileBounded(path, MAX_FILE_BYTES, "storage.conf");
  } catch (error) {
    if (error instanceof StoreError && error.code === "file-missing") return undefined;
    throw error;
  }
  const { parse } = await import("smol-toml");
  const malformed = (problem: string, cause?: unknown): PolicyError =>
    new PolicyError("storage-conf-malformed", `${path}: ${problem}`, {
      hint: "see containers-storage.conf(5)",
      ...(cause === undefined ? {} : { cause }),
    });
  let document: Readonly<Record<string, unknown>>;
  try {
    document = parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw malformed(`not TOML: ${(error as Error).message.split("\n", 1)[0]}`, error);
  }
  const storage = document["storage"];
  if (storage === undefined) return nothing;
  if (typeof storage !== "object" || storage === null) throw malformed("`storage` is not a table");
  const text = (name: string): string | undefined => {
    const value: unknown = Object.hasOwn(storage, name) ? storage[name as keyof typeof storage] : undefined;
    if (value === undefined || value === "") return undefined;
    if (typeof value !== "string") throw malformed(`\`${name}\` of [storage] is not a string`);
    return value;
  };
  return {
    driver: text("driver"),
    graphRoot: text("graphroot"),
    rootlessPath: text("rootless_storage_path"),
    imageStore: text("imagestore"),
  };
}

/** `$UID`, `$HOME` and any other variable, as `$NAME` or `${NAME}`; one that is not set becomes nothing. */
function expand(path: string, host: HostEnvironment): string {
  return path
    .replaceAll("$UID", `${host.uid}`)
    .replaceAll(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced: string | undefined, plain: string | undefined) => {
      const name = braced ?? plain!;
      return host.env[name] ?? (name === "HOME" ? host.home : "");
    });
}

async function clean(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return resolve(path);
  }
}

/** The one driver that has a folder of images in the store. */
async function guessDriver(root: string): Promise<string> {
  let names: readonly string[];
  try {
    names = await readdir(root);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw unknownDriver(root, "its folder cannot be read", error);
    names = [];
  }
  const drivers = names.filter((name) => name.endsWith("-images")).map((name) => name.slice(0, -"-images".length));
  if (drivers.length === 1) return drivers[0]!;
  throw unknownDriver(root, drivers.length === 0 ? "there is no store" : `there are several: ${drivers.join(", ")}`);
}

function unknownDriver(root: string, reason: string, cause?: unknown): StoreError {
  return new StoreError("image-missing", `no storage driver is configured for ${root}, and ${reason}`, {
    side: "local",
    hint: "set `driver` in storage.conf, or name the store: containers-storage:[driver@/graph/root]NAME",
    ...(cause === undefined ? {} : { cause }),
  });
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
