import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "@signet/core";
import { proxyFromEnvironment } from "./proxy.ts";

function choose(env: Record<string, string>, url: string): string | undefined {
  return proxyFromEnvironment(env)(new URL(url))?.host;
}

void describe("proxy from the environment", () => {
  void it("goes by the scheme of the URL", () => {
    const env = { HTTP_PROXY: "http://plain.example:3128", https_proxy: "secure.example:3129" };
    assert.equal(choose(env, "http://registry.example.com/"), "plain.example:3128");
    assert.equal(choose(env, "https://registry.example.com/"), "secure.example:3129");
    assert.equal(choose({ HTTP_PROXY: "http://plain.example:3128" }, "https://registry.example.com/"), undefined);
    assert.equal(choose({}, "https://registry.example.com/"), undefined);
  });

  void it("leaves out what NO_PROXY names", () => {
    const env = {
      HTTPS_PROXY: "http://p:1",
      NO_PROXY: "example.com, .sub.test,*.wild.test,10.0.0.0/8,192.0.2.7,port.test:8443,fd00::/8",
    };
    const direct = [
      "example.com",
      "a.example.com",
      "x.sub.test",
      "y.wild.test",
      "10.1.2.3",
      "192.0.2.7",
      "port.test:8443",
      "[fd00::1]",
    ];
    const proxied = [
      "notexample.com",
      "sub.test",
      "wild.test",
      "11.0.0.1",
      "192.0.2.8",
      "port.test",
      "[fe80::1]",
      "example.com.evil.net",
    ];
    for (const host of direct) assert.equal(choose(env, `https://${host}/`), undefined, host);
    for (const host of proxied) assert.equal(choose(env, `https://${host}/`), "p:1", host);
    assert.equal(choose({ HTTPS_PROXY: "http://p:1", no_proxy: "*" }, "https://any.example/"), undefined);
  });

  void it("never asks a proxy for this machine", () => {
    for (const host of ["localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"]) {
      assert.equal(choose({ HTTPS_PROXY: "http://p:1", HTTP_PROXY: "http://p:1" }, `http://${host}/`), undefined, host);
    }
  });

  void it("httpoxy: does not take HTTP_PROXY from a web request", () => {
    assert.equal(choose({ HTTP_PROXY: "http://evil:1", REQUEST_METHOD: "GET" }, "http://r.example/"), undefined);
  });

  void it("T23: refuses a proxy that is none without showing its password", () => {
    for (const value of ["socks5://u:hunter2@p:1", "http://u:hunter2@", "ftp://u:hunter2@p"]) {
      assert.throws(
        () => proxyFromEnvironment({ HTTPS_PROXY: value }),
        (error) =>
          error instanceof UsageError && error.code === "proxy-malformed" && !error.message.includes("hunter2"),
      );
    }
  });
});
