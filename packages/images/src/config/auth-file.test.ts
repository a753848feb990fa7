import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { authEntry, makeCredentialsMachine } from "@signet/testkit/credentials-machine";
import { failsWith } from "@signet/testkit/hostile-registry";
import type { CredentialSearch } from "./auth-file.ts";

void describe("credential files: search", () => {
  void it("looks into one file after the other, in podman's order", async (t) => {
    const machine = makeCredentialsMachine(t);
    const places = [
      ["home/.dockercfg", { "h.test": authEntry("u:dockercfg") }],
      ["home/.docker/config.json", { auths: { "h.test": authEntry("u:docker") } }],
      ["home/.config/containers/auth.json", { auths: { "h.test": authEntry("u:config") } }],
      ["run/containers/auth.json", { auths: { "h.test": authEntry("u:run") } }],
    ] as const;
    assert.equal(await machine.find("h.test"), undefined);
    for (const [path, content] of places) {
      machine.write(path, content);
      const password = Object.values("auths" in content ? content.auths : content)[0]!.auth;
      assert.equal(await machine.find("h.test"), `${Buffer.from(password, "base64").toString()} in /${path}`);
    }
  });

  void it("goes on to the next file when one has nothing for the registry", async (t) => {
    const machine = makeCredentialsMachine(t);
    machine.write("run/containers/auth.json", { auths: { "other.test": authEntry("u:p"), "h.test": {} } });
    machine.write("home/.docker/config.json", {
      auths: { "h.test": authEntry("u:p") },
      credsStore: "desktop",
      HttpHeaders: {},
    });
    assert.equal(await machine.find("h.test"), "u:p in /home/.docker/config.json");
  });

  void it("follows REGISTRY_AUTH_FILE, DOCKER_CONFIG, XDG_CONFIG_HOME and --authfile", async (t) => {
    const plain = makeCredentialsMachine(t);
    plain.write("run/containers/auth.json", { auths: { "h.test": authEntry("u:run") } });
    const named = plain.write("named.json", { auths: { "h.test": authEntry("u:named") } });
    const other = plain.write("other.json", { auths: { "else.test": authEntry("u:other") } });
    const withEnv = (env: Record<string, string>): Partial<CredentialSearch> => ({
      host: { ...plain.search.host, env },
    });
    assert.equal(await plain.find("h.test", { authFile: named }), "u:named in /named.json");
    assert.equal(await plain.find("h.test", withEnv({ REGISTRY_AUTH_FILE: named })), "u:named in /named.json");
    assert.equal(await plain.find("h.test", { authFile: other, ...withEnv({ REGISTRY_AUTH_FILE: named }) }), undefined);
    plain.write("docker/config.json", { auths: { "h.test": authEntry("u:dc") } });
    assert.equal(
      await plain.find("h.test", withEnv({ DOCKER_CONFIG: plain.dir.join("docker") })),
      "u:dc in /docker/config.json",
    );
    plain.write("xdg/containers/auth.json", { auths: { "h.test": authEntry("u:xdg") } });
    assert.equal(
      await plain.find("h.test", withEnv({ XDG_CONFIG_HOME: plain.dir.join("xdg") })),
      "u:xdg in /xdg/containers/auth.json",
    );
    const warnings: string[] = [];
    const relative = {
      host: { ...plain.search.host, env: { XDG_RUNTIME_DIR: "run" } },
      warn: (text: string) => warnings.push(text),
    };
    assert.equal(await plain.find("h.test", relative), undefined);
    assert.match(warnings[0]!, /XDG_RUNTIME_DIR/);
  });

  void it("T12: does not take a named file that is missing for one without credentials", async (t) => {
    const machine = makeCredentialsMachine(t);
    await assert.rejects(
      machine.find("h.test", { authFile: machine.dir.join("typo.json") }),
      failsWith("file-missing"),
    );
  });

  void it("takes the most specific key: the repository, then its namespaces, then the host", async (t) => {
    const machine = makeCredentialsMachine(t);
    machine.write("run/containers/auth.json", {
      auths: {
        "h.test": authEntry("host:1"),
        "h.test/ns": authEntry("ns:2"),
        "h.test/ns/repo": authEntry("repo:3"),
        "h.test:5000": authEntry("port:4"),
      },
    });
    const expected = {
      "h.test/ns/repo": "repo:3",
      "h.test/ns/repo/sub": "repo:3",
      "h.test/ns/other": "ns:2",
      "h.test/nsx/repo": "host:1",
      "h.test": "host:1",
      "h.test:5000/ns/repo": "port:4",
    };
    for (const [key, credentials] of Object.entries(expected)) {
      assert.equal(await machine.find(key), `${credentials} in /run/containers/auth.json`, key);
    }
  });

  void it("knows docker's older keys, and the names of Docker Hub", async (t) => {
    const machine = makeCredentialsMachine(t);
    machine.write("run/containers/auth.json", {
      auths: {
        "https://index.docker.io/v1/": authEntry("hub:1"),
        "http://old.test/v2/": authEntry("old:2"),
        "plain.test/v1/": authEntry("no:3"),
      },
    });
    machine.write("home/.dockercfg", { "cfg.test/v1/": authEntry("cfg:4") });
    for (const key of ["docker.io", "docker.io/library/busybox", "index.docker.io", "registry-1.docker.io"]) {
      assert.equal(await machine.find(key), "hub:1 in /run/containers/auth.json", key);
    }
    assert.equal(await machine.find("old.test/ns/repo"), "old:2 in /run/containers/auth.json");
    assert.equal(await machine.find("plain.test"), undefined);
    assert.equal(await machine.find("cfg.test"), "cfg:4 in /home/.dockercfg");
  });

  void it("reads passwords with colons and padding, identity tokens, and passes over what has no colon", async (t) => {
    const machine = makeCredentialsMachine(t);
    machine.write("run/containers/auth.json", {
      auths: {
        "a.test": authEntry("user:p:a:ss"),
        "b.test": authEntry("user:pass\0\0"),
        "c.test": { ...authEntry("0000:"), identitytoken: "jwt" },
        "d.test": authEntry("nocolon"),
        "e.test": authEntry("üser:pässwörd"),
      },
    });
    const expected = {
      "a.test": "user:p:a:ss",
      "b.test": "user:pass",
      "c.test": "token:jwt",
      "e.test": "üser:pässwörd",
    };
    for (const [key, text] of Object.entries(expected))
      assert.equal(await machine.find(key), `${text} in /run/containers/auth.json`);
    assert.equal(await machine.find("d.test"), undefined);
  });

  for (const [what, content] of [
    ["is not JSON", "{auths:{}}"],
    ["is a list", "[]"],
    ["has auths that are a list", '{"auths":[]}'],
    ["names a registry twice", '{"auths":{"h.test":{"auth":"dTpw"},"h.test":{"auth":"dTpx"}}}'],
    ["has an entry that is a text", '{"auths":{"h.test":"dTpw"}}'],
    ["has an auth that is no text", '{"auths":{"h.test":{"auth":1}}}'],
    ["has an auth that is no base64", '{"auths":{"h.test":{"auth":"s3cr3t!!"}}}'],
    ["has helpers that are numbers", '{"credHelpers":{"h.test":1}}'],
  ] as const) {
    void it(`T12: refuses a file that ${what}, naming it and not what is in it`, async (t) => {
      const machine = makeCredentialsMachine(t);
      const path = machine.write("run/containers/auth.json", content);
      await assert.rejects(machine.find("h.test"), (error) => {
        failsWith("auth-file-malformed", new RegExp(path))(error);
        assert.doesNotMatch((error as Error).message, /s3cr3t|dTp/);
        return true;
      });
    });
  }

  void it("takes an empty file as one without credentials, and refuses one beyond 4 MiB", async (t) => {
    const machine = makeCredentialsMachine(t);
    machine.write("run/containers/auth.json", "");
    assert.equal(await machine.find("h.test"), undefined);
    machine.write("run/containers/auth.json", " ".repeat(4 * 1024 * 1024 + 1));
    await assert.rejects(machine.find("h.test"), failsWith("input-too-large"));
  });

  void it("refuses keys with a scheme, a tag or a digest", async (t) => {
    const machine = makeCredentialsMachine(t);
    for (const key of [
      "https://h.test",
      "h.test/ns/repo:tag",
      "h.test/ns@sha256:abc",
      "",
      "h.test/",
      "../x",
      "h.test/../x",
      "h test",
    ]) {
      await assert.rejects(machine.find(key), failsWith("reference-malformed"), key);
    }
  });
});

interface FileCase {
  readonly file: string;
  readonly form: "auth" | "dockercfg";
  readonly key: string;
  readonly credentials: {
    readonly username?: string;
    readonly password?: string;
    readonly identityToken?: string;
  } | null;
}

const vectors = new URL("../../../../vectors/auth/", import.meta.url);
const { cases: fileCases } = JSON.parse(readFileSync(new URL("files.json", vectors), "utf8")) as {
  readonly cases: readonly FileCase[];
};

void describe("credential files: containers/image's own", () => {
  for (const { file, form, key, credentials } of fileCases) {
    void it(`${file} has ${credentials === null ? "nothing" : "credentials"} for ${key}`, async (t) => {
      const machine = makeCredentialsMachine(t);
      const path = form === "auth" ? "run/containers/auth.json" : "home/.dockercfg";
      machine.write(path, readFileSync(new URL(file, vectors), "utf8"));
      const text =
        credentials?.identityToken === undefined
          ? `${credentials?.username}:${credentials?.password}`
          : `token:${credentials.identityToken}`;
      assert.equal(await machine.find(key), credentials === null ? undefined : `${text} in /${path}`);
    });
  }
});
