/** Runs files of policy tests: each case is judged as a pull would be, without a network. */
import { dirname, resolve } from "node:path";
import { type Policy, SignetError } from "@signet/core";
import { readFileBounded } from "../config/bounded-file.ts";
import { resolveInTree } from "../config/rooted-path.ts";
import { type HostEnvironment, fileTreeHost } from "../config/host-environment.ts";
import { loadPolicy } from "../config/policy-file.ts";
import { lookasideBase } from "../config/registries-d-lookup.ts";
import { type RegistriesD, loadRegistriesD } from "../config/registries-d.ts";
import { explainSource } from "../explain/explain-image.ts";
import type { ImageExplanation, StoreExplanation } from "../explain/explanation.ts";
import { readKeyFile } from "../verify/key-file.ts";
import { makeTrustAnchors } from "../verify/manifest-verdict.ts";
import { type CaseImage, parseCaseImage } from "./case-image.ts";
import { TestKeys, openCase } from "./case-source.ts";
import type { PolicyTestCase, PolicyTestFile } from "./test-file.ts";

export interface PolicyTestOptions {
  /** Where a policy is looked for when neither the file nor the caller names one. */
  readonly host: HostEnvironment;
  /** The policy of files that name none. */
  readonly policy?: string;
  /** Milliseconds since 1970 UTC: for files that name no time. */
  readonly now: number;
}

/** How a case ended. `error`: what the case names could not be read or made, so that nothing was judged. */
export interface CaseResult {
  readonly name: string;
  /** Where the case begins, from 1. */
  readonly line: number;
  readonly image: string;
  readonly outcome: "passed" | "failed" | "error";
  readonly expected: PolicyTestCase["expect"];
  readonly found?: ImageExplanation["verdict"];
  /** Codes of the reasons that were found. */
  readonly reasons: readonly string[];
  /** Each thing that was not as the case says, in one line. */
  readonly problems: readonly string[];
  readonly explanation?: ImageExplanation;
  readonly error?: SignetError;
}

/** A scope of a policy, with the number of cases that it governs. */
export interface ScopeCoverage {
  readonly label: string;
  readonly cases: number;
}

export interface TestFileResult {
  readonly file: string;
  readonly policy: string;
  readonly cases: readonly CaseResult[];
}

export interface PolicyTestResult {
  readonly files: readonly TestFileResult[];
  /** By policy file, over all test files that are about it. */
  readonly coverage: readonly { readonly policy: string; readonly scopes: readonly ScopeCoverage[] }[];
}

/**
 * Reads all files first, then runs their cases in order.
 * @throws PolicyError `policy-tests-malformed`, `policy-malformed`; StoreError for files that cannot be read. What goes wrong within a case is its result
 */
export async function runPolicyTests(files: readonly string[], options: PolicyTestOptions): Promise<PolicyTestResult> {
  const suites: Suite[] = [];
  for (const file of files) suites.push(await openSuite(file, options));
  const results: TestFileResult[] = [];
  const governing = new Map<string, { readonly policy: Policy; readonly cases: Map<string, number> }>();
  for (const suite of suites) {
    const cases: CaseResult[] = [];
    const known = governing.get(suite.policyPath) ?? { policy: suite.policy, cases: new Map<string, number>() };
    governing.set(suite.policyPath, known);
    for (const one of suite.file.cases) {
      const result = await runCase(one, suite);
      const label = result.explanation?.scopes.find(({ governs }) => governs)?.label;
      if (label !== undefined) known.cases.set(label, (known.cases.get(label) ?? 0) + 1);
      cases.push(result);
    }
    results.push({ file: suite.file.file, policy: suite.policyPath, cases });
  }
  const coverage = [...governing].map(([policy, known]) => ({ policy, scopes: cover(known.policy, known.cases) }));
  return { files: results, coverage };
}

function cover(policy: Policy, cases: ReadonlyMap<string, number>): readonly ScopeCoverage[] {
  const labels = [...policy.transports].flatMap(([transport, scopes]) =>
    [...scopes.keys()].map((scope) => `${transport}: ${scope === "" ? '""' : scope}`),
  );
  return [...labels, "default"].map((label) => ({ label, cases: cases.get(label) ?? 0 }));
}

/** A test file with all that it names. */
interface Suite {
  readonly file: PolicyTestFile;
  readonly policy: Policy;
  readonly policyPath: string;
  readonly registriesD: RegistriesD | undefined;
  readonly now: number;
  readonly resolve: (path: string) => string;
  readonly readKeyFile: (path: string) => Uint8Array;
  readonly trustAnchors: ReturnType<typeof makeTrustAnchors>;
  readonly keys: TestKeys;
}

