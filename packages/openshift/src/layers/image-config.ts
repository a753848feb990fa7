/** What an image's configuration says of it. */
import { FormatError, type Platform, type UntrustedImageManifest } from "@signet/core";
import type { ImageSource } from "@signet/images";
import { isRecord } from "../kubernetes/manifests.ts";

/** Bytes of an image's configuration. */
const MAX_CONFIG_BYTES = 4 * 1024 * 1024;

/** Untrusted beyond the digest of the image. */
export interface UntrustedImageConfig {
  /** Operating system and architecture; empty texts where they are not given. */
  readonly platform: Platform;
  readonly labels: Readonly<Record<string, string>>;
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
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)));
  } catch (cause) {
    throw new FormatError("image-malformed", `${source.name.text}: the image's configuration is not JSON`, {
      cause,
      hint: "its digest is right, so it was made that way; ask whoever made the image",
    });
  }
  const { os, architecture, variant, config } = isRecord(value) ? value : {};
  return {
    platform: {
      os: typeof os === "string" ? os : "",
      architecture: typeof architecture === "string" ? architecture : "",
      ...(typeof variant === "string" && variant !== "" ? { variant } : {}),
    },
    labels: isRecord(config) ? textsOf(config["Labels"]) : {},
  };
}

function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (!isRecord(value)) return {};
  const texts = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return Object.fromEntries(texts);
}
