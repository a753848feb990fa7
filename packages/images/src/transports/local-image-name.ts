/** Names of images that an engine or a local storage keeps. */
import { isAbsolute, resolve } from "node:path";
import {
  type Reference,
  dockerDaemonPolicyIdentity,
  formatReference,
  storagePolicyIdentity,
  tryParseDigest,
  withDefaultTag,
} from "@signet/core";
import type { HostEnvironment } from "../config/host-environment.ts";
import { locateStore } from "../config/storage-conf.ts";
import { malformedName, parseNameReference } from "./image-name-parts.ts";
import type { ImageName, StoreLocation } from "./transport.ts";

/**
 * `docker-daemon:REPOSITORY:TAG` or `docker-daemon:sha256:HEX`, the latter an image id.
 * @param rest what follows `docker-daemon:`
 * @throws UsageError `image-name-malformed`
 */
export function parseDaemonName(text: string, rest: string): ImageName {
  const transport = "docker-daemon";
  const id = /^sha256:(.*)$/.exec(rest)?.[1];
  if (id !== undefined || isImageId(rest)) {
    if (id === undefined || !isImageId(id)) {
      throw malformedName(text, "an image id is 64 hex digits after sha256:", "write docker-daemon:sha256:ID");
    }
    const policyIdentity = dockerDaemonPolicyIdentity(undefined);
    return { transport, text: `${transport}:sha256:${id}`, reference: undefined, policyIdentity, imageId: id };
  }
  const reference = parseNameReference(rest);
  if (reference.digest !== undefined) {
    // It would name the manifest in a registry. The engine does not keep that, so nothing could be held against the digest.
    throw malformedName(
      text,
      "an engine cannot give an image by its digest",
      "name it by a tag, or by its id: docker-daemon:sha256:ID",
    );
  }
  if (reference.tag === undefined) {
    throw malformedName(text, "the tag is missing", `write ${transport}:${rest}:latest`);
  }
  return {
    transport,
    text: `${transport}:${formatReference(reference)}`,
    reference,
    policyIdentity: dockerDaemonPolicyIdentity(reference),
  };
}

/**
 * `containers-storage:[driver@root+runroot:options]NAME[:TAG][@DIGEST][@ID]`; without the brackets the store of this machine's configuration is meant. An id alone is
 * written `@ID`, or as the beginning of one, which is settled when the image is opened.
 * @param rest what follows `containers-storage:`
 * @throws UsageError `image-name-malformed`; and what `locateStore` throws
 */
export async function parseStorageName(text: string, rest: string, host: HostEnvironment): Promise<ImageName> {
  const close = rest.startsWith("[") ? rest.indexOf("]") : -1;
  if (rest.startsWith("[") && close < 0) throw malformedName(text, "the store's ] is missing", storeHint);
  const image = parseStoredImage(text, rest.slice(close + 1));
  const store = close < 0 ? { ...(await locateStore(host)), written: "" } : parseStore(text, rest.slice(0, close + 1));
  const name = nameStoredImage(store, image);
  const { beginning } = image;
  if (beginning === undefined) return name;
  // Another image than the one of that name may be meant, so the name in full would not say the same.
  return { ...name, text: `${name.transport}:${storeText(store)}${beginning}`, imageId: beginning };
}

/**
 * The name of an image in a store.
 * @param image by its reference, its id, or both
 */
export function nameStoredImage(
  store: StoreLocation,
  image: { readonly reference?: Reference; readonly id?: string },
): ImageName {
  const { reference, id } = image;
  const policyIdentity = storagePolicyIdentity(store, image);
  const named = reference === undefined ? "" : formatReference(reference);
  return {
    transport: "containers-storage",
    text: `containers-storage:${storeText(store)}${named}${id === undefined ? "" : `@${id}`}`,
    reference,
    policyIdentity,
    store,
    ...(id === undefined ? {} : { imageId: id }),
  };
}

function storeText({ written, driver, root }: StoreLocation): string {
  return written === "" ? `[${driver}@${root}]` : written;
}

const storeHint = "write containers-storage:[driver@/graph/root]NAME, such as [overlay@/var/lib/containers/storage]";

function parseStore(text: string, written: string): StoreLocation {
  const [, driver, root, runRoot = "/"] =
    /^\[([a-z0-9]+)@([^+:\]]+)(?:\+([^:\]]*))?(?::[^\]]*)?\]$/.exec(written) ?? [];
  if (driver === undefined || root === undefined || !isAbsolute(root) || !isAbsolute(runRoot)) {
    throw malformedName(text, `${JSON.stringify(written)} names no store`, storeHint);
  }
  return { driver, root: resolve(root), written };
}

/** What stands after the store. The last `@` may begin an id instead of a digest. */
function parseStoredImage(
  text: string,
  image: string,
): { readonly reference?: Reference; readonly id?: string; readonly beginning?: string } {
  if (image === "") throw malformedName(text, "the image is missing");
  const at = image.lastIndexOf("@");
  const last = at < 0 ? "" : image.slice(at + 1);
  if (at < 0 && isImageId(image)) return { id: image };
  if (at < 0 || tryParseDigest(last) !== undefined) {
    const reference = withDefaultTag(parseNameReference(image));
    return isIdBeginning(image) ? { reference, beginning: image } : { reference };
  }
  if (!isImageId(last) && !(at === 0 && isIdBeginning(last))) {
    throw malformedName(text, `${JSON.stringify(last)} is neither a digest nor an image id`);
  }
  return at === 0 ? { id: last } : { reference: withDefaultTag(parseNameReference(image.slice(0, at))), id: last };
}

/** 64 lower-case hex digits. */
function isImageId(text: string): boolean {
  return tryParseDigest(`sha256:${text}`) !== undefined;
}

/** Digits: the shortest beginning of an id that is taken for one, as by the reference. */
const MIN_ID_LENGTH = 3;

/** True for what may be the beginning of an image id. It may be a repository's name just as well. */
function isIdBeginning(text: string): boolean {
  return text.length >= MIN_ID_LENGTH && text.length < 64 && /^[0-9a-f]+$/.test(text);
}
