/** Clients that sign in the registry as manifests: cosign and notation. Only `npm run conformance -- --clients` runs this, for cosign takes minutes to build. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { type ClientBench, logIn, makeClientBench, settings } from "./artifact-clients.testing.ts";

const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json";
const formats = async (bench: ClientBench): Promise<readonly string[]> => (await bench.list()).map((one) => one.format);

for (const setting of settings) {
  void describe(`cosign, ${setting}`, () => {
    /** Keys, a configuration without services, and the login. */
    const setUp = async (bench: ClientBench) => {
      const name = `${bench.host}/team/app@${bench.image.digest}`;
      const env = { COSIGN_PASSWORD: "of the key", COSIGN_YES: "true" };
      const cosign = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
        bench.client("cosign", [...args, "--allow-http-registry"], { env: { ...env, ...more } });
      const succeed = async (args: readonly string[], more?: Readonly<Record<string, string>>): Promise<string> => {
        const { status, stdout, stderr } = await cosign(args, more);
        assert.equal(status, 0, `cosign ${args.join(" ")}\n${stdout}${stderr}`);
        return stdout;
      };
      for (const prefix of ["cosign", "other"])
        await bench.succeed("cosign", ["generate-key-pair", "--output-key-prefix", prefix], { env });
      await logIn(bench, "cosign");
      return { name, cosign, succeed };
    };
    /** Without transparency log, by the options that older releases have as well. */
    const offline = ["--key", "cosign.key", "--use-signing-config=false", "--tlog-upload=false"];
    const verify = ["verify", "--key", "cosign.pub", "--insecure-ignore-tlog"];

    void it("signs by tag; the signature is listed, survives a push of the image, and goes with its tag", async (t) => {
      await using bench = await makeClientBench(t, setting, ["cosign"]);
      if (bench === undefined) return;
      const { name, cosign, succeed } = await setUp(bench);
      const byTag = "--new-bundle-format=false";
      const unsigned = await cosign([...verify, byTag, name]);
      assert.match(unsigned.stderr, /no signatures found/);
      await succeed(["sign", ...offline, byTag, name]);
      const tag = `${bench.image.digest.replace(":", "-")}.sig`;
      assert.equal((await succeed(["triangulate", name])).trim(), `${bench.host}/team/app:${tag}`);
      assert.match(await succeed(["tree", name]), new RegExp(`Signatures for an image tag: .*${tag}`));
      const isVerified = async (): Promise<void> => {
        const [payload] = JSON.parse(await succeed([...verify, byTag, name])) as [
          { critical: { image: Record<string, string> } },
        ];
        assert.equal(payload.critical.image["docker-manifest-digest"], bench.image.digest);
      };
      await isVerified();
      const wrong = await cosign(["verify", "--key", "other.pub", "--insecure-ignore-tlog", byTag, name]);
      assert.match(wrong.stderr, /no matching signatures/);
      assert.deepEqual(await formats(bench), ["sigstore-attachment"]);
      await bench.pushImage("team/app:2");
      assert.deepEqual(await formats(bench), ["sigstore-attachment"]);
      await isVerified();
      // A second one comes beside the first, in a new manifest under the tag.
      await succeed(["sign", ...offline, byTag, "--annotations", "build=2", name]);
      assert.deepEqual(await formats(bench), ["sigstore-attachment", "sigstore-attachment"]);

      // Without the image the tag stays, and so do they.
      assert.equal((await bench.request("DELETE", `/v2/team/app/manifests/${bench.image.digest}`)).status, 202);
      assert.equal((await bench.list("repository")).length, 2);
      await bench.pushImage("team/app:1");
      await isVerified();
      assert.equal((await bench.request("DELETE", `/v2/team/app/manifests/${tag}`)).status, 202);
      assert.deepEqual(await bench.list("repository"), []);
      assert.match((await cosign([...verify, byTag, name])).stderr, /no signatures found/);
    });

    void it("signs by referrer, with its bundle; the signature is listed and goes with its manifest", async (t) => {
      await using bench = await makeClientBench(t, setting, ["cosign"]);
      if (bench === undefined) return;
      const { name, cosign, succeed } = await setUp(bench);
      await succeed(["sign", ...offline, name]);
      await succeed([...verify, name]);
      assert.notEqual((await cosign(["verify", "--key", "other.pub", "--insecure-ignore-tlog", name])).status, 0);
      assert.match(await succeed(["tree", name]), /artifacts via OCI referrer/);
      const [listed, ...rest] = await bench.list();
      assert.deepEqual([listed?.format, rest.length], ["sigstore-bundle", 0]);
      const { text } = await bench.request("GET", `/v2/team/app/referrers/${bench.image.digest}`);
      const { manifests } = JSON.parse(text) as { manifests: { digest: string; artifactType: string }[] };
      assert.deepEqual(
        manifests.map(({ digest, artifactType }) => [digest, artifactType]),
        [[listed!.carrier, bundleType]],
      );
      // No tag stands in for the referrers API.
      assert.deepEqual(JSON.parse((await bench.request("GET", "/v2/team/app/tags/list")).text), {
        name: "team/app",
        tags: ["1"],
      });
      // It outlives the image.
      assert.equal((await bench.request("DELETE", `/v2/team/app/manifests/${bench.image.digest}`)).status, 202);
      assert.equal((await bench.list("repository")).length, 1);
      await bench.pushImage("team/app:1");
      await succeed([...verify, name]);
      assert.equal((await bench.request("DELETE", `/v2/team/app/manifests/${listed!.carrier}`)).status, 202);
      assert.deepEqual(await bench.list("repository"), []);
      assert.notEqual((await cosign([...verify, name])).status, 0);

      // An attestation is a referrer of the same type, and no signature of the image.
      writeFileSync(bench.dir.join("predicate.json"), '{"built":true}');
      await succeed(["attest", ...offline, "--type", "custom", "--predicate", "predicate.json", name]);
      await succeed(["verify-attestation", "--key", "cosign.pub", "--insecure-ignore-tlog", "--type", "custom", name]);
      assert.deepEqual(await formats(bench), []);
    });

    void it("signs and verifies in the older form by referrer, which no tag names; the signature is listed and goes with its last carrier", async (t) => {
      await using bench = await makeClientBench(t, setting, ["cosign"]);
      if (bench === undefined) return;
      const { name, cosign, succeed } = await setUp(bench);
      const experimental = { COSIGN_EXPERIMENTAL: "1" };
      const mode = ["--new-bundle-format=false", "--registry-referrers-mode", "oci-1-1"];
      await succeed(["sign", ...offline, ...mode, name], experimental);
      await succeed([...verify, "--new-bundle-format=false", "--experimental-oci11=true", name], experimental);
      const { text } = await bench.request("GET", `/v2/team/app/referrers/${bench.image.digest}`);
      const { manifests } = JSON.parse(text) as { manifests: { digest: string; artifactType: string }[] };
      const [listed, ...rest] = await bench.list();
      assert.deepEqual([listed?.format, rest.length], ["sigstore-attachment", 0]);
      assert.deepEqual(
        manifests.map(({ digest, artifactType }) => [digest, artifactType]),
        [[listed!.carrier, "application/vnd.dev.cosign.artifact.sig.v1+json"]],
      );
      const tags = JSON.parse((await bench.request("GET", "/v2/team/app/tags/list")).text) as { tags: string[] };
      assert.deepEqual(tags.tags, ["1"]);
      // The same manifest under another annotation carries the same signature: it stays until both are gone.
      const carrier = await bench.request("GET", `/v2/team/app/manifests/${listed!.carrier}`);
      const twin = JSON.stringify({ ...(JSON.parse(carrier.text) as object), annotations: { twin: "1" } });
      const digest = `sha256:${createHash("sha256").update(twin).digest("hex")}`;
      const put = await bench.request("PUT", `/v2/team/app/manifests/${digest}`, twin);
      assert.equal(put.status, 201, put.text);
      for (const [one, left] of [
        [listed!.carrier, 1],
        [digest, 0],
      ] as const) {
        const verified = await cosign(
          [...verify, "--new-bundle-format=false", "--experimental-oci11=true", name],
          experimental,
        );
        assert.equal(verified.status, 0, verified.stderr);
        assert.equal((await bench.request("DELETE", `/v2/team/app/manifests/${one}`)).status, 202);
        assert.equal((await bench.list("repository")).length, left);
      }
      assert.notEqual(
        (await cosign([...verify, "--new-bundle-format=false", "--experimental-oci11=true", name], experimental))
          .status,
        0,
      );
    });
  });

  void describe(`notation, ${setting}`, () => {
    void it("signs in both envelopes; the signatures are listed, verified, and go with their manifests", async (t) => {
      await using bench = await makeClientBench(t, setting, ["notation"]);
      if (bench === undefined) return;
      const { account, dir, host, image } = bench;
      // Its login wants a store of credentials that a machine without a desktop lacks.
      const env = account === undefined ? {} : { NOTATION_USERNAME: account.user, NOTATION_PASSWORD: account.password };
      const notation = (...args: readonly string[]) => bench.client("notation", args, { env });
      const succeed = async (...args: readonly string[]): Promise<string> => {
        const { status, stdout, stderr } = await notation(...args);
        assert.equal(status, 0, `notation ${args.join(" ")}\n${stdout}${stderr}`);
        return stdout;
      };
      await succeed("certificate", "generate-test", "--default", "test");
      const policy = {
        name: "test",
        registryScopes: ["*"],
        signatureVerification: { level: "strict" },
        trustStores: ["ca:test"],
        trustedIdentities: ["*"],
      };
      writeFileSync(dir.join("policy.json"), JSON.stringify({ version: "1.0", trustPolicies: [policy] }));
      await succeed("policy", "import", "policy.json");
      const name = `${host}/team/app@${image.digest}`;
      assert.match((await notation("verify", "--insecure-registry", name)).stderr, /no signature is associated/);
      for (const format of ["jws", "cose"])
        await succeed("sign", "--insecure-registry", "--signature-format", format, name);
      assert.match(await succeed("verify", "--insecure-registry", name), /Successfully verified/);
      assert.equal((await succeed("list", "--insecure-registry", name)).match(/sha256:[0-9a-f]{64}$/gm)?.length, 3);
      const listed = await bench.list();
      assert.deepEqual(
        listed.map((one) => [one.format, one.manifest]),
        [
          ["notation", image.digest],
          ["notation", image.digest],
        ],
      );
      await bench.pushImage("team/app:1");
      assert.equal((await bench.list()).length, 2);
      for (const { carrier } of listed)
        assert.equal((await bench.request("DELETE", `/v2/team/app/manifests/${carrier}`)).status, 202);
      assert.deepEqual(await bench.list("repository"), []);
      assert.notEqual((await notation("verify", "--insecure-registry", name)).status, 0);
    });
  });
}
