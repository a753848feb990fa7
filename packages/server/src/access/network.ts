/** Whose address it is, as far as limits go. */
import { isIPv4, isIPv6 } from "node:net";

/**
 * The network that limits count by: an IPv4 address, or the first 64 bits of an IPv6 one, since a host has all the rest to itself (RFC 6177).
 * @param address as a socket or a trusted proxy names it, with or without a zone; anything else is the one network `unknown`
 */
export function networkOf(address: string): string {
  const bare = address.replace(/%.*$/s, "");
  if (isIPv4(bare)) return bare;
  if (!isIPv6(bare)) return "unknown";
  // The WHATWG URL parser writes every form of an address as one.
  const canonical = new URL(`http://[${bare}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (mapped !== null) {
    const [high, low] = [parseInt(mapped[1] ?? "", 16), parseInt(mapped[2] ?? "", 16)];
    return [high >> 8, high & 255, low >> 8, low & 255].join(".");
  }
  const [head = "", tail] = canonical.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after];
  return `${groups.slice(0, 4).join(":")}::/64`;
}
