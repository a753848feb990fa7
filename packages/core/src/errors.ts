/**
 * Every failure that Signet throws carries a code from {@link errorTable}. Verdicts are data and are
 * never thrown; what is thrown means "could not tell" or "could not do".
 */

/** Which of the few error classes a code belongs to; callers act on the class, people read the code. */
export type ErrorKind = "format" | "policy" | "store" | "usage" | "internal" | "undetermined" | "rejected";

/** One row of the table: what the code means and what to do about it. `docs/errors.md` is kept equal to it by a test. */
export interface ErrorRow {
  readonly kind: ErrorKind;
  readonly meaning: string;
  readonly remedy: string;
}

/** The one table of error codes, sorted by code. */
export const errorTable = {
  "access-entry-exists": {
    kind: "store",
    meaning: "An account, group, access token or role of that name is there already.",
    remedy: "Choose another name, or change the one that is there.",
  },
  "access-entry-missing": {
    kind: "store",
    meaning: "No account, group, access token or role of that name is there.",
    remedy: "List what is there, and check the spelling; names are written exactly.",
  },
  "access-name-malformed": {
    kind: "usage",
    meaning: "A name of an account, group or access token has characters that it may not have, or is too long.",
    remedy: "Use lower-case letters, digits and `. _ @ + -`; robot accounts are named `robot$NAME`.",
  },
  "access-token-refused": {
    kind: "usage",
    meaning: "An access token would be of no use (no scope, expired already), or its account has as many as may be.",
    remedy: "Name scopes and a time in the future; revoke access tokens that are not used.",
  },
  "auth-file-malformed": {
    kind: "format",
    meaning:
      "A file with registry credentials (`auth.json`, docker's `config.json`, `.dockercfg`) is not what its format says.",
    remedy: "Correct the file, or write it again with `signet login`.",
  },
  "base64-malformed": {
    kind: "format",
    meaning: "A text that must be standard, padded base64 (RFC 4648 section 4) is not.",
    remedy: "Encode the bytes again with `base64`; URL-safe or unpadded base64 is not accepted.",
  },
  "blob-missing": {
    kind: "store",
    meaning: "The bytes of a blob or of an upload are not in the blob store, though the database knows them.",
    remedy:
      "Begin an upload again; for a blob, `signet admin check` says what else is missing, and a push or a backup brings it back.",
  },
  "blob-place-malformed": {
    kind: "store",
    meaning:
      "The place of a blob or the state of an upload, as the database has it, is none that this blob store makes.",
    remedy:
      "Name the blob store in the configuration that this database was used with; nothing outside of it was touched.",
  },
  "blob-store-unusable": {
    kind: "store",
    meaning: "The blob store (a folder, or a bucket of S3) does not answer, or cannot be read or written.",
    remedy: "Follow the hint; `storage` in the configuration says which one it is.",
  },
  "butane-malformed": {
    kind: "format",
    meaning:
      "A Butane file does not parse, holds something that is not known or not rendered, or would make a MachineConfig that no node accepts.",
    remedy:
      "Correct the place that the message names; the specification of Butane's variant `openshift` lists every field.",
  },
  "catalog-malformed": {
    kind: "format",
    meaning:
      "An operator catalog or bundle is not JSON values or YAML documents of its schemas, says two things at once, or holds nothing.",
    remedy: "Look at the file and line that are named; `opm validate DIR` reads catalogs too.",
  },
  "catalog-undetermined": {
    kind: "undetermined",
    meaning: "Something could not be told about images of an operator catalog, and no other one is in error.",
    remedy: "Make the registries and stores that are named reachable, and audit again.",
  },
  "certificate-unusable": {
    kind: "format",
    meaning: "A certificate or key for a registry cannot be read, does not fit, or lacks its partner.",
    remedy: "Put `X.cert` beside `X.key`, and give CA certificates the extension `.crt`.",
  },
  "checksum-list-malformed": {
    kind: "format",
    meaning: "A list of checksums is not what `sha256sum` writes, or names a file that leads out of its folder.",
    remedy: "Take the list as it was published; the line that is named is the first that cannot be read.",
  },
  "cluster-error": {
    kind: "store",
    meaning: "A cluster's API answered with something other than what was asked for.",
    remedy: "Check that the kubeconfig names the API of an OpenShift cluster.",
  },
  "cluster-refused": {
    kind: "store",
    meaning: "A cluster's API does not accept the credentials, or the account may not list what was asked for.",
    remedy: "Log in again with `oc login`; role cluster-reader may list pools and nodes.",
  },
  "cluster-unreachable": {
    kind: "store",
    meaning: "No answer from a cluster's API: name not found, connection refused or lost, too slow, or busy.",
    remedy: "Check the server that the kubeconfig names, and the network; no proxy is used.",
  },
  "command-line-malformed": {
    kind: "usage",
    meaning: "A command was called with arguments or options that it does not take, or that do not go together.",
    remedy: "See `signet COMMAND --help`, which has an example.",
  },
  "compression-malformed": {
    kind: "format",
    meaning: "Compressed data is damaged, ends too early, or has octets after its end.",
    remedy: "Fetch or make the file again.",
  },
  "config-malformed": {
    kind: "policy",
    meaning:
      "The server's configuration (its file, a `SIGNET_…` variable or an option) has an unknown key, a value of the wrong kind, or keys that do not go together.",
    remedy: "Correct the place that the message names; docs/registry-config.md lists every key.",
  },
  "conversion-refused": {
    kind: "format",
    meaning:
      "A manifest would have to be converted to another format, and that would invalidate signatures, change a digest that is to stay, or lose what the other format cannot say.",
    remedy: "Copy the image as it is, or follow the hint; what has a new digest is signed anew.",
  },
  "credential-helper-failed": {
    kind: "store",
    meaning: "A credential helper could not be started, took too long, or reported a problem.",
    remedy: "Run `docker-credential-NAME get` by hand, with the host on standard input.",
  },
  "database-busy": {
    kind: "store",
    meaning: "Another process has been writing to the server's database for too long.",
    remedy: "Look for a process that hangs with the database open, and end it.",
  },
  "database-unusable": {
    kind: "store",
    meaning: "The server's database cannot be opened or reached, is damaged, or was last used by a newer program.",
    remedy: "Follow the hint; `--data` or `database` in the configuration says which one it is.",
  },
  "destination-unsuitable": {
    kind: "store",
    meaning:
      "The destination cannot take the image: it is of another kind, or cannot keep signatures or manifests of this type.",
    remedy: "Choose another destination, or follow the hint.",
  },
  "digest-malformed": {
    kind: "format",
    meaning:
      "A digest is not `sha256:`, `sha384:` or `sha512:` followed by exactly 64, 96 or 128 lower-case hex digits.",
    remedy: "Copy the digest whole, in lower case, with its algorithm.",
  },
  "digest-mismatch": {
    kind: "store",
    meaning: "Bytes that were received do not have the digest or size they were asked for by; they are not used.",
    remedy: "The source is damaged or lies: compare with another source.",
  },
  "disk-full": {
    kind: "store",
    meaning: "There is no space (or quota) left to write to.",
    remedy: "Free some space and try again; nothing was half-written.",
  },
  "engine-error": {
    kind: "store",
    meaning: "A docker engine answered with something other than what was asked for.",
    remedy: "Read the engine's own words in the message; `docker load` and `docker save` do the same by hand.",
  },
  "engine-unreachable": {
    kind: "store",
    meaning: "No answer from the docker engine: no socket, nobody behind it, or no permission.",
    remedy: "Start the engine, or name its socket in `DOCKER_HOST`.",
  },
  "file-missing": {
    kind: "store",
    meaning: "A file or folder that was named does not exist.",
    remedy: "Check the path.",
  },
  "file-unreadable": {
    kind: "store",
    meaning: "A file or folder exists and cannot be read.",
    remedy: "Check what it is, who owns it and what its mode allows.",
  },
  "file-unwritable": {
    kind: "store",
    meaning: "A file or folder cannot be written; what was there before is unchanged.",
    remedy: "Check that the folder exists, who owns it and what its mode allows.",
  },
  "gpg-failed": {
    kind: "store",
    meaning: "gpg was asked for something and did not do it.",
    remedy: "Read gpg's own words in the message; run the same by hand, such as `gpg --list-secret-keys`.",
  },
  "gpg-missing": {
    kind: "store",
    meaning: "A key of the gpg keyring is wanted, and gpg cannot be started.",
    remedy: "Install gnupg, or use a key file.",
  },
  "htpasswd-malformed": {
    kind: "format",
    meaning: "An htpasswd file is not lines of `NAME:HASH`, or holds hashes other than bcrypt; nothing was imported.",
    remedy: "Set the passwords of the lines that are named again with `htpasswd -B`.",
  },
  "identity-missing": {
    kind: "usage",
    meaning: "A signature is to be made for an image whose name is no docker reference.",
    remedy: "Say which image the signature is for: `--identity` or `--sign-identity host/repo:tag`.",
  },
  "image-list-malformed": {
    kind: "format",
    meaning: "A list of images (plain text, Kubernetes objects, a compose file) is not what its form says.",
    remedy: "Correct the place that the message names, or say with `--from-type` what the source is.",
  },
  "image-malformed": {
    kind: "format",
    meaning: "A folder, layout or archive does not have the form its transport prescribes.",
    remedy: "Make it again with the tool that wrote it, and name the right transport.",
  },
  "image-missing": {
    kind: "store",
    meaning: "The place that was named can be read, and the image, manifest or blob is not there.",
    remedy: "Check tag and digest; without a tag, the place must hold exactly one image.",
  },
  "image-name-malformed": {
    kind: "usage",
    meaning: "An image name is not written as `transport:…`, or what follows the transport is not what it expects.",
    remedy:
      "Write `docker://host/repo:tag`, `dir:PATH`, `oci:PATH[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:REF]`, `docker-daemon:REF` or `containers-storage:NAME`; a bare name means docker://.",
  },
  "image-policy-malformed": {
    kind: "policy",
    meaning:
      "A ClusterImagePolicy, ImagePolicy, mirror set or image configuration holds what the cluster's API or its operator would refuse.",
    remedy: "Correct the member that the message names; `oc apply --dry-run=server -f FILE` asks a cluster.",
  },
  "image-rejected": {
    kind: "rejected",
    meaning: "A verdict that was required to be an acceptance is a rejection.",
    remedy: "Read the reasons; nothing was decided differently by asking for the acceptance.",
  },
  "input-too-large": {
    kind: "format",
    meaning: "An input is larger than the limit for its kind.",
    remedy: "Check that the right file was given; no genuine document of this kind is that large.",
  },
  "internal-fault": {
    kind: "internal",
    meaning: "Signet contradicted itself. This cannot happen and is a bug.",
    remedy: "Please report it with the command and its `--debug` output.",
  },
  "journal-unusable": {
    kind: "store",
    meaning: "A journal of unfinished work cannot be gone on from: it is of other inputs, damaged, or in use.",
    remedy: "Name a new file with `--resume`; the work begins anew.",
  },
  "json-malformed": {
    kind: "format",
    meaning: "A document is not well-formed JSON, or its members are not the ones its format allows.",
    remedy: "Look at the offset and path in the message.",
  },
  "key-ambiguous": {
    kind: "usage",
    meaning: "Several keys fit what was named as the key.",
    remedy: "Name the key by its full fingerprint.",
  },
  "key-malformed": {
    kind: "format",
    meaning: "A public key has impossible numbers or a form that the cryptographic library refuses.",
    remedy: "Export the key again, for example with `gpg --export`.",
  },
  "key-missing": {
    kind: "usage",
    meaning: "What was named as a key is no full fingerprint.",
    remedy: "Give all 40 hex digits of the key's fingerprint, or 64 for keys of version 6.",
  },
  "key-request-malformed": {
    kind: "usage",
    meaning: "A key that was to be made was described in a way that makes no key.",
    remedy: "Give a user id, an algorithm of the list, and an expiry above 0 seconds or none.",
  },
  "key-withdrawn": {
    kind: "format",
    meaning: "A key was withdrawn from the server for good, and was to be trusted again.",
    remedy: "Ask its owner for a new key; what the old one signed must be signed again.",
  },
  "kubeconfig-malformed": {
    kind: "policy",
    meaning:
      "A kubeconfig lacks the context, cluster or user that is wanted, or asks for something that is not done, such as an exec plugin.",
    remedy: "Use a kubeconfig with a token or a client certificate; `oc config view --minify` prints one context.",
  },
  "last-admin": {
    kind: "usage",
    meaning:
      "What was asked for would leave the server without an account that may administer it: not disabled, and with the role `admin` of its own or by a group.",
    remedy: "Make another account admin first.",
  },
  "listen-failed": {
    kind: "store",
    meaning: "The server cannot listen on the address that the configuration names.",
    remedy: "Name another one with `--listen HOST:PORT`, or end the program that listens there.",
  },
  "login-busy": {
    kind: "store",
    meaning: "More passwords are being checked at once than the server has memory for.",
    remedy: "Try again in some seconds; access tokens need no such check.",
  },
  "machineconfig-malformed": {
    kind: "format",
    meaning:
      "A file is neither a MachineConfig nor an Ignition document, or a file in it is none that a node could write.",
    remedy: "Look at the file of the node that the message names; `oc get mc NAME -o yaml` prints a MachineConfig.",
  },
  "manifest-file-malformed": {
    kind: "format",
    meaning: "A file of Kubernetes manifests is neither JSON nor YAML documents, or holds something else than objects.",
    remedy: "Look at the line that is named; `kubectl apply --dry-run=client -f FILE` reads such files too.",
  },
  "manifest-malformed": {
    kind: "format",
    meaning: "A manifest cannot be read, or can be read in two ways.",
    remedy: "Fetch it again; a manifest that says two things at once is refused on purpose.",
  },
  "manifest-unsupported": {
    kind: "format",
    meaning: "A manifest is of a type or schema version that is not known.",
    remedy: "Docker schema 1 and 2, docker lists, OCI manifests and indexes are read.",
  },
  "no-trust-anchors": {
    kind: "policy",
    meaning: "A rule that demands a signature names no key that can be used, so nothing could ever satisfy it.",
    remedy: "Check that the key files hold OpenPGP public keys, for example with `signet keys list`.",
  },
  "node-transcript-malformed": {
    kind: "format",
    meaning: "What a script printed of a node's files is cut off, contradicts itself, or is something else.",
    remedy: "Collect it again with the script that `signet machineconfig verify --script` prints.",
  },
  "openpgp-malformed": {
    kind: "format",
    meaning:
      "An OpenPGP message does not have the one form that is accepted: a signed message, compressed at most once.",
    remedy: "Look at the rule named in the message; sign again with `signet sign` or `gpg --sign`.",
  },
  "passphrase-required": {
    kind: "store",
    meaning: "A secret key is protected by a passphrase, and none was given.",
    remedy: "Use `--passphrase-file FILE`; its first line counts.",
  },
  "passphrase-wrong": {
    kind: "store",
    meaning: "A secret key cannot be unlocked with the passphrase that was given.",
    remedy: "Check the passphrase file: its first line, without the line end, is the passphrase.",
  },
  "password-refused": {
    kind: "usage",
    meaning: "A new password is too short, too long, or has control characters, or the account can have none.",
    remedy: "Choose 8 to 512 bytes of text; robot accounts log in with access tokens.",
  },
  "payload-incomplete": {
    kind: "usage",
    meaning: "A signature payload was to be written without a digest or a reference.",
    remedy: "Name the image with its repository, and a tag or digest.",
  },
  "payload-malformed": {
    kind: "format",
    meaning: "A simple-signing payload is of another type, or its digest or timestamp is none.",
    remedy: "Look at the path in the message; the signature must be made anew.",
  },
  "platform-missing": {
    kind: "format",
    meaning: "A manifest list has no image for the platform that was asked for.",
    remedy: "Choose a platform that the list has, with --override-os, --override-arch and --override-variant.",
  },
  "policy-malformed": {
    kind: "policy",
    meaning: "A policy.json is not well-formed, holds something that is not known, or leaves something out.",
    remedy: "Correct the place that the message names; `signet policy check` reads the file without using it.",
  },
  "policy-missing": {
    kind: "store",
    meaning: "No policy.json was named, and none is in the places where it is searched.",
    remedy: "Use `--policy FILE`, or put one at `/etc/containers/policy.json`.",
  },
  "policy-tests-malformed": {
    kind: "policy",
    meaning: "A file of policy tests is not YAML, holds something that is not known, or has no cases.",
    remedy: "Correct the line and column that the message names; `docs/policy-tests.md` describes the form.",
  },
  "pool-missing": {
    kind: "store",
    meaning: "There is no MachineConfigPool, or none of the name that was given.",
    remedy: "`oc get mcp` lists them.",
  },
  "proxy-malformed": {
    kind: "usage",
    meaning: "A proxy named in the environment is not a URL that can be used.",
    remedy: "Write `HTTPS_PROXY=http://host:port`; hosts to reach directly go into `NO_PROXY`.",
  },
  "pull-policy-unusable": {
    kind: "policy",
    meaning:
      "A pull policy names key files, asks for what the server cannot evaluate, or has a mode without requirements.",
    remedy: 'Put keys into `keyData`, or write `"keyPath": "server:keyring"` for the keys that the server trusts.',
  },
  "reference-incomplete": {
    kind: "usage",
    meaning: "A signature is to be made for a reference with neither tag nor digest.",
    remedy: "Name the image with a tag: `host/repo:tag`.",
  },
  "reference-malformed": {
    kind: "format",
    meaning: "An image name does not follow the grammar of docker references.",
    remedy: "Write it as `host/path:tag` or `host/path@sha256:…`, with a lower-case path.",
  },
  "registries-conf-malformed": {
    kind: "policy",
    meaning: "A registries.conf file is not TOML, is in version 1 of its format, or a value in it is not of its kind.",
    remedy: "Correct the file that the message names; see registries.conf(5).",
  },
  "registries-d-malformed": {
    kind: "policy",
    meaning:
      "A registries.d file does not parse, contradicts another one, or names a store that cannot be understood or read.",
    remedy: "Correct the file, line and key that the message names.",
  },
  "registry-blocked": {
    kind: "store",
    meaning: "registries.conf forbids the registry that an image name leads to.",
    remedy: "Name a registry that is allowed, or ask whoever keeps the file that the message names.",
  },
  "registry-error": {
    kind: "store",
    meaning: "A registry or its token service answered with something other than what was asked for.",
    remedy: "Read the status and the server's own words in the message; ask whoever runs it.",
  },
  "registry-forbidden": {
    kind: "store",
    meaning: "A registry knows who is asking and refuses.",
    remedy: "Ask whoever runs the registry for access to the repository.",
  },
  "registry-unauthorized": {
    kind: "store",
    meaning: "A registry wants credentials and has none, or does not accept those it was given.",
    remedy: "Use `signet login HOST`.",
  },
  "registry-unreachable": {
    kind: "store",
    meaning: "No answer from a registry: name not found, connection refused or lost, or too slow.",
    remedy: "Check host, port, proxy and network.",
  },
  "registry-url-refused": {
    kind: "store",
    meaning:
      "A registry named a URL elsewhere (token service, redirect, next page, upload) that is not followed: it would give credentials away, leave https, or lead into a private network.",
    remedy: "Ask whoever runs the registry. If the place is right, name it as trusted.",
  },
  "release-malformed": {
    kind: "format",
    meaning: "An image is no OpenShift release, or what it says of itself cannot be read.",
    remedy: "Name the release image itself, by digest; `oc adm release info` prints it.",
  },
  "release-trust-malformed": {
    kind: "policy",
    meaning:
      "What says whose signatures a release needs (a ConfigMap, or files) lacks keys or stores, or has malformed ones.",
    remedy: "Name a key file and a store, or take the ConfigMap from a release image that was verified.",
  },
  "release-undetermined": {
    kind: "undetermined",
    meaning: "A release lacks a signature that its trust demands, and a store that may have it could not be asked.",
    remedy: "Make the store reachable, or name another with `--store`.",
  },
  "remap-underivable": {
    kind: "policy",
    meaning: "registries.conf does not say, or says in two ways, under which name the images of a scope were signed.",
    remedy: "Follow the hint; the rule can be written out as `remap=PREFIX=SIGNED-PREFIX`.",
  },
  "repository-missing": {
    kind: "usage",
    meaning: "There is no such repository on the server, or the name is none of a repository or namespace.",
    remedy: "List the repositories; a first push makes one.",
  },
  "repository-setting-malformed": {
    kind: "usage",
    meaning: "A setting of a repository of the server was to be given a value that it cannot have.",
    remedy: "Follow the hint.",
  },
  "requirement-undetermined": {
    kind: "undetermined",
    meaning: "A requirement of the policy could not be evaluated, and no other one rejected the image.",
    remedy: "Follow the hint; until then the image is not accepted.",
  },
  "role-binding-refused": {
    kind: "usage",
    meaning: "A role cannot be given to that subject, or not there.",
    remedy: "Give `admin` to accounts and groups on the whole server, and anonymous clients no more than `reader`.",
  },
  "scope-missing": {
    kind: "policy",
    meaning: "A scope that was to be taken out of a policy is not in it.",
    remedy: "Look at `signet trust show` for what is there; a scope belongs to a transport (`--transport`).",
  },
  "scope-unmatchable": {
    kind: "usage",
    meaning: "A scope was to be written that no image can ever match, so its rule would never be in force.",
    remedy: "Write the scope that the hint names: images are looked up by their full name, `host/path:tag`.",
  },
  "secret-key-refused": {
    kind: "format",
    meaning: "A file with a secret key was given where a policy is to name public ones; nothing was written.",
    remedy: "Write the public half with `signet keys export`, and name that file.",
  },
  "secret-key-unusable": {
    kind: "format",
    meaning:
      "No secret key that can sign: none in the file or keyring, or expired, revoked, kept elsewhere, or not for signing.",
    remedy: "Follow the reason in the message; `signet keys show` lists what a key can do.",
  },
  "server-missing": {
    kind: "store",
    meaning:
      "What was asked for is kept by a Signet server, and the registry is none, or one of a version before that.",
    remedy: "Name the image at a Signet server, or leave the option out; the verdict itself needs no server.",
  },
  "short-name-ambiguous": {
    kind: "usage",
    meaning: "An image name without a registry could mean several images, or none, by registries.conf.",
    remedy: "Write the name with its registry: `host/repo:tag`.",
  },
  "signature-blob-malformed": {
    kind: "format",
    meaning: "A stored signature is neither an OpenPGP message nor a known frame.",
    remedy: "Look at the first octets; a web server that answers with a page is a usual cause.",
  },
  "signature-configmap-malformed": {
    kind: "format",
    meaning: "A ConfigMap of mirrored signatures has a value that is not base64, or far too many.",
    remedy: "Write it again with `signet release verify --write-configmap DIR`.",
  },
  "signature-store-error": {
    kind: "store",
    meaning: "A signature store answered with something that is neither a signature nor the word that there is none.",
    remedy: "Follow the hint; ask whoever runs the store.",
  },
  "signature-store-unwritable": {
    kind: "store",
    meaning: "The place that is configured for signatures cannot be written to, or cannot take what it was given.",
    remedy: "Give a `lookaside-staging: file:///…` in registries.d, or name another store.",
  },
  "signing-failed": {
    kind: "format",
    meaning: "A signature that was just made does not hold against its own key and content; it was thrown away.",
    remedy: "Check that secret and public key belong together and that gpg's configuration asks for no weak algorithm.",
  },
  "storage-conf-malformed": {
    kind: "policy",
    meaning: "A storage.conf file is not TOML, or a value in it is not of its kind.",
    remedy: "Correct the file that the message names; see containers-storage.conf(5).",
  },
  "store-busy": {
    kind: "store",
    meaning: "Another process is writing to the same place and did not finish in time.",
    remedy: "Try again when it has finished.",
  },
  "tls-failed": {
    kind: "store",
    meaning: "No trustworthy TLS connection: the certificate is not accepted, or the other side does not speak TLS.",
    remedy: "Put the CA certificate into `certs.d/HOST/ca.crt`; use `--tls-verify=false` only in tests.",
  },
  "token-request-malformed": {
    kind: "format",
    meaning: "A bearer token was asked for another service, or with a bearer token.",
    remedy: "Ask for the service that the challenge names, by user and password, by an access token, or anonymously.",
  },
  "token-scope-malformed": {
    kind: "format",
    meaning: "A scope is not `TYPE:NAME:ACTIONS`, such as `repository:team/app:pull,push`, or there are too many.",
    remedy: "Correct the scope that is named.",
  },
  "tool-failed": {
    kind: "store",
    meaning: "skopeo or podman was asked to read or write the local image storage and did not do it.",
    remedy: "Read the tool's own words in the message; run the same by hand.",
  },
  "tool-missing": {
    kind: "store",
    meaning: "The local image storage is to be read or written, and the tool that knows its drivers is not installed.",
    remedy: "Install skopeo.",
  },
  "transport-unsupported": {
    kind: "usage",
    meaning: "An image name asks for a transport that Signet does not know or does not offer here.",
    remedy:
      "Use docker://, dir:, oci:, oci-archive:, docker-archive:, docker-daemon: or containers-storage:; other tools such as skopeo convert from and to the rest.",
  },
} as const;

