import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { PolicyError, SignetError, StoreError } from "@signet/core";
import type { HostEnvironment } from "./host-environment.ts";
import { type RegistriesD, loadRegistriesD } from "./registries-d.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "signet-registries-d-"));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

function host(changes: Partial<HostEnvironment> = {}): HostEnvironment {
  return { env: {}, uid: 1000, home: join(root, "home"), root, ...changes };
}

/** Each namespace with its URL. */
function summary(config: RegistriesD): Record<string, string | undefined> {
  const entries = [...config.sections].map(([namespace, section]) => [namespace, section.urls.lookaside?.value]);
  return Object.fromEntries(entries) as Record<string, string | undefined>;
}

function section(namespace: string, url: string): string {
  return `docker: {"${namespace}": {lookaside: "${url}"}}\n`;
}

describe("loadRegistriesD", () => {
  it("merges the folders of user, /etc and /usr/share, the most important file of a name winning whole", async () => {
    await put("usr/share/containers/registries.d/a.yaml", section("a", "file:///usr"));
    await put("usr/share/containers/registries.d/only-usr.yaml", section("only-usr", "file:///usr"));
    await put("etc/containers/registries.d/a.yaml", section("a", "file:///etc"));
    await put("etc/containers/registries.d/b.yaml", section("b", "file:///etc"));
    await put("home/.config/containers/registries.d/b.yaml", section("b-of-user", "file:///user"));
    const config = await loadRegistriesD({ host: host() });
    assert.deepEqual(summary(config), {
      a: "file:///etc",
      "b-of-user": "file:///user",
      "only-usr": "file:///usr",
    });
    assert.deepEqual(config.files, [
      join(root, "etc/containers/registries.d/a.yaml"),
      join(root, "home/.config/containers/registries.d/b.yaml"),
      join(root, "usr/share/containers/registries.d/only-usr.yaml"),
    ]);
    assert.deepEqual(config.warnings, []);
  });

  it("reads the rootless folders for a user and the rootful one for root", async () => {
    await put("etc/containers/registries.rootless.d/1000/f.yaml", section("h", "file:///this-user"));
    await put("etc/containers/registries.rootless.d/f.yaml", section("h", "file:///any-user"));
    await put("etc/containers/registries.rootful.d/f.yaml", section("h", "file:///root"));
    await put("etc/containers/registries.d/f.yaml", section("h", "file:///all"));
    await put("usr/share/containers/registries.rootful.d/g.yaml", section("g", "file:///usr-root"));
    const h = async (uid: number): Promise<unknown> => summary(await loadRegistriesD({ host: host({ uid }) }));
    assert.deepEqual(await h(1000), { h: "file:///this-user" });
    assert.deepEqual(await h(1001), { h: "file:///any-user" });
    assert.deepEqual(await h(0), { h: "file:///root", g: "file:///usr-root" });
  });

  it("takes the user's folder from XDG_CONFIG_HOME, and from nowhere when that is not an absolute path", async () => {
    await put("xdg/containers/registries.d/a.yaml", section("xdg", "file:///x"));
    await put("home/.config/containers/registries.d/a.yaml", section("home", "file:///h"));
    const of = async (value: string): Promise<string[]> =>
      Object.keys(summary(await loadRegistriesD({ host: host({ env: { XDG_CONFIG_HOME: value } }) })));
    assert.deepEqual(await of(join(root, "xdg")), ["xdg"]);
    assert.deepEqual(await of(""), []);
    assert.deepEqual(await of("xdg"), []);
  });

  it("reads only the folder that is named, literally and without the root folder in front", async () => {
    await put("etc/containers/registries.d/a.yaml", section("etc", "file:///e"));
    await put("$HOME/a.yaml", section("literal", "file:///l"));
    const config = await loadRegistriesD({ host: host({ root: "/nonexistent" }), directory: join(root, "$HOME") });
    assert.deepEqual(summary(config), { literal: "file:///l" });
  });

  it("takes a missing or empty folder for an empty configuration, with a warning when the folder was named", async () => {
    const empty = await loadRegistriesD({ host: host() });
    assert.equal(empty.sections.size, 0);
    assert.deepEqual(empty.warnings, []);
    const missing = await loadRegistriesD({ host: host(), directory: join(root, "missing") });
    assert.equal(missing.sections.size, 0);
    assert.match(missing.warnings[0]!, /missing: no such directory/);
  });

  it("reads *.yaml only: no other names, no folders, no registries.yaml beside the folder; links are followed", async () => {
    await put("etc/containers/registries.yaml", "}");
    await put("etc/containers/registries.d/x.notyaml", "}");
    await put("etc/containers/registries.d/X.YAML", "}");
    await put("etc/containers/registries.d/folder.yaml/x.yaml", "}");
    await put("elsewhere", section("linked", "file:///x"));
    // As the system below the root folder would follow it.
    await symlink("/elsewhere", join(root, "etc/containers/registries.d/link.yaml"));
    assert.deepEqual(summary(await loadRegistriesD({ host: host() })), { linked: "file:///x" });
  });

  it("refuses a namespace in two files even with equal content, and names both", async () => {
    await put("etc/containers/registries.d/a.yaml", section("h", "file:///same"));
    await put("usr/share/containers/registries.d/b.yaml", `\n${section("h", "file:///same")}`);
    await assert.rejects(loadRegistriesD({ host: host() }), (error) => {
      assert.ok(error instanceof PolicyError);
      assert.equal(error.code, "registries-d-malformed");
      assert.match(error.message, /docker namespace "h" defined both in .*etc.*a\.yaml:1 and .*usr.*b\.yaml:2/);
      return true;
    });
  });

  it("refuses default-docker in two files, but not one that is null", async () => {
    await put("etc/containers/registries.d/a.yaml", "default-docker: {lookaside: 'file:///a'}\n");
    await put("etc/containers/registries.d/b.yaml", "default-docker:\n");
    assert.equal((await loadRegistriesD({ host: host() })).defaultSection?.urls.lookaside?.value, "file:///a");
    await put("etc/containers/registries.d/c.yaml", "default-docker: {}\n");
    await assert.rejects(
      loadRegistriesD({ host: host() }),
      /default-docker defined both in .*a\.yaml:1 and .*c\.yaml:1/,
    );
  });

  it("fails for what it cannot read: a broken file, a dangling link, a pipe, a file in place of the folder", async () => {
    await put("broken/a.yaml", "}");
    await assert.rejects(loadRegistriesD({ host: host(), directory: join(root, "broken") }), PolicyError);
    await mkdir(join(root, "dangling"));
    await symlink("nowhere", join(root, "dangling/a.yaml"));
    await assert.rejects(loadRegistriesD({ host: host(), directory: join(root, "dangling") }), StoreError);
    await mkdir(join(root, "loop"));
    await symlink("a.yaml", join(root, "loop/a.yaml"));
    await assert.rejects(loadRegistriesD({ host: host(), directory: join(root, "loop") }), StoreError);
    await put("file", "");
    await assert.rejects(loadRegistriesD({ host: host(), directory: join(root, "file") }), StoreError);
  });

  it("merges in byte order of the file names, so that the same error comes everywhere", async () => {
    for (const name of ["\u{1f600}.yaml", "\uff5e.yaml", "b.yaml", "B.yaml"])
      await put(`etc/containers/registries.d/${name}`, section(name, "file:///x"));
    const config = await loadRegistriesD({ host: host() });
    assert.deepEqual([...config.sections.keys()], ["B.yaml", "b.yaml", "\uff5e.yaml", "\u{1f600}.yaml"]);
  });

  it("T13: refuses a folder with thousands of files", async () => {
    await mkdir(join(root, "many"));
    for (let i = 0; i <= 1000; i++) await writeFile(join(root, "many", `${i}.yaml`), "");
    await assert.rejects(
      loadRegistriesD({ host: host(), directory: join(root, "many") }),
      (error) => error instanceof SignetError && /more than 1000 files/.test(error.message),
    );
  });

  it("keeps signatures that nothing is configured for in the user's or the system's folder", async () => {
    assert.equal(
      (await loadRegistriesD({ host: host({ home: "/home/u" }) })).builtinFolder,
      "/home/u/.local/share/containers/sigstore",
    );
    assert.equal((await loadRegistriesD({ host: host({ uid: 0 }) })).builtinFolder, "/var/lib/containers/sigstore");
  });
});
