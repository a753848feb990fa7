/** The registries that the suite is run against: on loopback, with everything in a temporary folder. */
import { randomBytes } from "node:crypto";
import { makeTempDir, startPostgresql, startS3Server, startServerProcess } from "@signet/testkit";
import { signetEnvironment, signetScript } from "../../packages/cli/src/signet-process.ts";
import { serveRegistry } from "../../packages/server/src/registry/serve.testing.ts";

export const storageNames = ["sqlite-files", "postgresql-s3"] as const;
export type StorageName = (typeof storageNames)[number];

/** Where the suite finds the registry, and who it is there. */
export interface RegistryForSuite {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Undefined where everybody may do everything. */
  readonly account?: { readonly user: string; readonly password: string };
}

/** Milliseconds until a server that does not listen is given up. */
const START_TIMEOUT_MS = 60_000;

/** Starts `signet serve`, as people run it. @throws Error with its log when it does not start */
export async function serveForSuite(storage: StorageName): Promise<RegistryForSuite & AsyncDisposable> {
  await using resources = new AsyncDisposableStack();
  const dir = resources.adopt(makeTempDir("signet-conformance-"), (folder) => folder.dispose());
  const password = randomBytes(16).toString("hex");
  const settings = storage === "sqlite-files" ? {} : await startStorage(resources);
  const args = [signetScript, "serve", "--data", dir.join("data"), "--listen", "127.0.0.1:0"];
  const server = startServerProcess(process.execPath, args, {
    cwd: dir.path,
    env: signetEnvironment({ HOME: dir.path, SIGNET_ADMIN_PASSWORD: password, ...settings }),
    signal: "SIGKILL",
  });
  resources.defer(() => server.stop());
  await server.printed("The account admin was made\n", START_TIMEOUT_MS);
  const host = /^Signet serves http:\/\/(\S+)$/m.exec(server.log())?.[1];
  if (host === undefined) throw new Error(`signet serve does not say where it listens: ${server.log()}`);
  const running = resources.move();
  return { host, account: { user: "admin", password }, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Starts the doors alone, on SQLite and files, in this process. */
export async function serveDoorsForSuite(): Promise<RegistryForSuite & AsyncDisposable> {
  return await serveRegistry();
}

/** PostgreSQL and an S3 server. @returns the environment that leads to them */
async function startStorage(resources: AsyncDisposableStack): Promise<Readonly<Record<string, string>>> {
  const postgresql = resources.use(await startPostgresql());
  const s3 = resources.use(await startS3Server());
  return {
    SIGNET_DATABASE_URL: await postgresql.makeDatabase(),
    SIGNET_BLOBS_STORE: "s3",
    SIGNET_BLOBS_S3_ENDPOINT: s3.endpoint,
    SIGNET_BLOBS_S3_BUCKET: s3.makeBucket(),
    SIGNET_BLOBS_S3_REGION: s3.region,
    SIGNET_BLOBS_S3_FORCE_PATH_STYLE: "true",
    SIGNET_BLOBS_S3_ACCESS_KEY_ID: s3.accessKeyId,
    SIGNET_BLOBS_S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
  };
}