async function openSuite(path: string, options: PolicyTestOptions): Promise<Suite> {
  // The YAML parser is loaded only where there is YAML.
  const { MAX_POLICY_TEST_BYTES, parsePolicyTests } = await import("./test-file.ts");
  const file = parsePolicyTests(await readFileBounded(path, MAX_POLICY_TEST_BYTES, "policy tests"), path);
  const folder = dirname(path);
  const place = (relative: string): string => resolve(folder, relative);
  const tree = file.root === undefined ? undefined : place(file.root.value);
  const host = tree === undefined ? options.host : fileTreeHost(tree);
  const named = file.policy === undefined ? options.policy : place(file.policy.value);
  const { policy, path: policyPath } = await loadPolicy({ host, ...(named === undefined ? {} : { path: named }) });
  // A key's path is relative to whoever judges; a test must not depend on where it is started.
  const read = (key: string): Uint8Array => readKeyFile(tree === undefined ? place(key) : resolveInTree(tree, key));
  return {
    file,
    policy,
    policyPath,
    registriesD: await openRegistriesD(file, tree, place),
    now: file.time ?? options.now,
    resolve: place,
    readKeyFile: read,
    trustAnchors: makeTrustAnchors({ readKeyFile: read }),
    keys: new TestKeys(),
  };
}

/** The machine's own configuration has no say in a test. */
async function openRegistriesD(
  file: PolicyTestFile,
  tree: string | undefined,
  place: (path: string) => string,
): Promise<RegistriesD | undefined> {
  if (file.registriesD !== undefined)
    return loadRegistriesD({ host: fileTreeHost("/"), directory: place(file.registriesD.value) });
  return tree === undefined ? undefined : loadRegistriesD({ host: fileTreeHost(tree) });
}

const caseStore: StoreExplanation = {
  kind: "given",
  label: "the case",
  why: ["a test case names its signatures itself"],
  isConfigured: true,
};

async function runCase(one: PolicyTestCase, suite: Suite): Promise<CaseResult> {
  const common = { name: one.name, line: one.place.line, image: one.image.value, expected: one.expect };
  const now = one.time ?? suite.now;
  try {
    const image = parseCaseImage(one.image.value);
    const { source, isAssumed } = await openCase(one, image, { resolve: suite.resolve, now, keys: suite.keys });
    const explanation = await explainSource(
      image,
      async () => source,
      { store: async () => caseStore },
      {
        policy: suite.policy,
        now,
        readKeyFile: suite.readKeyFile,
        trustAnchors: suite.trustAnchors,
        isAssumed,
        ...(one.platform === undefined ? {} : { platform: one.platform }),
      },
    );
    const reasons = reasonCodes(explanation);
    const problems = compare(one, explanation, reasons, image, suite.registriesD);
    const outcome = problems.length === 0 ? "passed" : "failed";
    return { ...common, outcome, found: explanation.verdict, reasons, problems, explanation };
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    return { ...common, outcome: "error", reasons: [], problems: [error.message], error };
  }
}

function reasonCodes({ manifests, error }: ImageExplanation): readonly string[] {
  const codes = manifests.flatMap(({ examination, error: failure }) => {
    if (examination?.verdict === "rejected") return examination.reasons.map(({ code }) => code);
    return failure === undefined ? [] : [failure.code];
  });
  return [...new Set([...codes, ...(error === undefined ? [] : [error.code])])];
}

/** What is not as the case says. */
function compare(
  one: PolicyTestCase,
  explanation: ImageExplanation,
  reasons: readonly string[],
  image: CaseImage,
  registriesD: RegistriesD | undefined,
): readonly string[] {
  const problems: string[] = [];
  const differ = (what: string, expected: string, found: string): void => {
    problems.push(`${what}: expected ${expected}, found ${found}`);
  };
  const shownReasons = reasons.length === 0 ? "none" : reasons.join(", ");
  if (explanation.verdict !== one.expect)
    differ(
      "verdict",
      one.expect,
      reasons.length === 0 ? explanation.verdict : `${explanation.verdict} (${shownReasons})`,
    );
  for (const reason of one.reasons) if (!reasons.includes(reason)) differ("reason", reason, shownReasons);
  const governing = explanation.scopes.find(({ governs }) => governs)!;
  if (one.scope !== undefined && one.scope !== governing.label && one.scope !== governing.scope)
    differ("scope", one.scope, governing.label);
  const signers = explanation.manifests.flatMap(({ examination }) =>
    examination?.verdict === "accepted" ? examination.signers : [],
  );
  for (const wanted of one.signers) {
    const isThere = signers.some(({ fingerprint, signingFingerprint }) =>
      [fingerprint, signingFingerprint].some((found) => found === wanted || found.endsWith(wanted)),
    );
    const found = signers.map(({ fingerprint }) => fingerprint).join(", ");
    if (!isThere) differ("signer", wanted, found === "" ? "none" : found);
  }
  if (one.store !== undefined) {
    const found = storeOf(image, registriesD);
    if (one.store !== found) differ("store", one.store, found);
  }
  return problems;
}

/** The lookaside URL that the tested registries.d gives, or `builtin`, or why there is none. */
function storeOf({ transport, reference }: CaseImage, registriesD: RegistriesD | undefined): string {
  if (registriesD === undefined) return "no registries.d: the test file names none";
  if (transport !== "docker" || reference === undefined) return "none: only docker:// images have such a store";
  const { base, section } = lookasideBase(registriesD, reference, "read");
  return section === undefined ? "builtin" : base.label;
}
