/** Which images are in use, and by whom. */
import {
  FormatError,
  type Reference,
  SignetError,
  formatReference,
  parseReference,
  referenceName,
  tryParseDigest,
  withDefaultTag,
} from "@signet/core";
import { parseImageName } from "../transports/image-name.ts";

/** Distinct images of one inventory. The largest clusters run some ten thousand; each costs about a kilobyte. */
export const MAX_INVENTORY_IMAGES: number = 200_000;

/** Users named of one image: enough to know whom to ask. */
export const MAX_USERS_PER_IMAGE = 20;

/** Digests noted of one image: a tag that moved was seen with two or three. */
const MAX_RUNNING_DIGESTS = 8;

/** One image, once, however many use it. */
export interface InventoryImage {
  /** Canonical name with its transport; as it was written where it is no image name. */
  readonly name: string;
  /** Why the name cannot be used. */
  readonly problem?: SignetError;
  /** `namespace/Kind/name`, or where in a list or file it stands; each once, at most {@link MAX_USERS_PER_IMAGE}. */
  readonly users: readonly string[];
  /** True when there are more users than are named. */
  readonly hasMoreUsers: boolean;
  /** Containers, lines and services that name it. */
  readonly occurrences: number;
  /** Digests that nodes say they run under this name. Not proven by anything. */
  readonly running: readonly string[];
}

export interface Inventory {
  /** Never empty; in the order in which they were met. */
  readonly images: readonly InventoryImage[];
  /** What was passed over, for people. */
  readonly warnings: readonly string[];
}

interface Entry {
  readonly name: string;
  readonly problem?: SignetError;
  readonly users: string[];
  hasMoreUsers: boolean;
  occurrences: number;
  readonly running: string[];
}

/** One mention of an image. */
export interface ImageUse {
  /** As written. */
  readonly name: string;
  readonly user: string;
  /** `imageID` of a container's status. Untrusted text. */
  readonly imageId?: string;
}

export interface CollectorOptions {
  /** Take the digest that runs, where one is known, in place of the tag. */
  readonly running: boolean;
}

/** Gathers mentions into an inventory. */
export class InventoryCollector {
  readonly #entries = new Map<string, Entry>();
  readonly #options: CollectorOptions;
  readonly #warnings = new Map<string, number>();

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** How often an image was named so far. */
  mentions = 0;

  /** Counts something that was passed over; equal texts become one warning. */
  warn(text: string): void {
    // A hostile list could have a warning of its own for every object.
    if (this.#warnings.has(text) || this.#warnings.size < MAX_WARNINGS)
      this.#warnings.set(text, (this.#warnings.get(text) ?? 0) + 1);
  }

  /**
   * Adds an image named as in a Kubernetes object or compose file, normalised as kubelet and docker do: `nginx` is `docker.io/library/nginx:latest`, and of a name
   * with both tag and digest the digest counts.
   */
  addReference(use: ImageUse): void {
    let reference: Reference;
    try {
      reference = normalReference(use.name);
    } catch (error) {
      if (!(error instanceof SignetError)) throw error;
      this.#add(use.name, use.user, undefined, error);
      return;
    }
    const digest = use.imageId === undefined ? undefined : runningDigest(use.imageId);
    if (!this.#options.running || reference.digest !== undefined) {
      this.#add(`docker://${formatReference(reference)}`, use.user, digest);
      return;
    }
    if (digest === undefined) this.warn("container without a known digest, judged by its tag");
    const name = digest === undefined ? formatReference(reference) : `${referenceName(reference)}@${digest}`;
    this.#add(`docker://${name}`, use.user, digest);
  }

  /** Adds a line of a list: any image name that `verify` takes, else as {@link addReference}. */
  async addName(use: ImageUse): Promise<void> {
    const rest = use.name.startsWith("docker://") ? use.name.slice("docker://".length) : use.name;
    if (!/^(?:dir|oci|oci-archive):/.test(rest) && !/^[a-z-]+:(?:\/|\.)/.test(rest)) {
      this.addReference({ ...use, name: rest });
      return;
    }
    try {
      this.#add((await parseImageName(use.name)).text, use.user, undefined);
    } catch (error) {
      if (!(error instanceof SignetError)) throw error;
      this.#add(use.name, use.user, undefined, error);
    }
  }

  finish(): Inventory {
    return {
      images: [...this.#entries.values()],
      warnings: [...this.#warnings].map(([text, count]) => (count === 1 ? text : `${text} (${count} times)`)),
    };
  }

  #add(name: string, user: string, digest: string | undefined, problem?: SignetError): void {
    let entry = this.#entries.get(name);
    if (entry === undefined) {
      if (this.#entries.size >= MAX_INVENTORY_IMAGES)
        throw new FormatError("input-too-large", `more than ${MAX_INVENTORY_IMAGES} different images`, {
          hint: "give them in several parts",
        });
      entry = {
        name: ownCopy(name.slice(0, MAX_SHOWN_NAME)),
        ...(problem === undefined ? {} : { problem }),
        users: [],
        hasMoreUsers: false,
        occurrences: 0,
        running: [],
      };
      this.#entries.set(ownCopy(name), entry);
    }
    entry.occurrences++;
    this.mentions++;
    if (!entry.users.includes(user)) {
      if (entry.users.length < MAX_USERS_PER_IMAGE) entry.users.push(ownCopy(user));
      else entry.hasMoreUsers = true;
    }
    if (digest === undefined || entry.running.includes(digest)) return;
    if (entry.running.length < MAX_RUNNING_DIGESTS) entry.running.push(ownCopy(digest));
  }
}

/** The engine makes a piece of a text a view of the whole, and a name of sixty characters would hold on to the object of many kilobytes that it was read from. */
function ownCopy(text: string): string {
  return Buffer.from(text).toString();
}

/** Different warnings that are kept. */
const MAX_WARNINGS = 50;

/** Characters kept of a name that is none. */
const MAX_SHOWN_NAME = 1000;

/**
 * A reference as kubelet and docker read it.
 * @throws FormatError `reference-malformed`
 */
function normalReference(text: string): Reference {
  try {
    const { domain, path, tag, digest } = parseReference(text);
    // The digest decides what is pulled; CRI-O and podman take the tag off as well.
    return digest === undefined
      ? withDefaultTag({ domain, path, ...(tag === undefined ? {} : { tag }) })
      : { domain, path, digest };
  } catch (error) {
    if (!(error instanceof FormatError) || !text.includes("$")) throw error;
    throw new FormatError(error.code, error.message, {
      cause: error,
      hint: "variables have to be filled in first, as `docker compose config` does",
    });
  }
}

/** The digest in `registry/repo@sha256:…` or `docker-pullable://registry/repo@sha256:…`. An image id without a repository is no manifest's digest. */
function runningDigest(imageId: string): string | undefined {
  const at = imageId.lastIndexOf("@");
  return at <= 0 ? undefined : tryParseDigest(imageId.slice(at + 1));
}
