/** Results that auditors record: kept with their history, bounded, strict in what is taken, and without a say in any verdict of the server. */
import assert from "node:assert/strict";
import test from "node:test";
import { buildTestImage, httpPushTarget, pushTestAttachments } from "@signet/testkit";
import { verifyAuditLog } from "../audit/audit-verification.ts";
import { MAX_AUDITORS, MAX_KEPT_RESULTS } from "../content/recorded-verifications.ts";
import { changeRepositorySettings } from "../content/repository-settings.ts";
import { forEachStorage } from "../storage-pairs.testing.ts";
import { parsePullPolicy, setPullPolicy } from "../trust/pull-policy.ts";
import { recheckSignatures } from "../trust/recheck.ts";
import { KeyringReader } from "../trust/server-keyring.ts";
import { makeAuthor } from "../trust/trust.testing.ts";
import { cosignPayload } from "./carried.testing.ts";
import {
  type ListedResult,
  accepted,
  openVerificationBench,
  rejected,
  verificationsOf,
} from "./recorded-verifications.testing.ts";
import { digestOf } from "./threats.testing.ts";

const brief = (one: ListedResult): string => `${one.by} ${one.number} ${one.verdict}`;

forEachStorage(
  (make) => {
    test("a result is listed as it was recorded, with who said so and when", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, image, ask, record, list } = bench;
      const signature = await bench.push("team/app");
      assert.deepEqual(await list(), []);
      const from = registry.now();
      await record(signature, accepted);
      const [one, ...rest] = await list();
      assert.deepEqual(rest, []);
      const { since, recordedAt, ...said } = one!;
      assert.deepEqual(said, { signature, by: "ann", number: 1, ...accepted });
      assert.equal(since, recordedAt);
      assert.ok(Date.parse(since) >= from && Date.parse(since) <= registry.now());
      const answer = await ask("GET", verificationsOf("team/app", image.digest));
      assert.equal(answer.headers.get("x-signet-verifications"), "1");
      assert.equal(answer.headers.get("content-type"), "application/json; charset=utf-8");
      const { path, manifest } = JSON.parse(answer.text) as { path: string; manifest: string };
      assert.deepEqual([path, manifest], ["team/app", image.digest]);
    });

    test("the newest of each account is what counts, the others are history; the same again only renews its time", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, record, list } = bench;
      const signature = await bench.push("team/app");
      const other = await bench.push("team/app");
      await record(signature, accepted);
      registry.advance(60_000);
      const again = { ...accepted, verifiedAt: "2026-03-01T00:00:00Z" };
      await record(signature, again);
      const [renewed] = await list();
      assert.deepEqual([renewed!.number, renewed!.verifiedAt], [1, "2026-03-01T00:00:00.000Z"]);
      assert.ok(Date.parse(renewed!.recordedAt) - Date.parse(renewed!.since) >= 60_000);
      await record(signature, accepted, "bob");
      await record(signature, rejected);
      await record(other, accepted);
      const newest = (await list()).map((one) => `${one.signature} ${brief(one)}`);
      assert.deepEqual(
        newest,
        [`${signature} ann 2 rejected`, `${signature} bob 1 accepted`, `${other} ann 1 accepted`].toSorted((a, b) =>
          a < b ? -1 : 1,
        ),
      );
      assert.deepEqual((await list(signature)).map(brief), ["ann 2 rejected", "ann 1 accepted", "bob 1 accepted"]);
    });

    test("of one account so many results are kept and of so many accounts; a page may be as small as one", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { image, ask, record, list } = bench;
      const signature = await bench.push("team/app");
      await record(signature, accepted, "bob");
      for (let count = 1; count <= MAX_KEPT_RESULTS + 3; count += 1)
        await record(signature, { ...rejected, reason: `reason ${count}` });
      const kept = await list(signature);
      assert.deepEqual(kept.map(brief), [
        ...Array.from({ length: MAX_KEPT_RESULTS }, (_, index) => `ann ${MAX_KEPT_RESULTS + 3 - index} rejected`),
        "bob 1 accepted",
      ]);
      assert.deepEqual((await list()).map(brief), [`ann ${MAX_KEPT_RESULTS + 3} rejected`, "bob 1 accepted"]);
      for (let count = 2; count < MAX_AUDITORS; count += 1) await record(signature, accepted, `robot$${count}`);
      const refused = await ask("POST", verificationsOf("team/app", image.digest, signature), "zoe", accepted);
      assert.deepEqual([refused.status, refused.code], [409, "VERIFICATION_INVALID"]);
      // Who is among them already goes on.
      await record(signature, rejected, "bob");
      for (const place of [
        verificationsOf("team/app", image.digest),
        verificationsOf("team/app", image.digest, signature),
      ]) {
        const whole = (JSON.parse((await ask("GET", place)).text) as { verifications: ListedResult[] }).verifications;
        const paged: ListedResult[] = [];
        for (let next: string | undefined = `${place}?n=1`; next !== undefined;) {
          const answer = await ask("GET", next);
          const { verifications } = JSON.parse(answer.text) as { verifications: ListedResult[] };
          assert.equal(verifications.length, 1);
          paged.push(...verifications);
          assert.ok(paged.length <= whole.length);
          next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];
        }
        assert.deepEqual(paged, whole);
        assert.ok(whole.length >= MAX_AUDITORS);
      }
      assert.deepEqual(await list(undefined, "team/app", "?n=0"), []);
      assert.deepEqual(await list(undefined, "team/app", "?last=nonsense&n=1"), (await list()).slice(0, 1));
    });

    test("what is no result is refused with the reason, and nothing of it is kept", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, image, ask, list } = bench;
      const signature = await bench.push("team/app");
      const place = verificationsOf("team/app", image.digest, signature);
      const text = JSON.stringify(accepted);
      const ahead = new Date(registry.now() + 2 * 60 * 60 * 1_000).toISOString();
      const broken: Readonly<Record<string, readonly [body: unknown, detail: RegExp]>> = {
        nothing: ["", /result/],
        "no JSON": ["{", /result/],
        "more after it": [`${text}{}`, /result/],
        "a list": [[accepted], /object expected/],
        "a member twice": [text.replace("{", '{"verdict":"rejected",'), /duplicate/],
        "a member of another case": [text.replace('"verdict"', '"Verdict"'), /unknown key/],
        "a member more": [{ ...accepted, by: "bob" }, /unknown key/],
        "no verdict": [{ ...accepted, verdict: undefined }, /missing/],
        "another verdict": [{ ...accepted, verdict: "unknown-key" }, /accepted/],
        "a verdict that is no text": [{ ...accepted, verdict: true }, /string expected/],
        "no identity": [{ ...accepted, expectedIdentity: undefined }, /missing/],
        "an empty identity": [{ ...accepted, expectedIdentity: "" }, /empty/],
        "a long identity": [{ ...accepted, expectedIdentity: "a".repeat(513) }, /512/],
        "accepted without a key": [{ ...accepted, signingKey: undefined }, /signingKey/],
        "a key that is none": [{ ...accepted, signingKey: "0123456789abcdef" }, /upper-case/],
        "a key of another length": [{ ...accepted, signingKey: "0".repeat(41) }, /fingerprint/],
        "rejected without a reason": [{ ...rejected, reason: undefined }, /reason/],
        "a long reason": [{ ...rejected, reason: "a".repeat(1_025) }, /1024/],
        "a reason of several lines": [{ ...rejected, reason: "a\nb" }, /printed/],
        "a U+0000": [{ ...rejected, reason: "a\0b" }, /printed/],
        "text that turns around": [{ ...accepted, signedIdentity: "a\u202Eb" }, /printed/],
        null: [{ ...accepted, signedIdentity: null }, /string expected/],
        "no time": [{ ...accepted, verifiedAt: undefined }, /missing/],
        "a time that is none": [{ ...accepted, verifiedAt: "2026-02-30T00:00:00Z" }, /verifiedAt/],
        "a time of another zone": [{ ...accepted, verifiedAt: "2026-01-31T12:00:00+01:00" }, /verifiedAt/],
        "a number for a time": [{ ...accepted, verifiedAt: 0 }, /string expected/],
        "a time to come": [{ ...accepted, verifiedAt: ahead }, /future/],
      };
      for (const [name, [body, detail]] of Object.entries(broken)) {
        const answer = await ask("POST", place, "ann", body);
        assert.deepEqual([name, answer.status, answer.code], [name, 400, "VERIFICATION_INVALID"]);
        assert.match(answer.text, detail, name);
      }
      const large = await ask("POST", place, "ann", " ".repeat(32 * 1024 + 1));
      assert.deepEqual([large.status, large.code], [413, "VERIFICATION_INVALID"]);
      assert.deepEqual(await list(signature), []);
      const allowed = [
        {
          ...accepted,
          expectedIdentity: "字".repeat(512),
          signedIdentity: "字".repeat(512),
          reason: "字".repeat(1_024),
        },
        { ...accepted, signingKey: "A".repeat(40), signedIdentity: undefined },
        { ...accepted, signingKey: "F".repeat(64), verifiedAt: "2026-01-31T12:00:00Z" },
        { ...rejected, signingKey: "0".repeat(16) },
        { ...accepted, verifiedAt: new Date(registry.now() + 30 * 60 * 1_000).toISOString() },
        // As in Go, half a character is read as the mark for what cannot be read.
        text.replace("team/app:1", "\\ud800"),
        JSON.stringify(rejected).replaceAll(/[a-z]/g, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`),
      ];
      for (const body of allowed) {
        const answer = await ask("POST", place, "ann", body);
        assert.equal(answer.status, 201, answer.text);
      }
      assert.deepEqual(registry.failures, []);
    });

    test("errors come in the order of the other doors", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, image, ask } = bench;
      const signature = await bench.push("team/app");
      const none = digestOf("none");
      // In the repository, and of another image.
      const another = await buildTestImage({ seed: 9 });
      const ofAnother = await bench.push("team/app", undefined, another);
      const at = (of: string, one?: string, path = "team/app"): string => verificationsOf(path, of, one);
      for (const [method, place, body, status, code] of [
        ["PUT", at(image.digest, signature, "team/none"), accepted, 405, "UNSUPPORTED"],
        ["POST", at(image.digest), accepted, 405, "UNSUPPORTED"],
        ["GET", at("sha256:0"), undefined, 400, "DIGEST_INVALID"],
        ["GET", at(image.digest, "name"), undefined, 400, "DIGEST_INVALID"],
        ["GET", at(image.digest, undefined, "UPPER"), undefined, 400, "NAME_INVALID"],
        ["POST", at(image.digest, signature, "team/none"), "{", 404, "NAME_UNKNOWN"],
        ["POST", at(none, none), "{", 400, "VERIFICATION_INVALID"],
        ["POST", at(none, signature), accepted, 404, "MANIFEST_UNKNOWN"],
        ["POST", at(image.digest, none), accepted, 404, "SIGNATURE_INVALID"],
        ["POST", at(image.digest, ofAnother), accepted, 404, "SIGNATURE_INVALID"],
        ["POST", at(another.digest, signature), accepted, 404, "SIGNATURE_INVALID"],
        ["GET", at(another.digest, signature), undefined, 404, "SIGNATURE_INVALID"],
        ["GET", at(none), undefined, 404, "MANIFEST_UNKNOWN"],
        ["GET", at(image.digest, none), undefined, 404, "SIGNATURE_INVALID"],
        ["DELETE", at(none), undefined, 404, "MANIFEST_UNKNOWN"],
        ["DELETE", at(image.digest, none), undefined, 404, "SIGNATURE_INVALID"],
        ["DELETE", `${at(image.digest)}?by=`, undefined, 400, "VERIFICATION_INVALID"],
        ["DELETE", `${at(image.digest)}?by=a&by=b`, undefined, 400, "VERIFICATION_INVALID"],
      ] as const) {
        const answer = await ask(method, place, "ann", body);
        assert.deepEqual([method, place, answer.status, answer.code], [method, place, status, code]);
        const known = answer.headers.get("x-signet-verifications");
        // A path that cannot be read has no door yet.
        assert.equal(known, ["DIGEST_INVALID", "NAME_INVALID"].includes(code) ? null : "1");
      }
      assert.deepEqual(registry.failures, []);
    });

    test("each is in the audit log with what was said, and the log holds", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, image, ask, record } = bench;
      const signature = await bench.push("team/app");
      await record(signature, accepted);
      await record(signature, rejected);
      for (const by of ["", "?by=ann", "?by=nobody"])
        assert.equal((await ask("DELETE", `${verificationsOf("team/app", image.digest)}${by}`, "bob")).status, 204);
      const rows = await registry.database.read
        .selectFrom("audit_entry")
        .select(["actor", "action", "target", "detail"])
        .where("action", "like", "verification.%")
        .orderBy("sequence")
        .execute();
      const subject = { image: image.digest, signature };
      assert.deepEqual(
        rows.map((row) => ({ ...row, detail: JSON.parse(row.detail) as unknown })),
        [
          { actor: "ann", action: "verification.record", target: "team/app", detail: { ...subject, ...accepted } },
          { actor: "ann", action: "verification.record", target: "team/app", detail: { ...subject, ...rejected } },
          {
            actor: "bob",
            action: "verification.remove",
            target: "team/app",
            detail: { image: image.digest, of: "ann", results: 2 },
          },
        ],
      );
      assert.deepEqual((await verifyAuditLog(registry.database.read)).faults, []);
    });

    test("no pull, verdict or answer of the signatures API is another one by what auditors say", async (t) => {
      await using bench = (await openVerificationBench(t, make, { names: ["registry.example.com"] }))!;
      if (bench === undefined) return;
      const { registry, image, ask, record } = bench;
      const { database } = registry;
      const signature = await bench.push("team/app");
      const requirements = JSON.stringify([{ type: "signedBy", keyType: "GPGKeys", keyPath: "server:keyring" }]);
      parsePullPolicy(requirements);
      await setPullPolicy(database, "team/app", { mode: "enforce", requirements }, makeAuthor(Date.now()));
      const signatures = `/extensions/v2/team/app/signatures`;
      const look = async () => {
        const seen: unknown[] = [];
        for (const path of [
          "/v2/team/app/manifests/1",
          `/v2/team/app/manifests/${image.digest}`,
          signatures,
          `${signatures}/${image.digest}`,
          `${signatures}/${image.digest}?view=all`,
          `/lookaside/team/app@${image.digest.replace(":", "=")}/signature-1`,
        ]) {
          const { status, text, headers } = await ask("GET", path);
          seen.push([path, status, text, [...headers].filter(([name]) => name !== "date")]);
        }
        const judged = await database.read.selectFrom("verification").selectAll().orderBy("id").execute();
        return JSON.stringify([seen, judged]);
      };
      const before = await look();
      assert.match(before, /"unknown-key/);
      assert.match(before, /refused/);
      for (const account of ["ann", "server", "tester"]) {
        await record(signature, { ...accepted, signingKey: bench.signer.fingerprint }, account);
        assert.equal(await look(), before);
      }
      const keyrings = new KeyringReader();
      assert.equal(await recheckSignatures(database, { now: () => registry.now(), keyrings }), 0);
      assert.equal(await look(), before);
    });

    test("a signature that manifests carry may have results as well, each for the image that it is about", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, image, ask, record, list } = bench;
      await bench.push("team/app");
      const payload = cosignPayload(image.digest);
      await pushTestAttachments(httpPushTarget(registry.url), "team/app", image.digest, "sig", [{ payload }]);
      const all = await ask("GET", `/extensions/v2/team/app/signatures/${image.digest}?view=all`);
      const { signatures } = JSON.parse(all.text) as { signatures: { digest: string; format: string }[] };
      const carried = signatures.find((one) => one.format === "sigstore-attachment")!.digest;
      await record(carried, accepted);
      assert.deepEqual(
        (await list()).map((one) => one.signature),
        [carried],
      );
      const tag = `${image.digest.replace(":", "-")}.sig`;
      assert.equal((await ask("DELETE", `/v2/team/app/manifests/${tag}`)).status, 202);
      assert.deepEqual(await list(), []);
      const rows = await registry.database.read.selectFrom("recorded_verification").selectAll().execute();
      assert.deepEqual(rows, []);
    });

    test("what is recorded counts for the repository's quota", async (t) => {
      await using bench = (await openVerificationBench(t, make))!;
      if (bench === undefined) return;
      const { registry, image, ask, record } = bench;
      const signature = await bench.push("team/app");
      const place = verificationsOf("team/app", image.digest, signature);
      const author = { by: "admin", now: registry.now() };
      const set = (quotaBytes: number) =>
        changeRepositorySettings(registry.database, "team/app", { quotaBytes }, author.by, author.now);
      await set(1);
      const refused = await ask("POST", place, "ann", accepted);
      assert.deepEqual([refused.status, refused.code], [403, "DENIED"]);
      const used = Number(/would make it ([0-9]+),/.exec(refused.text)?.[1]);
      await set(used);
      await record(signature, accepted);
      assert.equal((await ask("POST", place, "ann", { ...accepted, reason: "x" })).status, 403);
      // What takes no more place is taken.
      await record(signature, { ...accepted, verifiedAt: "2026-05-01T00:00:00Z" });
    });
  },
  [
    ["sqlite", "filesystem"],
    ["postgresql", "s3"],
  ],
);
