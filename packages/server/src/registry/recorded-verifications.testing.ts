/** What the tests of recorded results share. For tests only. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { type TestImage, buildTestImage, httpPushTarget, pushTestImage } from "@signet/testkit";
import type { MakeStorage } from "../storage-pairs.testing.ts";
import { type TestSigner, makeSigner } from "../trust/trust.testing.ts";
import { type Answer, type ServedRegistry, serveRegistry } from "./serve.testing.ts";
import { digestOf, putSignature } from "./threats.testing.ts";

/** A result as it is listed. */
export interface ListedResult {
  readonly signature: string;
  readonly by: string;
  readonly number: number;
  readonly verdict: string;
  readonly expectedIdentity: string;
  readonly signingKey?: string;
  readonly signedIdentity?: string;
  readonly reason?: string;
  readonly verifiedAt: string;
  readonly since: string;
  readonly recordedAt: string;
}

export const accepted = {
  verdict: "accepted",
  expectedIdentity: "registry.example.com/team/app:1",
  signingKey: "0123456789ABCDEF",
  signedIdentity: "registry.example.com/team/app:1",
  verifiedAt: "2026-01-31T12:00:00.000Z",
} as const;
export const rejected = {
  verdict: "rejected",
  expectedIdentity: "registry.example.com/team/app:1",
  reason: "the signature is for another name",
  verifiedAt: "2026-02-01T12:00:00.000Z",
} as const;

export interface VerificationBench extends AsyncDisposable {
  readonly registry: ServedRegistry;
  readonly image: TestImage;
  readonly signer: TestSigner;
  /** Pushes an image and one signature of it to a path. @returns the signature's digest */
  readonly push: (path: string, bytes?: Uint8Array, image?: TestImage) => Promise<string>;
  readonly sign: (image?: TestImage) => Promise<Uint8Array>;
  /** Asks in the name of an account. */
  readonly ask: (method: string, path: string, account?: string, body?: unknown) => Promise<Answer>;
  /** Records, and expects 201. */
  readonly record: (signature: string, body: object, account?: string, path?: string) => Promise<void>;
  /** Of the image, the newest of each account; with a signature, of that with history. */
  readonly list: (signature?: string, path?: string, query?: string) => Promise<readonly ListedResult[]>;
}

/** The place of results of an image's signatures, or of one. */
export function verificationsOf(path: string, image: string, signature?: string): string {
  return `/extensions/v2/${path}/verifications/${image}${signature === undefined ? "" : `/${signature}`}`;
}

/** A registry where everybody may do everything, with an image of which `team/app` holds nothing yet. Undefined where a tool for the storage is missing. */
export async function openVerificationBench(
  t: TestContext,
  make: MakeStorage,
  options: Parameters<typeof serveRegistry>[1] = {},
): Promise<VerificationBench | undefined> {
  const storage = await (await make(t))?.open();
  if (storage === undefined) return undefined;
  const registry = await serveRegistry(undefined, options, storage);
  const [image, signer] = [await buildTestImage(), await makeSigner(undefined, Date.now())];
  const sign = (of = image): Promise<Uint8Array> => signer.sign(of.manifest, "registry.example.com/team/app:1");
  const ask: VerificationBench["ask"] = (method, path, account = "ann", body?: unknown) =>
    registry.request(method, path, typeof body === "object" ? JSON.stringify(body) : (body as string | undefined), {
      "x-test-account": account,
    });
  return {
    registry,
    image,
    signer,
    sign,
    ask,
    push: async (path, bytes, of = image) => {
      const signature = bytes ?? (await sign(of));
      await pushTestImage(httpPushTarget(registry.url), `${path}:1`, of);
      const { status, text } = await putSignature(registry, path, of, signature);
      assert.equal(status, 201, text);
      return digestOf(signature);
    },
    record: async (signature, body, account = "ann", path = "team/app") => {
      const answer = await ask("POST", verificationsOf(path, image.digest, signature), account, body);
      assert.deepEqual([answer.status, answer.text], [201, ""]);
    },
    list: async (signature, path = "team/app", query = "") => {
      const { status, text } = await ask("GET", `${verificationsOf(path, image.digest, signature)}${query}`);
      assert.equal(status, 200, text);
      return (JSON.parse(text) as { verifications: ListedResult[] }).verifications;
    },
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  };
}
