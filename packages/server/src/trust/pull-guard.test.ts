import assert from "node:assert/strict";
import test from "node:test";
import { type SeededRandom, makeSeededRandom } from "@signet/testkit";
import { ContentError } from "../content/content-error.ts";
import { findServed } from "../content/repositories.ts";
import { deleteSignature } from "../content/signatures.ts";
import { resolveTag } from "../content/tags.ts";
import type { Database } from "../db/database.ts";
import { forEachDatabase } from "../db/databases.testing.ts";
import { PullGuard, type PullJudgement } from "./pull-guard.ts";
import { setNamespacePullPolicy, setPullPolicy } from "./pull-policy.ts";
import { KeyringReader } from "./server-keyring.ts";
import { NOW, type TestSigner, makeAuthor, makeSigner, pushImage, storeSignature } from "./trust.testing.ts";
import { addTrustedKey, withdrawKey } from "./trusted-keys.ts";

const PATH = "team/app";
const NAME = "r.example.com";
const byKeyring = JSON.stringify([{ type: "signedBy", keyType: "GPGKeys", keyPath: "server:keyring" }]);
const nothing = '[{"type":"reject"}]';

function makeGuard(database: Database): PullGuard {
  // A guard reads blobs only of artifacts, and there are none here.
  const blobs = undefined as never;
  return new PullGuard({ database, blobs, keyrings: new KeyringReader(), names: [NAME], onJudged: () => undefined });
}

async function pull(guard: PullGuard, database: Database, now: number): Promise<PullJudgement["verdict"] | "none"> {
  const served = (await findServed(database.read, PATH))!;
  const digest = (await resolveTag(database.read, served, "1"))!;
  return (await guard.judge(served, { digest, tag: "1" }, now))?.verdict ?? "none";
}

forEachDatabase((make) => {
  test("no verdict outlives a change, in any process: one that is kept is always the one that would be found now", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const databases = [await place.open(), await place.open()];
    const guards = databases.map(makeGuard);
    const random = makeSeededRandom(7);
    const author = makeAuthor();
    let now = NOW;
    const images = [await pushImage(databases[0]!, PATH, 0), await pushImage(databases[0]!, PATH, 1)];
    let current = images[1]!;
    let signers: TestSigner[] = [await makeSigner(), await makeSigner(1_000 + 60)];
    const seen = new Set<string>();
    const changes: Readonly<Record<string, (database: Database) => Promise<unknown>>> = {
      sign: async (database) => {
        const bytes = await random.pick(signers).sign(current.bytes, `${NAME}/${PATH}:${random.pick(["1", "1", "2"])}`);
        return await storeSignature(database, PATH, current.digest, bytes, undefined, now);
      },
      unsign: async (database) => {
        const served = (await findServed(database.read, PATH))!;
        return await deleteSignature(database, served, current.digest, (present) => present[0], "ann", now);
      },
      trust: (database) => addTrustedKey(database, random.pick(signers).publicKey, "", author),
      withdraw: async (database) => {
        await withdrawKey(database, signers[0]!.fingerprint, "leaked", author);
        signers = [await makeSigner(), signers[1]!];
      },
      own: (database) => setPullPolicy(database, PATH, pickSetting(random), author),
      namespace: (database) =>
        setNamespacePullPolicy(database, random.pick(["", "team", "team/app"]), pickSetting(random), author),
      move: async (database) => {
        current = await pushImage(database, PATH, random.integer(2));
      },
      time: () => {
        now += 7_000;
        return Promise.resolve();
      },
    };
    for (let step = 0; step < 120; step += 1) {
      const name = random.pick(Object.keys(changes));
      const database = random.pick(databases);
      // Pulls in flight while the change happens fill what is kept at the worst moment.
      const at = now;
      const inFlight = guards.map((guard, index) => pull(guard, databases[index]!, at));
      try {
        await changes[name]!(database);
      } catch (error) {
        assert.ok(error instanceof ContentError || /withdrawn/.test(String(error)), String(error));
      }
      await Promise.all(inFlight);
      const fresh = await pull(makeGuard(database), database, now);
      seen.add(fresh);
      for (const [index, guard] of guards.entries()) {
        assert.equal(await pull(guard, databases[index]!, now), fresh, `step ${step}: ${name}`);
      }
    }
    assert.deepEqual([...seen].toSorted(), ["accepted", "none", "refused", "warned"]);
  });
});

function pickSetting(random: SeededRandom) {
  const mode = random.pick(["off", "enforce", "enforce", "warn"] as const);
  return { mode, requirements: random.pick([byKeyring, byKeyring, byKeyring, nothing]) };
}
