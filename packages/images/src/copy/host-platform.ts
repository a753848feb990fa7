import type { Platform } from "@signet/core";

/** Node's names of architectures where Go's, which images use, are different. */
const architectures: Readonly<Record<string, string>> = {
  ia32: "386",
  mipsel: "mipsle",
  x64: "amd64",
};

/** The platform that this process runs on, in the words of images: what `system` means when nobody says otherwise. */
export function hostPlatform(): Platform {
  const os = process.platform === "win32" ? "windows" : process.platform;
  if (process.arch === "arm") {
    const version = (process.config.variables as { arm_version?: string }).arm_version;
    return { os, architecture: "arm", ...(version === undefined ? {} : { variant: `v${version}` }) };
  }
  if (process.arch === "ppc64") {
    const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
    return { os, architecture: littleEndian ? "ppc64le" : "ppc64" };
  }
  return { os, architecture: architectures[process.arch] ?? process.arch };
}
