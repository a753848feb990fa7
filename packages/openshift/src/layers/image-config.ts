/** What an image's configuration says of it. */
import { FormatError, type Platform, type UntrustedImageManifest } from "@signet/core";
import type { ImageSource } from "@signet/images";
import { fieldOf, parseJsonObject } from "../kubernetes/json-object.ts";
import { isRecord } from "../kubernetes/manifests.ts";

/** Bytes of an image's configuration. */
const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

/** Untrusted beyond the digest of the image. */
export interface UntrustedImageConfig {
  /** Operating system and architecture; empty texts where they are not given. */
  readonly platform: Platform;
  readonly labels: Readonly<Record<string, string>>;
  /** When the image was made, as written; empty where it is not given. */
  readonly created: string;
}

/**
 * Reads an image's configuration, whose bytes are hashed against the manifest.
 * @throws FormatError `image-malformed`, `input-too-large`; and what reading throws
 */
export async function readImageConfig(
  source: ImageSource,
  manifest: UntrustedImageManifest,
): Promise<UntrustedImageConfig> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of source.blob(manifest.config)) {
    length += chunk.length;
    if (length > MAX_CONFIG_BYTES)
      throw new FormatError(
        "input-too-large",
        `${source.name.text}: the image's configuration is larger than ${MAX_CONFIG_BYTES} bytes`,
        { hint: "no genuine configuration is that large" },
      );
    parts.push(chunk);
  }
  const what = `${source.name.text}: the image's configuration`;
  let platform: Platform;
  let created: string;
  let labels: unknown;
  try {
    const config = parseJsonObject(Buffer.concat(parts), what);
    const text = (name: string): string => {
      const value = fieldOf(config, name, what);
      return typeof value === "string" ? value : "";
    };
    const variant = text("variant");
    created = text("created");
    platform = { os: text("os"), architecture: text("architecture"), ...(variant === "" ? {} : { variant }) };
    const inner = fieldOf(config, "config", what);
    labels = isRecord(inner) ? fieldOf(inner, "Labels", what) : undefined;
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new FormatError("image-malformed", cause.message, {
      cause,
      hint: "its digest is right, so it was made that way; ask whoever made the image",
    });
  }
  return { platform, created, labels: textsOf(labels) };
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (!isRecord(value)) return {};
  const texts = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return Object.fromEntries(texts);
}
