import assert from "node:assert/strict";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { type TestContext, describe, it } from "node:test";
import { SignetError } from "@signet/core";
import { type TempDir, type TlsCertificates, makeTempDir, makeTlsCertificates, requireTool } from "@signet/testkit";
import { loadCertificates } from "./certs-d.ts";
import type { HostEnvironment } from "./host-environment.ts";

interface Machine {
  readonly dir: TempDir;
  readonly host: HostEnvironment;
  readonly tls: TlsCertificates;
  /** Copies CA, client certificate and key into a folder below the machine's root. */
  install(folder: string): string;
}

async function makeMachine(t: TestContext): Promise<Machine | undefined> {
  if (requireTool(t, "openssl") === undefined) return undefined;
  const dir = makeTempDir("signet-certs-");
  const tls = await makeTlsCertificates();
  t.after(() => {
    dir.dispose();
    tls.dispose();
  });
  return {
    dir,
    tls,
    host: { env: {}, uid: 1000, home: dir.join("home"), root: dir.path },
    install(folder) {
      mkdirSync(dir.join(folder), { recursive: true });
      cpSync(tls.certDir, dir.join(folder), { recursive: true });
      return dir.join(folder);
    },
  };
}

function failsWith(code: string, pattern: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof SignetError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, pattern);
    return true;
  };
}

void describe("certs.d", () => {
  void it("uses the first folder that exists for the registry, and that alone", async (t) => {
    const machine = await makeMachine(t);
    if (machine === undefined) return;
    const found = async (hostPort: string): Promise<string | undefined> =>
      (await loadCertificates(hostPort, machine.host)).folder;
    assert.equal(await found("r.test:5000"), undefined);
    const folders = [
      "etc/docker/certs.d",
      "usr/share/containers/certs.d",
      "etc/containers/certs.d",
      "home/.config/containers/certs.d",
    ];
    for (const folder of folders) {
      const installed = machine.install(`${folder}/r.test:5000`);
      assert.equal(await found("r.test:5000"), installed);
    }
    rmSync(machine.dir.join("home"), { recursive: true });
    mkdirSync(machine.dir.join("home/.config/containers/certs.d/r.test:5000"), { recursive: true });
    assert.deepEqual((await loadCertificates("r.test:5000", machine.host)).authorities, []);
    assert.equal(await found("r.test"), undefined);
  });

  void it("reads authorities, and client certificates with their keys", async (t) => {
    const machine = await makeMachine(t);
    if (machine === undefined) return;
    const folder = machine.install("etc/containers/certs.d/r.test");
    writeFileSync(`${folder}/README`, "not for us");
    const material = await loadCertificates("r.test", machine.host);
    assert.deepEqual(material.authorities, [machine.tls.ca]);
    assert.equal(material.clients.length, 1);
    assert.match(material.clients[0]!.key, /PRIVATE KEY/);
  });

  void it("takes --cert-dir in place of all folders, and misses it when it is not there", async (t) => {
    const machine = await makeMachine(t);
    if (machine === undefined) return;
    machine.install("etc/containers/certs.d/r.test");
    const material = await loadCertificates("r.test", machine.host, { certDir: machine.tls.certDir });
    assert.equal(material.folder, machine.tls.certDir);
    const missing = loadCertificates("r.test", machine.host, { certDir: machine.dir.join("typo") });
    await assert.rejects(missing, failsWith("file-missing", /typo/));
  });

  for (const [what, change, pattern] of [
    [
      "a certificate without its key",
      (folder: string) => rmSync(`${folder}/client.key`),
      /missing key client\.key for client certificate client\.cert/,
    ],
    [
      "a key without its certificate",
      (folder: string) => rmSync(`${folder}/client.cert`),
      /missing client certificate client\.cert for key client\.key/,
    ],
    [
      "an authority that is none",
      (folder: string) => writeFileSync(`${folder}/ca.crt`, "hello"),
      /ca\.crt: it holds no PEM certificate/,
    ],
    [
      "a key that is none",
      (folder: string) => writeFileSync(`${folder}/client.key`, "s3cr3t"),
      /client\.key: it holds no PEM private key/,
    ],
    [
      "a certificate in place of an authority's partner",
      (folder: string) => cpSync(`${folder}/ca.crt`, `${folder}/client.cert`),
      /does not belong to the certificate/,
    ],
    ["a file without end", (folder: string) => writeFileSync(`${folder}/ca.crt`, "x".repeat(1024 * 1024 + 1)), /limit/],
  ] as const) {
    void it(`refuses ${what}`, async (t) => {
      const machine = await makeMachine(t);
      if (machine === undefined) return;
      change(machine.install("etc/containers/certs.d/r.test"));
      await assert.rejects(
        loadCertificates("r.test", machine.host),
        failsWith(what.includes("without end") ? "input-too-large" : "certificate-unusable", pattern),
      );
    });
  }

  void it("T17: does not leave its folders for a name that is no host", async (t) => {
    const machine = await makeMachine(t);
    if (machine === undefined) return;
    machine.install("etc/containers/evil");
    for (const name of ["../evil", "..", ".", "", "a/../../evil", "a\\b", "a\0b"]) {
      assert.equal((await loadCertificates(name, machine.host)).folder, undefined, JSON.stringify(name));
    }
  });
});
