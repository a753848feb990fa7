/** A client that does what the OCI distribution specification describes, and asserts each answer. */
import assert from "node:assert/strict";
import { type Content, type Descriptor, type Manifest, mediaTypes } from "./conformance-data.testing.ts";

/** Bytes of the chunks of a chunked upload. */
const CHUNK = 1024;

interface Exchange {
  readonly body?: Uint8Array | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** The status that it must have, or one of these. */
  readonly status: number | readonly number[];
}

export interface ChunkOptions {
  /** The last chunk comes with the closing PUT. */
  readonly putsLast?: boolean;
  /** Before each chunk one comes that does not fit; it must be refused and do no harm. */
  readonly isOutOfOrder?: boolean;
}

/** How the closing request of an upload ends: 400 when the digest is another content's. */
type Ending = 201 | 400;

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
}

export class ConformanceClient {
  readonly #url: string;

  /** @param url `http://127.0.0.1:PORT`, of an empty registry where everybody may do everything */
  constructor(url: string) {
    this.#url = url;
  }

  async send(method: string, target: string | URL, { body, headers = {}, status }: Exchange): Promise<Answer> {
    const url = new URL(target, this.#url);
    const sent = await fetch(url, { method, headers, ...(body && { body: new Uint8Array(body) }) });
    return await readAnswer(`${method} ${url.pathname}${url.search}`, sent, status);
  }

  /** A POST with the whole content. */
  async postBlob(path: string, blob: Content, ending: Ending = 201): Promise<void> {
    const target = `/v2/${path}/blobs/uploads/?digest=${blob.digest}`;
    await this.#finish("POST", new URL(target, this.#url), blob, ending, blob.bytes);
  }

  /** A POST, and a PUT with the whole content. */
  async putBlob(path: string, blob: Content, ending: Ending = 201): Promise<void> {
    await this.#finish("PUT", withDigest(await this.#begin(path), blob), blob, ending, blob.bytes);
  }

  /** A POST, a PATCH whose length nobody knows ahead, a PUT. */
  async streamBlob(path: string, blob: Content, ending: Ending = 201): Promise<void> {
    const url = await this.#begin(path);
    const body = new Blob([new Uint8Array(blob.bytes)]).stream();
    const headers = { "content-type": mediaTypes.bytes };
    const sent = await fetch(url, { method: "PATCH", body, headers, duplex: "half" });
    const answer = await readAnswer(`PATCH ${url.pathname}`, sent, 202);
    await this.#finish("PUT", withDigest(this.#locate(answer), blob), blob, ending);
  }

  /** A POST, a PATCH for each chunk, a PUT. */
  async chunkBlob(path: string, blob: Content, options: ChunkOptions = {}, ending: Ending = 201): Promise<void> {
    const { putsLast = false, isOutOfOrder = false } = options;
    let url = await this.#begin(path);
    for (let start = 0; start < blob.bytes.length; start += CHUNK) {
      if (isOutOfOrder) url = await this.#sendMisfit(url, blob, start, putsLast);
      const chunk = chunkAt(blob, start);
      const isLast = start + CHUNK >= blob.bytes.length;
      if (isLast && putsLast)
        return await this.#finish("PUT", withDigest(url, blob), blob, ending, chunk.body, chunk.headers);
      const answer = await this.send("PATCH", url, { ...chunk, status: 202 });
      assert.equal(answer.headers.get("range"), `0-${Math.min(start + CHUNK, blob.bytes.length) - 1}`);
      url = this.#locate(answer);
    }
    await this.#finish("PUT", withDigest(url, blob), blob, ending);
  }

  /** Sends a chunk from another place than `start`, and asks where the upload stands. */
  async #sendMisfit(url: URL, blob: Content, start: number, putsLast: boolean): Promise<URL> {
    const ahead = start + CHUNK;
    const place = ahead < blob.bytes.length ? ahead : 0;
    const misfit = { ...chunkAt(blob, place), status: 416 };
    const closes = putsLast && place + CHUNK >= blob.bytes.length;
    await (closes ? this.send("PUT", withDigest(url, blob), misfit) : this.send("PATCH", url, misfit));
    const answer = await this.send("GET", url, { status: 204 });
    const range = answer.headers.get("range") ?? "";
    // An upload that has nothing yet has no range to speak of.
    if (start > 0) assert.equal(range, `0-${start - 1}`);
    else assert.match(range, /^0-\d+$/);
    return this.#locate(answer);
  }

