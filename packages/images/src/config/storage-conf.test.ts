import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type TestContext, describe, it } from "node:test";
import { makeContainersHome, makeTempDir, requireTool } from "@signet/testkit";
import { type FoundStore, locateStore } from "./storage-conf.ts";

interface Machine {
  readonly root: string;
  readonly home: string;
  write(path: string, text: string): Promise<void>;
  locate(uid: number, env?: Readonly<Record<string, string>>): Promise<FoundStore>;
}

function makeMachine(t: TestContext): Machine {
  const folder = makeTempDir("signet-storage-conf-");
  t.after(() => folder.dispose());
  const home = folder.join("home/user");
  return {
    root: folder.path,
    home,
    async write(path, text) {
      await mkdir(dirname(folder.join(path)), { recursive: true });
      await writeFile(folder.join(path), text);
    },
    locate: (uid, env = {}) => locateStore({ env, uid, home, root: folder.path }),
  };
}

const conf = (driver: string, more = ""): string => `[storage]\ndriver = "${driver}"\n${more}\n`;

void describe("locateStore", () => {
  void it("takes for root the named file, else /etc, else /usr/share, and the built-in folder", async (t) => {
    const machine = makeMachine(t);
    const standard = join(machine.root, "var/lib/containers/storage");
    await machine.write("usr/share/containers/storage.conf", conf("btrfs"));
    assert.deepEqual(await machine.locate(0), { driver: "btrfs", root: standard });
    await machine.write("etc/containers/storage.conf", conf("overlay", 'graphroot = "/srv/images"'));
    assert.deepEqual(await machine.locate(0), { driver: "overlay", root: "/srv/images" });
    await machine.write("named.conf", conf("vfs"));
    const named = { CONTAINERS_STORAGE_CONF: join(machine.root, "named.conf") };
    assert.deepEqual(await machine.locate(0, named), { driver: "vfs", root: standard });
    assert.deepEqual(await machine.locate(0, { ...named, STORAGE_DRIVER: "zfs" }), { driver: "zfs", root: standard });
    assert.equal((await machine.locate(0, { STORAGE_DRIVER: "overlay2" })).driver, "overlay");
  });

  void it("takes for others their own file and folder, with the system's driver where theirs names none", async (t) => {
    const machine = makeMachine(t);
    const own = join(machine.home, ".local/share/containers/storage");
    await machine.write("etc/containers/storage.conf", conf("overlay", 'graphroot = "/srv/images"'));
    assert.deepEqual(await machine.locate(1000), { driver: "overlay", root: own });
    await machine.write("etc/containers/storage.conf", conf("overlay", 'rootless_storage_path = "/u/$UID/${WHERE}"'));
    assert.deepEqual(await machine.locate(1000, { WHERE: "x" }), { driver: "overlay", root: "/u/1000/x" });
    await machine.write("home/user/.config/containers/storage.conf", conf("vfs", 'graphroot = "$HOME/images"'));
    assert.deepEqual(await machine.locate(1000), { driver: "vfs", root: join(machine.home, "images") });
  });

  void it("resolves links in the folder", async (t) => {
    const machine = makeMachine(t);
    await mkdir(join(machine.root, "real"));
    await symlink("real", join(machine.root, "link"));
    await machine.write("etc/containers/storage.conf", conf("vfs", `graphroot = "${machine.root}/link"`));
    assert.equal((await machine.locate(0)).root, join(machine.root, "real"));
  });

  void it("tells a driver that is not configured by the images that are there, and asks when it cannot", async (t) => {
    const machine = makeMachine(t);
    const asks = { code: "image-missing", hint: /\[driver@\/graph\/root\]/ };
    await assert.rejects(machine.locate(0), asks);
    await mkdir(join(machine.root, "var/lib/containers/storage/overlay-images"), { recursive: true });
    assert.equal((await machine.locate(0)).driver, "overlay");
    await mkdir(join(machine.root, "var/lib/containers/storage/vfs-images"));
    await assert.rejects(machine.locate(0), asks);
  });

  void it("refuses what is no TOML, values of another kind and stores that keep images apart", async (t) => {
    const machine = makeMachine(t);
    for (const [text, code] of [
      ["not toml", "storage-conf-malformed"],
      ["storage = 1", "storage-conf-malformed"],
      ["[storage]\ngraphroot = 7", "storage-conf-malformed"],
      [conf("vfs", 'imagestore = "/elsewhere"'), "image-missing"],
    ] as const) {
      await machine.write("etc/containers/storage.conf", text);
      await assert.rejects(machine.locate(0), { code }, text);
    }
  });

  void it("agrees with podman", async (t) => {
    if (requireTool(t, "podman") === undefined) return;
    const home = makeContainersHome();
    t.after(() => home.dispose());
    const { status, stdout, stderr } = await home.podman(["info", "--format", "json"]);
    assert.equal(status, 0, stderr);
    const { store } = JSON.parse(stdout) as { store: { graphDriverName: string; graphRoot: string } };
    assert.deepEqual(await locateStore({ env: home.env, uid: 0, home: home.path }), {
      driver: store.graphDriverName,
      root: store.graphRoot,
    });
  });
});
