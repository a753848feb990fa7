/** The document by itself, and against the tables by which the server routes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { isOwnPath, ownRoutes } from "../http/own-routes.ts";
import { type Resource, resourceMethods, resourceOf } from "../registry/route-methods.ts";
import { readRoute } from "../registry/route.ts";
import { operations } from "./described-answers.testing.ts";
import { openApiDocument } from "./document.ts";
import { openApiPage, writeOpenApiPage } from "./openapi-page.ts";
import { basic } from "../serve-app.testing.ts";
import { serveDocument } from "./served-document.testing.ts";

const hex = "0".repeat(64);
const values: Readonly<Record<string, string>> = {
  name: "team/app",
  digest: `sha256:${hex}`,
  signature: "a",
  verified: `sha256:${hex}`,
  algorithm: "sha256",
  hex,
  place: "1",
};
const fill = (template: string): string => template.replaceAll(/\{([a-z]+)\}/g, (_, name: string) => values[name]!);

const templates = [...new Set(operations.map((one) => one.template))];
const methodsIn = (template: string): readonly string[] =>
  operations
    .filter((one) => one.template === template)
    .map((one) => one.method)
    .toSorted();

/** What the OCI distribution specification 1.1 describes. The catalog is none of it. */
const ofSpecification: ReadonlySet<Resource> = new Set([
  "base",
  "blob",
  "manifest",
  "referrers",
  "tags",
  "upload",
  "uploads",
]);

test("the document keeps the rules of OpenAPI 3.1, and docs/openapi.json is what it says", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(openApiDocument));
  assert.deepEqual([valid, errors, validator.version], [true, undefined, "3.1"]);
  const broken = structuredClone(openApiDocument) as { paths: Record<string, { get: { responses: unknown } }> };
  broken.paths["/token"]!.get.responses = [];
  assert.equal((await validator.validate(broken as unknown as Record<string, unknown>)).valid, false);
  const page = readFileSync(join(import.meta.dirname, "../../../..", openApiPage), "utf8");
  assert.equal(page, writeOpenApiPage());
});

test("what no schema of OpenAPI can say: ids are unique, parameters are declared, references lead somewhere", () => {
  const ids = operations.map((one) => one.id);
  assert.equal(new Set(ids).size, ids.length);
  const paths = openApiDocument["paths"] as Record<
    string,
    { readonly parameters?: readonly { readonly name: string }[] }
  >;
  for (const [template, { parameters = [] }] of Object.entries(paths)) {
    const named = [...template.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => name!);
    assert.deepEqual(
      parameters.map(({ name }) => name),
      named,
      template,
    );
  }
  const text = JSON.stringify(openApiDocument);
  const targets = new Set([...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, target]) => target!));
  assert.ok(targets.size > 10);
  const components = openApiDocument["components"] as Record<string, object>;
  const present = ["schemas", "responses"].flatMap((kind) =>
    Object.keys(components[kind]!).map((name) => `components/${kind}/${name}`),
  );
  const isUsed = (one: string): boolean => targets.has(one) || one.includes("/HeadFailure") || one.includes("/Failure");
  assert.deepEqual(
    present.filter((one) => !isUsed(one)),
    [],
  );
  assert.deepEqual(
    [...targets].filter((target) => !present.includes(target)),
    [],
  );
});

test("the document lists just the routes and methods of the server's tables, the specification's own left out", () => {
  const described = templates.map((template) => {
    const path = fill(template);
    if (isOwnPath(path)) return [path, methodsIn(template)];
    const route = readRoute(path);
    assert.ok(route, template);
    return [resourceOf(route), methodsIn(template)];
  });
  const resources = Object.entries(resourceMethods).filter(([name]) => !ofSpecification.has(name as Resource));
  const own = Object.entries(ownRoutes).map(([path, { methods }]) => [path, methods]);
  const byName = (a: readonly unknown[], b: readonly unknown[]): number => (String(a[0]) < String(b[0]) ? -1 : 1);
  assert.deepEqual(described.toSorted(byName), [...resources, ...own].toSorted(byName));
});

test("a running server refuses every method that the document does not list, and no other", async () => {
  await using served = await serveDocument();
  const all = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
  for (const template of templates) {
    const taken: string[] = [];
    for (const method of all) {
      const answer = await fetch(`${served.url}${fill(template)}`, {
        method,
        headers: basic("admin", served.adminPassword),
      });
      await answer.arrayBuffer();
      if (answer.status !== 405) taken.push(method);
      else assert.equal(answer.headers.get("allow"), methodsIn(template).join(", "), `${method} ${template}`);
    }
    assert.deepEqual(taken, methodsIn(template), template);
  }
});
