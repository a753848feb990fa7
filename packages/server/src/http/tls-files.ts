/** The server's certificate: read at the start, and again when its files change. */
import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { FormatError } from "@signet/core";
import type { ServerConfig } from "../config.ts";

/** Certificate chain and key, PEM. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

/**
 * Reads certificate and key, and checks that they can be used together.
 * @throws FormatError `certificate-unusable`
 */
export async function readTlsPair(files: NonNullable<ServerConfig["tls"]>): Promise<TlsPair> {
  try {
    const [cert, key] = await Promise.all([readFile(files.cert, "utf8"), readFile(files.key, "utf8")]);
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
      throw new Error("the key is not that of the certificate");
    }
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (error) {
    throw new FormatError(
      "certificate-unusable",
      `certificate ${files.cert} with key ${files.key}: ${(error as Error).message}`,
      {
        cause: error,
        hint: "tls.cert is a PEM chain, the server's own certificate first; tls.key its key without a passphrase",
      },
    );
  }
}

/** Milliseconds between two looks at the files. By time, since watching loses sight of files that are replaced by links, as Kubernetes does. */
const LOOK_MS = 5_000;

/** Looks at the files from time to time. */
export class TlsWatcher {
  readonly #files: NonNullable<ServerConfig["tls"]>;
  readonly #use: (pair: TlsPair) => void;
  readonly #fail: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #seen: string | undefined;

  /**
   * @param use takes a new pair that fits
   * @param fail is told once of files that cannot be used; the pair in use stays
   */
  constructor(files: NonNullable<ServerConfig["tls"]>, use: (pair: TlsPair) => void, fail: (error: unknown) => void) {
    this.#files = files;
    this.#use = use;
    this.#fail = fail;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
    this.#timer.unref();
    void this.#describe().then((seen) => (this.#seen ??= seen));
  }

  /** Reads the files now, changed or not. */
  async reload(): Promise<void> {
    this.#seen = await this.#describe();
    try {
      this.#use(await readTlsPair(this.#files));
    } catch (error) {
      this.#fail(error);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const now = await this.#describe();
    if (this.#seen !== undefined && now !== this.#seen) await this.reload();
  }

  /** Which files they are: changes when one is written to or replaced. */
  async #describe(): Promise<string> {
    const one = async (path: string): Promise<string> => {
      try {
        const { ino, size, mtimeMs } = await stat(path);
        return `${ino} ${size} ${mtimeMs}`;
      } catch {
        return "missing";
      }
    };
    return `${await one(this.#files.cert)} ${await one(this.#files.key)}`;
  }
}
