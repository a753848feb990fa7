import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { describe, it } from "node:test";
import { dockerRegistryAccount, requireTool, run, startDockerRegistry } from "@signet/testkit";
import { authEntry, makeCredentialsMachine } from "@signet/testkit/credentials-machine";
import { failsWith } from "@signet/testkit/hostile-registry";
import { removeAllCredentials, removeCredentials, storeCredentials } from "./auth-file-edit.ts";

const secret = { kind: "password", username: "user", password: "p:w" } as const;

void describe("credential files: login and logout", () => {
  void it("makes the run-time file for the owner alone, in podman's form", async (t) => {
    const machine = makeCredentialsMachine(t);
    const { location } = await storeCredentials("h.test:5000", secret, machine.search);
    assert.equal(location, machine.dir.join("run/containers/auth.json"));
    assert.equal(statSync(location).mode & 0o777, 0o600);
    assert.equal(statSync(dirname(location)).mode & 0o777, 0o700);
    assert.equal(
      readFileSync(location, "utf8"),
      '{\n\t"auths": {\n\t\t"h.test:5000": {\n\t\t\t"auth": "dXNlcjpwOnc="\n\t\t}\n\t}\n}',
    );
    assert.equal(await machine.find("h.test:5000"), "user:p:w in /run/containers/auth.json");
  });

  const documents = {
    tabs: '{\n\t"auths": {\n\t\t"a.test": {\n\t\t\t"auth": "YTph"\n\t\t}\n\t},\n\t"credHelpers": {\n\t\t"c.test": "x"\n\t}\n}\n',
    spaces:
      '{\n  "HttpHeaders": { "User-Agent": "Docker" },\n  "auths": {\n    "a.test": { "auth": "YTph", "email": "x" }\n  },\n  "psFormat": "table {{.ID}}"\n}',
    compact: '{"auths":{"a.test":{"auth":"YTph"}},"x":[1,2.50,1e3]}',
    "empty auths": '{\n    "auths": {},\n    "y": "\\u00fc"\n}',
    "null auths": '{"auths": null}',
    "no auths": '{\n  "experimental": "enabled"\n}\n',
    nothing: "{}",
    "an empty file": "",
  };
  for (const [what, before] of Object.entries(documents)) {
    void it(`keeps everything else byte for byte: ${what}`, async (t) => {
      const machine = makeCredentialsMachine(t);
      const path = machine.write("run/containers/auth.json", before);
      const outside = (text: string): unknown => {
        const { auths: _, ...rest } = JSON.parse(text === "" ? "{}" : text) as Record<string, unknown>;
        return rest;
      };
      await storeCredentials("b.test/ns", secret, machine.search);
      const once = readFileSync(path, "utf8");
      assert.equal(await machine.find("b.test/ns/app"), "user:p:w in /run/containers/auth.json");
      assert.deepEqual(outside(once), outside(before));
      if (before.includes("a.test")) assert.equal(await machine.find("a.test"), "a:a in /run/containers/auth.json");
      await storeCredentials("b.test/ns", { ...secret, password: "new" }, machine.search);
      assert.equal(await machine.find("b.test/ns"), "user:new in /run/containers/auth.json");
      assert.equal(readFileSync(path, "utf8").split("b.test/ns").length, 2);
      assert.deepEqual(await removeCredentials("b.test/ns", machine.search), {
        removed: true,
        location: path,
        remaining: undefined,
      });
      const after = readFileSync(path, "utf8");
      if (before.includes("a.test")) assert.equal(after, before);
      else assert.deepEqual(JSON.parse(after), { ...(outside(before) as object), auths: {} });
    });
  }

  void it("removes the first, the middle and the last of several", async (t) => {
    const machine = makeCredentialsMachine(t);
    const entries = ["a.test", "b.test", "c.test"];
    for (const gone of entries) {
      const path = machine.write(
        "run/containers/auth.json",
        JSON.stringify({ auths: Object.fromEntries(entries.map((key) => [key, authEntry("u:p")])) }, undefined, "\t"),
      );
      await removeCredentials(gone, machine.search);
      assert.deepEqual(
        Object.keys((JSON.parse(readFileSync(path, "utf8")) as { auths: object }).auths),
        entries.filter((key) => key !== gone),
      );
    }
  });

  void it("says when there was nothing to remove, and where credentials remain", async (t) => {
    const machine = makeCredentialsMachine(t);
    const docker = machine.write("home/.docker/config.json", { auths: { "h.test": authEntry("u:p") } });
    const change = await removeCredentials("h.test", machine.search);
    assert.deepEqual(change, {
      removed: false,
      location: machine.dir.join("run/containers/auth.json"),
      remaining: docker,
    });
    assert.equal(await machine.find("h.test"), "u:p in /home/.docker/config.json");
  });

  void it("writes to the file that was named, and removes all at once", async (t) => {
    const machine = makeCredentialsMachine(t);
    const authFile = machine.dir.join("new/folder/auth.json");
    const search = { ...machine.search, authFile };
    await storeCredentials("h.test", secret, search);
    await storeCredentials("i.test", secret, search);
    assert.equal((await removeAllCredentials(search)).removed, true);
    assert.deepEqual(JSON.parse(readFileSync(authFile, "utf8")), { auths: {} });
    assert.equal((await removeAllCredentials(search)).removed, false);
  });

  void it("uses the helper that the file names", async (t) => {
    const machine = makeCredentialsMachine(t);
    const path = machine.write("run/containers/auth.json", { credHelpers: { "h.test": "keep" } });
    const kept = machine.dir.join("kept");
    machine.installHelper(
      "keep",
      `cat > ${kept}.$1; test $1 = get && { echo "credentials not found in native keychain"; exit 1; }; exit 0`,
    );
    assert.equal((await storeCredentials("h.test", secret, machine.search)).location, "docker-credential-keep");
    assert.deepEqual(JSON.parse(readFileSync(`${kept}.store`, "utf8")), {
      ServerURL: "h.test",
      Username: "user",
      Secret: "p:w",
    });
    await removeCredentials("h.test", machine.search);
    assert.equal(readFileSync(`${kept}.erase`, "utf8"), "h.test");
    assert.equal(readFileSync(path, "utf8"), '{"credHelpers":{"h.test":"keep"}}');
  });

  void it("T12: leaves a file alone that it cannot understand", async (t) => {
    const machine = makeCredentialsMachine(t);
    const path = machine.write("run/containers/auth.json", '{"auths":{"a.test":{"auth":"YTph"},}}');
    await assert.rejects(storeCredentials("h.test", secret, machine.search), failsWith("auth-file-malformed"));
    await assert.rejects(removeCredentials("a.test", machine.search), failsWith("auth-file-malformed"));
    assert.equal(readFileSync(path, "utf8"), '{"auths":{"a.test":{"auth":"YTph"},}}');
  });
});

