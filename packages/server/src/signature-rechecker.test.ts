import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { pino } from "pino";
import type { Database } from "./db/database.ts";
import { forEachDatabase } from "./db/databases.testing.ts";
import { SignatureRechecker } from "./signature-rechecker.ts";
import { NOW, findVerdict, makeAuthor, makeSigner, pushImage, storeSignature } from "./trust/trust.testing.ts";
import { addTrustedKey, withdrawKey } from "./trust/trusted-keys.ts";

const HOUR_MS = 3_600_000;
/** Milliseconds: longer than the rechecker waits between two looks. */
const LOOK_MS = 5_000;

/** Runs a rechecker whose waits are the test's. */
function startRechecker(t: TestContext, database: Database, now: () => number) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
  const rechecker = new SignatureRechecker(database, { now, log });
  t.after(() => rechecker.stop());
  return {
    lines,
    /** Until the verdict is this one; each turn is one more look. */
    until: async (digest: string, verdict: string): Promise<void> => {
      while ((await findVerdict(database, digest))?.verdict !== verdict) {
        t.mock.timers.tick(LOOK_MS);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

forEachDatabase((make) => {
  test("verdicts of stored signatures follow the keys: added, withdrawn by another process, expired", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const [database, other] = [await place.open(), await place.open()];
    const author = makeAuthor();
    let now = NOW;
    const [partner, shortLived] = [await makeSigner(), await makeSigner(1_000 + 7_200)];
    const image = await pushImage(database, "team/app", 1);
    const reference = "registry.example.com/team/app:1";
    const ofPartner = await storeSignature(
      database,
      "team/app",
      image.digest,
      await partner.sign(image.bytes, reference),
    );
    const short = await storeSignature(
      database,
      "team/app",
      image.digest,
      await shortLived.sign(image.bytes, reference),
    );
    for (const digest of [ofPartner, short])
      assert.equal((await findVerdict(database, digest))?.verdict, "unknown-key");
    const { until, lines } = startRechecker(t, database, () => now);

    await addTrustedKey(other, partner.publicKey, "a partner", author);
    await until(ofPartner, "accepted");
    assert.equal((await findVerdict(database, short))?.verdict, "unknown-key");
    await addTrustedKey(other, shortLived.publicKey, "for two hours", author);
    await until(short, "accepted");

    await withdrawKey(other, partner.fingerprint, "stolen", author);
    await until(ofPartner, "unknown-key");
    assert.equal((await findVerdict(database, short))?.verdict, "accepted");

    // No key changes: time alone does.
    now += 3 * HOUR_MS;
    await until(short, "rejected");
    assert(lines.length > 0 && lines.every((line) => line.includes("signatures were judged again")), lines.join(""));
  });
});
