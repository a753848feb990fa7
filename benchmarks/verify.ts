/**
 * How much does a whole verdict (blob, message grammar, signature, key state, payload, digest, identity, with its evidence) cost beside the bare public-key operation on the
 * same octets? One thread, then two worker threads.
 */
import { verify } from "node:crypto";
import { availableParallelism } from "node:os";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";
import {
  TrustAnchors,
  findGoverningScope,
  dockerPolicyIdentity,
  judgeSignedBy,
  parsePolicy,
  verifySignedMessage,
} from "@signet/core";
import type { SignedByRequirement } from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { type Corpus, makeCorpus } from "./corpus.ts";
import { compare, printTable } from "./measure.ts";

const now = Date.UTC(2026, 0, 1);
const algorithms = ["rsa-4096", "rsa-2048", "ed25519"] as const;

/** One whole verdict on message number `index`. @throws Error when it is not accepted: a benchmark of refusals would be worthless */
function makeVerdict(corpus: Corpus): (index: number) => void {
  const policy = parsePolicy(
    Buffer.from(
      JSON.stringify({
        default: [{ type: "reject" }],
        transports: { docker: { "registry.example.com": [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/key" }] } },
      }),
    ),
  );
  const anchors = new TrustAnchors({ engine: nodeEngine, readKeyFile: () => corpus.certificate });
  const identity = dockerPolicyIdentity(corpus.reference);
  const image = { digest: corpus.digest, reference: corpus.reference };
  const deps = { engine: nodeEngine, now };
  return (index) => {
    const requirement = findGoverningScope(policy, identity).requirements[0] as SignedByRequirement;
    const { message } = corpus.items[index % corpus.items.length]!;
    const evidence = judgeSignedBy(
      { location: "signature 1", bytes: message, encoding: "blob" },
      requirement,
      anchors.keysOf(requirement),
      image,
      deps,
    );
    if (evidence.verdict !== "accepted") throw new Error(JSON.stringify(evidence.reasons));
  };
}

function benchmarkOneThread(): void {
  for (const algorithm of algorithms) {
    const corpus = makeCorpus(algorithm);
    const verdict = makeVerdict(corpus);
    const anchors = new TrustAnchors({ engine: nodeEngine, readKeyFile: () => corpus.certificate });
    const requirement = {
      type: "signedBy",
      keyType: "GPGKeys",
      keys: { kind: "files", paths: ["/key"] },
    } as unknown as SignedByRequirement;
    const { keyring } = anchors.keysOf(requirement);
    const rows = compare([
      {
        name: "bare crypto.verify",
        run(index) {
          const { bareData, bareSignature } = corpus.items[index % corpus.items.length]!;
          if (!verify(corpus.bareHash, bareData, corpus.publicKey, bareSignature))
            throw new Error("the bare signature is bad");
        },
      },
      {
        name: "OpenPGP message",
        run(index) {
          const outcome = verifySignedMessage(corpus.items[index % corpus.items.length]!.message, keyring, {
            engine: nodeEngine,
            now,
          });
          if (outcome.verdict !== "accepted") throw new Error(JSON.stringify(outcome.reasons));
        },
      },
      { name: "whole verdict", run: verdict },
    ]);
    printTable(algorithm, rows);
  }
}

/** Milliseconds that the worker threads run. */
const THREADS_MS = 2_000;

async function benchmarkThreads(): Promise<void> {
  const rate = async (threads: number): Promise<number> => {
    const workers = Array.from(
      { length: threads },
      () => new Worker(new URL(import.meta.url), { workerData: { milliseconds: THREADS_MS } }),
    );
    const counts = await Promise.all(
      workers.map(
        (worker) => new Promise<number>((resolve, reject) => worker.once("message", resolve).once("error", reject)),
      ),
    );
    return (counts.reduce((sum, count) => sum + count, 0) * 1000) / THREADS_MS;
  };
  const ratios: number[] = [];
  for (let round = 0; round < 3; round++) {
    const one = await rate(1);
    const two = await rate(2);
    ratios.push(two / one);
    console.log(
      `  round ${round + 1}: one thread ${Math.round(one)}/s, two threads ${Math.round(two)}/s, × ${(two / one).toFixed(2)}`,
    );
  }
}

if (isMainThread) {
  benchmarkOneThread();
  console.log(`\nwhole verdicts, rsa-4096, worker threads (${availableParallelism()} cores)`);
  await benchmarkThreads();
} else {
  const verdict = makeVerdict(makeCorpus("rsa-4096"));
  for (let i = 0; i < 2_000; i++) verdict(i);
  const { milliseconds } = workerData as { readonly milliseconds: number };
  const end = performance.now() + milliseconds;
  let count = 0;
  while (performance.now() < end) for (let i = 0; i < 50; i++) verdict(count++);
  parentPort!.postMessage(count);
}
