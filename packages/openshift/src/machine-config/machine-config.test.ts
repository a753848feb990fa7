import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { FormatError } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { parse } from "yaml";
import { parseButane } from "./butane-config.ts";
import { makeContents } from "./data-url.ts";
import { openLocalFolder } from "./local-folder.ts";
import { renderButane, writeMachineConfig } from "./machine-config.ts";
import { nodeFilesOf } from "./node-file.ts";
import type { YamlProblem } from "./yaml-fields.ts";

const vectors = join(import.meta.dirname, "../../../../vectors/machineconfig");
const butane = join(vectors, "butane");

async function render(text: string | Uint8Array, folder?: string): Promise<string> {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const { document, config } = parseButane(bytes, "test.bu");
  const local = folder === undefined ? undefined : openLocalFolder(folder);
  return writeMachineConfig(await renderButane(config, () => document.finish(), local), "yaml");
}

async function problemsOf(text: string | Uint8Array, folder?: string): Promise<readonly YamlProblem[]> {
  try {
    await render(text, folder);
    return [];
  } catch (error) {
    assert.ok(error instanceof FormatError, String(error));
    assert.equal(error.code, "butane-malformed");
    return (error.details["problems"] ?? [{ path: "$", line: 0, column: 0, message: error.message }]) as YamlProblem[];
  }
}

const head = (version = "4.17.0"): string =>
  `variant: openshift\nversion: ${version}\nmetadata:\n  name: a\n  labels:\n    machineconfiguration.openshift.io/role: worker\n`;
const withFiles = (files: string): string => `${head()}storage:\n  files:\n${files}`;

