/** Every key of the server's configuration: one table, from which files and the environment are read and docs/registry-config.md is written. */

/** What a value looks like. */
export type KeyKind =
  | "address"
  | "boolean"
  | "choice"
  | "count"
  | "duration"
  | "networks"
  | "origin"
  | "path"
  | "size"
  | "text";

export interface KeyRow {
  /** Where it stands in the file, levels divided by dots. */
  readonly path: string;
  readonly kind: KeyKind;
  /** What holds when nobody says anything, as it would be written; undefined: nothing. */
  readonly fallback?: string;
  /** The fallback in words, where it depends on other keys. */
  readonly fallbackWords?: string;
  readonly choices?: readonly string[];
  /** Bounds of counts, sizes (bytes) and durations (milliseconds). */
  readonly minimum?: number;
  readonly maximum?: number;
  /** Never printed. */
  readonly isSecret?: true;
  /** Not taken from the file, which other people may read: from the environment alone. */
  readonly fromEnvironmentOnly?: true;
  /** One or two sentences for docs/registry-config.md. */
  readonly summary: string;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const KIB = 1_024;

/** In the order of the page. */
export const configKeys: readonly KeyRow[] = [
  {
    path: "listen",
    kind: "address",
    fallback: "127.0.0.1:5000",
    summary: "Where the server listens: `HOST:PORT`, `[::1]:5000` for IPv6; port 0 takes any free one.",
  },
  {
    path: "publicUrl",
    kind: "origin",
    fallbackWords: "scheme and host of each request",
    summary:
      "How clients reach the server, such as `https://registry.example.com`: tokens are asked for there. Set it behind a proxy.",
  },
  {
    path: "insecureHttp",
    kind: "boolean",
    fallback: "false",
    summary:
      "Allows plain HTTP on addresses that are not loopback, such as behind a proxy that ends TLS. Without TLS anyone on the way reads passwords.",
  },
  {
    path: "trustedProxies",
    kind: "networks",
    summary:
      "Addresses of proxies in front, divided by commas, such as `10.0.0.0/8, ::1`: from them `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are believed. Limits and lock-out count by the client's address, so that a proxy must stand here.",
  },
  {
    path: "data",
    kind: "path",
    fallbackWords: "`$XDG_DATA_HOME/signet`, or `~/.local/share/signet`",
    summary:
      "Folder of the database and the blobs where nothing else is named for them; it is made when it is missing.",
  },
  {
    path: "database.path",
    kind: "path",
    fallbackWords: "`registry.db` in `data`",
    summary: "File of the SQLite database, on a file system of this machine.",
  },
  {
    path: "database.url",
    kind: "text",
    isSecret: true,
    summary:
      "PostgreSQL instead of SQLite: `postgresql://USER@HOST:PORT/DATABASE`. In the file without a password; with one it is for the environment or `database.urlFile`.",
  },
  {
    path: "database.urlFile",
    kind: "path",
    summary: "File whose first line is the URL of the PostgreSQL database.",
  },
  {
    path: "blobs.store",
    kind: "choice",
    choices: ["filesystem", "s3"],
    fallback: "filesystem",
    summary: "Where the bytes of blobs are kept.",
  },
  {
    path: "blobs.path",
    kind: "path",
    fallbackWords: "`blobs` in `data`",
    summary: "Folder of the store `filesystem`.",
  },
  {
    path: "blobs.s3.endpoint",
    kind: "origin",
    fallbackWords: "that of AWS for the region",
    summary: "URL of the S3 service.",
  },
  { path: "blobs.s3.bucket", kind: "text", summary: "Bucket; it must exist. Needed for the store `s3`." },
  { path: "blobs.s3.region", kind: "text", fallback: "us-east-1", summary: "Region, as the service names it." },
  { path: "blobs.s3.prefix", kind: "text", summary: "Put before the name of every object, such as `registry/`." },
  {
    path: "blobs.s3.forcePathStyle",
    kind: "boolean",
    fallback: "false",
    summary: "True: the bucket's name stands in the path, as MinIO, Ceph and other services of one host want it.",
  },
  {
    path: "blobs.s3.accessKeyId",
    kind: "text",
    fallbackWords: "the AWS SDK's own search: `AWS_…` variables, files, roles",
    summary: "Access key.",
  },
  {
    path: "blobs.s3.secretAccessKey",
    kind: "text",
    isSecret: true,
    fromEnvironmentOnly: true,
    summary: "The access key's secret.",
  },
  { path: "blobs.s3.secretAccessKeyFile", kind: "path", summary: "File whose first line is the secret." },
  {
    path: "tls.cert",
    kind: "path",
    summary:
      "Certificate with its chain (PEM). It is read again when the file changes and on SIGHUP; one that does not fit is reported and the old one stays.",
  },
  { path: "tls.key", kind: "path", summary: "Private key of the certificate (PEM)." },
  {
    path: "auth.anonymous",
    kind: "boolean",
    fallback: "true",
    summary:
      "False: whoever has no account gets nothing, whatever repositories and roles say. True: they may pull from public repositories.",
  },
  {
    path: "auth.tokenLifetime",
    kind: "duration",
    fallback: "5m",
    minimum: MINUTE,
    maximum: HOUR,
    summary: "How long a bearer token is good. A change of rights counts at once all the same.",
  },
  {
    path: "auth.htpasswd",
    kind: "path",
    summary: "File of `NAME:HASH` lines (bcrypt) whose unknown names become accounts at the start.",
  },
  {
    path: "limits.connections",
    kind: "count",
    fallback: "10000",
    minimum: 1,
    maximum: 1_000_000,
    summary: "Connections at the same time; further ones are closed at once.",
  },
  {
    path: "limits.connectionsPerAddress",
    kind: "count",
    fallback: "0",
    minimum: 0,
    maximum: 1_000_000,
    summary: "The same for one client address; 0: no such limit, as it must be behind a proxy.",
  },
  {
    path: "limits.headerBytes",
    kind: "size",
    fallback: "16KiB",
    minimum: 4 * KIB,
    maximum: 128 * KIB,
    summary: "Size of a request's headers.",
  },
  {
    path: "limits.headerTimeout",
    kind: "duration",
    fallback: "15s",
    minimum: SECOND,
    maximum: 5 * MINUTE,
    summary: "How long a client may take to send a request's headers.",
  },
  {
    path: "limits.idleTimeout",
    kind: "duration",
    fallback: "60s",
    minimum: SECOND,
    maximum: HOUR,
    summary:
      "A connection in whose request or answer fewer than 1 KiB moved for so long is cut. Long uploads that go on are not.",
  },
  {
    path: "limits.requestsPerSecond",
    kind: "count",
    fallback: "0",
    minimum: 0,
    maximum: 1_000_000,
    summary:
      "Requests a second of one client address, four seconds' worth at once; more are answered 429. 0: no such limit.",
  },
  {
    path: "push.dockerSchema1",
    kind: "boolean",
    fallback: "false",
    summary:
      "True: manifests of docker schema 1, signed and unsigned, are taken as well, such as by a mirror of old images whose signatures name their digests. False: they are refused; those that are there are read, signed, copied, deleted and checked all the same.",
  },
  {
    path: "gc.interval",
    kind: "duration",
    fallback: "1h",
    minimum: 0,
    maximum: 30 * 24 * HOUR,
    summary: "How often garbage collection runs, while serving; 0s: never here, such as on all replicas but one.",
  },
  {
    path: "gc.grace",
    kind: "duration",
    fallback: "1h",
    minimum: 5 * MINUTE,
    maximum: 30 * 24 * HOUR,
    summary: "How long content that no repository holds is spared after it was last touched: longer than a push takes.",
  },
  {
    path: "log.level",
    kind: "choice",
    choices: ["debug", "info", "warn", "error"],
    fallback: "info",
    summary: "What is logged, on standard error: this level and those after it.",
  },
  {
    path: "log.format",
    kind: "choice",
    choices: ["auto", "json", "text"],
    fallback: "auto",
    summary: "JSON lines, or text for people. `auto`: text on a terminal, JSON elsewhere.",
  },
  {
    path: "log.access",
    kind: "boolean",
    fallback: "true",
    summary: "A line (level info) for each request that was answered.",
  },
  {
    path: "metrics.listen",
    kind: "address",
    summary:
      "A second address, in plain HTTP and without credentials, for `/metrics`, `/healthz` and `/readyz` alone: for networks that clients do not reach. Without it `/metrics` is on the main one, for accounts with the role admin.",
  },
  {
    path: "drain.delay",
    kind: "duration",
    fallback: "0s",
    minimum: 0,
    maximum: 5 * MINUTE,
    summary:
      "After SIGTERM, how long `/readyz` says no while requests are still taken, so that a load balancer can turn away.",
  },
  {
    path: "drain.timeout",
    kind: "duration",
    fallback: "30s",
    minimum: 0,
    maximum: HOUR,
    summary: "How long requests in flight may then take to end, before they are cut.",
  },
];

/** The environment variable of a key: `blobs.s3.accessKeyId` is `SIGNET_BLOBS_S3_ACCESS_KEY_ID`. */
export function environmentName(path: string): string {
  const words = path.replaceAll(".", "_").replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, "_");
  return `SIGNET_${words.toUpperCase()}`;
}
