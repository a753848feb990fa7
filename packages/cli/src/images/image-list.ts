import { StoreError } from "@signet/core";
import { readInput } from "../terminal/input.ts";

/** Bytes: a hundred thousand image names with their digests. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;

/**
 * Image names from a file or, for `-`, standard input: one a line. Empty lines and lines that begin with `#` are passed over.
 * @throws StoreError for a file that cannot be read, and when no image is named: judging nothing must not look like success; FormatError `input-too-large`
 */
export async function readImageList(path: string): Promise<readonly string[]> {
  const bytes = await readInput(path, MAX_LIST_BYTES, "list of images");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new StoreError("file-unreadable", `the list of images ${path} is not UTF-8 text`, { cause, side: "local" });
  }
  const names = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (names.length === 0) {
    throw new StoreError("image-missing", `no image is named in ${path === "-" ? "standard input" : path}`, {
      side: "local",
      hint: "write one image name on each line",
    });
  }
  return names;
}
