import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, test } from "node:test";
import { buildTestImage, makeTempDir, makeTestKey, writeDirImage, writeTestCertificate } from "@signet/testkit";
import { type SignetRun, runSignet } from "../signet-process.ts";

const folder = makeTempDir();
after(() => folder.dispose());

const [one, two] = [makeTestKey("ed25519"), makeTestKey("ed25519")];
writeFileSync(folder.join("one.gpg"), writeTestCertificate(one));
writeFileSync(folder.join("two.gpg"), writeTestCertificate(two));
const signedBy = (...keyPaths: readonly string[]): object => ({ type: "signedBy", keyType: "GPGKeys", keyPaths });
const accept = { type: "insecureAcceptAnything" };
const reject = { type: "reject" };

function write(name: string, scopes: object, fallback: object = reject): void {
  writeFileSync(folder.join(name), JSON.stringify({ default: [fallback], transports: { docker: scopes } }));
}

function diff(...args: readonly string[]): Promise<SignetRun> {
  return runSignet(["policy", "diff", ...args], { cwd: folder.path, env: { HOME: folder.path } });
}

write("a.json", { "r.example.com": [signedBy("one.gpg", "two.gpg")], "r.example.com/x": [accept] });
write("b.json", { "r.example.com": [signedBy("two.gpg")], "r.example.com/y": [accept] });

test("each scope that changed has a line, its words and its reasons", async () => {
  const { status, stdout, stderr } = await diff("a.json", "b.json");
  assert.deepEqual([status, stderr], [0, ""]);
  assert.equal(
    stdout,
    [
      "docker: r.example.com: stricter: signedBy(2 keys, any of) → signedBy(1 key)",
      `    key removed: ${one.fingerprint}`,
      "docker: r.example.com/x: stricter: insecureAcceptAnything → signedBy(1 key)",
      "    scope removed, governed by docker: r.example.com now",
      "    now required: signedBy(1 key)",
      "docker: r.example.com/y: looser: signedBy(2 keys, any of) → insecureAcceptAnything",
      "    new scope, governed by docker: r.example.com before",
      "    no longer required: signedBy(2 keys, any of)",
      "    every image is accepted now, signed or not",
      "4 scopes: 2 stricter, 1 looser, 0 different, 1 the same",
      "",
    ].join("\n"),
  );
});

test("JSON has every scope, also those that are the same", async () => {
  const { stdout } = await diff("a.json", "b.json", "-o", "json");
  const document = JSON.parse(stdout) as { readonly scopes: readonly object[]; readonly summary: object };
  assert.deepEqual(document.summary, { same: 1, stricter: 2, looser: 1, different: 0 });
  assert.deepEqual(document.scopes[0], {
    transport: null,
    scope: null,
    presence: "both",
    change: "same",
    before: { governedBy: "default", requirements: "reject" },
    after: { governedBy: "default", requirements: "reject" },
    reasons: [],
  });
});

test("a gate fails for what it is told to, and for what cannot be compared", async () => {
  write("stricter.json", { "r.example.com": [signedBy("two.gpg")] });
  write("looser.json", { "r.example.com": [signedBy("one.gpg", "two.gpg")] });
  write("other.json", { "r.example.com": [signedBy("one.gpg")] });
  const status = async (...args: readonly string[]): Promise<number> => (await diff(...args)).status;
  assert.equal(await status("looser.json", "stricter.json", "--fail-on", "looser"), 0);
  assert.equal(await status("looser.json", "stricter.json", "--fail-on", "stricter"), 1);
  assert.equal(await status("looser.json", "stricter.json", "--fail-on", "any"), 1);
  assert.equal(await status("stricter.json", "looser.json", "--fail-on", "looser"), 1);
  assert.equal(await status("stricter.json", "looser.json", "--fail-on", "stricter"), 0);
  assert.equal(await status("stricter.json", "other.json", "--fail-on", "looser"), 1);
  assert.equal(await status("stricter.json", "stricter.json", "--fail-on", "any"), 0);
  assert.equal(await status("stricter.json", "absent.json"), 2);
  assert.equal(await status("stricter.json"), 64);
});

test("with a list of images it also says which of them change", async () => {
  writeDirImage(folder.join("image"), await buildTestImage());
  writeFileSync(folder.join("images.txt"), `dir:${folder.join("image")}\n`);
  write("reject.json", {});
  write("accept.json", {}, accept);
  const text = await diff("accept.json", "reject.json", "--from", "images.txt", "--quiet");
  assert.equal(text.status, 0);
  assert.match(
    text.stdout,
    /1 scope: 1 stricter.*\n1 image would stop being pulled\n +1 {2}policy-reject {2}scope default\n/,
  );
  const { stdout } = await diff("accept.json", "reject.json", "--from", "images.txt", "-o", "json", "--quiet");
  const { images } = JSON.parse(stdout) as { readonly images: { readonly stops: number } };
  assert.equal(images.stops, 1);
});
