import { readFileSync, writeFileSync } from "node:fs";
import { makeTempDir } from "./temp-dir.ts";
import type { TempDir } from "./temp-dir.ts";
import { findTool, runChecked } from "./tools.ts";

/** A certificate authority of its own, with a server certificate for 127.0.0.1 and localhost and a client certificate. */
export interface TlsCertificates extends Disposable {
  /** A directory laid out like `certs.d/HOST`: `ca.crt`, `client.cert`, `client.key`. */
  readonly certDir: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** PEM texts of the same, for servers started in this process. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  dispose(): void;
}

/** @throws Error when openssl is not installed: call `requireTool(t, "openssl")` first */
export async function makeTlsCertificates(): Promise<TlsCertificates> {
  const openssl = findTool("openssl");
  if (openssl === undefined) throw new Error("openssl is missing; install it with: apt-get install openssl");
  const server: TempDir = makeTempDir("signet-tls-");
  const client: TempDir = makeTempDir("signet-certs.d-");
  const dispose = (): void => {
    server.dispose();
    client.dispose();
  };
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"];
  const caFile = client.join("ca.crt");
  const caKey = server.join("ca.key");
  const issue = async (cert: string, key: string, subject: string, extensions: string): Promise<void> => {
    writeFileSync(server.join("extensions"), extensions);
    const request = server.join("request.csr");
    await runChecked(openssl, [
      "req",
      "-new",
      ...newKey.slice(0, 5),
      "-keyout",
      key,
      "-out",
      request,
      "-subj",
      subject,
    ]);
    const by = ["-CA", caFile, "-CAkey", caKey, "-CAcreateserial", "-days", "30"];
    const files = ["-in", request, "-out", cert, "-extfile", server.join("extensions")];
    await runChecked(openssl, ["x509", "-req", ...by, ...files], { cwd: server.path });
  };
  try {
    const subject = ["-subj", "/CN=Signet Test CA"];
    const authority = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
    await runChecked(openssl, ["req", "-x509", ...newKey, "-keyout", caKey, "-out", caFile, ...subject, ...authority]);
    const certFile = server.join("server.crt");
    const keyFile = server.join("server.key");
    await issue(certFile, keyFile, "/CN=127.0.0.1", "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
    await issue(client.join("client.cert"), client.join("client.key"), "/CN=tester", "extendedKeyUsage=clientAuth\n");
    const read = (path: string): string => readFileSync(path, "utf8");
    const texts = { ca: read(caFile), cert: read(certFile), key: read(keyFile) };
    return { certDir: client.path, caFile, certFile, keyFile, ...texts, dispose, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
