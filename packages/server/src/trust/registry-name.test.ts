import assert from "node:assert/strict";
import test from "node:test";
import { FormatError } from "@signet/core";
import { PullGuard, isRegistryName } from "./pull-guard.ts";
import { KeyringReader } from "./server-keyring.ts";

test("a server's name is one that images can have before their path", () => {
  for (const name of ["registry.example.com", "localhost:5000", "127.0.0.1:5000", "localhost", "a:1"]) {
    assert.equal(isRegistryName(name), true, name);
  }
  for (const name of [
    "registry",
    "",
    "[::1]:5000",
    "a/b.example.com",
    "https://x.example.com",
    "x.example.com/",
    "x y.com",
    "-",
  ]) {
    assert.equal(isRegistryName(name), false, name);
    assert.throws(
      () =>
        new PullGuard({
          database: undefined as never,
          blobs: undefined as never,
          keyrings: new KeyringReader(),
          names: [name],
          onJudged: () => undefined,
        }),
      (error) => error instanceof FormatError && error.code === "reference-malformed",
    );
  }
});
