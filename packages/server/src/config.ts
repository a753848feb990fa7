/** The server's configuration: read once, checked whole, then a frozen value. Options win over the environment, that over the file, that over what holds by itself. */
import { isAbsolute, join } from "node:path";
import { StoreError } from "@signet/core";
import { type KeyRow, configKeys } from "./config/config-keys.ts";
import {
  type Setting,
  type Settings,
  configFailure,
  readConfigEnvironment,
  readConfigFile,
  readConfigOptions,
} from "./config/config-sources.ts";
import { type ListenAddress, formatAddress, isLoopback, readValue } from "./config/config-values.ts";

export type DatabaseConfig =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "postgresql"; readonly url: string };

export type BlobsConfig =
  | { readonly kind: "filesystem"; readonly path: string }
  | {
      readonly kind: "s3";
      readonly bucket: string;
      readonly region: string;
      readonly endpoint: string | undefined;
      readonly prefix: string;
      readonly forcePathStyle: boolean;
      /** Undefined: the AWS SDK searches. */
      readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | undefined;
    };

/** What each key means is said in the table `configKeys`. Times are milliseconds, sizes bytes; 0 is "no limit" where the table says so. */
export interface ServerConfig {
  readonly listen: ListenAddress;
  readonly insecureHttp: boolean;
  /** An origin, without a final slash. */
  readonly publicUrl: string | undefined;
  /** As `readNetworks` takes it. */
  readonly trustedProxies: string | undefined;
  readonly data: string;
  readonly database: DatabaseConfig;
  readonly blobs: BlobsConfig;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly auth: {
    readonly anonymous: boolean;
    readonly tokenLifetime: number;
    readonly htpasswd: string | undefined;
  };
  readonly limits: {
    readonly connections: number;
    readonly connectionsPerAddress: number;
    readonly headerBytes: number;
    readonly headerTimeout: number;
    readonly idleTimeout: number;
    readonly requestsPerSecond: number;
  };
  readonly push: { readonly dockerSchema1: boolean };
  readonly gc: { readonly interval: number; readonly grace: number };
  readonly log: {
    readonly level: "debug" | "error" | "info" | "warn";
    readonly format: "auto" | "json" | "text";
    readonly access: boolean;
  };
  readonly metricsListen: ListenAddress | undefined;
  readonly drain: { readonly delay: number; readonly timeout: number };
}

/** Where a configuration comes from. */
export interface ConfigSources {
  /** The file, or undefined for none. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Options of the command line, by the path of their key. */
  readonly options?: Readonly<Record<string, string | undefined>>;
}

/** One key with what holds for it, for people. */
export interface EffectiveSetting {
  readonly path: string;
  /** As text; `(secret)` for what must not be shown; null when nothing holds. */
  readonly value: string | null;
  /** Where it was said, or `default`. */
  readonly origin: string;
}

export interface LoadedConfig {
  readonly config: ServerConfig;
  readonly settings: readonly EffectiveSetting[];
}

/** Characters of a secret's file: one line. */
const MAX_SECRET_BYTES = 16_384;

