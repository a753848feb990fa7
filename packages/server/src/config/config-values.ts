/** Values of the configuration as text: what each kind of key takes, and what it means. */
import { BlockList, isIP } from "node:net";
import type { KeyRow } from "./config-keys.ts";

/** A place to listen at. */
export interface ListenAddress {
  /** An IP address, without brackets, or `localhost`. */
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** What reading a value gives: the value, or what is wrong with the text. */
export type ReadValue = { readonly value: boolean | number | string | ListenAddress } | { readonly problem: string };

/** Characters of one value: longer than any path or URL that works. */
const MAX_VALUE_CHARACTERS = 4_096;

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const sizeUnits: Readonly<Record<string, number>> = { "": 1, KiB: 1_024, MiB: 1_024 ** 2, GiB: 1_024 ** 3 };

/** Reads one value. Paths are not resolved here. */
export function readValue(row: KeyRow, text: string): ReadValue {
  if (text === "") return { problem: "it is empty" };
  if (text.length > MAX_VALUE_CHARACTERS) return { problem: `it has more than ${MAX_VALUE_CHARACTERS} characters` };
  // oxlint-disable-next-line no-control-regex -- just these are refused
  if (/[\u0000-\u001f\u007f]/.test(text)) return { problem: "it holds a control character" };
  switch (row.kind) {
    case "path":
    case "text":
      return { value: text };
    case "boolean":
      return text === "true" || text === "false" ? { value: text === "true" } : expected("true or false", row, text);
    case "choice":
      return row.choices!.includes(text) ? { value: text } : expected(`one of ${row.choices!.join(", ")}`, row, text);
    case "count":
      return within(row, /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined, text, "a whole number", String);
    case "duration":
      return within(row, scaled(text, durationUnits), text, "a time such as 30s, 5m or 1h", formatDuration);
    case "size":
      return within(row, scaled(text, sizeUnits), text, "a size such as 16KiB", (bytes) => `${bytes} bytes`);
    case "origin":
      return readOrigin(row, text);
    case "address":
      return readAddress(row, text);
    case "networks":
      return readNetworks(text) === undefined
        ? expected("addresses or networks such as 10.0.0.0/8, divided by commas", row, text)
        : { value: text };
  }
}

function scaled(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits = "", unit = ""] = /^([0-9]{1,12})([A-Za-z]*)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (digits === "" || factor === undefined) return undefined;
  return Number(digits) * factor;
}

function within(
  row: KeyRow,
  value: number | undefined,
  text: string,
  form: string,
  show: (value: number) => string,
): ReadValue {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = row;
  if (value !== undefined && value >= minimum && value <= maximum) return { value };
  return expected(`${form}, from ${show(minimum)} to ${show(maximum)}`, row, text);
}

/** Whole units, the largest that fits. */
export function formatDuration(milliseconds: number): string {
  const units = Object.entries(durationUnits).toReversed();
  const [unit, factor] = units.find(([, size]) => milliseconds >= size && milliseconds % size === 0) ?? ["s", 1_000];
  return `${milliseconds / factor}${unit}`;
}

function readOrigin(row: KeyRow, text: string): ReadValue {
  const form = "a URL such as https://registry.example.com, without a path";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) return expected(form, row, text);
  if (url.username !== "" || url.password !== "")
    return { problem: "it holds an account, which does not belong there" };
  return url.pathname === "/" && url.search === "" && url.hash === ""
    ? { value: url.origin }
    : expected(form, row, text);
}

function readAddress(row: KeyRow, text: string): ReadValue {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  // A name would have to be looked up, and may mean another address tomorrow.
  if ((isIP(host) !== 0 || host === "localhost") && port <= 65_535) return { value: { host, port } };
  return expected("HOST:PORT with an IP address or localhost, such as 127.0.0.1:5000 or [::]:5000", row, text);
}

/** Networks that one value may list. */
const MAX_NETWORKS = 100;

/** Addresses and networks, divided by commas, as something that can be asked; undefined when one is malformed. */
export function readNetworks(text: string): BlockList | undefined {
  const list = new BlockList();
  const entries = text.split(",", MAX_NETWORKS + 1);
  if (entries.length > MAX_NETWORKS) return undefined;
  for (const entry of entries) {
    const [address = "", prefix, ...rest] = entry.trim().split("/");
    const family = isIP(address) === 4 ? "ipv4" : "ipv6";
    const longest = family === "ipv4" ? 32 : 128;
    const length = prefix === undefined ? longest : /^[0-9]{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (isIP(address) === 0 || rest.length > 0 || !(length <= longest)) return undefined;
    list.addSubnet(address, length, family);
  }
  return list;
}

/** Secrets are not repeated. */
function expected(form: string, row: KeyRow, text: string): ReadValue {
  const found = row.isSecret === true ? "" : `, not ${JSON.stringify(text.slice(0, 200))}`;
  return { problem: `it must be ${form}${found}` };
}

/** True for addresses that only this machine reaches. */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** As it is written: IPv6 in brackets. */
export function formatAddress({ host, port }: ListenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
