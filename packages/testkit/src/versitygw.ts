/** Which S3 server the tests use, where it is kept, and how it is made. See docs/decisions/0011-real-storage-in-tests.md. */
import { homedir } from "node:os";
import { join } from "node:path";

/** A module of Go and one of its versions; `sum` is what go.sum would say of it. Its own go.sum pins all that it is built from. */
export const versitygwModule: {
  readonly path: string;
  readonly version: string;
  readonly sum: string;
  readonly go: string;
} = {
  path: "github.com/versity/versitygw",
  version: "v1.8.0",
  sum: "h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=",
  /** The oldest Go that builds it. */
  go: "1.25",
};

/** The folder where `npm test` keeps tools that it has built, of this user and outside of the repository, so that a new clone need not build again. */
export function builtToolsFolder(): string {
  const cache = process.env["XDG_CACHE_HOME"];
  return join(cache === undefined || cache === "" ? join(homedir(), ".cache") : cache, "signet-test-tools");
}

/** The folder with the program `versitygw` of the pinned version. */
export function versitygwFolder(): string {
  return join(builtToolsFolder(), `versitygw-${versitygwModule.version}`);
}