/**
 * Reads and checks the whole configuration, files of secrets included. Not checked: whether the database, the store and the certificate can be used.
 * @throws PolicyError `config-malformed` with the place; StoreError `file-missing`, `file-unreadable` for a file that it names
 */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const settings: Settings = new Map([
    ...(sources.file === undefined ? [] : await readConfigFile(sources.file)),
    ...readConfigEnvironment(sources.env),
    ...readConfigOptions(sources.options ?? {}),
  ]);
  const values = new ConfigValues(settings);
  const data = values.optionalText("data") ?? defaultDataFolder(sources.env);
  const listen = values.get("listen") as ListenAddress;
  const tls = readTls(values);
  if (tls === undefined && !isLoopback(listen) && values.get("insecureHttp") !== true) {
    throw configFailure(
      values.originOf("listen"),
      `plain HTTP on ${formatAddress(listen)}, where others than this machine can reach it`,
      "set tls.cert and tls.key; or say insecureHttp: true, when a proxy in front ends TLS",
    );
  }
  const config: ServerConfig = {
    listen,
    insecureHttp: values.get("insecureHttp") as boolean,
    publicUrl: values.optionalText("publicUrl"),
    trustedProxies: values.optionalText("trustedProxies"),
    data,
    database: await readDatabase(values, data),
    blobs: await readBlobs(values, data),
    tls,
    auth: {
      anonymous: values.get("auth.anonymous") as boolean,
      tokenLifetime: values.get("auth.tokenLifetime") as number,
      htpasswd: values.optionalText("auth.htpasswd"),
    },
    limits: {
      connections: values.get("limits.connections") as number,
      connectionsPerAddress: values.get("limits.connectionsPerAddress") as number,
      headerBytes: values.get("limits.headerBytes") as number,
      headerTimeout: values.get("limits.headerTimeout") as number,
      idleTimeout: values.get("limits.idleTimeout") as number,
      requestsPerSecond: values.get("limits.requestsPerSecond") as number,
    },
    push: { dockerSchema1: values.get("push.dockerSchema1") as boolean },
    gc: { interval: values.get("gc.interval") as number, grace: values.get("gc.grace") as number },
    log: {
      level: values.get("log.level") as ServerConfig["log"]["level"],
      format: values.get("log.format") as ServerConfig["log"]["format"],
      access: values.get("log.access") as boolean,
    },
    metricsListen: values.get("metrics.listen") as ListenAddress | undefined,
    drain: { delay: values.get("drain.delay") as number, timeout: values.get("drain.timeout") as number },
  };
  return {
    config: deepFreeze(config),
    settings: configKeys.map((row) => describe(row, settings.get(row.path), config)),
  };
}

/** Settings with what holds where nothing was set. */
class ConfigValues {
  readonly #settings: Settings;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  get(path: string): Setting["value"] | undefined {
    const set = this.#settings.get(path);
    if (set !== undefined) return set.value;
    const row = configKeys.find((one) => one.path === path)!;
    if (row.fallback === undefined) return undefined;
    const read = readValue(row, row.fallback);
    return "value" in read ? read.value : undefined;
  }

  optionalText(path: string): string | undefined {
    return this.get(path) as string | undefined;
  }

  has(path: string): boolean {
    return this.#settings.has(path);
  }

  /** Where it was said; for messages. */
  originOf(path: string): string {
    return this.#settings.get(path)?.origin ?? "configuration";
  }

  /** Of keys that exclude each other, refuses the second that is set. */
  refuseBoth(first: string, second: string): void {
    if (!this.has(first) || !this.has(second)) return;
    throw configFailure(this.originOf(second), `${second} and ${first} say the same: set one of them`);
  }
}

function defaultDataFolder(env: Readonly<Record<string, string | undefined>>): string {
  const { XDG_DATA_HOME: configured, HOME: home } = env;
  if (configured !== undefined && isAbsolute(configured)) return join(configured, "signet");
  if (home !== undefined && isAbsolute(home)) return join(home, ".local/share/signet");
  throw configFailure("configuration", "there is no home folder to keep data in", "name a folder: --data DIR");
}

function readTls(values: ConfigValues): ServerConfig["tls"] {
  const [cert, key] = [values.optionalText("tls.cert"), values.optionalText("tls.key")];
  if (cert !== undefined && key !== undefined) return { cert, key };
  const [present, missing] = cert === undefined ? ["tls.key", "tls.cert"] : ["tls.cert", "tls.key"];
  if (cert === undefined && key === undefined) return undefined;
  throw configFailure(values.originOf(present), `${present} is set and ${missing} is not`, "TLS needs both");
}

