/** TLS files for a registry: the `certs.d` folders that docker, podman and skopeo share (containers-certs.d(5)). */
import { X509Certificate, createPrivateKey } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, SignetError } from "@signet/core";
import { readFileBounded } from "./bounded-file.ts";
import { errnoOf, fileError } from "./file-error.ts";
import { type HostEnvironment, systemPath } from "./host-environment.ts";

/** A client certificate with its key, both PEM. The key is a secret. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

/** What TLS connections to one registry use beside the system's own roots. */
export interface TlsMaterial {
  /** PEM texts of further certificate authorities, each with one certificate or several. */
  readonly authorities: readonly string[];
  readonly clients: readonly ClientCertificate[];
  /** The folder all of it came from; undefined when there is none. */
  readonly folder: string | undefined;
}

/** Bytes: a certificate takes two thousand, a bundle of all public authorities a quarter of this. */
const MAX_CERTIFICATE_BYTES: number = 1024 * 1024;

/** Files read in one folder; one or two authorities and a client pair are usual. */
const MAX_CERTIFICATE_FILES = 200;

/** What there is when no folder exists. */
const nothing: TlsMaterial = { authorities: [], clients: [], folder: undefined };

/**
 * Finds and reads the TLS files for a registry. The first existing folder of this order is used alone: `~/.config/containers/certs.d`,
 * `/etc/containers/certs.d`, `/usr/share/containers/certs.d`, `/etc/docker/certs.d`, each followed by the registry's `host[:port]` as image names write it.
 * Folders that may not be read are passed over. In a folder `*.crt` are certificate authorities, `X.cert` with `X.key` a client certificate; other files are ignored.
 *
 * Not checked: expiry and purpose of the certificates; the TLS handshake does that.
 * @param hostPort `host` or `host:port` as in image names, such as `docker.io`
 * @param options.certDir replaces the search (`--cert-dir`); it must exist
 * @throws FormatError `certificate-unusable`; StoreError `file-missing`, `file-unreadable`
 */
export async function loadCertificates(
  hostPort: string,
  host: HostEnvironment,
  options: { readonly certDir?: string } = {},
): Promise<TlsMaterial> {
  if (options.certDir !== undefined) return readFolder(options.certDir, await listFolder(options.certDir));
  // The grammar of references has no such hosts; a caller's slip must not lead out of the folder.
  if (hostPort === "" || hostPort.startsWith(".") || /[/\\\0]/.test(hostPort)) return nothing;
  for (const base of certificateFolders(host)) {
    const folder = join(base, hostPort);
    let entries: readonly string[];
    try {
      entries = await listFolder(folder);
    } catch (error) {
      const errno = error instanceof SignetError ? errnoOf(error.cause) : undefined;
      if (errno === "ENOENT" || errno === "ENOTDIR" || errno === "EACCES" || errno === "EPERM") continue;
      throw error;
    }
    return readFolder(folder, entries);
  }
  return nothing;
}

function certificateFolders(host: HostEnvironment): readonly string[] {
  return [
    join(host.home, ".config/containers/certs.d"),
    systemPath(host, "/etc/containers/certs.d"),
    systemPath(host, "/usr/share/containers/certs.d"),
    systemPath(host, "/etc/docker/certs.d"),
  ];
}

async function listFolder(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).toSorted();
  } catch (error) {
    throw fileError(error, folder, "read", "the certificates in");
  }
}

async function readFolder(folder: string, entries: readonly string[]): Promise<TlsMaterial> {
  const wanted = entries.filter((name) => /\.(?:crt|cert|key)$/.test(name));
  if (wanted.length > MAX_CERTIFICATE_FILES) throw unusable(folder, `more than ${MAX_CERTIFICATE_FILES} files`);
  const present = new Set(wanted);
  const authorities: string[] = [];
  const clients: ClientCertificate[] = [];
  for (const name of wanted) {
    if (name.endsWith(".crt")) {
      authorities.push(await readCertificate(join(folder, name)));
    } else if (name.endsWith(".cert")) {
      const partner = `${name.slice(0, -".cert".length)}.key`;
      if (!present.has(partner)) {
        throw unusable(
          folder,
          `missing key ${partner} for client certificate ${name}`,
          "a CA certificate should use the extension .crt",
        );
      }
      const cert = await readCertificate(join(folder, name));
      clients.push({ cert, key: await readKey(join(folder, partner), cert) });
    } else {
      const partner = `${name.slice(0, -".key".length)}.cert`;
      if (!present.has(partner)) throw unusable(folder, `missing client certificate ${partner} for key ${name}`);
    }
  }
  return { authorities, clients, folder };
}

async function readPem(path: string): Promise<string> {
  return new TextDecoder().decode(await readFileBounded(path, MAX_CERTIFICATE_BYTES, "certificate file"));
}

async function readCertificate(path: string): Promise<string> {
  const text = await readPem(path);
  parseCertificate(path, text);
  return text;
}

function parseCertificate(path: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (cause) {
    throw unusable(path, "it holds no PEM certificate", undefined, cause);
  }
}

async function readKey(path: string, cert: string): Promise<string> {
  const text = await readPem(path);
  let fits: boolean;
  try {
    fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(text));
  } catch {
    // The library's message may quote the input; the cause is left out so that no part of a key is printed.
    throw unusable(path, "it holds no PEM private key without passphrase");
  }
  if (!fits) throw unusable(path, "the key does not belong to the certificate beside it");
  return text;
}

function unusable(path: string, problem: string, hint?: string, cause?: unknown): FormatError {
  return new FormatError("certificate-unusable", `${path}: ${problem}`, {
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}
