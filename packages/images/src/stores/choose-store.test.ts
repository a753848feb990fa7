import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { type TestContext, describe, it } from "node:test";
import { type Reference, SignetError, parseReference } from "@signet/core";
import { type TestRegistry, makeTempDir, startTestRegistry } from "@signet/testkit";
import { loadRegistriesD } from "../config/registries-d.ts";
import { RegistryClients } from "../registry/client.ts";
import { type ChosenStore, type StoreKind, chooseSignatureStore } from "./choose-store.ts";

interface Stage {
  readonly registry: TestRegistry;
  readonly reference: Reference;
  readonly file: string;
  readonly choose: (only?: StoreKind) => Promise<ChosenStore>;
}

async function makeStage(t: TestContext, signaturesExtension: boolean, section: string): Promise<Stage> {
  const registry = await startTestRegistry({ signaturesExtension });
  t.after(() => registry.dispose());
  const dir = makeTempDir();
  t.after(() => dir.dispose());
  const file = dir.join("registries.d", "test.yaml");
  mkdirSync(dir.join("registries.d"));
  writeFileSync(file, `docker: {"${registry.host}": ${section}}\n`);
  const host = { env: {}, uid: 1000, home: "/nonexistent", root: "/nonexistent" };
  const clients = new RegistryClients({ host, tlsVerify: false, retryTimes: 0 });
  t.after(() => clients.close());
  const registriesD = await loadRegistriesD({ host, directory: dir.join("registries.d") });
  const reference = parseReference(`${registry.host}/team/app:1`);
  const client = clients.clientFor(reference.domain);
  return {
    registry,
    reference,
    file,
    choose: (only) =>
      chooseSignatureStore(client, reference, { registriesD, clients, ...(only === undefined ? {} : { only }) }),
  };
}

describe("chooseSignatureStore", () => {
  it("takes the lookaside store where the registry announces nothing, and says why", async (t) => {
    const stage = await makeStage(t, false, `{lookaside: "file:///srv/sig"}`);
    const { kind, store, explanation } = await stage.choose();
    assert.equal(kind, "lookaside");
    assert.equal(store.label, "file:///srv/sig");
    assert.equal(store.unwritable, undefined);
    assert.deepEqual(explanation, [`docker: ${stage.registry.host} (lookaside) in ${stage.file}:1`]);
  });

  it("says for reading and writing where they differ", async (t) => {
    const stage = await makeStage(t, false, `{lookaside: "https://sig.example.com", lookaside-staging: "file:///srv"}`);
    const { explanation } = await stage.choose();
    assert.deepEqual(explanation, [
      `reading: docker: ${stage.registry.host} (lookaside) in ${stage.file}:1`,
      `writing: docker: ${stage.registry.host} (lookaside-staging) in ${stage.file}:1`,
    ]);
  });

  it("takes the signatures API that the registry announces, whatever registries.d says", async (t) => {
    const stage = await makeStage(t, true, `{lookaside: ":emptyscheme"}`);
    const { kind, store, explanation } = await stage.choose();
    assert.equal(kind, "extension");
    assert.match(store.label, /signatures API/);
    assert.match(explanation.join(), /announces the signatures API, which replaces the lookaside store/);
    await assert.rejects(
      stage.choose("lookaside"),
      (error) => error instanceof SignetError && error.code === "registries-d-malformed",
    );
  });

  it("does not ask the registry when the lookaside store was asked for", async (t) => {
    const stage = await makeStage(t, true, `{lookaside: "file:///srv/sig"}`);
    assert.equal((await stage.choose("lookaside")).kind, "lookaside");
    assert.deepEqual(stage.registry.log, []);
  });

  it("T12: does not take a registry that cannot be asked for one without the API", async (t) => {
    const stage = await makeStage(t, true, `{lookaside: "file:///srv/sig"}`);
    stage.registry.addFaults({ status: 500, times: Infinity });
    await assert.rejects(stage.choose(), SignetError);
  });
});
