import { getCACertificates } from "node:tls";
import { SignetError } from "@signet/core";
import { readFileBounded } from "../config/bounded-file.ts";
import { errnoOf } from "../config/file-error.ts";
import { type HostEnvironment, systemPath } from "../config/host-environment.ts";

/** Where distributions keep the bundle of trusted authorities; the first that exists counts, as for other container tools. */
const bundleFiles: readonly string[] = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** Bytes: the bundles of today take a quarter of a megabyte. */
const MAX_BUNDLE_BYTES: number = 16 * 1024 * 1024;

/**
 * The certificate authorities that this machine trusts, as PEM texts: the file that `SSL_CERT_FILE` names, else the distribution's bundle, else those that
 * come with Node.js; and those of `NODE_EXTRA_CA_CERTS`. An authority that the administrator put into or took out of the system's bundle so counts here too,
 * which is not what Node.js does by itself.
 * @throws StoreError `file-missing`, `file-unreadable` when `SSL_CERT_FILE` cannot be read
 */
export async function loadTrustedRoots(host: HostEnvironment): Promise<readonly string[]> {
  const named = host.env["SSL_CERT_FILE"];
  if (named !== undefined && named !== "") return [await readBundle(named), ...getCACertificates("extra")];
  for (const file of bundleFiles) {
    try {
      return [await readBundle(systemPath(host, file)), ...getCACertificates("extra")];
    } catch (error) {
      if (!(error instanceof SignetError) || errnoOf(error.cause) !== "ENOENT") throw error;
    }
  }
  return getCACertificates("default");
}

async function readBundle(path: string): Promise<string> {
  return new TextDecoder().decode(await readFileBounded(path, MAX_BUNDLE_BYTES, "bundle of certificate authorities"));
}
