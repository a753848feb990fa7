import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { authEntry, makeCredentialsMachine } from "@signet/testkit/credentials-machine";
import { failsWith } from "@signet/testkit/hostile-registry";
import { askCredentialHelper } from "./credential-helper.ts";

void describe("credential helpers", () => {
  void it("are asked with the registry on standard input, and answer for the file that names them", async (t) => {
    const machine = makeCredentialsMachine(t);
    machine.write("run/containers/auth.json", {
      credHelpers: { "h.test:5000": "test" },
      auths: { "h.test:5000": authEntry("u:file") },
    });
    machine.installHelper(
      "test",
      `read host; printf '{"ServerURL":"%s","Username":"helper","Secret":"%s-%s"}' "$host" "$1" "$host"`,
    );
    assert.equal(await machine.find("h.test:5000/ns/repo"), "helper:get-h.test:5000 in docker-credential-test");
    machine.installHelper("test", `printf '{"Username":"<token>","Secret":"jwt"}'`);
    assert.equal(await machine.find("h.test:5000"), "token:jwt in docker-credential-test");
  });

  void it("that have nothing let the search go on, beyond their own file", async (t) => {
    const machine = makeCredentialsMachine(t);
    machine.write("run/containers/auth.json", {
      credHelpers: { "h.test": "test" },
      auths: { "h.test": authEntry("u:same") },
    });
    machine.write("home/.docker/config.json", { auths: { "h.test": authEntry("u:next") } });
    for (const script of [
      `echo "credentials not found in native keychain"; exit 1`,
      `echo '{"Username":"","Secret":""}'`,
    ]) {
      machine.installHelper("test", script);
      assert.equal(await machine.find("h.test"), "u:next in /home/.docker/config.json");
    }
  });

  void it("of registries.conf are asked in order; the first answer wins, a failure counts only without one", async (t) => {
    const machine = makeCredentialsMachine(t);
    machine.write("run/containers/auth.json", { auths: { "h.test": authEntry("u:file") } });
    machine.installHelper("broken", "echo no keyring; exit 3");
    machine.installHelper("good", `echo '{"Username":"u","Secret":"helper"}'`);
    assert.equal(
      await machine.find("h.test", { helpers: ["broken", "containers-auth.json", "good"] }),
      "u:file in /run/containers/auth.json",
    );
    assert.equal(
      await machine.find("h.test", { helpers: ["good", "containers-auth.json"] }),
      "u:helper in docker-credential-good",
    );
    await assert.rejects(
      machine.find("else.test", { helpers: ["broken", "containers-auth.json"] }),
      failsWith("credential-helper-failed", /status 3: no keyring/),
    );
  });

  for (const [what, script, pattern] of [
    ["answers something else", 'echo \'{"Username":"u"}\'', /not a JSON object/],
    ["leaks a secret into a malformed answer", 'echo \'{"Username":"u","Secret":"s3cr3t"\'', /not a JSON object/],
    ["never ends", "sleep 60", /no answer within/],
    [
      "prints without end",
      "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
      /prints more than/,
    ],
    ["prints control characters", String.raw`printf '\033[2Jevil\n'; exit 1`, /: \[2Jevil$/],
  ] as const) {
    void it(`T13, T23: a helper that ${what} is an error`, async (t) => {
      const machine = makeCredentialsMachine(t);
      machine.installHelper("bad", script);
      const options = { env: machine.search.host.env, timeoutMs: what === "never ends" ? 300 : 20_000 };
      await assert.rejects(askCredentialHelper("bad", "h.test", options), (error) => {
        failsWith("credential-helper-failed", pattern)(error);
        assert.doesNotMatch((error as Error).message, /s3cr3t/);
        assert.equal((error as Error).cause, undefined);
        return true;
      });
    });
  }

  void it("T19: are started by a plain name only, and without a shell", async (t) => {
    const machine = makeCredentialsMachine(t);
    for (const name of ["../evil", "a b", "x;touch y", "", "-x", "a/b", "x\0y"]) {
      machine.write("run/containers/auth.json", { credHelpers: { "h.test": name } });
      await assert.rejects(
        machine.find("h.test"),
        failsWith("credential-helper-failed", /not the name of a credential helper/),
        name,
      );
    }
    machine.write("run/containers/auth.json", { credHelpers: { "h.test": "absent" } });
    await assert.rejects(
      machine.find("h.test"),
      failsWith("credential-helper-failed", /no program docker-credential-absent/),
    );
  });
});