describe("Butane to MachineConfig", () => {
  const names = readdirSync(butane).filter((name) => name.endsWith(".bu"));
  for (const name of names) {
    test(`${name} becomes what Butane makes of it, byte for byte`, async () => {
      const found = await render(readFileSync(join(butane, name)), join(butane, "files"));
      assert.equal(found, readFileSync(join(butane, name.replace(/bu$/, "yaml")), "utf8"));
    });
  }

  test("what Butane refuses is refused, at the same line and column", async () => {
    const { cases } = JSON.parse(readFileSync(join(vectors, "refused.json"), "utf8")) as {
      cases: readonly { name: string; butane: string; accepted: boolean; errors: readonly YamlProblem[] }[];
    };
    using dir = makeTempDir();
    mkdirSync(dir.join("links"));
    symlinkSync("/etc/passwd", dir.join("links", "a"));
    const accepted: string[] = [];
    const elsewhere: string[] = [];
    for (const { name, butane: text, accepted: isAccepted, errors } of cases) {
      const problems = await problemsOf(text, dir.path);
      assert.ok(problems.length > 0, `${name} was rendered`);
      if (isAccepted) accepted.push(name);
      for (const { line, column, path } of errors) {
        const isSame = problems.some((problem) => problem.line === line && problem.column === column);
        if (!isSame) elsewhere.push(`${name} ${path}`);
      }
    }
    // Other variants make no MachineConfig; units are out of scope; unknown keys must not be dropped.
    assert.deepEqual(accepted, ["other-variant", "systemd", "unknown-key"]);
    // Butane does not know the place of a path that is missing.
    assert.deepEqual(elsewhere, ["no-path $.spec.config.storage.files.0.path"]);
  });

  test("every section that is not rendered is refused by its place", async () => {
    for (const section of ["boot_device", "grub", "ignition", "kernel_arguments", "passwd", "systemd"]) {
      const [problem] = await problemsOf(`${head()}${section}:\n  x: 1\n`);
      assert.deepEqual([problem?.path, problem?.line], [`$.${section}`, 8], section);
    }
    for (const section of ["disks", "filesystems", "luks", "raid", "directories", "links"]) {
      const [problem] = await problemsOf(`${head()}storage:\n  ${section}:\n  - x: 1\n`);
      assert.deepEqual([problem?.path, problem?.line], [`$.storage.${section}`, 9], section);
    }
  });

  test("hostile paths are refused: climbing, doubled, over-long, with control characters, below a file", async () => {
    const paths = [
      "/etc/../../root/a",
      "/etc//a",
      "/etc/a/",
      "/",
      "/./a",
      '"/etc/a\\0b"',
      '"/etc/a\\nb"',
      '"/etc/\\u2028"',
      `/${"a".repeat(256)}`,
      `/${"abcdefgh/".repeat(600)}a`,
    ];
    for (const path of paths) {
      const [problem] = await problemsOf(withFiles(`  - path: ${path}\n    contents: {inline: a}\n`));
      assert.equal(problem?.path, "$.storage.files.0.path", path.slice(0, 40));
    }
    const file = (path: string): string => `  - path: ${path}\n    contents: {inline: a}\n`;
    const [twice] = await problemsOf(withFiles(file("/a") + file("/b") + file("/a")));
    assert.deepEqual([twice?.path, twice?.line], ["$.storage.files.2", 13]);
    const [below] = await problemsOf(withFiles(file("/a") + file("/a/b")));
    assert.equal(below?.message, "/a is a file, so that there can be no /a/b");
  });

  test("local files stay inside their folder, whatever links say", async () => {
    using dir = makeTempDir();
    writeFileSync(dir.join("outside"), "secret");
    mkdirSync(dir.join("files"));
    symlinkSync("../outside", dir.join("files", "out"));
    symlinkSync("..", dir.join("files", "up"));
    writeFileSync(dir.join("files", "big"), new Uint8Array(4 * 1024 * 1024 + 1));
    for (const [local, message] of [
      ["out", /a link leads out/],
      ["up/outside", /a link leads out/],
      ["../outside", /traverses outside/],
      ["big", /4194305 bytes, the limit is 4194304/],
      ["nothing", /no such file/],
      [".", /is a directory/],
    ] as const) {
      const [problem] = await problemsOf(
        withFiles(`  - path: /a\n    contents: {local: ${local}}\n`),
        dir.join("files"),
      );
      assert.match(problem?.message ?? "", message);
    }
    const [unnamed] = await problemsOf(withFiles("  - path: /a\n    contents: {local: a}\n"));
    assert.match(unnamed?.message ?? "", /--files-dir/);
  });

  test("broken YAML, bombs of aliases and depth, and large files end in one error", async () => {
    const bomb = `a: &a [${"x,".repeat(50)}]\n${"bcdefghij"
      .split("")
      .map((name, i) => `${name}: &${name} [${`*${"abcdefghi"[i]},`.repeat(50)}]`)
      .join("\n")}\n`;
    const hostile: readonly string[] = [
      "",
      "- a",
      "a: [",
      "a: *b",
      "&a a: *a",
      "&a {a: *a}",
      `${head()}x: y\n---\n${head()}`,
      bomb,
      `${head()}storage: &s {files: *s}\n`,
      `${head()}storage: &s\n  files:\n  - *s\n`,
      "[".repeat(100_000),
      `${head()}storage: ${"{a: ".repeat(20_000)}`,
      `${head()}openshift:\n  kernel_arguments:\n${"  - &a x\n".repeat(50)}${"  - *a\n".repeat(200)}`,
      "a: !!binary aGVsbG8=",
      `${head()}storage: !!set {files}\n`,
    ];
    for (const text of hostile) assert.ok((await problemsOf(text)).length > 0, text.slice(0, 60));
    await assert.rejects(render(new Uint8Array([0xff, 0xfe])), { code: "butane-malformed" });
    await assert.rejects(render(new Uint8Array(1024 * 1024 + 1)), { code: "input-too-large" });
  });

  test("an object that no cluster keeps is refused", async () => {
    using dir = makeTempDir();
    const noise = Uint8Array.from({ length: 1_300_000 }, (_, index) => Math.imul(index, 2654435761) >>> 13);
    writeFileSync(dir.join("noise"), noise);
    const text = withFiles("  - path: /a\n    contents: {local: noise, compression: gzip}\n");
    await assert.rejects(render(text, dir.path), { code: "input-too-large", message: /a cluster keeps 1572864/ });
  });

  test("the JSON form says the same as the YAML form", async () => {
    const { document, config } = parseButane(readFileSync(join(butane, "files.bu")), "files.bu");
    const made = await renderButane(config, () => document.finish(), openLocalFolder(join(butane, "files")));
    assert.deepEqual(JSON.parse(writeMachineConfig(made, "json")), parse(writeMachineConfig(made, "yaml")));
  });
});

