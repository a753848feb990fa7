import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { removeRegistriesDSection, setRegistriesDSection, type StoreChange } from "./registries-d-edit.ts";

const set = (before: string | undefined, namespace: string | undefined, change: StoreChange): string =>
  decode(setRegistriesDSection(before === undefined ? undefined : encode(before), "f.yaml", namespace, change));
const remove = (before: string, namespace: string | undefined): string | undefined => {
  const after = removeRegistriesDSection(encode(before), "f.yaml", namespace);
  return after === undefined ? undefined : decode(after);
};

const commented = `# Kept by the platform team.
default-docker:
  # Local only.
  lookaside-staging: file:///var/lib/containers/sigstore

docker:
  # Vendor images.
  registry.example.com:
    # do not touch
    sigstore: https://old.example.com/sigs # moves in May
    x-owner: me
  'b.example.com':
    lookaside: "https://b.example.com"
`;

describe("setting a section", () => {
  test("a file that does not exist, or says nothing, gets one", () => {
    const written = "docker:\n  example.com/team:\n    lookaside: https://s.example.com/x\n";
    for (const before of [undefined, "", "docker:\n", "docker: {}\n", "{}\n"]) {
      assert.equal(set(before, "example.com/team", { lookaside: "https://s.example.com/x" }), written, before);
    }
    assert.equal(
      set("# why\n", "a.b", { attachments: true }),
      "# why\n\ndocker:\n  a.b:\n    use-sigstore-attachments: true\n",
    );
    assert.equal(
      set(undefined, "*.a.b", { staging: "file:///s" }),
      'docker:\n  "*.a.b":\n    lookaside-staging: file:///s\n',
    );
    assert.equal(set(undefined, undefined, { lookaside: "file:///s" }), "default-docker:\n  lookaside: file:///s\n");
  });

  test("comments, order and unknown keys stay, and the old name of a key is kept", () => {
    assert.equal(
      set(commented, "registry.example.com", { lookaside: "https://new.example.com" }),
      commented.replace("https://old.example.com/sigs", "https://new.example.com"),
    );
    assert.equal(
      set(commented, "registry.example.com", { attachments: false }),
      commented.replace("x-owner: me\n", "x-owner: me\n    use-sigstore-attachments: false\n"),
    );
    assert.equal(
      set(commented, "c.example.com", { lookaside: "https://c" }),
      `${commented}  c.example.com:\n    lookaside: https://c\n`,
    );
    assert.equal(
      set(commented, undefined, { staging: "file:///x", lookaside: "file:///y" }),
      commented.replace("file:///var/lib/containers/sigstore", "file:///x\n  lookaside: file:///y"),
    );
  });

  test("both names of a key are set when both are there", () => {
    const both = "docker:\n    a.b:\n        lookaside: https://x\n        sigstore: https://y\n";
    assert.equal(
      set(both, "a.b", { lookaside: "https://z" }),
      "docker:\n    a.b:\n        lookaside: https://z\n        sigstore: https://z\n",
    );
  });

  test("line ends and the one-line form stay", () => {
    assert.equal(
      set("docker:\r\n  a.b:\r\n    lookaside: https://x\r\n", "a.b", { lookaside: "https://z" }),
      "docker:\r\n  a.b:\r\n    lookaside: https://z\r\n",
    );
    assert.equal(
      set('{"docker": {"a.b": {"lookaside": "https://x"}}}\n', "a.b", { lookaside: "https://z" }),
      '{"docker": {"a.b": {"lookaside": "https://z"}}}\n',
    );
  });

  test("what is already so is the very same file", () => {
    const bytes = encode(commented.replaceAll("\n", "  \n"));
    assert.equal(
      setRegistriesDSection(bytes, "f", "registry.example.com", { lookaside: "https://old.example.com/sigs" }),
      bytes,
    );
    assert.equal(removeRegistriesDSection(bytes, "f", "other"), bytes);
  });

  test("a section that others are tied to is left to people", () => {
    const shared = "docker:\n  a.b: &x\n    lookaside: https://x\n  c.d: *x\n";
    for (const edit of [
      () => set(shared, "a.b", { lookaside: "https://z" }),
      () => set(shared, "c.d", { lookaside: "https://z" }),
      () => remove(shared, "a.b"),
    ]) {
      assert.throws(edit, { code: "registries-d-malformed", message: /cannot be changed without changing others/ });
    }
    assert.equal(remove(shared, "c.d"), "docker:\n  a.b: &x\n    lookaside: https://x\n");
  });

  test("a file that does not parse is refused", () => {
    for (const broken of [
      "docker: [",
      "docker:\n  a: 1\n",
      "docker:\n  a:\n    lookaside: 1\n  a: {}\n",
      "docker: {a: {}, a: {}}",
    ]) {
      assert.throws(() => set(broken, "a.b", { lookaside: "https://x" }), { code: "registries-d-malformed" }, broken);
    }
  });
});

describe("removing a section", () => {
  test("leaves comments and sections elsewhere", () => {
    assert.equal(remove(commented, "b.example.com"), commented.slice(0, commented.indexOf("  'b.example.com'")));
    assert.match(
      remove(commented, "registry.example.com") ?? "",
      /Kept by the platform team[^]*docker:\n[^]*b\.example\.com/,
    );
    assert.match(remove(commented, undefined) ?? "", /^# Kept by the platform team\.\n[^]*docker:/);
  });

  test("nothing is left of a file that held nothing else", () => {
    assert.equal(remove("docker:\n  a.b:\n    lookaside: https://x\n", "a.b"), undefined);
    assert.equal(remove("---\ndocker:\n  a.b: {}\n", "a.b"), undefined);
    assert.equal(remove("default-docker:\n  lookaside: https://x\n", undefined), undefined);
    assert.match(remove("# mine\ndocker:\n  a.b: {}\n", "a.b") ?? "", /^# mine\n/);
    assert.match(remove("docker:\n  a.b: {}\nx: 1\n", "a.b") ?? "", /x: 1/);
  });
});

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
