import type { SeededRandom } from "@signet/testkit";

/** Keys of the run's world: `rsa` and `ed` may be trusted, `stranger` never is, `sub` signs with a subkey. */
export type KeyName = "rsa" | "ed" | "stranger" | "sub";

/** How one stored signature is made. */
export interface SignatureRecipe {
  readonly key: KeyName;
  /** `docker-reference` as it goes into the payload. */
  readonly reference: string;
  readonly payload: PayloadChange;
  readonly message: MessageChange;
  /** Where a change that needs a place is made, as a fraction of the length. */
  readonly place: number;
}

/** One case: an image where it lies, its signatures, and the policy it is judged by. */
export interface DifferentialCase {
  readonly number: number;
  readonly transport: "docker" | "dir";
  readonly host: string;
  readonly repository: string;
  /** `:1`, `:2` or `@` for the manifest's digest; only docker images have one. */
  readonly suffix: string;
  /** The manifest is another one than the payloads say. */
  readonly tampered: boolean;
  readonly signatures: readonly SignatureRecipe[];
  readonly policy: PolicyDraft;
}

/** A policy.json as a value; `@rsa`, `@digest` and the like are filled in by the world. */
export type PolicyDraft = Readonly<Record<string, unknown>>;

export const payloadChanges = [
  "none",
  "none",
  "none",
  "none",
  "none",
  "none",
  "none",
  "none",
  "other-digest",
  "digest-upper-case",
  "digest-sha512",
  "digest-null",
  "type-other",
  "type-case",
  "critical-extra",
  "critical-duplicate",
  "critical-case-variant",
  "optional-extra",
  "optional-duplicate-extra",
  "optional-nested-duplicate",
  "optional-null",
  "optional-missing",
  "creator-null",
  "creator-number",
  "timestamp-null",
  "timestamp-half",
  "timestamp-exponent",
  "timestamp-string",
  "timestamp-huge",
  "timestamp-negative-zero",
  "reference-null",
  "reference-missing",
  "trailing-newline",
  "trailing-object",
  "trailing-nul",
  "leading-bom",
  "leading-space",
  "pretty",
  "reordered",
  "invalid-utf8-creator",
  "escaped-key",
  "proto-optional",
  "proto-critical",
  "deep-optional",
  "overflow-optional",
  "array-top",
  "comment",
  "lone-surrogate-creator",
] as const;
export type PayloadChange = (typeof payloadChanges)[number];

export const messageChanges = [
  "none",
  "none",
  "none",
  "none",
  "none",
  "none",
  "none",
  "none",
  "none",
  "none",
  "compressed",
  "compressed",
  "bit-flip",
  "bit-flip",
  "truncated",
  "trailing-garbage",
  "trailing-garbage-compressed",
  "armored",
  "empty",
  "text",
  "leading-nul",
  "leading-marker",
  "framed",
  "framed-unknown",
  "two-messages",
  "payload-alone",
] as const;
export type MessageChange = (typeof messageChanges)[number];

const repositories = ["team/app", "team/other", "teamx/app", "app"] as const;

/** Names of the registry that shows the signed manifest, and of the one that shows another. */
export interface Hosts {
  readonly genuine: readonly string[];
  readonly tampered: readonly string[];
}

/** The seeded case with this number. The same seed and number give the same case. */
export function makeCase(number: number, random: SeededRandom, hosts: Hosts): DifferentialCase {
  const transport = random.integer(4) === 0 ? "dir" : "docker";
  const tampered = random.integer(16) === 0;
  const host = random.pick(tampered ? hosts.tampered : hosts.genuine);
  const repository = random.pick(repositories);
  const suffix = random.pick([":1", ":1", ":2", "@"]);
  const subject = { transport, host, repository, suffix } as const;
  const count = random.pick([0, 1, 1, 1, 1, 1, 2, 2, 2, 3]);
  return {
    number,
    ...subject,
    tampered,
    signatures: Array.from({ length: count }, () => makeSignature(random, subject)),
    policy: makePolicy(random, subject),
  };
}

interface Subject {
  readonly transport: "docker" | "dir";
  readonly host: string;
  readonly repository: string;
  readonly suffix: string;
}

/** Most of the signatures are plainly good, so that acceptance is common and each single change shows. */
function makeSignature(random: SeededRandom, subject: Subject): SignatureRecipe {
  const good = random.integer(8) < 5;
  return {
    key: random.pick(["rsa", "rsa", "rsa", "rsa", "rsa", "ed", "ed", "stranger", "sub"] as const),
    reference: good ? referenceOf(subject) : random.pick(relatedReferences(subject)),
    payload: good ? "none" : random.pick(payloadChanges),
    message: good ? random.pick(["none", "compressed"] as const) : random.pick(messageChanges),
    place: random.next(),
  };
}

function referenceOf({ host, repository, suffix }: Subject): string {
  return `${host}/${repository}${suffix === "@" ? "@digest" : suffix}`;
}

/** References near the image's own: each differs in one thing that an identity rule may or may not forgive. */
function relatedReferences(subject: Subject): readonly string[] {
  const { host, repository } = subject;
  const name = `${host}/${repository}`;
  return [
    referenceOf(subject),
    referenceOf(subject),
    `${name}:1`,
    `${name}:2`,
    name,
    `${name}@digest`,
    `${name}@otherdigest`,
    `${name}:1@digest`,
    `${host}/team/app:1`,
    `${host}/teamx/app:1`,
    `${host}/team:1`,
    `vendor.example.com/${repository}:1`,
    `vendor.example.com/${repository}`,
    `vendor.example.com/x/app:1`,
    `vendor.example.com/${repository}@digest`,
    "busybox:1",
    "docker.io/library/busybox:1",
    "app:1",
    "UPPER/Case:1",
    "",
    " ",
    `${name}:bad tag`,
    `docker://${name}:1`,
    `${host.toUpperCase()}/${repository}:1`,
  ];
}

