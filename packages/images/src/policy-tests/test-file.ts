/** A file of policy tests: what it may say, and what it says. docs/policy-tests.md describes the form for people. */
import { type Digest, type Platform, keyHint, tryParseDigest } from "@signet/core";
import {
  MAX_YAML_BYTES,
  type YamlFailure,
  type YamlMember,
  type YamlNode,
  type YamlPlace,
  plainValue,
  readYaml,
  yamlFailure,
} from "../config/yaml-reader.ts";

/** Bytes: the largest file read. */
export const MAX_POLICY_TEST_BYTES: number = MAX_YAML_BYTES;

/** Cases in one file. */
const MAX_CASES = 10_000;

export type ExpectedVerdict = "accepted" | "rejected" | "undetermined";

const verdicts: readonly ExpectedVerdict[] = ["accepted", "rejected", "undetermined"];

/** A value and where it stands. */
export interface Placed<T> {
  readonly value: T;
  readonly place: YamlPlace;
}

/** What a case says its manifest is. */
export type CaseManifest =
  | { readonly kind: "file"; readonly path: Placed<string>; readonly instances: readonly Placed<string>[] }
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "digest"; readonly digest: Digest }
  /** None: the image has a digest of its own making. */
  | { readonly kind: "none" };

/** A signature to be made for the case, by a test key. */
export interface SignatureRequest {
  readonly place: YamlPlace;
  /** Secret key file, relative to the test file. */
  readonly key: Placed<string>;
  /** What it is for. Default: the image's own name. */
  readonly identity?: string;
  /** Digest that is signed. Default: the manifest's. */
  readonly digest?: Digest;
  /** Milliseconds since 1970 UTC. Default: the time of judging. */
  readonly time?: number;
}

export interface PolicyTestCase {
  readonly place: YamlPlace;
  readonly name: string;
  readonly image: Placed<string>;
  readonly manifest: CaseManifest;
  readonly platform?: Platform;
  /** Files, folders. */
  readonly signatures: readonly Placed<string>[];
  readonly signed: readonly SignatureRequest[];
  /** Milliseconds since 1970 UTC; undefined for the file's. */
  readonly time?: number;
  readonly expect: ExpectedVerdict;
  /** Codes that must be among the reasons; empty when none was named. */
  readonly reasons: readonly string[];
  /** The scope that must govern: as policy.json writes it, or `default`. */
  readonly scope?: string;
  /** Fingerprints or key ids of signers that there must be; empty when none was named. */
  readonly signers: readonly string[];
  /** The lookaside URL that registries.d must give. */
  readonly store?: string;
}

export interface PolicyTestFile {
  readonly file: string;
  /** Folder of the file tree that the policy is for; paths of keys lie below it. */
  readonly root?: Placed<string>;
  readonly policy?: Placed<string>;
  readonly registriesD?: Placed<string>;
  /** Milliseconds since 1970 UTC. */
  readonly time?: number;
  /** At least one. */
  readonly cases: readonly PolicyTestCase[];
}

/**
 * Reads a file of tests. Members that are not known are refused.
 * @param file its path, for messages
 * @throws PolicyError `policy-tests-malformed` with file, line and column, also for a file without cases
 */
export function parsePolicyTests(bytes: Uint8Array, file: string): PolicyTestFile {
  const fail = yamlFailure(file, "policy-tests-malformed");
  const root = membersOf(
    readYaml(bytes, fail),
    ["root", "policy", "registries.d", "time", "cases"],
    "a file of policy tests",
    fail,
  );
  const list = root.get("cases");
  if (list === undefined) throw fail({ line: 1, column: 1 }, "no cases", "add `cases:` with at least one case");
  if (list.value.kind !== "list") throw fail(list.value.place, "cases must be a list");
  const { items } = list.value;
  if (items.length === 0) throw fail(list.value.place, "no cases: a file that tests nothing must not pass");
  if (items.length > MAX_CASES) throw fail(list.value.place, `more than ${MAX_CASES} cases`);
  const names = new Map<string, YamlPlace>();
  const cases = items.map((item) => {
    const one = new CaseReader(item, fail).read();
    const earlier = names.get(one.name);
    if (earlier !== undefined)
      throw fail(
        one.place,
        `a case ${JSON.stringify(one.name)} stands in line ${earlier.line} already`,
        "give each case a name of its own",
      );
    names.set(one.name, one.place);
    return one;
  });
  const tree = optionalText(root.get("root"), "root", fail);
  const policy = optionalText(root.get("policy"), "policy", fail);
  const registriesD = optionalText(root.get("registries.d"), "registries.d", fail);
  const time = optionalTime(root.get("time"), "time", fail);
  return {
    file,
    ...(tree === undefined ? {} : { root: tree }),
    ...(policy === undefined ? {} : { policy }),
    ...(registriesD === undefined ? {} : { registriesD }),
    ...(time === undefined ? {} : { time }),
    cases,
  };
}

