import assert from "node:assert/strict";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type StoreSurvey, parsePolicy } from "@signet/core";
import { type TempDir, makeTempDir } from "@signet/testkit";
import { gatherPolicyFacts } from "../config/policy-facts.ts";
import { loadRegistriesD } from "../config/registries-d.ts";

const oracle = join(import.meta.dirname, "../../../../vectors/openpgp/oracle");
const RSA = "A99235869F61C72F";
const ED25519 = "F1AD5B92D6E41B97";
const hex = "20bf21ed457b390829cdbeec8795a7bea1626991fda603e0d01b4e7f60427e55";

function put(dir: TempDir, folder: string, ...signatures: readonly string[]): void {
  mkdirSync(dir.join(folder), { recursive: true });
  signatures.forEach((name, index) => cpSync(join(oracle, name), dir.join(folder, `signature-${index + 1}`)));
}

async function survey(dir: TempDir, yaml: string, transports: object): Promise<ReadonlyMap<string, StoreSurvey>> {
  mkdirSync(dir.join("d"), { recursive: true });
  writeFileSync(dir.join("d/x.yaml"), yaml);
  const host = { env: {}, uid: 0, home: "/root", root: dir.path };
  const registriesD = await loadRegistriesD({ host, directory: dir.join("d") });
  const policy = parsePolicy(new TextEncoder().encode(JSON.stringify({ default: [{ type: "reject" }], transports })));
  const facts = await gatherPolicyFacts(policy, { now: 0, registriesD, root: dir.path, surveysStores: true });
  return facts.surveys!;
}

const signed = [{ type: "signedBy", keyType: "GPGKeys", keyPath: "/none" }];
const issuers = (found: ReadonlyMap<string, StoreSurvey>, label: string): object => {
  return Object.fromEntries(found.get(label)?.issuers ?? []);
};

test("a scope's signatures are those below its own path, in its own store and in those of the sections below it", async () => {
  using dir = makeTempDir();
  put(dir, `srv/team/app@sha256=${hex}`, "ok-rsa-sha256.sig", "ok-ed25519.sig");
  put(dir, `srv/team/app/sub@sha256=${hex}`, "ok-rsa-sha256.sig");
  put(dir, `srv/team/apple@sha256=${hex}`, "ok-ed25519.sig");
  put(dir, `other/team/special/x@sha256=${hex}`, "ok-ed25519.sig");
  put(dir, "images/one", "ok-rsa-sha256.sig");
  const yaml = [
    "docker:",
    "  registry.example.com: { lookaside: 'file:///srv' }",
    "  registry.example.com/team/special: { lookaside: 'file:///other' }",
    "  web.example.com: { lookaside: 'https://user:secret@sig.example.com/s' }",
  ].join("\n");
  const found = await survey(dir, yaml, {
    docker: {
      "registry.example.com/team/app": signed,
      "registry.example.com/team/app:1": signed,
      "registry.example.com/team": signed,
      "registry.example.com": signed,
      "web.example.com": signed,
      "accepted.example.com": [{ type: "insecureAcceptAnything" }],
      "never matches": signed,
    },
    dir: { "/images": signed },
  });
  assert.deepEqual(issuers(found, "docker: registry.example.com/team/app"), { [RSA]: 2, [ED25519]: 1 });
  assert.deepEqual(issuers(found, "docker: registry.example.com/team/app:1"), { [RSA]: 2, [ED25519]: 1 });
  assert.deepEqual(issuers(found, "docker: registry.example.com/team"), { [RSA]: 2, [ED25519]: 3 });
  assert.deepEqual(issuers(found, "docker: registry.example.com"), { [RSA]: 2, [ED25519]: 3 });
  assert.deepEqual(issuers(found, "dir: /images"), { [RSA]: 1 });
  assert.deepEqual(found.get("docker: web.example.com"), {
    ...{ signatures: 0, unreadable: 0, isCut: false, issuers: new Map(), folders: [] },
    unlistable: ["https://***@sig.example.com/s"],
  });
  assert.equal(found.size, 6);
});

test("links are not followed, other files and formats are not counted, broken signatures are", async () => {
  using dir = makeTempDir();
  put(dir, `srv/app@sha256=${hex}`, "ok-rsa-sha256.sig");
  const folder = dir.join(`srv/app@sha256=${hex}`);
  symlinkSync(join(oracle, "ok-ed25519.sig"), join(folder, "signature-2"));
  symlinkSync(folder, dir.join("srv/linked"));
  writeFileSync(join(folder, "signature-3"), "broken");
  writeFileSync(join(folder, "signature-4"), '\0sigstore-json\n{"mimeType":"x","payload":"","annotations":{}}');
  writeFileSync(join(folder, "notes"), "x");
  const found = await survey(dir, "default-docker: { lookaside: 'file:///srv' }", { docker: { "e.com": signed } });
  const { signatures, unreadable } = found.get("docker: e.com")!;
  assert.deepEqual([issuers(found, "docker: e.com"), signatures, unreadable], [{ [RSA]: 1 }, 1, 1]);
});
