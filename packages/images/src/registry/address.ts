/** Which network an IP address belongs to, and where a registry's word may lead us (threat T14). */
import { isIPv4, isIPv6 } from "node:net";

/**
 * `loopback`: this machine, the unspecified address included. `link-local`: the link, and the metadata services of clouds wherever they live.
 * `private`: addresses that organisations and carriers give out themselves. `reserved`: multicast, documentation, not assigned.
 */
export type AddressClass = "public" | "private" | "loopback" | "link-local" | "reserved";

/** Address, prefix length in bits, class; the first match counts. */
const ranges4: readonly (readonly [string, number, AddressClass])[] = [
  // Metadata services at addresses that would otherwise count as public or private: Azure, Alibaba Cloud.
  ["168.63.129.16", 32, "link-local"],
  ["100.100.100.200", 32, "link-local"],
  ["0.0.0.0", 8, "loopback"],
  ["127.0.0.0", 8, "loopback"],
  ["169.254.0.0", 16, "link-local"],
  ["10.0.0.0", 8, "private"],
  ["100.64.0.0", 10, "private"],
  ["172.16.0.0", 12, "private"],
  ["192.168.0.0", 16, "private"],
  ["198.18.0.0", 15, "private"],
  ["192.0.0.0", 24, "reserved"],
  ["192.0.2.0", 24, "reserved"],
  ["198.51.100.0", 24, "reserved"],
  ["203.0.113.0", 24, "reserved"],
  ["224.0.0.0", 3, "reserved"],
];

const ranges6: readonly (readonly [string, number, AddressClass])[] = [
  // The metadata service of AWS.
  ["fd00:ec2::254", 128, "link-local"],
  ["::", 127, "loopback"],
  ["fe80::", 10, "link-local"],
  ["fc00::", 7, "private"],
  ["fec0::", 10, "private"],
  ["2001::", 32, "reserved"],
  ["2001:db8::", 32, "reserved"],
  ["2000::", 3, "public"],
];

/** Prefixes that carry an IPv4 address inside: mapped, compatible, NAT64, 6to4. The number is the octet where it starts. */
const embeddings: readonly (readonly [string, number, number])[] = [
  ["::ffff:0:0", 96, 12],
  ["::", 96, 12],
  ["64:ff9b::", 96, 12],
  ["2002::", 16, 2],
];

/** @param address an IP address in text, a zone (`%eth0`) included; anything else is `reserved` */
export function classifyAddress(address: string): AddressClass {
  const bare = address.replace(/%.*$/, "");
  if (isIPv4(bare)) return classify4(octets4(bare));
  if (!isIPv6(bare)) return "reserved";
  const octets = octets6(bare);
  const exact = ranges6.find(([prefix, bits, kind]) => kind !== "public" && startsWith(octets, octets6(prefix), bits));
  if (exact !== undefined) return exact[2];
  const embedded = embeddings.find(([prefix, bits]) => startsWith(octets, octets6(prefix), bits));
  if (embedded !== undefined) return classify4(octets.slice(embedded[2], embedded[2] + 4));
  return ranges6.find(([prefix, bits]) => startsWith(octets, octets6(prefix), bits))?.[2] ?? "reserved";
}

/**
 * True when a URL that a registry named may lead to `address`: public addresses always, others only if the registry itself was found in the same class.
 * @param own classes of the addresses at which the registry was reached directly; empty behind a proxy
 */
export function mayFollowTo(address: string, own: ReadonlySet<AddressClass>): boolean {
  const kind = classifyAddress(address);
  return kind === "public" || own.has(kind);
}

function classify4(octets: readonly number[]): AddressClass {
  return ranges4.find(([prefix, bits]) => startsWith(octets, octets4(prefix), bits))?.[2] ?? "public";
}

function octets4(address: string): number[] {
  return address.split(".").map(Number);
}

/** Sixteen octets of a well-formed IPv6 address. */
function octets6(address: string): number[] {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  let text = address;
  if (dotted !== null) {
    const [a, b, c, d] = octets4(dotted[2]!) as [number, number, number, number];
    text = `${dotted[1]!}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head, tail] = text.split("::") as [string, string | undefined];
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return [...left, ...zeros, ...right].flatMap((group) => [group >> 8, group & 255]);
}

function groups(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

function startsWith(octets: readonly number[], prefix: readonly number[], bits: number): boolean {
  for (let i = 0; i < bits; i += 8) {
    const mask = bits - i >= 8 ? 255 : 256 - (1 << (8 - (bits - i)));
    if (((octets[i >> 3]! ^ prefix[i >> 3]!) & mask) !== 0) return false;
  }
  return true;
}

/** Refused by the address rule; carries where it led. */
export class AddressRefused extends Error {}

/** True for what `Connections.send` throws when the address rule refused; undici may have wrapped it. */
export function isAddressRefused(error: unknown): error is Error {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof AddressRefused) return true;
  return error instanceof AggregateError && error.errors.some(isAddressRefused);
}
