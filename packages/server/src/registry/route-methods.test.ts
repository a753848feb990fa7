/** Whatever answers GET answers HEAD with the same status and headers, and without a body (RFC 9110, section 9.3.2). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type OwnPath, ownRoutes } from "../http/own-routes.ts";
import { serveDocument } from "../openapi/served-document.testing.ts";
import { type Resource, methodsOf, resourceMethods, resourceOf } from "./route-methods.ts";
import { digestOf } from "./admin-requests.testing.ts";
import { readRoute } from "./route.ts";

/** New with each answer, or of the connection, which clients end after a HEAD. */
const changing: ReadonlySet<string> = new Set(["connection", "date", "keep-alive", "x-request-id"]);
/** Of these the body is another one each time. */
const ofTheMoment: ReadonlySet<string> = new Set(["/metrics", "/token"]);

test("HEAD is in every list of methods that has GET", () => {
  for (const [name, methods] of Object.entries(resourceMethods))
    assert.equal(methods.includes("HEAD"), methods.includes("GET"), name);
  for (const [path, { methods }] of Object.entries(ownRoutes)) assert.ok(methods.includes("HEAD"), path);
});

test("HEAD of every route of a running server says what GET says, also where there is nothing and without rights", async () => {
  await using served = await serveDocument();
  const { admin, image, url } = served;
  const { digest } = image;
  const folder = `${digest.replace(":", "=")}/signature-1`;
  const signature = new Uint8Array(await served.sign());
  const put = await fetch(`${url}/lookaside/team/app@${folder}`, { method: "PUT", headers: admin, body: signature });
  assert.equal(put.status, 201);
  const begun = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: "POST", headers: admin });
  const config = (JSON.parse(Buffer.from(image.manifest).toString()) as { config: { digest: string } }).config.digest;
  const paths: Readonly<Record<Exclude<Resource, "signature" | "uploads">, readonly string[]>> = {
    base: ["/v2/", "/v2"],
    blob: [`/v2/team/app/blobs/${config}`, `/v2/team/app/blobs/${digest}`],
    catalog: ["/v2/_catalog", "/v2/_catalog?n=x"],
    lookaside: [`/lookaside/team/app@${folder}`, `/lookaside/team/none@${folder}`],
    manifest: ["/v2/team/app/manifests/1", `/v2/team/app/manifests/${digest}`, "/v2/team/app/manifests/none"],
    referrers: [`/v2/team/app/referrers/${digest}`],
    "release-signature": [`/signatures/${folder}`],
    "signature-list": ["/extensions/v2/team/app/signatures", "/extensions/v2/team/app/signatures?n=1"],
    signatures: [
      `/extensions/v2/team/app/signatures/${digest}`,
      `/extensions/v2/team/app/signatures/${digest}?view=all`,
      `/extensions/v2/team/app/signatures/${digest}?view=all&n=1`,
      `/extensions/v2/team/app/signatures/${digest}?view=none`,
      `/extensions/v2/team/app/signatures/${config}`,
      `/extensions/v2/team/none/signatures/${digest}`,
    ],
    tags: ["/v2/team/app/tags/list", "/v2/team/app/tags/list?n=1"],
    verification: [
      `/extensions/v2/team/app/verifications/${digest}/${digestOf(signature)}`,
      `/extensions/v2/team/app/verifications/${digest}/${digest}`,
    ],
    verifications: [
      `/extensions/v2/team/app/verifications/${digest}`,
      `/extensions/v2/team/app/verifications/${digest}?n=0`,
      `/extensions/v2/team/app/verifications/${config}`,
      `/extensions/v2/team/none/verifications/${digest}`,
    ],
    upload: [begun.headers.get("location")!],
  };
  for (const [resource, all] of Object.entries(paths)) {
    for (const path of all) {
      const route = readRoute(path.split("?")[0]!)!;
      assert.equal(resourceOf(route), resource);
      assert.ok(methodsOf(route).includes("GET"));
    }
  }
  const own = Object.keys(ownRoutes) as OwnPath[];
  for (const path of [...Object.values(paths).flat(), ...own]) {
    for (const headers of [admin, {}, { authorization: `Bearer ${served.strangerToken}` }] as Record<
      string,
      string
    >[]) {
      const ask = async (method: string) => {
        const answer = await fetch(`${url}${path}`, { method, headers });
        const body = await answer.arrayBuffer();
        const isFixed = ([name]: [string, string]): boolean =>
          !changing.has(name) && !(name === "content-length" && ofTheMoment.has(path));
        return { status: answer.status, headers: [...answer.headers].filter(isFixed), size: body.byteLength };
      };
      const get = await ask("GET");
      assert.deepEqual(await ask("HEAD"), { ...get, size: 0 }, path);
    }
  }
});