async function readDatabase(values: ConfigValues, data: string): Promise<DatabaseConfig> {
  values.refuseBoth("database.path", "database.url");
  values.refuseBoth("database.path", "database.urlFile");
  values.refuseBoth("database.url", "database.urlFile");
  const urlFile = values.optionalText("database.urlFile");
  const isFromFile = urlFile !== undefined;
  const origin = values.originOf(isFromFile ? "database.urlFile" : "database.url");
  const url = isFromFile ? await readSecret(urlFile, "database URL") : values.optionalText("database.url");
  if (url === undefined)
    return { kind: "sqlite", path: values.optionalText("database.path") ?? join(data, "registry.db") };
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || (parsed.protocol !== "postgresql:" && parsed.protocol !== "postgres:")) {
    // The text may hold a password: it is not repeated.
    throw configFailure(origin, "the database URL must be postgresql://USER@HOST:PORT/DATABASE");
  }
  const hasPassword = parsed.password !== "" || parsed.searchParams.has("password");
  if (!isFromFile && hasPassword && !origin.startsWith("environment ")) {
    throw configFailure(
      origin,
      "database.url holds a password, which others may read here",
      "move the URL to a file and name it as database.urlFile, or set SIGNET_DATABASE_URL",
    );
  }
  return { kind: "postgresql", url };
}

async function readBlobs(values: ConfigValues, data: string): Promise<BlobsConfig> {
  const isS3 = values.get("blobs.store") === "s3";
  const wrong = configKeys.find(
    ({ path }) => values.has(path) && (isS3 ? path === "blobs.path" : path.startsWith("blobs.s3.")),
  );
  if (wrong !== undefined) {
    throw configFailure(
      values.originOf(wrong.path),
      `${wrong.path} is set, and blobs.store is ${isS3 ? "s3" : "filesystem"}`,
      isS3 ? "remove one of them" : "set blobs.store: s3",
    );
  }
  if (!isS3) return { kind: "filesystem", path: values.optionalText("blobs.path") ?? join(data, "blobs") };
  const bucket = values.optionalText("blobs.s3.bucket");
  if (bucket === undefined) throw configFailure(values.originOf("blobs.store"), "blobs.s3.bucket is missing");
  values.refuseBoth("blobs.s3.secretAccessKey", "blobs.s3.secretAccessKeyFile");
  const secretFile = values.optionalText("blobs.s3.secretAccessKeyFile");
  const secret =
    secretFile === undefined
      ? values.optionalText("blobs.s3.secretAccessKey")
      : await readSecret(secretFile, "secret access key");
  const accessKeyId = values.optionalText("blobs.s3.accessKeyId");
  if ((accessKeyId === undefined) !== (secret === undefined)) {
    const missing = secret === undefined ? "blobs.s3.secretAccessKeyFile" : "blobs.s3.accessKeyId";
    throw configFailure(values.originOf("blobs.store"), `${missing} is missing`, "an access key needs its secret");
  }
  return {
    kind: "s3",
    bucket,
    region: values.get("blobs.s3.region") as string,
    endpoint: values.optionalText("blobs.s3.endpoint"),
    prefix: values.optionalText("blobs.s3.prefix") ?? "",
    forcePathStyle: values.get("blobs.s3.forcePathStyle") as boolean,
    credentials:
      accessKeyId === undefined || secret === undefined ? undefined : { accessKeyId, secretAccessKey: secret },
  };
}

/** The first line of a file, without its end. */
async function readSecret(file: string, what: string): Promise<string> {
  const { readFileBounded } = await import("@signet/images");
  const bytes = await readFileBounded(file, MAX_SECRET_BYTES, what);
  const [line = ""] = new TextDecoder().decode(bytes).split(/\r?\n/, 1);
  if (line !== "") return line;
  throw new StoreError("file-unreadable", `the ${what} ${file} does not begin with a line of text`, { side: "local" });
}

function describe(row: KeyRow, setting: Setting | undefined, config: ServerConfig): EffectiveSetting {
  if (setting !== undefined) {
    return { path: row.path, value: row.isSecret === true ? "(secret)" : setting.text, origin: setting.origin };
  }
  return { path: row.path, value: row.fallback ?? derivedValue(row.path, config) ?? null, origin: "default" };
}

/** What follows from other keys. */
function derivedValue(path: string, { data, database, blobs }: ServerConfig): string | undefined {
  if (path === "data") return data;
  if (path === "database.path" && database.kind === "sqlite") return database.path;
  if (path === "blobs.path" && blobs.kind === "filesystem") return blobs.path;
  return undefined;
}

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) if (typeof member === "object" && member !== null) deepFreeze(member);
  return Object.freeze(value);
}