function makePolicy(random: SeededRandom, subject: Subject): PolicyDraft {
  const scopes: Record<string, unknown> = {};
  const candidates =
    subject.transport === "docker"
      ? dockerScopes(subject)
      : ["@dir", "@parent", "", "/elsewhere", ...(random.integer(20) === 0 ? ["relative", "/"] : [])];
  for (let i = random.integer(3); i > 0; i--) scopes[random.pick(candidates)] = makeRequirements(random, subject);
  // Mostly some scope governs that a good signature can satisfy; else nearly everything would be refused and little compared.
  if (random.integer(6) > 0)
    scopes[random.pick(candidates.slice(0, 3))] = [
      makeSatisfiable(random, subject),
      ...(random.integer(5) === 0 ? [makeRequirement(random, subject)] : []),
    ];
  const transports = random.integer(12) === 0 ? {} : { [subject.transport]: scopes };
  const strictDefault = random.integer(2) === 0 ? [{ type: "reject" }] : makeRequirements(random, subject);
  return { default: strictDefault, transports };
}

function dockerScopes({ host, repository }: Subject): readonly string[] {
  const name = `${host}/${repository}`;
  const bare = host.replace(/:\d+$/, "");
  return [
    name,
    host,
    "",
    `${name}:1`,
    `${name}:2`,
    `${name}@digest`,
    name,
    `${host}/team`,
    `${host}/tea`,
    host,
    host,
    bare,
    "*.0.0.1",
    "*.0.1",
    "*.1",
    "*.localhost",
    "",
    "unmatched.example.com",
    `${name}/`,
    `docker://${name}`,
  ];
}

function makeRequirements(random: SeededRandom, subject: Subject): readonly unknown[] {
  const count = random.pick([1, 1, 1, 1, 2, 2, 3]);
  return Array.from({ length: count }, () => makeRequirement(random, subject));
}

/** A requirement that the plainly good signatures meet: identity by the image's own reference, keys that sign most of them. */
function makeSatisfiable(random: SeededRandom, subject: Subject): unknown {
  const name = `${subject.host}/${subject.repository}`;
  const keys = random.pick([
    { keyPath: "@rsa" },
    { keyPath: "@both" },
    { keyPaths: ["@rsa", "@ed"] },
    { keyData: "@rsa" },
  ]);
  const named = { type: "exactRepository", dockerRepository: name };
  const matching =
    subject.transport === "dir" ? [named] : [undefined, { type: "matchExact" }, { type: "matchRepository" }, named];
  const identity = random.pick<object | undefined>(matching);
  return {
    type: "signedBy",
    keyType: "GPGKeys",
    ...keys,
    ...(identity === undefined ? {} : { signedIdentity: identity }),
  };
}

function makeRequirement(random: SeededRandom, subject: Subject): unknown {
  const kind = random.integer(16);
  if (kind === 0) return { type: "insecureAcceptAnything" };
  if (kind === 1) return { type: "reject" };
  const identity = random.integer(4) === 0 ? undefined : makeIdentity(random, subject);
  const keys = random.pick([
    { keyPath: "@rsa" },
    { keyPath: "@rsa" },
    { keyPath: "@rsa" },
    { keyPath: "@ed" },
    { keyPath: "@rsa-armored" },
    { keyPath: "@both" },
    { keyPaths: ["@rsa", "@ed"] },
    { keyPaths: ["@ed"] },
    { keyData: "@rsa" },
    { keyData: "@ed" },
    { keyPath: "@sub" },
    { keyPath: "@missing" },
    { keyPaths: ["@rsa", "@missing"] },
    { keyPath: "@garbage" },
    { keyData: "bm90IGEga2V5" },
    { keyPaths: [] },
    { keyData: "" },
  ]);
  const keyType = random.integer(30) === 0 ? "signedByGPGKeys" : "GPGKeys";
  return { type: "signedBy", keyType, ...keys, ...(identity === undefined ? {} : { signedIdentity: identity }) };
}

function makeIdentity(random: SeededRandom, subject: Subject): unknown {
  const { host, repository } = subject;
  const references = relatedReferences(subject).filter((reference) => !reference.includes("@digest"));
  switch (random.integer(7)) {
    case 0:
      return { type: "matchExact" };
    case 1:
      return { type: "matchRepoDigestOrExact" };
    case 2:
      return { type: "matchRepository" };
    case 3:
      return { type: "exactReference", dockerReference: random.pick(references) };
    case 4:
      return { type: "exactRepository", dockerRepository: random.pick(references) };
    default:
      return {
        type: "remapIdentity",
        prefix: random.pick([
          host,
          `${host}/team`,
          `${host}/tea`,
          `${host}/${repository}`,
          "vendor.example.com",
          `${host}/`,
        ]),
        signedPrefix: random.pick([
          "vendor.example.com",
          "vendor.example.com/x",
          host,
          `vendor.example.com/${repository}`,
          "vendor",
        ]),
      };
  }
}
