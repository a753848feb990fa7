/** The key files that somebody wants to trust: looked at before a policy names them, since a policy with a wrong key accepts nothing. */
import { type KeyObject, createPublicKey } from "node:crypto";
import { resolve } from "node:path";
import {
  type Certificate,
  type CertificateAssessment,
  FormatError,
  MAX_KEYRING_BYTES,
  type NewKeys,
  PolicyError,
  StoreError,
  assessCertificate,
  holdsSecretKey,
  joinKeyFiles,
  makeKeyring,
  parseKeyring,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { readFileBounded } from "./bounded-file.ts";
import { followTreePath, pathInTree } from "./tree-path.ts";

/** What the keys are for: `signedBy`, `sigstoreSigned`, or the transparency logs of the latter. */
export type KeyPurpose = "openpgp" | "sigstore" | "rekor";

export interface TrustKeyOptions {
  readonly purpose: KeyPurpose;
  /** Root folder of the file tree whose policy it is. Default this machine's. */
  readonly root?: string;
  /** True: the content goes into the policy. */
  readonly embed: boolean;
  /** True: OpenPGP keys that cannot sign now, because they expired or were revoked, are taken. */
  readonly force: boolean;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
}

/** Keys, fit for a policy. */
export interface TrustKeys {
  readonly keys: NewKeys;
  /** One a file: path and what is in it, for people. Untrusted texts. */
  readonly descriptions: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Reads and checks key files. Paths are made absolute, symbolic links in them kept. Below a root folder a path is what the system there will see.
 *
 * Not checked: whose keys they are.
 * @param paths at least one
 * @throws StoreError `file-missing`, `file-unreadable`; FormatError `key-malformed` for a file that holds no such key, `secret-key-refused` for a secret one;
 * PolicyError `no-trust-anchors` for keys that cannot sign
 */
export async function readTrustKeys(paths: readonly string[], options: TrustKeyOptions): Promise<TrustKeys> {
  const files: KeyFile[] = [];
  for (const path of paths) files.push(await readKeyFile(path, options));
  const checked = files.map((file) =>
    options.purpose === "openpgp" ? checkOpenPgp(file, options) : checkPem(file, options),
  );
  const keys: NewKeys = options.embed
    ? { kind: "data", blobs: files.map(({ bytes }) => bytes) }
    : { kind: "files", paths: files.map(({ written }) => written) };
  return {
    keys,
    descriptions: checked.map(({ description }) => description),
    warnings: checked.flatMap(({ warnings }) => warnings),
  };
}

/** OpenPGP keys to embed, any of which may sign: one keyring. */
export function joinEmbeddedKeys(keys: NewKeys): NewKeys {
  return keys.kind === "files" || keys.blobs.length < 2 ? keys : { kind: "data", blobs: [joinKeyFiles(keys.blobs)] };
}

interface KeyFile {
  /** As the policy has it: absolute. */
  readonly written: string;
  readonly bytes: Uint8Array;
}

interface CheckedKey {
  readonly description: string;
  readonly warnings: readonly string[];
}

async function readKeyFile(path: string, options: TrustKeyOptions): Promise<KeyFile> {
  if (/^[a-z]+:\/\//i.test(path)) {
    throw new StoreError("file-missing", `cannot read public key file ${path}: it is a URL`, {
      side: "local",
      hint: "fetch the key, compare its fingerprint with what its owner published, and name the file",
    });
  }
  const { root } = options;
  if (root === undefined) {
    const written = resolve(path);
    return { written, bytes: await readFileBounded(written, MAX_KEYRING_BYTES, "public key file") };
  }
  const place = path.startsWith("/") ? await followTreePath(path, root) : undefined;
  if (place?.stats !== undefined) return { written: path, bytes: await readWhole(place.path) };
  // What is embedded need not be in the tree.
  if (options.embed) return { written: path, bytes: await readWhole(path) };
  throw await notInTree(path, root);
}

function readWhole(path: string): Promise<Uint8Array> {
  return readFileBounded(path, MAX_KEYRING_BYTES, "public key file", { regularOnly: true });
}

async function notInTree(path: string, root: string): Promise<StoreError> {
  const inside = pathInTree(path, root);
  const outside = await followTreePath(resolve(path), undefined);
  const message = `there is no key file ${path} below ${root}`;
  if (inside !== undefined && outside.stats !== undefined) {
    return new StoreError("file-missing", message, {
      side: "local",
      hint: `write it as the system there sees it: ${inside}`,
    });
  }
  const hint =
    outside.stats === undefined
      ? `key files are named as the system there sees them, such as /etc/pki/containers/key.gpg`
      : "it is a file of this machine: copy it into the tree, or use --key-data to put the key into the policy";
  return new StoreError("file-missing", message, { side: "local", hint });
}

function checkOpenPgp({ written, bytes }: KeyFile, options: TrustKeyOptions): CheckedKey {
  if (holdsSecretKey(bytes) || hasPemLabel(bytes, secretPem)) throw secretKey(written, "openpgp");
  const { certificates, warnings } = parseKeyring(bytes, nodeEngine);
  const unique = makeKeyring(certificates).certificates;
  if (unique.length === 0) {
    const isPem = hasPemLabel(bytes, publicPem);
    throw new FormatError("key-malformed", `${written}: there is no OpenPGP public key in it${firstOf(warnings)}`, {
      hint: isPem
        ? "it is a PEM public key, as sigstore has them: use --type sigstoreSigned"
        : "`gpg --export --armor NAME` writes such a file",
    });
  }
  const assessed = unique.map((certificate) => assess(certificate, options.now));
  const usable = assessed.filter(({ signingKeys }) => signingKeys.length > 0);
  const unusable = assessed.filter(({ signingKeys }) => signingKeys.length === 0).map(describeUnusable);
  if (usable.length === 0 && !options.force) {
    throw new PolicyError(
      "no-trust-anchors",
      `${written}: no key in it can sign: ${unusable.slice(0, MAX_NAMED).join("; ")}`,
      {
        hint: "get the current key of its owner; with --force it is trusted all the same",
      },
    );
  }
  const shown = (usable.length === 0 ? assessed : usable).map(
    ({ userIds, fingerprint }) => `${userIds[0] ?? "(no user id)"} ${fingerprint}`,
  );
  return {
    description: `${written}: ${shown.slice(0, MAX_NAMED).join(", ")}${shown.length > MAX_NAMED ? `, and ${shown.length - MAX_NAMED} more` : ""}`,
    warnings: [...warnings, ...unusable.map((text) => `${text}; its signatures will be rejected`)].map(
      (text) => `${written}: ${text}`,
    ),
  };
}

/** Keys or warnings of one file that a line names. */
const MAX_NAMED = 3;

function assess(certificate: Certificate, now: number): CertificateAssessment {
  return assessCertificate(certificate, now);
}

function describeUnusable({ fingerprint, userIds, keys }: CertificateAssessment): string {
  const [primary] = keys;
  const candidate = keys.find(({ status }) => status === "expired" || status === "revoked") ?? primary!;
  const end = candidate.status === "expired" ? candidate.expiresAt : undefined;
  const on = end === undefined ? "" : ` on ${new Date(end).toISOString().slice(0, 10)}`;
  return `${userIds[0] ?? "(no user id)"} ${fingerprint}: ${candidate.explanation}${on}`;
}

function checkPem({ written, bytes }: KeyFile, { purpose }: TrustKeyOptions): CheckedKey {
  if (hasPemLabel(bytes, secretPem) || holdsSecretKey(bytes)) throw secretKey(written, "sigstore");
  const text = new TextDecoder().decode(bytes);
  const labels = [...text.matchAll(/^-----BEGIN ([^\n]*?)-----\s*$/gm)].map((match) => match[1] ?? "");
  const wrong = (problem: string, hint: string): FormatError =>
    new FormatError("key-malformed", `${written}: ${problem}`, { hint });
  const howTo = "`cosign public-key` or `skopeo generate-sigstore-key` write such a file";
  const [label] = labels;
  if (label === undefined) {
    const isOpenPgp = parseKeyring(bytes, nodeEngine).certificates.length > 0;
    throw wrong("there is no PEM public key in it", isOpenPgp ? "it is an OpenPGP key: use --type signedBy" : howTo);
  }
  if (label.startsWith("PGP ")) throw wrong("it is an OpenPGP key and not a PEM public key", "use --type signedBy");
  if (label === "CERTIFICATE")
    throw wrong("it is a certificate and not a public key", "`openssl x509 -pubkey -noout` takes the key out of it");
  if (label !== "PUBLIC KEY" && label !== "RSA PUBLIC KEY")
    throw wrong(`it holds ${JSON.stringify(label)} and not a public key`, howTo);
  if (labels.length > 1)
    throw wrong(
      "more than one PEM block in it; readers look at the first alone",
      "put each key into a file of its own",
    );
  let key: KeyObject;
  try {
    key = createPublicKey({ key: text, format: "pem" });
  } catch (cause) {
    throw new FormatError("key-malformed", `${written}: the PEM public key in it cannot be read`, {
      cause,
      hint: howTo,
    });
  }
  const type = key.asymmetricKeyType ?? "unknown";
  if (purpose === "rekor" && type !== "ec")
    throw wrong(`a log's key must be ECDSA, and this is ${type}`, "fetch the log's own public key");
  if (!["ec", "rsa", "ed25519"].includes(type))
    throw wrong(`keys of type ${type} are not taken by readers of the policy`, howTo);
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return { description: `${written}: ${type}${curve === undefined ? "" : ` ${curve}`} public key`, warnings: [] };
}

const secretPem = /^-----BEGIN [^\n]*PRIVATE KEY(?: BLOCK)?-----/m;
const publicPem = /^-----BEGIN (?:RSA )?PUBLIC KEY-----/m;

/** Looks at the beginning alone; a key file is short. */
function hasPemLabel(bytes: Uint8Array, label: RegExp): boolean {
  return label.test(new TextDecoder("latin1").decode(bytes.subarray(0, MAX_PEM_BYTES)));
}

/** Bytes: far more than any PEM key. */
const MAX_PEM_BYTES = 64 * 1024;

function secretKey(path: string, kind: "openpgp" | "sigstore"): FormatError {
  return new FormatError("secret-key-refused", `${path}: this is a secret key; a policy names public ones`, {
    hint:
      kind === "openpgp"
        ? "`signet keys export` writes the public half; keep the secret one where it is"
        : "`cosign public-key --key FILE` writes the public half; keep the secret one where it is",
  });
}

function firstOf(warnings: readonly string[]): string {
  return warnings.length === 0 ? "" : ` (${warnings[0]})`;
}
