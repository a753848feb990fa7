/** For tests of the document: a whole server on loopback, with accounts, an image and its signatures. */
import { join } from "node:path";
import { type Signer, createSignature, generateKey, openSecretKey } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type TestImage, buildTestImage, httpPushTarget, pushTestAttachments, pushTestImage } from "@signet/testkit";
import { createAccessToken } from "../access/access-tokens.ts";
import { createAccount } from "../access/accounts.ts";
import type { Database } from "../db/database.ts";
import { basic, serveApp } from "../serve-app.testing.ts";
import { addTrustedKey } from "../trust/trusted-keys.ts";

export interface ServedDocument extends AsyncDisposable {
  readonly url: string;
  /** The folder of the blobs. */
  readonly blobs: string;
  /** Another connection to the server's database, as `signet admin` has one. */
  readonly database: Database;
  readonly image: TestImage;
  /** Of admin. */
  readonly admin: Record<string, string>;
  readonly adminPassword: string;
  /** An access token of an account without a right. */
  readonly strangerToken: string;
  /** A signature of the image or of another manifest, a new one each time, by the key that the server trusts, or by another one. */
  readonly sign: (by?: "other" | "trusted", manifest?: Uint8Array) => Promise<Uint8Array>;
}

/** The image is `team/app:1`, with one signature of cosign's form beside it. */
export async function serveDocument(env: Readonly<Record<string, string>> = {}): Promise<ServedDocument> {
  await using opened = new AsyncDisposableStack();
  const app = opened.use(await serveApp({ SIGNET_LIMITS_HEADER_BYTES: "64KiB", ...env }));
  const { database, adminPassword } = app;
  const now = Date.now();
  await createAccount(database, { name: "robot$stranger", kind: "robot", password: null }, now);
  const token = { account: "robot$stranger", name: "test", scopes: null, expiresAt: null };
  const { secret: strangerToken } = await createAccessToken(database, token, now);
  const [trusted, other] = await Promise.all([makeSigner(now), makeSigner(now)]);
  const audit = (): Promise<void> => Promise.resolve();
  await addTrustedKey(database, new TextEncoder().encode(trusted.publicKey), "", { by: "admin", now, audit });

  const image = await buildTestImage();
  const target = httpPushTarget(app.url, { user: "admin", password: adminPassword });
  await pushTestImage(target, "team/app:1", image);
  const critical = {
    type: "cosign container image signature",
    image: { "docker-manifest-digest": image.digest },
    identity: { "docker-reference": "example.com/team/app" },
  };
  const payload = JSON.stringify({ critical, optional: null });
  await pushTestAttachments(target, "team/app", image.digest, "sig", [{ payload }]);
  let second = 0;
  const parts = opened.move();
  return {
    url: app.url,
    blobs: join(app.folder, "blobs"),
    database,
    image,
    admin: basic("admin", adminPassword),
    adminPassword,
    strangerToken,
    sign: async (by = "trusted", manifest = image.manifest) => {
      second += 1;
      const { signer } = by === "trusted" ? trusted : other;
      const options = { engine: nodeEngine, now: now + second * 1_000, creator: "test" };
      return (await createSignature(manifest, `${app.host}/team/app:1`, signer, options)).bytes;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function makeSigner(now: number): Promise<{ readonly signer: Signer; readonly publicKey: string }> {
  const made = await generateKey({ engine: nodeEngine, now, userIds: ["A <a@example.com>"], algorithm: "ed25519" });
  const signer = await openSecretKey(new TextEncoder().encode(made.secretKey), { engine: nodeEngine, now });
  return { signer, publicKey: made.publicKey };
}
