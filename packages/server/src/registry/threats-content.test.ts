/** Threats to the form of what is stored (docs/threat-model.md): two meanings of one text, digests that are none. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { describe, it } from "node:test";
import { buildTestImage, httpPushTarget, makeTestKey, pushTestImage, writeTestMessage } from "@signet/testkit";
import { type ServedRegistry, serveRegistry } from "./serve.testing.ts";
import { OCI_INDEX, OCI_MANIFEST, digestOf, lookaside, pushBlob, putSignature } from "./threats.testing.ts";

const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";

void describe("T2 a byte string has one meaning", () => {
  const blob = { mediaType: "application/octet-stream", digest: digestOf("{}"), size: 2 };
  const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: blob, layers: [] };
  const list = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };
  const text = JSON.stringify(image);
  const ambiguous: Readonly<Record<string, readonly [body: string | Uint8Array, type: string]>> = {
    "GHSA-qq97: a list with layers": [JSON.stringify({ ...list, layers: [] }), OCI_INDEX],
    "GHSA-qq97: an image with manifests that are null": [JSON.stringify({ ...image, manifests: null }), OCI_MANIFEST],
    "GHSA-qq97: an image pushed as a list": [text.replace(OCI_MANIFEST, OCI_INDEX), OCI_INDEX],
    "GHSA-qq97: a list pushed as an image": [JSON.stringify(list), OCI_MANIFEST],
    "GHSA-qq97: an image without its type, pushed as a list": [
      JSON.stringify({ ...image, mediaType: undefined }),
      OCI_INDEX,
    ],
    "members of schema 1 beside those of schema 2": [
      JSON.stringify({ ...image, fsLayers: [], history: [] }),
      OCI_MANIFEST,
    ],
    "layers twice": [text.replace("{", '{"layers":[],'), OCI_MANIFEST],
    "layers twice, once by an escape": [text.replace("{", '{"l\\u0061yers":[],'), OCI_MANIFEST],
    "a digest twice in a descriptor": [text.replace('"digest"', `"digest":"${digestOf("x")}","digest"`), OCI_MANIFEST],
    "a digest in another case in a descriptor": [
      text.replace('"digest"', `"Digest":"${digestOf("x")}","digest"`),
      OCI_MANIFEST,
    ],
    "mediaType in another case": [text.replace("{", `{"mediatype":"${OCI_INDEX}",`), OCI_MANIFEST],
    "a byte order mark": [Buffer.concat([Buffer.from("\ufeff"), Buffer.from(text)]), OCI_MANIFEST],
    "a second document behind it": [`${text}{}`, OCI_MANIFEST],
    "a size beyond 2^53": [text.replace('"size":2', '"size":9007199254740993'), OCI_MANIFEST],
  };
  for (const [name, [body, type]] of Object.entries(ambiguous)) {
    void it(`T2 refused, by tag and by digest: ${name}`, async () => {
      await using registry = await serveRegistry();
      await pushBlob(registry, "a", "{}");
      for (const reference of ["v1", digestOf(body)]) {
        const path = `/v2/a/manifests/${reference}`;
        const put = await registry.request("PUT", path, new Uint8Array(Buffer.from(body)), { "content-type": type });
        assert.deepEqual([put.status, put.code], [400, "MANIFEST_INVALID"], put.text);
        assert.equal((await registry.request("GET", path)).status, 404);
      }
      assert.deepEqual(registry.failures, []);
    });
  }

  void it("T2 the type that is answered is the one of the bytes, whatever a client accepts or another repository called them", async () => {
    await using registry = await serveRegistry();
    const untyped = JSON.stringify({ ...image, mediaType: undefined });
    const untypedList = JSON.stringify({ ...list, mediaType: undefined });
    const put = (path: string, body: string, type: string) =>
      registry.request("PUT", `/v2/${path}/manifests/1`, body, { "content-type": type });
    for (const path of ["theirs", "ours"]) await pushBlob(registry, path, "{}");
    // Whoever comes first must not choose what others are told of the same bytes.
    for (const [body, wrong, right] of [
      [untyped, DOCKER_MANIFEST, OCI_MANIFEST],
      [untypedList, DOCKER_LIST, OCI_INDEX],
    ] as const) {
      const first = await put("theirs", body, wrong);
      assert.deepEqual([first.status, first.code], [400, "MANIFEST_INVALID"], wrong);
      assert.equal((await put("ours", body, right)).status, 201);
      for (const accept of [DOCKER_MANIFEST, DOCKER_LIST, "text/html"]) {
        const got = await registry.request("GET", "/v2/ours/manifests/1", undefined, { accept });
        assert.deepEqual([got.headers.get("content-type"), got.text], [right, body]);
      }
    }
  });
});

void describe("T3 a digest is one of three forms, and never a path", () => {
  const hex = "a".repeat(64);
  const tricks: Readonly<Record<string, string>> = {
    "upper-case hex": `sha256:${"A".repeat(64)}`,
    "an algorithm in upper case": `SHA256:${hex}`,
    "a digit too few": `sha256:${hex.slice(1)}`,
    "a digit too many": `sha256:${hex}a`,
    "sha512 of sha256's length": `sha512:${hex}`,
    "sha256 of sha512's length": `sha256:${hex}${hex}`,
    "an algorithm that nobody knows": `sha224:${"a".repeat(56)}`,
    "a broken algorithm": `md5:${"a".repeat(32)}`,
    "an algorithm of two parts": `sha256+b64u:${hex}`,
    "no algorithm": `:${hex}`,
    "two algorithms": `sha256:sha256:${hex}`,
    "a prototype's member": `__proto__:${hex}`,
    "CVE-2024-3727: path characters": "sha256:../../../../etc/passwd",
    "CVE-2024-3727: path characters, escaped": "sha256:..%2f..%2f..%2f..%2fetc%2fpasswd",
    "CVE-2024-3727: a path of the right length": `sha256:..%2f${"a".repeat(61)}`,
    "path characters, escaped twice": "sha256:..%252f..%252fetc%252fpasswd",
    "a backslash": `sha256:..%5c${"a".repeat(61)}`,
    "a NUL behind it": `sha256:${hex}%00`,
    "a line end behind it": `sha256:${hex}%0a`,
    "a blank before it": `%20sha256:${hex}`,
    "digits of another script": `sha256:${"%EF%BC%91".repeat(64)}`,
    "bytes that are no UTF-8": `sha256:${"%ff".repeat(64)}`,
  };
  /** Every place of a request where a digest stands. */
  const places = (digest: string, upload: string): readonly (readonly [method: string, path: string])[] => [
    ...["GET", "HEAD", "PUT", "DELETE"].map((method) => [method, `/v2/a/manifests/${digest}`] as const),
    ...["GET", "HEAD", "DELETE"].map((method) => [method, `/v2/a/blobs/${digest}`] as const),
    ["POST", `/v2/a/blobs/uploads/?digest=${digest}`],
    ["POST", `/v2/a/blobs/uploads/?mount=${digest}&from=b`],
    ["POST", `/v2/a/blobs/uploads/?mount=${digest}`],
    ["PUT", `${upload}?digest=${digest}`],
    ["GET", `/v2/a/referrers/${digest}`],
    ...["GET", "PUT"].map((method) => [method, `/extensions/v2/a/signatures/${digest}`] as const),
    ["GET", `/extensions/v2/a/signatures/${digest}?view=all`],
    ["DELETE", `/extensions/v2/a/signatures/${digest}/name`],
    ...["GET", "HEAD", "PUT", "DELETE"].map((method) => [method, lookaside("a", digest, 1)] as const),
    ["GET", `/signatures/${digest.replace(":", "=")}/signature-1`],
  ];

  /** Sends a path as it is: `fetch` would put it in order. */
  // A body goes where the method frames one: behind DELETE node would send it without a length, as the beginning of another request.
  const sendRaw = (registry: ServedRegistry, method: string, path: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const [host, port] = registry.host.split(":");
      const request = httpRequest({ host, port, method, path, headers: { "content-type": OCI_MANIFEST } }, (answer) => {
        answer.resume().once("end", () => resolve(answer.statusCode!));
      });
      request.once("error", reject).end(["GET", "HEAD", "DELETE"].includes(method) ? undefined : "{}");
    });

  async function everything(registry: ServedRegistry): Promise<unknown> {
    const tables = ["blob", "manifest", "signature", "membership", "pending", "repository"] as const;
    const rows = await Promise.all(
      tables.map((table) => registry.database.read.selectFrom(table).selectAll().execute()),
    );
    const stored: string[] = [];
    for await (const { location } of registry.blobs.list()) stored.push(location);
    return [rows.map((one) => one.length), stored.toSorted()];
  }

  for (const [name, digest] of Object.entries(tricks)) {
    void it(`T3 refused wherever a digest can stand: ${name}`, async () => {
      await using registry = await serveRegistry();
      await pushTestImage(httpPushTarget(registry.url), "a:1", await buildTestImage());
      const before = await everything(registry);
      const upload = (await registry.request("POST", "/v2/a/blobs/uploads/")).headers.get("location")!;
      for (const [method, path] of places(digest, upload)) {
        const status = await sendRaw(registry, method, path);
        assert.ok(status === 400 || status === 404, `${method} ${path}: ${status}`);
      }
      assert.deepEqual(registry.failures, []);
      assert.deepEqual(await everything(registry), before);
    });
  }

  void it("T3 a digest with path characters or of another form is refused inside manifests as well", async () => {
    await using registry = await serveRegistry();
    const config = { mediaType: "application/octet-stream", digest: await pushBlob(registry, "a", "{}"), size: 2 };
    for (const [name, escaped] of Object.entries(tricks)) {
      const digest = name.includes("UTF-8") ? escaped : decodeURIComponent(escaped);
      const wrong = { ...config, digest };
      const image = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] };
      for (const [body, type] of [
        [{ ...image, config: wrong }, OCI_MANIFEST],
        [{ ...image, layers: [{ ...wrong, urls: ["https://example.com/x"] }] }, OCI_MANIFEST],
        [{ ...image, subject: wrong }, OCI_MANIFEST],
        [{ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...wrong, mediaType: OCI_MANIFEST }] }, OCI_INDEX],
      ] as const) {
        const headers = { "content-type": type };
        const put = await registry.request("PUT", "/v2/a/manifests/1", JSON.stringify(body), headers);
        assert.deepEqual([name, put.status, put.code], [name, 400, "MANIFEST_INVALID"]);
      }
    }
  });

  void it("T3 a signature whose payload spells the digest otherwise is refused", async () => {
    await using registry = await serveRegistry();
    const image = await buildTestImage();
    await pushTestImage(httpPushTarget(registry.url), "a:1", image);
    const key = makeTestKey("ed25519");
    const sign = (digest: string): Uint8Array => {
      const critical = {
        type: "atomic container signature",
        image: { "docker-manifest-digest": digest },
        identity: { "docker-reference": "r.example.com/a:1" },
      };
      return writeTestMessage(key, Buffer.from(JSON.stringify({ critical, optional: {} })));
    };
    const spellings = [
      image.digest.toUpperCase(),
      `${image.digest}\n`,
      ` ${image.digest}`,
      image.digest.slice(7),
      "../x",
    ];
    for (const spelling of spellings) {
      const { status, code } = await putSignature(registry, "a", image, sign(spelling));
      assert.deepEqual([spelling, status, code], [spelling, 400, "SIGNATURE_INVALID"]);
    }
    assert.equal((await putSignature(registry, "a", image, sign(image.digest))).status, 201);
  });

  void it("T3 content is known under the digest that it was pushed by, and no other algorithm's", async () => {
    await using registry = await serveRegistry();
    await pushBlob(registry, "a", "content");
    for (const algorithm of ["sha384", "sha512"]) {
      const digest = digestOf("content", algorithm);
      assert.equal((await registry.request("GET", `/v2/a/blobs/${digest}`)).status, 404);
      const wrong = await registry.request("POST", `/v2/a/blobs/uploads/?digest=${digest}`, "other");
      assert.deepEqual([wrong.status, wrong.code], [400, "DIGEST_INVALID"]);
      assert.equal((await registry.request("POST", `/v2/a/blobs/uploads/?digest=${digest}`, "content")).status, 201);
      assert.equal((await registry.request("GET", `/v2/a/blobs/${digest}`)).text, "content");
    }
  });
});
