import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { removeRegistriesDSection, setRegistriesDSection, type StoreChange } from "./registries-d-edit.ts";

const set = (before: string, namespace: string | undefined, change: StoreChange): string =>
  Buffer.from(setRegistriesDSection(Buffer.from(before), "f.yaml", namespace, change)).toString();
const remove = (before: string, namespace: string | undefined): string | undefined => {
  const after = removeRegistriesDSection(Buffer.from(before), "f.yaml", namespace);
  return after === undefined ? undefined : Buffer.from(after).toString();
};

/** Comments in every place, blank lines, aligned columns, four blanks a level. */
const everywhere = `# of the file

# before default
default-docker:   # on default
    # inside default
    lookaside:   https://d   # on a value

# before docker


docker:  # on docker
    # before a
    a.example.com:   # on a
        # inside a
        lookaside: https://a     # on the value of a
        x-owner: me
        # end of a
    # before b
    b.example.com:  # on b

        sigstore: https://b
    # end of docker
# end of the file
`;

describe("comments in every place", () => {
  test("stay where they are when a value changes", () => {
    for (const [namespace, old, line] of [
      ["a.example.com", "https://a ", "https://new "],
      ["b.example.com", "https://b\n", "https://new\n"],
      [undefined, "https://d ", "https://new "],
    ] as const) {
      assert.equal(set(everywhere, namespace, { lookaside: "https://new" }), everywhere.replace(old, line));
    }
  });

  test("stay where they are when a section gets keys", () => {
    for (const [namespace, last, indent] of [
      ["a.example.com", "x-owner: me\n", "        "],
      ["b.example.com", "sigstore: https://b\n", "        "],
      [undefined, "# on a value\n", "    "],
    ] as const) {
      const added = `${indent}lookaside-staging: file:///s\n${indent}use-sigstore-attachments: true\n`;
      assert.equal(
        set(everywhere, namespace, { staging: "file:///s", attachments: true }),
        everywhere.replace(last, `${last}${added}`),
      );
    }
  });

  test("stay where they are when a section is added", () => {
    assert.equal(
      set(everywhere, "c.example.com", { lookaside: "https://c" }),
      everywhere.replace("https://b\n", "https://b\n    c.example.com:\n        lookaside: https://c\n"),
    );
  });

  test("of other sections stay where they are when one is removed", () => {
    const without = (from: string, to: string): string =>
      everywhere.slice(0, everywhere.indexOf(from)) + everywhere.slice(everywhere.indexOf(to));
    assert.equal(remove(everywhere, "a.example.com"), without("    a.example.com", "    # before b"));
    assert.equal(remove(everywhere, "b.example.com"), without("    b.example.com", "    # end of docker"));
    assert.equal(remove(everywhere, undefined), without("default-docker", "\n# before docker"));
  });

  test("stay with windows' line ends, and without an end of the last line", () => {
    const crlf = everywhere.replaceAll("\n", "\r\n");
    assert.equal(
      set(crlf, "b.example.com", { lookaside: "https://new" }),
      crlf.replace("https://b\r\n", "https://new\r\n"),
    );
    const open = "docker:  # ours\n  a.b:  # main\n    lookaside: https://x  # here";
    assert.equal(set(open, "a.b", { lookaside: "https://z" }), open.replace("//x", "//z"));
  });
});

describe("a comment on the line of a name", () => {
  test("stays there when what was empty gets its first member", () => {
    const section = "  a.b:\n    lookaside: https://x\n";
    for (const before of ["docker:  # ours\n", "docker: {}  # ours\n", "docker:  # ours"]) {
      assert.equal(`${set(before, "a.b", { lookaside: "https://x" }).trimEnd()}\n`, `docker:  # ours\n${section}`);
    }
    const empty = "docker: # ours\n  a.b: # main\n  # before c\n  c.d: {}  # second\n";
    assert.equal(
      set(empty, "c.d", { lookaside: "https://x" }),
      empty.replace(" {}  # second\n", "  # second\n    lookaside: https://x\n"),
    );
    assert.match(
      set(empty, "a.b", { lookaside: "https://x" }),
      /^docker: # ours\n  a\.b: # main\n    lookaside: https:\/\/x\n\s*# before c\n  c\.d: \{\}  # second\n$/,
    );
  });

  test("stays when the mapping is left without a member, and so does what stands below", () => {
    const one = "docker:   # ours\n  a.b: # main\n    lookaside: https://x\n";
    assert.equal(remove(one, "a.b"), "docker:   # ours\n");
    assert.equal(remove(`${one}# end\n`, "a.b"), "docker:   # ours\n# end\n");
    assert.equal(remove(`${one}x-y: 1 # z\n`, "a.b"), "docker:   # ours\nx-y: 1 # z\n");
    assert.equal(remove("docker:\n  a.b: # main\n    lookaside: https://x\n", "a.b"), undefined);
  });

  test("stays behind an anchor or a tag", () => {
    const tied = "docker: !!map # ours\n  a.b: &x  # main\n    lookaside: https://x\n  c.d: *x # as main\n";
    assert.equal(set(tied, "e.f", { lookaside: "https://z" }), `${tied}  e.f:\n    lookaside: https://z\n`);
  });
});

test("indentation of every width of its own stays, and what is new follows the nearest above", () => {
  const uneven =
    "docker:\n      a.b:  # main\n         lookaside: https://x\n      c.d:\n        sigstore: https://y\nx-y: 1\n";
  assert.equal(set(uneven, "c.d", { lookaside: "https://z" }), uneven.replace("https://y", "https://z"));
  for (const [namespace, last, indent] of [
    ["a.b", "https://x\n", 9],
    ["c.d", "https://y\n", 8],
  ] as const) {
    assert.equal(
      set(uneven, namespace, { attachments: true }),
      uneven.replace(last, `${last}${" ".repeat(indent)}use-sigstore-attachments: true\n`),
    );
  }
  assert.equal(
    set(uneven, "e.f", { lookaside: "https://z" }),
    uneven.replace("https://y\n", "https://y\n      e.f:\n        lookaside: https://z\n"),
  );
});

test("a file that the library writes with other characters is written as the library does, and says the same", () => {
  assert.equal(
    set("? docker # ours\n: a.b:\n    lookaside: https://x\n", "a.b", { lookaside: "https://z" }),
    "docker:\n    # ours\n    a.b:\n        lookaside: https://z\n",
  );
});
