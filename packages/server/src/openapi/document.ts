/**
 * The OpenAPI document of what is not the OCI distribution specification 1.1: OpenAPI 3.1, served at `/openapi.json`. A test holds the tables of routes and a running server
 * against it.
 */
import { type OpenApiObject, failureResponses, headFailureResponses } from "./operations.ts";
import { schemas } from "./schemas.ts";
import { serverPaths } from "./server-paths.ts";
import { signaturePaths } from "./signature-paths.ts";
import { verificationPaths } from "./verification-paths.ts";

export const openApiDocument: OpenApiObject = {
  openapi: "3.1.1",
  info: {
    title: "Signet registry",
    // Of this interface, not of the program: the first number grows when something that clients rely on goes.
    version: "1.0.0",
    summary: "What the registry answers beside the OCI distribution specification 1.1.",
    description:
      "Images are pushed and pulled as the OCI distribution specification 1.1 says; its paths (`/v2/` but the catalog) are not repeated here. Every answer has an `X-Request-Id`. A method that a path does not have is answered by 405 with `Allow`; a path that is none, by 404; headers larger than `limits.headerBytes`, by 431 and the end of the connection. Answers may get further members: a client ignores those that it does not know.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  servers: [{ url: "/" }],
  tags: [
    { name: "signatures", description: "The signatures extension, as OpenShift's registry brought it, and more." },
    {
      name: "verifications",
      description:
        "What auditors found of signatures, recorded in their names. No verdict of the server depends on it.",
    },
    { name: "lookaside", description: "Signatures as files of a web server." },
    { name: "server", description: "The server as a whole." },
  ],
  // What everybody may pull needs none.
  security: [{}, { basic: [] }, { bearer: [] }],
  paths: { ...signaturePaths, ...verificationPaths, ...serverPaths },
  components: {
    schemas,
    responses: { ...failureResponses, ...headFailureResponses },
    securitySchemes: {
      basic: { type: "http", scheme: "basic", description: "An account with its password or an access token." },
      bearer: { type: "http", scheme: "bearer", description: "A token from `/token`, or an access token." },
    },
  },
};
