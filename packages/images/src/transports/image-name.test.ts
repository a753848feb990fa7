import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { SignetError, formatReference } from "@signet/core";
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
    for (const transport of ["atomic", "ostree", "sif", "tarball"]) {
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
      "docker-archive:",
      "docker-daemon:",
      "containers-storage:[vfs@/r]",
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

  it("takes of a docker-archive: a reference with its tag, or a position, and gives it no policy identity", async () => {
    for (const [text, reference, position] of [
      ["a.tar", undefined, undefined],
      ["a.tar:busybox", "docker.io/library/busybox:latest", undefined],
      ["a.tar:example.com:5000/app:1", "example.com:5000/app:1", undefined],
      ["a.tar:@3", undefined, 3],
    ] as const) {
      const name = await parseImageName(`docker-archive:${text}`, { cwd: folder });
      assert.equal(name.path, join(folder, "a.tar"));
      assert.equal(name.reference && formatReference(name.reference), reference);
      assert.equal(name.imagePosition, position);
      assert.deepEqual(name.policyIdentity, { transport: "docker-archive", identity: "", namespaces: [] });
    }
    for (const bad of ["a.tar:", "a.tar:@", "a.tar:@x", "a.tar:UPPER", `a.tar:x@sha256:${"0".repeat(64)}`]) {
      assert.equal((await refusal(`docker-archive:${bad}`)).code, "image-name-malformed", bad);
    }
  });

  it("takes of a docker-daemon: a name with its tag, or an image id, which has no policy identity", async () => {
    const name = await parseImageName("docker-daemon:busybox:1");
    assert.equal(name.text, "docker-daemon:docker.io/library/busybox:1");
    assert.deepEqual(name.policyIdentity, {
      transport: "docker-daemon",
      identity: "docker.io/library/busybox:1",
      namespaces: ["docker.io/library/busybox", "docker.io/library", "docker.io", "*.io"],
    });
    const byId = await parseImageName(`docker-daemon:sha256:${"a".repeat(64)}`);
    assert.equal(byId.imageId, "a".repeat(64));
    assert.deepEqual(byId.policyIdentity, { transport: "docker-daemon", identity: "", namespaces: [] });
    for (const bad of [
      "busybox",
      "sha256:abc",
      "a".repeat(64),
      `sha512:${"a".repeat(128)}@x`,
      `busybox@sha256:${"a".repeat(64)}`,
      `busybox:1@sha256:${"a".repeat(64)}`,
    ]) {
      const error = await refusal(`docker-daemon:${bad}`);
      assert.equal(error.code, "image-name-malformed", bad);
      assert.ok(error.hint !== undefined, bad);
    }
  });

  it("takes of the local storage names, digests and ids, in the store that is written or the configured one", async () => {
    const [id, digest] = ["a".repeat(64), `sha256:${"b".repeat(64)}`];
    for (const [image, identity] of [
      ["busybox", "docker.io/library/busybox:latest"],
      ["example.com/a/b:1", "example.com/a/b:1"],
      [`example.com/a@${digest}`, `example.com/a@${digest}`],
      [`example.com/a:1@${digest}`, `example.com/a:1@${digest}`],
      [`example.com/a:1@${id}`, `example.com/a:1@${id}`],
      [`example.com/a@${digest}@${id}`, `example.com/a@${digest}@${id}`],
      [`@${id}`, `@${id}`],
      [id, `@${id}`],
    ] as const) {
      for (const store of ["[vfs@/r]", "[vfs@/r+/run]", "[vfs@/x/../r+/run:vfs.a=b,c]"]) {
        const name = await parseImageName(`containers-storage:${store}${image}`);
        assert.equal(name.policyIdentity.identity, `[vfs@/r]${identity}`);
        assert.deepEqual(name.store, { driver: "vfs", root: "/r", written: store });
      }
    }
    const file = join(folder, "storage.conf");
    await writeFile(file, '[storage]\ndriver = "vfs"\ngraphroot = "/configured"\n');
    const host = { env: { CONTAINERS_STORAGE_CONF: file }, uid: 0, home: folder };
    const name = await parseImageName("containers-storage:busybox", { host });
    assert.equal(name.policyIdentity.identity, "[vfs@/configured]docker.io/library/busybox:latest");
    for (const bad of ["[vfs@/r", "[/r]a", "[@/r]a", "[vfs@r]a", "[vfs@/r+run]a", "[]a", "[vfs@/r]", "[vfs@/r]a@b"]) {
      assert.equal((await refusal(`containers-storage:${bad}`)).code, "image-name-malformed", bad);
    }
  });

  it("fails only with errors of its own, and understands its own canonical text", async () => {
    const piece = fc.constantFrom(
      ...[
        "docker",
        "dir",
        "oci",
        "oci-archive",
        "docker-archive",
        "docker-daemon",
        "containers-storage",
        "[vfs@/r]",
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
          name = await parseImageName(text, { cwd: folder, host: { env: {}, uid: 0, home: folder, root: folder } });
        } catch (error) {
          assert.ok(error instanceof SignetError, String(error));
          return;
        }
        // A store that was not written is written in the canonical text.
        const { store } = name;
        const written =
          store?.written === "" ? { ...name, store: { ...store, written: `[${store.driver}@${store.root}]` } } : name;
        assert.deepEqual(await parseImageName(name.text, { cwd: "/" }), written);
      }),
      { numRuns: 2000, seed: 3 },
    );
  });
});
