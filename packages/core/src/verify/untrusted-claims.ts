/** What a stored signature claims, for showing one that could not be judged. */
import type { Engine } from "../bytes/engine.ts";
import { FormatError } from "../errors.ts";
import { parseSignatureBlob } from "../formats/signature-blob/signature-blob.ts";
import type { UntrustedClaims } from "./evidence.ts";
import { readClaims } from "./signed-by.ts";

/** Reads the claims of a signature blob as far as they can be read. Nothing is verified, and nothing is thrown for any bytes. */
export function readUntrustedClaims(blob: Uint8Array, engine: Engine): UntrustedClaims {
  try {
    const parsed = parseSignatureBlob(blob);
    return parsed.format === "simple-signing" ? readClaims(parsed.message, engine) : { format: "sigstore-json" };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { format: "unrecognized" };
  }
}