  /** @param from the repository that has it; undefined leaves the search to the registry */
  async mountBlob(path: string, blob: Content, from?: string): Promise<void> {
    const source = from === undefined ? "" : `&from=${from}`;
    const url = new URL(`/v2/${path}/blobs/uploads/?mount=${blob.digest}${source}`, this.#url);
    await this.#finish("POST", url, blob, 201);
  }

  /** Mounts what is nowhere: the registry answers with an upload. */
  async mountMissingBlob(path: string, blob: Content, from: string): Promise<void> {
    const target = `/v2/${path}/blobs/uploads/?mount=${blob.digest}&from=${from}`;
    const answer = await this.send("POST", target, { status: 202 });
    await this.#finish("PUT", withDigest(this.#locate(answer), blob), blob, 201, blob.bytes);
  }

  async cancelUpload(path: string): Promise<void> {
    const url = await this.#begin(path);
    await this.send("DELETE", url, { status: 204 });
    await this.send("GET", url, { status: 404 });
  }

  async headBlob(path: string, blob: Content): Promise<void> {
    const answer = await this.send("HEAD", `/v2/${path}/blobs/${blob.digest}`, { status: 200 });
    assertContent(answer, { ...blob, bytes: new Uint8Array() }, blob.bytes.length);
  }

  async getBlob(path: string, blob: Content): Promise<void> {
    assertContent(await this.send("GET", `/v2/${path}/blobs/${blob.digest}`, { status: 200 }), blob);
  }

  /** @param range as the header has it behind `bytes=`; `start` and `end` (exclusive) are what it means, or undefined when it can be met by nothing */
  async getBlobRange(path: string, blob: Content, range: string, start?: number, end?: number): Promise<void> {
    const headers = { range: `bytes=${range}` };
    const target = `/v2/${path}/blobs/${blob.digest}`;
    if (start === undefined || end === undefined)
      return void (await this.send("GET", target, { headers, status: 416 }));
    const answer = await this.send("GET", target, { headers, status: 206 });
    assert.ok(answer.bytes.equals(blob.bytes.subarray(start, end)));
    assert.equal(answer.headers.get("content-length"), String(end - start));
    assert.equal(answer.headers.get("content-range"), `bytes ${start}-${end - 1}/${blob.bytes.length}`);
  }

  /** Removes a blob that is there, or with `isThere` false one that is not; afterwards it is gone at once. */
  async deleteBlob(path: string, { digest }: Content, isThere = true): Promise<void> {
    const target = `/v2/${path}/blobs/${digest}`;
    await this.send("DELETE", target, { status: isThere ? 202 : 404 });
    await this.send("HEAD", target, { status: 404 });
  }

  /** @param reference a tag or a digest @param tags also to be made, as parameters */
  async putManifest(path: string, reference: string, manifest: Manifest, tags: readonly string[] = []): Promise<void> {
    const query = tags.map((tag, index) => `${index === 0 ? "?" : "&"}tag=${tag}`).join("");
    const answer = await this.send("PUT", `/v2/${path}/manifests/${reference}${query}`, {
      body: manifest.bytes,
      headers: { "content-type": manifest.mediaType },
      status: 201,
    });
    assert.equal(answer.headers.get("docker-content-digest"), manifest.digest);
    assert.equal(answer.headers.get("oci-subject"), manifest.referrer?.subject ?? null);
    const tagged = (answer.headers.get("oci-tag") ?? "").split(",").map((tag) => tag.trim());
    for (const tag of tags) assert.ok(tagged.includes(tag), `OCI-Tag lacks ${tag}`);
    assertManifest(await this.#getManifest("GET", this.#locate(answer)), manifest);
  }

  /** Pushes what another digest names, and asserts that nothing came of it. */
  async putWrongManifest(path: string, reference: string, manifest: Manifest): Promise<void> {
    const target = `/v2/${path}/manifests/${reference}`;
    const headers = { "content-type": manifest.mediaType };
    await this.send("PUT", target, { body: manifest.bytes, headers, status: 400 });
    await this.send("HEAD", target, { status: [400, 404] });
  }

  async headManifest(path: string, reference: string, manifest: Manifest): Promise<void> {
    const answer = await this.#getManifest("HEAD", `/v2/${path}/manifests/${reference}`);
    assertManifest(answer, { ...manifest, bytes: new Uint8Array() }, manifest.bytes.length);
  }

  async getManifest(path: string, reference: string, manifest: Manifest): Promise<void> {
    assertManifest(await this.#getManifest("GET", `/v2/${path}/manifests/${reference}`), manifest);
  }

  async #getManifest(method: "GET" | "HEAD", target: string | URL): Promise<Answer> {
    const headers = { accept: `${mediaTypes.index}, ${mediaTypes.manifest}` };
    return await this.send(method, target, { headers, status: 200 });
  }

  /** As {@link deleteBlob}. @param reference a tag or a digest */
  async deleteManifest(path: string, reference: string, isThere = true): Promise<void> {
    const target = `/v2/${path}/manifests/${reference}`;
    await this.send("DELETE", target, { status: isThere ? 202 : 404 });
    await this.send("HEAD", target, { status: 404 });
  }

  /** @param last the list begins behind this tag */
  async listTags(path: string, last?: string): Promise<readonly string[]> {
    const query = last === undefined ? "" : `?last=${last}`;
    const answer = await this.send("GET", `/v2/${path}/tags/list${query}`, { status: [200, 404] });
    if (answer.status === 404) return [];
    const { name, tags } = JSON.parse(answer.bytes.toString()) as { readonly name: string; readonly tags: string[] };
    assert.equal(name, path);
    return tags;
  }

  async listReferrers(path: string, subject: string, artifactType?: string): Promise<readonly Descriptor[]> {
    const query = artifactType === undefined ? "" : `?${new URLSearchParams({ artifactType }).toString()}`;
    const answer = await this.send("GET", `/v2/${path}/referrers/${subject}${query}`, { status: 200 });
    assert.equal(answer.headers.get("content-type"), mediaTypes.index);
    if (artifactType !== undefined) assert.equal(answer.headers.get("oci-filters-applied"), "artifactType");
    const index = JSON.parse(answer.bytes.toString()) as {
      readonly schemaVersion: number;
      readonly mediaType: string;
      readonly manifests: readonly Descriptor[];
    };
    assert.deepEqual([index.schemaVersion, index.mediaType], [2, mediaTypes.index]);
    return index.manifests;
  }

  async #begin(path: string): Promise<URL> {
    return this.#locate(await this.send("POST", `/v2/${path}/blobs/uploads/`, { status: 202 }));
  }

  async #finish(
    method: "POST" | "PUT",
    url: URL,
    blob: Content,
    ending: Ending,
    body?: Uint8Array,
    headers: Readonly<Record<string, string>> = { "content-type": mediaTypes.bytes },
  ): Promise<void> {
    const answer = await this.send(method, url, { body, headers, status: ending });
    if (ending === 400) return;
    assert.equal(answer.headers.get("docker-content-digest"), blob.digest);
    assertContent(await this.send("GET", this.#locate(answer), { status: 200 }), blob);
  }

  #locate({ headers }: Answer): URL {
    const location = headers.get("location");
    assert.ok(location !== null, "the answer has no Location");
    return new URL(location, this.#url);
  }
}

async function readAnswer(what: string, sent: Response, status: number | readonly number[]): Promise<Answer> {
  const bytes = Buffer.from(await sent.arrayBuffer());
  const wanted = typeof status === "number" ? [status] : status;
  assert.ok(
    wanted.includes(sent.status),
    `${what}: ${sent.status} instead of ${wanted.join(" or ")}: ${bytes.toString()}`,
  );
  return { status: sent.status, headers: sent.headers, bytes };
}

function chunkAt(
  blob: Content,
  start: number,
): { readonly body: Uint8Array; readonly headers: Record<string, string> } {
  const body = blob.bytes.subarray(start, start + CHUNK);
  const headers = { "content-type": mediaTypes.bytes, "content-range": `${start}-${start + body.length - 1}` };
  return { body, headers };
}

function withDigest(url: URL, { digest }: Content): URL {
  const closing = new URL(url);
  closing.searchParams.set("digest", digest);
  return closing;
}

function assertContent(answer: Answer, { digest, bytes }: Content, length: number = bytes.length): void {
  assert.ok(answer.bytes.equals(bytes), "another content");
  assert.equal(answer.headers.get("content-length"), String(length));
  assert.equal(answer.headers.get("docker-content-digest"), digest);
}

function assertManifest(answer: Answer, manifest: Manifest, length?: number): void {
  assertContent(answer, manifest, length);
  assert.equal(answer.headers.get("content-type"), manifest.mediaType);
}
