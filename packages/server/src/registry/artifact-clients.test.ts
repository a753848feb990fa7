/** Clients that work with artifacts beside images: oras and regctl. Those that sign are in signing-clients.conformance.test.ts. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { makeContainersHome } from "@signet/testkit";
import { logIn, makeClientBench, settings } from "./artifact-clients.testing.ts";

const sbomType = "application/vnd.example.sbom";

for (const setting of settings) {
  void describe(`oras, ${setting}`, () => {
    void it("pushes files, attaches them to an image, discovers and fetches them", async (t) => {
      await using bench = await makeClientBench(t, setting, ["oras"]);
      if (bench === undefined) return;
      const { host, image, dir } = bench;
      const oras = (...args: readonly string[]) => bench.succeed("oras", args);
      await logIn(bench, "oras");
      writeFileSync(dir.join("sbom.json"), '{"packages":[]}');
      const file = "sbom.json:application/json";
      await oras("push", "--plain-http", "--artifact-type", "application/vnd.example", `${host}/team/files:1`, file);
      await oras("pull", "--plain-http", "--output", "pulled", `${host}/team/files:1`);
      assert.equal(readFileSync(dir.join("pulled/sbom.json"), "utf8"), '{"packages":[]}');

      const name = `${host}/team/app:1`;
      assert.equal(await oras("manifest", "fetch", "--plain-http", name), Buffer.from(image.manifest).toString());
      const discover = async (...more: readonly string[]): Promise<readonly { artifactType: string }[]> => {
        const text = await oras("discover", "--plain-http", "--format", "json", ...more, name);
        return (JSON.parse(text) as { referrers: { artifactType: string }[] }).referrers;
      };
      assert.deepEqual(await discover(), []);
      for (const type of [sbomType, "application/vnd.example.report"])
        await oras("attach", "--plain-http", "--artifact-type", type, name, file);
      const found = (await discover()).map((one) => one.artifactType);
      assert.deepEqual(found.toSorted(), ["application/vnd.example.report", sbomType]);
      assert.deepEqual(
        (await discover("--artifact-type", sbomType)).map((one) => one.artifactType),
        [sbomType],
      );
      // The registry answered by its referrers API: no tag stands in for it.
      assert.equal(await oras("repo", "tags", "--plain-http", `${host}/team/app`), "1\n");
      // What is attached claims to be no signature.
      assert.deepEqual(await bench.list("repository"), []);
    });
  });

  void describe(`regctl, ${setting}`, () => {
    void it("puts, lists and gets artifacts of an image, and copies it with them to another repository", async (t) => {
      await using bench = await makeClientBench(t, setting, ["regctl"]);
      if (bench === undefined) return;
      const { host, image } = bench;
      await logIn(bench, "regctl");
      const regctl = (args: readonly string[], input?: string) =>
        bench.succeed("regctl", args, input === undefined ? {} : { input });
      const name = `${host}/team/app:1`;
      await regctl(["artifact", "put", "--artifact-type", sbomType, "--subject", name], "of the image");
      const list = async (of: string): Promise<readonly string[]> => {
        const text = await regctl(["artifact", "list", "--format", "{{json .Descriptors}}", of]);
        return (JSON.parse(text) as { artifactType: string }[]).map((one) => one.artifactType);
      };
      assert.deepEqual(await list(name), [sbomType]);
      const get = ["artifact", "get", "--filter-artifact-type", sbomType, "--subject"];
      assert.equal(await regctl([...get, name]), "of the image");

      const copy = `${host}/team/copy:1`;
      await regctl(["image", "copy", "--referrers", name, copy]);
      assert.equal((await regctl(["image", "digest", copy])).trim(), image.digest);
      assert.deepEqual(await list(copy), [sbomType]);
      assert.equal(await regctl([...get, copy]), "of the image");
    });
  });
}

void describe("the list of repositories", () => {
  void it("is what the account may pull, for clients that show credentials only where they are asked for them", async (t) => {
    await using bench = await makeClientBench(t, "with accounts and tokens", ["oras", "regctl", "podman"]);
    if (bench === undefined) return;
    const { host } = bench;
    await bench.pushImage("elsewhere/app:1");
    await logIn(bench, "oras");
    assert.equal(await bench.succeed("oras", ["repo", "ls", "--plain-http", host]), "team/app\n");
    await logIn(bench, "regctl");
    assert.equal(await bench.succeed("regctl", ["repo", "ls", host]), "team/app\n");
    const home = makeContainersHome();
    t.after(() => home.dispose());
    home.allowInsecure(host);
    const { user, password } = bench.account!;
    const login = await home.podman(["login", "--username", user, "--password", password, host]);
    assert.equal(login.status, 0, login.stderr);
    const { stdout } = await home.podman(["search", "--format", "{{.Name}}", `${host}/app`]);
    assert.equal(stdout, `${host}/team/app\n`);
  });
});

void describe("an account's rights", () => {
  void it("hold for these clients: nothing without a login, and nothing where the role does not reach", async (t) => {
    await using bench = await makeClientBench(t, "with accounts and tokens", ["oras"]);
    if (bench === undefined) return;
    const { host } = bench;
    const fetch = ["manifest", "fetch", "--plain-http", `${host}/team/app:1`];
    const nobody = await bench.client("oras", fetch);
    assert.notEqual(nobody.status, 0);
    assert.match(nobody.stderr, /401|unauthorized|basic credential not found/i);
    await logIn(bench, "oras");
    await bench.succeed("oras", fetch);
    writeFileSync(bench.dir.join("file"), "x");
    const push = ["push", "--plain-http", `${host}/elsewhere/app:1`, "file:text/plain"];
    const refused = await bench.client("oras", push);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /401|403|unauthorized|denied/i);
    assert.equal((await bench.request("GET", "/v2/elsewhere/app/tags/list")).status, 404);
  });
});
