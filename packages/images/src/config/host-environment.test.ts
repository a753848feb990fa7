import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { currentHost, systemPath, userConfigFolder } from "./host-environment.ts";

describe("the host's environment", () => {
  it("is that of the process, and of the user outside a rootless user namespace", () => {
    const variable = "_CONTAINERS_ROOTLESS_UID";
    const before = process.env[variable];
    try {
      delete process.env[variable];
      assert.equal(currentHost().uid, process.geteuid?.());
      assert.equal(currentHost().root, undefined);
      process.env[variable] = "1234";
      assert.equal(currentHost().uid, 1234);
      for (const odd of ["", "0", "-1", "x", "1.5"]) {
        process.env[variable] = odd;
        assert.equal(currentHost().uid, process.geteuid?.(), odd);
      }
    } finally {
      if (before === undefined) delete process.env[variable];
      else process.env[variable] = before;
    }
  });

  it("puts the root folder before system paths only", () => {
    const host = { env: {}, uid: 0, home: "/root", root: "/mnt/node" };
    assert.equal(systemPath(host, "/etc/containers/x"), "/mnt/node/etc/containers/x");
    assert.equal(systemPath({ env: {}, uid: 0, home: "/root" }, "/etc/x"), "/etc/x");
    assert.equal(userConfigFolder(host), "/root/.config/containers");
  });
});