describe("contents of files", () => {
  test("the shortest form wins, and a tie goes to the plainer one", () => {
    const make = (text: string, compresses = true): object =>
      makeContents(new TextEncoder().encode(text), undefined, compresses);
    assert.deepEqual(make("xyzzy"), { compression: "", source: "data:,xyzzy" });
    assert.deepEqual(make("file contents\n"), { compression: "", source: "data:,file%20contents%0A" });
    assert.deepEqual(make("ÄÖÜ é"), { compression: "", source: "data:;base64,w4TDlsOcIMOp" });
    assert.match(JSON.stringify(make("z".repeat(142))), /"compression":"gzip"/);
    assert.deepEqual(make("z".repeat(142), false), { compression: "", source: `data:,${"z".repeat(142)}` });
  });

  test("files of a MachineConfig are read back as they went in", async () => {
    const { document, config } = parseButane(readFileSync(join(butane, "files.bu")), "files.bu");
    const made = await renderButane(config, () => document.finish(), openLocalFolder(join(butane, "files")));
    const files = new Map(nodeFilesOf(made.spec.config, "files.bu").map((file) => [file.path, file]));
    const textOf = (path: string): string => new TextDecoder().decode(files.get(path)?.content);
    assert.deepEqual(
      ["/etc/one", "/etc/four", "/etc/five", "/etc/six", "/etc/seven", "/etc/nine", "/sub/run"].map(textOf),
      ["xyzzy", "hello world", "hello", "hello", "", "ÄÖÜ é", "#!/bin/sh\n"],
    );
    assert.equal(textOf("/sub/deeper/q"), "q".repeat(700));
    assert.deepEqual([files.get("/etc/one")?.mode, files.get("/etc/seven")?.mode], [0o600, 0o644]);
    assert.deepEqual(files.get("/etc/two")?.content, Uint8Array.from([0, 1, 2, 255, 254]));
  });

  test("what is no file of a node is refused by its place", () => {
    const read = (file: object): unknown => nodeFilesOf({ storage: { files: [file] } }, "x");
    for (const [file, message] of [
      [{ path: "a" }, /storage\.files\[0\]: path not absolute/],
      [{ path: "/etc/../a" }, /not fully simplified/],
      [{ path: "/a", mode: 0o1755 }, /mode 1005/],
      [{ path: "/a", mode: "0644" }, /mode "0644"/],
      [{ path: "/a", contents: { source: "https://example.com" } }, /no data URL/],
      [{ path: "/a", contents: { source: "data:;base64,%%" } }, /escape/],
      [{ path: "/a", contents: { source: "data:;base64,a" } }, /not base64/],
      [{ path: "/a", contents: { source: "data:,a", compression: "gzip" } }, /not gzip/],
      [{ path: "/a", contents: { source: "data:,a", compression: "xz" } }, /"xz"/],
      [{ path: "/a", append: [{}] }, /appending/],
      [{ path: "/a", append: true }, /appending/],
      [{}, /no path/],
    ] as const)
      assert.throws(() => read(file), { code: "machineconfig-malformed", message });
    const zeros = (bytes: number): object => {
      const source = `data:;base64,${gzipSync(new Uint8Array(bytes)).toString("base64")}`;
      return { path: "/a", contents: { source, compression: "gzip" } };
    };
    assert.ok(read(zeros(4 * 1024 * 1024)));
    assert.throws(() => read(zeros(4 * 1024 * 1024 + 1)), { code: "input-too-large" });
  });
});