void describe("credential files: with skopeo", () => {
  void it("skopeo logs in with what Signet stored, and Signet reads what skopeo stored", async (t) => {
    const skopeo = requireTool(t, "skopeo");
    if (skopeo === undefined || requireTool(t, "docker-registry") === undefined) return;
    await using registry = await startDockerRegistry({ auth: true });
    const machine = makeCredentialsMachine(t);
    const authFile = machine.dir.join("auth.json");
    const { user: username, password } = dockerRegistryAccount;
    await storeCredentials(registry.host, { kind: "password", username, password }, { ...machine.search, authFile });
    const read = await run(skopeo, [
      "login",
      "--tls-verify=false",
      "--authfile",
      authFile,
      "--get-login",
      registry.host,
    ]);
    assert.equal(read.stdout.trim(), username, read.stderr);

    const written = machine.dir.join("skopeo.json");
    const login = [
      "login",
      "--tls-verify=false",
      "--authfile",
      written,
      "--username",
      username,
      "--password-stdin",
      registry.host,
    ];
    const done = await run(skopeo, login, { input: password });
    assert.equal(done.status, 0, done.stderr);
    assert.equal(await machine.find(registry.host, { authFile: written }), `${username}:${password} in /skopeo.json`);
    await removeCredentials(registry.host, { ...machine.search, authFile: written });
    const gone = await run(skopeo, ["login", "--authfile", written, "--get-login", registry.host]);
    assert.notEqual(gone.status, 0);
  });
});
