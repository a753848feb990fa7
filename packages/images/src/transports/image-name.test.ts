import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { SignetError } from "@signet/core";
import fc from "fast-check";
import { parseImageName } from "./image-name.ts";
import type { ImageName } from "./transport.ts";

let folder: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "signet-image-name-")));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function refusal(text: string): Promise<SignetError> {
  try {
    await parseImageName(text, { cwd: folder });
  } catch (error) {
    assert.ok(error instanceof SignetError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: `${text} was accepted` });
}

describe("parseImageName", () => {
  it("expands docker names and adds the tag latest, with or without the transport", async () => {
    for (const [text, full] of [
      ["docker://busybox", "docker://docker.io/library/busybox:latest"],
      ["busybox", "docker://docker.io/library/busybox:latest"],
      ["busybox:1.36", "docker://docker.io/library/busybox:1.36"],
      ["localhost:5000/a/b", "docker://localhost:5000/a/b:latest"],
      ["oci-thing/x:1", "docker://docker.io/oci-thing/x:1"],
      [`quay.io/a/b@sha256:${"0".repeat(64)}`, `docker://quay.io/a/b@sha256:${"0".repeat(64)}`],
    ] as const) {
      const name = await parseImageName(text, { cwd: folder });
      assert.equal(name.text, full);
      assert.equal(name.transport, "docker");
      assert.equal(`docker://${name.policyIdentity.identity}`, full);
      assert.equal(name.policyIdentity.transport, "docker");
    }
  });

  it("refuses a tag together with a digest, and says which to leave out", async () => {
    const error = await refusal(`docker://quay.io/a/b:1@sha256:${"0".repeat(64)}`);
    assert.equal(error.code, "image-name-malformed");
    assert.match(error.hint ?? "", /leave the tag out/);
  });

  it("refuses docker: without slashes, since an image may be called docker", async () => {
    const error = await refusal("docker:24");
    assert.equal(error.code, "image-name-malformed");
    assert.match(error.hint ?? "", /docker:\/\/24.*docker:\/\/docker:24/);
  });

  it("lists the transports when it meets an unknown one", async () => {
    for (const text of ["ocidir:/x", "foo://x", "dirr:./x", "oras:../x", "OCI:/x", "https://quay.io/x"]) {
      const error = await refusal(text);
      assert.equal(error.code, "transport-unsupported", text);
      assert.match(error.hint ?? "", /docker:\/\/, dir:, oci:, oci-archive:/);
    }
  });

  it("names the way round for transports that others offer", async () => {
    for (const transport of [
      "atomic",
      "containers-storage",
      "docker-archive",
      "docker-daemon",
      "ostree",
      "sif",
      "tarball",
    ]) {
      const error = await refusal(`${transport}:/x/y:1`);
      assert.equal(error.code, "transport-unsupported", transport);
      assert.match(error.message, /is not offered here/);
      assert.ok((error.hint ?? "").length > 10);
    }
  });

  it("asks for a transport before a path", async () => {
    for (const text of ["./image", "/srv/image", "../image", "~/image"]) {
      const error = await refusal(text);
      assert.equal(error.code, "image-name-malformed", text);
      assert.match(error.hint ?? "", /dir:/);
    }
  });

  it("refuses empty, endless and broken names as usage errors", async () => {
    for (const text of [
      "",
      "docker://",
      "dir:",
      "oci:",
      "oci-archive:",
      ":",
      "docker://UPPER/x",
      "a b",
      "x".repeat(9000),
      "dir:\0",
    ]) {
      assert.equal((await refusal(text)).code, "image-name-malformed", JSON.stringify(text.slice(0, 20)));
    }
  });

  it("resolves links and relative parts of a dir: path, and of one that does not exist yet its folder", async () => {
    await mkdir(join(folder, "real", "image"), { recursive: true });
    await symlink("real", join(folder, "link"));
    for (const [text, path] of [
      ["dir:link/image", "real/image"],
      ["dir:./link/image/", "real/image"],
      ["dir:link/new", "real/new"],
      ["dir:link/new/", "real/new"],
    ] as const) {
      const name = await parseImageName(text, { cwd: folder });
      assert.equal(name.path, join(folder, path));
      assert.equal(name.text, `dir:${join(folder, path)}`);
      assert.equal(name.policyIdentity.identity, join(folder, path));
      assert.equal(name.reference, undefined);
    }
  });

  it("cannot tell what a name means when the folder is missing or a link leads nowhere", async () => {
    assert.equal((await refusal("dir:missing/image")).code, "file-missing");
    await symlink("nowhere", join(folder, "dangling"));
    assert.equal((await refusal("dir:dangling")).code, "file-missing");
    await symlink("loop", join(folder, "loop"));
    assert.equal((await refusal("oci:loop:1")).code, "file-unreadable");
  });

  it("splits oci: names at the first colon and knows positions", async () => {
    for (const transport of ["oci", "oci-archive"] as const) {
      const name = await parseImageName(`${transport}:a:docker.io/library/busybox:1.36`, { cwd: folder });
      assert.equal(name.path, join(folder, "a"));
      assert.equal(name.imageName, "docker.io/library/busybox:1.36");
      assert.equal(name.policyIdentity.transport, transport);
      assert.equal(name.policyIdentity.identity, join(folder, "a"));
      assert.equal((await parseImageName(`${transport}:a`, { cwd: folder })).imageName, undefined);
      assert.equal((await parseImageName(`${transport}:a:`, { cwd: folder })).imageName, undefined);
      const digestName = `x@sha256:${"0".repeat(64)}`;
      assert.equal((await parseImageName(`${transport}:a:${digestName}`, { cwd: folder })).imageName, digestName);
      const positioned = await parseImageName(`${transport}:a:@12`, { cwd: folder });
      assert.equal(positioned.imagePosition, 12);
      assert.equal(positioned.imageName, undefined);
      for (const bad of ["@", "@-1", "@x", "@1.5", "a b", "-a", "a/", "a//b", "a\n", "../x", "a@", "ä"]) {
        assert.equal((await refusal(`${transport}:a:${bad}`)).code, "image-name-malformed", bad);
      }
    }
  });

  it("fails only with errors of its own, and understands its own canonical text", async () => {
    const piece = fc.constantFrom(
      ...[
        "docker",
        "dir",
        "oci",
        "oci-archive",
        "sif",
        ":",
        "//",
        "/",
        "@",
        ".",
        "..",
        "a",
        "B",
        "é",
        "\0",
        "\n",
        " ",
        "-",
        "_",
      ],
      ...["latest", "localhost", "5000", "sha256:", "0".repeat(64), "@0", "~", "%", "\\", "x.y"],
    );
    const texts = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
    await fc.assert(
      fc.asyncProperty(fc.oneof(texts, fc.string({ maxLength: 60 })), async (text) => {
        let name: ImageName;
        try {
          name = await parseImageName(text, { cwd: folder });
        } catch (error) {
          assert.ok(error instanceof SignetError, String(error));
          return;
        }
        assert.deepEqual(await parseImageName(name.text, { cwd: "/" }), name);
      }),
      { numRuns: 2000, seed: 3 },
    );
  });
});