const caseMembers: readonly string[] = [
  "name",
  "image",
  "manifest",
  "instances",
  "platform",
  "digest",
  "signatures",
  "signed",
  "time",
  "expect",
  "reason",
  "scope",
  "signer",
  "store",
];

class CaseReader {
  readonly #place: YamlPlace;
  readonly #members: ReadonlyMap<string, YamlMember>;
  readonly #fail: YamlFailure;

  constructor(node: YamlNode, fail: YamlFailure) {
    this.#place = node.place;
    this.#fail = fail;
    this.#members = membersOf(node, caseMembers, "a case", fail);
  }

  read(): PolicyTestCase {
    const image = this.#required("image");
    const expect = this.#required("expect");
    if (!verdicts.includes(expect.value as ExpectedVerdict)) {
      throw this.#fail(
        expect.place,
        `expect is one of ${verdicts.join(", ")}, not ${JSON.stringify(expect.value)}`,
        keyHint(expect.value, verdicts),
      );
    }
    const reasons = this.#texts("reason");
    if (reasons.length > 0 && expect.value === "accepted")
      throw this.#fail(reasons[0]!.place, "an accepted image has no reason");
    const signers = this.#texts("signer");
    if (signers.length > 0 && expect.value !== "accepted")
      throw this.#fail(signers[0]!.place, `an image that is ${expect.value} has no signer`);
    const platform = this.#platform();
    const time = optionalTime(this.#members.get("time"), "time", this.#fail);
    const scope = this.#text("scope");
    const store = this.#text("store");
    return {
      place: this.#place,
      name: this.#text("name")?.value ?? `${image.value} is ${expect.value}`,
      image,
      manifest: this.#manifest(),
      ...(platform === undefined ? {} : { platform }),
      signatures: this.#texts("signatures"),
      signed: this.#signed(),
      ...(time === undefined ? {} : { time }),
      expect: expect.value as ExpectedVerdict,
      reasons: reasons.map(({ value }) => value),
      ...(scope === undefined ? {} : { scope: scope.value }),
      signers: signers.map((signer) => this.#signer(signer)),
      ...(store === undefined ? {} : { store: store.value }),
    };
  }

  #manifest(): CaseManifest {
    const manifest = this.#members.get("manifest");
    const digest = this.#text("digest");
    const instances = this.#texts("instances");
    if (manifest !== undefined && digest !== undefined)
      throw this.#fail(digest.place, "manifest and digest do not go together: a manifest has its own digest");
    if (instances.length > 0 && manifest?.value.kind !== "scalar")
      throw this.#fail(instances[0]!.place, "instances are those of a list: give its manifest file as well");
    if (digest !== undefined) return { kind: "digest", digest: readDigest(digest, this.#fail) };
    if (manifest === undefined) return { kind: "none" };
    if (manifest.value.kind === "map")
      return { kind: "inline", bytes: new TextEncoder().encode(JSON.stringify(plainValue(manifest.value))) };
    return { kind: "file", path: textOf(manifest, "manifest", this.#fail), instances };
  }

  #platform(): Platform | undefined {
    const text = this.#text("platform");
    if (text === undefined) return undefined;
    const match = /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([A-Za-z0-9.]+))?$/.exec(text.value);
    if (match === null) throw this.#fail(text.place, "a platform is written OS/ARCH or OS/ARCH/VARIANT");
    const [, os = "", architecture = "", variant] = match;
    return { os, architecture, ...(variant === undefined ? {} : { variant }) };
  }

  #signed(): readonly SignatureRequest[] {
    const member = this.#members.get("signed");
    if (member === undefined) return [];
    const nodes = member.value.kind === "list" ? member.value.items : [member.value];
    return nodes.map((node) => {
      const members = membersOf(node, ["key", "identity", "digest", "time"], "signed", this.#fail);
      const key = members.get("key");
      if (key === undefined)
        throw this.#fail(node.place, "signed needs a key", "key: FILE, a secret key that is made for tests");
      const identity = optionalText(members.get("identity"), "identity", this.#fail);
      const digest = optionalText(members.get("digest"), "digest", this.#fail);
      const time = optionalTime(members.get("time"), "time", this.#fail);
      return {
        place: node.place,
        key: textOf(key, "key", this.#fail),
        ...(identity === undefined ? {} : { identity: identity.value }),
        ...(digest === undefined ? {} : { digest: readDigest(digest, this.#fail) }),
        ...(time === undefined ? {} : { time }),
      };
    });
  }

  /** Full fingerprint or key id, in any case and with blanks, as people copy them. */
  #signer({ value, place }: Placed<string>): string {
    const hex = value.replaceAll(" ", "").replace(/^0x/i, "").toUpperCase();
    if (/^(?:[0-9A-F]{16}|[0-9A-F]{40}|[0-9A-F]{64})$/.test(hex)) return hex;
    throw this.#fail(place, "signer is a fingerprint (40 or 64 hex digits) or a key id (16)");
  }

  #required(name: string): Placed<string> {
    const text = this.#text(name);
    if (text === undefined) throw this.#fail(this.#place, `the case has no ${name}`);
    return text;
  }

  #text(name: string): Placed<string> | undefined {
    return optionalText(this.#members.get(name), name, this.#fail);
  }

  /** One text or a list of them. */
  #texts(name: string): readonly Placed<string>[] {
    const member = this.#members.get(name);
    if (member === undefined) return [];
    if (member.value.kind !== "list") return [textOf(member, name, this.#fail)];
    return member.value.items.map((value) => textOf({ place: value.place, value }, name, this.#fail));
  }
}

/** The members of a mapping, all of which are known. */
function membersOf(
  node: YamlNode,
  known: readonly string[],
  what: string,
  fail: YamlFailure,
): ReadonlyMap<string, YamlMember> {
  if (node.kind !== "map") throw fail(node.place, `${what} must be a mapping`);
  for (const [name, { place }] of node.members) {
    if (known.includes(name)) continue;
    throw fail(place, `unknown member ${JSON.stringify(name.slice(0, 100))} in ${what}`, keyHint(name, known));
  }
  return node.members;
}

function optionalText(member: YamlMember | undefined, name: string, fail: YamlFailure): Placed<string> | undefined {
  return member === undefined ? undefined : textOf(member, name, fail);
}

function textOf({ value }: YamlMember, name: string, fail: YamlFailure): Placed<string> {
  if (value.kind !== "scalar") throw fail(value.place, `${name} must be a text`);
  // A number such as a key id is what was written, not what a number would make of it.
  if (value.value === null || value.text === "") throw fail(value.place, `${name} must not be empty`);
  if (value.text.includes("\0")) throw fail(value.place, `${name} holds a NUL character`);
  return { value: value.text, place: value.place };
}

function readDigest({ value, place }: Placed<string>, fail: YamlFailure): Digest {
  const digest = tryParseDigest(value);
  if (digest !== undefined) return digest;
  throw fail(
    place,
    `${JSON.stringify(value.slice(0, 200))} is not a digest`,
    "a digest is sha256: and 64 lower-case hex digits",
  );
}

/** An instant, with its time zone: a test must not depend on where it runs. */
function optionalTime(member: YamlMember | undefined, name: string, fail: YamlFailure): number | undefined {
  if (member === undefined) return undefined;
  const { value, place } = textOf(member, name, fail);
  const form = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2}))?$/;
  const time = form.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time))
    throw fail(
      place,
      `${JSON.stringify(value.slice(0, 100))} is not a time`,
      "write 2026-06-01 or 2026-06-01T12:00:00Z",
    );
  return time;
}