/** A stable, documented error code. */
export type ErrorCode = keyof typeof errorTable;

/** Optional parts of an error. */
export interface ErrorOptionsWithHint {
  /** The platform's own error, if one caused this. */
  readonly cause?: unknown;
  /** What to do next, in one line; printed as `hint: …`. */
  readonly hint?: string;
  /** Machine-readable facts; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * Base of all errors that Signet throws on purpose.
 * @param code a code of {@link errorTable}
 * @param message what happened to which thing; must not hold secrets
 */
export class SignetError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptionsWithHint = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/** Where in the input a format error was found. */
export interface FormatErrorOptions extends ErrorOptionsWithHint {
  /** Byte offset from the start of the input. */
  readonly offset?: number;
  /** Path inside a structured document, such as `critical.image`. */
  readonly path?: string;
}

/** The input bytes do not follow their format. */
export class FormatError extends SignetError {
  readonly offset: number | undefined;
  readonly path: string | undefined;

  constructor(code: ErrorCode, message: string, options: FormatErrorOptions = {}) {
    super(code, message, options);
    this.offset = options.offset;
    this.path = options.path;
  }
}

/** A policy or configuration document is not acceptable. */
export class PolicyError extends FormatError {}

/** What a caller may want to know of a failed I/O operation. */
export interface StoreErrorOptions extends ErrorOptionsWithHint {
  /** True when the same call may succeed later. Default false. */
  readonly retryable?: boolean;
  /** HTTP status, where there was one. */
  readonly status?: number;
  /** Which side failed. */
  readonly side?: "source" | "destination" | "local";
}

/** Reading or writing failed: files, registries, signature stores. */
export class StoreError extends SignetError {
  readonly retryable: boolean;
  readonly status: number | undefined;
  readonly side: "source" | "destination" | "local" | undefined;

  constructor(code: ErrorCode, message: string, options: StoreErrorOptions = {}) {
    super(code, message, options);
    this.retryable = options.retryable ?? false;
    this.status = options.status;
    this.side = options.side;
  }
}

/** Our API or command line was called wrongly. */
export class UsageError extends SignetError {}

/** Judging was started and could not be finished; never an acceptance. `details.evidence` holds what was found. */
export class UndeterminedError extends SignetError {}

/** Only `requireAccepted` throws it: a rejection, for callers who asked for an acceptance or an exception. */
export class RejectedError extends SignetError {}

/** Cannot happen. */
export class InternalError extends SignetError {
  constructor(message: string, options: ErrorOptionsWithHint = {}) {
    super("internal-fault", message, options);
  }
}
