import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AddressClass, classifyAddress, mayFollowTo } from "./address.ts";

const cases: Readonly<Record<AddressClass, readonly string[]>> = {
  public: [
    "8.8.8.8",
    "1.1.1.1",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.0.1",
    "192.169.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
  ],
  private: [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "198.18.0.1",
    "fd12:3456::1",
    "fc00::1",
    "::ffff:10.0.0.1",
    "::10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
  ],
  loopback: ["127.0.0.1", "127.255.255.254", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1"],
  "link-local": [
    "169.254.169.254",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "::ffff:169.254.169.254",
    "fd00:ec2::254",
    "168.63.129.16",
    "100.100.100.200",
  ],
  reserved: [
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "ff02::1",
    "2001:db8::1",
    "2001::1",
    "64:ff9b:1::1",
    "localhost",
    "",
    "1.2.3",
  ],
};

void describe("address rule (T14)", () => {
  for (const [kind, addresses] of Object.entries(cases)) {
    void it(`knows ${kind} addresses`, () => {
      for (const address of addresses) assert.equal(classifyAddress(address), kind, address);
    });
  }

  void it("lets a registry lead to public addresses, and to the class it lives in itself", () => {
    const nowhere: ReadonlySet<AddressClass> = new Set();
    const inside: ReadonlySet<AddressClass> = new Set<AddressClass>(["private"]);
    assert.equal(mayFollowTo("8.8.8.8", nowhere), true);
    assert.equal(mayFollowTo("10.0.0.1", nowhere), false);
    assert.equal(mayFollowTo("10.0.0.1", inside), true);
    assert.equal(mayFollowTo("127.0.0.1", inside), false);
    assert.equal(mayFollowTo("169.254.169.254", inside), false);
  });
});
