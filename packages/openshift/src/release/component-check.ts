/** The images that a release refers to, each fetched by its digest: what the release vouches for is there, and is what it says. */
import {
  type Digest,
  type Platform,
  SignetError,
  UsageError,
  chooseInstance,
  formatPlatform,
  formatReference,
  parseManifest,
} from "@signet/core";
import { type ImageSource, readImageManifest } from "@signet/images";
import { readImageConfig } from "../layers/image-config.ts";
import type { ReleaseComponent } from "./release-payload.ts";

/**
 * How one image was found. `equal`: its bytes have the digest. `different`: other bytes came back under that digest. `wrong-platform`: the right bytes, of an image for
 * another platform than the release's. `absent`: the place says that it has no such image. `by-tag`: the release names no digest. `unknown`: it could not be told.
 */
export type ComponentOutcome = "equal" | "different" | "wrong-platform" | "absent" | "by-tag" | "unknown";

export interface ComponentCheck {
  readonly name: string;
  readonly pullSpec: string;
  readonly digest: Digest | undefined;
  readonly outcome: ComponentOutcome;
  /** What was found instead, or why it is not known; empty for `equal`. */
  readonly message: string;
}

export interface ComponentCheckOptions {
  /** The release's own; a component's image must be for it. */
  readonly platform: Platform;
  /** Opens `docker://…` names; closed again after each image. */
  readonly open: (name: string) => Promise<ImageSource>;
  /** `host/path` where the components lie instead of where the release says: a mirror that keeps them all in one repository. */
  readonly repository?: string;
  /** Images looked at at a time, 1 to 64. Default 16. */
  readonly jobs?: number;
  /** Called as each is done. */
  readonly onDone?: (check: ComponentCheck) => void;
}

/** Two small answers an image: while a registry looks for one, others can be on their way. More gained nothing beside docker-registry (`benchmarks/release.ts`). */
const DEFAULT_JOBS = 16;
const MAX_JOBS = 64;

/**
 * Checks every image, in the order given. Manifest and configuration are fetched and hashed; an image that several names refer to is fetched once.
 *
 * Not checked: layers, which the manifest vouches for and nobody needs to fetch for that.
 */
export async function checkComponents(
  components: readonly ReleaseComponent[],
  options: ComponentCheckOptions,
): Promise<readonly ComponentCheck[]> {
  const jobs = options.jobs ?? DEFAULT_JOBS;
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > MAX_JOBS)
    throw new UsageError("command-line-malformed", `jobs must be a whole number from 1 to ${MAX_JOBS}`);
  const checks: ComponentCheck[] = [];
  const known = new Map<string, Promise<Found>>();
  const queue = components.entries();
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      for (const [index, component] of queue) {
        const check = await checkComponent(component, options, known);
        checks[index] = check;
        options.onDone?.(check);
      }
    }),
  );
  return checks;
}

type Found = Pick<ComponentCheck, "outcome" | "message">;

async function checkComponent(
  { name, pullSpec, reference, digest }: ReleaseComponent,
  options: ComponentCheckOptions,
  known: Map<string, Promise<Found>>,
): Promise<ComponentCheck> {
  const named = { name, pullSpec, digest };
  if (digest === undefined)
    return { ...named, outcome: "by-tag", message: "a tag can lead to anything; nothing vouches for it" };
  const place =
    options.repository === undefined
      ? formatReference({ domain: reference.domain, path: reference.path, digest })
      : `${options.repository}@${digest}`;
  let found = known.get(place);
  if (found === undefined) {
    found = look(`docker://${place}`, digest, options);
    known.set(place, found);
  }
  return { ...named, ...(await found) };
}

async function look(name: string, digest: Digest, { open, platform }: ComponentCheckOptions): Promise<Found> {
  try {
    await using source = await open(name);
    const top = await source.manifest();
    // The client has compared it; that the whole proof hangs on this must not rest on one place alone.
    if (top.digest !== digest) return { outcome: "different", message: `the bytes have digest ${top.digest}` };
    const content = parseManifest(top.bytes, top.declaredMediaType);
    if (content.kind === "list" && chooseInstance(content, platform) === undefined)
      return { outcome: "wrong-platform", message: `the list has no image for ${formatPlatform(platform)}` };
    const { manifest } = await readImageManifest(source, platform);
    const { platform: found } = await readImageConfig(source, manifest);
    if (found.os === "" || found.architecture === "")
      return { outcome: "wrong-platform", message: "the image's configuration names no platform" };
    if (found.os !== platform.os || found.architecture !== platform.architecture) {
      return {
        outcome: "wrong-platform",
        message: `the image is for ${formatPlatform(found)}, the release for ${formatPlatform(platform)}`,
      };
    }
    return { outcome: "equal", message: "" };
  } catch (error) {
    if (!(error instanceof SignetError)) throw error;
    const { code, message } = error;
    if (code === "digest-mismatch") return { outcome: "different", message };
    return { outcome: code === "image-missing" ? "absent" : "unknown", message };
  }
}
