/** Tar archives entry by entry, with what no archiver would write (POSIX.1-2001 pax interchange format, GNU's extensions). */

const BLOCK = 512;

/** Where a header keeps its fields, for {@link writeTestTarEntry}'s `fields`. */
export const testTarFields = {
  name: 0,
  size: 124,
  checksum: 148,
  type: 156,
  linkName: 157,
  magic: 257,
  sparseMore: 482,
} as const;

export interface TestTarEntryOptions {
  /** One character: `0` (default) a file, `1` a hard link, `2` a symbolic link, `5` a folder, `x` and `g` pax headers, `L` a long name, `S` a sparse file. */
  readonly type?: string;
  /** What a link leads to. */
  readonly linkName?: string;
  /** Octets put over the header's, by their offset; the checksum is right for them. */
  readonly fields?: Readonly<Record<number, string>>;
}

/** One entry with its content, filled up to whole blocks. Texts are latin1: one character, one octet. */
export function writeTestTarEntry(
  name: string,
  content: string | Uint8Array = "",
  options: TestTarEntryOptions = {},
): Uint8Array {
  const bytes = typeof content === "string" ? Buffer.from(content, "latin1") : content;
  const header = Buffer.alloc(BLOCK);
  const put = (text: string, offset: number): void => void header.write(text, offset, "latin1");
  put(name.slice(0, 100), testTarFields.name);
  for (const [offset, mode] of [
    [100, "0000644"],
    [108, "0000000"],
    [116, "0000000"],
  ] as const)
    put(mode, offset);
  put(`${bytes.length.toString(8).padStart(11, "0")}\0`, testTarFields.size);
  put("00000000000", 136);
  put(options.type ?? "0", testTarFields.type);
  put(options.linkName ?? "", testTarFields.linkName);
  put("ustar\u000000", testTarFields.magic);
  for (const [offset, text] of Object.entries(options.fields ?? {})) put(text, Number(offset));
  header.fill(0x20, testTarFields.checksum, testTarFields.checksum + 8);
  const sum = header.reduce((total, octet) => total + octet, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, testTarFields.checksum);
  return Buffer.concat([header, bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

/** A pax header with these records for the entry behind it. */
export function writeTestPaxHeader(records: Readonly<Record<string, string>>, type: "x" | "g" = "x"): Uint8Array {
  const lines = Object.entries(records).map(([key, value]) => {
    // A record's length counts its own digits.
    const rest = ` ${key}=${value}\n`;
    let length = rest.length + 1;
    while (`${length}${rest}`.length !== length) length++;
    return `${length}${rest}`;
  });
  return writeTestTarEntry("PaxHeader", lines.join(""), { type });
}

/** An archive of these entries, with its end mark. */
export function writeTestTar(...entries: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([...entries, Buffer.alloc(2 * BLOCK)]);
}
