import {
  MAX_KEYRING_BYTES,
  PolicyError,
  type Reference,
  RejectedError,
  StoreError,
  dockerPolicyIdentity,
  formatReference,
  parseKeyring,
  parseReference,
  signedByPolicy,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import type { ManifestVerdict, StoredSignature } from "@signet/images";
import type { Command, FlagOption, Invocation, OptionSpec, TextOption } from "../command-line/command.ts";
import {
  outputFormatOption,
  registriesConfOption,
  registriesDOption,
  retryTimesOption,
} from "../command-line/common-options.ts";
import { type ExitCode, exitCodes } from "../command-line/exit-code.ts";
import { openPgpOptions, readSwitches } from "../command-line/openpgp-options.ts";
import { usage } from "../command-line/parse.ts";
import { registryOptions } from "../command-line/registry-options.ts";
import { openImageAccess } from "../images/image-access.ts";
import type { Runtime } from "../runtime.ts";
import { type ResultKeeper, makeResult, openResultKeeper } from "../signatures/result-recording.ts";

const name = "verify-image-signature";

const DEFAULT_PUBLIC_KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release";

const expectedIdentityOption: TextOption = {
  kind: "text",
  name: "expected-identity",
  value: "REF",
  summary: "What must have been signed: this name with its tag; with a digest any tag of the repository",
  completion: "nothing",
};
const publicKeyOption: TextOption = {
  kind: "text",
  name: "public-key",
  value: "FILE",
  summary: `Public keys, any of which may have signed (default ${DEFAULT_PUBLIC_KEY})`,
  completion: "file",
};
const registryUrlOption: TextOption = {
  kind: "text",
  name: "registry-url",
  value: "HOST[:PORT]",
  summary: "Ask this registry instead of the one in IMAGE",
  completion: "nothing",
};
const insecureOption: FlagOption = {
  kind: "flag",
  name: "insecure",
  summary: "The same as --tls-verify=false",
};
const saveOption: FlagOption = {
  kind: "flag",
  name: "save",
  summary: "Record each result at the Signet server that IMAGE names, in the name of who is logged in",
};
const removeAllOption: FlagOption = {
  kind: "flag",
  name: "remove-all",
  summary: "Take back the results that this account recorded of the image; the signatures stay",
};

export const command: Command = {
  name,
  summary: "Verify the signatures of an image as oc adm verify-image-signature does",
  description: [
    "Fetches the manifest of IMAGE and judges each signature that is stored for it: by the public keys, for its digest, and for the expected identity. Signatures are read from where they are kept for that image: the registry's signatures API, or the lookaside store that registries.d names. Of a manifest list the list itself is judged.",
    "With --save each result, good or bad, is recorded at the Signet server in IMAGE, where it takes the place of the last one that this account recorded of that signature: with a wrong key or identity the status there becomes rejected. It needs the role auditor. No pull policy of the server goes by it. --remove-all clears the status instead and verifies nothing: what this account recorded of all signatures of IMAGE. oc deletes the signatures themselves.",
    "The exit status is 0 when at least one signature is good, 1 when none is, 2 when it could not be told. oc exits with 0 whatever it finds.",
  ],
  arguments: [
    { name: "IMAGE", summary: "A pull spec, such as registry.example.com/app@sha256:…; a digest alone names no place" },
  ],
  options: [
    expectedIdentityOption,
    publicKeyOption,
    saveOption,
    removeAllOption,
    registryUrlOption,
    insecureOption,
    outputFormatOption,
    registriesDOption,
    registriesConfOption,
    ...registryOptions.all,
    retryTimesOption,
    ...openPgpOptions,
  ],
  examples: [
    {
      line: "signet verify-image-signature registry.redhat.io/ubi9@sha256:0da6316466d60a3a4535d5fed3589feb0391989982fba59d47d4c729912d6363 --expected-identity=registry.redhat.io/ubi9:latest",
      purpose: "By Red Hat's keys of this machine",
    },
    {
      line: "signet verify-image-signature registry.example.com/team/app:1 --expected-identity=registry.example.com/team/app:1 --public-key key.pub --save",
      purpose: "Let the server's readers see who found what",
    },
  ],
  async run(given, runtime) {
    const invocation = withInsecure(given);
    const [image] = invocation.arguments as [string];
    if (isRemoval(invocation)) {
      const place = readImage(image, invocation.get(registryUrlOption));
      return removeResults(image, place, invocation, runtime);
    }
    const identity = readIdentity(invocation.get(expectedIdentityOption));
    const place = readImage(image, invocation.get(registryUrlOption));
    const { readInput } = await import("../terminal/input.ts");
    const keyFile = invocation.get(publicKeyOption) ?? DEFAULT_PUBLIC_KEY;
    const keys = await readInput(keyFile, MAX_KEYRING_BYTES, "public key file");
    const { certificates, warnings } = parseKeyring(keys, nodeEngine);
    for (const warning of warnings) runtime.terminal.warn(`${keyFile}: ${warning}`);
    // Whatever the image has, nothing can be told without a key.
    if (certificates.length === 0)
      throw new PolicyError("no-trust-anchors", `--public-key ${keyFile} holds no OpenPGP public key`);
    return verify({ image, place, identity, keys }, invocation, runtime);
  },
};

/** `--insecure` is oc's word. */
function withInsecure(invocation: Invocation): Invocation {
  if (!invocation.get(insecureOption)) return invocation;
  const { tlsVerify } = registryOptions;
  if (invocation.get(tlsVerify) === true) throw usage("--insecure and --tls-verify=true contradict each other", name);
  const get = (option: TextOption): unknown => ((option as OptionSpec) === tlsVerify ? false : invocation.get(option));
  return { arguments: invocation.arguments, get: get as Invocation["get"] };
}

/** Whether results are to be taken back and nothing verified. */
function isRemoval(invocation: Invocation): boolean {
  if (!invocation.get(removeAllOption)) return false;
  if (invocation.get(expectedIdentityOption) !== undefined)
    throw usage("the --expected-identity cannot be used when removing all verifications", name);
  if (invocation.get(saveOption)) throw usage("--save and --remove-all contradict each other", name);
  return true;
}

/** As oc reads it: a name alone stands for its tag latest. */
function readIdentity(text: string | undefined): Reference {
  if (text === undefined) throw usage("the --expected-identity is required", name);
  let reference: Reference;
  try {
    reference = parseReference(text);
  } catch {
    throw usage(
      "the --expected-identity must be valid image reference",
      name,
      "write it as registry.example.com/app:1",
    );
  }
  if (reference.tag !== undefined && reference.digest !== undefined) {
    const problem = "Docker references with both a tag and digest are currently not supported";
    throw usage(problem, name, "leave the tag or the digest of --expected-identity out");
  }
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: "latest" } : reference;
}

