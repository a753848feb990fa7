import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, it } from "node:test";
import { PolicyError, parseReference } from "@signet/core";
import { lookasideBase, useSigstoreAttachments } from "./registries-d-lookup.ts";
import { type RegistriesD, loadRegistriesD } from "./registries-d.ts";

interface LookupVector {
  readonly config: string;
  readonly reference: string;
  readonly read: string;
  readonly write: string;
  readonly attachments: boolean;
}

const vectors = fileURLToPath(new URL("../../../../vectors/registries-d/", import.meta.url));
const lookups = JSON.parse(readFileSync(join(vectors, "lookups.json"), "utf8")) as readonly LookupVector[];
const host = { env: {}, uid: 1000, home: "/home/u" };

async function load(name: string): Promise<RegistriesD> {
  const config = await loadRegistriesD({ host, directory: join(vectors, name) });
  assert.ok(config.files.length > 0);
  return { ...config, builtinFolder: "/built/in" };
}

function baseText(config: RegistriesD, reference: string, access: "read" | "write"): string {
  const { origin, path, suffix } = lookasideBase(config, parseReference(reference), access).base;
  return `${origin}${path}${suffix}`;
}

describe("choosing a section of registries.d", () => {
  for (const vector of lookups) {
    it(`${vector.config}: ${vector.reference} is read at ${vector.read} and written at ${vector.write}`, async () => {
      const config = await load(vector.config);
      for (const access of ["read", "write"] as const)
        assert.equal(baseText(config, vector.reference, access), vector[access]);
      const { enabled } = useSigstoreAttachments(config, parseReference(vector.reference));
      assert.equal(enabled, vector.attachments);
    });
  }

  it("says which file, line, section and key gave the answer", async () => {
    const config = await load("worked-example");
    const reference = parseReference("registry.example.com/team/app:1");
    const file = join(vectors, "worked-example/10-company.yaml");
    assert.equal(
      lookasideBase(config, reference, "read").explanation,
      `docker: registry.example.com (lookaside) in ${file}:2`,
    );
    assert.equal(
      lookasideBase(config, reference, "write").explanation,
      `docker: registry.example.com/team (lookaside-staging) in ${file}:3`,
    );
    assert.equal(
      useSigstoreAttachments(config, reference).explanation,
      `docker: registry.example.com/team (use-sigstore-attachments) in ${file}:3`,
    );
    const fallback = lookasideBase(config, parseReference("quay.io/x"), "read");
    assert.equal(
      fallback.explanation,
      `default-docker (lookaside) in ${join(vectors, "worked-example/00-company.yaml")}:1`,
    );
    assert.equal(fallback.section?.namespace, undefined);
  });

  it("names the file and key of a URL that cannot be understood, when that section is chosen and not before", async () => {
    const config = await load("containers-image");
    const file = join(vectors, "containers-image/internal-example.com.yaml");
    assert.throws(
      () => lookasideBase(config, parseReference("localhost/invalid/url/test"), "read"),
      (error) =>
        error instanceof PolicyError &&
        error.message.startsWith(
          `docker: localhost/invalid/url/test.lookaside in ${file}:14: invalid signature storage URL ":emptyscheme"`,
        ),
    );
  });

  it("falls back to the built-in folder, with a word on why", async () => {
    const config = await load("distribution-default");
    const choice = lookasideBase(config, parseReference("quay.io/x"), "write");
    assert.equal(choice.base.folder, "/built/in");
    assert.equal(choice.section, undefined);
    assert.match(choice.explanation, /no section of registries\.d gives a URL for writing/);
  });
});
