import type { Platform } from "@signet/core";
import { hostPlatform } from "@signet/images";
import type { Invocation } from "../command-line/command.ts";
import { overrideArchOption, overrideOsOption, overrideVariantOption } from "../command-line/common-options.ts";

/**
 * The platform whose instance of a list is meant. Without options it is this machine's, except that images run on Linux wherever the command runs.
 * The machine's variant stands only while its architecture does.
 */
export function readPlatform(invocation: Invocation): Platform {
  const host = hostPlatform();
  const os = invocation.get(overrideOsOption) ?? "linux";
  const architecture = invocation.get(overrideArchOption);
  const variant = invocation.get(overrideVariantOption) ?? (architecture === undefined ? host.variant : undefined);
  return { os, architecture: architecture ?? host.architecture, ...(variant === undefined ? {} : { variant }) };
}