/** The image's place; a bare digest, which names an Image object of a cluster, names none. */
function readImage(image: string, registry: string | undefined): Reference {
  if (/^sha(?:256|384|512):[0-9a-f]*$/i.test(image)) {
    throw usage(
      `${image} is a digest alone: it does not say in which registry and repository the image is`,
      name,
      "write REGISTRY/NAME@sha256:…; `oc get image DIGEST -o jsonpath={.dockerImageReference}` has it",
    );
  }
  const reference = parsePullSpec(image, "IMAGE");
  if (reference.tag !== undefined && reference.digest !== undefined)
    throw usage(`${image} has both a tag and a digest`, name, "leave the tag out: the digest alone names the image");
  if (registry === undefined) return reference;
  const moved = parsePullSpec(`${registry}/${reference.path}`, "--registry-url");
  if (moved.domain !== registry || moved.path !== reference.path)
    throw usage(`--registry-url ${registry} is not written HOST[:PORT]`, name);
  return { ...reference, domain: registry };
}

function parsePullSpec(text: string, what: string): Reference {
  try {
    return parseReference(text.replace(/^docker:\/\//, ""));
  } catch (error) {
    throw usage(`${what}: ${error instanceof Error ? error.message : "malformed"}`, name);
  }
}

interface Question {
  /** As it was given. */
  readonly image: string;
  readonly place: Reference;
  readonly identity: Reference;
  /** A key file's content. */
  readonly keys: Uint8Array;
}

/** How one signature was judged. */
interface Judged {
  readonly signature: StoredSignature;
  readonly result: ManifestVerdict;
}

async function verify(question: Question, invocation: Invocation, runtime: Runtime): Promise<ExitCode> {
  const { image, place, identity, keys } = question;
  const { judgeManifest, openImageSource, parseImageName } = await import("@signet/images");
  await using access = await openImageAccess(invocation, registryOptions, runtime);
  await using source = await openImageSource(await parseImageName(`docker://${formatReference(place)}`), access.open);
  const manifest = await source.manifest();
  const subject = manifest.namedDigest ?? manifest.digest;
  const { signatures, store, attempts, warnings } = await source.signatures(subject);
  for (const warning of warnings) runtime.terminal.warn(warning);
  // Before anything is said: nobody must believe that a result was kept.
  const keeper = invocation.get(saveOption)
    ? await openResultKeeper(access, place, subject, saveOption.name)
    : undefined;
  const options = { policy: signedByPolicy([keys]), now: runtime.now(), switches: readSwitches(invocation) };
  // oc judges the expected identity's name by matchRepoDigestOrExact, which is also what the policy here has.
  const named = { text: image, reference: identity, policyIdentity: dockerPolicyIdentity(identity) };
  const judged: Judged[] = [];
  // One at a time, as oc does: what is wrong with one must be said whatever the others are.
  for (const signature of signatures) {
    const single = async () => ({ store, attempts, warnings: [], signatures: [signature] });
    judged.push({ signature, result: await judgeManifest({ name: named, signatures: single }, manifest, options) });
  }
  const isJson = invocation.get(outputFormatOption) === "json";
  if (!isJson) print(question, manifest.digest, store, judged, keeper !== undefined, runtime);
  const recorded = keeper && (await recordAll(keeper, judged, identity, runtime));
  if (isJson) runtime.terminal.json(reportAll(question, manifest.digest, store, judged, recorded));
  const missing = recorded?.filter((isRecorded) => !isRecorded).length ?? 0;
  if (missing > 0) {
    const what = missing === 1 ? "a result was" : `${missing} results were`;
    throw new StoreError("image-missing", `${what} not recorded: ${place.domain} does not have the signature`, {
      side: "destination",
      hint: `the signatures were read from ${store}; put them at the server, or let registries.d lead there`,
    });
  }
  return judged.some(({ result }) => result.verdict.verdict === "accepted") ? exitCodes.done : exitCodes.rejected;
}

/** Records what was found. @returns for each signature whether the server has it */
async function recordAll(
  keeper: ResultKeeper,
  judged: readonly Judged[],
  identity: Reference,
  runtime: Runtime,
): Promise<readonly boolean[]> {
  const recorded: boolean[] = [];
  for (const { signature, result } of judged)
    recorded.push(await keeper.record(signature.bytes, makeResult(result.verdict, identity, runtime.now())));
  return recorded;
}

async function removeResults(
  image: string,
  place: Reference,
  invocation: Invocation,
  runtime: Runtime,
): Promise<ExitCode> {
  const { openImageSource, parseImageName } = await import("@signet/images");
  await using access = await openImageAccess(invocation, registryOptions, runtime);
  await using source = await openImageSource(await parseImageName(`docker://${formatReference(place)}`), access.open);
  const manifest = await source.manifest();
  const subject = manifest.namedDigest ?? manifest.digest;
  const keeper = await openResultKeeper(access, place, subject, removeAllOption.name);
  await keeper.removeAll();
  // oc says nothing of it.
  if (invocation.get(outputFormatOption) === "json")
    runtime.terminal.json({ image, digest: manifest.digest, results: "removed" });
  return exitCodes.done;
}

/** Digits of a short key id, which is what oc shows. */
const KEY_ID_DIGITS = 16;

function print(
  { image }: Question,
  digest: string,
  store: string,
  judged: readonly Judged[],
  isSaved: boolean,
  { terminal }: Runtime,
): void {
  if (judged.length === 0)
    throw new RejectedError("image-rejected", `${digest} does not have any signature`, {
      hint: `${store} was asked; registries.d says where signatures are`,
    });
  for (const { signature, result } of judged) {
    const { verdict } = result;
    if (verdict.verdict === "accepted") {
      const keyId = verdict.signers[0]?.signingFingerprint.slice(-KEY_ID_DIGITS) ?? "";
      terminal.line(`image "${image}" identity is now confirmed (signed by GPG key "${keyId}")`);
      continue;
    }
    const why = verdict.reasons.map(({ message }) => message).join("; ");
    const failed = `error verifying signature ${signature.location} for image ${image}`;
    terminal.note(`${failed} (verification status will be removed): signature rejected: ${why}`);
  }
  if (!isSaved) terminal.line(`Neither --save nor --remove-all were passed, image "${image}" not updated`);
}

function reportAll(
  { image, identity }: Question,
  digest: string,
  store: string,
  judged: readonly Judged[],
  recorded: readonly boolean[] | undefined,
): unknown {
  const signatures = judged.map(({ signature, result: { verdict } }, index) => ({
    location: signature.location,
    verdict: verdict.verdict,
    signer: verdict.verdict === "accepted" ? (verdict.signers[0] ?? null) : null,
    reasons: verdict.verdict === "accepted" ? [] : verdict.reasons,
    ...(recorded === undefined ? {} : { recorded: recorded[index]! }),
  }));
  const verdict = signatures.some((signature) => signature.verdict === "accepted") ? "accepted" : "rejected";
  return { image, digest, expectedIdentity: formatReference(identity), verdict, store, signatures };
}
