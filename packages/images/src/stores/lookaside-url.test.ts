import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Digest, PolicyError, type SignetError, parseDigest, parseReference } from "@signet/core";
import { folderLookasideBase, parseLookasideBase, signatureFolder, signatureUrl } from "./lookaside-url.ts";

const digest = parseDigest("sha256:20bf21ed457b390829cdbeec8795a7bea1626991fda603e0d01b4e7f60427e55");
const hex = digest.slice("sha256:".length);

function urlOf(base: string, reference: string, position: number, of: Digest = digest): string {
  return signatureUrl(parseLookasideBase(base, "here"), parseReference(reference), of, position).url;
}

function problemOf(base: string): SignetError {
  try {
    parseLookasideBase(base, "/etc/x.yaml:3");
  } catch (error) {
    assert.ok(error instanceof PolicyError, String(error));
    assert.equal(error.code, "registries-d-malformed");
    assert.ok(error.message.startsWith("/etc/x.yaml:3: invalid signature storage URL"), error.message);
    return error;
  }
  assert.fail(`${base} parsed`);
}

describe("lookaside URLs", () => {
  it("put path, digest and number behind the base", () => {
    assert.equal(
      urlOf("https://sig.example.com/store", "registry.example.com/team/app:1", 2),
      `https://sig.example.com/store/team/app@sha256=${hex}/signature-2`,
    );
    assert.equal(urlOf("http://h:8443", "busybox", 1), `http://h:8443/library/busybox@sha256=${hex}/signature-1`);
    const long = parseDigest(`sha512:${"ab".repeat(64)}`);
    assert.equal(
      urlOf("https://h/s", "h.example/a", 128, long),
      `https://h/s/a@sha512=${"ab".repeat(64)}/signature-128`,
    );
  });

  it("put a slash in even behind one, and keep query and fragment at the end", () => {
    assert.equal(urlOf("https://h/store/", "busybox", 1), `https://h/store//library/busybox@sha256=${hex}/signature-1`);
    assert.equal(urlOf("https://h/s?x=1", "h.example/a", 1), `https://h/s/a@sha256=${hex}/signature-1?x=1`);
    assert.equal(urlOf("https://h/s?x=1#f?y", "h.example/a", 1), `https://h/s/a@sha256=${hex}/signature-1?x=1#f?y`);
    assert.equal(urlOf("https://h?x=/", "h.example/a", 1), `https://h/a@sha256=${hex}/signature-1?x=/`);
  });

  it("have no room for the host, tag or digest of the reference", () => {
    const expected = urlOf("https://h", "one.example/a", 1);
    for (const reference of ["two.example:5000/a", "one.example/a:tag", `one.example/a@sha256:${"0".repeat(64)}`])
      assert.equal(urlOf("https://h", reference, 1), expected);
  });

  it("name folders for file: the path decoded, query and fragment aside", () => {
    const folder = (base: string): string =>
      signatureFolder(parseLookasideBase(base, "here"), parseReference("h.example/ns/a"), digest);
    const end = `/ns/a@sha256=${hex}`;
    assert.equal(folder("file:///srv/sig"), `/srv/sig${end}`);
    assert.equal(folder("file:///srv/sig/"), `/srv/sig/${end}`);
    assert.equal(folder("file:///srv/my%20sigs?x#y"), `/srv/my sigs${end}`);
    assert.equal(folder("file://localhost/srv"), `/srv${end}`);
    assert.equal(folder("FILE:/srv"), `/srv${end}`);
    const builtin = folderLookasideBase("/home/a%20b/sigstore");
    assert.equal(signatureFolder(builtin, parseReference("h.example/ns/a"), digest), `/home/a%20b/sigstore${end}`);
  });

  it("parse without a scheme, and with an unknown one: only using them fails", () => {
    for (const [base, scheme] of [
      ["/no/scheme/just/a/path", ""],
      ["no/scheme/relative/path", ""],
      ["s3://bucket/x", "s3"],
    ]) {
      assert.equal(parseLookasideBase(base!, "here").scheme, scheme);
      assert.equal(parseLookasideBase(base!, "here").folder, undefined);
    }
    assert.equal(
      urlOf("/no/scheme/just/a/path", "localhost/file/path/test", 1),
      `/no/scheme/just/a/path/file/path/test@sha256=${hex}/signature-1`,
    );
  });

  it("are refused when malformed, with a hint", () => {
    assert.match(problemOf(":emptyscheme").message, /nothing stands before the first colon/);
    assert.match(problemOf("file://srv/sig").hint ?? "", /file:\/\/\/path/);
    assert.match(problemOf("file:relative").hint ?? "", /file:\/\/\/path/);
    for (const base of [
      "file:///srv/%zz",
      "file:///srv/%00",
      "file://",
      "https://",
      "https:///path",
      "https://h:port/",
      "https:h",
      "https://h/%zz",
      "http://[::1/x",
      "a b:c/d",
      "1a:b",
      "https://h/\n",
      "https://h/\u007f",
    ])
      problemOf(base);
  });

  it("T23: show neither user information nor query values", () => {
    const base = parseLookasideBase("https://user:secret@h.example/s?sig=secret#secret", "here");
    const reference = parseReference("h.example/a");
    assert.equal(base.label, "https://***@h.example/s?***");
    const { url, shown } = signatureUrl(base, reference, digest, 1);
    assert.equal(url, `https://user:secret@h.example/s/a@sha256=${hex}/signature-1?sig=secret#secret`);
    assert.equal(shown, `https://***@h.example/s/a@sha256=${hex}/signature-1?***`);
    for (const bad of [
      "https://user:secret@h:port/x",
      "https://u:secret@/x?secret",
      "file://u:secret@/x?secret",
      "1x://u:secret@h",
    ])
      assert.doesNotMatch(problemOf(bad).message + (problemOf(bad).hint ?? ""), /se\/?cret/);
  });
});
